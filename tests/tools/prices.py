#!/usr/bin/env python3
"""Compacts a JSON price list into services/prices.tsv.

usage: tests/tools/prices.py model-prices.json 2026-11 > services/prices.tsv
       tests/tools/prices.py --more model_prices_and_context_window.json > services/prices.tsv

The JSON holds {"models": {name: {"input": USD per million tokens, "output": ..., ...}}}. The same input gives the same output, byte for
byte. A model that costs nothing at all is left out: zero stands for "unknown" in the source as often as for "free", and which
providers are free is said in the configuration.

With --more it adds the columns of special prices (MORE) to the list that is there, from LiteLLM's own file, for the models whose usual
prices are the same in both.
"""
import json
import sys
from decimal import Decimal

COLUMNS = ["input", "output", "cache_read", "cache_write", "cache_write_1h", "input_above_200k", "output_above_200k", "context", "max_output"]
MORE = {
    "input_above_272k": "input_cost_per_token_above_272k_tokens",
    "output_above_272k": "output_cost_per_token_above_272k_tokens",
    "input_audio": "input_cost_per_audio_token",
    "output_audio": "output_cost_per_audio_token",
    "input_image": "input_cost_per_image_token",
    "output_image": "output_cost_per_image_token",
    "output_reasoning": "output_cost_per_reasoning_token",
    "input_batch": "input_cost_per_token_batches",
    "output_batch": "output_cost_per_token_batches",
    "input_flex": "input_cost_per_token_flex",
    "output_flex": "output_cost_per_token_flex",
    "input_priority": "input_cost_per_token_priority",
    "output_priority": "output_cost_per_token_priority",
}
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


def per_million(cost):
    return None if cost is None else Decimal(repr(cost)) * 1_000_000


def plain(value):
    if value is None:
        return ""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def more(path):
    with open(path, encoding="utf-8") as source:
        models = json.load(source)
    models.update({name.lower(): model for name, model in models.items()})
    with open("services/prices.tsv", encoding="utf-8") as source:
        for line in source.read().splitlines():
            if line.startswith("# model\t"):
                line = "\t".join(["# model", *COLUMNS, *MORE])
            elif not line.startswith("#"):
                cells = (line.split("\t") + [""] * len(COLUMNS))[: len(COLUMNS) + 1]
                model = models.get(cells[0], {})
                usual = [plain(per_million(model.get(key))) for key in ("input_cost_per_token", "output_cost_per_token")]
                if [Decimal(x or 0) for x in usual] == [Decimal(x or 0) for x in cells[1:3]]:
                    cells += [plain(per_million(model.get(key))) for key in MORE.values()]
                line = "\t".join(cells).rstrip("\t")
            print(line)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--more"] and len(sys.argv) == 3:
        sys.exit(more(sys.argv[2]))
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
