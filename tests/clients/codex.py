"""Runs the real Codex without a terminal, in an empty home and an empty folder."""
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import CACHE

CONFIGURATION = """
model = "{model}"
model_provider = "tierway"
approval_policy = "never"
sandbox_mode = "danger-full-access"
[model_providers.tierway]
name = "tierway"
base_url = "{base_url}/v1"
env_key = "TIERWAY_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = {retries}
"""


def executable():
    """The CLI: $CODEX, or what tests/all.sh installed."""
    return os.environ.get("CODEX") or str(CACHE / "npm/codex/node_modules/.bin/codex")


@dataclass
class Run:
    """How it ended, everything it told, and the folder it worked in."""

    code: int
    output: str
    errors: str
    folder: Path

    @property
    def events(self):
        told = []
        for line in self.output.splitlines():
            try:
                told.append(json.loads(line))
            except ValueError:
                pass
        return told

    @property
    def messages(self):
        items = [e["item"] for e in self.events if e.get("type") == "item.completed"]
        return [i["text"] for i in items if i.get("type") == "agent_message"]

    @property
    def usage(self):
        return next((e["usage"] for e in reversed(self.events) if e.get("type") == "turn.completed"), {})

    def told(self):
        return f"exit {self.code}\n{self.output[-3000:]}\n{self.errors[-2000:]}"


def run(folder, base_url, key, model, prompt="Run the probe command and tell me what it printed.", retries=1, seconds=90):
    """`codex exec PROMPT` with a configuration that names this base URL."""
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    (home / "config.toml").write_text(CONFIGURATION.format(model=model, base_url=base_url, retries=retries))
    command = [executable(), "exec", "--skip-git-repo-check", "--json", prompt]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(home), "TIERWAY_KEY": key}
    done = subprocess.run(command, cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
    return Run(done.returncode, done.stdout, done.stderr, work)
