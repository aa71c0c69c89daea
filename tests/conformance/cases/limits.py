"""Limits that the upstream tells of, and the gateway's own."""
import gc
from pathlib import Path

from context import TOOL, Skip, check
from registry import case
from script import error, with_headers

README = Path(__file__).resolve().parents[3] / "README.md"
UNIFIED = "anthropic-ratelimit-unified-status"


@case(35, "A 429 keeps `retry-after` and `anthropic-ratelimit-*`")
def limits_of_a_refusal(t):
    headers = [("retry-after", "3"), (UNIFIED, "rejected")] if t.format == "a" else [("retry-after", "3")]
    t.script.custom["raw-e429-x"] = error(429, "rate_limit_error", "Slow down", headers)
    for api in t.apis:
        answer = t.ask(api, "raw-e429-x")
        check(answer.status == 429, f"{api}: 429 becomes {answer.status}")
        check(answer.headers.get("retry-after") == "3", f"{api}: retry-after is {answer.headers.get('retry-after')}")
        if t.format == "a" and api == "messages":
            check(answer.headers.get(UNIFIED) == "rejected", f"{UNIFIED} is lost")


@case(36, "Rate-limit headers of an answer reach the caller; the upstream's cookies do not")
def limits_of_an_answer(t):
    name = "anthropic-ratelimit-requests-remaining" if t.format == "a" else "x-ratelimit-remaining-requests"
    t.script.custom["raw-limits-x"] = with_headers({name: "41", "set-cookie": "session=secret"})
    api = "messages" if t.format == "a" or "chat" not in t.apis else "chat"
    answer = t.ask(api, "raw-limits-x")
    check(answer.status == 200, f"{answer.status}: {answer.text[:200]}")
    check(answer.headers.get(name) == "41", f"{name} is {answer.headers.get(name)}")
    check("set-cookie" not in answer.headers, "the upstream's set-cookie passes")


@case(37, "An error that is the caller's own does not put the only upstream on a bench")
def no_bench_for_client_errors(t):
    t.script.custom["raw-e404-x"] = error(404, "not_found_error", "no such model")
    t.script.custom["raw-e400-x"] = error(400, "invalid_request_error", "bad")
    api = t.apis[0]
    for model in ("raw-e404-x", "raw-e400-x"):
        for _ in range(3):
            t.ask(api, model)
        del t.script.custom[model]
        t.script.behaviour[model] = "text"
        answer = t.ask(api, model)
        check(answer.status == 200, f"after three {model[4:8]}: {answer.status}: {answer.text[:200]}")


@case(38, "Memory does not grow with the number of large requests")
def no_leak(t):
    if not t.target.pid:
        raise Skip("its process is not ours")
    api, text = t.apis[0], "word " * 40_000

    def resident():
        pages = int(Path(f"/proc/{t.target.pid}/statm").read_text().split()[1])
        return pages * 4096 / 2**20

    def some(count):
        for n in range(count):
            t.ask(api, "text-x", text=f"{n} {text}", stream=bool(n % 2))
            t.script.requests.clear()
        gc.collect()

    some(40)
    before = resident()
    some(80)
    grown = resident() - before
    check(grown < 24, f"{grown:.0f} MiB more after 80 requests of 200 kB (at {before:.0f} MiB)")


@case(39, "A prompt of 200,000 tokens goes through")
def a_large_prompt(t):
    for api in t.apis:
        answer = t.ask(api, "text-x", text="word " * 200_000, timeout=25)
        check(answer.status == 200, f"{api}: {answer.status}: {answer.text[:200]}")
    check(t.script.last() is not None and len(t.script.last().raw) > 1_000_000, "it does not arrive whole")


@case(41, "Cursor: a call from its servers, by another host name and with Anthropic's tool shape on the chat route; the docs say what it needs")
def cursor(t):
    t.need("chat")
    headers = {"host": "gateway.example.com", "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
    answer = t.ask("chat", "tool-x", headers=headers)
    check(answer.status == 200, f"by another host name: {answer.status}: {answer.text[:200]}")
    answer = t.ask("chat", "tool-x", tools=[TOOL["messages"]])
    check(answer.status == 200, f"tools in Anthropic's shape: {answer.status}: {answer.text[:200]}")
    if t.target.routes:
        said = " ".join(README.read_text().split())
        check("Cursor" in said and "public HTTPS" in said, "README does not say that Cursor needs a public HTTPS address")
