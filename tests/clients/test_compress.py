"""Results of tools with fewer tokens: what arrives, and what is said, counted and written down of it."""
import json
import subprocess
import time

import pytest
from harness import KEY, UPSTREAM_KEY, Gateway, binary, call, clean_environment, configuration, direct
from upstream import Upstream

NATIVE = None
pytestmark = pytest.mark.skipif(direct(), reason="the gateway's own")
PRICES = '[prices]\n"a:text-x" = { input = 1.0, output = 2.0 }\n"o:text-x" = { input = 1.0, output = 2.0 }\n[compress]\nenabled = true\n'
ROWS = [{"number": n, "state": "open", "user": {"login": f"user{n}", "bot": False}} for n in range(12)]
PRETTY = json.dumps(ROWS, indent=4)
TABLE = {"$columns": ["number", {"state": "open"}, "user.login", {"user.bot": False}], "$rows": [[n, f"user{n}"] for n in range(12)]}
TOOL = {"name": "list_issues", "description": "lists issues", "input_schema": {"type": "object", "properties": {}}}
FUNCTION = {"name": "list_issues", "description": "lists issues", "parameters": {"type": "object", "properties": {}}}


def messages(model, result):
    return "/v1/messages", {"model": model, "max_tokens": 64, "tools": [TOOL], "messages": [
        {"role": "user", "content": "which are open?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "list_issues", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": result}]}]}


def chat(model, result):
    made = {"id": "call_1", "type": "function", "function": {"name": "list_issues", "arguments": "{}"}}
    return "/v1/chat/completions", {"model": model, "max_tokens": 64, "tools": [{"type": "function", "function": FUNCTION}], "messages": [
        {"role": "user", "content": "which are open?"}, {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "call_1", "content": result}]}


def responses(model, result):
    return "/v1/responses", {"model": model, "max_output_tokens": 64, "tools": [{"type": "function", **FUNCTION}], "input": [
        {"role": "user", "content": "which are open?"}, {"type": "function_call", "call_id": "call_1", "name": "list_issues", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": result}]}


def strings(value):
    """All texts in a body, wherever they stand."""
    if isinstance(value, str):
        return [value]
    return [text for item in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else []) for text in strings(item)]


@pytest.mark.parametrize("shape", [messages, chat, responses])
@pytest.mark.parametrize("format", ["a", "o"])
def test_results_are_made_smaller_on_the_way(shape, format):
    with Upstream(key=UPSTREAM_KEY) as upstream, Gateway(configuration(upstream.url, extra=PRICES)) as gateway:
        path, body = shape(f"{format}:text-x", PRETTY)
        answer = call(gateway.url, path, body, {"authorization": f"Bearer {KEY}"})
        assert answer.status == 200, answer.text
        total, *parts = answer.headers["x-tierway-compressed"].split("; ")
        assert [part.split("=")[0] for part in parts] == ["json", "table"] and sum(int(p.split("=")[1]) for p in parts) == int(total) > 100
        sent = [text for text in strings(upstream.requests[-1].body) if "$columns" in text]
        assert [json.loads(text) for text in sent] == [TABLE]
        for part in parts:
            name, tokens = part.split("=")
            assert gateway.total("tierway_compressed_tokens_total", transformation=name) == int(tokens)
        assert gateway.total("tierway_saved_usd_total", cause="compression") > 0
        assert gateway.logged(1)[-1]["compressed"] == int(total)
        # In the ledger, too, as soon as that is written.
        end = time.monotonic() + 10
        while True:
            export = subprocess.run([binary(), "ledger", "export", "--config", gateway.config], env=clean_environment(XDG_STATE_HOME=gateway.state.name), capture_output=True, text=True, timeout=30)
            rows = [json.loads(row) for row in export.stdout.splitlines()]
            if rows or time.monotonic() > end:
                break
            time.sleep(0.1)
        assert [row["compressed"] for row in rows] == [int(total)], export.stderr
        assert rows[0]["saved_compression"] == int(total) * 1_000_000  # picodollars, at a dollar for a million tokens


def test_nothing_is_touched_unless_it_is_asked_for():
    with Upstream(key=UPSTREAM_KEY) as upstream, Gateway(configuration(upstream.url)) as gateway:
        path, body = messages("a:text-x", PRETTY)
        answer = call(gateway.url, path, body, {"authorization": f"Bearer {KEY}"})
        assert answer.status == 200 and "x-tierway-compressed" not in answer.headers
        assert PRETTY in strings(upstream.requests[-1].body)
