"""Two gateways, one Redis: what one has asked, the other answers; and a Redis that comes and goes costs no call."""
import concurrent.futures
import re
import shutil
import subprocess
import threading
import time

import pytest
from harness import KEY, UPSTREAM_KEY, Gateway, call, configuration, free_port
from test_redis import PASSWORD, Redis, port, redis  # noqa: F401
from upstream import Upstream

OTHER = "sk-test-bob-0004"
EXTRA = f"""[[keys]]
key = "{OTHER}"
tenant = "bob"
[cache]
store = "redis"
ttl = "10m"
[affinity]
enabled = false
[redis]
url_env = "CACHE_URL"
timeout = "250ms"
[prices."o:text-x"]
input = 3
output = 15
"""


@pytest.fixture
def upstream():
    with Upstream(key=UPSTREAM_KEY) as upstream:
        yield upstream


@pytest.fixture
def nodes(redis, upstream):  # noqa: F811
    toml = configuration(upstream.url, extra=EXTRA)
    url = f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0"
    with Gateway(toml, CACHE_URL=url) as a, Gateway(toml, CACHE_URL=url) as b:
        yield a, b
        for node in a, b:
            assert PASSWORD not in node.log and "panicked" not in node.log, node.log[-3000:]


def ask(node, text, key=KEY, path="/v1/chat/completions", cache="max-age=600", **more):
    body = {"model": "o:text-x", "max_tokens": 64, "temperature": 0, "messages": [{"role": "user", "content": text}], **more}
    answer = call(node.url, path, body, {"authorization": f"Bearer {key}", "cache-control": cache})
    assert answer.status == 200, answer.text
    return answer


def status(answer):
    return answer.headers["x-tierway-cache"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_miss_here_is_a_hit_there(nodes, upstream, stream):
    a, b = nodes
    first = ask(a, "one", stream=stream)
    assert status(first) == "miss"
    for node in (b, b, a):
        again = ask(node, "one", stream=stream)
        assert status(again) == "hit" and int(again.headers["age"]) >= 0
        # A hit is the answer that was kept, to the byte: chat streams that do not tell their usage are told anew from the whole.
        assert stream or again.raw == first.raw
    assert status(ask(b, "one", stream=not stream)) == "hit"
    assert status(ask(b, "one", path="/v1/messages", stream=stream)) == "hit"
    assert len(upstream.received("/v1/chat/completions")) == 1


def test_no_tenant_gets_anothers_at_either_node(nodes, upstream):
    a, b = nodes
    ask(a, "mine")
    assert status(ask(b, "mine", key=OTHER)) == "miss"
    assert status(ask(a, "mine", key=OTHER)) == "hit"
    assert len(upstream.received("/v1/chat/completions")) == 2


def test_what_is_kept_has_an_end_and_is_read_by_its_own_key_alone(nodes, upstream, redis):  # noqa: F811
    a, b = nodes
    ask(a, "one")
    ask(a, "two")
    keys = sorted(set(re.findall(r"tierway:cache:[0-9a-f]{64}", redis.ask("KEYS *"))))
    assert len(keys) == 2
    ttl = int(re.findall(r":(\d+)", redis.ask(f"PTTL {keys[0]}"))[0])
    assert 590_000 < ttl <= 600_000
    # Swapped, cut or written over by somebody else they are misses, not answers.
    redis.ask(f"RENAME {keys[0]} x")
    redis.ask(f"RENAME {keys[1]} {keys[0]}")
    redis.ask(f"RENAME x {keys[1]}")
    assert status(ask(b, "one")) == "miss" and status(ask(b, "two")) == "miss"
    url = f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0"
    for damage in ("SETRANGE %s 60 zzzz", "SET %s nonsense", "SET %s TWC1", "DEL %s", "LPUSH %s x"):
        ask(a, "one", cache="no-cache")
        ask(a, "two", cache="no-cache")
        for name in keys:
            redis.ask(f"DEL {name}" if damage.startswith("LPUSH") else "PING")
            redis.ask(damage % name)
        # One that has nothing in its own memory.
        with Gateway(configuration(upstream.url, extra=EXTRA), CACHE_URL=url) as fresh:
            assert status(ask(fresh, "one")) == "miss", damage
            assert "panicked" not in fresh.log
        for name in keys:
            redis.ask(f"DEL {name}")


def test_no_call_fails_while_redis_comes_and_goes(nodes, upstream, port, redis):  # noqa: F811
    a, b = nodes
    done, failed, slowest = [0], [], [0.0]
    end = threading.Event()

    def caller(number):
        turn = 0
        while not end.is_set():
            turn += 1
            start = time.monotonic()
            try:
                # Some ask what was asked before, some anew.
                answer = ask((a, b)[turn % 2], f"load {turn % 7 if turn % 3 else (number, turn)}", stream=turn % 2 == 0)
                assert answer.text.rstrip().endswith(("[DONE]", "}")), answer.text[-100:]
            except Exception as error:  # noqa: BLE001
                failed.append(repr(error))
            slowest[0] = max(slowest[0], time.monotonic() - start)
            done[0] += 1

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for number in range(8):
            pool.submit(caller, number)
        time.sleep(1.5)
        for _ in range(2):
            redis.kill()
            time.sleep(1.5)
            redis = Redis(port)
            time.sleep(2.5)
        end.set()
    with redis:
        assert not failed, failed[:3]
        assert done[0] > 100 and slowest[0] < 5, (done, slowest)
        print(f"{done[0]} calls, none failed, the slowest took {slowest[0]:.2f} s")
        # And it is shared again.
        deadline, shared = time.monotonic() + 15, False
        while not shared and time.monotonic() < deadline:
            text = f"after {time.monotonic()}"
            ask(a, text)
            shared = status(ask(b, text)) == "hit"
        assert shared


def test_metrics_tell_what_is_kept_where(nodes):
    a, b = nodes
    ask(a, "counted")
    ask(a, "counted")
    ask(b, "counted")
    assert (a.total("tierway_cache_total", status="miss"), a.total("tierway_cache_total", status="hit")) == (1, 1)
    assert a.total("tierway_cache_stored_total", store="redis") == a.total("tierway_cache_stored_total", store="memory") == 1
    assert b.total("tierway_cache_stored_total", store="redis") == 0
    for node in nodes:
        assert node.total("tierway_cache_entries", store="memory") == 1 and node.total("tierway_cache_bytes", store="memory") > 500
        assert node.total("tierway_cache_age_seconds_count") == 1
    assert b.total("tierway_saved_usd_total", cause="prompt_cache") >= 0


def test_of_those_who_share_a_call_one_pays_and_the_others_save(nodes, upstream):
    a, _ = nodes
    upstream.delay = 0.3
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: ask(a, "together", stream=True), range(6)))
    assert sorted(map(status, answers)) == ["coalesced"] * 5 + ["miss"]
    assert len({answer.raw for answer in answers}) == 1 and len(upstream.received("/v1/chat/completions")) == 1
    end = time.monotonic() + 5
    while a.total("tierway_cache_total", status="coalesced") < 5 and time.monotonic() < end:
        time.sleep(0.05)
    cost, saved = a.total("tierway_cost_usd_total"), a.total("tierway_saved_usd_total", cause="prompt_cache")
    assert cost > 0 and saved == pytest.approx(5 * cost)
    assert a.total("tierway_baseline_usd_total") == pytest.approx(cost + a.total("tierway_saved_usd_total"))
    assert a.total("tierway_requests_total", outcome="ok") == 6


class Guarded(Redis):
    """A Redis that speaks TLS alone, by a certificate of an authority of its own."""

    def __init__(self, port, folder):  # noqa: F811
        self.authority = folder / "authority.pem"
        names = folder / "names"
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        for line in (
            f"req -x509 -newkey rsa:2048 -nodes -keyout {folder}/authority.key -out {self.authority} -days 2 -subj /CN=authority",
            f"req -newkey rsa:2048 -nodes -keyout {folder}/key.pem -out {folder}/request -subj /CN=localhost",
            f"x509 -req -in {folder}/request -CA {self.authority} -CAkey {folder}/authority.key -CAcreateserial -out {folder}/cert.pem -days 2 -extfile {names}",
        ):
            subprocess.run(["openssl", *line.split()], check=True, capture_output=True, timeout=60)
        self.more = ["--tls-port", str(port), "--tls-cert-file", f"{folder}/cert.pem", "--tls-key-file", f"{folder}/key.pem", "--tls-auth-clients", "no", "--tls-ca-cert-file", str(self.authority)]
        super().__init__(port)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")
def test_by_tls_and_only_whom_it_knows(upstream, tmp_path):
    number = free_port()
    try:
        guarded = Guarded(number, tmp_path)
    except RuntimeError as error:
        pytest.skip(f"this redis-server has no TLS: {error}")
    url = f"rediss://:{PASSWORD}@localhost:{number}/0"
    toml = configuration(upstream.url, extra=EXTRA)
    trusting = {"CACHE_URL": url, "SSL_CERT_FILE": str(guarded.authority)}
    with guarded, Gateway(toml, **trusting) as a, Gateway(toml, **trusting) as b, Gateway(toml, CACHE_URL=url) as stranger:
        deadline, text = time.monotonic() + 15, ""
        while time.monotonic() < deadline:
            text = f"tls {time.monotonic()}"
            ask(a, text)
            if status(ask(b, text)) == "hit":
                break
        else:
            pytest.fail(a.log[-2000:] + b.log[-2000:])
        assert status(ask(stranger, text)) == "miss", "who does not know its authority does not talk to it"
        assert "redis does not answer" in stranger.log
