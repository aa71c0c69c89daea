"""One question in the three dialects, and what is to be read from their answers, whole and streamed."""
import json

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}


def body(dialect, request, model, stream):
    """The chat request of a row as a body of the dialect."""
    shared = {"model": model, "stream": stream}
    functions = [tool["function"] for tool in request.get("tools", [])]
    if dialect == "chat":
        return {**request, **shared}
    if dialect == "messages":
        named = [{"name": f["name"], "description": f.get("description", ""), "input_schema": f["parameters"]} for f in functions]
        return {**shared, "messages": request["messages"], "max_tokens": 4096, **({"tools": named} if named else {})}
    items = [{"type": "message", "role": m["role"], "content": [{"type": "input_text", "text": m["content"]}]} for m in request["messages"]]
    named = [{"type": "function", "name": f["name"], "description": f.get("description", ""), "parameters": f["parameters"]} for f in functions]
    return {**shared, "input": items, "store": False, **({"tools": named} if named else {})}


def events(raw):
    """The data of the server-sent events in `raw`."""
    for line in raw.decode().split("\n"):
        if line.startswith("data: {"):
            yield json.loads(line[6:])


def whole(dialect, raw):
    """Text and calls [(name, arguments)] of a whole answer."""
    answer = json.loads(raw)
    if dialect == "chat":
        message = answer["choices"][0]["message"]
        calls = [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message.get("tool_calls") or []]
        return message.get("content") or "", calls
    if dialect == "messages":
        blocks = answer["content"]
        return "".join(b["text"] for b in blocks if b["type"] == "text"), [(b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
    items = answer["output"]
    text = "".join(part["text"] for item in items if item["type"] == "message" for part in item["content"])
    return text, [(item["name"], json.loads(item["arguments"])) for item in items if item["type"] == "function_call"]


def streamed(dialect, raw):
    """The same of a stream, which must have its end."""
    text, calls, ended = "", {}, False
    for event in events(raw):
        kind = event.get("type")
        assert kind not in ("error", "response.failed") and "error" not in event, event
        if dialect == "chat":
            for choice in event["choices"]:
                text += choice["delta"].get("content") or ""
                for call in choice["delta"].get("tool_calls") or []:
                    known = calls.setdefault(call["index"], ["", ""])
                    known[0] += call["function"].get("name") or ""
                    known[1] += call["function"].get("arguments") or ""
                ended = ended or choice.get("finish_reason") is not None
        elif kind == "content_block_start" and event["content_block"]["type"] == "tool_use":
            calls[event["index"]] = [event["content_block"]["name"], ""]
        elif kind == "content_block_delta":
            text += event["delta"].get("text", "")
            if event["delta"]["type"] == "input_json_delta":
                calls[event["index"]][1] += event["delta"]["partial_json"]
        elif kind == "response.output_text.delta":
            text += event["delta"]
        elif kind == "response.output_item.done" and event["item"]["type"] == "function_call":
            calls[event["output_index"]] = [event["item"]["name"], event["item"]["arguments"]]
        ended = ended or kind in ("message_stop", "response.completed")
    assert ended, raw[-300:]
    return text, [(name, json.loads(arguments or "{}")) for name, arguments in calls.values()]
