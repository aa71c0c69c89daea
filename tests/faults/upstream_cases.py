"""What a provider may do wrong, and what of it a caller, the provider and the ledger see.

A script is called with the pieces of a good answer (`Wire`) and the number of the request, and gives steps: see `wire.Upstream`. What is
expected stands beside it, for whole answers and for streams: (caller, provider, ledger). One that is None makes no sense there."""
import json

from wire import CLOSE, DRAIN, END, HANG, RESET, TEXT, UNREAD, chat_whole, frame, messages_whole

CASES = []
NOTHING_ASKED = "asked 0"
GOOD = ("200 whole", "asked 1", "ok: complete")
STREAMED = ("200 stream", "asked 1", "ok: complete")


def fault(name, whole=None, stream=None, provider=None, extra=None, only=None, **body):
    """`provider`: another than the one that plays scripts; `extra`: headers of the request; `only`: some of the combinations of dialects."""

    def add(script):
        CASES.append({"name": name, "script": script, "whole": whole, "stream": stream, "provider": provider, "headers": extra or (), "only": only, "body": body})
        return script

    return add


BROKEN = ("502 error", "asked 2*", "upstream_error: failed failed")
BROKEN_ONCE = ("502 error", "asked 1", "upstream_error: failed")
LATE = ("504 error", "asked 1, left 1", "upstream_error: failed")
CUT = ("200 stream, error", "asked 1*", "cut: failed")


# --- before the head

fault("refuses connections", ("502 error", NOTHING_ASKED, "upstream_error: failed failed"), ("502 error", NOTHING_ASKED, "upstream_error: failed failed"), provider="gone")(None)
fault("takes no connection", ("504 error", NOTHING_ASKED, "upstream_error: failed failed"), ("504 error", NOTHING_ASKED, "upstream_error: failed failed"), provider="full")(None)
fault("certificate has expired", ("502 error", NOTHING_ASKED, "upstream_error: failed failed"), ("502 error", NOTHING_ASKED, "upstream_error: failed failed"), provider="expired")(None)
fault("certificate of another host", ("502 error", NOTHING_ASKED, "upstream_error: failed failed"), ("502 error", NOTHING_ASKED, "upstream_error: failed failed"), provider="other")(None)
fault("certificate of nobody we trust", ("502 error", NOTHING_ASKED, "upstream_error: failed failed"), ("502 error", NOTHING_ASKED, "upstream_error: failed failed"), provider="unknown")(None)
fault("speaks no TLS where TLS is meant", ("502 error", NOTHING_ASKED, "upstream_error: failed failed"), ("502 error", NOTHING_ASKED, "upstream_error: failed failed"), provider="plain")(None)
fault("is silent where TLS is meant", ("504 error", NOTHING_ASKED, "upstream_error: failed failed"), ("504 error", NOTHING_ASKED, "upstream_error: failed failed"), provider="silent")(None)
fault("good, over TLS", ("200 whole", "asked 1", "ok: complete"), ("200 stream", "asked 1", "ok: complete"), provider="tls")(lambda w, n: w.good())


@fault("closes without an answer", BROKEN, BROKEN)
def _(w, n):
    return [CLOSE]


@fault("resets without an answer", BROKEN, BROKEN)
def _(w, n):
    return [RESET]


@fault("closes once, then answers", ("200 whole", "asked 2", "ok: failed complete"), ("200 stream", "asked 2", "ok: failed complete"))
def _(w, n):
    return [CLOSE] if n == 1 else w.good()


@fault("hangs before the head", LATE, LATE)
def _(w, n):
    return [HANG]


@fault("hangs within the head", LATE, LATE)
def _(w, n):
    return [w.head()[:30], HANG]


@fault("closes within the head", BROKEN, BROKEN)
def _(w, n):
    return [w.head()[:30], CLOSE]


# Garbage may already lie in the connection that is used for the second attempt.
@fault("sends garbage for a head", ("502 error", "asked *", "upstream_error: failed failed"), ("502 error", "asked *", "upstream_error: failed failed"))
def _(w, n):
    return [b"\x00\x01\x02 garbage\r\n\r\n" * 20, CLOSE]


@fault("sends a head without end", BROKEN, BROKEN)
def _(w, n):
    return [b"HTTP/1.1 200 OK\r\n", *(b"x-%d: %s\r\n" % (i, b"y" * 1000) for i in range(600)), CLOSE]


@fault("sends two lengths", BROKEN, BROKEN)
def _(w, n):
    return [w.head(b"content-length: 7", length=len(w.body)) + w.body]


@fault("sends a length and chunks", GOOD, STREAMED)
def _(w, n):
    return [w.head(b"content-length: 7"), *(frame(piece) for piece in w.pieces()), END]


@fault("sends interim answers first", GOOD, STREAMED)
def _(w, n):
    return [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", *w.good()]


@fault("answers while the request is being sent", ("413 error", "asked 1", "client_error: status"), ("413 error", "asked 1", "client_error: status"), text="x" * 2_000_000)
def _(w, n):
    return [UNREAD, *w.refusal(413, b"connection: close"), DRAIN]


# Hanging up on what is unread resets the connection, which may throw away the answer before it was read.
@fault("answers while the request is being sent and hangs up", ("413 error|502 error", "asked *", "client_error: *status|upstream_error: failed failed"), ("413 error|502 error", "asked *", "client_error: *status|upstream_error: failed failed"), text="x" * 2_000_000)
def _(w, n):
    return [UNREAD, *w.refusal(413, b"connection: close"), CLOSE]


# --- between head and end


@fault("hangs after the head", LATE, LATE)
def _(w, n):
    return [w.head(), HANG]


@fault("hangs between chunks", LATE, ("200 stream, error", "asked 1, left 1", "cut: failed"))
def _(w, n):
    return [w.head(), *(frame(piece) for piece in w.pieces()[:2]), HANG]


@fault("hangs within a chunk", LATE, ("200 stream, error", "asked 1, left 1", "cut: failed"))
def _(w, n):
    return [w.head(), frame(w.pieces()[0]), b"ffff\r\n" + w.pieces()[1][:9], HANG]


@fault("resets between chunks", BROKEN, CUT)
def _(w, n):
    return [w.head(), *(frame(piece) for piece in w.pieces()[:2]), 0.1, RESET]


@fault("resets within a chunk", BROKEN, CUT)
def _(w, n):
    return [w.head(), frame(w.pieces()[0]), b"ffff\r\n" + w.pieces()[1][:9], 0.1, RESET]


@fault("closes within a chunk", BROKEN, CUT)
def _(w, n):
    return [w.head(), frame(w.pieces()[0]), b"ffff\r\n" + w.pieces()[1][:9], CLOSE]


@fault("resets before the first piece", BROKEN, BROKEN)
def _(w, n):
    return [w.head(), 0.1, RESET]


@fault("sends a chunk size that is none", BROKEN, CUT)
def _(w, n):
    return [w.head(), frame(w.pieces()[0]), 0.1, b"zz\r\nwhat\r\n", CLOSE]


@fault("promises more than it sends", BROKEN, STREAMED)
def _(w, n):
    return [w.head(length=len(w.body) + 99) + w.body, CLOSE]


@fault("sends more than it promises", BROKEN_ONCE, CUT)
def _(w, n):
    size = len(w.body) - sum(len(piece) for piece in w.pieces()[-2:])
    return [w.head(length=size) + w.body]


@fault("ends in order in the middle", BROKEN_ONCE, CUT)
def _(w, n):
    return [w.head(), *(frame(piece) for piece in w.pieces()[:2]), END]


@fault("ends in order with nothing", BROKEN_ONCE, BROKEN)
def _(w, n):
    return [w.head(), END]


@fault("length unknown, ends with the connection", GOOD, STREAMED)
def _(w, n):
    return [w.head().replace(b"transfer-encoding: chunked", b"connection: close"), *w.pieces(), CLOSE]


@fault("does not end after its last byte", ("504 error", "asked 1, left 1", "upstream_error: failed"), ("200 stream", "asked 1, left 1", "ok: complete"))
def _(w, n):
    return [w.head(), *(frame(piece) for piece in w.pieces()), HANG]


@fault("resets after its last byte", BROKEN, STREAMED)
def _(w, n):
    return [w.head(), *(frame(piece) for piece in w.pieces()), 0.1, RESET]


@fault("half a UTF-8 character, the rest later", GOOD, STREAMED)
def _(w, n):
    at = w.body.index("ü".encode()) + 1
    return [w.head(), frame(w.body[:at]), 0.1, frame(w.body[at:]), END]


@fault("half a UTF-8 character, and no more", BROKEN, CUT)
def _(w, n):
    return [w.head(), frame(w.body[: w.body.index("世".encode()) + 1]), 0.1, RESET]


@fault("half a UTF-8 character in a text that goes on", BROKEN_ONCE, ("5xx error|200 stream, error", "asked 2|asked 1", "upstream_error: failed failed|cut: failed"))
def _(w, n):
    body = w.body.replace("世".encode(), b"\xe4\xb8")
    return [w.head(length=len(body)) + body]


@fault("one byte at a time", GOOD, STREAMED)
def _(w, n):
    steps = [w.head()]
    for i in range(len(w.body)):
        steps += [frame(w.body[i : i + 1])] + ([0.001] if i % 50 == 0 else [])
    return [*steps, END]


@fault("extensions of chunks and trailers", GOOD, STREAMED)
def _(w, n):
    return [w.head(b"trailer: x-sum"), b"%x;a=b\r\n%s\r\n" % (len(w.body), w.body), b"0\r\nx-sum: 1\r\n\r\n"]


# --- what it says


def statuses():
    every = ("c>o", "m>a", "c>a", "m>o")
    for status, told, ledger in (
        (400, "400 error", "client_error: status"), (401, "401 error", "upstream_error: status"), (403, "403 error", "upstream_error: status"),
        (404, "404 error", "upstream_error: status"), (422, "422 error", "client_error: status"),
    ):
        case = (told, "asked 1", ledger)
        fault(f"answers {status}", case, case, only=every)(lambda w, n, status=status: w.refusal(status))
    for status, told in ((500, "500 error"), (502, "502 error"), (503, "503/529 error"), (529, "503/529 error"), (429, "429 error")):
        case = (told, "asked 2", "upstream_error: status status")
        fault(f"answers {status}", case, case, only=every)(lambda w, n, status=status: w.refusal(status, b"retry-after: 0"))


statuses()


@fault("429, retry-after an hour", ("429 error", "asked 1", "upstream_error: status"), ("429 error", "asked 1", "upstream_error: status"))
def _(w, n):
    return w.refusal(429, b"retry-after: 3600")


@fault("503, retry-after that is none", ("503/529 error", "asked 2", "upstream_error: status status"), ("503/529 error", "asked 2", "upstream_error: status status"))
def _(w, n):
    return w.refusal(503, b"retry-after: \xff soon")


@fault("429 once, then answers", ("200 whole", "asked 2", "ok: status complete"), ("200 stream", "asked 2", "ok: status complete"))
def _(w, n):
    return w.refusal(429, b"retry-after: 0") if n == 1 else w.good()


@fault("an error of 500 that is a page of HTML", ("500 error", "asked 2", "upstream_error: status status"), ("500 error", "asked 2", "upstream_error: status status"))
def _(w, n):
    page = b"<html>" + b"x" * 5000
    return [w.head(status=500, length=len(page), kind="text/html") + page]


@fault("an error of 500 that never ends", ("500 error", "asked 2, left 2", "upstream_error: status status"), ("500 error", "asked 2, left 2", "upstream_error: status status"))
def _(w, n):
    return [w.head(status=500, kind="text/plain"), frame(b"oh"), HANG]


@fault("an error of 400 of 5 MB", ("400 error", "asked 1*", "client_error: status"), ("400 error", "asked 1*", "client_error: status"))
def _(w, n):
    return [w.head(status=400, kind="text/plain"), *[frame(b"x" * 100_000)] * 50, END]


@fault("redirects elsewhere", BROKEN_ONCE, BROKEN_ONCE)
def _(w, n):
    return [b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"]


@fault("204, no content", BROKEN_ONCE, BROKEN)
def _(w, n):
    return [b"HTTP/1.1 204 No Content\r\n\r\n"]


@fault("200, a page of HTML", BROKEN_ONCE, BROKEN_ONCE)
def _(w, n):
    page = b"<html>maintenance</html>"
    return [w.head(length=len(page), kind="text/html") + page]


@fault("200, JSON of another shape", BROKEN_ONCE, None)
def _(w, n):
    return [w.head(), frame(b"[1,null]"), END]


@fault("compressed, though nobody asked", BROKEN_ONCE, BROKEN_ONCE)
def _(w, n):
    return [w.head(b"content-encoding: gzip", length=20) + b"\x1f\x8b" + b"\0" * 18]


@fault("a whole answer for a stream", None, ("200 stream", "asked 1", "ok: complete"))
def _(w, n):
    body = json.dumps((messages_whole if w.dialect == "a" else chat_whole)(TEXT)).encode()
    return [w.head(length=len(body), kind="application/json") + body]


@fault("200 with an error instead of an answer", ("500 error", "asked 2", "upstream_error: status status"), None)
def _(w, n):
    error = w.refusal(500)[0].split(b"\r\n\r\n", 1)[1]
    return [w.head(length=len(error)) + error]


@fault("a usage beyond all measure", GOOD, None)
def _(w, n):
    many = 2**64 - 1
    usage = {"input_tokens": many, "output_tokens": -5} if w.dialect == "a" else {"prompt_tokens": many, "completion_tokens": -5, "total_tokens": many}
    body = json.dumps((messages_whole if w.dialect == "a" else chat_whole)(TEXT, usage), ensure_ascii=False).encode()
    return [w.head(length=len(body)) + body]


@fault("white space without end before a whole answer", ("504 error", "asked 1, left 1", "upstream_error: cancelled"), None, extra=("x-tierway-deadline-ms: 2500",))
def _(w, n):
    return [w.head(), *[frame(b"\n"), 0.1] * 300]


# --- streams


@fault("an error event first", None, ("5xx error", "asked 2", "upstream_error: failed failed"))
def _(w, n):
    return [w.head(), frame(w.error_event()), END]


@fault("an error event in the middle", None, CUT)
def _(w, n):
    return [w.head(), frame(w.pieces()[0]), 0.1, frame(w.error_event()), END]


@fault("an event of noise", None, CUT)
def _(w, n):
    return [w.head(), frame(w.pieces()[0]), 0.1, frame(b"data: {\"half\": \n\n"), *(frame(piece) for piece in w.pieces()[1:]), END]


@fault("pings without end", None, ("200 stream, error", "asked 1, left 1", "cut: cancelled"), extra=("x-tierway-deadline-ms: 2500",))
def _(w, n):
    ping = b"event: ping\ndata: {\"type\": \"ping\"}\n\n" if w.dialect == "a" else b": ping\n\n"
    return [w.head(), frame(w.pieces()[0]), *[frame(ping), 0.05] * 400]


@fault("pings before the first word", None, STREAMED)
def _(w, n):
    ping = b"event: ping\ndata: {\"type\": \"ping\"}\n\n" if w.dialect == "a" else b": ping\n\n"
    return [w.head(), *[frame(ping), 0.4] * 6, *(frame(piece) for piece in w.pieces()), END]


@fault("an event of 1 MB", None, ("200 stream, other text of 1048600", "asked 1", "ok: complete"))
def _(w, n):
    long = w.body.replace(b"well.", b"well." + b"x" * (1_048_600 - len(TEXT)))
    return [w.head(), *(frame(long[i : i + 50_000]) for i in range(0, len(long), 50_000)), END]


@fault("an event of 20 MB", None, ("200 stream, error", "asked 1, left 1", "cut: failed"), only=("c>o", "m>o"))
def _(w, n):
    return [w.head(), frame(w.pieces()[0]), 0.1, *[frame(b"data: " + b"x" * 500_000)] * 100, END]


@fault("lines that end in CR LF, after a byte-order mark", None, STREAMED)
def _(w, n):
    return [w.head(), frame(b"\xef\xbb\xbf" + w.body.replace(b"\n", b"\r\n")), END]


@fault("nothing but [DONE]", None, ("5xx error|200 stream, error", "asked 2|asked 1", "upstream_error: failed failed|cut: failed"), only=("c>o", "m>o"))
def _(w, n):
    return [w.head(), frame(b"data: [DONE]\n\n"), END]


@fault("goes on after its end", None, STREAMED)
def _(w, n):
    return [w.head(), frame(w.body), 0.1, frame(w.pieces()[0]), END]
