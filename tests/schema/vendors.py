"""Requests as the vendors' own libraries describe them: Anthropic's types, Amazon's service model, Google's and Ollama's models.

Each function says what is wrong with a body, in a line, or None.
"""
import functools
import typing

import pydantic
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_message_create_params
from converse_wire import faults
from google.genai import types as google
from ollama import _types as ollama

# The REST body's fields by the types that Google's library has for them; it has none for the whole.
GEMINI = {
    "contents": list[google.Content], "systemInstruction": google.Content, "tools": list[google.Tool], "toolConfig": google.ToolConfig,
    "generationConfig": google.GenerationConfig, "safetySettings": list[google.SafetySetting],
}
# What the newest types of Anthropic's SDK no longer have: the API takes it for the models of its time, as do elder SDKs.
ELDER = {"temperature", "top_p", "top_k"}


def _walk(value):
    """Looks at everything: the elements of what is declared as iterable are only judged when they are."""
    if isinstance(value, dict):
        for inner in value.values():
            _walk(inner)
    elif not isinstance(value, (str, bytes)) and hasattr(value, "__iter__"):
        for inner in value:
            _walk(inner)


@functools.cache
def _messages(module, name):
    kind = getattr(module, name)
    return pydantic.TypeAdapter(kind), set(typing.get_type_hints(kind))


def messages(body):
    """A request in Anthropic's format: what it takes today, or under a beta."""
    told = None
    for module in (message_create_params, beta_message_create_params):
        adapter, known = _messages(module, "MessageCreateParamsStreaming" if body.get("stream") else "MessageCreateParamsNonStreaming")
        if unknown := set(body) - known - ELDER:
            told = told or f"Messages has no {sorted(unknown)}"
            continue
        try:
            _walk(adapter.validate_python(body))
            return None
        except pydantic.ValidationError as error:
            told = told or f"Messages: {error.errors()[0]}"
    return told


def converse(body):
    """A request of Bedrock's Converse."""
    return faults(body) or None


def gemini(body):
    """A request of Gemini's `generateContent`."""
    if unknown := set(body) - set(GEMINI):
        return f"generateContent has no {sorted(unknown)}"
    for name, value in body.items():
        try:
            pydantic.TypeAdapter(GEMINI[name]).validate_python(value)
        except pydantic.ValidationError as error:
            return f"generateContent: {name}: {error.errors()[0]}"
    return None


def chat_of_ollama(body):
    """A request of Ollama's `/api/chat`."""
    if unknown := set(body) - set(ollama.ChatRequest.model_fields):
        return f"/api/chat has no {sorted(unknown)}"
    for message in body["messages"]:
        if unknown := set(message) - set(ollama.Message.model_fields):
            return f"a message of /api/chat has no {sorted(unknown)}"
    try:
        ollama.ChatRequest.model_validate(body)
        # There they may be anything.
        for message in body["messages"]:
            ollama.Message.model_validate(message)
    except pydantic.ValidationError as error:
        return f"/api/chat: {error.errors()[0]}"
    return None
