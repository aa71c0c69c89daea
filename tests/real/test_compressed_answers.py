"""Answers about results of tools that were made smaller are as right as about the results themselves, by a real small model.

Each question has one value as its answer, and stands in the result once. The same conversation goes to the same model through two gateways.
"""
import json

import pytest
from harness import KEY, Gateway, call
from models import BIG, configuration

ISSUES = [
    {"number": 4100 + 37 * n, "title": title, "state": "open", "user": {"login": who, "type": "User"}, "comments": 3 + 5 * n % 17, "milestone": None}
    for n, (title, who) in enumerate([("Crash on empty input", "marta"), ("Docs are out of date", "oluwaseun"), ("Slow start on Windows", "kenji"), ("Wrong total in report", "ines"), ("Add dark mode", "pavel")])
]
CITIES = [
    {"city": city, "country": country, "population": population, "capital": capital}
    for city, country, population, capital in [("Oslo", "Norway", 717710, True), ("Bergen", "Norway", 291940, False), ("Lyon", "France", 522250, False), ("Turin", "Italy", 841600, False), ("Vienna", "Austria", 2028289, True)]
]
PRICES = {"currency": "EUR", "items": [
    {"sku": sku, "name": name, "price": price, "stock": stock}
    for sku, name, price, stock in [("K-11", "kettle", 24.9, 14), ("T-20", "toaster", 39.5, 3), ("B-07", "blender", 61.0, 28), ("M-33", "mixer", 85.25, 9)]
]}
LOG = "".join(f"\x1b[32mINFO\x1b[0m step {n} of 6 {bar} done   \r" for n, bar in enumerate(["#", "##", "###", "####", "#####"])) + "\n" + "".join(
    f"\x1b[1mtest\x1b[0m {name} ... \x1b[3{colour}m{result}\x1b[0m in {time} ms      \n" for name, colour, result, time in [("login", 2, "ok", 118), ("logout", 2, "ok", 64), ("upload", 1, "FAILED", 2210), ("search", 2, "ok", 503)])
QUESTIONS = [
    (ISSUES, "What is the number of the issue \"Crash on empty input\"?", "4100"),
    (ISSUES, "What is the number of the issue \"Slow start on Windows\"?", "4174"),
    (ISSUES, "Which user opened the issue \"Add dark mode\"?", "pavel"),
    (ISSUES, "Which user opened the issue with number 4137?", "oluwaseun"),
    (ISSUES, "What is the title of the issue of the user ines?", "wrong total"),
    (CITIES, "What is the population of Bergen?", "291940"),
    (CITIES, "What is the population of Turin?", "841600"),
    (CITIES, "In which country is Lyon?", "france"),
    (CITIES, "Which city has a population of 717710?", "oslo"),
    (CITIES, "In which country is Vienna?", "austria"),
    (PRICES, "What is the price of the toaster?", "39.5"),
    (PRICES, "What is the sku of the blender?", "b-07"),
    (PRICES, "How many mixers are in stock?", "9"),
    (PRICES, "What is the price of the kettle?", "24.9"),
    (LOG, "Which test failed?", "upload"),
    (LOG, "How many milliseconds did the test search take?", "503"),
]


@pytest.mark.timeout(600)
def test_answers_are_as_right_as_before(small, big):
    right, sizes = {}, {}
    for enabled in (False, True):
        extra = f"[cache]\nenabled = false\n[compress]\nenabled = {str(enabled).lower()}\n"
        with Gateway(configuration(small, big, extra)) as gateway:
            right[enabled], sizes[enabled] = [], 0
            for result, question, wanted in QUESTIONS:
                text = result if isinstance(result, str) else json.dumps(result, indent=4)
                made = {"id": "call_1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}
                body = {"model": f"big:{BIG}", "max_tokens": 40, "temperature": 0, "messages": [
                    {"role": "user", "content": "Look it up."},
                    {"role": "assistant", "content": None, "tool_calls": [made]},
                    {"role": "tool", "tool_call_id": "call_1", "content": text},
                    {"role": "user", "content": f"By this result: {question} Answer in one short sentence."}]}
                answer = call(gateway.url, "/v1/chat/completions", body, {"authorization": f"Bearer {KEY}"}, timeout=120)
                assert answer.status == 200, answer.text
                assert ("x-tierway-compressed" in answer.headers) == enabled
                said = answer.json["choices"][0]["message"]["content"] or ""
                right[enabled].append(wanted in said.lower().replace(",", ""))
                sizes[enabled] += answer.json["usage"]["prompt_tokens"]
                print(enabled, right[enabled][-1], repr(question), repr(said[:80]))
    before, after = sum(right[False]), sum(right[True])
    print(f"right of {len(QUESTIONS)}: {before} with the results as they were, {after} with them made smaller; prompt tokens {sizes[False]} and {sizes[True]}")
    assert sizes[True] < 0.8 * sizes[False]
    # Two of sixteen are chance; what a table costs would be more.
    assert after >= before - 2 and after >= 8
