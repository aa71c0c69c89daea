"""The program itself: how it starts, what it tells, how it stops."""
import http.client
import json
import os
import re
import signal
import subprocess
import time
import urllib.parse

import pytest
from harness import KEY, UPSTREAM_KEY, Gateway, binary, call, clean_environment, configuration, direct, free_port

NATIVE = None
pytestmark = pytest.mark.skipif(direct(), reason="the gateway's own")
HI = {"model": "auto", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
VERSION = {"anthropic-version": "2023-06-01", "x-api-key": KEY}


def tierway(*arguments, **environment):
    return subprocess.run([binary(), *arguments], env=clean_environment(**environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


def test_streams_finish_when_it_is_told_to_stop(scripted):
    with Gateway(configuration(scripted.url)) as gateway:
        address = urllib.parse.urlsplit(gateway.url).netloc
        connection = http.client.HTTPConnection(address, timeout=30)
        connection.request("POST", "/v1/messages", json.dumps({**HI, "model": "a:text-slow", "stream": True}), {**VERSION, "content-type": "application/json"})
        answer = connection.getresponse()
        first = answer.read1(200)
        gateway.child.send_signal(signal.SIGTERM)
        rest = answer.read()
        assert b"message_start" in first + rest and b"message_stop" in rest
        connection.close()
        assert gateway.child.wait(15) == 0
        with pytest.raises(OSError):
            call(gateway.url, "/")


def test_it_stops_at_once_when_idle(scripted):
    with Gateway(configuration(scripted.url)) as gateway:
        assert call(gateway.url, "/v1/messages", HI, VERSION).status == 200
        gateway.child.send_signal(signal.SIGINT)
        assert gateway.child.wait(5) == 0


def test_without_configuration_it_answers_with_demo_models():
    with Gateway() as gateway:
        answer = call(gateway.url, "/v1/chat/completions", HI)
        if "demo" not in answer.headers["x-tierway-model"]:
            pytest.skip("a model server runs on this machine")
        assert answer.status == 200 and "demo" in answer.json["choices"][0]["message"]["content"].lower()
        assert "ANTHROPIC_BASE_URL" in gateway.log
        assert call(gateway.admin, "/healthz").status == 200 and call(gateway.admin, "/readyz").status == 200


def test_the_environment_of_the_system_it_replaces(scripted):
    tiers = {f"TIER_{t}": f"llamacpp:text-{t.lower()}" for t in ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")}
    scripted.key = None
    try:
        with Gateway(LLAMACPP_ENDPOINT=scripted.url, **tiers) as gateway:
            answer = call(gateway.url, "/v1/chat/completions", HI)
            assert answer.status == 200 and answer.headers["x-tierway-provider"] == "llamacpp"
            assert "text-simple" in answer.headers["x-tierway-model"]
    finally:
        scripted.key = UPSTREAM_KEY


def test_check_shows_what_it_understood_and_no_secret(scripted, tmp_path):
    file = tmp_path / "tierway.toml"
    file.write_text(configuration(scripted.url))
    told = tierway("check", "--config", str(file))
    assert told.returncode == 0, told.stderr
    assert "text-small" in told.stdout and scripted.url.split("//")[1] in told.stdout
    assert KEY not in told.stdout + told.stderr and UPSTREAM_KEY not in told.stdout + told.stderr


@pytest.mark.parametrize(
    "change,line,words",
    [
        ('\n[cascade]\nenabeld = true\n', "enabeld", ["enabeld", "enabled"]),
        ('\n[cascade]\nthreshold = "high"\n', "threshold", ["threshold"]),
        ('\n[cache]\nttl = "soon"\n', "ttl", ["ttl"]),
        ('\n[cache]\nmax_bytes = "lots"\n', "max_bytes", ["max_bytes"]),
        ("\n[unheard]\nof = 1\n", "[unheard]", ["unheard"]),
        ('\n[providers.z]\nkind = "antropic"\n', "antropic", ["antropic", "anthropic"]),
    ],
    ids=lambda v: v if isinstance(v, str) and "\n" not in v else None,
)
def test_a_wrong_configuration_is_refused_with_its_line(scripted, tmp_path, change, line, words):
    file = tmp_path / "tierway.toml"
    file.write_text(configuration(scripted.url) + change)
    number = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if line in text)
    told = tierway("check", "--config", str(file))
    output = told.stdout + told.stderr
    assert told.returncode != 0
    assert all(word in output for word in words), output
    assert re.search(rf"\b{number}\b", output), f"line {number} is not named:\n{output}"
    assert KEY not in output and UPSTREAM_KEY not in output
    assert tierway("serve", "--config", str(file), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0").returncode != 0


def test_a_tier_without_its_provider_is_refused(scripted, tmp_path):
    file = tmp_path / "tierway.toml"
    file.write_text(configuration(scripted.url, simple="nobody:model"))
    told = tierway("check", "--config", str(file))
    assert told.returncode != 0 and "nobody" in told.stdout + told.stderr


def test_it_does_not_listen_to_the_world_without_keys(scripted, tmp_path):
    file = tmp_path / "tierway.toml"
    file.write_text(configuration(scripted.url, keys=False))
    told = tierway("serve", "--config", str(file), "--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0")
    assert told.returncode != 0 and "key" in (told.stdout + told.stderr).lower()


def test_the_configuration_is_found_in_the_folder(scripted, tmp_path):
    (tmp_path / "tierway.toml").write_text(configuration(scripted.url))
    told = subprocess.run([binary(), "check"], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=30)
    assert told.returncode == 0 and "text-small" in told.stdout


def test_each_call_is_one_line_of_json_with_its_decision_and_its_cost(scripted):
    extra = '[prices]\n"o:text-small" = { input = 1.0, output = 2.0 }\n[cache]\nenabled = false\n'
    with Gateway(configuration(scripted.url, extra=extra)) as gateway:
        answer = call(gateway.url, "/v1/messages", HI, VERSION)
        call(gateway.url, "/v1/messages", {**HI, "model": "nobody:knows"}, VERSION)
        first, second = gateway.logged(2)
        assert first["request_id"] == answer.headers["x-request-id"] and first["level"] == "INFO"
        told = {name: first[name] for name in ("dialect", "tier", "reason", "tenant", "target", "outcome", "status")}
        assert told == {"dialect": "messages", "tier": "simple", "reason": answer.headers["x-tierway-reason"], "tenant": "alice", "target": "o:text-small", "outcome": "ok", "status": 200}
        usage = answer.json["usage"]
        assert first["cost_usd"] == pytest.approx((usage["input_tokens"] + 2 * usage["output_tokens"]) / 1e6)
        assert second["status"] >= 400 and second["outcome"] != "ok"
        assert "hi" not in {str(value) for value in first.values()}, "a word of the prompt"


@pytest.mark.parametrize("variable,lines", [("RUST_LOG", 0), ("TIERWAY_LOG", 0), (None, 1)])
def test_the_level_of_the_log(scripted, variable, lines):
    # RUST_LOG has the last word; an empty one says nothing.
    environment = {variable: "warn"} if variable else {"RUST_LOG": ""}
    with Gateway(configuration(scripted.url), **environment) as gateway:
        assert call(gateway.url, "/v1/messages", HI, VERSION).status == 200
        gateway.stop()
        assert len(gateway.logged(lines)) == lines


def test_a_level_that_is_none_is_refused(scripted):
    done = tierway("serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", RUST_LOG="tierway=loud")
    assert done.returncode != 0 and "RUST_LOG" in done.stderr


@pytest.mark.parametrize("no_color", ["", "1"])
def test_on_a_terminal_the_log_is_for_people(scripted, no_color, tmp_path):
    file = tmp_path / "tierway.toml"
    file.write_text(configuration(scripted.url))
    port = free_port()
    ours, theirs = os.openpty()
    command = [binary(), "serve", "--config", str(file), "--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0"]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=clean_environment(NO_COLOR=no_color, XDG_STATE_HOME=str(tmp_path)))
    os.close(theirs)
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                assert call(f"http://127.0.0.1:{port}", "/v1/messages", HI, VERSION).status == 200
                break
            except OSError:
                time.sleep(0.05)
        child.send_signal(signal.SIGTERM)
        said = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            said += piece
        child.wait(15)
    finally:
        child.kill()
        os.close(ours)
    text = said.decode()
    assert "INFO" in text and "call" in text and '"message"' not in text, text
    assert ("\x1b[" in text) == (not no_color), text
