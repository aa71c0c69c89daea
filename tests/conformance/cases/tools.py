"""Tool calls, however the upstream cuts or shapes them."""
import json

from context import TOOL, Skip, calls_of, check
from registry import case
from script import chat_tool_call

PARIS = {"city": "Paris"}


@case(22, "Tool arguments arrive whole, however the bytes are cut")
def arguments_cut_anywhere(t):
    for api in t.apis:
        calls = calls_of(api, t.stream(api, "tool-tiny-x", tools=True))
        check(len(calls) == 1, f"{api}: {len(calls)} calls")
        check(json.loads(calls[0][1]) == PARIS, f"{api}: {calls[0][1]!r}")


@case(23, "A call that comes in one chunk keeps its arguments, and calls keep apart", formats="o")
def one_chunk(t):
    t.script.custom["raw-onechunk-x"] = chat_tool_call('{"city":"Paris"}')
    for api in t.apis:
        calls = calls_of(api, t.stream(api, "raw-onechunk-x", tools=True))
        check([(n, json.loads(a or "null")) for n, a in calls] == [("get_weather", PARIS)], f"{api}: {calls}")
        calls = calls_of(api, t.stream(api, "parallel-x", tools=True))
        check(len(calls) == 2 and all(json.loads(a) == PARIS for _, a in calls), f"{api}: {calls}")


@case(24, "A call without arguments has an empty object as its input", formats="o")
def no_arguments(t):
    t.script.custom["raw-noargs-x"] = chat_tool_call("")
    answer = t.whole("messages", "raw-noargs-x", tools=True)
    block = next((b for b in answer["content"] if b["type"] == "tool_use"), None)
    check(block is not None, f"no call: {json.dumps(answer)[:200]}")
    check(block["input"] == {}, f"whole: input is {block['input']!r}")
    calls = calls_of("messages", t.stream("messages", "raw-noargs-x", tools=True))
    check(len(calls) == 1 and calls[0][1] in ("", "{}"), f"stream: {calls}")


@case(25, "Codex: custom tools, the `additional_tools` item and `previous_response_id: null` are understood")
def codex_shapes(t):
    t.need("responses")
    custom = {"type": "custom", "name": "apply_patch", "description": "Patches files", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}}
    answer = t.ask("responses", "text-x", tools=[custom, TOOL["responses"]], previous_response_id=None, store=False)
    check(answer.status == 200, f"a custom tool: {answer.status}: {answer.text[:200]}")
    additional = {"type": "additional_tools", "role": "developer", "tools": [{"type": "namespace", "name": "functions", "description": "", "tools": [TOOL["responses"]]}]}
    history = [
        additional,
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Patch it"}]},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "apply_patch", "input": "*** Begin Patch", "status": "completed"},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "done"}]},
    ]
    answer = t.ask("responses", "text-x", **{"input": history, "store": False, "previous_response_id": None})
    check(answer.status == 200, f"its history: {answer.status}: {answer.text[:300]}")
    check("get_weather" in json.dumps(t.sent().get("tools", [])), "tools of the `additional_tools` item are dropped")


@case(26, "A Responses body posted to /chat/completions (Cursor) is answered")
def responses_body_on_chat(t):
    t.need("chat")
    body = {"model": t.target.model(t.format, "text-x"), "input": [{"role": "user", "content": "Say hello"}], "stream": False}
    answer = t.post("/v1/chat/completions", body, t.headers("chat"))
    check(answer.status == 200, f"{answer.status}: {answer.text[:200]}")
    check("Hello" in answer.text, f"no text: {answer.text[:200]}")
