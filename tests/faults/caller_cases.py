"""Callers who leave, stall or send nonsense, at every stage of a call, and what of it they, the provider and the ledger see."""
import asyncio
import json
import re

from wire import END, HANG, Caller, Upstream, Wire, call, frame, raw, request

from harness import Gateway

CASES = []


def caller(name, expected, script=None, stream=(False, True)):
    """`play(port, data, upstream, model)` plays the caller and gives what it saw; `script` plays the provider; `stream`: which kinds of answers."""

    def add(play):
        CASES.append({"name": name, "expected": expected, "script": script, "play": play, "stream": stream})
        return play

    return add


def good(w, n):
    return w.good()


def hangs(w, n):
    return [HANG]


def slow(w, n):
    return [w.head(), *[step for piece in w.pieces() for step in (frame(piece), 0.3)], END]


def endless(w, n):
    """A first piece, then words for ever."""
    word = w.events[2] if w.stream else b" "
    return [w.head(), frame(b"".join(w.events[:3]) if w.stream else b" "), *[frame(word), 0.05] * 400]


def torrent(w, n):
    """64 MB as fast as anybody takes them."""
    return [w.head(), frame(b"".join(w.events[:2])), *[frame(w.events[2] * 500)] * (64_000_000 // (500 * len(w.events[2])))]


def api(data):
    return "m" if b"/v1/messages" in data else "c"


async def left(caller, hard=False):
    caller.leave(hard)
    await asyncio.sleep(0.4)
    return "left"


# --- before and while the request is sent


@caller("connects and leaves", ("left", "asked 0", "no row"), stream=(False,))
async def _(port, data, *_):
    return await left(await Caller(port).open())


@caller("leaves within the head", ("left", "asked 0", "no row"), stream=(False,))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data[:40])
    return await left(c)


@caller("stalls within the head", ("408*|nothing", "asked 0", "no row"), stream=(False,))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data[:40])
    return (await c.read(5)).told(api(data), False)


@caller("drips its head a byte at a time", ("408*|nothing", "asked 0", "no row"), stream=(False,))
async def _(port, data, *_):
    c = await Caller(port).open()
    for n in range(25):
        await c.send(data[n : n + 1])
        await asyncio.sleep(0.1)
    return (await c.read(5)).told(api(data), False)


@caller("leaves within the body", ("left", "asked 0", "cancelled|client_error"))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data[:-9])
    await asyncio.sleep(0.1)
    return await left(c)


@caller("resets within the body", ("left", "asked 0", "cancelled|client_error"))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data[:-9])
    await asyncio.sleep(0.1)
    return await left(c, hard=True)


@caller("stalls within the body", ("408 error", "asked 0", "client_error"))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data[:-9])
    return (await c.read(5)).told(api(data), False)


@caller("ends the body early", ("400 error|nothing", "asked 0", "cancelled|client_error"))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data[:-9])
    c.writer.write_eof()
    return (await c.read(5)).told(api(data), False)


@caller("sends a body in chunks and breaks one", ("400 error|nothing|400 *", "asked 0", "client_error|cancelled|no row"))
async def _(port, data, upstream, model):
    head = raw("/v1/messages" if api(data) == "m" else "/v1/chat/completions", b"", "transfer-encoding: chunked", name=model)
    c = await Caller(port).open()
    await c.send(head + b"5\r\n{\"mod\r\nzz\r\n")
    return (await c.read(5)).told(api(data), False)


# --- while it waits


@caller("leaves before the head of the answer", ("left", "asked 1, left 1", "cancelled: cancelled"), hangs)
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data)
    await asyncio.sleep(0.3)
    return await left(c)


@caller("resets before the head of the answer", ("left", "asked 1, left 1", "cancelled: cancelled"), hangs)
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data)
    await asyncio.sleep(0.3)
    return await left(c, hard=True)


@caller("leaves while a call waits to be made again", ("left", "asked 1", "cancelled: status"), lambda w, n: w.refusal(503, b"retry-after: 2"))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data)
    await asyncio.sleep(0.5)
    told = await left(c)
    await asyncio.sleep(2.2)
    return told


@caller("has no more time than it says", ("504 error", "asked 1, left 1", "upstream_error: cancelled"), hangs)
async def _(port, data, *_):
    return (await call(port, data.replace(b"host: gateway", b"host: gateway\r\nx-tierway-deadline-ms: 300"))).told(api(data), False)


# --- while it is answered


@caller("leaves after the head", ("left", "asked 1, left 1", "cancelled: cancelled"), endless, stream=(True,))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data)
    await c.head()
    return await left(c)


@caller("leaves in the middle", ("left", "asked 1, left 1", "cancelled: cancelled"), endless, stream=(True,))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data)
    await c.head()
    await c.piece()
    return await left(c)


@caller("resets in the middle", ("left", "asked 1, left 1", "cancelled: cancelled"), endless, stream=(True,))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data)
    await c.head()
    await c.piece()
    return await left(c, hard=True)


@caller("leaves in the middle of what is gathered", ("left", "asked 1, left 1", "cancelled: cancelled"), endless, stream=(False,))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data)
    await asyncio.sleep(0.4)
    return await left(c)


@caller("leaves after the last byte", ("left after all", "asked 1", "ok: complete"), good)
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data.replace(b"connection: close\r\n", b""))
    await c.head()
    while await c.piece() is not None:
        pass
    await left(c, hard=True)
    return "left after all"


@caller("leaves at the last event, before the end of the body", ("left after all", "asked 1*", "ok: complete|cancelled: complete"), lambda w, n: [w.head(), *(frame(p) for p in w.pieces()), 1, END], stream=(True,))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data)
    await c.head()
    while not re.search(rb"message_stop|\[DONE\]", c.saw.body):
        await c.piece()
    await left(c)
    return "left after all"


# Whoever closes his side has left, as far as anybody can tell: an answer that nobody reads would cost what a read one does.
@caller("closes its side and waits for the answer", ("nothing", "asked *", "no row|cancelled*"), slow)
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data)
    c.writer.write_eof()
    return (await c.read(5)).told(api(data), b'"stream": true' in data)


@caller("does not read, and leaves", ("held back, left", "asked 1, left 1", "cancelled: cancelled"), torrent, stream=(True,))
async def _(port, data, upstream, model):
    c = await Caller(port).open(buffer=8192)
    await c.send(data)
    await asyncio.sleep(1.5)
    sent = upstream.sent[model]
    # What is on its way lies in the buffers of four sockets, and not in the gateway.
    held = "held back" if sent < 16_000_000 else f"swallowed {sent}"
    await left(c)
    return f"{held}, left"


@caller("reads slowly", ("200 *", "asked 1", "ok: complete"), lambda w, n: [w.head(), frame(b"".join(w.events[:2])), *[frame(w.events[2] * 100)] * 100, *(frame(e) for e in w.events[2:]), END], stream=(True,))
async def _(port, data, *_):
    c = await Caller(port).open(buffer=8192)
    await c.send(data)
    await c.head()
    for _ in range(20):
        await c.piece()
        await asyncio.sleep(0.05)
    saw = await c.read(15)
    return f"{saw.status} {saw.ended}"


@caller("asks twice on one connection at once", ("200 200", "asked 2", "ok: complete"), good, stream=(False,))
async def _(port, data, *_):
    c = await Caller(port).open()
    await c.send(data.replace(b"connection: close\r\n", b"") + data)
    await c.head()
    while await c.piece():
        pass
    first, c.saw.body = c.saw.status, b""
    await c.head()
    while await c.piece():
        pass
    c.leave()
    return f"{first} {c.saw.status}"


# --- what it sends


def sends(name, expected, make, asked="asked 0", ledger="client_error"):
    @caller(name, (expected, asked, ledger), good, stream=(False,))
    async def _(port, data, upstream, model):
        return (await call(port, make(data, model, "/v1/messages" if api(data) == "m" else "/v1/chat/completions"))).told(api(data), False)


def deep(count):
    return b'{"model": "x", "messages": ' + b"[" * count + b"]" * count + b"}"


sends("two lengths", "400*|nothing", lambda data, name, path: raw(path, b"{}", "content-length: 2", "content-length: 3", name=name), ledger="no row")
sends("a length and chunks", "400*|nothing", lambda data, name, path: raw(path, b"0\r\n\r\n", "content-length: 5", "transfer-encoding: chunked", name=name), ledger="no row|client_error")
sends("a head that is garbage", "400*|nothing", lambda data, name, path: b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", ledger="no row")
sends("a head of 100 kB", "431*", lambda data, name, path: raw(path, b"{}", "x-pad: " + "y" * 100_000, name=name), ledger="no row|client_error")
sends("300 fields", "431*", lambda data, name, path: raw(path, b"{}", *(f"x-{n}: y" for n in range(300)), name=name), ledger="no row|client_error")
sends("a body that is no JSON", "400 error", lambda data, name, path: raw(path, b"hello", name=name))
sends("a body that is not UTF-8", "400 error", lambda data, name, path: raw(path, data.split(b"\r\n\r\n", 1)[1].replace(b"hi", b"\xff\xfe"), name=name))
sends("half a UTF-8 character at its end", "400 error", lambda data, name, path: raw(path, data.split(b"\r\n\r\n", 1)[1].replace(b"hi", b"\xe4\xb8"), name=name))
sends("no body", "400 error", lambda data, name, path: raw(path, b"", name=name))
sends("100,000 levels of JSON", "400 error", lambda data, name, path: raw(path, deep(100_000), name=name))
sends("a body that is too large by its length", "413 error", lambda data, name, path: raw(path, b"{", length=1 << 33, name=name))
sends("a compressed body", "415 error", lambda data, name, path: raw(path, b"\x1f\x8b", "content-encoding: gzip", name=name))
sends("expects to be told to go on", "200 whole", lambda data, name, path: data.replace(b"host: gateway", b"host: gateway\r\nexpect: 100-continue"), asked="asked 1", ledger="ok: complete")
sends("a deadline that is none", "400 error", lambda data, name, path: data.replace(b"host: gateway", b"host: gateway\r\nx-tierway-deadline-ms: soon"))


async def run(results, wanted, providers, settings, Rows):
    upstream = Upstream()
    port = await upstream.start()
    chosen = [case for case in CASES if not wanted or any(word in case["name"] for word in wanted)]
    if not chosen:
        return
    with Gateway(providers({"main": ("http", port)}) + settings) as gateway:
        at, seen = int(gateway.url.rsplit(":", 1)[1]), []

        async def one(n, case, stream, combination):
            caller_api, _, dialect = combination.partition(">")
            wire, model = Wire(dialect, stream), f"caller{n}-{caller_api}{dialect}-{'stream' if stream else 'whole'}"
            upstream.scripts[model] = lambda number: (case["script"] or good)(wire, number)
            data = request(caller_api, f"{dialect}-main:{model}", stream, name=model)
            try:
                told = await asyncio.wait_for(case["play"](at, data, upstream, model), 25)
            except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
                told = type(error).__name__
            seen.append((n, case, stream, combination, model, told))

        await asyncio.gather(*(one(n, case, stream, combination) for n, case in enumerate(chosen) for stream in case["stream"] for combination in ("c>o", "m>a")))
        await asyncio.sleep(1.5)
        rows = await Rows(gateway.state.name).of([], 1)
        for n, case, stream, combination, model, told in sorted(seen, key=lambda one: (one[0], one[2], one[3])):
            results.add(case["name"], f"{'stream' if stream else 'whole'} {combination}", case["expected"], (told, upstream.told(model), rows.get(model, "no row")))
        # Whatever became of them, nobody holds a place any more.
        left = gateway.total("tierway_requests_in_flight")
        results.add("after all of these callers", "- -", ("0 in flight", "", ""), (f"{left:.0f} in flight", "", ""))
        if "panicked" in gateway.log:
            results.failed.append("the gateway panicked:\n" + gateway.log[-3000:])
