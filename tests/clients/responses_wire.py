"""How the scripted upstream speaks OpenAI's Responses: what a request offers, and a plan as the events of its answer."""
from plan import Tool, identifier, now, words

# What a tool that takes free text looks like to a plan.
FREE_TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def refused(body):
    """Why OpenAI's own server would refuse this request, if it would."""
    called = set()
    for item in body.get("input") if isinstance(body.get("input"), list) else []:
        kind = item.get("type", "message")
        if kind.endswith("_call"):
            called.add(item.get("call_id"))
        if kind == "message" and item.get("role") not in ("user", "assistant", "system", "developer"):
            return f"Invalid value: {item.get('role')!r} as the role of a message"
        if kind.endswith("_output") and not item.get("call_id"):
            return "Missing required parameter: 'call_id'"
        if kind.endswith("_output") and item["call_id"] not in called and not body.get("previous_response_id"):
            return f"No tool call found for function call output with call_id {item['call_id']}."
    if "messages" in body:
        return "Unsupported parameter: 'messages'. Use 'input' instead"
    return None


def offered(body):
    """The tools on offer, and of each its namespace and whether it takes free text."""
    tools, known = [], {}

    def add(tool, namespace=None):
        kind = tool.get("type")
        if kind == "namespace":
            for inner in tool.get("tools") or []:
                add(inner, tool["name"])
        elif kind in ("function", "custom"):
            tools.append(Tool(tool["name"], FREE_TEXT if kind == "custom" else tool.get("parameters") or {}))
            known[tool["name"]] = (namespace, kind == "custom")

    items = body.get("input") if isinstance(body.get("input"), list) else []
    added = [t for item in items if item.get("type") == "additional_tools" for t in item.get("tools") or []]
    for tool in [*(body.get("tools") or []), *added]:
        add(tool)
    return tools, known


def answered(body):
    """Whether the newest turn brings the result of a call."""
    for item in reversed(body.get("input") if isinstance(body.get("input"), list) else []):
        kind = str(item.get("type", "message"))
        if kind.endswith("_output"):
            return True
        if kind.endswith("_call") or item.get("role") == "assistant":
            return False
    return False


def parts(plan, known):
    """The items of an answer, each with the events inside it and itself when it is complete."""
    if plan.thinking:
        summary = {"type": "summary_text", "text": plan.thinking}
        item = {"id": identifier("rs_"), "type": "reasoning", "summary": []}
        name, index = "response.reasoning_summary_text", {"summary_index": 0}
        inside = [("response.reasoning_summary_part.added", {**index, "part": {**summary, "text": ""}})]
        inside += [(f"{name}.delta", {**index, "delta": w}) for w in words(plan.thinking)]
        inside += [(f"{name}.done", {**index, "text": plan.thinking}), ("response.reasoning_summary_part.done", {**index, "part": summary})]
        yield item, inside, {**item, "summary": [summary], "encrypted_content": "c2NyaXB0ZWQ="}
    if plan.text or not plan.calls:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": plan.text}
        item = {"id": identifier("msg_"), "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        index = {"content_index": 0}
        inside = [("response.content_part.added", {**index, "part": {**part, "text": ""}})]
        inside += [("response.output_text.delta", {**index, "delta": w, "logprobs": []}) for w in words(plan.text)]
        inside += [("response.output_text.done", {**index, "text": plan.text, "logprobs": []}), ("response.content_part.done", {**index, "part": part})]
        yield item, inside, {**item, "status": "completed", "content": [part]}
    for call in plan.calls:
        namespace, custom = known.get(call.name, (None, False))
        given, name = (call.input().get("input", call.arguments), "input") if custom else (call.arguments, "arguments")
        kind = "custom_tool_call" if custom else "function_call"
        item = {"id": identifier("ctc_" if custom else "fc_"), "type": kind, "status": "in_progress", "call_id": "call_" + call.id, "name": call.name, name: ""}
        if namespace:
            item["namespace"] = namespace
        event = "response.custom_tool_call_input" if custom else "response.function_call_arguments"
        inside = [(f"{event}.delta", {"delta": given[i:i + 7]}) for i in range(0, len(given), 7)] + [(f"{event}.done", {name: given})]
        yield item, inside, {**item, "status": "completed", name: given}


def events(plan, known, body):
    """The events of an answer; the last one tells it whole."""
    usage = {
        "input_tokens": plan.input + plan.cached, "input_tokens_details": {"cached_tokens": plan.cached, "cache_write_tokens": 0},
        "output_tokens": plan.output, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": plan.input + plan.cached + plan.output,
    }
    head = {
        "id": identifier("resp_"), "object": "response", "created_at": now(), "status": "in_progress", "background": False, "error": None,
        "incomplete_details": None, "instructions": body.get("instructions"), "model": plan.model, "output": [], "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"), "store": body.get("store", True), "temperature": 1.0, "top_p": 1.0,
        "text": {"format": {"type": "text"}}, "tool_choice": body.get("tool_choice", "auto"), "tools": body.get("tools") or [],
        "truncation": "disabled", "usage": None, "metadata": {},
    }
    told, output = [("response.created", {"response": head}), ("response.in_progress", {"response": head})], []
    for index, (begun, inside, complete) in enumerate(parts(plan, known)):
        told.append(("response.output_item.added", {"output_index": index, "item": begun}))
        told += [(name, {"item_id": begun["id"], "output_index": index, **fields}) for name, fields in inside]
        told.append(("response.output_item.done", {"output_index": index, "item": complete}))
        output.append(complete)
    status = "incomplete" if plan.truncated else "completed"
    details = {"reason": "max_output_tokens"} if plan.truncated else None
    told.append((f"response.{status}", {"response": {**head, "status": status, "incomplete_details": details, "output": output, "usage": usage}}))
    return [{"type": name, "sequence_number": n, **fields} for n, (name, fields) in enumerate(told)]


def failure():
    """The event that ends a stream in error."""
    response = {"id": identifier("resp_"), "object": "response", "status": "failed", "output": [], "error": {"code": "server_error", "message": "scripted failure"}}
    return {"type": "response.failed", "sequence_number": 99, "response": response}


def wanted(body):
    """The schema that the answer must have, if any."""
    form = (body.get("text") or {}).get("format") or {}
    return {"json_schema": form.get("schema"), "json_object": {}}.get(form.get("type"))

