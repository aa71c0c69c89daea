#!/usr/bin/env python3
"""Labelled rows through the running gateway: what it keeps, what that is worth and what it costs, beside what `tierway score` and `tierway eval` say.

    TIERWAY_BIN=... tests/replay/replay.py [ROWS.jsonl ...] [--most 500] [--logprobs recorded|made|none]

Two scripted upstreams answer each question as recorded (small) or with a mark (big). Every row is asked in three dialects, whole and
streamed, at some thresholds. Rows without an answer of the small model, and second rows of the same question, are left out. Exits with 1 where the
gateway and the offline figures differ.
"""
import argparse
import http.client
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / "clients")]

import dialects  # noqa: E402
from harness import KEY, Gateway, binary  # noqa: E402
from upstreams import BIG, SMALL, Upstreams, key, mark, squeezed  # noqa: E402

FIXTURE = Path(__file__).parents[1] / "fixtures/outcomes.jsonl"
WAYS = [(dialect, stream) for dialect in dialects.PATHS for stream in (False, True)]
WORKERS = 6
CONFIGURATION = f"""
[providers.small]
kind = "openai-compatible"
base_url = "{{small}}/v1"
api_key = "sk-small"
[providers.big]
kind = "anthropic-compatible"
base_url = "{{big}}"
api_key = "sk-big"
[tiers]
simple = "small:{SMALL}"
medium = "big:{BIG}"
complex = "big:{BIG}"
reasoning = "big:{BIG}"
[[keys]]
key = "{KEY}"
tenant = "alice"
[affinity]
enabled = false
[cache]
enabled = false
[cascade]
enabled = true
streams = "buffer"
tools = true
stay_big = 0
threshold = {{threshold}}
"""


def read(files, most=None):
    """Rows with a recorded answer, each question and each id once."""
    rows, seen = [], set()
    for file in files:
        for line in Path(file).read_text().split("\n"):
            if not line.strip():
                continue
            row = json.loads(line)
            names = {key(row["request"]["messages"], row["request"].get("tools")), row["id"]}
            if row["small"].get("response") and not names & seen:
                seen |= names
                rows.append(row)
    return rows if most is None else rows[:most]


def with_logprobs(row):
    """The row with log-probabilities made up, the same each time: one token a word, each row with a certainty of its own."""
    row = json.loads(json.dumps(row))
    draw = random.Random(row["id"])
    sure = draw.uniform(0.02, 1.5)
    choice = row["small"]["response"]["choices"][0]
    tokens = re.findall(r"\s*\S+|\s+$", choice["message"].get("content") or "")
    told = [{"token": token, "logprob": -draw.expovariate(1 / sure), "bytes": None, "top_logprobs": []} for token in tokens]
    choice["logprobs"] = {"content": told} if told else None
    return row


def without_logprobs(row):
    row = json.loads(json.dumps(row))
    row["small"]["response"]["choices"][0]["logprobs"] = None
    return row


def score(rows):
    """The confidence of `tierway score` in each row's answer."""
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    ran = subprocess.run([binary(), "score"], input=lines, text=True, capture_output=True, check=True)
    return {line["id"]: line["confidence"] for line in map(json.loads, ran.stdout.split("\n")[:-1])}


def evaluate(rows, confidences):
    """What `tierway eval` makes of these confidences, by set."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("rows.jsonl", "scores.jsonl")]
        scores = [{"id": row["id"], "set": row["set"], "complexity": 0.5, "confidence": confidences[row["id"]]} for row in rows]
        for file, lines in zip(files, (rows, scores)):
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        command = [binary(), "eval", files[0], "--scores", files[1], "--json", "--resamples", "1"]
        ran = subprocess.run(command, text=True, capture_output=True, check=True)
    return {found["name"]: found for found in json.loads(ran.stdout)["sets"]}


@dataclass
class Call:
    """One call's answer: whether the draft was kept, what the header tells, and what must not be but is."""

    kept: bool
    confidence: float
    reason: str
    problem: str = ""


@dataclass
class Replayed:
    """All rows at one threshold, by row and way; and whom the gateway asked for it."""

    threshold: float
    calls: dict = field(default_factory=dict)
    asked: dict = field(default_factory=dict)
    with_logprobs: int = 0
    tokens: dict = field(default_factory=dict)

    def kept(self, row):
        """Whether the row's draft was kept; fails where that depends on the way it was asked."""
        ways = {way: self.calls[row["id"], way].kept for way in WAYS}
        assert len(set(ways.values())) == 1, f"{row['id']} at {self.threshold}: {ways}"
        return ways[WAYS[0]]

    def vetoed(self, row):
        return self.calls[row["id"], WAYS[0]].confidence == 0.0


def judged(row, way, raw, header):
    """Reads one answer: it is the recorded draft, or the big model's and nothing else."""
    said = dict(part.split("=", 1) for part in header.split("; ")[1:])
    call = Call(header.startswith("accepted"), float(said.get("confidence", "nan")), said.get("reason", ""))
    text, calls = (dialects.streamed if way[1] else dialects.whole)(way[0], raw)
    draft = row["small"]["response"]["choices"][0]["message"]
    recorded = [(c["function"]["name"], json.loads(c["function"]["arguments"] or "{}")) for c in draft.get("tool_calls") or []]
    if not header.startswith(("accepted", "deferred")):
        call.problem = f"no draft was asked for: {header}"
    elif call.kept and (text.strip() != (draft.get("content") or "").strip() or calls != recorded):
        call.problem = f"not the draft: {text[:200]!r} {calls}"
    elif not call.kept and (text != mark(row) or calls):
        call.problem = f"not the big model's answer: {text[:200]!r} {calls}"
    elif call.kept and not leaks(row, raw):
        call.problem = "whoever looks for pieces of drafts does not see this one"
    elif not call.kept and leaks(row, raw):
        call.problem = f"a piece of the draft: {leaks(row, raw)!r}"
    return call


def leaks(row, raw):
    """What of the draft stands in the bytes that arrived: the model's name, its id, or some of its letters in a row."""
    response = row["small"]["response"]
    found = squeezed([raw.decode()])
    draft = squeezed([json.dumps(response["choices"][0]["message"], ensure_ascii=False)])
    # some answers repeat what was asked, the tools for one
    allowed = squeezed([mark(row), json.dumps(row["request"], ensure_ascii=False)])
    pieces = (draft[i:i + 16] for i in range(0, max(1, len(draft) - 16), 4))
    # the envelope of a message is the same whoever wrote it
    named = [SMALL, json.dumps(response["id"]), *(p for p in pieces if p not in allowed and not re.search(r'["{}:]', p))]
    return next((piece for piece in named if piece in found), None)


class Client(threading.local):
    """A connection for each thread."""

    def __init__(self, url):
        host = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(host.hostname, host.port, timeout=30)

    def post(self, path, body):
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}", "anthropic-version": "2023-06-01"}
        self.connection.request("POST", path, json.dumps(body), headers)
        answer = self.connection.getresponse()
        return answer.status, answer.headers.get("x-tierway-cascade", ""), answer.read()


def replay(rows, upstreams, threshold):
    """Every row in every way through a gateway with this threshold."""
    upstreams.clear()
    done = Replayed(threshold)
    # in a home without anything that was learned
    with tempfile.TemporaryDirectory() as home, Gateway(
        CONFIGURATION.format(**upstreams.urls, threshold=threshold), XDG_STATE_HOME=home
    ) as gateway, ThreadPoolExecutor(WORKERS) as pool:
        client = Client(gateway.url)

        def ask(job):
            row, way = job
            status, header, raw = client.post(dialects.PATHS[way[0]], dialects.body(way[0], row["request"], "tierway/medium", way[1]))
            assert status == 200, f"{row['id']} {way}: {status} {raw[:300]}"
            return (row["id"], way), judged(row, way, raw, header)

        done.calls = dict(pool.map(ask, [(row, way) for row in rows for way in WAYS]))
        for name in ("small", "big"):
            total = sum(gateway.total("tierway_tokens_total", role=name, kind=kind) for kind in ("input", "output"))
            done.tokens[name] = total
    assert not upstreams.problems, f"a question that no row has: {upstreams.problems[0]}"
    done.asked = {name: {row["id"]: ids.count(row["id"]) for row in rows} for name, ids in upstreams.asked.items()}
    done.with_logprobs = upstreams.with_logprobs
    return done


def measured(rows, done):
    """(quality, deferred share, cost) as they came out: what the answers are worth, and what the upstreams were asked for."""
    n, ways = len(rows), len(WAYS)
    quality = sum(row["small" if done.calls[row["id"], way].kept else "big"]["correct"] for row in rows for way in WAYS) / n / ways
    deferred = sum(not done.calls[row["id"], way].kept for row in rows for way in WAYS) / n / ways
    cost = sum(row[name]["cost_usd"] * done.asked[name][row["id"]] for row in rows for name in done.asked) / n / ways
    return quality, deferred, cost


def offline(rows, confidences, threshold):
    """The same by the scores alone."""
    n = len(rows)
    kept = {row["id"]: confidences[row["id"]] >= threshold for row in rows}
    quality = sum(row["small" if kept[row["id"]] else "big"]["correct"] for row in rows) / n
    cost = sum(row["small"]["cost_usd"] + (0 if kept[row["id"]] else row["big"]["cost_usd"]) for row in rows) / n
    return quality, 1 - sum(kept.values()) / n, cost


def areas(rows, points):
    """APGR and cost-APGR of the broken line through measured points, from all kept to all deferred."""
    def mean(name, what):
        return sum(row[name][what] for row in rows) / len(rows)
    small, big, cheap, dear = (mean(name, what) for what in ("correct", "cost_usd") for name in ("small", "big"))
    line = sorted([(small, 0.0, cheap), *points, (big, 1.0, cheap + dear)], key=lambda p: p[1])
    recovered = [((quality - small) / (big - small), deferred, cost) for quality, deferred, cost in line]
    apgr = sum((b[1] - a[1]) * (a[0] + b[0]) / 2 for a, b in zip(recovered, recovered[1:]))
    area = 0.0
    for (low, _, start), (high, _, end) in zip(recovered, recovered[1:]):
        stop = min(end, dear)
        if stop > start:
            area += (stop - start) * (low + (low + (high - low) * (stop - start) / (end - start))) / 2
    return apgr, area / (dear - cheap)


def thresholds(confidences, shares):
    """A threshold for each of these shares of rows that it defers, between two confidences."""
    found, values = [], sorted(set(confidences.values()))
    every = sorted(confidences.values())
    for share in shares:
        above = next((v for v in values if v > every[int(share * (len(every) - 1))]), None)
        if above is not None:
            below = max(v for v in values if v < above)
            found.append((above + below) / 2)
    return sorted(set(found))


def differences(rows, confidences, done):
    """What the gateway did otherwise than the scores say, row by row. What it vetoes is never kept."""
    for (name, way), call in done.calls.items():
        if call.problem:
            yield f"{name} {way} at {done.threshold:.4f}: {call.problem}"
    for row in rows:
        expected = confidences[row["id"]]
        for way in WAYS:
            call = done.calls[row["id"], way]
            if not done.vetoed(row) and abs(call.confidence - expected) > 0.005 + 1e-9:
                yield f"{row['id']} {way}: the gateway's confidence is {call.confidence} ({call.reason}), the score's {expected:.4f}"
            elif call.kept != (expected >= done.threshold and not done.vetoed(row)):
                yield f"{row['id']} {way} at {done.threshold:.4f}: kept {call.kept}, confidence {expected:.4f} ({call.reason})"
        if done.asked["small"][row["id"]] != len(WAYS):
            yield f"{row['id']}: the small model was asked {done.asked['small'][row['id']]} times"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("rows", nargs="*", type=Path, default=[FIXTURE])
    options.add_argument("--most", type=int, help="so many rows at the most")
    options.add_argument("--logprobs", choices=("recorded", "made", "none"), default="recorded")
    given = options.parse_args()
    change = {"recorded": lambda row: row, "made": with_logprobs, "none": without_logprobs}[given.logprobs]
    rows = [change(row) for row in read(given.rows, given.most)]
    confidences = score(rows)
    wrong = []
    print("| set | threshold | deferred, offline | measured | quality, offline | measured | cost, offline | measured |\n|---|---|---|---|---|---|---|---|")
    with Upstreams(rows) as upstreams:
        for threshold in thresholds(confidences, (0.2, 0.5, 0.8)):
            done = replay(rows, upstreams, threshold)
            wrong += differences(rows, confidences, done)
            known = {row["id"]: 0.0 if done.vetoed(row) else confidences[row["id"]] for row in rows}
            for name in dict.fromkeys(row["set"] for row in rows):
                of = [row for row in rows if row["set"] == name]
                (q1, d1, c1), (q2, d2, c2) = offline(of, known, threshold), measured(of, done)
                print(f"| {name} | {threshold:.4f} | {d1:.4f} | {d2:.4f} | {q1:.4f} | {q2:.4f} | {c1:.7f} | {c2:.7f} |")
    print(*wrong[:20], sep="\n", file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
