"""`tierway mcp login`: a sign-in in a browser at a real server with the official SDK's authorization, and what the gateway does with it."""
import concurrent.futures
import json
import os
import re
import stat
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from harness import CACHE, Gateway, Process, binary, call, clean_environment, free_port, until
from test_mcp import called, rpc

HERE = Path(__file__).parent
PYTHON = CACHE / "venv-mcp/bin/python"
GOOD_FOR = 4
SECRET = re.compile(r"\b(at|rt|code)-[0-9a-f]{32}")
pytestmark = pytest.mark.timeout(120)


class Signed:
    """The server."""

    def __init__(self):
        self.port = free_port()
        self.process = Process([str(PYTHON), str(HERE / "signed.py"), str(self.port), str(GOOD_FOR)])
        self.process.wait_port(self.port, 30)
        self.url = f"http://127.0.0.1:{self.port}"

    def test(self, query=""):
        return call(self.url, f"/test?{query}").json

    def renewed(self):
        return self.test().get("renewed", 0)


@pytest.fixture
def server():
    server = Signed()
    with server.process:
        yield server


def configuration(server, extra=""):
    return f"""
[providers.m]
kind = "anthropic-compatible"
base_url = "http://127.0.0.1:9"
api_key = "x"
[tiers]
simple = "m:m"
medium = "m:m"
complex = "m:m"
reasoning = "m:m"
[mcp]
serve = true
[mcp.servers.tickets]
url = "{server.url}/mcp"
{extra}
"""


class State:
    """A configuration and a state folder for commands, or those of a gateway."""

    def __init__(self, config, state):
        self.config, self.state = config, state
        self.kept = Path(state) / "tierway/mcp/tickets.json"
        self.said = ""

    def start(self, *args, **more):
        environment = clean_environment(XDG_STATE_HOME=str(self.state), **more)
        command = [binary(), "mcp", *args, "--config", str(self.config)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    def run(self, *args):
        child = self.start(*args)
        said, _ = child.communicate(timeout=40)
        self.said += said
        return child.returncode, said

    def login(self, agree, *args):
        """Signs in; `agree` is given the printed address and the child."""
        child = self.start("login", "tickets", *args)
        said = ""
        while "Waiting for" not in said:
            line = child.stdout.readline()
            assert line, said
            said += line
        [url] = re.findall(r"^  (http\S+)$", said, re.M)
        agree(url, child)
        rest, _ = child.communicate(timeout=40)
        self.said += said + rest
        return child.returncode, rest


@pytest.fixture
def state(server, tmp_path):
    config = tmp_path / "tierway.toml"
    config.write_text(configuration(server))
    state = State(config, tmp_path / "state")
    yield state
    assert not SECRET.search(state.said), state.said


def visit(url, child=None):
    """What a browser that goes there ends at: status and page."""
    try:
        with urllib.request.urlopen(url, timeout=10) as res:
            return res.status, res.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def back(url):
    """Where the browser is sent with its code, without going there."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.build_opener(Stay).open(url, timeout=10)
    return error.value.headers["location"]


def listed(gateway):
    initialize = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    _, _, headers = rpc(gateway, "initialize", initialize, key=None)
    id = headers["mcp-session-id"]
    rpc(gateway, "notifications/initialized", key=None, session=id)
    _, answer, _ = rpc(gateway, "tools/list", key=None, session=id)
    return [tool["name"] for tool in answer["result"]["tools"]]


def who(gateway):
    return json.dumps(called(gateway, "tickets__who", key=None))


def doctor(state):
    environment = clean_environment(XDG_STATE_HOME=str(state.state))
    ran = subprocess.run([binary(), "doctor", "--config", str(state.config)], capture_output=True, text=True, env=environment, timeout=60)
    return ran.stdout


CURE = "run `tierway mcp login tickets`"


def test_a_gateway_uses_and_renews_a_sign_in(server):
    with Gateway(configuration(server)) as gateway:
        state = State(gateway.config, gateway.state.name)
        until(lambda: CURE in gateway.log and "it asks for a sign-in" in gateway.log)
        assert "tickets__who" not in listed(gateway)
        told = doctor(state)
        assert "it asks for a sign-in" in told and CURE in told, told
        code, told = state.run("list")
        assert code == 0 and re.search(rf"tickets +{server.url}/mcp +no +it asks for a sign-in: {CURE}", told), told

        pages = []
        code, told = state.login(lambda url, _: pages.append(visit(url)))
        assert (code, told) == (0, "signed in to tickets: 1 tool\n")
        assert pages[0][0] == 200 and "You may close this page" in pages[0][1]
        assert stat.S_IMODE(os.stat(state.kept).st_mode) == 0o600
        until(lambda: "tickets__who" in listed(gateway), 10, "the gateway sees the sign-in without a restart")
        assert "you are alice" in who(gateway)
        _, told = state.run("list")
        assert re.search(r"until \S+Z, then renewed +1$", told), told
        [row] = json.loads(state.run("list", "--json")[1])
        assert row["connected"] and row["sign_in"]["renewed"] and row["sign_in"]["scope"] == "tools"

        # It is renewed before its end, once for all who ask, and what renews is exchanged.
        before = server.renewed()
        first = json.loads(state.kept.read_text())
        until(lambda: "you are alice" in who(gateway) and server.renewed() > before, GOOD_FOR * 2, pause=0.2)
        second = json.loads(state.kept.read_text())
        assert not {first["access_token"], first["refresh_token"]} & {second["access_token"], second["refresh_token"]}
        # A token that the server has forgotten is renewed as well.
        before = server.renewed()
        server.test("forget=1")
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: who(gateway), range(8)))
        assert all("you are alice" in answer for answer in answers), answers
        counts = server.test()
        assert counts["renewed"] == before + 1 and "reused" not in counts, counts

        # A sign-in that was ended elsewhere is told of, and another takes its place.
        server.test("end=1")
        assert "the sign-in has ended" in who(gateway)
        until(lambda: "the sign-in at an MCP server has ended" in gateway.log)
        told = doctor(state)
        assert "the sign-in has ended" in told and CURE in told, told
        assert "ended" in state.run("list")[1]
        assert state.login(visit)[0] == 0
        until(lambda: "you are alice" in who(gateway), 10)

        code, told = state.run("logout", "tickets")
        assert code == 0 and "its tokens are revoked" in told and server.test()["revoked"] > 0, told
        assert not state.kept.exists()
        until(lambda: "it asks for a sign-in" in who(gateway), 10)
        assert state.run("logout", "tickets") == (1, "tierway: nobody has signed in to tickets\n")
        assert "panicked" not in gateway.log
        for text in (gateway.log, state.said, call(gateway.admin, "/metrics").text):
            assert not SECRET.search(text), text


def test_only_the_answer_that_is_waited_for_counts(server, state):
    def agree(url, child):
        answer = back(url)
        at, query = answer.split("?")
        fields = dict(urllib.parse.parse_qsl(query))
        for wrong in (f"{at}?{urllib.parse.urlencode({**fields, 'state': 'x'})}", f"{at}?code={fields['code']}", at):
            status, page = visit(wrong)
            assert status == 400 and "does not belong to" in page
        assert visit(at.replace("/callback", "/"))[0] == 404
        assert not server.test().get("exchanged") and not state.kept.exists()
        assert visit(answer)[0] == 200
        with pytest.raises(OSError):
            urllib.request.urlopen(answer, timeout=5)

    assert state.login(agree)[0] == 0
    assert server.test()["exchanged"] == 1 and state.kept.exists()


def test_the_address_can_be_pasted(server, state):
    def agree(url, child):
        child.stdin.write("nonsense\n\n" + back(url) + "\n")
        child.stdin.flush()

    code, told = state.login(agree, "--no-browser")
    assert code == 0 and "this is not the address" in told and "signed in to tickets: 1 tool" in told, told


def test_who_is_refused_is_told(server, state):
    server.test("deny=1")
    code, told = state.login(visit)
    assert code == 1 and "tickets: access_denied: not you" in told and not state.kept.exists(), told
    code, told = state.login(lambda *_: None, "--wait", "300ms")
    assert code == 1 and "nobody has signed in within 300ms" in told, told


def test_a_client_of_ones_own(server, state):
    """Registered by somebody else, for a certain port."""
    port = free_port()
    asked = {"redirect_uris": [f"http://127.0.0.1:{port}/callback"], "token_endpoint_auth_method": "client_secret_post"}
    client = call(server.url, "/register", asked).json
    own = f'client_id = "{client["client_id"]}"\nclient_secret = "{client["client_secret"]}"\nscope = "tools"\n'
    state.config.write_text(configuration(server, own))
    assert state.login(visit, "--port", str(port))[0] == 0
    assert server.test()["registered"] == 1
    assert client["client_secret"] not in state.said


def test_what_there_is_no_sign_in_for(server, state):
    more = f'[mcp.servers.own]\nurl = "{server.url}/mcp"\ntoken = "x"\n[mcp.servers.program]\ncommand = "{sys.executable}"\n[mcp.servers.far]\nurl = "http://192.0.2.1/mcp"\n'
    state.config.write_text(configuration(server, more))
    for name, why in [("other", "there is no server other: there are far, own, program, tickets"), ("program", "it needs no sign-in"),
                      ("own", "take token, token_url or the header authorization out"), ("far", "tokens are only sent by https")]:
        code, told = state.run("login", name)
        assert code == 1 and why in told, told
