"""The book: its links lead somewhere, and its code runs, or is at least what it claims to be.

toml goes through `tierway check`, json and yaml are parsed, python and shell run on the demo models, rust is compiled as doctests (`src/book.rs`).
"""
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from harness import Gateway, binary, clean_environment
from pages import BOOK, OTHERS, ROOT, anchors, links, prose, snippets

NATIVE = None
PAGES = [page for page in BOOK if page.name != "SUMMARY.md"]
ALL = [snippet for page in [*BOOK, *OTHERS] for snippet in snippets(page)]
# What a terminal may be told here; anything else is only looked at.
SHELL = {"curl", "tierway", "export", "grep", "echo", "cat", "jq", "head", "sort"}
# Commands with commands of their own.
GROUPS = {"keys", "ledger", "prices"}
KEYS = ["ANTHROPIC", "OPENAI", "OPENROUTER", "GEMINI", "GROQ", "MISTRAL", "DEEPSEEK"]


def of(*languages):
    chosen = [snippet for snippet in ALL if snippet.language in languages]
    return pytest.mark.parametrize("snippet", chosen, ids=str)


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [*BOOK, *OTHERS], ids=name)
def test_links_lead_somewhere(page):
    wrong = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            assert target.startswith(("https://", "http://127.0.0.1", "http://localhost")), target
            continue
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            wrong.append(target)
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            wrong.append(target)
    assert not wrong, wrong


def test_every_page_is_in_the_book_once():
    listed = links(ROOT / "docs/SUMMARY.md")
    assert sorted(listed) == sorted(f"./{page.name}" for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_begin_with_their_title(page):
    assert page.read_text().startswith("# ")
    assert "TODO" not in prose(page)


def test_the_language_of_each_snippet_is_known():
    known = {"", "text", "toml", "json", "yaml", "sh", "rust", "python", "js", "mermaid", "ini", "nginx", "promql", "dockerfile", "hcl", "systemd"}
    assert {snippet.language for snippet in ALL} <= known
    assert all(snippet.language for snippet in ALL if snippet.page in BOOK), "say `text` where it is no code"


@of("json")
def test_json_is_json(snippet):
    json.loads(snippet.code)


@of("yaml")
def test_yaml_is_yaml(snippet):
    yaml = pytest.importorskip("yaml")
    assert list(yaml.safe_load_all(snippet.code))


def completed(text):
    """The snippet as a whole configuration: with the providers that it leaves to the reader."""
    typed = tomllib.loads(text)
    named = set(re.findall(r'"([a-z][\w-]*):[^"/]', text)) | set(re.findall(r'"([a-z][\w-]*):[\w.-]+/', text))
    own = {"redis", "rediss", "postgres", "http", "https", "anthropic", "openai", "openrouter", "ollama", *typed.get("providers", {})}
    more = "".join(f'[providers.{name}]\nkind = "openai-compatible"\nbase_url = "http://127.0.0.1:9/v1"\n' for name in sorted(named - own))
    if not typed.get("tiers"):
        more += '[tiers]\nsimple = "ollama:small"\ncomplex = "anthropic:claude-opus-5-5"\n'
    if typed.get("semantic_cache", {}).get("enabled") and "local_model" in typed["semantic_cache"]:
        return None
    if "redis" in json.dumps(typed) and "redis" not in typed:
        more += '[redis]\nurl = "redis://127.0.0.1:6379"\n'
    tenants = {key.get("tenant") for key in typed.get("keys", [])}
    for tenant in {**typed.get("tenants", {}), **typed.get("mcp", {}).get("tenants", {})}:
        if tenant not in tenants:
            more += f'[[keys]]\nkey = "sk-{tenant}"\ntenant = "{tenant}"\n'
    return text + "\n" + more


@of("toml")
def test_toml_is_a_configuration(snippet, tmp_path):
    typed = tomllib.loads(snippet.code)
    if "model_provider" in typed:  # Codex's own
        assert typed["model_providers"][typed["model_provider"]]["wire_api"] == "responses"
        return
    if "mcp_servers" in typed:  # Codex's, too
        return
    if "package" in typed or "dependencies" in typed:  # Cargo's
        return
    whole = completed(snippet.code)
    if whole is None:
        return
    # What it names has to be there.
    whole = whole.replace("/run/secrets/", f"{tmp_path}/")
    if '"$argon2id$v=19$..."' in whole:
        made = subprocess.run([binary(), "keys", "password"], input="her password", env=clean_environment(), capture_output=True, text=True, timeout=30)
        whole = whole.replace("$argon2id$v=19$...", made.stdout.strip())
    named = re.findall(r'(?:_file|settings)\s*=\s*"([^"]+)"', whole)
    if any(path.endswith((".pem", ".key", ".crt")) for path in named):
        openssl = shutil.which("openssl") or pytest.skip("no openssl")
        subprocess.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "made.key", "-out", tmp_path / "made.pem"], check=True, capture_output=True, timeout=30)
    for wanted in named:
        path = tmp_path / wanted
        if path.exists() or not path.is_relative_to(tmp_path):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".pem", ".key", ".crt"):
            path.write_bytes((tmp_path / ("made.key" if "key" in path.name else "made.pem")).read_bytes())
        elif path.suffix == ".json":
            path.write_text('{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "t"}')
        else:
            path.write_text("a-secret-of-enough-letters-0123456789abcdef\n")
    file = tmp_path / "tierway.toml"
    file.write_text(whole)
    keys = {variable: "sk-docs-0001-0123456789abcdef0123456789abcdef" for variable in [f"{name}_API_KEY" for name in KEYS] + re.findall(r'_env\s*=\s*"([A-Z][A-Z0-9_]*)"', whole)}
    keys |= {variable: "redis://127.0.0.1:6379" for variable in keys if "REDIS" in variable}
    keys |= {variable: "postgres://me@127.0.0.1/tierway" for variable in keys if "POSTGRES" in variable or "LEDGER" in variable or "DATABASE" in variable}
    environment = clean_environment(XDG_STATE_HOME=str(tmp_path), **keys)
    done = subprocess.run([binary(), "check", "--config", str(file)], env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr + done.stdout + whole


@pytest.fixture(scope="module")
def gateway():
    with Gateway() as gateway:
        yield gateway


def here(code, gateway):
    return code.replace("http://127.0.0.1:8787", gateway.url).replace("127.0.0.1:9787", gateway.admin.removeprefix("http://"))


@of("python")
def test_python_runs_on_the_demo_models(snippet, gateway):
    ast.parse(snippet.code)
    if not re.search(r"openai|anthropic", snippet.code):
        return
    done = subprocess.run([sys.executable, "-c", here(snippet.code, gateway)], env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr


@of("js")
def test_javascript_parses(snippet, tmp_path):
    node = shutil.which("node")
    if not node:
        pytest.skip("no node")
    file = tmp_path / "snippet.mjs"
    file.write_text(snippet.code)
    subprocess.run([node, "--check", str(file)], check=True, capture_output=True, timeout=30)


def commands(code):
    """The programs that a piece of shell calls, as far as a glance tells."""
    code = re.sub(r"\\\n", " ", re.sub(r"(?m)(^|\s)#.*$", "", code))
    code = re.sub(r"'[^']*'|\"[^\"]*\"", "x", code)
    found = set()
    for piece in re.split(r"[|;\n]|&&|\$\(|<\(", code):
        words = [word for word in piece.split() if not re.fullmatch(r"[A-Za-z_]\w*=\S*", word)]
        if words:
            found.add(words[0].lstrip("("))
    return found


def safe(snippet):
    """Whether it may run here: programs that are known, files that are there, and nothing that waits for ever or for a person."""
    called = commands(snippet.code)
    waits = re.search(r"(?m)^\s*(tierway\s*(#.*)?$|tierway (wrap|serve|init|statusline|eval|calibrate)\b)|<\s*\S+\.json|--import|@request|\.\.\.|\b(FILE|ID|SHELL)\b|your-", snippet.code)
    used, set_here = (set(re.findall(pattern, snippet.code)) for pattern in (r"\$\{?([A-Za-z_]\w*)", r"\b([A-Za-z_]\w*)="))
    return called <= SHELL and not waits and used <= set_here | {"HOME", "PATH", "PWD"}


@of("sh")
def test_shell_parses_and_runs_where_it_can(snippet, gateway, tmp_path):
    subprocess.run(["bash", "-n"], input=snippet.code, text=True, check=True, capture_output=True, timeout=10)
    known = subprocess.run([binary(), "--help"], capture_output=True, text=True, timeout=10, env=clean_environment()).stdout
    for called in re.findall(r"(?m)^\s*(?:\w+=\S+\s+)*tierway +([a-z]+)", snippet.code):
        assert re.search(rf"(?m)^  {called} ", known), f"there is no `tierway {called}`"
    for command, inner, rest in re.findall(r"(?m)^\s*tierway ([a-z]+)(?: ([a-z]+))?((?: [^|\n#]*)?)", snippet.code.replace("\\\n", " ")):
        words = [command, inner] if command in GROUPS else [command]
        told = subprocess.run([binary(), *words, "--help"], capture_output=True, text=True, timeout=10, env=clean_environment()).stdout
        for option in re.findall(r"(?<=\s)--[a-z-]+", rest if command != "wrap" else ""):
            assert option in told, f"`tierway {' '.join(words)}` takes no {option}"
    if not safe(snippet):
        return
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "tierway").symlink_to(binary())
    # What snippets take as given.
    (tmp_path / "other.toml").write_text('[tiers]\nsimple = "ollama:small"\n')
    price = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "litellm_provider": "openai", "mode": "chat"}
    (tmp_path / "model_prices_and_context_window.json").write_text(json.dumps({"gpt-9": price}))
    path = f"{folder}:{os.environ['PATH']}"
    environment = clean_environment(PATH=path, XDG_STATE_HOME=gateway.state.name, HOME=str(tmp_path), NO_PROXY="*")
    code = "set -euo pipefail\n" + here(snippet.code, gateway)
    done = subprocess.run(["bash", "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@of("rust")
def test_rust_is_compiled(snippet):
    compiled = (ROOT / "src/lib.rs").read_text() + (ROOT / "src/book.rs").read_text()
    assert f"{snippet.page.relative_to(ROOT)}\")" in compiled, "add the page to src/book.rs"


def test_the_book_builds(tmp_path):
    mdbook = os.environ.get("MDBOOK") or shutil.which("mdbook")
    if not mdbook:
        pytest.skip("no mdbook")
    done = subprocess.run([mdbook, "build", str(ROOT / "docs"), "--dest-dir", str(tmp_path / "book")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr and "WARN" not in done.stderr, done.stderr
    for page in PAGES:
        made = tmp_path / "book" / ("index.html" if page.name == "README.md" else f"{page.stem}.html")
        assert made.exists(), made
