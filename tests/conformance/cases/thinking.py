"""Thinking blocks and their signatures."""
import json

from context import check
from registry import case

SIGNED = {"type": "thinking", "thinking": "First\u00e9 I  think.", "signature": "EqQBCkYIBRgCKkAscripted+/=="}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"}


def conversation(*blocks):
    return [
        {"role": "user", "content": "Say hello"},
        {"role": "assistant", "content": [*blocks, {"type": "text", "text": "Hello."}]},
        {"role": "user", "content": "And again"},
    ]


def sent_blocks(t):
    for message in t.sent()["messages"]:
        if isinstance(message.get("content"), list):
            yield from message["content"]


@case(27, "Signed and redacted thinking goes back to Anthropic byte for byte", formats="a")
def signatures_kept(t):
    t.whole("messages", **{"messages": conversation(SIGNED, REDACTED), "thinking": {"type": "enabled", "budget_tokens": 1024}})
    blocks = list(sent_blocks(t))
    check(SIGNED in blocks and REDACTED in blocks, f"they arrive as {json.dumps(blocks)[:300]}")
    events = t.stream("messages", "think-x")
    signature = "".join(e["delta"].get("signature", "") for _, e in events if e["type"] == "content_block_delta")
    check(signature == "c2NyaXB0ZWQ=", f"the signature of an answer arrives as {signature!r}")


@case(28, "A conversation whose thinking another model wrote goes on: no unsigned thinking reaches Anthropic, none a chat upstream")
def thinking_on_a_switch(t):
    unsigned = {"type": "thinking", "thinking": "Another model's.", "signature": ""}
    if t.format == "o":
        t.whole("messages", **{"messages": conversation(SIGNED, REDACTED)})
        check(not any(b.get("type") in ("thinking", "redacted_thinking") for b in sent_blocks(t)), "thinking blocks reach a chat upstream")
        return
    t.whole("messages", **{"messages": conversation(unsigned)})
    check(not any(b.get("type") == "thinking" and not b.get("signature") for b in sent_blocks(t)), "an unsigned thinking block reaches Anthropic")
    if "chat" in t.apis:
        history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello.", "reasoning_content": "Hm."}, {"role": "user", "content": "Again"}]
        t.whole("chat", **{"messages": history})
        check(not any(b.get("type") == "thinking" and not b.get("signature") for b in sent_blocks(t)), "an unsigned thinking block reaches Anthropic from chat")


@case(29, "Thinking is not lost in translation: whole and streamed")
def thinking_translated(t):
    if "messages" in t.apis:
        thinking = [b for b in t.whole("messages", "think-x")["content"] if b["type"] == "thinking"]
        check(thinking and thinking[0]["thinking"] == "Let me think about it.", f"messages: {thinking}")
        streamed = "".join(e["delta"].get("thinking", "") for _, e in t.stream("messages", "think-x") if e["type"] == "content_block_delta")
        check(streamed == "Let me think about it.", f"messages stream: {streamed!r}")
    if "chat" in t.apis:
        message = t.whole("chat", "think-x")["choices"][0]["message"]
        check(message.get("reasoning_content") == "Let me think about it.", f"chat: {sorted(message)}")
        streamed = "".join(e["choices"][0]["delta"].get("reasoning_content") or "" for _, e in t.stream("chat", "think-x") if isinstance(e, dict) and e.get("choices"))
        check(streamed == "Let me think about it.", f"chat stream: {streamed!r}")
