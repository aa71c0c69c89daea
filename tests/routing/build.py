#!/usr/bin/env python3
"""Builds open.jsonl and held_out.jsonl from asks/*.txt, side.py and context.py. Same input, same files.

    build.py            writes both files
    build.py --verify   exits 1 if the files are not what would be written

An ask stands in asks/<group>.txt under a line `=== id | tiers | why | clients`; each client named there gets
a row of group `harness` whose `twin` is the bare row: the same ask, wrapped as that client wraps it.
One third of every group goes to held_out.jsonl; the twins go where their bare row goes.
"""

import json
import pathlib
import random
import sys

import context
import side
from shapes import CLIENTS

HERE = pathlib.Path(__file__).resolve().parent
GROUPS = ["trivial", "ordinary", "hard", "reasoning", "risk", "trap"]
SEED = 4


def row(key, group, tiers, why, path, headers, body, twin=None):
    out = {"id": key, "group": group}
    if twin:
        out["twin"] = twin
    return {**out, "path": path, "headers": headers, "request": body, "tiers": tiers, "why": why}


def asks(group):
    """The bare row and the wrapped rows of each ask of a group, as one list per ask."""
    text = (HERE / "asks" / f"{group}.txt").read_text(encoding="utf-8")
    for block in text.split("\n=== ")[0:]:
        head, ask = block.removeprefix("=== ").split("\n", 1)
        key, tiers, why, *clients = [part.strip() for part in head.split("|")]
        tiers, turns = [tier.strip() for tier in tiers.split(",")], [{"user": ask.rstrip("\n")}]
        rows = [row(key, group, tiers, why, *CLIENTS["bare"](key, turns))]
        for client in clients[0].split() if clients else []:
            twin = f"{key}-{client}"
            rows.append(row(twin, "harness", tiers, why, *CLIENTS[client](twin, turns), twin=key))
        yield rows


def build():
    """`(open, held_out)`, each a list of rows in the order of the groups."""
    units = {group: list(asks(group)) for group in GROUPS}
    units["side"] = [[row(key, "side", *rest)] for key, *rest in side.rows()]
    units["context"] = [[row(key, "context", *rest)] for key, *rest in context.rows()]
    parts = [], []
    for group, members in units.items():
        drawn = random.Random(f"{SEED}:{group}").sample(range(len(members)), round(len(members) / 3))
        for i, rows in enumerate(members):
            parts[i in drawn].extend(rows)
    return parts


def main():
    stale = False
    for name, rows in zip(("open.jsonl", "held_out.jsonl"), build()):
        text = "".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in rows)
        if "--verify" in sys.argv:
            stale |= (HERE / name).read_text(encoding="utf-8") != text
        else:
            (HERE / name).write_text(text, encoding="utf-8")
    if stale:
        sys.exit("open.jsonl or held_out.jsonl is not what build.py writes")


if __name__ == "__main__":
    main()
