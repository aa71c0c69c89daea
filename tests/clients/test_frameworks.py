"""SDKs of other languages, frameworks and agents: each goes a whole tool round through the gateway, on upstreams of every format."""
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import CACHE, FORMATS, KEY, PATHS, UPSTREAM_KEY, direct

NATIVE = None
HERE = Path(__file__).parent
NODE, PYTHON, AIDER = CACHE / "node", CACHE / "venv-frameworks/bin/python", CACHE / "venv-aider/bin/aider"
pytestmark = [pytest.mark.skipif(direct(), reason="through the gateway only"), pytest.mark.timeout(120)]
JAVASCRIPT = ["openai-chat", "openai-responses", "anthropic", "ai-openai-chat", "ai-openai-responses", "ai-openai-responses-unkept", "ai-anthropic", "ai-openai-compatible"]
FRAMEWORKS = [f"{name}-{api}" for name in ("langchain", "pydantic-ai") for api in ("chat", "responses", "messages")]
AIDER_RUNS = [*((provider, True) for provider in FORMATS), ("a", False), ("o", False)]
# What goes out is what the client said: nothing of the gateway's own key.
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NO_COLOR": "1", "AI_SDK_LOG_WARNINGS": "false", "LANGSMITH_TRACING": "false"}


@pytest.fixture(scope="session")
def script():
    """The script beside its modules, which are found from where it lies; a name of its own, as others may be reading theirs."""
    place = NODE / f"walk-{os.getpid()}.mjs"
    yield shutil.copy(HERE / "node/walk.mjs", place)
    place.unlink()


def walk(command, gateway, scripted, folder):
    """Goes the walk with a model of every format, and checks what is the same of all: (what it found, what to show) each."""
    models = [gateway.model(provider, "tool-x") for provider in FORMATS]
    environment = {**ENVIRONMENT, "BASE_URL": gateway.url, "KEY": gateway.key}
    done = subprocess.run([str(c) for c in [*command, *models]], env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
    told = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert done.returncode == 0, told
    walked = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"model"')]  # beside warnings
    assert [found["model"] for found in walked] == models, told
    for provider, found in zip(FORMATS, walked, strict=True):
        shown = f"{FORMATS[provider]}: {found}\n{told}"
        check(found, shown, scripted, provider)
        yield found, shown


def check(found, told, scripted, provider):
    assert found["tools"] == ["Paris"], told
    assert found["text"].startswith("All done"), told
    assert found["steps"] == 2, told
    turns = scripted.received(PATHS[provider])
    assert len(turns) >= 2, told
    assert all(KEY not in value for turn in turns for value in turn.headers.values()), "the caller's key went upstream"
    counts = {**(found["usage"] or {})}
    total = sum(v for k, v in counts.items() if isinstance(v, int) and "utput" in k or k == "completion_tokens")
    assert total > 0, f"no output tokens: {told}"


@pytest.mark.skipif(not (NODE / "node_modules/ai").exists(), reason="the JavaScript SDKs are not installed")
@pytest.mark.parametrize("stream", ["", "-stream"], ids=["whole", "stream"])
@pytest.mark.parametrize("client", JAVASCRIPT)
def test_javascript(gateway, scripted, script, client, stream):
    for found, told in walk(["node", script, client + stream], gateway, scripted, NODE):
        if "object" in found:
            assert found["object"]["city"] == "Paris", told
        if "parts" in found:
            assert found["parts"].get("tool-call") == 1 and found["parts"].get("tool-result") == 1 and found["parts"]["text-delta"] > 1, told
        if "count" in found:
            assert found["count"] > 0, told


@pytest.mark.skipif(not PYTHON.exists(), reason="the frameworks are not installed")
@pytest.mark.parametrize("client", FRAMEWORKS)
def test_python(gateway, scripted, tmp_path, client):
    for found, told in walk([PYTHON, HERE / "frameworks.py", client], gateway, scripted, tmp_path):
        assert found["streamed"].startswith("Hello"), told
        if "object" in found:
            assert found["object"]["city"] == "Paris", told


@pytest.mark.skipif(not AIDER.exists(), reason="aider is not installed")
@pytest.mark.parametrize("provider,stream", AIDER_RUNS, ids=lambda v: FORMATS.get(v) or ("stream" if v else "whole"))
def test_aider(gateway, provider, scripted, tmp_path, stream):
    """aider edits a file and commits: its tools are in the text, so the upstream's text is the edit."""
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    git = {**ENVIRONMENT, "HOME": str(home), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.c", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b.c"}
    (work / "a.py").write_text("print(1)\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=work, env=git, check=True)
    scripted.behaviour["edit-x"] = "edit"
    environment = {**git, "OPENAI_API_KEY": gateway.key, "OPENAI_API_BASE": gateway.url + "/v1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    options = ["--yes-always", "--no-check-update", "--no-show-model-warnings", "--analytics-disable", "--no-gitignore", "--edit-format", "whole", "--no-show-release-notes"]
    command = [AIDER, "--model", "openai/" + gateway.model(provider, "edit-x"), *options, *([] if stream else ["--no-stream"]), "--message", "print 2 instead", "a.py"]
    done = subprocess.run([str(c) for c in command], cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100)
    told = f"{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, told
    assert (work / "a.py").read_text() == "print(2)\n", told
    log = subprocess.run(["git", "log", "--oneline"], cwd=work, env=git, capture_output=True, text=True, check=True).stdout
    assert len(log.splitlines()) == 2, log
    assert all(UPSTREAM_KEY not in line for line in told.splitlines())
