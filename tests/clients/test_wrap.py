"""`tierway wrap`: real Claude Code and Codex as its child, on a gateway of its own and on one that runs already."""
import os
import re
import subprocess

import claude
import codex
import pytest
from harness import KEY, Gateway, binary, clean_environment, configuration, direct, free_port
from plan import PROOF, PROOF_FILE

NATIVE = None
pytestmark = [pytest.mark.skipif(direct(), reason="the gateway's own"), pytest.mark.timeout(180)]
TIERS = dict.fromkeys(("simple", "medium", "complex", "reasoning"), "a:agent-x")
PRICES = '[prices]\n"a:agent-x" = { input = 1.0, output = 2.0 }\n[savings]\nbaseline = "a:agent-x"\n'
CLAUDE = ["-p", "Run the probe command and tell me what it printed.", "--dangerously-skip-permissions"]


@pytest.fixture
def wrap(tmp_path, scripted):
    """Runs a program under `wrap`, in an empty folder and an empty home."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    config = tmp_path / "tierway.toml"

    def run(*command, toml=configuration(scripted.url, **TIERS, extra=PRICES), **environment):
        config.write_text(toml + (f'[server]\nlisten = "127.0.0.1:{free_port()}"\n' if "[server]" not in toml else ""))
        env = clean_environment(
            HOME=str(home), TERM="dumb", IS_SANDBOX="1", DISABLE_AUTOUPDATER="1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", **environment
        )
        done = subprocess.run(
            [binary(), "wrap", "--config", str(config), *command], cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
        done.proof = work / PROOF_FILE
        return done

    return run


def bill(done):
    found = re.search(r"tierway: (\d+) calls?, \$([\d.]+) spent, \$([\d.]+) (saved|more)", done.stderr)
    assert found, done.stderr[-2000:]
    return int(found[1]), float(found[2])


def test_claude_code_works_and_the_bill_is_shown(wrap):
    done = wrap(claude.executable(), *CLAUDE)
    assert done.returncode == 0 and PROOF in done.stdout, done.stdout + done.stderr
    assert done.proof.read_text().strip() == PROOF
    calls, cost = bill(done)
    assert calls >= 2 and cost > 0
    assert KEY not in done.stdout + done.stderr


def test_a_subscription_passes_untouched(wrap, scripted):
    toml = configuration(scripted.url, **TIERS, extra=PRICES)
    toml = toml.replace(re.search(r"\[providers\.a\][^[]*", toml)[0], f'[providers.a]\nkind = "anthropic"\nbase_url = "{scripted.url}"\npass_credentials = true\n')
    token = "sk-ant-oat01-" + "a" * 40
    key, scripted.key = scripted.key, None
    try:
        done = wrap(claude.executable(), *CLAUDE, toml=toml, CLAUDE_CODE_OAUTH_TOKEN=token)
    finally:
        scripted.key = key
    assert done.returncode == 0 and PROOF in done.stdout, done.stdout + done.stderr
    turns = scripted.received("/v1/messages")
    assert turns and all(t.headers.get("authorization") == f"Bearer {token}" for t in turns)
    assert all(KEY not in value for t in turns for value in t.headers.values())


def test_codex_works(wrap):
    done = wrap(codex.executable(), "-c", 'approval_policy="never"', "-c", 'sandbox_mode="danger-full-access"', "exec", "--skip-git-repo-check", "Run the probe command and tell me what it printed.")
    assert done.returncode == 0 and done.proof.read_text().strip() == PROOF, done.stdout + done.stderr
    assert bill(done)[0] >= 2


def test_a_gateway_that_runs_is_used(wrap, scripted):
    with Gateway(configuration(scripted.url, **TIERS, extra=PRICES)) as gateway:
        listen, admin = (url.removeprefix("http://") for url in (gateway.url, gateway.admin))
        toml = configuration(scripted.url, **TIERS, extra=PRICES + f'[server]\nlisten = "{listen}"\nadmin = "{admin}"\n')
        done = wrap("sh", "-c", "echo $OPENAI_BASE_URL", toml=toml)
        assert done.stdout.strip() == gateway.url + "/v1"
        assert bill(done) == (0, 0.0) and gateway.child.poll() is None


def test_the_exit_code_is_the_programs(wrap):
    assert wrap("sh", "-c", "exit 7").returncode == 7
    assert wrap("sh", "-c", "kill -9 $$").returncode == 128 + 9
    missing = wrap("no-such-program")
    assert missing.returncode == 127 and "no-such-program" in missing.stderr


def test_the_environment_of_the_user_stays(wrap):
    done = wrap("sh", "-c", "echo $MINE $OPENAI_API_KEY", toml="", MINE="yes", OPENAI_API_KEY="sk-of-the-user")
    assert done.stdout.split() == ["yes", "sk-of-the-user"]
    assert os.environ.get("OPENAI_BASE_URL") is None
