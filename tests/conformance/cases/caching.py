"""The provider's prompt cache, and what cached tokens cost."""
import json

from context import Skip, check
from registry import case

MARK = {"type": "ephemeral"}


def marks(value):
    """How many cache breakpoints stand in a body."""
    if isinstance(value, dict):
        return ("cache_control" in value) + sum(marks(v) for v in value.values())
    return sum(marks(v) for v in value) if isinstance(value, list) else 0


def breakpoints(value, path=()):
    """Where breakpoints stand, and which."""
    if isinstance(value, dict):
        if "cache_control" in value:
            yield path, json.dumps(value["cache_control"])
        value = value.items()
    elif isinstance(value, list):
        value = enumerate(value)
    else:
        return
    for key, inner in value:
        yield from breakpoints(inner, (*path, key))


def marked(count, mark=MARK):
    blocks = [{"type": "text", "text": f"Part {n} " * 50, **({"cache_control": mark} if n < count else {})} for n in range(6)]
    return {"system": [{"type": "text", "text": "Be brief.", "cache_control": mark}], "messages": [{"role": "user", "content": blocks}]}


@case(30, "`cache_control` reaches Anthropic where it stood, and cached tokens come back", formats="a")
def breakpoints_kept(t):
    asked = marked(1)
    answer = t.whole("messages", "text-cached-x", **asked)
    sent = t.sent()
    lost = set(breakpoints(asked)) - set(breakpoints(sent))
    check(not lost, f"lost or moved: {sorted(lost)}")
    check(answer["usage"].get("cache_read_input_tokens") == 64, f"usage is {answer['usage']}")


@case(31, "Never more than four breakpoints, and none beside the caller's own four", formats="a")
def at_most_four(t):
    t.whole("messages", **marked(3))
    check(marks(t.sent()) == 4, f"{marks(t.sent())} breakpoints")
    t.whole("messages", **{"messages": [{"role": "user", "content": [{"type": "text", "text": f"Part {n}"} for n in range(8)]}]})
    check(marks(t.sent()) <= 4, f"{marks(t.sent())} breakpoints where the caller set none")


@case(32, "A breakpoint with `ttl: 1h` is no error where the upstream has no such cache", formats="o")
def ttl_elsewhere(t):
    t.whole("messages", **marked(1, {"type": "ephemeral", "ttl": "1h"}))
    check(marks(t.sent()) == 0, "cache_control reaches a chat upstream")


@case(33, "A conversation stays with its model, so that its cached prompt is not thrown away")
def conversations_stay(t):
    if not t.target.routes or t.format != "a":
        raise Skip("it does not choose between models")
    t.need("messages")
    hard = "Prove that the scheduler cannot deadlock: find the root cause of the race across these services, step by step. " * 3
    turns = [{"role": "user", "content": hard}]
    models = []
    for reply in ("Thanks, go on", "ok", "and now?"):
        answer = t.post("/v1/messages", {"model": "auto", "max_tokens": 64, "messages": turns}, {**t.headers("messages"), "x-claude-code-session-id": "5f0c1c9a"})
        check(answer.status == 200, f"{answer.status}: {answer.text[:200]}")
        models.append(t.sent()["model"])
        turns += [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": reply}]
    check(len(set(models)) == 1, f"three turns of one conversation go to {models}")


@case(34, "Cached tokens are counted once: apart from the input in Messages, within it in chat")
def cached_counted_once(t):
    if "messages" in t.apis:
        messages = t.whole("messages", "text-cached-x", text="word " * 400)["usage"]
        check(messages.get("cache_read_input_tokens") == 64, f"messages: {messages}")
        upstream = len(t.script.last().raw) // 4
        check(abs(messages["input_tokens"] - upstream) <= max(40, upstream // 5), f"messages: {messages}, where the upstream counted {upstream} besides the cached")
    if "chat" in t.apis:
        chat = t.whole("chat", "text-cached-x", text="word " * 400)["usage"]
        check((chat.get("prompt_tokens_details") or {}).get("cached_tokens") == 64, f"chat: {chat}")
        upstream = len(t.script.last().raw) // 4
        check(abs(chat["prompt_tokens"] - 64 - upstream) <= max(40, upstream // 5), f"chat: {chat}, where the upstream counted {upstream} + 64 cached")
        check(chat["total_tokens"] == chat["prompt_tokens"] + chat["completion_tokens"], f"chat: {chat} does not add up")
