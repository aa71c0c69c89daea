"""Virtual keys over two gateways that share a Redis and a place for keys: what one ends, the other refuses within a quarter of a second."""

import pytest
from harness import UPSTREAM_KEY, Gateway, call, configuration, until
from test_limits import BODY, port, redis  # noqa: F401 (fixtures)
from test_redis import PASSWORD
from upstream import Upstream

TOKEN = "an-admin-credential-of-tests"
ADMIN = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def nodes(redis, tmp_path):  # noqa: F811
    extra = f"""[cache]
enabled = false
[affinity]
enabled = false
[redis]
url_env = "CACHE_URL"
timeout = "500ms"
[limits]
store = "redis"
[admin]
token = "{TOKEN}"
[access]
file = "{tmp_path}/access.db"
"""
    url = f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0"
    with Upstream(key=UPSTREAM_KEY) as upstream:
        toml = configuration(upstream.url, extra=extra)
        with Gateway(toml, CACHE_URL=url) as a, Gateway(toml, CACHE_URL=url) as b:
            yield a, b


def status(node, key):
    return call(node.url, "/v1/messages", BODY, {"x-api-key": key, "anthropic-version": "2023-06-01"}).status


def test_a_revocation_is_known_everywhere_at_once(nodes):
    a, b = nodes
    took = []
    for _ in range(5):
        made = call(a.admin, "/v1/keys", {"tenant": "web"}, ADMIN)
        assert made.status == 201, made.text
        key, name = made.json["key"], made.json["id"]
        until(lambda: status(b, key) == 200, pause=0.005)
        assert call(a.admin, f"/v1/keys/{name}", None, ADMIN, method="DELETE").status == 200
        assert status(a, key) == 401
        took.append(until(lambda: status(b, key) == 401, pause=0.005))
    print(f"\na revocation was known at the other node after {max(took) * 1000:.0f} ms at most")


def test_a_keys_limit_is_one_limit_over_both(nodes):
    a, b = nodes
    key = call(a.admin, "/v1/keys", {"tenant": "web", "limits": {"requests_per_minute": 10}}, ADMIN).json["key"]
    until(lambda: status(b, key) == 200, pause=0.005)
    statuses = [status(nodes[n % 2], key) for n in range(20)]
    assert 9 <= statuses.count(200) + 1 <= 11, statuses
