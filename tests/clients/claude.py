"""Runs the real Claude Code without a terminal, in an empty home and an empty folder."""
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import CACHE


def executable():
    """The CLI: $CLAUDE, or what tests/all.sh installed."""
    return os.environ.get("CLAUDE") or str(CACHE / "npm/node_modules/.bin/claude")


@dataclass
class Run:
    """How it ended: the result message, everything it printed, and the folder it worked in."""

    code: int
    output: str
    errors: str
    folder: Path

    @property
    def messages(self):
        try:
            return json.loads(self.output)
        except ValueError:
            return []

    @property
    def result(self):
        return next((m for m in reversed(self.messages) if m.get("type") == "result"), {})

    def told(self):
        return f"exit {self.code}\n{self.output[-3000:]}\n{self.errors[-2000:]}"


def run(folder, base_url, key, prompt="Run the probe command and tell me what it printed.", arguments=(), seconds=90, token=False, **environment):
    """`claude -p PROMPT` against this base URL. A second run in the same folder finds what the first left: `--continue` resumes it."""
    home, work = folder / "home", folder / "work"
    home.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    command = [executable(), "-p", prompt, "--output-format", "json", "--verbose", "--dangerously-skip-permissions", *arguments]
    env = {
        "PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb", "IS_SANDBOX": "1", "ANTHROPIC_BASE_URL": base_url,
        ("ANTHROPIC_AUTH_TOKEN" if token else "ANTHROPIC_API_KEY"): key, "CLAUDE_CODE_MAX_RETRIES": "2",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", **environment,
    }
    done = subprocess.run(command, cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
    return Run(done.returncode, done.stdout, done.stderr, work)
