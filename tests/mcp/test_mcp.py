"""Tools of real servers from npm and PyPI, and of one that misbehaves, run by the gateway for its callers and served at `/mcp`."""
import json
import os
import re
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import anthropic
import claude
import codex
import openai
import pytest
from harness import CACHE, KEY, Gateway, until
from model import Model, text, tool

HERE = Path(__file__).parent
NPM, VENV = CACHE / "mcp/node_modules/.bin", CACHE / "venv-mcp/bin"
pytestmark = pytest.mark.timeout(120)


def configuration(model, folder, extra="", keys=True):
    auth = f'[[keys]]\nkey = "{KEY}"\ntenant = "alice"\n[[keys]]\nkey = "sk-test-bob-0002"\ntenant = "bob"\n[mcp.tenants.bob]\nallow = ["time.*"]\n' if keys else ""
    return f"""
[providers.m]
kind = "anthropic-compatible"
base_url = "{model.url}"
api_key = "x"
[tiers]
simple = "m:m"
medium = "m:m"
complex = "m:m"
reasoning = "m:m"
[cache]
enabled = false
[cascade]
enabled = false
[prices."m:m"]
input = 1
output = 5
[mcp]
serve = true
origins = ["https://good.example:443"]
{extra}
[mcp.servers.time]
command = "{VENV}/mcp-server-time"
args = ["--local-timezone", "UTC"]
[mcp.servers.files]
command = "{NPM}/mcp-server-filesystem"
args = ["{folder}"]
[mcp.servers.everything]
command = "{NPM}/mcp-server-everything"
pass_env = ["GIVEN"]
writes = "allow"
[mcp.servers.faulty]
command = "{sys.executable}"
args = ["{HERE}/faulty.py"]
timeout = "2s"
max_output = "4KiB"
writes = "allow"
{auth}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "note.txt").write_text("The password is swordfish.")
    return folder


@pytest.fixture(scope="module")
def scripted():
    with Model() as model:
        yield model


@pytest.fixture(scope="module")
def gateway(scripted, folder):
    with Gateway(configuration(scripted, folder), GIVEN="given", SECRET_OF_OURS="hidden") as gateway:
        until(lambda: {"time__convert_time", "files__write_file", "everything__get-env", "faulty__who"} <= set(listed(gateway)), 30)
        yield gateway
        assert "panicked" not in gateway.log, gateway.log[-3000:]


@pytest.fixture(autouse=True)
def fresh(scripted):
    scripted.turns.clear()
    scripted.asked.clear()


def sdk(gateway, key=KEY, **headers):
    return anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0, default_headers=headers)


def ask(gateway, said="Please.", stream=False, servers="on", key=KEY, messages=None, **more):
    client = sdk(gateway, key, **{"x-tierway-mcp": servers})
    asked = dict(model="auto", max_tokens=500, messages=messages or [{"role": "user", "content": said}], **more)
    if not stream:
        return client.messages.create(**asked)
    with client.messages.stream(**asked) as events:
        return events.get_final_message()


def rpc(gateway, method, params=None, key=KEY, session=None, **headers):
    """One message of the protocol to `/mcp`; gives status, answer and headers."""
    sent = {"content-type": "application/json", "accept": "application/json, text/event-stream", **headers}
    if key:
        sent["authorization"] = f"Bearer {key}"
    if session:
        sent["mcp-session-id"] = session
    body = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    if not method.startswith("notifications/"):
        body["id"] = 1
    request = urllib.request.Request(gateway.url + "/mcp", json.dumps(body).encode(), sent)
    try:
        with urllib.request.urlopen(request, timeout=30) as res:
            raw = res.read().decode()
            data = [line[5:] for line in raw.splitlines() if line.startswith("data:") and line[5:].strip()] or [raw]
            return res.status, json.loads(data[-1]) if data[-1].strip() else None, res.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def session(gateway, key=KEY):
    status, answer, headers = rpc(gateway, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}, key)
    assert status == 200, answer
    id = headers["mcp-session-id"]
    rpc(gateway, "notifications/initialized", key=key, session=id)
    return id


def listed(gateway, key=KEY):
    _, answer, _ = rpc(gateway, "tools/list", key=key, session=session(gateway, key))
    return [t["name"] for t in answer["result"]["tools"]]


def called(gateway, name, key=KEY, **arguments):
    return rpc(gateway, "tools/call", {"name": name, "arguments": arguments}, key, session(gateway, key))[1]


def ledger(gateway, query):
    rows = []

    def there():
        with sqlite3.connect(Path(gateway.state.name) / "tierway/ledger.db") as base:
            rows[:] = base.execute(query).fetchall()
        return bool(rows)

    until(there, 5)
    return rows


# === run by the gateway

@pytest.mark.parametrize("stream", [False, True])
def test_a_real_tool_answers(gateway, scripted, stream):
    scripted.turns[:] = [[text("Let me see."), tool("mcp__time__convert_time", source_timezone="UTC", time="12:00", target_timezone="Asia/Tokyo")], [text("It is 21:00.")]]
    answer = ask(gateway, stream=stream)
    assert [b.text for b in answer.content] == ["Let me see.", "It is 21:00."] and answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens == 200 and answer.usage.output_tokens == 20
    assert "21:00" in scripted.results()["t1"]
    assert "mcp__files__read_text_file" in {t["name"] for t in scripted.asked[0]["tools"]}


def test_nothing_is_added_for_others(gateway, scripted):
    scripted.turns[:] = [[text("Hello.")]]
    sdk(gateway).messages.create(model="auto", max_tokens=5, messages=[{"role": "user", "content": "Hi."}])
    assert scripted.asked == [], "a request without tools stays one"


def test_the_path_is_enough(gateway, scripted):
    scripted.turns[:] = [[tool("mcp__files__read_text_file", path="note.txt")], [text("Done.")]]
    client = anthropic.Anthropic(base_url=gateway.url + "/tools", api_key=KEY, max_retries=0)
    client.messages.create(model="auto", max_tokens=500, messages=[{"role": "user", "content": "Read."}])
    assert len(scripted.asked) == 2


def test_files_are_read_and_writing_is_asked_for(gateway, scripted, folder):
    path = str(folder / "note.txt")
    scripted.turns[:] = [[tool("mcp__files__read_text_file", path=path), tool("mcp__files__write_file", "t2", path=path, content="gone")], [text("May I?")]]
    ask(gateway)
    results = scripted.results()
    assert "swordfish" in results["t1"]
    word = re.search(r"writing the word (\w+)", results["t2"])[1]
    assert "swordfish" in (folder / "note.txt").read_text()
    scripted.turns[:] = [[tool("mcp__files__write_file", "t3", path=path, content="gone")], [text("Done.")]]
    ask(gateway, f"Yes, {word}.")
    assert (folder / "note.txt").read_text() == "gone", scripted.results()
    (folder / "note.txt").write_text("The password is swordfish.")


def test_mixed_with_the_callers_own(gateway, scripted):
    own = [{"name": "weather", "description": "Tells the weather.", "input_schema": {"type": "object"}}]
    first = [{"role": "user", "content": "Time and weather?"}]
    scripted.turns[:] = [[text("Both."), tool("mcp__time__get_current_time", "g1", timezone="UTC"), tool("weather", "c1")], [text("Noon, rain.")]]
    answer = ask(gateway, messages=first, tools=own, stream=True)
    assert answer.stop_reason == "tool_use" and [b.type for b in answer.content] == ["text", "tool_use"] and answer.content[1].id == "c1"
    content = [b.model_dump(exclude_none=True) for b in answer.content]
    back = [*first, {"role": "assistant", "content": content}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "rain"}]}]
    ask(gateway, messages=back, tools=own)
    assert set(scripted.results()) == {"g1", "c1"}, "the model knows both"
    calls = [b["id"] for b in scripted.asked[-1]["messages"][1]["content"] if b["type"] == "tool_use"]
    assert calls == ["g1", "c1"] and len(scripted.asked[-1]["messages"]) == 3


def test_images_and_the_environment(gateway, scripted):
    scripted.turns[:] = [[tool("mcp__everything__get-tiny-image"), tool("mcp__everything__get-env", "t2")], [text("Seen.")]]
    ask(gateway)
    results = scripted.results()
    assert "[image]" in results["t1"]
    assert "given" in results["t2"] and "hidden" not in results["t2"], "a clean environment"


def test_other_dialects(gateway, scripted):
    call = tool("mcp__time__get_current_time", timezone="UTC")
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0, default_headers={"x-tierway-mcp": "time"})
    scripted.turns[:] = [[text("Hm."), call], [text("Noon.")]]
    chunks = list(client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "?"}], stream=True, stream_options={"include_usage": True}))
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == "Hm.\n\nNoon." and not any(c.choices[0].delta.tool_calls for c in chunks if c.choices)
    assert len({c.id for c in chunks}) == 1 and chunks[-1].usage.prompt_tokens == 200
    scripted.turns[:] = [[text("Hm."), call], [text("Noon.")]]
    whole = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "?"}])
    assert whole.choices[0].message.content == "Hm.\n\nNoon." and whole.choices[0].finish_reason == "stop"
    scripted.turns[:] = [[text("Hm."), call], [text("Noon.")]]
    with client.responses.stream(model="auto", input="?") as events:
        numbers = [e.sequence_number for e in events if hasattr(e, "sequence_number")]
        answer = events.get_final_response()
    assert answer.output_text == "Hm.Noon." and [i.type for i in answer.output] == ["message", "message"]
    assert numbers == sorted(set(numbers)) and answer.usage.input_tokens == 200
    assert "datetime" in scripted.results()["t1"]


def test_everything_is_in_the_ledger(gateway, scripted):
    scripted.turns[:] = [[tool("mcp__time__get_current_time", timezone="UTC")], [text("Noon.")]]
    ask(gateway, "For the ledger.")
    query = "SELECT c.input, c.output, c.cost, c.baseline, r.server, r.tool, r.outcome FROM calls c JOIN tool_runs r ON r.call_id = c.id WHERE c.kind = 'call' ORDER BY c.at DESC, c.id DESC LIMIT 1"
    (row,) = ledger(gateway, query)
    # Both rounds are paid for: 200 tokens at 1 USD and 20 at 5 USD a million.
    assert row == (200, 20, 300_000_000, 300_000_000, "time", "get_current_time", "ok"), row
    assert gateway.total("tierway_tool_runs_total", server="time", outcome="ok") >= 1


def test_a_stream_shows_signs_of_life_while_a_tool_runs(scripted, folder):
    with Gateway(configuration(scripted, folder, '[server]\nkeep_alive = "300ms"'), GIVEN="given") as gateway:
        until(lambda: "everything__trigger-long-running-operation" in listed(gateway), 30)
        scripted.turns[:] = [[text("Let me see."), tool("mcp__everything__trigger-long-running-operation", duration=2, steps=1)], [text("Done.")]]
        with sdk(gateway, **{"x-tierway-mcp": "on"}).messages.with_streaming_response.create(model="auto", max_tokens=500, stream=True, messages=[{"role": "user", "content": "Wait."}]) as answer:
            events = [line[7:] for line in answer.iter_lines() if line.startswith("event: ")]
        assert "completed" in scripted.results()["t1"]
    first, last = (n for n, name in enumerate(events) if name == "content_block_delta")
    # Two seconds are six pauses; a busy machine may show fewer.
    assert events[first:last].count("ping") >= 3 and events.count("message_start") == events.count("message_stop") == 1, events


# === faults

def test_a_server_that_dies_comes_back(gateway, scripted):
    scripted.turns[:] = [[tool("mcp__faulty__die")], [text("Oh.")]]
    ask(gateway)
    assert "went away" in scripted.results()["t1"]
    scripted.turns[:] = [[tool("mcp__faulty__who")], [text("Good.")]]
    ask(gateway)
    assert scripted.results()["t1"].isdigit(), scripted.results()
    until(lambda: "its last words: I am dying" in gateway.log, 30)


def test_a_server_that_hangs_floods_or_babbles(gateway, scripted):
    memory = resident(gateway)
    # The server does one thing after the other, and each call has two seconds: what is to be answered does not stand behind the flood.
    rounds = [["hang", "flood", "noise", "garbage"], ["big"]]
    scripted.turns[:] = [*([tool(f"mcp__faulty__{name}", name) for name in names] for names in rounds), [text("Well.")]]
    began = time.monotonic()
    answer = ask(gateway, stream=True)
    assert time.monotonic() - began < 20 and answer.content[-1].text == "Well."
    results = scripted.results()
    assert "did not answer within 2 s" in results["hang"], results
    assert "did not answer within" in results["flood"] or "went away" in results["flood"]
    assert len(results["big"]) <= 4096 and results["big"].startswith("begin y") and results["big"].endswith(" end") and "left out" in results["big"]
    assert resident(gateway) - memory < 64 << 20, "64 MB in a line are not held"
    scripted.turns[:] = [[tool("mcp__faulty__who")], [text("Good.")]]
    ask(gateway)
    assert scripted.results()["t1"].isdigit(), "and it is usable thereafter"


def resident(gateway):
    pages = Path(f"/proc/{gateway.child.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_a_list_that_changes_is_followed(gateway, scripted):
    scripted.turns[:] = [[tool("mcp__faulty__grow")], [text("More.")]]
    ask(gateway)
    until(lambda: "faulty__more_0" in listed(gateway), 5)


def test_programs_end_with_the_gateway(scripted, folder):
    with Gateway(configuration(scripted, folder), GIVEN="x") as gateway:
        until(lambda: "faulty__who" in listed(gateway), 30)
        child = int(called(gateway, "faulty__who")["result"]["content"][0]["text"])
        began = time.monotonic()
        assert gateway.stop() == 0 and time.monotonic() - began < 5
    until(lambda: not Path(f"/proc/{child}").exists(), 5)


# === /mcp

def test_tools_are_served_by_tenant(gateway):
    alice, bob = listed(gateway), listed(gateway, "sk-test-bob-0002")
    assert {"time__get_current_time", "files__write_file", "explain_route", "usage"} <= set(alice)
    assert set(bob) == {"time__get_current_time", "time__convert_time"}
    answer = called(gateway, "time__get_current_time", timezone="UTC")
    assert "datetime" in answer["result"]["content"][0]["text"]
    refused = called(gateway, "files__read_text_file", key="sk-test-bob-0002", path="note.txt")
    assert "there is no tool" in refused["error"]["message"]
    (row,) = ledger(gateway, "SELECT c.tenant, c.client, r.tool, r.outcome, c.cost FROM calls c JOIN tool_runs r ON r.call_id = c.id WHERE c.kind = 'mcp' AND r.tool = 'get_current_time'")
    assert row == ("alice", "test", "get_current_time", "ok", 0), row


def test_the_gateways_own_tools(gateway):
    route = json.loads(called(gateway, "explain_route", text="Prove that there are infinitely many primes.")["result"]["content"][0]["text"])
    assert "tier" in json.dumps(route)
    used = json.loads(called(gateway, "usage", since="1h")["result"]["content"][0]["text"])
    assert used["total"]["calls"] >= 0 and "groups" in used
    assert called(gateway, "usage", since="soon")["result"]["isError"]


def test_resources_and_prompts(gateway):
    id = session(gateway)
    _, answer, _ = rpc(gateway, "resources/list", session=id)
    uris = [r["uri"] for r in answer["result"]["resources"]]
    assert uris, answer
    _, read, _ = rpc(gateway, "resources/read", {"uri": uris[0]}, session=id)
    assert read["result"]["contents"], read
    _, answer, _ = rpc(gateway, "prompts/list", session=id)
    names = [p["name"] for p in answer["result"]["prompts"]]
    simple = next(n for n in names if n.startswith("everything__simple"))
    _, got, _ = rpc(gateway, "prompts/get", {"name": simple}, session=id)
    assert got["result"]["messages"], got


def test_strangers_stay_outside(gateway, scripted, folder):
    initialize = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    assert rpc(gateway, "initialize", initialize, key=None)[0] == 401
    assert rpc(gateway, "initialize", initialize, origin="https://evil.example")[0] == 403
    assert rpc(gateway, "initialize", initialize, origin="https://good.example")[0] == 200
    with Gateway(configuration(scripted, folder, keys=False), GIVEN="x") as open_gateway:
        assert rpc(open_gateway, "initialize", initialize, key=None)[0] == 200
        assert rpc(open_gateway, "initialize", initialize, key=None, host="evil.example")[0] == 403


def test_claude_code_uses_it(gateway, scripted, tmp_path):
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"gw": {"type": "http", "url": gateway.url + "/mcp", "headers": {"x-api-key": KEY}}}}))
    # It may defer tools; then the name is all that it needs to call one.
    scripted.turns[:] = [[tool("mcp__gw__time__convert_time", source_timezone="UTC", time="12:00", target_timezone="Asia/Tokyo")], [text("It is nine in Tokyo.")]]
    ran = claude.run(tmp_path, gateway.url, KEY, "What time is it?", ("--mcp-config", str(config), "--strict-mcp-config"), ENABLE_TOOL_SEARCH="false")
    assert ran.code == 0 and "nine in Tokyo" in ran.result["result"], ran.told()
    init = next(m for m in ran.messages if m.get("subtype") == "init")
    assert {"name": "gw", "status": "connected"}.items() <= next(s for s in init["mcp_servers"] if s["name"] == "gw").items()
    assert "mcp__gw__usage" in init["tools"]
    assert any("21:00" in t for t in scripted.results().values()), scripted.results()


def test_codex_uses_it(gateway, scripted, tmp_path, monkeypatch):
    if not Path(codex.executable()).exists():
        pytest.skip("Codex is not installed")
    server = f'[mcp_servers.gw]\nurl = "{gateway.url}/mcp"\nbearer_token_env_var = "TIERWAY_KEY"\n'
    monkeypatch.setattr(codex, "CONFIGURATION", codex.CONFIGURATION + server)

    def offered():
        return [t["name"] for t in scripted.asked[0]["tools"]]

    scripted.turns[:] = [[text("It is nine in Tokyo.")]]
    ran = codex.run(tmp_path, gateway.url, KEY, "auto", "What time is it?")
    assert ran.code == 0 and "It is nine in Tokyo." in ran.messages, ran.told()
    assert any("time__convert_time" in name for name in offered()), offered()
