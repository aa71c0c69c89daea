"""How the scripted upstream speaks Amazon Bedrock: Converse, Anthropic's Messages in Amazon's envelopes, and the frames of both streams."""
import base64
import binascii
import functools
import json
import re
import struct

from plan import Plan, Tool, words

ROUTE = re.compile(r"/model/(.+)/(converse|converse-stream|invoke|invoke-with-response-stream)$")
ERRORS = {
    400: "ValidationException", 401: "UnrecognizedClientException", 403: "AccessDeniedException", 404: "ResourceNotFoundException",
    408: "ModelTimeoutException", 429: "ThrottlingException", 503: "ServiceUnavailableException", 529: "ModelNotReadyException",
}
# Amazon has no such status: these errors come with another.
STATUS = {413: 400, 529: 429}


@functools.cache
def shape():
    """What a request of Converse is, by Amazon's own description."""
    import botocore.session

    return botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape


def _decoded(value, of):
    """A body as botocore has it before it is written."""
    if of.type_name == "blob":
        return base64.b64decode(value)
    if of.type_name == "structure" and not of.is_document_type and isinstance(value, dict):
        return {name: _decoded(v, of.members[name]) if name in of.members else v for name, v in value.items()}
    if of.type_name == "list" and isinstance(value, list):
        return [_decoded(v, of.member) for v in value]
    return value


def faults(body):
    """What is wrong with a body of Converse, by botocore; empty if nothing is."""
    from botocore.validate import ParamValidator

    unknown = sorted(set(body) - set(shape().members))
    report = ParamValidator().validate({"modelId": "m", **_decoded(body, shape())}, shape()).generate_report()
    return report or (f"Unknown parameter in input: {unknown}" if unknown else "")


def refused(body):
    """Why the service would refuse this request, if it would."""
    if told := faults(body):
        return told
    open_calls, expected = set(), "user"
    for at, turn in enumerate(body.get("messages") or []):
        if turn["role"] != expected:
            return "A conversation must alternate between user and assistant roles."
        expected = "assistant" if expected == "user" else "user"
        if not turn["content"]:
            return f"The content field in the Message object at messages.{at} is empty."
        if any("text" in block and not block["text"].strip() for block in turn["content"]):
            return f"The text field in the ContentBlock object at messages.{at}.content is blank."
        results = {b["toolResult"]["toolUseId"] for b in turn["content"] if "toolResult" in b}
        if results != open_calls:
            return f"messages.{at}: toolResult blocks {sorted(results)} do not answer the toolUse blocks {sorted(open_calls)}"
        open_calls = {b["toolUse"]["toolUseId"] for b in turn["content"] if "toolUse" in b}
        if (open_calls or results) and "toolConfig" not in body:
            return "The toolConfig field must be defined when using toolUse and toolResult content blocks."
    return None


def plan(said, model, body):
    """What to answer to a request of Converse."""
    config = body.get("toolConfig") or {}
    tools = [Tool(t["toolSpec"]["name"], t["toolSpec"]["inputSchema"].get("json") or {}) for t in config.get("tools") or [] if "toolSpec" in t]
    answered = any("toolResult" in block for block in body["messages"][-1]["content"])
    forced = ((config.get("toolChoice") or {}).get("tool") or {}).get("name")
    wanted = (body.get("outputConfig") or {}).get("textFormat") or {}
    schema = ((wanted.get("structure") or {}).get("jsonSchema") or {}).get("schema")
    limit = (body.get("inferenceConfig") or {}).get("maxTokens")
    return Plan(said, model, tools, answered, json.dumps(body), forced, json.loads(schema) if schema else None, limit)


def _end(plan):
    stop = "tool_use" if plan.calls else "max_tokens" if plan.truncated else "end_turn"
    usage = {
        "inputTokens": plan.input, "outputTokens": plan.output, "totalTokens": plan.input + plan.cached + plan.output,
        "cacheReadInputTokens": plan.cached, "cacheWriteInputTokens": 0,
    }
    return stop, {"usage": usage, "metrics": {"latencyMs": 12}}


def answer(plan):
    """A whole answer."""
    content = []
    if plan.thinking:
        content.append({"reasoningContent": {"reasoningText": {"text": plan.thinking, "signature": "c2NyaXB0ZWQ="}}})
    if plan.text or not plan.calls:
        content.append({"text": plan.text})
    content += [{"toolUse": {"toolUseId": "tooluse_" + c.id, "name": c.name, "input": c.input()}} for c in plan.calls]
    stop, end = _end(plan)
    return {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop, **end}


def frames(plan, usage=True):
    """The same as the frames of a stream."""
    def block(index, deltas, start=None):
        if start:
            yield frame("contentBlockStart", {"contentBlockIndex": index, "start": start})
        for delta in deltas:
            yield frame("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})
        yield frame("contentBlockStop", {"contentBlockIndex": index})

    yield frame("messageStart", {"role": "assistant"})
    index = 0
    if plan.thinking:
        thoughts = [{"text": w} for w in words(plan.thinking)] + [{"signature": "c2NyaXB0ZWQ="}]
        yield from block(index, [{"reasoningContent": t} for t in thoughts])
        index += 1
    if plan.text or not plan.calls:
        yield from block(index, [{"text": w} for w in words(plan.text)])
        index += 1
    for index, call in enumerate(plan.calls, index):
        pieces = [call.arguments[i:i + 7] for i in range(0, len(call.arguments), 7)]
        yield from block(index, [{"toolUse": {"input": p}} for p in pieces], {"toolUse": {"toolUseId": "tooluse_" + call.id, "name": call.name}})
    stop, end = _end(plan)
    yield frame("messageStop", {"stopReason": stop})
    if usage:
        yield frame("metadata", end)


def enveloped(event):
    """An event of Anthropic's stream in Amazon's envelope."""
    return frame("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()})


def failure():
    """The frame that ends a stream in error."""
    return frame("modelStreamErrorException", {"message": "scripted failure"}, "exception")


def frame(kind, payload, message="event"):
    """A frame of Amazon's event stream; its padding is Amazon's own."""
    headers = b""
    for name, value in ((f":{message}-type", kind), (":content-type", "application/json"), (":message-type", message)):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    body = json.dumps({**payload, "p": "abcdefghijk"}).encode()
    head = struct.pack(">II", len(headers) + len(body) + 16, len(headers))
    whole = head + struct.pack(">I", binascii.crc32(head)) + headers + body
    return whole + struct.pack(">I", binascii.crc32(whole))
