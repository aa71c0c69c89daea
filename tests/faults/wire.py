"""A model provider that is nothing but a script of bytes and pauses, and a caller that tells exactly what reached it."""
import asyncio
import json
import os
import re
import socket
import ssl
import struct
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / folder) for folder in ("clients", "conformance", "shared", "ledger")]
import grammar  # noqa: E402

# Steps of a script beside bytes and pauses (seconds). UNREAD stands first: the request is not read to its end before the other steps; DRAIN reads
# what comes, until the other side hangs up.
CLOSE, RESET, HANG, UNREAD, DRAIN = "close", "reset", "hang", "unread", "drain"
TEXT = "Grüße, 世界: all is well."


def frame(piece):
    return b"%x\r\n%s\r\n" % (len(piece), piece)


END = b"0\r\n\r\n"


class Wire:
    """How a provider of one dialect answers well; faults are made of these pieces."""

    def __init__(self, dialect, stream):
        self.dialect, self.stream = dialect, stream
        self.kind = "text/event-stream" if stream else "application/json"
        self.events = (messages_events if dialect == "a" else chat_events)(TEXT) if stream else []
        self.whole = json.dumps((messages_whole if dialect == "a" else chat_whole)(TEXT), ensure_ascii=False).encode()
        self.body = b"".join(self.events) if stream else self.whole

    def head(self, *more, status=200, length=None, kind=None):
        size = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
        lines = [b"HTTP/1.1 %d X" % status, b"content-type: " + (kind or self.kind).encode(), size, *more]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def pieces(self, count=3):
        """The body in about so many pieces: whole events of a stream."""
        if self.stream:
            at = max(1, len(self.events) // count)
            return [b"".join(self.events[i : i + at]) for i in range(0, len(self.events), at)]
        at = len(self.whole) // count + 1
        return [self.whole[i : i + at] for i in range(0, len(self.whole), at)]

    def good(self, *more):
        return [self.head(*more), *(frame(piece) for piece in self.pieces()), END]

    def refusal(self, status, *more, text="no"):
        error = {"type": "error", "error": {"type": "api_error", "message": text}} if self.dialect == "a" else {"error": {"message": text, "type": "server_error", "code": None, "param": None}}
        body = json.dumps(error).encode()
        return [self.head(*more, status=status, length=len(body), kind="application/json") + body]

    def error_event(self, text="overloaded"):
        if self.dialect == "a":
            return sse("error", {"type": "error", "error": {"type": "overloaded_error", "message": text}})
        return b"data: %s\n\n" % json.dumps({"error": {"message": text, "type": "server_error", "code": None}}).encode()


def sse(name, value):
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def messages_whole(text, usage=None):
    usage = usage or {"input_tokens": 11, "output_tokens": 7}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}


def chat_whole(text, usage=None):
    usage = usage or {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def messages_events(text, words=None):
    start = {**messages_whole(""), "content": [], "stop_reason": None, "usage": {"input_tokens": 11, "output_tokens": 1}}
    deltas = [sse("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}) for word in words or re.findall(r"\S+\s*", text)]
    return [
        sse("message_start", {"type": "message_start", "message": start}),
        sse("content_block_start", {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        *deltas,
        sse("content_block_stop", {"type": "content_block_stop", "index": 0}),
        sse("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 7}}),
        sse("message_stop", {"type": "message_stop"}),
    ]


def chat_events(text, words=None):
    def chunk(**more):
        return f"data: {json.dumps({'id': 'c1', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm', **more}, ensure_ascii=False)}\n\n".encode()

    def delta(reason=None, **delta):
        return chunk(choices=[{"index": 0, "delta": delta, "finish_reason": reason}])

    usage = chunk(choices=[], usage={"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18})
    return [delta(role="assistant", content=""), *(delta(content=word) for word in words or re.findall(r"\S+\s*", text)), delta("stop"), usage, b"data: [DONE]\n\n"]


# --- the provider


class Upstream:
    """Plays the script of the model that a request names: `scripts[model]` is called with the number of the request and gives the steps.

    `asked[model]` counts requests, `left[model]` those whose caller hung up before the script was over, `sent[model]` bytes."""

    def __init__(self):
        self.scripts, self.asked, self.left, self.sent = {}, {}, {}, {}
        self.tasks = set()

    async def start(self, tls=None):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls, backlog=1024, limit=1 << 24)
        return server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            while await self.once(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, TimeoutError):
            pass
        finally:
            self.tasks.discard(asyncio.current_task())
            writer.close()

    async def once(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
        # The model stands first in every body of ours, so that a script may begin before the request is over.
        body = await reader.read(min(length, 4096))
        model = re.search(rb'"model": ?"([^"]+)"', body)[1].decode()
        script = self.scripts[model]
        self.asked[model] = self.asked.get(model, 0) + 1
        steps = script(self.asked[model])
        if UNREAD not in steps:
            while len(body) < length:
                got = await reader.read(1 << 20)
                if not got:
                    return False
                body += got
        for step in steps:
            if not await self.step(step, reader, writer, model):
                return False
        return True

    async def step(self, step, reader, writer, model):
        if step == UNREAD:
            return True
        if step == DRAIN:
            async with asyncio.timeout(30):
                while await reader.read(1 << 20):
                    pass
            return False
        if step == CLOSE:
            return False
        if step == RESET:
            reset(writer)
            return False
        if step == HANG or isinstance(step, (int, float)):
            # Whoever hangs up while we wait is seen at once.
            try:
                if await asyncio.wait_for(reader.read(1), 30 if step == HANG else step) == b"":
                    raise ConnectionResetError
            except TimeoutError:
                return True
            except ConnectionError:
                self.left[model] = self.left.get(model, 0) + 1
                return False
            return False
        try:
            writer.write(step)
            self.sent[model] = self.sent.get(model, 0) + len(step)
            await writer.drain()
        except ConnectionError:
            self.left[model] = self.left.get(model, 0) + 1
            return False
        return True

    def told(self, model):
        """What it saw of the calls to this model."""
        asked, left = self.asked.get(model, 0), self.left.get(model, 0)
        return f"asked {asked}" + (f", left {left}" if left else "")


def reset(writer):
    """Closes with a reset instead of an orderly end."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def backlogged():
    """A socket whose queue is full: whoever connects gets no answer at all."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    waiting = []
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(server.getsockname())
        waiting.append(s)
    return server, waiting


# --- the caller


class Saw:
    """What reached the caller: `status`, `headers`, `body`, and how it `ended`: whole, cut (the connection ended early) or waiting."""

    def __init__(self):
        self.status, self.headers, self.body, self.ended, self.began = None, {}, b"", "cut", time.monotonic()
        self.seconds = 0.0

    def told(self, api, stream):
        """In a few words. Whatever is wrong with the form of what came is told, too."""
        if self.status is None:
            return "nothing" if self.ended == "cut" else "waits"
        if self.ended == "waiting":
            return f"{self.status} waits"
        if self.ended == "cut":
            return f"{self.status} cut"
        if self.status >= 400:
            return f"{self.status} {malformed_error(api, self.body) or 'error'}"
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            return f"{self.status} {told_stream(api, self.body)}" + ("" if stream else " unasked")
        return f"{self.status} {malformed_whole(api, self.body) or 'whole'}" + (" unasked" if stream else "")


def malformed_error(api, body):
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return f"no error object: {body[:80]!r}"
    if api == "m":
        fits = json.loads(body)["type"] == "error" and isinstance(error["type"], str) and isinstance(error["message"], str)
    else:
        fits = {"message", "type", "code"} <= set(error) and isinstance(error["message"], str)
    return None if fits else f"bad error object: {body[:80]!r}"


def malformed_whole(api, body):
    try:
        value = json.loads(body.decode())
        text = value["content"][0]["text"] if api == "m" else value["choices"][0]["message"]["content"]
    except (ValueError, KeyError, TypeError, IndexError):
        return f"malformed: {body[:80]!r}"
    return None if text == TEXT else f"other text: {text[:60]!r}"


def told_stream(api, body):
    """`stream` for one that is whole, `stream, error` for one that ends in an error as it should."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return "stream, broken UTF-8"
    found = [value for _, value in grammar.events(body)]
    if not all(isinstance(value, dict) or value == "[DONE]" for value in found):
        return f"stream, malformed: {body[-80:]!r}"
    errors = [n for n, value in enumerate(found) if isinstance(value, dict) and value.get("error")]
    if errors:
        return "stream, error" if errors == [len(found) - 1] else "stream, error within"
    if api == "m":
        text = "".join(value["delta"].get("text", "") for value in found if value.get("type") == "content_block_delta")
        done = found and found[-1].get("type") == "message_stop"
    else:
        text = "".join((choice.get("delta") or {}).get("content") or "" for value in found if isinstance(value, dict) for choice in value.get("choices", []))
        done = bool(found) and found[-1] == "[DONE]"
    if not done:
        return f"stream, unfinished: {body[-60:]!r}"
    return "stream" if text == TEXT else f"stream, other text of {len(text)}"


def request(api, model, stream, *headers, text="hi", name="x", **more):
    body = {"model": model, "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": text}], **more}
    if api == "c" and stream:
        body["stream_options"] = {"include_usage": True}
    path = "/v1/messages" if api == "m" else "/v1/chat/completions"
    return raw(path, json.dumps(body).encode(), *headers, name=name)


def raw(path, body, *headers, name="x", length=None):
    lines = [f"POST {path} HTTP/1.1", "host: gateway", "content-type: application/json", f"x-request-id: {name}", "connection: close", *headers]
    if not any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers):
        lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Caller:
    """One connection to the gateway, read to its end unless told otherwise."""

    def __init__(self, port):
        self.port, self.saw = port, Saw()

    async def open(self, buffer=None):
        if buffer:
            # Before the connection is made, for that is when the window is agreed upon.
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
            self.reader, self.writer = await asyncio.open_connection(sock=sock, limit=buffer)
        else:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        return self

    async def send(self, data):
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def head(self):
        """Reads the head of an answer."""
        while True:
            head = await self.reader.readuntil(b"\r\n\r\n")
            status = int(head.split()[1])
            if status >= 200:
                break
        self.saw.status = status
        self.saw.headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:] if line)}

    async def piece(self):
        """Reads a piece of the body; None at its proper end."""
        headers = self.saw.headers
        if headers.get("transfer-encoding") == "chunked":
            size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
            data = await self.reader.readexactly(size + 2)
            got = data[:-2] if size else None
        elif "content-length" in headers:
            left = int(headers["content-length"]) - len(self.saw.body)
            got = await self.reader.readexactly(left) if left else None
        else:
            got = await self.reader.read(1 << 16) or None
        self.saw.body += got or b""
        return got

    async def read(self, seconds=20):
        """All that there is."""
        try:
            async with asyncio.timeout(seconds):
                if self.saw.status is None:
                    await self.head()
                while await self.piece() is not None:
                    pass
                self.saw.ended = "whole"
        except (asyncio.IncompleteReadError, ConnectionError):
            self.saw.ended = "cut"
        except TimeoutError:
            self.saw.ended = "waiting"
        self.saw.seconds = time.monotonic() - self.saw.began
        self.leave()
        return self.saw

    def leave(self, hard=False):
        if hard:
            reset(self.writer)
        else:
            self.writer.close()


async def call(port, data, seconds=20):
    """Sends this and reads the answer."""
    caller = await Caller(port).open()
    await caller.send(data)
    return await caller.read(seconds)


def rest(path, port):
    """A GET whose answer is a text, for pages of the admin port."""
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n".encode()


def debug():
    return bool(os.environ.get("TIERWAY_FAULTS_SEE"))
