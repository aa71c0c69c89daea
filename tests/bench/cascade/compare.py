#!/usr/bin/env python3
"""Which score tells best where the small model's answer will do: one table over sets of labelled rows, every figure by `tierway eval`.

    TIERWAY_BIN=... tests/bench/cascade/compare.py ROWS.jsonl ... [--resamples 1000] [--curves FOLDER] [--json]

Peers' scorers (peers.py), random, the oracle and the perfect judge of the small answer are written as scores and measured with `tierway eval
--scores`; the gateway's own are what `tierway score` prints (before any label) and what `tierway eval` learns: from 200 labels of each fold, from all,
and as a route before the call with and without the cascade after it.
"""
import argparse
import json
import os
import random
import subprocess
import tempfile
from pathlib import Path

from curve import overlay
from peers import SCORERS, seen

DRAWN = ("Lynkr, confidence scorer (its default)",)
FIGURES = ("apgr", "auroc", "cost_apgr")


def binary():
    path = os.environ.get("TIERWAY_BIN")
    if not path:
        raise SystemExit("set TIERWAY_BIN to the gateway's binary (run.sh does)")
    return path


def evaluate(files, *options):
    ran = subprocess.run([binary(), "eval", *map(str, files), "--json", *options], capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(ran.stderr)
    return json.loads(ran.stdout)["sets"]


def of_scores(file, scores, *options):
    """A set measured by these confidences, in the order of its rows."""
    rows = read(file)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as given:
        for row, confidence in zip(rows, scores):
            line = {"id": row["id"], "complexity": 1 - (confidence if confidence is not None else 0.5), "confidence": confidence}
            given.write(json.dumps(line) + "\n")
        given.flush()
        return evaluate([file], "--scores", given.name, *options)


def read(file):
    return [json.loads(line) for line in Path(file).read_text().split("\n") if line.strip()]


def before_labels(file, *options):
    """`tierway score`, which sees a request as it is and knows nothing of the set."""
    ran = subprocess.run([binary(), "score"], input=Path(file).read_bytes(), capture_output=True, check=True)
    with tempfile.NamedTemporaryFile("wb", suffix=".jsonl") as given:
        given.write(ran.stdout)
        given.flush()
        return evaluate([file], "--scores", given.name, *options)


def figures(line):
    return {name: line[name] for name in FIGURES} if line else None


def compare(file, options):
    """The lines of one file, which holds one set."""
    rows = read(file)
    answers = [seen(row) for row in rows]
    draw = random.Random(7)
    lines = []

    def add(name, found, way="cascade"):
        lines.append((name, figures(found[0][way])))

    # A route pays one of the two, a cascade the small one always: without answers there is nothing but a route.
    way = "cascade" if all(answers) else "route"
    add("random", of_scores(file, [draw.random() for _ in rows], *options), way)
    if all(answers):
        for name, scorer in SCORERS.items():
            add(name, of_scores(file, [scorer(*answer) for answer in answers], *options))
        add("Tierway before any label", before_labels(file, *options))
        add("Tierway, 200 labels", evaluate([file], "--labels", "200", *options))
    else:
        add("Tierway before any label, route", before_labels(file, *options), "route")
        add("Tierway, 200 labels, route", evaluate([file], "--labels", "200", *options), "route")
    learned = evaluate([file], *options)
    if all(answers):
        add("Tierway, cross-validated", learned)
    add("Tierway, cross-validated, route", learned, "route")
    if all(answers):
        add("Tierway, route, then cascade (half of it)", learned, "both")
    add("knows whether the small answer is right", of_scores(file, [row["small"]["correct"] for row in rows], *options), way)
    gain = [(row["small"]["correct"] - row["big"]["correct"] + 1) / 2 for row in rows]
    add("oracle: knows both answers", of_scores(file, gain, *options), way)
    found = learned[0]
    return {
        "set": found["name"], "rows": found["rows"], "small": found["small"], "big": found["big"], "ratio": found["ratio"], "lines": lines,
        "held_out": found["held_out"], "certificate": found["certificate"],
    }


def draw(file, to):
    """The cost-quality curves of one set: ours as `tierway eval` draws them, and the two peers' beside them."""
    evaluate([file], "--resamples", "1", "--curve", str(to))
    rows = read(file)
    answers = [seen(row) for row in rows]
    if all(answers):
        peers = {name: [SCORERS[name](*answer) for answer in answers] for name in DRAWN}
        to.write_text(overlay(to.read_text(), rows, peers))


def shown(figure):
    if figure["value"] is None:
        return "-"
    low, high = figure["low"], figure["high"]
    return f"{figure['value']:.3f} ({low:.2f} - {high:.2f})" if low is not None else f"{figure['value']:.3f}"


def table(sets):
    print("| set | rows | always small: right, cost | always big: right, cost | big / small, price |\n|---|---|---|---|---|")
    for s in sets:
        print(f"| {s['set']} | {s['rows']} | {s['small']:.3f}, {1 / s['ratio']:.3f} | {s['big']:.3f}, 1 | {s['ratio']:.1f} |")
    print("\n| set | scorer | APGR | AUROC | cost-APGR |\n|---|---|---|---|---|")
    for s in sets:
        for i, (name, line) in enumerate(s["lines"]):
            print(f"| {'' if i else s['set']} | {name} | {' | '.join(shown(line[f]) for f in FIGURES)} |")
    print("\n| set | certified: at most 5 % harm, 90 % sure | keeps | saves | harm on the other half | of 500 trials with 200 labels broke it |\n|---|---|---|---|---|---|")
    for s in sets:
        c = s["certificate"]
        if c["threshold"] is None:
            print(f"| {s['set']} | nothing: {c['missing']} labels are missing | - | - | - | {c['trials']['violated']:.1%} |")
        else:
            held_out = f"{c['held_out']['harm']:.3f}"
            print(f"| {s['set']} | from {c['threshold']:.3f} up, {c['labels']} labels | {c['kept']:.2f} | {c['saving']:.2f} | {held_out} | {c['trials']['violated']:.1%} |")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("rows", nargs="+", type=Path)
    options.add_argument("--resamples", default="1000")
    options.add_argument("--curves", type=Path, help="draw cost-quality curves into this folder")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    sets = [compare(file, ["--resamples", given.resamples]) for file in given.rows]
    if given.curves:
        given.curves.mkdir(parents=True, exist_ok=True)
        for file, measured in zip(given.rows, sets):
            draw(file, given.curves / f"cascade-{measured['set'].split('/')[-1]}.svg")
    print(json.dumps(sets, indent=1)) if given.json else table(sets)


if __name__ == "__main__":
    main()
