#!/usr/bin/env python3
"""Compacts a JSON price list into services/prices.tsv.

usage: tests/tools/prices.py model-prices.json 2026-11 > services/prices.tsv

The JSON holds {"models": {name: {"input": USD per million tokens, "output": ..., ...}}}. The same input gives the same output, byte for
byte. A model that costs nothing at all is left out: zero stands for "unknown" in the source as often as for "free", and which
providers are free is said in the configuration.
"""
import json
import sys
from decimal import Decimal

COLUMNS = ["input", "output", "cache_read", "cache_write", "cache_write_1h", "input_above_200k", "output_above_200k", "context", "max_output"]
HEAD = """\
# Prices of models in US dollars per million tokens, as of {date}.
# Source: the price list of the LiteLLM project (https://github.com/BerriAI/litellm), used under the MIT licence,
# Copyright (c) 2023 Berri AI. Written by tests/tools/prices.py; do not edit by hand.
# model\t{columns}
"""


def number(value):
    if value is None:
        return ""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def main(path, date):
    with open(path, encoding="utf-8") as source:
        models = json.load(source)["models"]
    sys.stdout.write(HEAD.format(date=date, columns="\t".join(COLUMNS)))
    # Sorted by bytes, as the reader's binary search expects.
    for name in sorted(models, key=lambda n: n.encode()):
        model = models[name]
        if not model["input"] and not model.get("output"):
            continue
        assert not set("\t\n#") & set(name), name
        cells = [number(model.get(column)) for column in COLUMNS]
        sys.stdout.write("\t".join([name, *cells]).rstrip("\t") + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
