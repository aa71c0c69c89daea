"""`tierway doctor`: whether the gateway would work, before anybody depends on it."""
import subprocess

import pytest
from harness import KEY, UPSTREAM_KEY, binary, clean_environment, configuration, direct, free_port

NATIVE = None
pytestmark = pytest.mark.skipif(direct(), reason="the gateway's own")
# On ports of our own: whoever runs a gateway on this machine is not to be found.
PORTS = '[server]\nlisten = "127.0.0.1:{}"\nadmin = "127.0.0.1:{}"\n'


def doctor(folder, toml, *arguments):
    config = folder / "tierway.toml"
    config.write_text(toml + PORTS.format(free_port(), free_port()))
    config.chmod(0o600)
    command = [binary(), "doctor", "--config", str(config), *arguments]
    return subprocess.run(command, env=clean_environment(HOME=str(folder)), capture_output=True, text=True, timeout=60)


def test_what_works_is_well_and_asked_once(scripted, tmp_path):
    tiers = {"simple": "o:text-small", "medium": "o:text-small", "complex": "a:text-big", "reasoning": "a:text-big"}
    done = doctor(tmp_path, configuration(scripted.url, **tiers), "--call")
    assert done.returncode == 0 and "✗" not in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("answered in") == 2
    assert KEY not in done.stdout and UPSTREAM_KEY not in done.stdout


def test_a_key_that_is_not_taken_is_told(scripted, tmp_path):
    toml = configuration(scripted.url).replace(UPSTREAM_KEY, "sk-wrong")
    done = doctor(tmp_path, toml, "--call")
    assert done.returncode == 1 and "✗" in done.stdout, done.stdout + done.stderr
    assert "sk-wrong" not in done.stdout + done.stderr and "api_key" in done.stdout


def test_who_does_not_listen_is_told(tmp_path):
    done = doctor(tmp_path, configuration(f"http://127.0.0.1:{free_port()}"))
    assert done.returncode == 1 and "could not be reached" in done.stdout


def test_a_configuration_that_cannot_be_used(tmp_path):
    done = doctor(tmp_path, "[tiers]\nsimple = 1\n")
    assert done.returncode == 2 and "tierway.toml:2" in done.stderr
