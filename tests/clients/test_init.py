"""`tierway init`: a configuration from what is there, or from another gateway's, and a first call with it."""
import subprocess

import pytest
from harness import UPSTREAM_KEY, Gateway, binary, call, clean_environment, direct

NATIVE = None
pytestmark = pytest.mark.skipif(direct(), reason="the gateway's own")
HI = {"model": "auto", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}


def init(folder, *arguments, **environment):
    command = [binary(), "init", "--yes", *arguments]
    return subprocess.run(command, cwd=folder, env=clean_environment(HOME=str(folder), **environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def serves(folder, **environment):
    """Whether the gateway answers with the file that was written."""
    with Gateway((folder / "tierway.toml").read_text(), **environment) as gateway:
        return call(gateway.url, "/v1/chat/completions", HI).status == 200


def test_the_env_file_of_the_system_it_replaces(scripted, tmp_path):
    (tmp_path / ".env").write_text(
        f"MODEL_PROVIDER=openai\nOPENAI_ENDPOINT={scripted.url}/v1/chat/completions\nOPENAI_API_KEY={UPSTREAM_KEY}\nTIER_SIMPLE=openai:text-small\n"
        "TIER_MEDIUM=openai:text-medium\nTIER_COMPLEX=openai:text-big\nTIER_REASONING=openai:text-big\nMEMORY_ENABLED=true\n"
    )
    environment = {"OPENAI_API_KEY": UPSTREAM_KEY}
    done = init(tmp_path, "--import", ".env", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 settings exactly, 1 nearly, 1 not" in done.stdout and "MEMORY_ENABLED" in done.stdout and "✗" not in done.stdout
    text = (tmp_path / "tierway.toml").read_text()
    assert UPSTREAM_KEY not in text + done.stdout
    assert serves(tmp_path, **environment)
    assert init(tmp_path).returncode == 2, "a file that is there is not replaced"


def test_litellms_configuration(scripted, tmp_path):
    (tmp_path / "config.yaml").write_text(
        f"model_list:\n  - model_name: small\n    litellm_params: {{model: openai/text-small, api_base: '{scripted.url}/v1', api_key: os.environ/UP_KEY, rpm: 9}}\n"
        "router_settings: {num_retries: 3}\n"
    )
    done = init(tmp_path, "--import", "config.yaml", UP_KEY=UPSTREAM_KEY)
    assert done.returncode == 0 and "nearly" in done.stdout, done.stdout + done.stderr
    assert serves(tmp_path, UP_KEY=UPSTREAM_KEY)


def test_a_server_that_is_found(scripted, tmp_path):
    key, scripted.key = scripted.key, None
    try:
        done = init(tmp_path, LLAMACPP_ENDPOINT=scripted.url)
        if "nothing is there" in done.stdout:
            pytest.skip("the scripted upstream lists no models that chat")
        assert done.returncode == 0 and "answered in" in done.stdout, done.stdout + done.stderr
        assert serves(tmp_path)
    finally:
        scripted.key = key


def test_nothing_is_found(tmp_path):
    done = init(tmp_path)
    if done.returncode == 1:
        assert "ANTHROPIC_API_KEY" in done.stdout and not (tmp_path / "tierway.toml").exists()


def test_completions_and_the_manual(tmp_path):
    for arguments in (["completions", "bash"], ["completions", "zsh"], ["man"]):
        done = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and "doctor" in done.stdout
