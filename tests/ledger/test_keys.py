"""Virtual keys and sign-ins of two gateways that share a PostgreSQL, and budgets that outlive both."""
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from harness import UPSTREAM_KEY, Gateway, binary, call, configuration, until
from test_ledger import postgres, state  # noqa: F401 (fixtures)
from upstream import Upstream

PASSWORD = "correct horse battery"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def keys(gateway, url, *arguments, text=None):
    command = [binary(), "keys", *arguments, "--config", gateway.config]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, env={"LEDGER_URL": url, "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def form(url, **fields):
    request = urllib.request.Request(url, urllib.parse.urlencode(fields).encode(), {"sec-fetch-site": "same-origin"})
    try:
        answer = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as no:
        answer = no
    text = answer.read().decode()
    return json.loads(text) if text.startswith("{") else text


def status(node, key):
    body = {"model": "a:text-x", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}
    return call(node.url, "/v1/messages", body, {"x-api-key": key, "anthropic-version": "2023-06-01"})


def test_two_nodes_of_one_postgresql(postgres):  # noqa: F811
    hashed = subprocess.run([binary(), "keys", "password"], input=PASSWORD, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    extra = f"""
[ledger]
url_env = "LEDGER_URL"
[cache]
enabled = false
[affinity]
enabled = false
[prices."a:text-x"]
input = 0
output = 1000000
[sign_in]
enabled = true
[sign_in.users.ann]
password_hash = '{hashed}'
"""
    with Upstream(key=UPSTREAM_KEY) as upstream:
        toml = configuration(upstream.url, extra=extra)
        with Gateway(toml, LEDGER_URL=postgres.url) as a, Gateway(toml, LEDGER_URL=postgres.url) as b:
            key = keys(a, postgres.url, "create", "--tenant", "web")
            took = [until(lambda node=node: status(node, key).status == 200) for node in (a, b)]
            name = key.split("-")[2]
            told = json.loads(keys(a, postgres.url, "set", name, "--name", "build", "--usd-total", "5", "--tags", "a, b", "--concurrent", "none", "--expires", "90d"))
            assert (told["name"], told["limits"], told["tags"], told["tenant"]) == ("build", {"usd_total": 5.0}, ["a", "b"], "web") and told["expires"]
            told = json.loads(keys(a, postgres.url, "set", name, "--usd-total", "none", "--tags", "none", "--expires", "none"))
            assert (told["name"], told["limits"], told["expires"]) == ("build", {}, None) and "tags" not in told
            keys(a, postgres.url, "revoke", name)
            took += [until(lambda node=node: status(node, key).status == 401) for node in (a, b)]
            print(f"\na change was known at both nodes after {max(took):.2f} s at most")
            assert max(took) < 2
            # A sign-in begins at one node, is approved at the other, and ends at the first.
            begun = form(a.url + "/oauth/device_authorization")
            page = form(b.url + "/device", user_code=begun["user_code"], username="ann", password=PASSWORD, do="approve")
            assert "Signed in" in page, page
            token = form(a.url + "/oauth/token", grant_type=DEVICE, device_code=begun["device_code"])["access_token"]
            assert [status(node, token).status for node in (a, b)] == [200, 200]
            # A budget is spent, and stays so.
            key = keys(a, postgres.url, "create", "--tenant", "web", "--usd-total", "30")
            until(lambda: status(a, key).status == 200)
            while (last := status(a, key)).status == 200:
                pass
            assert "spent its budget" in last.text
        with Gateway(toml, LEDGER_URL=postgres.url) as again:
            assert status(again, key).status == 429 and "spent its budget" in status(again, key).text
