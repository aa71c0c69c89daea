#!/usr/bin/env python3
"""The cascade over two real models: how right it is, how often the small model's answer is kept, when the first word comes, who wrote how much.

    TIERWAY_BIN=... tests/real/cascade.py [--questions 203] [--modes buffer,prefix,hedged] [--threshold 0.5] [--rows rows.jsonl] [--json]

Starts llama.cpp with SmolLM2-135M and Qwen2.5-Coder-0.5B (tests/real/setup.sh puts them there) and asks each question, one at a time and
greedily: the small model, the big one (streams, mode off), the cascade for a whole answer, and the cascade for a stream in each mode. Without
--threshold it is the least one whose kept drafts did at most 5 % harm on every other question; the rest of the questions tell what it does.
With --rows the answers are kept as labelled rows for `tierway score` and `tierway eval`. Takes some minutes: 20 to 50 tokens come a second.
"""
import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / "clients")]

from harness import KEY, Gateway, binary, call  # noqa: E402
from models import BIG, HERE, SMALL, configuration, llama  # noqa: E402
from questions import questions  # noqa: E402

MAX_TOKENS = 32
HARM = 0.05
# Both run for nothing here; so that a saving can be told, they are priced by their size.
PRICES = {"small": 135e-12, "big": 494e-12}
SETTINGS = """
[affinity]
enabled = false
[cache]
enabled = false
[cascade]
enabled = true
stay_big = 0
threshold = {threshold}
streams = "{streams}"
{more}
"""
# The big model is started as soon as a draft has taken half of a second and a half, for every draft that does.
HEDGE = 'max_added_latency = "1500ms"\nhedge_share = 1.0\nhedge_after = 0.5'


def body(model, question, **more):
    return {"model": model, "messages": [{"role": "user", "content": question.text}], "max_tokens": MAX_TOKENS, "temperature": 0, **more}


def patient(ask):
    """As every client does: once more, where llama.cpp closed a connection just as it was to be used again, which is a 502."""
    def again(*given, **named):
        try:
            return ask(*given, **named)
        except Refused as refused:
            assert refused.status == 502, refused
            print(f"again, because of {refused}", file=sys.stderr)
            return ask(*given, **named)
    return again


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


@patient
def whole(gateway, model, question, **more):
    """The answer, and what the cascade did."""
    answer = call(gateway.url, "/v1/chat/completions", body(model, question, **more), {"authorization": f"Bearer {KEY}"}, timeout=120)
    if answer.status != 200:
        raise Refused(answer.status, answer.text)
    return answer.json, answer.headers["x-tierway-cascade"]


@patient
def streamed(gateway, model, question):
    """The text, the usage, what the cascade did, seconds until the first word."""
    host = urllib.parse.urlsplit(gateway.url)
    connection = http.client.HTTPConnection(host.hostname, host.port, timeout=120)
    start, first, text, usage = time.monotonic(), None, "", None
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    asked = body(model, question, stream=True, stream_options={"include_usage": True})
    connection.request("POST", "/v1/chat/completions", json.dumps(asked), headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise Refused(answer.status, answer.read())
    for line in answer:
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        assert "error" not in chunk, chunk
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            piece = choice["delta"].get("content")
            if piece:
                first = first or time.monotonic() - start
                text += piece
    cascade = answer.headers["x-tierway-cascade"]
    connection.close()
    # llama.cpp hangs up after each stream without having said so; whoever asks again within that millisecond meets a closing connection
    time.sleep(0.02)
    return text, usage, cascade, first or time.monotonic() - start


def told(cascade):
    """`accepted; confidence=0.90; ...` as a dictionary, the outcome under the empty name."""
    first, *rest = cascade.split("; ")
    return {"": first, **dict(part.split("=", 1) for part in rest)}


class Tokens:
    """Tokens on each model since the last look."""

    def __init__(self, gateway):
        self.gateway, self.before = gateway, {}
        self.since()

    def since(self):
        now = {}
        for (name, labels), value in self.gateway.metrics().items():
            if name == "tierway_tokens_total":
                provider, kind = (dict(labels)[key] for key in ("provider", "kind"))
                # what the server had read before is input, too
                kind = "input" if kind.startswith("cache_") else kind
                now[provider, kind] = now.get((provider, kind), 0) + value
        grown = {key: value - self.before.get(key, 0) for key, value in now.items()}
        self.before = now
        return {provider: {kind: int(grown.get((provider, kind), 0)) for kind in ("input", "output")} for provider in ("small", "big")}


def quantile(values, p):
    return statistics.quantiles(values, n=100, method="inclusive")[p - 1] if len(values) > 1 else values[0]


def text_of(answer):
    return answer["choices"][0]["message"].get("content") or ""


def row(question, draft, right, usage):
    """A labelled row, as `tierway eval` reads them."""
    def arm(name, model, right, usage):
        tokens = usage["prompt_tokens"] + usage["completion_tokens"]
        return {"model": model, "correct": float(right), "cost_usd": PRICES[name] * tokens}
    small = arm("small", SMALL, question.right(text_of(draft)), draft["usage"])
    return {
        "id": question.id, "set": f"real/{SMALL}__{BIG}", "request": body(SMALL, question),
        "small": {**small, "response": draft}, "big": arm("big", BIG, right, usage), "signals": {},
    }


def confidences(rows):
    """What `tierway score` thinks of the small model's answers."""
    ran = subprocess.run([binary(), "score"], input="".join(json.dumps(row) + "\n" for row in rows), text=True, capture_output=True, check=True)
    return [json.loads(line)["confidence"] for line in ran.stdout.split("\n")[:-1]]


def fitted(rows):
    """The least threshold that does no more than HARM on every other question."""
    half = [(c, r["small"]["correct"], r["big"]["correct"]) for c, r in zip(confidences(rows), rows)][::2]
    for threshold in sorted({confidence for confidence, _, _ in half}):
        harm = sum(confidence >= threshold and big > small for confidence, small, big in half)
        if harm <= HARM * len(half):
            return threshold
    return 1.0


class Run:
    """One way of asking questions."""

    def __init__(self, name, asked):
        self.name, self.asked, self.right, self.first, self.outcomes, self.tokens = name, asked, [], [], [], None

    def report(self):
        found = {"name": self.name, "questions": len(self.right), "accuracy": statistics.mean(self.right)}
        # the threshold was fitted on the others
        if len(self.right) > 1:
            found["accuracy_held_out"] = statistics.mean(self.right[1::2])
        if self.outcomes:
            found["accepted"] = sum(o[""] == "accepted" for o in self.outcomes) / len(self.outcomes)
            reasons = [o.get("reason", "") for o in self.outcomes if o[""] != "accepted"]
            found["not_accepted_for"] = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
        if self.first:
            found["first_word_s"] = {"p50": quantile(self.first, 50), "p95": quantile(self.first, 95)}
        found["tokens"] = self.tokens
        return found


def cascaded(gateway, name, asked, stream):
    run, tokens = Run(name, asked), Tokens(gateway)
    for question in asked:
        if stream:
            text, _, cascade, first = streamed(gateway, "tierway/medium", question)
            run.first.append(first)
        else:
            answer, cascade = whole(gateway, "tierway/medium", question)
            text = text_of(answer)
        run.outcomes.append(told(cascade))
        run.right.append(question.right(text))
    run.tokens = tokens.since()
    return run


def measure(options, small, big, say=lambda _: None):
    """The report and the labelled rows. `small` and `big` are running servers."""
    def gateway(threshold, streams):
        more = HEDGE if streams == "hedged" else ""
        return Gateway(configuration(small, big, SETTINGS.format(threshold=threshold, streams=streams, more=more)))

    asked = questions(options.questions)
    alone, off, drafts, usages = Run("small alone", asked), Run("big alone, streams off", asked), [], []
    with gateway(0.5, "off") as plain:
        say("the small model alone")
        tokens = Tokens(plain)
        for question in asked:
            drafts.append(whole(plain, f"small:{SMALL}", question, logprobs=True)[0])
            alone.right.append(question.right(text_of(drafts[-1])))
        alone.tokens = tokens.since()
        say("the big model alone")
        for question in asked:
            # with `streams = "off"` this is what a stream of the tier gets
            text, usage, _, first = streamed(plain, "tierway/medium", question)
            usages.append(usage)
            off.right.append(question.right(text))
            off.first.append(first)
        off.tokens = tokens.since()
    rows = [row(*all_of_it) for all_of_it in zip(asked, drafts, off.right, usages)]
    threshold = fitted(rows) if options.threshold is None else options.threshold
    runs = [alone, off]
    say(f"threshold {threshold:.3f}: whole answers")
    with gateway(threshold, "off") as front:
        runs.append(cascaded(front, "cascade, whole", asked, stream=False))
    for mode in options.modes.split(","):
        say(f"streams: {mode}")
        # where little differs, fewer questions tell as much
        of = asked if mode == "buffer" else asked[::3]
        with gateway(threshold, mode) as front:
            runs.append(cascaded(front, f"cascade, streams {mode}", of, stream=True))
    kinds = {}
    for run in runs[:3]:
        for question, right in zip(asked, run.right):
            kinds.setdefault(question.kind, {}).setdefault(run.name, []).append(right)
    by_kind = {kind: {"questions": len(of["small alone"]), **{name: statistics.mean(r) for name, r in of.items()}} for kind, of in kinds.items()}
    return {"threshold": threshold, "runs": [run.report() for run in runs], "kinds": by_kind}, rows


def table(found):
    print(f"threshold {found['threshold']:.3f}\n")
    print("| | questions | right | right, not fitted on | kept | first word p50 / p95 | tokens small (in + out) | tokens big (in + out) |")
    print("|---|---|---|---|---|---|---|---|")
    for run in found["runs"]:
        kept = f"{run['accepted']:.0%}" if "accepted" in run else ""
        first = "{p50:.2f} / {p95:.2f} s".format(**run["first_word_s"]) if "first_word_s" in run else ""
        held_out = f"{run['accuracy_held_out']:.1%}" if "accuracy_held_out" in run else ""
        tokens = ["{input} + {output}".format(**run["tokens"][name]) for name in ("small", "big")]
        print(f"| {run['name']} | {run['questions']} | {run['accuracy']:.1%} | {held_out} | {kept} | {first} | {tokens[0]} | {tokens[1]} |")
    for run in found["runs"]:
        if run.get("not_accepted_for"):
            print(f"\n{run['name']}: not kept because of {run['not_accepted_for']}")
    print("\n| kind | questions | " + " | ".join(run["name"] for run in found["runs"][:3]) + " |\n|---|---|---|---|---|")
    for kind, right in found["kinds"].items():
        shares = [f"{value:.0%}" for name, value in right.items() if name != "questions"]
        print(f"| {kind} | {right['questions']} | {' | '.join(shares)} |")


def processor():
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if os.path.exists("/proc/cpuinfo") else None
    return f"{os.cpu_count()} x {found[1] if found else 'unknown'}"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--questions", type=int, default=203)
    options.add_argument("--modes", default="buffer,prefix,hedged")
    options.add_argument("--threshold", type=float)
    options.add_argument("--rows", type=Path)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    start = time.monotonic()
    template = ("--template", HERE / "qwen-json-tools.jinja", "--key", "sk-llama-0003")
    with llama(SMALL, 8192, 2) as small, llama(BIG, 16384, 2, *template) as big:
        say = lambda what: print(f"{time.monotonic() - start:5.0f} s  {what}", file=sys.stderr, flush=True)
        found, rows = measure(given, small, big, say)
    found.update(day=time.strftime("%Y-%m-%d"), machine=processor(), seconds=round(time.monotonic() - start))
    if given.rows:
        given.rows.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        table(found)
        print(f"\n{found['day']}, {found['machine']}, {found['seconds']} s")


if __name__ == "__main__":
    main()
