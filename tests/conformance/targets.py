"""How each gateway is started in front of the scripted upstream, and how it is asked.

A target says which upstream formats it can be given (`formats`: a = Anthropic messages, o = chat completions, r = Responses), how it names a model of such an upstream (`model`), and which headers a call needs (`headers`).
"""
import json
import os
import shutil
from pathlib import Path

from script import MODELS

from harness import CACHE, KEY, UPSTREAM_KEY, Gateway, Process, binary, clean_environment, configuration, free_port

PEERS = CACHE / "peers"
NODE = shutil.which("node")


class Missing(Exception):
    """This target is not installed here."""


class Target:
    """A running gateway. `about` is its version, `facts` what only it has."""

    name, about, formats = "", "", "ao"
    #: The APIs that it serves, for each format of the upstream; found out by asking.
    served = None
    metrics = routes = idle_seconds = pid = None
    log = ""

    def model(self, format, name):
        return f"{format}/{name}"

    def headers(self, format):
        return {"authorization": f"Bearer {KEY}"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Url(Target):
    """Any gateway that already runs, without a scripted upstream behind it."""

    formats = "l"

    def __init__(self, base_url, key, models):
        self.name, self.url, self.key, self.models = base_url, base_url.rstrip("/").removesuffix("/v1"), key, models

    def model(self, format, name):
        raise NotImplementedError

    def headers(self, format):
        return {"authorization": f"Bearer {self.key}", "x-api-key": self.key} if self.key else {}


class Child(Target):
    """A gateway that is a process of ours."""

    process = None

    def start(self, command, port, seconds, environment=None, folder=None):
        self.url = f"http://127.0.0.1:{port}"
        self.process = Process([str(part) for part in command], clean_environment(**(environment or {})), cwd=folder)
        self.pid = self.process.child.pid
        try:
            self.process.wait_port(port, seconds)
        except RuntimeError:
            self.process.__exit__()
            raise

    @property
    def log(self):
        return self.process.log if self.process else ""

    def __exit__(self, *_):
        if self.process:
            self.process.__exit__()


class Tierway(Target):
    """The gateway of this repository."""

    name, idle_seconds, routes = "tierway", 6, True

    def __init__(self, upstream, extra="", **tiers):
        try:
            binary()
        except RuntimeError as error:
            raise Missing(str(error)) from None
        timeouts = "".join(f'[providers.{p}.timeouts]\nfirst_byte = "{self.idle_seconds}s"\nidle = "{self.idle_seconds}s"\n' for p in "ao")
        extra = extra or "[cascade]\nenabled = false\n[cache]\nenabled = false\n"
        self.gateway = Gateway(configuration(upstream, **tiers, extra=timeouts + extra))
        self.url, self.pid, self.metrics = self.gateway.url, self.gateway.child.pid, self.gateway.total
        self.about = os.popen(f"{binary()} --version").read().strip().removeprefix("tierway ")
        self.upstream = upstream

    def model(self, format, name):
        return f"{format}:{name}"

    def variant(self, extra, **tiers):
        """Another one beside it, configured otherwise."""
        return Tierway(self.upstream, extra, **tiers)

    @property
    def log(self):
        return self.gateway.log

    def __exit__(self, *_):
        self.gateway.__exit__()



class LiteLlm(Child):
    """LiteLLM's proxy. `hosted_vllm/*` because `openai/*` does not go out as chat completions."""

    name, about = "litellm", "1.106.2"

    def __init__(self, upstream):
        command = PEERS / "litellm/bin/litellm"
        if not command.exists():
            raise Missing(f"{command} is not there")
        port = free_port()
        routes = [
            {"model_name": "a/*", "litellm_params": {"model": "anthropic/*", "api_base": upstream, "api_key": UPSTREAM_KEY}},
            {"model_name": "o/*", "litellm_params": {"model": "hosted_vllm/*", "api_base": upstream + "/v1", "api_key": UPSTREAM_KEY}},
        ]
        config = {"model_list": routes, "general_settings": {"master_key": KEY}, "litellm_settings": {"num_retries": 0}}
        folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"conformance-litellm-{port}.yaml"
        folder.write_text(json.dumps(config))
        self.config = folder
        options = ["--config", folder, "--host", "127.0.0.1", "--port", port, "--num_workers", 1, "--telemetry", "False"]
        # PATH-less lookups of the proxy find its own environment first.
        environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
        self.start([command, *options], port, 120, environment)

    def __exit__(self, *_):
        super().__exit__()
        self.config.unlink(missing_ok=True)


class Portkey(Child):
    """Portkey's open gateway: the provider stands in headers of each call."""

    name, about = "portkey", "1.15.2"

    def __init__(self, upstream):
        server = PEERS / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
        if not NODE or not server.exists():
            raise Missing(f"{server} is not there")
        self.upstream, port = upstream, free_port()
        self.start([NODE, server, f"--port={port}", "--headless"], port, 30)

    def model(self, format, name):
        return name

    def headers(self, format):
        provider = {"a": "anthropic", "o": "openai"}[format]
        return {
            "authorization": f"Bearer {UPSTREAM_KEY}", "x-portkey-provider": provider, "x-portkey-custom-host": self.upstream + "/v1",
        }


class ClaudeCodeRouter(Child):
    """claude-code-router: Messages in, chat completions out."""

    name, about, formats = "claude-code-router", "2.0.0", "o"

    def __init__(self, upstream):
        server = PEERS / "ccr/node_modules/.bin/ccr"
        if not NODE or not server.exists():
            raise Missing(f"{server} is not there")
        port = free_port()
        self.home = Path(os.environ.get("TMPDIR", "/tmp")) / f"conformance-ccr-{port}"
        (self.home / ".claude-code-router").mkdir(parents=True)
        provider = {"name": "o", "api_base_url": upstream + "/v1/chat/completions", "api_key": UPSTREAM_KEY, "models": list(MODELS)}
        # What its documentation gives to providers of this kind.
        provider["transformer"] = {"use": ["cleancache", "reasoning"]}
        config = {
            "HOST": "127.0.0.1", "PORT": port, "APIKEY": KEY, "LOG": False, "NON_INTERACTIVE_MODE": True, "Providers": [provider],
            "Router": {"default": "o,text-x"},
        }
        (self.home / ".claude-code-router/config.json").write_text(json.dumps(config))
        self.start([server, "start"], port, 30, {"HOME": str(self.home)}, self.home)

    def model(self, format, name):
        return f"{format},{name}"

    def __exit__(self, *_):
        super().__exit__()
        shutil.rmtree(self.home, ignore_errors=True)


SWITCHYARD = """
import sys, threading
from switchyard_rust.server import Server
server = Server(sys.argv[1], int(sys.argv[2]))
print(server.base_url, flush=True)
threading.Event().wait()
"""


class Switchyard(Child):
    """Switchyard's native server, out of its Python wheel; one pass-through route for each model."""

    name, about = "switchyard", "0.3.0"

    def __init__(self, upstream):
        python = PEERS / "switchyard/bin/python"
        if not python.exists():
            raise Missing(f"{python} is not there")
        port = free_port()
        clients = {"a": ("anthropic_messages", upstream), "o": ("openai_chat", upstream + "/v1")}
        toml = ["schema_version = 1"]
        for letter, (format, base) in clients.items():
            toml.append(f'[llm_clients.{letter}]\nformat = "{format}"\nbase_url = "{base}"\napi_key_env = "UPSTREAM_SECRET"\nmax_retries = 0')
            for number, model in enumerate(MODELS):
                toml.append(f'[targets.{letter}{number}]\nid = "{model}"\nllm_client = "{letter}"')
                toml.append(f'[routes.{letter}{number}]\nid = "{letter}/{model}"\ntype = "passthrough"\ntarget = "{letter}{number}"')
        self.config = Path(os.environ.get("TMPDIR", "/tmp")) / f"conformance-switchyard-{port}.toml"
        self.config.write_text("\n".join(toml))
        process = Process([str(python), "-c", SWITCHYARD, str(self.config), str(port)], {**clean_environment(), "UPSTREAM_SECRET": UPSTREAM_KEY})
        self.process, self.url, self.pid = process, f"http://127.0.0.1:{port}", process.child.pid
        try:
            process.wait_port(port, 20)
        except RuntimeError:
            self.__exit__()
            raise

    def __exit__(self, *_):
        super().__exit__()
        self.config.unlink(missing_ok=True)


TARGETS = {t.name: t for t in (Tierway, LiteLlm, Portkey, ClaudeCodeRouter, Switchyard)}
