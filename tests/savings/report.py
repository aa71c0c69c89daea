#!/usr/bin/env python3
"""Replays a day through the gateway, once with each feature on and off, and writes docs/savings.md.

usage: TIERWAY_BIN=target/release/tierway tests/savings/report.py [--conversations 120] [--seed 1] [--write]

Needs aiohttp (tests/requirements.txt). Costs come from the gateway's own ledger; the intervals are 1,000 bootstrap draws over conversations.
"""
import argparse
import asyncio
import json
import math
import random
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/clients"), str(Path(__file__).parent)]
import aiohttp  # noqa: E402
from day import TIERS, Anthropic, Sizes, conversation, held_out, questions  # noqa: E402
from harness import Gateway  # noqa: E402

HAIKU, SONNET, OPUS, LOCAL = "a:claude-haiku-5-5", "a:claude-sonnet-5-5", "a:claude-opus-5-5", "l:local"
ALL_OPUS = dict.fromkeys(TIERS, OPUS)
TIERED = {"simple": HAIKU, "medium": SONNET, "complex": OPUS, "reasoning": OPUS}
NO_AFFINITY = "[affinity]\nenabled = false\n"

SIDE = '[rules.work]\nat_least = "medium"\nclasses = ["main", "sub-agent", "plan", "compaction"]\n'

# name, what it is, tiers, more of the configuration, and whether the provider caches
CASES = [
    ("flagship", "everything at Opus", ALL_OPUS, "", True),
    ("nocache", "the same, and nothing cached by the provider", ALL_OPUS, "", False),
    ("side", "only titles at Haiku, as Claude Code has it by itself", {**ALL_OPUS, "simple": HAIKU}, SIDE, True),
    ("tiers", "a tier for each call, conversations forgotten", TIERED, NO_AFFINITY, True),
    ("affinity", "a tier for each call, conversations keep their model", TIERED, "", True),
    ("local", "the same, with the simple tier at a free local model", {**TIERED, "simple": LOCAL}, "", True),
    ("sonnet", "the same, with Sonnet for the complex tier too", {**TIERED, "complex": SONNET}, "", True),
    ("one down", "Haiku for simple and medium, Sonnet for complex, Opus for reasoning", {"simple": HAIKU, "medium": HAIKU, "complex": SONNET, "reasoning": OPUS}, "", True),
    ("all sonnet", "everything at Sonnet", dict.fromkeys(TIERS, SONNET), "", True),
    ("all haiku", "everything at Haiku", dict.fromkeys(TIERS, HAIKU), "", True),
]


DRAFTS = f"[cascade]\nenabled = true\nsmall = '{HAIKU}'\ntiers = ['medium', 'complex']\nthreshold = 0.01\nstay_big = 0\nlogprobs = false\n"
NO_CACHE = "[cache]\nenabled = false\n"
# Questions without tools: name, what it is, tiers, configuration, the share of drafts that are fit to be kept
CHAT = [
    ("flagship", "everything at Opus", ALL_OPUS, NO_CACHE, None),
    ("cache", "the same, with the prompt cache", ALL_OPUS, "", None),
    ("tiers", "a tier for each question", TIERED, NO_CACHE, None),
    ("cascade 7", "the same, and Haiku drafts, of which 7 % can be kept", TIERED, NO_CACHE + DRAFTS, 0.07),
    ("cascade 37", "the same, and 37 % can be kept", TIERED, NO_CACHE + DRAFTS, 0.37),
    ("all", "the same, with the prompt cache", TIERED, DRAFTS, 0.37),
]


def chat(case, count, seed, sizes):
    name, _, tiers, extra, kept = case

    async def ask(url):
        gate = asyncio.Semaphore(16)
        async with aiohttp.ClientSession() as session:

            async def one(body):
                async with gate, session.post(url + "/v1/messages", json=body) as res:
                    text = await res.text()
                    assert res.status == 200, text[:500]

            bodies = list(questions(count, random.Random(seed), held_out(), sizes))
            # Those that come again come after.
            for start in range(0, count, 50):
                await asyncio.gather(*(one(body) for body in bodies[start : start + 25]))
                await asyncio.gather(*(one(body) for body in bodies[start + 25 : start + 50]))

    with tempfile.TemporaryDirectory() as state, Anthropic(sizes, kept=kept) as upstream:
        with Gateway(configuration(upstream.url, tiers, extra), XDG_STATE_HOME=state) as gateway:
            asyncio.run(ask(gateway.url))
            settle(gateway)
            with sqlite3.connect(f"{state}/tierway/ledger.db") as db:
                db.row_factory = sqlite3.Row
                rows = db.execute("select cost, cache, cascade, saved_tier, saved_cascade, saved_prompt_cache, extra_deferral from calls order by id").fetchall()
    sums = {k: sum(r[k] for r in rows) / 1e12 for k in ("cost", "saved_tier", "saved_cascade", "saved_prompt_cache", "extra_deferral")}
    return {"name": name, **sums, "hits": sum(r["cache"] == "hit" for r in rows), "kept": sum(r["cascade"] == "accepted" for r in rows),
            "deferred": sum(r["cascade"] == "deferred" for r in rows), "each": [r["cost"] for r in rows]}


def means(one, other, seed):
    """The share that is saved, with the interval of a bootstrap over questions, each side by itself."""
    chance = random.Random(seed)
    mean = lambda xs: sum(xs) / len(xs)
    draws = sorted(1 - mean(chance.choices(one["each"], k=len(one["each"]))) / mean(chance.choices(other["each"], k=len(other["each"]))) for _ in range(1000))
    return 1 - mean(one["each"]) / mean(other["each"]), draws[25], draws[975]


def chat_table(count, seed, sizes):
    results = [chat(case, count, seed, sizes) for case in CHAT]
    lines = ["| | cost | saved against Opus | by tier | by kept drafts | by the prompt cache | for drafts thrown away |", "|---|---|---|---|---|---|---|"]
    for case, r in zip(CHAT, results, strict=True):
        saved = "" if r is results[0] else span(means(r, results[0], seed))
        money = " | ".join(f"${r[k]:.2f}" if r[k] else "" for k in ("saved_tier", "saved_cascade", "saved_prompt_cache", "extra_deferral"))
        lines.append(f"| {case[1]} | ${r['cost']:.2f} | {saved} | {money} |")
    print(json.dumps([{k: v for k, v in r.items() if k != "each"} for r in results], indent=1))
    return "\n".join(lines)


def configuration(url, tiers, extra):
    bound = "\n".join(f'{tier} = "{target}"' for tier, target in tiers.items())
    return f"""
[providers.a]
kind = "anthropic-compatible"
base_url = "{url}"
api_key = "k"
[providers.l]
kind = "llamacpp"
base_url = "{url}"
[tiers]
{bound}
[savings]
baseline = "{OPUS}"
[log]
level = "warn"
{extra}
"""


def settle(gateway):
    """Until the ledger has every call."""
    for _ in range(600):
        if gateway.total("tierway_ledger_rows_total", outcome="written") >= gateway.total("tierway_requests_total"):
            break
        time.sleep(0.1)
    gateway.stop()


async def play(url, number, seed, asks, sizes, graded):
    """One conversation; returns its cost as (title, everything)."""
    calls = conversation(number, random.Random(f"{seed}/{number}"), asks, sizes)
    async with aiohttp.ClientSession() as session:
        answer = None
        while True:
            try:
                call = calls.send(answer)
            except StopIteration:
                return
            async with session.post(url + call.path, json=call.body, headers=call.headers) as res:
                text = await res.text()
                assert res.status == 200, text[:500]
                if call.ask:
                    graded.append((number, call.ask.tiers, res.headers["x-tierway-tier"], res.headers["x-tierway-model"]))
                answer = text


async def day(url, count, seed, sizes):
    asks, graded = held_out(), []
    gate = asyncio.Semaphore(16)

    async def one(number):
        async with gate:
            await play(url, number, seed, asks, sizes, graded)

    await asyncio.gather(*(one(number) for number in range(count)))
    return graded


def run(case, count, seed, sizes):
    name, _, tiers, extra, caches = case
    with tempfile.TemporaryDirectory() as state, Anthropic(sizes, caches) as upstream:
        with Gateway(configuration(upstream.url, tiers, extra), XDG_STATE_HOME=state) as gateway:
            graded = asyncio.run(day(gateway.url, count, seed, sizes))
            settle(gateway)
            with sqlite3.connect(f"{state}/tierway/ledger.db") as db:
                db.row_factory = sqlite3.Row
                rows = db.execute("select session, class, tier, model, provider, cost, baseline, input, cache_read, cache_write, output from calls order by id").fetchall()
    assert all(row["cost"] is not None for row in rows)
    costs, side = defaultdict(int), 0
    for row in rows:
        # A title is a call of its own, but belongs to the conversation that it names: the session tells.
        costs[row["session"]] += row["cost"]
        side += row["cost"] if row["class"] == "side" else 0
    tokens = {kind: sum(row[kind] for row in rows) for kind in ("input", "cache_read", "cache_write", "output")}
    by_model = defaultdict(int)
    for row in rows:
        by_model[row["model"]] += row["cost"]
    return {"name": name, "calls": len(rows), "costs": dict(costs), "total": sum(costs.values()) / 1e12, "graded": graded, "tokens": tokens,
            "side": side / 1e12, "by_model": {m: c / 1e12 for m, c in by_model.items()}}


def ratio(one, other, seed):
    """The share that `one` saves of `other`, with the interval of a bootstrap over conversations."""
    names = sorted(other["costs"])
    pairs = [(one["costs"].get(name, 0), other["costs"][name]) for name in names]
    saved = lambda some: 1 - sum(a for a, _ in some) / sum(b for _, b in some)
    chance = random.Random(seed)
    draws = sorted(saved(chance.choices(pairs, k=len(pairs))) for _ in range(1000))
    return saved(pairs), draws[25], draws[975]


def wilson(hits, n):
    z, p = 1.96, hits / n
    middle, margin = (p + z * z / (2 * n)) / (1 + z * z / n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return p, middle - margin, middle + margin


STRENGTH = {"local": -1, "claude-haiku-5-5": 0, "claude-sonnet-5-5": 1, "claude-opus-5-5": 2}
NEEDS = {"simple": 0, "medium": 1, "complex": 2, "reasoning": 2}


def suffices(model, tiers):
    """Whether the model is at least the one that the label's cheapest tier is bound to in the third line of the table."""
    return STRENGTH[model] >= min(NEEDS[tier] for tier in tiers)


def percent(x):
    return f"{x * 100:.1f} %"


def span(three):
    return f"{percent(three[0])} ({three[1] * 100:.1f} to {three[2] * 100:.1f})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=120)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write docs/savings.md")
    args = parser.parse_args()
    sizes = Sizes()
    results = [run(case, args.conversations, args.seed, sizes) for case in CASES]
    base = results[0]
    lines = ["| | cost of the day | saved against Opus | asks whose model suffices | input from the provider's cache |", "|---|---|---|---|---|"]
    for case, result in zip(CASES, results, strict=True):
        good = wilson(sum(suffices(model, tiers) for _, tiers, _, model in result["graded"]), len(result["graded"]))
        tokens = result["tokens"]
        read = tokens["cache_read"] / max(1, tokens["input"] + tokens["cache_read"] + tokens["cache_write"])
        saved = "" if result is base else span(ratio(result, base, args.seed))
        lines.append(f"| {case[1]} | ${result['total']:.2f} | {saved} | {span(good)} | {percent(read)} |")
    table = "\n".join(lines)
    facts = {"conversations": args.conversations, "calls": base["calls"], "asks": len(base["graded"]), "seed": args.seed, "input": sum(base["tokens"][k] for k in ("input", "cache_read", "cache_write")), "output": base["tokens"]["output"]}
    shares = defaultdict(int)
    for _, tiers, _, _ in base["graded"]:
        shares[tiers[0]] += 1
    by_model = {r["name"]: {m: round(c, 2) for m, c in sorted(r["by_model"].items())} for r in results}
    print(table)
    print(json.dumps({"facts": facts, "labels": shares, "by_model": by_model, "side": {r["name"]: round(r["side"], 4) for r in results}}, indent=1))
    talk = chat_table(args.questions, args.seed, sizes)
    print(talk)
    if args.write:
        page = ROOT / "docs/savings.md"
        text = page.read_text()
        before, rest = text.split("<!-- table -->")
        after = rest.split("<!-- /table -->")[1]
        mix = ", ".join(f"{shares[t] / facts['asks'] * 100:.0f} % {t}" for t in TIERS)
        note = (f"{facts['conversations']} conversations, {facts['asks']} asks ({mix}), {facts['calls']} calls, {facts['input'] / 1e6:.1f} million tokens of input and "
                f"{facts['output'] / 1e6:.2f} of output; seed {facts['seed']}; in brackets 95 % intervals.")
        text = f"{before}<!-- table -->\n{note}\n\n{table}\n<!-- /table -->{after}"
        before, rest = text.split("<!-- chat -->")
        after = rest.split("<!-- /chat -->")[1]
        page.write_text(f"{before}<!-- chat -->\n{args.questions} questions; seed {args.seed}; in brackets 95 % intervals.\n\n{talk}\n<!-- /chat -->{after}")


if __name__ == "__main__":
    main()
