"""Starts what the tests talk to: the gateway's binary with a configuration, on free loopback ports."""
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("TIERWAY_TEST_CACHE") or ROOT / ".cache")
# The providers of `configuration`, what is spoken with each, and what the paths of its requests end in.
FORMATS = {"a": "anthropic-format", "o": "openai-format", "r": "responses-format", "b": "converse-format", "g": "gemini-format"}
PATHS = {
    "a": ("/v1/messages",), "o": ("/v1/chat/completions",), "r": ("/v1/responses",), "b": ("/converse", "/converse-stream"),
    "g": (":generateContent", ":streamGenerateContent"),
}
KEY = "sk-test-alice-0001"
UPSTREAM_KEY = "sk-upstream-0002"


def binary():
    """The gateway under test: $TIERWAY_BIN."""
    path = os.environ.get("TIERWAY_BIN")
    if not path:
        raise RuntimeError("set TIERWAY_BIN to the gateway's binary (tests/all.sh does)")
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"TIERWAY_BIN is not there or not executable: {path}")
    return path


def direct():
    """Whether the suites talk to the scripted upstream itself ($TIERWAY_DIRECT), to check the suites and not the gateway."""
    return bool(os.environ.get("TIERWAY_DIRECT"))


HANDED_OUT = set()


def free_port():
    """A port that nobody listens on, and never the same twice. Below those that the system picks for connections, lest one takes it first."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in HANDED_OUT:
            HANDED_OUT.add(port)
            return port


def until(holds, seconds=10, what="it did not come about", pause=0.02):
    """Waits until this holds and tells how many seconds that took; an assertion fails where it does not in that time."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, what
        time.sleep(pause)
    return time.monotonic() - began


def clean_environment(**more):
    """This process's environment without what could steer a client or the gateway elsewhere, and with `more`."""
    unwanted = re.compile(r"KEY|TOKEN|ENDPOINT|^TIER_|^TIERWAY_|PROXY|^ANTHROPIC|^OPENAI|^CLAUDE", re.I)
    return {**{k: v for k, v in os.environ.items() if not unwanted.search(k)}, **more}


def configuration(upstream, simple="o:text-small", medium="o:text-medium", complex="a:text-big", reasoning="a:text-reason", keys=True, extra=""):
    """A `tierway.toml` with the upstream as a provider of each format that it speaks: see FORMATS."""
    auth = f'[[keys]]\nkey = "{KEY}"\ntenant = "alice"\n' if keys else ""
    return f"""
[providers.a]
kind = "anthropic-compatible"
base_url = "{upstream}"
api_key = "{UPSTREAM_KEY}"
[providers.o]
kind = "openai-compatible"
base_url = "{upstream}/v1"
api_key = "{UPSTREAM_KEY}"
[providers.r]
kind = "openai"
base_url = "{upstream}/v1"
api_key = "{UPSTREAM_KEY}"
native_chat = true
[providers.b]
kind = "bedrock"
base_url = "{upstream}"
api_key = "{UPSTREAM_KEY}"
[providers.g]
kind = "gemini"
base_url = "{upstream}"
api_key = "{UPSTREAM_KEY}"
[tiers]
simple = "{simple}"
medium = "{medium}"
complex = "{complex}"
reasoning = "{reasoning}"
{auth}
{extra}
"""


class Process:
    """A child process with its output in a file, ended with the block."""

    def __init__(self, command, environment=None, cwd=None):
        self.folder = tempfile.mkdtemp(prefix="tierway-test-")
        self.log_path = Path(self.folder) / "log"
        with open(self.log_path, "wb") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=cwd or self.folder)

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_port(self, port, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.child.poll() is not None:
                raise RuntimeError(f"{self.child.args[0]} ended with {self.child.returncode}:\n{self.log[-3000:]}")
            try:
                socket.create_connection(("127.0.0.1", port), 0.3).close()
                return
            except OSError:
                time.sleep(0.03)
        raise RuntimeError(f"{self.child.args[0]} did not listen within {seconds} s:\n{self.log[-3000:]}")

    def stop(self, seconds=10):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Gateway(Process):
    """`tierway serve` with this configuration, or with none; `url` answers clients, `admin` has the metrics."""

    key = KEY

    def __init__(self, toml=None, **environment):
        port, admin = free_port(), free_port()
        command = [binary(), "serve", "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"]
        self.config = None
        if toml is not None:
            with tempfile.NamedTemporaryFile("w", suffix=".toml", prefix="tierway-", delete=False) as file:
                file.write(toml)
            self.config = file.name
            command += ["--config", file.name]
        # What a gateway keeps is kept apart from the user's own.
        self.state = tempfile.TemporaryDirectory(prefix="tierway-state-")
        super().__init__(command, clean_environment(**{"XDG_STATE_HOME": self.state.name, **environment}))
        self.url, self.admin = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
        try:
            self.wait_port(port, 30)
        except RuntimeError:
            self.__exit__()
            raise

    def __exit__(self, *_):
        super().__exit__()
        self.state.cleanup()
        if self.config and os.path.exists(self.config):
            os.unlink(self.config)

    def model(self, provider, name):
        return f"{provider}:{name}"

    def logged(self, count):
        """The lines of calls in the log, as soon as there are so many: they are written a few milliseconds after the answer."""

        def lines():
            return [json.loads(line) for line in self.log.splitlines() if '"message":"call"' in line]

        until(lambda: len(lines()) >= count)
        return lines()

    def metrics(self):
        """What a scrape of `/metrics` sees: {(name, frozenset of labels): value}."""
        return parse_metrics(call(self.admin, "/metrics").text)

    def total(self, name, **labels):
        """The sum of a metric's series that carry these labels."""
        wanted = set(labels.items())
        return sum(v for (n, found), v in self.metrics().items() if n == name and wanted <= found)


class Direct:
    """Stands in for the gateway when a suite is tried on the upstream itself."""

    key, log, admin = UPSTREAM_KEY, "", None

    def __init__(self, url):
        self.url = url

    def model(self, _, name):
        return name


def parse_metrics(text):
    found = {}
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$", line):
            labels = frozenset(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            found[match[1], labels] = float(match[3])
    return found


class Answer:
    """Status, lower-case headers and text of an HTTP answer."""

    def __init__(self, status, headers, raw):
        self.status, self.headers, self.raw = status, headers, raw

    @property
    def text(self):
        return self.raw.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.raw)

    @property
    def events(self):
        """The server-sent events as (name, parsed data or text)."""
        events = []
        for block in re.split(r"\r?\n\r?\n", self.text):
            name, data = None, []
            for line in block.splitlines():
                if line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:].lstrip())
            if data:
                try:
                    events.append((name, json.loads("\n".join(data))))
                except ValueError:
                    events.append((name, "\n".join(data)))
        return events


def call(base, path, body=None, headers=None, method=None, timeout=30):
    """One HTTP call on a connection of its own; statuses are answers, not exceptions."""
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    headers = {"content-type": "application/json", **(headers or {})}
    request = urllib.request.Request(base + path, data, headers, method=method or ("GET" if data is None else "POST"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        response = opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.read())
