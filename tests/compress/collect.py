#!/usr/bin/env python3
"""Writes results.jsonl: what real tools answer, as an agent that works on this repository would see it.

    python3 tests/compress/collect.py > tests/compress/results.jsonl

It is run by hand: the answers differ from machine to machine, and the file is what the figures of docs/compression.md are of. Each answer is
cut off where agents' shells do it (30,000 characters; here less), and freed of the machine's own paths.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("TIERWAY_TEST_CACHE", ROOT / ".cache"))
VENV = CACHE / "venv/bin"
BINARY = os.environ.get("TIERWAY_BIN", "tierway")
MOST = 12_000

# kind | command; a leading `pty ` runs it in a terminal, with its colours and bars
COMMANDS = f"""
json | npm view express --json dependencies dist-tags maintainers repository license
json | npm view react --json versions
json | npm audit --json --prefix tests/clients/node --package-lock-only
json | npm ls --json --all --prefix {CACHE}/node
json | npm ls --json --prefix {CACHE}/npm
json | {VENV}/pip list --format json
json | {VENV}/pip inspect
json | {VENV}/python -m json.tool tests/clients/node/package.json
json | python3 -c "import json,os; print(json.dumps([dict(name=e.name, directory=e.is_dir(), size=e.stat().st_size, mode=oct(e.stat().st_mode)) for e in sorted(os.scandir('layers'), key=lambda e: e.name)], indent=2))"
json | git log -25 --pretty=format:'{{"commit": "%h", "author": {{"name": "tierway", "email": "dev@example.com"}}, "date": "%as", "subject": "%f"}}'
json | python3 -c "import json,subprocess; rows=[l.split(':',2) for l in subprocess.check_output(['git','grep','-n','Journal::of','--','layers','src'],text=True).splitlines()]; print(json.dumps(dict(total=len(rows), matches=[dict(path=p, line=int(n), text=t.strip()) for p,n,t in rows]), indent=2))"
json | python3 -c "import json; print(json.dumps([json.loads(l) for l in open('tests/routing/open.jsonl')][:6], indent=2))"
json | python3 -c "import csv,json; rows=[l.rstrip().split(chr(9)) for l in open('services/prices.tsv') if not l.startswith('#')]; print(json.dumps([dict(provider=r[0], model=r[1], input=r[2], output=r[3]) for r in rows[100:140]], indent=4))"
json | python3 -c "import json; print(json.dumps([dict(question=a, paraphrase=b, same=c) for c,a,b in (l.rstrip().split(chr(9))[:3] for l in list(open('tests/semantic/pairs.tsv'))[5:45] if l.count(chr(9))>=2)], indent=2))"
json | python3 -c "import ast,json,pathlib; print(json.dumps([dict(path=str(p), functions=[dict(name=f.name, line=f.lineno, arguments=len(f.args.args)) for f in ast.walk(ast.parse(p.read_text())) if isinstance(f, ast.FunctionDef)]) for p in sorted(pathlib.Path('tests/clients').glob('*.py'))[:8]], indent=2))"
json | python3 -c "import json,sys,platform; print(json.dumps(dict(python=sys.version, machine=platform.machine(), flags={{k: getattr(sys.flags, k) for k in dir(sys.flags) if k[0] != '_' and isinstance(getattr(sys.flags, k), int)}}), indent=4))"
git | git log -30
git | git log --oneline -60
git | git log --stat -6
git | pty git -c color.ui=always log --graph --oneline -40
git | git status
git | git shortlog -sn HEAD~60..HEAD
git | pty git -c color.ui=always log --stat -4
git | git ls-files layers
git | pty git clone --progress file://{ROOT} /tmp/tierway-clone
git | git count-objects -v
search | git grep -n poll_ready
search | git grep -n 'fn call' -- layers
search | grep -rn TIERWAY_ tests --include=*.sh --include=*.py
search | pty grep -rn --color=always 'XLayer' .github docs
search | grep -c '' layers/cascade/future.rs layers/cascade/mod.rs
search | find layers/cascade -type f
search | git grep -c unwrap -- tests
search | find docs tests -name '*.py' -size +4k
files | ls -la
files | ls -laR layers/prompt_cache
files | pty ls --color=always layers services
files | du -a services/chat
files | wc -l layers/classify/client.rs layers/classify/ask.rs layers/telemetry/names.rs
files | df -h /
files | stat Cargo.toml
tests | {VENV}/python -m pytest -c tests/pytest.ini --collect-only -q tests/schema
tests | pty {VENV}/python -m pytest -c tests/pytest.ini --color=yes tests/schema -x -q
tests | pty {VENV}/python -m pytest -c tests/pytest.ini --color=yes -v tests/schema -k messages
tests | {VENV}/python -m pytest -c tests/pytest.ini tests/missing_folder
tests | LOG:test
tests | LOG:doctest
tests | LOG:sdk
tests | LOG:clippy
tests | LOG:fuzz
packages | {VENV}/pip list
packages | {VENV}/pip show anthropic openai
packages | pty {VENV}/pip download --no-deps --no-binary :none: --progress-bar on -d /tmp/tierway-wheel numpy==2.4.0
packages | npm ls --prefix {CACHE}/node
packages | pty npm install --no-save --prefix /tmp/tierway-npm left-pad
packages | npm view express
packages | apt-cache policy git
packages | apt-cache show libc6
packages | {BINARY} check
packages | {BINARY} route --path /v1/chat/completions
"""


def run(command):
    inside = command.removeprefix("pty ")
    if inside != command:
        command = f"script -qec {json.dumps(inside).replace('$', chr(92) + '$')} /dev/null"
    environment = {**os.environ, "GIT_PAGER": "cat", "PAGER": "cat", "COLUMNS": "120", "TERM": "xterm-256color"}
    body = b'{"model":"auto","messages":[{"role":"user","content":"What is a monad?"}]}' if " route " in command else b""
    # As bytes: Python would make new lines of the returns that progress bars are made of.
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, timeout=120, env=environment, input=body)
    return inside, (done.stdout + done.stderr).decode(errors="replace")


def log(step):
    """What a step of tests/all.sh has said."""
    return f"tests/all.sh {step}", next((f.read_text(errors="replace") for f in [CACHE / f"log/{step}.log"] if f.exists()), "")


def cleaned(text):
    for path, name in [(str(CACHE), "/home/dev/.cache/tierway"), (str(ROOT), "/home/dev/tierway"), (os.path.dirname(BINARY) or "//", "/usr/bin"), (str(Path.home()), "/home/dev")]:
        text = text.replace(path, name)
    text = re.sub(r"https?://[^\s\"']*(?:proxy|mirror|internal|artifact)[^\s\"']*", "https://registry.example.org/", text)
    return text if len(text) <= MOST else text[:MOST]


def main():
    for line in COMMANDS.strip().splitlines():
        kind, command = (part.strip() for part in line.split("|", 1))
        command, result = log(command[4:]) if command.startswith("LOG:") else run(command)
        if kind == "json":
            # What is cut off is no JSON any more; agents page through such answers.
            try:
                whole = json.loads(result)
                while len(result) > MOST and isinstance(whole, list):
                    whole = whole[: len(whole) // 2]
                    result = json.dumps(whole, indent=2)
            except ValueError:
                pass
        result = cleaned(result)
        if not result.strip():
            print("nothing:", command, file=sys.stderr)
            continue
        print(json.dumps({"kind": kind, "tool": "Bash" if kind != "json" else "api", "command": cleaned(command), "result": result}, ensure_ascii=False))


main()
