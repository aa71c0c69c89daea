"""Three times the load that can be served: how much is served all the same, and whether the admin port answers meanwhile.

`TIERWAY_OVERLOAD_SECONDS` says for how long, 8 by default."""
import asyncio
import json
import os
import time

import pytest
from harness import Gateway, free_port

PLACES, TAKES = 20, 0.2
PEAK = PLACES / TAKES
BODY = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}).encode()
ANSWER = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode()


async def message(reader):
    """The first line and the body of an HTTP message."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return head.split(b"\r\n")[0], await reader.readexactly(int(length[0]) if length else 0)


async def upstream(reader, writer):
    try:
        while True:
            await message(reader)
            await asyncio.sleep(TAKES)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


class Client:
    """Kept connections to one port."""

    def __init__(self, port):
        self.port, self.idle = port, []

    async def call(self, method, path, body=b""):
        reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"%s %s HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (method, path, len(body)) + body)
        first, _ = await message(reader)
        self.idle.append((reader, writer))
        return int(first.split()[1])


async def run(seconds):
    port = free_port()
    server = await asyncio.start_server(upstream, "127.0.0.1", port)
    toml = f"""
[server]
max_in_flight = {PLACES}
[cache]
enabled = false
[providers.u]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{port}/v1"
[tiers]
simple = "u:m"
"""
    with Gateway(toml) as gateway:
        client, admin = Client(int(gateway.url.rsplit(":", 1)[1])), Client(int(gateway.admin.rsplit(":", 1)[1]))

        async def one(found):
            start = time.monotonic()
            status = await client.call(b"POST", b"/v1/chat/completions", BODY)
            found.append((status, time.monotonic() - start))

        async def worker(found, end):
            while time.monotonic() < end:
                await one(found)

        peak = []
        await asyncio.gather(*(worker(peak, time.monotonic() + seconds / 2) for _ in range(PLACES)))
        peak_rate = sum(status == 200 for status, _ in peak) / (seconds / 2)

        found, waits, tasks = [], [], []

        async def watch(end):
            while time.monotonic() < end:
                start = time.monotonic()
                assert await admin.call(b"GET", b"/healthz") == 200
                waits.append(time.monotonic() - start)
                await asyncio.sleep(0.05)

        begin = time.monotonic()
        watching = asyncio.create_task(watch(begin + seconds))
        count = int(3 * PEAK * seconds)
        for n in range(count):
            delay = begin + n / (3 * PEAK) - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            tasks.append(asyncio.create_task(one(found)))
        offered = time.monotonic() - begin
        await asyncio.gather(watching, *tasks)
    server.close()
    good = sum(status == 200 for status, _ in found)
    shed = sorted(took for status, took in found if status == 503)
    other = {status for status, _ in found} - {200, 503}
    share = good / offered / peak_rate
    print(f"peak {peak_rate:.0f}/s; offered {count / offered:.0f}/s; goodput {good / offered:.0f}/s = {share:.0%} of peak")
    print(f"refused {len(shed)}, half of them within {shed[len(shed) // 2] * 1e3:.1f} ms; admin port: {len(waits)} answers, slowest {max(waits) * 1e3:.1f} ms")
    assert not other, other
    assert share > 0.8 and len(waits) > seconds, "overload is not shed cleanly"


SECONDS = float(os.environ.get("TIERWAY_OVERLOAD_SECONDS", "8"))


@pytest.mark.timeout(3 * SECONDS + 60)
def test_overload_is_shed_and_what_can_be_served_is():
    asyncio.run(run(SECONDS))
