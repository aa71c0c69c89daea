"""Streams that break, upstreams that fall silent, clients that leave."""
import http.client
import json
import time
import urllib.parse

import grammar
from context import PATHS, Skip, check, text_of, wait_until
from registry import case

FAULTS = ("cutoff", "eof", "garbage")


def broken(t, api, model, seconds=20):
    """A stream that breaks upstream: what the caller gets."""
    answer = t.ask(api, model, stream=True, timeout=seconds)
    return answer, grammar.events(answer.raw) if answer.status == 200 else []


def ended_well(api, events):
    """Whether it claims to be complete."""
    last = events[-1][1] if events else None
    if last == "[DONE]":
        return True
    return isinstance(last, dict) and last.get("type") in ("message_stop", "response.completed")


@case(14, "A stream that is cut, ends early or turns to noise upstream never looks complete")
def a_cut_is_seen(t):
    for api in t.apis:
        for fault in FAULTS:
            answer, events = broken(t, api, f"text-{fault}-x")
            if answer.status != 200:
                continue  # refused as a whole: seen
            text = text_of(api, events)
            whole = text == "Hello from the scripted upstream."
            check(whole or not ended_well(api, events), f"{api} {fault}: {text!r} ends as if it were the answer")


@case(15, "After a failure nothing that was already sent is sent again")
def nothing_twice(t):
    for api in t.apis:
        for fault in ("midfail", "cutoff"):
            _, events = broken(t, api, f"text-{fault}-x")
            text = text_of(api, events)
            check("Hello from the scripted upstream.".startswith(text), f"{api} {fault}: {text!r}")
            starts = [e for _, e in events if isinstance(e, dict) and e.get("type") in ("message_start", "response.created")]
            check(len(starts) <= 1, f"{api} {fault}: {len(starts)} beginnings")


@case(16, "An error in mid-stream reaches the caller as an error event of its API")
def error_event_in_shape(t):
    for api in t.apis:
        answer, events = broken(t, api, "text-midfail-x")
        if answer.status != 200:
            continue
        wrong = grammar.violation(api, answer.raw)
        check(wrong is None, f"{api}: {wrong}")
        last = events[-1][1]
        seen = isinstance(last, dict) and (last.get("type") in ("error", "response.failed") or "error" in last)
        check(seen, f"{api}: it ends in {str(last)[:120]}")
    if t.target.metrics:
        check(t.target.metrics("tierway_requests_total", outcome="upstream_error") + t.target.metrics("tierway_requests_total", outcome="cut") > 0, "metrics count it as a success")


@case(17, "A silent upstream: the caller is kept alive within bounds, then told")
def silence_has_an_end(t):
    if not t.target.idle_seconds:
        raise Skip("no idle timeout can be set")
    t.need("messages")
    began = time.monotonic()
    answer, events = broken(t, "messages", "text-hang-x", t.target.idle_seconds + 8)
    took = time.monotonic() - began
    check(took < t.target.idle_seconds + 5, f"{took:.0f} s")
    check(answer.status != 200 or not ended_well("messages", events), "silence looks like an answer")
    if answer.status != 200:
        check(answer.json.get("type") == "error", f"it says {answer.text[:200]}")


@case(18, "A caller that leaves a stream ends it upstream within 3 seconds")
def leaving_is_noticed(t):
    for api in t.apis:
        body = t.body(api, "text-long-slow-x", stream=True)
        before = t.script.left
        connection, response = t.open(PATHS[api], body, t.headers(api))
        check(response.status == 200, f"{api}: {response.status}")
        response.read1(10)
        connection.close()
        response.close()
        check(wait_until(lambda: t.script.left > before, 3), f"{api}: the upstream still writes after 3 s")


@case(21, "Whoever is asked is billed: an answer that is thrown away too")
def losers_are_billed(t):
    if not t.target.metrics or t.format != "o":
        raise Skip("it has no second attempt whose cost could be read")
    with t.target.variant("[cascade]\nenabled = true\n[cache]\nenabled = false\n", simple="o:empty-small", medium="o:text-medium", complex="o:text-big") as other:
        context = type(t)(other, t.script, t.format)
        answer = context.post("/v1/chat/completions", {"model": "tierway/medium", "messages": [{"role": "user", "content": "Say hello"}]}, context.headers("chat"))
        check(answer.status == 200 and answer.headers.get("x-tierway-cascade", "").startswith("deferred"), f"{answer.status} {answer.headers.get('x-tierway-cascade')}")
        asked = len(t.script.received("/chat/completions"))
        check(asked == 2, f"{asked} calls")
        check(wait_until(lambda: other.metrics("tierway_tokens_total", role="draft") + other.metrics("tierway_tokens_total", role="small") > 0, 2), "the draft's tokens are not counted")


@case(40, "A caller that leaves before the answer begins ends the call upstream, and the answer names the model")
def leaving_while_waiting(t):
    api = t.apis[0]
    body = t.body(api, "text-hang-x", stream=True)
    headers = t.headers(api)
    before = t.script.left
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(t.target.url).netloc, timeout=5)
    connection.request("POST", PATHS[api], json.dumps(body), headers)
    check(wait_until(lambda: t.script.last() is not None, 5), "nothing reached the upstream")
    connection.close()
    check(wait_until(lambda: t.script.left > before, 3), "the upstream is still asked after 3 s")
    answer = t.ask(api)
    told = [name for name in answer.headers if "model" in name]
    check(told or answer.json.get("model", "").endswith("text-x"), "neither a header nor `model` names who answered")
