"""Whether a stream obeys the grammar of its API, as strictly as the strictest client reads it.

    violation("messages", raw)                  None, or the first thing that is wrong
    violation("messages", raw, exact=True)      also fields that the API promises and that most clients can do without
    events(raw)                                 [(name, parsed data)], comments left out

The APIs are `messages` (Anthropic), `chat` (OpenAI chat completions) and `responses` (OpenAI Responses). A stream may end in an error
event; pass `complete=True` where only a whole answer will do.
"""
import json
import re


class Violation(Exception):
    """The stream breaks the grammar."""


def want(holds, what):
    if not holds:
        raise Violation(what)


def blocks(raw, errors="strict"):
    """The events as text, without their blank lines; what follows the last blank line comes last."""
    return re.split(r"\r\n\r\n|\n\n|\r\r", raw.decode("utf-8", errors))


def events(raw):
    """The events as (name, data): data parsed where it is JSON. Comments are left out."""
    found = []
    for block in blocks(raw, "replace"):
        name, data = None, []
        for line in block.splitlines():
            if line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
        if data:
            text = "\n".join(data)
            try:
                found.append((name, json.loads(text)))
            except ValueError:
                found.append((name, text))
    return found


def violation(api, raw, complete=False, exact=False):
    """What is wrong with this stream, or None."""
    number = 0
    try:
        try:
            parts = blocks(raw)
        except UnicodeDecodeError as error:
            raise Violation(f"not UTF-8: {error}") from None
        want(not parts[-1].strip(), "an event without its blank line at the end")
        checker = {"messages": Messages, "chat": Chat, "responses": Responses}[api](exact)
        for number, (name, value) in enumerate(events(raw)):
            if checker.ended and api == "responses" and value == "[DONE]":
                # Some servers end each of their streams so; clients read on to the end or not at all.
                checker.promised(False, "[DONE] after the end")
                continue
            want(not checker.ended, "an event after the end")
            checker.event(name, value)
        number += 1
        want(checker.ended, "the terminal event is missing")
        want(not (complete and checker.failed), "it ends in an error")
    except Violation as broken:
        return f"event {number}: {broken}"
    return None


def is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class Checker:
    def __init__(self, exact):
        self.exact = exact
        self.begun = self.stopped = self.ended = self.failed = False

    def promised(self, holds, what):
        """What the API promises."""
        want(holds or not self.exact, what)

    def fail(self):
        self.ended = self.failed = True


class Messages(Checker):
    """`message_start`, then blocks one after the other, `message_delta`, `message_stop`; pings anywhere."""

    DELTAS = {
        "text_delta": ("text", {"text"}), "thinking_delta": ("thinking", {"thinking"}), "signature_delta": ("signature", {"thinking"}),
        "input_json_delta": ("partial_json", {"tool_use", "server_tool_use", "mcp_tool_use"}),
    }

    def __init__(self, exact):
        super().__init__(exact)
        self.open, self.next, self.arguments = None, 0, ""

    def event(self, name, value):
        want(isinstance(value, dict), f"data is no JSON object: {str(value)[:80]}")
        kind = value.get("type")
        want(name == kind, f"named {name!r} but of type {kind!r}")
        if kind == "error":
            error = value.get("error") or {}
            want(isinstance(error.get("type"), str) and isinstance(error.get("message"), str), "an error without type and message")
            return self.fail()
        if kind == "ping":
            return None
        want(self.begun or kind == "message_start", f"`{kind}` before `message_start`")
        want(not self.stopped or kind == "message_stop", f"`{kind}` after `message_delta`")
        handler = getattr(self, kind or "", None) if kind in self.KINDS else None
        want(handler, f"`{kind}` is no event")
        return handler(value)

    KINDS = {"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"}

    def message_start(self, value):
        want(not self.begun, "a second `message_start`")
        self.begun = True
        message = value.get("message") or {}
        for key in ("id", "model"):
            want(isinstance(message.get(key), str) and message[key], f"message.{key} is missing")
        self.promised(message.get("type") == "message" and message.get("role") == "assistant", "message is not of type `message` and role `assistant`")
        want(message.get("content") == [], "message.content is not empty")
        self.promised("stop_reason" in message and message["stop_reason"] is None, "message.stop_reason is not null")
        usage = message.get("usage") or {}
        self.promised(is_count(usage.get("input_tokens")) and is_count(usage.get("output_tokens")), "message.usage has no counts")

    def content_block_start(self, value):
        want(self.open is None, "two blocks are open")
        want(value.get("index") == self.next, f"block {value.get('index')} where {self.next} is due")
        block = value.get("content_block") or {}
        self.open, self.arguments = block.get("type"), ""
        want(isinstance(self.open, str), "a block without a type")
        if self.open == "tool_use":
            want(block.get("id") and block.get("name"), "a call without id or name")
            want(isinstance(block.get("input"), dict), "a call whose input is no object")
        elif self.open in ("text", "thinking"):
            want(isinstance(block.get(self.open), str), f"a {self.open} block without `{self.open}`")

    def content_block_delta(self, value):
        want(self.open is not None, "a delta outside any block (\"Content block not found\")")
        want(value.get("index") == self.next, f"a delta of block {value.get('index')} in block {self.next}")
        delta = value.get("delta") or {}
        field, at_home = self.DELTAS.get(delta.get("type"), (None, None))
        if field:
            want(isinstance(delta.get(field), str), f"{field} is no string")
            want(self.open in at_home, f"{delta['type']} in a `{self.open}` block")
            if field == "partial_json":
                self.arguments += delta[field]

    def content_block_stop(self, value):
        want(self.open is not None, "no block is open")
        want(value.get("index") == self.next, f"block {value.get('index')} stops where {self.next} is open")
        if self.open == "tool_use" and self.arguments:
            try:
                whole = json.loads(self.arguments)
            except ValueError:
                raise Violation(f"the arguments of a call do not parse: {self.arguments[:80]!r}") from None
            want(isinstance(whole, dict), "the arguments of a call are no object")
        self.open, self.next = None, self.next + 1

    def message_delta(self, value):
        want(self.open is None, "a block is still open")
        delta = value.get("delta") or {}
        want(isinstance(delta.get("stop_reason"), str), "delta.stop_reason is missing")
        self.promised("stop_sequence" in delta, "delta.stop_sequence is missing")
        self.promised(is_count((value.get("usage") or {}).get("output_tokens")), "usage.output_tokens is missing")
        self.stopped = True

    def message_stop(self, value):
        want(self.stopped, "no `message_delta` came before")
        self.ended = True


class Chat(Checker):
    """Chunks without names: a role first, one finish_reason, then usage, then [DONE]."""

    def __init__(self, exact):
        super().__init__(exact)
        self.id, self.calls, self.counted = None, 0, False

    def event(self, name, value):
        self.promised(name is None, f"a chunk has no name, this one has {name!r}")
        if value == "[DONE]":
            want(self.stopped, "no finish_reason came before [DONE]")
            self.ended = True
            return
        want(isinstance(value, dict), f"data is no JSON object: {str(value)[:80]}")
        if value.get("error") is not None:
            want(isinstance(value["error"], dict) and isinstance(value["error"].get("message"), str), "an error without a message")
            return self.fail()
        self.promised(value.get("object") == "chat.completion.chunk", "object is not `chat.completion.chunk`")
        self.promised(is_count(value.get("created")), "created is no number")
        self.promised(isinstance(value.get("model"), str) and isinstance(value.get("id"), str), "model or id is missing")
        self.promised(self.id in (None, value.get("id")), "the id changes")
        self.id = value.get("id")
        choices = value.get("choices")
        want(isinstance(choices, list), "choices is no array")
        if not choices:
            want(self.stopped and isinstance(value.get("usage"), dict) and not self.counted, "a chunk without choices that is not the final usage")
            self.counted = True
            return
        delta = choices[0].get("delta")
        want(isinstance(delta, dict), "delta is missing")
        if self.stopped:
            # An empty choice beside the usage does no harm.
            self.promised(False, "a choice after its finish_reason")
            want(not any(delta.get(field) for field in ("content", "reasoning_content", "tool_calls")), "a choice with content after its finish_reason")
            return
        self.promised(self.begun or delta.get("role") == "assistant", "the first delta has no role")
        self.begun = True
        for field in ("content", "reasoning_content", "refusal"):
            want(delta.get(field) is None or isinstance(delta[field], str), f"{field} is no string")
        for call in delta.get("tool_calls") or []:
            self.call(call)
        finish = choices[0].get("finish_reason")
        self.promised("finish_reason" in choices[0], "finish_reason is missing")
        want(finish is None or isinstance(finish, str), "finish_reason is neither null nor a string")
        self.stopped = finish is not None

    def call(self, call):
        index, function = call.get("index"), call.get("function") or {}
        want(is_count(index), "a call without an index")
        want(index <= self.calls, f"call {index} where {self.calls} is due")
        want(isinstance(function.get("arguments", ""), str), "arguments are no string")
        if index == self.calls:
            self.calls += 1
            want(call.get("id") and call.get("type") == "function" and function.get("name"), "a call begins without id, type or name")


class Responses(Checker):
    """`response.created`, items that are added, filled and done, and a terminal event that holds them all."""

    TERMINAL = {"response.completed", "response.incomplete", "response.failed"}

    def __init__(self, exact):
        super().__init__(exact)
        self.sequence, self.open, self.parts, self.done, self.id = -1, {}, {}, {}, None

    def event(self, name, value):
        want(isinstance(value, dict), f"data is no JSON object: {str(value)[:80]}")
        kind = value.get("type")
        self.promised(name == kind, f"named {name!r} but of type {kind!r}")
        number = value.get("sequence_number")
        self.promised(is_count(number) and number > self.sequence, f"sequence_number {number} after {self.sequence}")
        self.sequence = number if is_count(number) else self.sequence
        if kind == "error":
            want(isinstance(value.get("message"), str), "an error without a message")
            return self.fail()
        want(self.begun or kind == "response.created", f"`{kind}` before `response.created`")
        if kind == "response.created":
            want(not self.begun, "a second `response.created`")
            self.begun = True
            self.response(value, {"in_progress", "queued"})
            self.id = value["response"]["id"]
        elif kind in ("response.in_progress", "response.queued"):
            self.response(value, {"in_progress", "queued"})
        elif kind in self.TERMINAL:
            self.finish(kind, value)
        else:
            self.item(kind, value)

    def response(self, value, statuses):
        response = value.get("response")
        want(isinstance(response, dict), "response is missing")
        want(response.get("object") == "response" and isinstance(response.get("id"), str), "response has no id, or its object is not `response`")
        self.promised(len(response["id"]) <= 64, "the id is longer than 64 characters")
        want(self.id in (None, response["id"]), "the id changes")
        want(response.get("status") in statuses, f"status {response.get('status')!r}")
        want(isinstance(response.get("output"), list), "response.output is no array")

    def item(self, kind, value):
        if not kind or not kind.startswith("response."):
            raise Violation(f"`{kind}` is no event")
        index = value.get("output_index")
        want(is_count(index), f"`{kind}` has no output_index")
        if kind == "response.output_item.added":
            item = value.get("item") or {}
            want(index == len(self.open) + len(self.done), f"item {index} where {len(self.open) + len(self.done)} is due")
            want(isinstance(item.get("type"), str), "an item without a type")
            self.promised(isinstance(item.get("id"), str) and len(item["id"]) <= 64, "an item without an id, or with an overlong one")
            if item["type"] in ("function_call", "custom_tool_call"):
                want(item.get("call_id") and item.get("name"), "a call without call_id or name")
            self.open[index] = {"item": item, "text": {}, "arguments": ""}
            return
        want(index in self.open, f"`{kind}` for item {index}, which is not open")
        state = self.open[index]
        if "item_id" in value:
            want(value["item_id"] == state["item"].get("id"), f"item_id {value['item_id']!r} of another item")
        part = (index, value.get("content_index"))
        if kind == "response.content_part.added":
            want(part not in self.parts, "a part is added twice")
            self.parts[part] = True
            state["text"][part[1]] = ""
        elif kind == "response.output_text.delta":
            want(self.parts.get(part), "a text delta outside any part")
            state["text"][part[1]] += value.get("delta") or ""
        elif kind == "response.output_text.done":
            want(value.get("text") == state["text"].get(part[1]), "the text that is done is not the sum of its deltas")
        elif kind == "response.content_part.done":
            want(self.parts.get(part), "a part is done that is not open")
            self.parts[part] = False
        elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            want(isinstance(value.get("delta"), str), "delta is no string")
            state["arguments"] += value["delta"]
        elif kind == "response.function_call_arguments.done":
            want(value.get("arguments") == state["arguments"], "the arguments that are done are not the sum of their deltas")
        elif kind == "response.output_item.done":
            want(not any(o for (i, _), o in self.parts.items() if i == index), "the item is done while a part is open")
            item = value.get("item") or {}
            want(item.get("id") == state["item"].get("id") and item.get("type") == state["item"]["type"], "another item is done than was added")
            if item["type"] == "function_call":
                want(item.get("arguments") == state["arguments"], "the call's arguments are not the sum of their deltas")
            self.done[index] = item
            del self.open[index]

    def finish(self, kind, value):
        want(not self.open or kind != "response.completed", f"items {sorted(self.open)} are still open")
        self.response(value, {kind.removeprefix("response.")})
        if kind == "response.completed":
            output = value["response"]["output"]
            want([i.get("id") for i in output] == [self.done[n].get("id") for n in sorted(self.done)], "response.output is not the items that were done")
            self.promised(is_count((value["response"].get("usage") or {}).get("output_tokens")), "response.usage is missing")
        self.ended, self.failed = True, kind == "response.failed"
