"""Two gateways that tell each other which models fail and what they have learned, by a real Redis."""
import time

import pytest
from harness import UPSTREAM_KEY, Gateway, call, configuration, free_port, until
from test_redis import PASSWORD, Redis
from upstream import Upstream

EXTRA = """[cache]
enabled = false
[affinity]
enabled = false
[retry]
max = 0
[redis]
url_env = "CACHE_URL"
[breaker]
open_for = "20s"
store = "redis"
"""


@pytest.fixture
def redis():
    with Redis(free_port()) as redis:
        yield redis


def said(node, model="tierway/complex"):
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    return call(node.url, "/v1/messages", body, {"authorization": "Bearer sk-test-alice-0001"})


def test_a_model_that_fails_at_one_is_given_one_chance_at_the_other(redis):
    url = f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0"
    with Upstream(key=UPSTREAM_KEY) as upstream:
        toml = configuration(upstream.url, extra=EXTRA).replace('complex = "a:text-big"', 'complex = ["a:e500-first", "o:text-second"]')
        with Gateway(toml, CACHE_URL=url) as a, Gateway(toml, CACHE_URL=url) as b:
            bad = lambda: sum(r.body.get("model") == "e500-first" for r in upstream.requests)
            for _ in range(10):
                assert said(a).headers["x-tierway-model"] == "text-second"
            assert bad() == 5
            until(lambda: "e500-first" in redis.ask("HGETALL tierway:breakers"))
            time.sleep(1.5)
            for _ in range(10):
                assert said(b).headers["x-tierway-model"] == "text-second"
            print(f"\nfailures before the first gateway left the model alone: 5; before the second did: {bad() - 5}")
            assert bad() == 6
            # Without Redis each learns by itself, as before.
            redis.kill()
            assert said(a).headers["x-tierway-model"] == "text-second" and said(b).headers["x-tierway-model"] == "text-second"


def test_what_one_has_learned_the_other_uses_and_after_a_restart_too(redis, tmp_path):
    url = f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0"
    revision = lambda node: node.total("tierway_cascade_model_revision")

    def toml(name):
        files = f'[labels]\nstore = "redis"\n[cascade]\nenabled = true\nmodel = "{tmp_path / name}"\n'
        return configuration(upstream.url, extra=EXTRA + files)

    def learn(name, number):
        """As `tierway calibrate --write` does: a model that keeps drafts of prose from 0.5 on."""
        (tmp_path / "new").write_text(f"tierway-cascade-model 3 100 {number}\n--\nkeep prose 0.5 0.05 0.1")
        (tmp_path / "new").rename(tmp_path / name)

    with Upstream(key=UPSTREAM_KEY) as upstream:
        with Gateway(toml("a"), CACHE_URL=url) as a, Gateway(toml("b"), CACHE_URL=url) as b:
            assert revision(a) == revision(b) == 0
            learn("a", 7)
            until(lambda: revision(a) == 7 and revision(b) == 7)
            assert b.total("tierway_cascade_certified", family="prose") == 1
            learn("b", 8)
            until(lambda: revision(a) == 8)
            # An older one is nobody's.
            learn("a", 3)
            time.sleep(5)
            assert revision(a) == revision(b) == 8
        with Gateway(toml("c"), CACHE_URL=url) as c:
            until(lambda: revision(c) == 8)
            redis.kill()
            time.sleep(3)
            assert revision(c) == 8 and said(c).status == 200
