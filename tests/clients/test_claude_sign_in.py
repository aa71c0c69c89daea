"""Claude Code signs in to the gateway by itself: it finds the endpoints, shows its code, and holds a token once its user has approved."""
import json
import os
import re
import subprocess
import urllib.parse
import urllib.request

import pytest
from claude import executable
from harness import UPSTREAM_KEY, Gateway, binary, configuration, direct
from terminal import ENTER, UP, Terminal
from upstream import Upstream

PASSWORD = "correct horse battery"


pytestmark = pytest.mark.skipif(direct(), reason="signs in to the gateway")


def approve(url, code):
    """What the page sends when its user has typed his name and clicked; the page itself is tested in a browser."""
    fields = {"user_code": code, "username": "ann", "password": PASSWORD, "do": "approve"}
    request = urllib.request.Request(url + "/device", urllib.parse.urlencode(fields).encode(), {"sec-fetch-site": "same-origin"})
    return urllib.request.urlopen(request, timeout=20).read().decode()


def test_claude_code_signs_in_and_works(tmp_path):
    hashed = subprocess.run([binary(), "keys", "password"], input=PASSWORD, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    (tmp_path / "managed.json").write_text(json.dumps({"env": {"TIERWAY_WAS_HERE": "1"}}))
    extra = f"""
[access]
file = "{tmp_path}/access.db"
[cache]
enabled = false
[cascade]
enabled = false
[sign_in]
enabled = true
settings = "{tmp_path}/managed.json"
[sign_in.users.ann]
password_hash = '{hashed}'
"""
    home, work = tmp_path / "home", tmp_path / "work"
    (home / ".claude").mkdir(parents=True)
    work.mkdir()
    with Upstream(key=UPSTREAM_KEY) as upstream, Gateway(configuration(upstream.url, extra=extra)) as gateway:
        (home / ".claude/settings.json").write_text(json.dumps({"forceLoginMethod": "gateway", "forceLoginGatewayUrl": gateway.url}))
        trusted = {str(work): {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True, "allowedTools": []}}
        (home / ".claude.json").write_text(json.dumps({"hasCompletedOnboarding": True, "theme": "dark", "numStartups": 3, "bypassPermissionsModeAccepted": True, "projects": trusted}))
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "IS_SANDBOX": "1", "DISABLE_AUTOUPDATER": "1", "BROWSER": "true"}
        with Terminal([executable(), "--dangerously-skip-permissions"], work, environment) as terminal:
            terminal.until("Not logged in")
            terminal.press("/login", ENTER)
            terminal.until("Enter to connect")
            terminal.press(ENTER)
            terminal.until("Yes, trust this gateway")
            terminal.press(UP, ENTER)
            code = terminal.until("([BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4})")[1]
            assert "Signed in" in approve(gateway.url, code)
            terminal.until("Yes, continue", 40)
            assert "ann" in terminal.all
            terminal.press(UP, ENTER)
            terminal.until("Connected to Cloud gateway")
            terminal.press(ENTER)
            terminal.read(6)
        held = json.loads((home / ".claude/.credentials.json").read_text())["enterpriseGateway"]
        assert held["jwt"].startswith("tw-pass-") and held["email"] == "ann" and held["idpRefreshToken"]
        # From now on it needs no key: another start of it finds what it holds, and its settings.
        command = [executable(), "-p", "say hi", "--output-format", "json", "--dangerously-skip-permissions"]
        done = subprocess.run(command, cwd=work, env={**environment, "TERM": "dumb"}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
        told = re.sub(r"\s+", " ", done.stdout + done.stderr)
        assert done.returncode == 0 and json.loads(done.stdout)["is_error"] is False, told[-1500:]
        assert gateway.total("tierway_requests_total", outcome="ok") >= 1
        assert "tw-pass-" not in repr([vars(request) for request in upstream.requests]), "our token goes no further"
        assert "tw-pass-" not in gateway.log and held["idpRefreshToken"] not in gateway.log
