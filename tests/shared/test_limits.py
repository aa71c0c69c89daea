"""Two gateways that keep limits together, by a real Redis: rates within 1 %, budgets within one call a node, and what becomes of them without it."""
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import KEY, UPSTREAM_KEY, Gateway, call, configuration, free_port
from test_redis import PASSWORD, Redis
from upstream import Upstream

BODY = {"model": "a:text-x", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture
def redis(port):
    with Redis(port) as redis:
        yield redis


def two(redis, limits, extra=""):
    """Two gateways whose one tenant has these limits."""
    extra = f"""[cache]
enabled = false
[affinity]
enabled = false
[redis]
url_env = "CACHE_URL"
timeout = "500ms"
[limits]
store = "redis"
{extra}
[tenants.alice.limits]
{limits}
[prices."a:text-x"]
input = 0
output = 100000
"""
    url = f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0"
    upstream = Upstream(key=UPSTREAM_KEY)
    toml = configuration(upstream.url, extra=extra)
    return upstream, Gateway(toml, CACHE_URL=url), Gateway(toml, CACHE_URL=url)


def said(node, body=BODY):
    return call(node.url, "/v1/messages", body, {"x-api-key": KEY, "anthropic-version": "2023-06-01"})


def both(a, b, calls, workers=8):
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda n: said((a, b)[n % 2]), range(calls)))


def test_a_rate_is_one_rate_over_two_nodes(redis):
    upstream, a, b = two(redis, "requests_per_minute = 300")
    with upstream, a, b:
        started = time.monotonic()
        answers = both(a, b, 600)
        took = time.monotonic() - started
        good = sum(answer.status == 200 for answer in answers)
        assert took < 50 and abs(good - 300) <= 3, (good, took)
        refused = next(answer for answer in answers if answer.status == 429)
        assert 5 < int(refused.headers["retry-after"]) <= 61
        print(f"\nadmitted {good} of 600 at 300 a minute over two nodes in {took:.1f} s")
        # What a node is told is what both have used.
        assert redis.ask("KEYS tierway:limit:*").count("tierway:limit:{tenant:alice}") == 4


def test_tokens_and_places_are_counted_together(redis):
    upstream, a, b = two(redis, "concurrent = 2")
    with upstream, a, b:
        slow = {**BODY, "model": "a:text-long-slow-x", "stream": True}
        statuses, threads = [], []
        for n in range(2):
            threads.append(threading.Thread(target=lambda n=n: statuses.append(said((a, b)[n], slow).status)))
            threads[-1].start()
        time.sleep(0.4)
        assert said(a).status == 429 and said(b).status == 429
        for thread in threads:
            thread.join()
        assert statuses == [200, 200]
        end = time.monotonic() + 5
        while said(a).status != 200:
            assert time.monotonic() < end


def test_a_budget_is_overspent_by_one_call_a_node_at_most(redis):
    # A call costs a tenth of a dollar for each token of its answer.
    upstream, a, b = two(redis, "usd_per_day = 4.95")
    with upstream, a, b:
        one = said(a)
        assert one.status == 200
        tokens = one.json["usage"]["output_tokens"]
        price = tokens * 0.1
        answers = both(a, b, 200, workers=16)
        good = 1 + sum(answer.status == 200 for answer in answers)
        # What had to wait for others may come now.
        for node in (a, b) * 20:
            good += said(node).status == 200
        spent = good * price
        print(f"\nspent {spent:.2f} of 4.95 at {price:.2f} a call over two nodes")
        assert 4.95 <= spent <= 4.95 + 2 * price + 1e-9, (spent, price)
        last = said(b)
        assert last.status == 429 and last.headers["x-should-retry"] == "false" and int(last.headers["retry-after"]) <= 86_400
        booked = re.search(r"today\r\n\$\d+\r\n(\d+)", redis.ask("HGETALL tierway:budget:{tenant:alice}"))
        assert abs(int(booked[1]) / 1e9 - spent) < 1e-6


@pytest.mark.parametrize("without, least, most", [("local", 20, 40), ("open", 60, 60), ("closed", 0, 0)])
def test_what_becomes_of_a_rate_without_redis(redis, without, least, most):
    upstream, a, b = two(redis, "requests_per_minute = 20", extra=f'without_redis = "{without}"')
    with upstream, a, b:
        redis.kill()
        answers = both(a, b, 60)
        good = sum(answer.status == 200 for answer in answers)
        assert least <= good <= most, good
        assert all(answer.status in (200, 429) for answer in answers)
