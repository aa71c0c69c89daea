"""Two scripted upstreams that answer the questions of labelled rows: the small one as it was recorded, the big one with a mark of its own.

The small one speaks chat completions, the big one messages; both whole and streamed, a few pieces a stream with a pause between them. Log-probabilities
are told by the small one where its row has them and it is asked. Everything runs in one thread beside the tests; each counts whom it answered.
"""
import asyncio
import json
import re
import threading

PIECES, PAUSE = 10, 0.0005
SMALL, BIG = "small-scripted", "big-scripted"
# What the big one says it has read and written.
BIG_USAGE = (11, 7)


def squeezed(texts):
    return re.sub(r"\s+", "", "".join(texts))


def key(messages, tools=()):
    """What a question is known by, however it was put: the letters of all its messages, and the tools' names."""
    texts = []
    for message in messages:
        content = message.get("content") or ""
        texts += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    names = sorted(t["function"]["name"] if "function" in t else t["name"] for t in tools or ())
    return squeezed(texts), tuple(names)


def mark(row):
    """The big model's answer to a row."""
    return f"The big model answers {row['id']}."


def cut(text, pieces=PIECES):
    step = max(1, -(-len(text) // pieces))
    return [text[i:i + step] for i in range(0, len(text), step)]


class Upstreams:
    """Both; a context manager. `asked[name]` has the ids of the rows that were asked for, in their order."""

    def __init__(self, rows):
        self.rows = {}
        for row in rows:
            self.rows.setdefault(key(row["request"]["messages"], row["request"].get("tools")), row)
        self.asked = {"small": [], "big": []}
        self.with_logprobs = 0
        self.problems = []
        self.loop = asyncio.new_event_loop()

    def __enter__(self):
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.servers = {name: self.wait(asyncio.start_server(self.serving(name), "127.0.0.1", 0)) for name in self.asked}
        self.urls = {name: "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1] for name, server in self.servers.items()}
        return self

    def __exit__(self, *_):
        for server in self.servers.values():
            self.loop.call_soon_threadsafe(server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def clear(self):
        for ids in self.asked.values():
            ids.clear()
        self.with_logprobs = 0

    def serving(self, name):
        async def serve(reader, writer):
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
                    request = json.loads(await reader.readexactly(length))
                    row = self.rows.get(key(request["messages"], request.get("tools")))
                    if row is None:
                        self.problems.append(request)
                        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}")
                        continue
                    self.asked[name].append(row["id"])
                    await (self.small if name == "small" else self.big)(writer, request, row)
            except (asyncio.IncompleteReadError, ConnectionError):
                # a draft that was dropped
                pass
            finally:
                writer.close()
        return serve

    async def whole(self, writer, value):
        data = json.dumps(value).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(data), data))
        await writer.drain()

    async def stream(self, writer, events):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for name, event in events:
            data = event if isinstance(event, str) else json.dumps(event)
            data = ((f"event: {name}\n" if name else "") + f"data: {data}\n\n").encode()
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
            await writer.drain()
            await asyncio.sleep(PAUSE)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def small(self, writer, request, row):
        answer = json.loads(json.dumps(row["small"]["response"]))
        answer["model"], choice = SMALL, answer["choices"][0]
        told = (choice.get("logprobs") or {}).get("content") if request.get("logprobs") else None
        self.with_logprobs += told is not None
        choice["logprobs"] = {"content": told} if told else None
        if request.get("stream"):
            await self.stream(writer, chat_stream(answer, told))
        else:
            await self.whole(writer, answer)

    async def big(self, writer, request, row):
        text, (read, written) = mark(row), BIG_USAGE
        message = {"id": "msg_big", "type": "message", "role": "assistant", "model": BIG, "content": [], "stop_reason": None, "stop_sequence": None}
        if not request.get("stream"):
            usage = {"input_tokens": read, "output_tokens": written}
            content = [{"type": "text", "text": text}]
            return await self.whole(writer, {**message, "content": content, "stop_reason": "end_turn", "usage": usage})
        events = [{"type": "message_start", "message": {**message, "usage": {"input_tokens": read, "output_tokens": 1}}}]
        events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        events += [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in cut(text, 3)]
        events.append({"type": "content_block_stop", "index": 0})
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": written}})
        events.append({"type": "message_stop"})
        await self.stream(writer, [(event["type"], event) for event in events])


def chat_stream(answer, told):
    """The chunks of a whole chat answer, log-probabilities beside the first piece of text that has their tokens."""
    choice = answer["choices"][0]
    message = choice["message"]
    head = {key: answer[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}

    def chunk(delta, finish=None, **more):
        return None, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}

    yield chunk({"role": "assistant", "content": ""})
    pieces = cut(message.get("content") or "")
    share = -(-len(told or ()) // max(1, len(pieces)))
    for i, piece in enumerate(pieces):
        tokens = (told or [])[i * share:(i + 1) * share]
        yield chunk({"content": piece}, **({"logprobs": {"content": tokens}} if tokens else {}))
    for index, call in enumerate(message.get("tool_calls") or []):
        function = call["function"]
        yield chunk({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": {"name": function["name"], "arguments": ""}}]})
        for piece in cut(function["arguments"], 3):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, choice["finish_reason"])
    yield None, {**head, "choices": [], "usage": answer["usage"]}
    yield None, "[DONE]"
