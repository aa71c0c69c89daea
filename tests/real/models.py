"""Starts real models, and configures a gateway in front of them: SmolLM2 answers the simple tier and drafts, Qwen the others."""
import time
from pathlib import Path

from harness import CACHE, KEY, Process, call, clean_environment, free_port

HERE = Path(__file__).parent
SMALL, BIG = "smollm2-135m", "qwen2.5-coder-0.5b"


def llama(model, ctx, parallel, *more):
    """A running server, once it has loaded the model."""
    port, home = free_port(), CACHE / "real"
    command = [home / "venv/bin/python", HERE / "llama_server.py", "--model", home / f"{model}.gguf", "--alias", model]
    command += ["--port", str(port), "--ctx", str(ctx), "--parallel", str(parallel), "--threads", "1", *more]
    server = Process(command, clean_environment())
    server.url = f"http://127.0.0.1:{port}"
    server.wait_port(port, 120)
    end = time.monotonic() + 120
    while call(server.url, "/health").status != 200:
        assert time.monotonic() < end and server.child.poll() is None, server.log[-2000:]
        time.sleep(0.2)
    return server


def configuration(small, big, extra=""):
    return f"""
[providers.small]
kind = "llamacpp"
base_url = "{small.url}"
[providers.big]
kind = "llamacpp"
base_url = "{big.url}/v1"
api_key = "sk-llama-0003"
[tiers]
simple = "small:{SMALL}"
medium = "big:{BIG}"
complex = "big:{BIG}"
reasoning = "big:{BIG}"
[[keys]]
key = "{KEY}"
tenant = "alice"
{extra}
"""
