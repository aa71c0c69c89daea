"""A team's day with a coding agent: which calls it makes, and an upstream that answers and bills them as Anthropic does.

The asks are the held-out third of `tests/routing`, labelled with the tiers that suffice, which nobody tuned anything on. Around each stands
the wire of Claude Code (`tests/fixtures/claude_code.jsonl`): its headers, system prompt and tools, the calls that it makes beside (a title
for each conversation), and the loop of tool calls and results that an ask sets going. How long those loops are, and how many tokens a
system prompt, a result and an answer have, is assumed (`Sizes`); the upstream bills these sizes, not the bytes of the short texts that
stand for them.
"""
import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from loopback import Loopback

ROOT = Path(__file__).resolve().parents[2]
TIERS = ["simple", "medium", "complex", "reasoning"]
# How long the provider remembers what it has cached, in seconds.
REMEMBERS = 300


@dataclass
class Sizes:
    """What is assumed, in tokens but for the counts."""

    system_and_tools: int = 21_000
    ask: int = 400
    # Median and spread (of the logarithm) of a tool's result, and of what the model says in a step and at the end.
    result: tuple = (900, 0.9)
    step: tuple = (220, 0.6)
    answer: tuple = (500, 0.6)
    # Steps with tools that an ask of each tier takes, on the mean.
    steps: dict = field(default_factory=lambda: {"simple": 1, "medium": 6, "complex": 14, "reasoning": 8})
    # Asks of a conversation, on the mean.
    asks: float = 4.0
    # Seconds between two calls of a loop, and between an answer and the next ask.
    pace: float = 12.0
    think: float = 150.0
    # The side request that titles a conversation.
    side: tuple = (600, 30)


@dataclass
class Ask:
    """What a user wants, and the tiers that suffice for it."""

    text: str
    tiers: list


def held_out():
    """The held-out asks that a user would type, without their twins in other wrappings."""
    asks = []
    for line in (ROOT / "tests/routing/held_out.jsonl").read_text().splitlines():
        row = json.loads(line)
        messages = row["request"].get("messages") or []
        if row["group"] in ("harness", "side", "context") or len(messages) != 1:
            continue
        content = messages[0]["content"]
        text = content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
        asks.append(Ask(text, row["tiers"]))
    return asks


def claude_code():
    """A captured call of Claude Code's main loop, and one for a title."""
    calls = [json.loads(line) for line in (ROOT / "tests/fixtures/claude_code.jsonl").read_text().splitlines()]
    main = max(calls, key=lambda call: len(call["body"].get("tools") or []))
    title = next(call for call in calls if call["body"].get("system") and not call["body"].get("tools"))
    return main, title


def size(n):
    """How the upstream is told a text's size."""
    return f"\n<!--{n}-->"


def lognormal(chance, median, spread):
    return max(1, round(median * chance.lognormvariate(0, spread)))


@dataclass
class Call:
    path: str
    headers: dict
    body: dict
    # The ask that it is the first call of.
    ask: Ask | None = None


def conversation(number, chance, asks, sizes):
    """The calls of one conversation, as a generator: it is sent the answer of each."""
    main, title = claude_code()
    headers = {**main["headers"], "x-claude-code-session-id": f"00000000-0000-4000-8000-{number:012d}"}
    clock = 0.0

    def call(shape, messages, ask=None):
        body = {**shape["body"], "messages": messages, "model": "auto", "stream": False}
        body["metadata"] = {"user_id": json.dumps({"clock": clock})}
        return Call(shape["path"], {**headers, **{k: v for k, v in shape["headers"].items() if "session" not in k}}, body, ask)

    count = max(1, round(chance.expovariate(1 / sizes.asks)))
    chosen = [chance.choice(asks) for _ in range(count)]
    given, out = sizes.side
    first = [{"role": "user", "content": [{"type": "text", "text": chosen[0].text + size(given)}]}]
    yield call({**title, "body": {**title["body"], "max_tokens": out}}, first)
    messages = []
    for ask in chosen:
        text = {"type": "text", "text": ask.text + size(sizes.ask)}
        messages = [*messages, {"role": "user", "content": [text]}]
        steps = max(0, round(chance.expovariate(1 / sizes.steps[ask.tiers[0]])))
        for step in range(steps + 1):
            answer = yield call(main, messages, ask if step == 0 else None)
            clock += sizes.pace
            said = lognormal(chance, *(sizes.step if step < steps else sizes.answer))
            if step == steps:
                messages = [*messages, {"role": "assistant", "content": [{"type": "text", "text": "Done." + size(said)}]}]
                break
            use = {"type": "tool_use", "id": f"toolu_{number}_{len(messages)}", "name": "Bash", "input": {"command": f"step {step}"}}
            result = {"type": "tool_result", "tool_use_id": use["id"], "content": f"ok {step}" + size(lognormal(chance, *sizes.result))}
            messages = [*messages, {"role": "assistant", "content": [{"type": "text", "text": "Next." + size(said)}, use]}, {"role": "user", "content": [result]}]
        clock += chance.expovariate(1 / sizes.think)


def questions(count, chance, asks, sizes, again=0.05):
    """Questions without tools, each a conversation by itself; some are asked again, word for word."""
    said = []
    for number in range(count):
        if said and chance.random() < again:
            text = chance.choice(said[-50:])
        else:
            text = f"{chance.choice(asks).text}\n({number})" + size(lognormal(chance, sizes.ask, 0.9))
            said.append(text)
        yield {"model": "auto", "max_tokens": 2000, "temperature": 0, "messages": [{"role": "user", "content": text}]}


def told(part):
    """The size that a text says it has."""
    text = part if isinstance(part, str) else json.dumps(part)
    return sum(int(piece.split("-->")[0]) for piece in text.split("<!--")[1:] if piece.split("-->")[0].isdigit())


class Anthropic(Loopback):
    """Answers with the next step of the script, bills the sizes, and remembers prefixes for five minutes of the script's own clock."""

    def __init__(self, sizes, caches=True, kept=None):
        super().__init__()
        self.sizes, self.caches, self.kept = sizes, caches, kept
        self.seen = {}
        self.calls = 0

    def routes(self):
        return [web.post("/v1/chat/completions", self.completions), web.post("/v1/messages", self.messages)]

    def usage(self, body):
        """Input, read from the cache, written to it."""
        if not body.get("tools"):
            return sum(told(m["content"]) for m in body["messages"]), 0, 0
        clock = json.loads(body["metadata"]["user_id"])["clock"] if "metadata" in body else 0.0
        so_far, cached, total = hashlib.sha256(body["model"].encode()), 0, self.sizes.system_and_tools
        prefixes = [(so_far.digest(), total)]
        for message in body["messages"]:
            so_far.update(json.dumps(message["content"], sort_keys=True).encode())
            total += told(message["content"])
            prefixes.append((so_far.digest(), total))
        for name, upto in prefixes:
            at = self.seen.get(name)
            if at is not None and clock - at <= REMEMBERS:
                cached = upto
        for name, _ in prefixes:
            self.seen[name] = clock
        if not self.caches:
            return total, 0, 0
        return 0, cached, total - cached

    def draft_is_kept(self, body):
        """A small model's draft is fit to be kept for this share of the questions, always for the same; else it is empty."""
        drawn = hashlib.sha256(json.dumps(body["messages"][-1]["content"]).encode()).digest()
        return int.from_bytes(drawn[:4], "big") / 2**32 < self.kept

    async def messages(self, request):
        body = await request.json()
        if "messages" not in body:
            return web.json_response({"type": "error", "error": {"type": "invalid_request_error", "message": "messages: Field required"}}, status=400)
        self.calls += 1
        given, read, written = self.usage(body)
        out = min(body["max_tokens"], lognormal(random.Random(f"{len(body['messages'])}{json.dumps(body['messages'][-1])}"), *self.sizes.step))
        usage = {"input_tokens": given, "output_tokens": out, "cache_read_input_tokens": read, "cache_creation_input_tokens": written}
        text = "Done, as you asked."
        if self.kept is not None and "haiku" in body["model"] and not self.draft_is_kept(body):
            text = ""
        return web.json_response({"id": f"msg_{self.calls}", "type": "message", "role": "assistant", "model": body["model"], "content": [{"type": "text", "text": text}],
                                  "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})

    async def completions(self, request):
        body = await request.json()
        self.calls += 1
        given = sum(told(m.get("content") or "") for m in body["messages"]) + (self.sizes.system_and_tools if body.get("tools") else 0)
        usage = {"prompt_tokens": given, "completion_tokens": 200, "total_tokens": given + 200}
        text = "Done, as you asked."
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return web.json_response({"id": f"c{self.calls}", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice], "usage": usage})
