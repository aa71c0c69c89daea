"""Many slow streams at a time: what each costs in memory, that it stays so, and that nothing is left of them.

`TIERWAY_STREAMS` and `TIERWAY_STREAM_SECONDS` say how many and for how long: 500 and 15 by default, 5,000 and 600 in earnest, with an optimised
build. Both dialects, half of the streams translated. Caller and provider are in this process."""
import asyncio
import json
import os
import re
import time
from pathlib import Path

import pytest
from harness import Gateway

STREAMS, SECONDS = int(os.environ.get("TIERWAY_STREAMS", "500")), float(os.environ.get("TIERWAY_STREAM_SECONDS", "15"))
# Each stream says a word so often; a slow model says three a second.
PAUSE = float(os.environ.get("TIERWAY_STREAM_PAUSE", "5" if STREAMS > 1000 else "1"))
# The text of a prompt, in bytes.
PROMPT = int(os.environ.get("TIERWAY_STREAM_PROMPT", "1000"))
KIB = 1024


def chunk(body):
    return b"%x\r\n%s\r\n" % (len(body), body)


def chat(**more):
    return b"data: %s\n\n" % json.dumps({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", **more}).encode()


FIRST = chunk(chat(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]))
WORD = chunk(chat(choices=[{"index": 0, "delta": {"content": "word and then another "}, "finish_reason": None}]))
LAST = chunk(chat(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])) + chunk(chat(choices=[], usage={"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18})) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Model(asyncio.Protocol):
    """Begins a stream for each request; words come from one timer for all."""

    streams = set()

    def connection_made(self, transport):
        self.transport, self.got = transport, b""

    def data_received(self, data):
        self.got += data
        head, _, body = self.got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if length and len(body) >= int(length[1]):
            self.got = b""
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + FIRST)
            self.streams.add(self)

    def connection_lost(self, _):
        self.streams.discard(self)

    @classmethod
    async def speak(cls, until):
        """A word for a part of all streams, many times a pause; then the end of all."""
        parts, n = 100, 0
        while time.monotonic() < until:
            began = time.monotonic()
            for i, stream in enumerate(list(cls.streams)):
                if i % parts == n % parts:
                    stream.transport.write(WORD)
            n += 1
            await asyncio.sleep(max(0.0, PAUSE / parts - (time.monotonic() - began)))
        for stream in list(cls.streams):
            stream.transport.write(LAST)


class Caller(asyncio.Protocol):
    def __init__(self, number):
        self.number, self.begun, self.bytes, self.tail, self.ended = number, False, 0, b"", asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        path = "/v1/messages" if self.number % 2 else "/v1/chat/completions"
        body = json.dumps({"model": "u:m", "max_tokens": 9999, "stream": True, "messages": [{"role": "user", "content": f"Tell me story number {self.number}." + " and so on" * (PROMPT // 10)}]}).encode()
        transport.write(f"POST {path} HTTP/1.1\r\nhost: g\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)

    def data_received(self, data):
        self.begun = True
        self.bytes += len(data)
        self.tail = (self.tail + data)[-200:]

    def connection_lost(self, _):
        done = b"message_stop" if self.number % 2 else b"[DONE]"
        if not self.ended.done():
            self.ended.set_result(done in self.tail and self.tail.endswith(b"0\r\n\r\n"))


class Process:
    """What the kernel tells of it."""

    def __init__(self, pid):
        self.pid = pid

    @property
    def resident(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1]) * KIB

    @property
    def files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


async def soak(gateway):
    loop, process, port = asyncio.get_running_loop(), Process(gateway.child.pid), int(gateway.url.rsplit(":", 1)[1])
    admin = lambda name: asyncio.to_thread(gateway.total, name)

    async def streams(numbers, seconds):
        callers = []
        for number in numbers:
            _, caller = await loop.create_connection(lambda number=number: Caller(number), "127.0.0.1", port)
            callers.append(caller)
            # As fast as they can be begun on a busy machine: what waits to begin costs more than what has begun.
            if number % 5 == 0:
                await asyncio.sleep(0.02)
        while not all(caller.begun for caller in callers):
            await asyncio.sleep(0.05)
        sizes = []

        async def watch():
            while True:
                await asyncio.sleep(max(0.5, seconds / 60))
                sizes.append(process.resident)

        watching = asyncio.create_task(watch())
        began = time.monotonic()
        most = process.files, await admin("tierway_requests_in_flight"), await admin("tierway_tasks")
        await Model.speak(began + seconds)
        watching.cancel()
        whole = sum(await asyncio.gather(*(caller.ended for caller in callers)))
        return whole, sizes, most, sum(caller.bytes for caller in callers)

    # What is made once, whoever calls.
    await streams(range(50), 1)
    await settle(process, admin, None)
    idle, files, tasks = process.resident, process.files, await admin("tierway_tasks")
    whole, sizes, (most_files, in_flight, most_tasks), received = await streams(range(STREAMS), SECONDS)
    assert whole == STREAMS and in_flight == STREAMS, (whole, in_flight)
    third = len(sizes) // 3
    first, last = max(sizes[:third]), max(sizes[2 * third:])
    each = (max(sizes) - idle) / STREAMS
    await settle(process, admin, tasks)
    left_tasks, left_files, after = await admin("tierway_tasks"), process.files, process.resident
    print(f"\n{STREAMS} streams for {SECONDS:.0f} s, a word each {PAUSE:.0f} s, {received / 1e6:.0f} MB received: {each / KIB:.1f} KiB a stream")
    print(f"resident {idle / KIB / KIB:.1f} MiB before, {first / KIB / KIB:.1f} in the first third, {last / KIB / KIB:.1f} in the last, {after / KIB / KIB:.1f} after")
    print(f"files {files} before, {most_files} with all, {left_files} after; tasks {tasks:.0f}, {most_tasks:.0f}, {left_tasks:.0f}; in flight after {await admin('tierway_requests_in_flight'):.0f}")
    assert last - first < 2 * KIB * KIB + first * 0.05, "memory grows"
    assert left_files <= files + 2 and left_tasks <= tasks + 2 and await admin("tierway_requests_in_flight") == 0, "something is left"
    # Two connections with the buffers that hyper gives each, of which most is never touched; what all share is there before the first.
    assert each < 40 * KIB, "a stream costs too much"


async def settle(process, admin, tasks):
    """Kept connections to the provider are let go after a while; ours close from the other side."""
    for stream in list(Model.streams):
        stream.transport.close()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        await asyncio.sleep(0.5)
        if await admin("tierway_requests_in_flight") == 0 and (tasks is None or await admin("tierway_tasks") <= tasks + 2):
            return


@pytest.mark.timeout(SECONDS + 180)
def test_a_stream_costs_little_and_leaves_nothing():
    async def run():
        server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", 0, backlog=8192)
        port = server.sockets[0].getsockname()[1]
        toml = f"""
[server]
max_connections = {STREAMS + 200}
max_in_flight = {STREAMS + 200}
[providers.u]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{port}/v1"
[tiers]
simple = "u:m"
[log]
level = "warn"
"""
        with Gateway(toml) as gateway:
            await soak(gateway)

    asyncio.run(run())
