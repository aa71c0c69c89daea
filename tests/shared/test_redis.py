"""Two gateways behind one load balancer: a conversation that one has begun keeps its model at the other, by a real Redis."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
from harness import KEY, UPSTREAM_KEY, Gateway, Process, binary, call, clean_environment, configuration, free_port
from upstream import Upstream

PASSWORD = "pw-of-redis-0003"
HARD = "Refactor the entire ingestion pipeline"


class Redis(Process):
    more = ()

    def __init__(self, port):
        libraries = {"LD_LIBRARY_PATH": os.environ["REDIS_LIBRARIES"]} if "REDIS_LIBRARIES" in os.environ else {}
        command = [shutil.which("redis-server"), "--port", "0" if self.more else str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--requirepass", PASSWORD, *self.more]
        super().__init__(command, clean_environment(**libraries))
        self.port = port
        self.wait_port(port, 10)

    def ask(self, command):
        with socket.create_connection(("127.0.0.1", self.port), 5) as s:
            s.sendall(f"AUTH {PASSWORD}\r\n{command}\r\nQUIT\r\n".encode())
            told = b""
            while piece := s.recv(65536):
                told += piece
        return told.decode()

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait(10)


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture
def redis(port):
    with Redis(port) as redis:
        yield redis


@pytest.fixture
def nodes(redis):
    extra = f'[cache]\nenabled = false\n[affinity]\nstore = "redis"\nttl = "10m"\n[redis]\nurl_env = "CACHE_URL"\n'
    url = f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0"
    with Upstream(key=UPSTREAM_KEY) as upstream:
        toml = configuration(upstream.url, extra=extra)
        with Gateway(toml, CACHE_URL=url) as a, Gateway(toml, CACHE_URL=url) as b:
            yield a, b
            for node in a, b:
                assert PASSWORD not in node.log and "panicked" not in node.log, node.log[-3000:]


def said(node, session, *turns, stream=False):
    """A call whose turns are the user's and the model's by turns."""
    messages = [{"role": "assistant" if n % 2 else "user", "content": text} for n, text in enumerate(turns)]
    body = {"model": "auto", "max_tokens": 64, "messages": messages, "stream": stream}
    start = time.monotonic()
    answer = call(node.url, "/v1/messages", body, {"x-api-key": KEY, "anthropic-version": "2023-06-01", "x-session-id": session})
    assert answer.status == 200, answer.text
    answer.seconds = time.monotonic() - start
    return answer


def is_kept(answer):
    return answer.headers["x-tierway-model"] == "text-big" and answer.headers["x-tierway-reason"].endswith("session:kept")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_session_that_one_began_keeps_its_model_at_the_other(nodes, redis, stream):
    a, b = nodes
    assert said(a, "s1", HARD, stream=stream).headers["x-tierway-model"] == "text-big"
    assert is_kept(said(b, "s1", HARD, "Done.", "thanks"))
    assert said(b, "s2", "thanks").headers["x-tierway-model"] == "text-small"
    # And back, with what the other has learnt.
    assert is_kept(said(a, "s1", HARD, "Done.", "thanks", "Welcome.", "thanks"))


def test_a_result_goes_to_the_model_that_made_the_call_at_whichever_node(nodes):
    a, b = nodes
    used = [{"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}]
    result = [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]
    for n in range(20):
        first, second = (a, b) if n % 2 else (b, a)
        said(first, f"r{n}", HARD, stream=True)
        # At once, and with words that would take it to the small one.
        for node, turns in (second, ["hi", used, result]), (first, ["hi", used, result, used, result]):
            answer = said(node, f"r{n}", *turns, stream=True)
            assert answer.headers["x-tierway-model"] == "text-big", (n, answer.headers["x-tierway-reason"])


def test_what_is_kept_is_small_has_an_end_and_holds_no_word(nodes, redis):
    a, _ = nodes
    said(a, "s1", HARD)
    keys = re.findall(r"tierway:session:[0-9a-f]{32}", redis.ask("KEYS *"))
    assert len(keys) == 1
    told = redis.ask(f"GET {keys[0]}")
    assert "text-big" in told and "Refactor" not in told and "s1" not in told and len(told) < 200
    ttl = int(re.findall(r":(\d+)", redis.ask(f"PTTL {keys[0]}"))[0])
    assert 590_000 < ttl <= 600_000


def test_calls_go_on_without_redis_and_with_it_again(nodes, redis, port):
    a, b = nodes
    said(a, "s1", HARD)
    redis.kill()
    for n in range(10):
        for node in nodes:
            assert said(node, f"t{n}", "thanks").seconds < 5
    # What a node has seen itself it still knows; what the other has, it does not.
    assert is_kept(said(a, "s1", HARD, "Done.", "thanks"))
    assert said(b, "s1", HARD, "Done.", "thanks").headers["x-tierway-model"] == "text-small"
    assert a.log.count("redis does not answer") == 1
    with Redis(port):
        end, n, known = time.monotonic() + 15, 0, False
        while not known and time.monotonic() < end:
            n += 1
            said(a, f"u{n}", HARD)
            known = is_kept(said(b, f"u{n}", HARD, "Done.", "thanks"))
            time.sleep(0.1)
        assert known, a.log[-2000:] + b.log[-2000:]


def test_the_password_is_not_shown(tmp_path):
    file = tmp_path / "tierway.toml"
    toml = configuration("http://127.0.0.1:9", extra=f'[redis]\nurl = "redis://:{PASSWORD}@cache:6379"\n')
    for text, code in [(toml, 0), (toml.replace("redis://", "rdis://"), 2)]:
        file.write_text(text)
        told = subprocess.run([binary(), "check", "--config", str(file)], env=clean_environment(), capture_output=True, text=True, timeout=30)
        assert told.returncode == code or (code and told.returncode), told.stderr
        assert PASSWORD not in told.stdout + told.stderr
        assert "redis.url" in told.stdout + told.stderr or "redis://cache:6379" in told.stdout
