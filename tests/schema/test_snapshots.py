"""What the translators write, by their golden snapshots, against the vendors' own schemas.

Chat completions and Responses are held to OpenAI's OpenAPI description, Messages to the types of the anthropic SDK.
"""
import json
import re
from pathlib import Path

import openapi
import pydantic
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOTS = sorted((ROOT / "services").rglob("snapshots/*.snap"))
MESSAGE, EVENT = pydantic.TypeAdapter(Message | BetaMessage), pydantic.TypeAdapter(RawMessageStreamEvent | BetaRawMessageStreamEvent)
# What the upstream itself wrote otherwise, and what is passed on as it is.
UPSTREAMS_OWN = {
    "chat-whole-detailed-usage": "system_fingerprint is null", "chat-whole-mistral-thinking": "content is a list",
    "chat-whole-ollama-no-index": "arguments are an object",
    "chat-whole-usage-with-finish-no-done": "usage without total_tokens",
}
pytestmark = pytest.mark.skipif(not openapi.ARCHIVE.exists(), reason=f"{openapi.ARCHIVE} is not there")


def name_of(path):
    return path.stem.split("__")[-1]


def documents(path):
    """The JSON documents that stand in a snapshot: one body, or the data of events."""
    text = path.read_text().split("\n---\n", 1)[1]
    streamed = re.findall(r"(?m)^data: (\{.*\})$", text)
    if streamed:
        return [json.loads(d) for d in streamed]
    at = text.find("{")
    if at < 0 or (at and text[at - 1] != "\n"):
        return []
    try:
        return [json.JSONDecoder().raw_decode(text, at)[0]]
    except ValueError:
        return []


def kind_of(name, body):
    """Which schema a document is to satisfy."""
    if "error" in body and len(body) <= 2 and "type" not in body:
        return "ErrorResponse"
    kind = body.get("object")
    if kind == "chat.completion":
        return "CreateChatCompletionResponse"
    if kind == "chat.completion.chunk":
        return "CreateChatCompletionStreamResponse"
    if kind == "response":
        return "Response"
    word = body.get("type", "")
    if word.startswith("response."):
        return "ResponseStreamEvent"
    if word == "message":
        return "message"
    if word in ("message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta", "content_block_stop"):
        return "event"
    return None


def request_kind(name, body):
    """Which schema a request is to satisfy: what a caller of chat asked is sent on in another dialect, and the other way round."""
    if "-request" not in name or "model" not in body:
        return None
    if "input" in body:
        return "CreateResponse"
    if "messages" in body and not name.startswith("chat-request") and _is_chat(body):
        return "CreateChatCompletionRequest"
    return None


def _is_chat(body):
    tools = body.get("tools") or [{"function": {}}]
    return "system" not in body and any("function" in t or t.get("type") == "custom" for t in tools)


def check(kind, body):
    if kind in ("message", "event"):
        try:
            (MESSAGE if kind == "message" else EVENT).validate_python(body)
        except pydantic.ValidationError as error:
            return f"anthropic: {error.errors()[0]}"
        return None
    # OpenAI's own examples have null here, against its schema.
    response = body.get("response") if kind == "ResponseStreamEvent" else body if kind == "Response" else None
    if isinstance(response, dict):
        response = {k: v for k, v in response.items() if v is not None or k not in ("usage", "user")}
        body = {**body, "response": response} if kind == "ResponseStreamEvent" else response
    # An answer may have fields of the upstream's own; in a request an unknown one is refused.
    return openapi.wrong(kind, body, foreign=() if kind in ("CreateChatCompletionRequest", "CreateResponse") else body)


@pytest.mark.parametrize("path", SNAPSHOTS, ids=name_of)
def test_a_snapshot(path):
    if reason := UPSTREAMS_OWN.get(name_of(path)):
        pytest.skip(f"the upstream's own: {reason}")
    checked = []
    for number, body in enumerate(documents(path)):
        if not isinstance(body, dict):
            continue
        kind = request_kind(name_of(path), body) or kind_of(name_of(path), body)
        if kind is None:
            continue
        wrong = check(kind, body)
        assert wrong is None, f"document {number}: {wrong}"
        checked.append(kind)
    if not checked:
        pytest.skip("no body of these APIs in it")


def test_enough_is_checked():
    found = [kind for path in SNAPSHOTS for body in documents(path) if (kind := request_kind(name_of(path), body) or kind_of(name_of(path), body))]
    for kind, least in {"CreateChatCompletionRequest": 3, "CreateChatCompletionResponse": 5, "CreateChatCompletionStreamResponse": 30, "message": 5, "event": 50}.items():
        assert found.count(kind) >= least, f"{found.count(kind)} of {kind}"
