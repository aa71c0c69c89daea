"""Questions whose answers a program can check, the same for the same seed: sums, facts, choices, JSON, small code."""
import json
import random
import re
from dataclasses import dataclass
from typing import Callable

CAPITALS = (
    "France Paris, Italy Rome, Spain Madrid, Germany Berlin, Japan Tokyo, China Beijing, Russia Moscow, Egypt Cairo, Greece Athens, Portugal Lisbon, "
    "Austria Vienna, Poland Warsaw, Hungary Budapest, Sweden Stockholm, Norway Oslo, Denmark Copenhagen, Finland Helsinki, Ireland Dublin, "
    "Belgium Brussels, Canada Ottawa, Australia Canberra, Turkey Ankara, Kenya Nairobi, Peru Lima, Chile Santiago, Cuba Havana, Thailand Bangkok, "
    "Vietnam Hanoi, Iran Tehran, Iraq Baghdad, Nepal Kathmandu, Croatia Zagreb, Bulgaria Sofia, Romania Bucharest, Latvia Riga, Estonia Tallinn"
)
OPPOSITES = "hot cold, up down, big small, fast slow, day night, open closed, wet dry, left right, hard soft, full empty, old young, light dark"
FACTS = (
    ("How many days are there in a week?", "7"), ("How many months are there in a year?", "12"), ("How many minutes are there in an hour?", "60"),
    ("How many legs does a spider have?", "8"), ("How many sides does a triangle have?", "3"), ("How many hours are there in a day?", "24"),
    ("How many letters are there in the English alphabet?", "26"), ("How many players of one team are on the field in football (soccer)?", "11"),
    ("How many continents are there?", "7"), ("How many degrees does a right angle have?", "90"), ("How many wheels does a bicycle have?", "2"),
    ("How many years are there in a century?", "100"), ("How many sides does a hexagon have?", "6"), ("How many centimetres are there in a metre?", "100"),
)
WORDS = "apple river stone cloud tiger window garden silver winter yellow market bridge candle doctor engine forest".split()
NAMES = "Anna Boris Carla Deniz Elena Farid Greta Hiro Irene Jonas".split()
SPOKEN = {w: str(n) for n, w in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())}


@dataclass(frozen=True)
class Question:
    """What is asked, and whether an answer is right."""

    id: str
    kind: str
    text: str
    right: Callable[[str], bool]


def number(expected):
    """The last number that is said must be this one, in digits or as a word."""
    def right(answer):
        spoken = re.sub(r"[a-z]+", lambda m: SPOKEN.get(m[0], m[0]), answer.lower().replace(",", ""))
        said = re.findall(r"-?\d+(?:\.\d+)?", spoken)
        return bool(said) and float(said[-1]) == float(expected)
    return right


def word(expected, others=()):
    """This word must be said, and none of these others."""
    def said(text, wanted):
        return re.search(rf"\b{re.escape(wanted.lower())}\b", text.lower()) is not None
    return lambda answer: said(answer, expected) and not any(said(answer, other) for other in others)


def exactly(expected):
    """This, but for quotes, fences and white space around it."""
    return lambda answer: re.sub(r"```\w*|[\s\"'`]|\.$", "", answer).lower() == re.sub(r"[\s\"']", "", expected).lower()


def as_json(expected):
    """JSON of this value, in a fence or without."""
    def right(answer):
        inside = re.search(r"```(?:json)?\s*(.*?)```", answer, re.S)
        try:
            return json.loads(inside[1] if inside else answer) == expected
        except ValueError:
            return False
    return right


def sums(draw):
    a, b, sign = draw.choice([(2, 9, "+"), (5, 30, "+"), (10, 99, "+"), (100, 999, "+"), (10, 99, "-"), (2, 9, "*"), (3, 19, "*")])
    x, y = draw.randint(a, b), draw.randint(a, b)
    x, y = max(x, y), min(x, y)
    value = {"+": x + y, "-": x - y, "*": x * y}[sign]
    said = {"+": "plus", "-": "minus", "*": "times"}[sign]
    return f"What is {x} {said} {y}? Answer with the number only.", number(value)


def stories(draw):
    who, what = draw.choice(NAMES), draw.choice(("apples", "books", "coins", "eggs"))
    a, b, c = draw.randint(3, 20), draw.randint(2, 12), draw.randint(1, 3)
    return f"{who} has {a} {what}, buys {b} more and gives {c} away. How many {what} has {who} now? Answer with the number only.", number(a + b - c)


def capitals(draw):
    country, city = draw.choice(CAPITALS.split(", ")).split()
    return f"What is the capital of {country}? Answer with its name only.", word(city)


def facts(draw):
    if draw.random() < 0.5:
        text, value = draw.choice(FACTS)
        return f"{text} Answer with the number only.", number(value)
    pair = draw.choice(OPPOSITES.split(", ")).split()
    asked, wanted = pair if draw.random() < 0.5 else pair[::-1]
    return f"What is the opposite of \"{asked}\"? Answer with one word.", word(wanted)


def choices(draw):
    options = draw.sample(range(10, 1000), 4)
    most = draw.random() < 0.5
    wanted = "ABCD"[options.index((max if most else min)(options))]
    listed = "\n".join(f"{letter}: {option}" for letter, option in zip("ABCD", options))
    others = [letter for letter in "BCD" if letter != wanted]
    return f"Which number is the {'largest' if most else 'smallest'}?\n{listed}\nAnswer with A, B, C or D only.", word(wanted, others)


def objects(draw):
    value = {"name": draw.choice(NAMES), "age": draw.randint(18, 80)}
    if draw.random() < 0.5:
        value["city"] = draw.choice(CAPITALS.split(", ")).split()[1]
    told = f"{value['name']} is {value['age']} years old" + (f" and lives in {value['city']}" if "city" in value else "")
    return f"Write this as a JSON object with the keys {', '.join(value)}: {told}. Answer with the JSON only.", as_json(value)


def snippets(draw):
    w, n, m = draw.choice(WORDS), draw.randint(2, 9), draw.randint(2, 9)
    code, value = draw.choice([
        (f"print(len({w!r}))", len(w)), (f"print({w!r}.upper())", w.upper()), (f"print({w!r}[0])", w[0]), (f"print({w!r}[-1])", w[-1]),
        (f"print({n} ** 2)", n * n), (f"print({n * m} // {m})", n), (f"print({w!r}[:3])", w[:3]), (f"print({n} > {m})", n > m),
        (f"print(sum([{n}, {m}, 1]))", n + m + 1), (f"print(max({n}, {m}))", max(n, m)), (f"print({w!r} + 'x')", w + "x"),
    ])
    return f"What does this Python program print?\n{code}\nAnswer with the output only.", exactly(str(value))


KINDS = {"sum": sums, "story": stories, "capital": capitals, "fact": facts, "choice": choices, "json": objects, "code": snippets}


def questions(count, seed=5):
    """So many different questions, the kinds in turn."""
    draw, found, seen = random.Random(seed), [], set()
    while len(found) < count:
        kinds = list(KINDS)
        for _ in range(50):
            kind = kinds[len(found) % len(kinds)]
            text, right = KINDS[kind](draw)
            if text not in seen:
                break
        else:
            # all that this kind has to ask has been asked
            text, right = sums(draw)
            kind = "sum"
        seen.add(text)
        found.append(Question(f"{kind}:{len(found)}", kind, text, right))
    return found
