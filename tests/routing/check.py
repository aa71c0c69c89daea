#!/usr/bin/env python3
"""Routing suite: hand-labelled requests of coding clients, and the tiers a fair senior engineer would accept for each.

    check.py                                       checks the files and counts rows
    SCORER < open.jsonl     | check.py open        accuracy, with the rows that fail
    SCORER < held_out.jsonl | check.py held_out    accuracy, counts only (--show names the rows)
    cat both answers        | check.py all

SCORER reads rows as they stand in the files and writes `{"id": ..., "tier": "simple|medium|complex|reasoning"}`
a line; other fields are ignored, a row without an answer is wrong. Exit code 1: a file is malformed, less than
95 % of all rows or of the rows without twins are right, or a wrapped row got another tier than its bare twin.

Files

- open.jsonl, two thirds: look at it, tune on it.
- held_out.jsonl, one third: measures whether what was tuned holds for requests nobody looked at. Do not read it, nor
  asks/, side.py and context.py which both files are built from; add rows there, run build.py.
- build.py draws the third by a fixed seed, group by group. Rows drawn once move if a group grows: add asks to a group
  before a measurement, not after.

A row: `id`, `group`, `twin` (the same ask without the client around it), `path`, `headers` (those that say something),
`request` (the body), `tiers` (accepted), `why`. Groups: trivial, ordinary, hard, reasoning, side (titles, probes,
summaries, sub-agents), risk (money, secrets, production, data migration: never small), trap (words that mislead),
context (what was said before decides), harness (the twins).

Tiers: simple: a greeting, a lookup, a one-line edit. medium: a function, a test, an ordinary bug, a script; the summary
of a conversation is at least that, because all later turns build on it. complex: spans files, systems or many steps, or
touches what is dear. reasoning: proofs, root causes, audits, algorithms. Two tiers where it is arguable, never three.
"""

import argparse
import collections
import json
import pathlib
import sys

import build

HERE = pathlib.Path(__file__).resolve().parent
TIERS = ["simple", "medium", "complex", "reasoning"]
GROUPS = build.GROUPS + ["side", "context", "harness"]
FIELDS = {"id", "group", "path", "headers", "request", "tiers", "why"}
GOAL = 0.95
MOST_ARGUABLE = 0.45
MOST_BYTES = 1_500_000


def load(name):
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def texts(value):
    """Every string in a body."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def ask_of(row):
    """The one text of a bare row."""
    body = row["request"]
    said = body.get("messages", body.get("input"))
    return said if isinstance(said, str) else said[-1]["content"]


def faults(parts):
    """What is wrong with the files, as sentences."""
    rows = [row for part in parts.values() for row in part]
    seen = collections.Counter(row["id"] for row in rows)
    yield from (f"{key}: id used {n} times" for key, n in seen.items() if n > 1)
    for row in rows:
        key, tiers = row["id"], row["tiers"]
        if not FIELDS <= set(row) <= FIELDS | {"twin"}:
            yield f"{key}: fields {sorted(row)}"
        if row["group"] not in GROUPS:
            yield f"{key}: group {row['group']}"
        places = sorted(TIERS.index(tier) for tier in tiers if tier in TIERS)
        if len(places) != len(tiers) or not 1 <= len(set(places)) == len(places) <= 2 or places[-1] - places[0] > 1:
            yield f"{key}: tiers {tiers}"
        if not row["path"].startswith("/v1/") or not ("messages" in row["request"] or "input" in row["request"]):
            yield f"{key}: not a request that the gateway takes"
        if any(name != name.lower() for name in row["headers"]):
            yield f"{key}: header names are lower case"
        if (row["group"] == "harness") != ("twin" in row):
            yield f"{key}: harness rows have a twin, others have none"
    for name, part in parts.items():
        by_id = {row["id"]: row for row in part}
        for row in part:
            if "twin" not in row:
                continue
            other = by_id.get(row["twin"])
            if other is None:
                yield f"{row['id']}: twin {row['twin']} is not in {name}.jsonl"
            elif other["tiers"] != row["tiers"]:
                yield f"{row['id']}: tiers differ from those of its twin"
            elif not any(ask_of(other) in text for text in texts(row["request"])):
                yield f"{row['id']}: does not contain the ask of its twin"
    bare = [row for row in rows if "twin" not in row]
    if sum(len(row["tiers"]) > 1 for row in bare) > MOST_ARGUABLE * len(bare):
        yield "too many rows accept two tiers"
    if sum((HERE / f"{name}.jsonl").stat().st_size for name in parts) > MOST_BYTES:
        yield "the files are too large"
    if list(parts.values()) != list(build.build()):
        yield "the files are not what build.py writes"


def count(parts):
    """Rows by group and by accepted tiers, for each file."""
    for name, rows in parts.items():
        bare = [row for row in rows if "twin" not in row]
        two = sum(len(row["tiers"]) > 1 for row in bare)
        print(f"{name}: {len(rows)} rows, {len(bare)} asks, {len(rows) - len(bare)} twins, {two} asks accept two tiers")
        print(f"  {'':10}" + "".join(f"{tier:>11}" for tier in TIERS) + f"{'two':>7}{'all':>7}")
        for group in GROUPS:
            mine = [row["tiers"] for row in rows if row["group"] == group]
            cells = "".join(f"{mine.count([tier]):>11}" for tier in TIERS)
            print(f"  {group:10}{cells}{sum(len(tiers) > 1 for tiers in mine):>7}{len(mine):>7}")


def answers(stream):
    out = {}
    for line in stream:
        if line.strip():
            answer = json.loads(line)
            out[answer["id"]] = str(answer.get("tier", "")).lower()
    return out


def score(rows, given, show):
    """Prints accuracy by group; True if it is enough."""
    right = {row["id"]: given.get(row["id"]) in row["tiers"] for row in rows}
    for group in GROUPS:
        mine = [row for row in rows if row["group"] == group]
        if not mine:
            continue
        good = sum(right[row["id"]] for row in mine)
        print(f"{group:10}{good:>5} of {len(mine):<5}{good / len(mine):>8.1%}")
        for row in mine if show else []:
            if not right[row["id"]]:
                print(f"    {row['id']}: {given.get(row['id'], 'no answer')}, not {' or '.join(row['tiers'])} ({row['why']})")
    asked = [row for row in rows if given.get(row["id"]) in TIERS]
    place = {row["id"]: TIERS.index(given[row["id"]]) for row in asked}
    low = sum(place[row["id"]] < min(map(TIERS.index, row["tiers"])) for row in asked)
    high = sum(place[row["id"]] > max(map(TIERS.index, row["tiers"])) for row in asked)
    twins = [row for row in rows if "twin" in row]
    split = [row for row in twins if given.get(row["id"]) != given.get(row["twin"])]
    bare = [row for row in rows if "twin" not in row]
    enough = True
    for name, part in ("all rows", rows), ("without twins", bare):
        good = sum(right[row["id"]] for row in part)
        enough &= good >= GOAL * len(part)
        print(f"{name}: {good} of {len(part)} right, {good / len(part):.1%}")
    print(f"too small a tier: {low}; too large: {high}; no answer: {len(rows) - len(asked)}")
    print(f"twins: {len(twins) - len(split)} of {len(twins)} like the bare row")
    for row in split if show else []:
        print(f"    {row['id']}: {given.get(row['id'])}, {row['twin']}: {given.get(row['twin'])}")
    return enough and not split


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("set", nargs="?", choices=["open", "held_out", "all"], help="score the answers on standard input")
    args.add_argument("--show", action="store_true", help="name failing rows of held_out, too")
    args = args.parse_args()
    parts = {name: load(name) for name in ("open", "held_out")}
    wrong = list(faults(parts))
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if wrong:
        sys.exit(1)
    if args.set is None:
        count(parts)
        return
    rows = [row for name, part in parts.items() if args.set in (name, "all") for row in part]
    if not score(rows, answers(sys.stdin), args.show or args.set == "open"):
        sys.exit(1)


if __name__ == "__main__":
    main()
