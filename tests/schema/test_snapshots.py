"""What the translators write, by their golden snapshots, against the vendors' own schemas.

Chat completions and Responses are held to OpenAI's OpenAPI description, Messages to the types of the anthropic SDK, Converse to Amazon's
service model as botocore has it, Gemini's and Ollama's requests to the models of those vendors' Python libraries.
"""
import json
import re
from pathlib import Path

import openapi
import pydantic
import pytest
import vendors
from anthropic.types import ErrorResponse, Message, RawMessageStreamEvent
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOTS = sorted((ROOT / "services").rglob("snapshots/*.snap"))
MESSAGE, EVENT = pydantic.TypeAdapter(Message | BetaMessage), pydantic.TypeAdapter(RawMessageStreamEvent | BetaRawMessageStreamEvent | ErrorResponse)
# What the upstream itself wrote otherwise, and what is passed on as it is.
UPSTREAMS_OWN = {
    "chat-whole-detailed-usage": "system_fingerprint is null", "chat-whole-mistral-thinking": "content is a list",
    "chat-whole-ollama-no-index": "arguments are an object",
    "chat-whole-usage-with-finish-no-done": "usage without total_tokens",
}
# What holds no body: a refusal, told in words.
NO_BODY = {
    "gemini-answer-malformed-call-chat", "gemini-answer-malformed-call-messages", "gemini-answer-malformed-call-responses",
    "ollama-answer-error-chat", "ollama-answer-error-messages", "ollama-answer-error-responses",
    "ollama-of-chat-everything", "ollama-of-chat-multimodal", "ollama-of-messages-everything", "ollama-of-responses-everything",
}


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
    if word.startswith("response.") or word == "error" and "sequence_number" in body:
        return "ResponseStreamEvent"
    if word == "message":
        return "message"
    if word in ("message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta", "content_block_stop", "error"):
        return "event"
    return None


def request_kind(name, body):
    """Which schema a request is to satisfy: what it was translated into stands in its name or shows in its shape."""
    for start, kind in (("converse-request-", "Converse"), ("gemini-of-", "Gemini"), ("ollama-of-", "Ollama")):
        if name.startswith(start):
            return kind
    if "-request" not in name or "model" not in body:
        return None
    if "input" in body:
        return "CreateResponse"
    if name.endswith("-to-messages") or name.startswith("chat-request"):
        return "Messages"
    return "CreateChatCompletionRequest"


REQUESTS = {"Messages": vendors.messages, "Converse": vendors.converse, "Gemini": vendors.gemini, "Ollama": vendors.chat_of_ollama}


def check(kind, body):
    if kind in REQUESTS:
        return REQUESTS[kind](body)
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


def bodies(path):
    """The bodies in a snapshot that a schema is for, each with its kind."""
    found = [(request_kind(name_of(path), body) or kind_of(name_of(path), body), body) for body in documents(path) if isinstance(body, dict)]
    return [(kind, body) for kind, body in found if kind]


BODIES = {path: bodies(path) for path in SNAPSHOTS}
CHECKED = [path for path, found in BODIES.items() if found and name_of(path) not in UPSTREAMS_OWN]


@pytest.mark.parametrize("path", CHECKED, ids=name_of)
def test_a_snapshot(path):
    for number, (kind, body) in enumerate(BODIES[path]):
        wrong = check(kind, body)
        assert wrong is None, f"body {number}: {wrong}"


def test_what_is_not_checked():
    """Every snapshot is checked, but for what is named above; and what is named deserves it."""
    assert {name_of(path) for path, found in BODIES.items() if not found} == NO_BODY
    for path, found in BODIES.items():
        if name_of(path) in UPSTREAMS_OWN:
            assert any(check(*body) for body in found), f"{name_of(path)} is right"


def test_the_checks_can_tell():
    user = {"role": "user", "content": "hi"}
    assert not vendors.messages({"model": "m", "max_tokens": 1, "messages": [user]})
    for body in ({"model": "m", "messages": [user]}, {"model": "m", "max_tokens": 1, "messages": [user], "n": 1}, {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}):
        assert vendors.messages(body), body
    assert not vendors.converse({"messages": [{"role": "user", "content": [{"text": "a"}]}]})
    assert vendors.converse({"messages": [{"role": "user", "content": [{"words": "a"}]}]})
    assert not vendors.gemini({"contents": [{"role": "user", "parts": [{"text": "a"}]}]})
    assert vendors.gemini({"contents": [{"role": "user", "parts": [{"words": "a"}]}]})
    assert not vendors.chat_of_ollama({"model": "m", "messages": [user]})
    assert vendors.chat_of_ollama({"model": "m", "messages": [{"role": "user", "content": 1}]})


def test_enough_is_checked():
    found = [kind for path in CHECKED for kind, _ in BODIES[path]]
    wanted = {
        "CreateChatCompletionRequest": 3, "CreateChatCompletionResponse": 5, "CreateChatCompletionStreamResponse": 30, "CreateResponse": 3,
        "message": 5, "event": 50, "Messages": 10, "Converse": 13, "Gemini": 16, "Ollama": 12,
    }
    for kind, least in wanted.items():
        assert found.count(kind) >= least, f"{found.count(kind)} of {kind}"
