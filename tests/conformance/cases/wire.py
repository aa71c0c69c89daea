"""What Claude Code and the SDKs need of the wire: the grammar of streams, fields and headers that nobody has heard of yet."""
import http.client
import json
import time
from pathlib import Path

from context import PATHS, TOOL, calls_of, check, text_of
from registry import case
from script import error

RECORDED = Path(__file__).resolve().parents[3] / "services/translate/fixtures/requests/messages"
GREETING = "Hello from the scripted upstream."
RUN = "I will run a command."
THOUGHT = "Let me think about it."


@case(1, "Blocks of a stream open, fill and close in order, one at a time")
def blocks_in_order(t):
    for api in t.apis:
        t.stream(api, "think-parallel-x", tools=True)


@case(2, "No text is lost where thinking ends and text or a tool call begins")
def nothing_lost_between_blocks(t):
    for api in t.apis:
        for model, tools, text, calls in (("think-x", False, GREETING, 0), ("think-tool-x", True, RUN, 1), ("tool-x", True, RUN, 1), ("think-parallel-x", True, RUN, 2)):
            events = t.stream(api, model, tools=tools)
            check(text_of(api, events) == text, f"{api} {model}: text is {text_of(api, events)!r}")
            check(len(calls_of(api, events)) == calls, f"{api} {model}: {len(calls_of(api, events))} calls, not {calls}")


@case(3, "Every event has all fields that clients read, `message_stop` too", formats="aol")
def every_event_is_whole(t):
    for api in t.apis:
        if t.format != "l":
            t.stream(api, "think-parallel-x", tools=True, exact=True)
        events = t.stream(api, exact=True)
        if api == "messages":
            usage = events[0][1]["message"]["usage"]
            check(usage["input_tokens"] + (usage.get("cache_read_input_tokens") or 0) > 0, "message_start.usage is zero")
            check(events[-1][1]["type"] == "message_stop", "it does not end in message_stop")


@case(4, "Usage: an estimate in `message_start`, the upstream's own figures at the end")
def usage_at_both_ends(t):
    events = [e for _, e in t.stream("messages", "text-cached-x", text="word " * 400)]
    start, end = events[0]["message"]["usage"], next(e for e in events if e["type"] == "message_delta")["usage"]
    check(start["input_tokens"] + (start.get("cache_read_input_tokens") or 0) > 100, f"message_start says {start}")
    check(end["output_tokens"] == len(GREETING) // 4, f"message_delta says {end}, the upstream {len(GREETING) // 4} output tokens")
    if t.format == "o":
        check(end.get("cache_read_input_tokens") == 64, f"64 cached tokens are lost: {end}")


@case(5, "A recorded Claude Code turn goes through, whole transcript and tools")
def claude_code_transcript(t):
    t.need("messages")
    for name in ("claude-code-tool-round", "claude-code-subagent", "claude-code-title"):
        body = json.loads((RECORDED / f"{name}.json").read_text())
        body |= {"model": t.target.model(t.format, "text-x"), "stream": True}
        answer = t.post("/v1/messages?beta=true", body, {**t.headers("messages"), "anthropic-beta": "claude-code-20250219,context-management-2025-06-27"})
        check(answer.status == 200, f"{name}: {answer.status}: {answer.text[:300]}")
        check("message_stop" in answer.text, f"{name}: no message_stop")


@case(6, "Unknown fields and betas: kept byte for byte for Anthropic, taken out for others")
def unknown_fields(t):
    more = {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}, "output_config": {"effort": "medium"}}
    answer = t.ask("messages", headers={"anthropic-beta": "effort-2025-11-24,made-up-2099-01-01"}, **more)
    check(answer.status == 200, f"{answer.status}: {answer.text[:300]}")
    if t.format == "a":
        sent = t.script.last()
        check(all(sent.body.get(k) == v for k, v in more.items()), f"fields are lost: {sorted(sent.body)}")
        check("effort-2025-11-24" in sent.headers.get("anthropic-beta", ""), "anthropic-beta is lost")
        mine = t.body("messages", "text-x", **more)
        check(json.dumps({**sent.body, "model": 0}) == json.dumps({**mine, "model": 0}), "the body is not as it was, byte for byte")


@case(7, "Tools of types and names that the gateway does not know pass")
def unknown_tools(t):
    named = {**TOOL["messages"], "name": "mcp__ide__getDiagnostics"}
    answer = t.ask("messages", "text-x", tools=[named])
    check(answer.status == 200, f"an `mcp__ide__` tool: {answer.status}: {answer.text[:200]}")
    if t.format == "a":
        typed = {"type": "_ide_20990101", "name": "_ide", "whatever": {"deep": [1.0]}}
        answer = t.ask("messages", "text-x", tools=[typed])
        check(answer.status == 200, f"an unknown type: {answer.status}: {answer.text[:200]}")
        check(t.sent()["tools"] == [typed], f"the tool arrives as {t.sent().get('tools')}")


@case(8, "`tool_choice` without `tools` is no error upstream")
def choice_without_tools(t):
    if t.format == "o":
        t.whole("messages", tool_choice={"type": "auto"})
    else:
        t.whole("chat", tool_choice="auto")


@case(9, "The gateway contract: first event at once, 529 `overloaded_error`, refusals in Anthropic's shape, foreign headers allowed")
def gateway_contract(t):
    t.need("messages")
    began = time.monotonic()
    body = t.body("messages", "text-slow-x", stream=True)
    headers = {**t.headers("messages"), "x-app": "cli", "x-stainless-lang": "js", "x-claude-code-session-id": "0", "user-agent": "claude-cli/2.1.330 (external, cli)"}
    connection, response = t.open("/v1/messages?beta=true", body, headers)
    try:
        check(response.status == 200, f"status {response.status}")
        response.read1(1)
        first = time.monotonic() - began
        response.read()
        rest = time.monotonic() - began - first
    finally:
        connection.close()
    check(rest > 0.5, f"the stream is held back: the first byte after {first:.1f} s, the last {rest:.1f} s later")
    t.script.custom["raw-e529-x"] = error(529, "overloaded_error", "Overloaded")
    answer = t.ask("messages", "raw-e529-x")
    check(answer.status == 529, f"an upstream's 529 becomes {answer.status}")
    check(answer.json.get("type") == "error" and answer.json["error"]["type"] == "overloaded_error", f"529 says {answer.text[:200]}")
    answer = t.post("/v1/messages", {**t.body("messages", "text-x"), "model": "nobody/has-this-model"}, t.headers("messages"))
    if answer.status != 200:
        check(400 <= answer.status < 500, f"an unknown model: {answer.status}")
        check(answer.json.get("type") == "error" and isinstance(answer.json["error"].get("message"), str), f"not Anthropic's shape: {answer.text[:200]}")


@case(20, "Streams work at all, in each API, and twice on one connection", formats="aol")
def streams_work(t):
    for api in t.apis:
        events = t.stream(api)
        check(text_of(api, events).strip(), f"{api}: a stream without text")
    if t.format == "l":
        return
    api = "chat" if "chat" in t.apis else "messages"
    path = PATHS[api]
    body = json.dumps(t.body(api, "text-x", stream=True))
    connection, response = t.open(path, body.encode(), t.headers(api))
    try:
        first = response.read()
        connection.request("POST", path, body, t.headers(api))
        second = connection.getresponse().read()
        check(first and second, "the second stream on a connection is empty")
    except http.client.HTTPException as error:
        raise AssertionError(f"the second stream on a connection: {error!r}") from None
    finally:
        connection.close()


@case(19, "Responses: the stream ends in its terminal event, and no id is longer than 64 characters")
def responses_end(t):
    t.need("responses")
    if t.format == "o":
        t.script.custom["raw-long-id-x"] = _long_id
        t.stream("responses", "raw-long-id-x", exact=True)
    for model, tools in (("text-x", False), ("tool-x", True), ("think-x", False)):
        events = t.stream("responses", model, tools=tools, exact=True)
        check(events[-1][0] == "response.completed", f"{model}: it ends in {events[-1][0]}")


def _long_id(handler, path, body):
    base = {"id": "chatcmpl-" + "x" * 200, "object": "chat.completion.chunk", "created": 1, "model": "m"}
    handler.said = "text"
    handler.begin_stream()
    handler.event({**base, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None}]})
    handler.event({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    handler.event({**base, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}})
    handler.event("[DONE]")
    handler.end_stream()
