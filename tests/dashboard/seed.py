"""A team's days with coding agents, as the ledger's rows. Made up, and the same every time."""
import math
import random

# Model by tier, dollars for a million tokens: input, output, cache read, cache write.
MODELS = {
    "simple": ("local", "qwen2.5-coder:7b", 0, 0, 0, 0),
    "medium": ("openai", "gpt-5-mini", 0.25, 2.0, 0.025, 0.25),
    "complex": ("anthropic", "claude-sonnet-4-5", 3.0, 15.0, 0.3, 3.75),
    "reasoning": ("anthropic", "claude-opus-4-5", 5.0, 25.0, 0.5, 6.25),
}
SMALL = MODELS["medium"]
REASONS = {
    "simple": ["side request: title", "short question, no code", "looks something up"],
    "medium": ["one file, small edit", "everyday question about code", "tool result, goes on as before"],
    "complex": ["several files named", "rule payments: at least complex", "error came back, moved up"],
    "reasoning": ["asks for a root cause", "audit of a design", "proof asked for"],
}
CLIENTS = [("claude-code", 6), ("codex", 2), ("aider", 1), (None, 1)]
MILLION = 10**6


def price(model, usage):
    """In picodollars."""
    _, _, fresh, out, read, write = model
    return round((usage["input"] * fresh + usage["output"] * out + usage["cache_read"] * read + usage["cache_write"] * write) * MILLION)


def rows(now, hours=24, calls=1400, seed=7):
    """(calls, attempts) in the order of time; `now` in milliseconds."""
    chance = random.Random(seed)
    sessions = [f"{chance.getrandbits(64):016x}" for _ in range(max(6, calls // 25))]
    made, attempts = [], []
    span = hours * 3_600_000
    times = []
    while len(times) < calls:
        at = chance.random()
        # People sleep: busy around noon, quiet at night.
        hour = ((now - span * (1 - at)) / 3_600_000) % 24
        if chance.random() < 0.08 + 0.92 * max(0.0, math.sin((hour - 6) / 14 * math.pi)) if 6 <= hour <= 20 else chance.random() < 0.06:
            times.append(int(now - span * (1 - at)))
    for n, at in enumerate(sorted(times)):
        tier = chance.choices(list(MODELS) + ["direct"], [30, 28, 30, 9, 3])[0]
        plan = MODELS.get(tier, MODELS["complex"])
        outcome = chance.choices(["ok", "cancelled", "upstream_error", "refused", "cut"], [955, 22, 12, 8, 3])[0]
        usage = {"input": int(chance.lognormvariate(6.4, 0.9)), "output": int(chance.lognormvariate(5.6, 0.9)), "cache_read": 0, "cache_write": 0}
        if plan[0] == "anthropic" and chance.random() < 0.85:
            usage["cache_read"] = int(chance.lognormvariate(9.6, 0.7))
            usage["cache_write"] = int(chance.lognormvariate(7.0, 0.8))
        cache = "bypass" if tier != "simple" else chance.choices(["hit", "coalesced", "miss"], [16, 2, 82])[0]
        identity = f"{at:011x}-{seed:016x}-{n:x}"
        flagship = MODELS["complex"] if tier != "reasoning" else MODELS["reasoning"]
        baseline = price(flagship, usage)
        took = 300_000 + usage["output"] * (9_000 if plan[0] == "local" else 13_000)
        done, cascade, sure, why = [], None, None, None

        def attempt(model, role, part, ended="complete", status=None, share=1.0, us=took):
            used = {k: int(v * share) for k, v in usage.items()}
            done.append({
                "call_id": identity, "nth": len(done), "at": at, "role": role, "part": part, "provider": model[0], "model": model[1], "ended": ended,
                "status": status, "input": used["input"], "output": used["output"], "reasoning": 0, "cache_read": used["cache_read"], "cache_write": used["cache_write"],
                "cache_write_1h": 0, "estimated": 0, "reported": 0, "cost": price(model, used), "first_byte_us": int(us * 0.2), "total_us": int(us),
            })

        served = plan
        if outcome == "refused":
            usage = dict.fromkeys(usage, 0)
            baseline = 0
        elif outcome == "upstream_error":
            attempt(plan, "only", "failed", "status", chance.choice([500, 529, 429]), 0.0, 900_000)
        elif cache in ("hit", "coalesced"):
            took = 4_000
        elif tier == "complex" and usage["cache_read"] == 0 or (tier == "complex" and chance.random() < 0.3):
            sure = min(0.995, max(0.03, chance.betavariate(4.2, 1.3)))
            if sure >= 0.85:
                cascade, why, served = "accepted", "learned", SMALL
                attempt(SMALL, "small", "answer", us=took * 0.5)
            else:
                cascade, why = "deferred", chance.choice(["learned", "truncated", "refusal", "invalid_tool_arguments"])
                attempt(SMALL, "small", "rejected_draft", us=took * 0.4)
                attempt(plan, "big", "answer")
                took = int(took * 1.4)
        else:
            attempt(plan, "only", "answer" if outcome == "ok" else "cancelled", "complete" if outcome == "ok" else "cancelled")
        cost = sum(a["cost"] for a in done)
        known = outcome == "ok"
        if not known:
            baseline = cost
        saved = dict.fromkeys(["tier", "cascade", "prompt_cache", "provider_cache", "compression"], 0)
        extra = dict.fromkeys(["tier", "deferral", "shadow", "provider_cache"], 0)
        if known:
            planned = price(plan, usage)
            (saved if baseline >= planned else extra)["tier"] = abs(baseline - planned)
            if cache in ("hit", "coalesced"):
                saved["prompt_cache"] = planned
            elif planned >= cost:
                saved["cascade"] = planned - cost
            else:
                extra["deferral"] = cost - planned
        made.append({
            "id": identity, "kind": "call", "at": at, "request_id": f"req-{n:06d}", "tenant": chance.choice(["web", "infra", "data"]),
            "client": chance.choices([c for c, _ in CLIENTS], [w for _, w in CLIENTS])[0], "class": chance.choices(["main", "side", "sub-agent", "compaction"], [80, 12, 6, 2])[0],
            "session": sessions[min(len(sessions) - 1, n * len(sessions) // calls + chance.randrange(3))], "dialect": chance.choice(["messages", "chat_completions", "responses"]),
            "operation": "generate", "stream": int(chance.random() < 0.8), "requested_model": served[1] if tier == "direct" else chance.choice(["auto", "claude-sonnet-4-5"]),
            "tier": tier if outcome != "refused" else "none", "reason": chance.choice(REASONS[tier]) if tier in REASONS else None,
            "planned_provider": plan[0], "planned_model": plan[1], "provider": served[0] if outcome != "refused" else "", "model": served[1] if outcome != "refused" else "",
            "outcome": outcome, "status": {"ok": 200, "refused": 429, "upstream_error": 502}.get(outcome, 200), "cache": cache if outcome != "refused" else None,
            "affinity": chance.choices(["same", "kept", "escalated", "new", "deescalated"], [70, 12, 6, 10, 2])[0], "cascade": cascade, "cascade_reason": why,
            "confidence_ppm": sure and int(sure * MILLION), "threshold_ppm": cascade and 850_000, "holdout": None,
            "answer_input": usage["input"], "answer_output": usage["output"], "answer_reasoning": 0, "answer_cache_read": usage["cache_read"],
            "answer_cache_write": usage["cache_write"], "answer_cache_write_1h": 0,
            **{k: sum(a[k] for a in done) for k in ("input", "output", "reasoning", "cache_read", "cache_write")},
            "compressed": 0, "estimated": 0, "cost": cost, "priced": 1, "unpriced_tokens": 0, "baseline": baseline, "baseline_known": int(known),
            **{f"saved_{k}": v for k, v in saved.items()}, **{f"extra_{k}": v for k, v in extra.items()},
            "total_us": int(took), "first_byte_us": int(took * 0.2), "ask": None,
        })
        attempts += done
    return made, attempts


def fill(connection, now, **more):
    """Into the tables of a ledger in SQLite."""
    for table, some in zip(("calls", "attempts"), rows(now, **more)):
        columns = list(some[0])
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", [[row[c] for c in columns] for row in some])
    connection.commit()
