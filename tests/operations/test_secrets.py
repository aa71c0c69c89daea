"""Secrets are planted wherever there may be one; then everything that the gateway has said or written is searched for them."""
import http.server
import subprocess
import threading
import time
from pathlib import Path

import pytest
from harness import Gateway, binary, call, clean_environment

# One for each place, none a part of another.
PLANTED = {
    "a caller's key": "sk-planted-caller-4f1c",
    "a wrong caller's key": "sk-planted-wrong-91aa",
    "a provider's key": "sk-planted-provider-77b2",
    "a key in a file": "sk-planted-file-d03e",
    "a key that a program tells": "sk-planted-command-a5c8",
    "an argument of that program": "planted-argument-0e6b",
    "the admin's credential": "planted-admin-credential-8e27",
    "a header": "planted-header-58d1",
    "a client's secret": "planted-clientsecret-3c9f",
    "Redis's password": "planted-redis-b7e4",
    "the ledger's password": "planted-postgres-2d80",
    "a prompt": "planted prompt of nobody else's business e3f7",
    "an answer": "planted answer of nobody else's business 6ad5",
}

OPERATOR = {"authorization": "Bearer " + PLANTED["the admin's credential"]}


class Provider:
    """Answers in chat completions and Messages; to models named `refuse` with an error that quotes the key that it was sent."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
                key = self.headers["authorization"] or self.headers["x-api-key"] or ""
                if "refuse" in body:
                    status, text = 401, '{"error": {"type": "authentication_error", "message": "wrong key: %s"}}' % key.replace('"', "")
                elif "/messages" in self.path:
                    status, text = 200, MESSAGE
                else:
                    status, text = 200, CHAT
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


MESSAGE = (
    '{"id":"m","type":"message","role":"assistant","model":"x","stop_reason":"end_turn","stop_sequence":null,'
    '"content":[{"type":"text","text":"%s"}],"usage":{"input_tokens":3,"output_tokens":3}}' % PLANTED["an answer"]
)
CHAT = (
    '{"id":"c","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"finish_reason":"stop",'
    '"message":{"role":"assistant","content":"%s"}}],"usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6}}' % PLANTED["an answer"]
)


def planted(url, collector, key_file, ledger=""):
    p = PLANTED
    return f"""
[server]
watch = false
[admin]
token = "{p["the admin's credential"]}"
[providers.plain]
kind = "anthropic-compatible"
base_url = "{url}"
api_key = "{p["a provider's key"]}"
headers.x-team = "{p["a header"]}"
[providers.file]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key_file = "{key_file}"
[providers.told]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key_command = ["sh", "-c", "echo {p["a key that a program tells"]}", "{p["an argument of that program"]}"]
[providers.bricks]
kind = "databricks"
base_url = "{url}"
client_id = "someone"
client_secret = "{p["a client's secret"]}"
[tiers]
simple = "told:text-small"
medium = "file:text-medium"
complex = "plain:text-big"
reasoning = "bricks:text-reason"
[[keys]]
key = "{p["a caller's key"]}"
tenant = "alice"
limits.requests_per_minute = 1000
[affinity]
store = "redis"
[redis]
url = "redis://someone:{p["Redis's password"]}@127.0.0.1:1/0"
[traces]
otlp = "{collector}"
[retry]
max = 1
[log]
level = "trace"
{ledger}
"""


def searched(what, text):
    if isinstance(text, str):
        text = text.encode()
    for name, secret in PLANTED.items():
        assert secret.encode() not in text, f"{name} stands in {what}: ...{text[max(0, text.find(secret.encode()) - 200):][:400]!r}"


@pytest.fixture(scope="module")
def provider():
    with Provider() as provider:
        yield provider


def test_no_secret_leaves_the_gateway(provider, tmp_path):
    """Prompts and answers go to the caller and the provider, keys to the provider; neither goes anywhere else."""
    sent = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            sent.append(str(self.headers).encode() + self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    key_file = tmp_path / "key"
    key_file.write_text(PLANTED["a key in a file"] + "\n")
    toml = planted(provider.url, f"http://127.0.0.1:{collector.server_port}", key_file)
    said = []
    with Gateway(toml) as gateway:
        config = gateway.config
        key = {"x-api-key": PLANTED["a caller's key"], "anthropic-version": "2023-06-01"}
        ask = {"max_tokens": 64, "messages": [{"role": "user", "content": PLANTED["a prompt"]}]}
        answered = 0
        for model in ("plain:m", "file:m", "told:m", "bricks:m", "auto", "plain:refuse", "file:refuse", "told:refuse", "bricks:refuse", "nobody:m"):
            for path in ("/v1/messages", "/v1/chat/completions", "/v1/responses"):
                for stream in (False, True):
                    body = {**ask, "model": model, "stream": stream}
                    if path == "/v1/responses":
                        body = {"model": model, "input": PLANTED["a prompt"], "stream": stream}
                    answer = call(gateway.url, path, body, key)
                    answered += answer.status == 200
                    text = answer.text.replace(PLANTED["an answer"], "").replace(PLANTED["a prompt"], "")
                    said.append((f"the answer to {path} of {model}", str(answer.headers) + text))
        assert answered >= 12, answered
        wrong = call(gateway.url, "/v1/messages", {**ask, "model": "auto"}, {**key, "x-api-key": PLANTED["a wrong caller's key"]})
        broken = call(gateway.url, "/v1/messages", b'{"model": "auto", "messages": [' + PLANTED["a prompt"].encode(), key)
        assert (wrong.status, broken.status) == (401, 400)
        said += [("a refusal", wrong.text), ("a refusal", broken.text)]
        gateway.child.send_signal(1)
        for path in ("/metrics", "/readyz", "/healthz", "/v1/config", "/v1/dashboard?range=1h", "/v1/calls?most=500", "/v1/usage?by=tenant&since=1d", "/dashboard"):
            answer = call(gateway.admin, path, headers=OPERATOR)
            assert answer.status == 200, (path, answer.text)
            said.append((path, answer.text))
        routed = call(gateway.admin, "/v1/route?path=/v1/messages", {**ask, "model": "auto"}, OPERATOR)
        assert routed.status == 200
        said.append(("/v1/route", routed.text))
        broken = open(config).read() + '\n[cascade]\nenabeld = true\n'
        open(config, "w").write(broken.replace('client_id = "someone"', 'client_idd = "someone"'))
        gateway.child.send_signal(1)
        end = time.monotonic() + 10
        while "refused" not in (told := call(gateway.admin, "/v1/config", headers=OPERATOR).text):
            assert time.monotonic() < end, told
            time.sleep(0.05)
        said.append(("/v1/config", told))
        said.append(("a closed door", call(gateway.admin, "/v1/config").text))
        for command in (["check", "--config", config], ["doctor", "--config", config]):
            told = subprocess.run([binary(), *command], env=clean_environment(), capture_output=True, timeout=60)
            said.append((f"tierway {command[0]} of a broken file", told.stdout + told.stderr))
        open(config, "w").write(toml)
        for command in (["check", "--config", config], ["doctor", "--config", config], ["usage", "--json", "--config", config], ["route", "--config", config]):
            body = '{"model": "auto", "messages": [{"role": "user", "content": "%s"}]}' % PLANTED["a prompt"]
            environment = clean_environment(XDG_STATE_HOME=gateway.state.name)
            told = subprocess.run([binary(), *command], env=environment, capture_output=True, timeout=60, input=body.encode())
            said.append((f"tierway {command[0]}", told.stdout + told.stderr))
        assert gateway.stop() == 0
        log = gateway.log
        assert '"level":"TRACE"' in log or "TRACE" in log, "the log is to tell all that it ever can"
        said.append(("the log at trace level", log))
        files = [file for file in Path(gateway.state.name).rglob("*") if file.is_file()]
        assert any(file.name.startswith("ledger.db") for file in files)
        said += [(f"the file {file.name}", file.read_bytes()) for file in files]
    collector.shutdown()
    assert sent, "traces were sent"
    said += [("the traces", request) for request in sent]
    for what, text in said:
        searched(what, text)
    total = sum(len(text) for _, text in said)
    print(f"{len(said)} things of {total:,} bytes searched for {len(PLANTED)} secrets")


def test_a_ledger_that_cannot_be_reached_tells_no_password(provider, tmp_path):
    key_file = tmp_path / "key"
    key_file.write_text(PLANTED["a key in a file"])
    password = PLANTED["the ledger's password"]
    toml = planted(provider.url, "http://127.0.0.1:1", key_file, ledger=f'[ledger]\nurl = "postgres://someone:{password}@127.0.0.1:1/tierway"\n')
    with Gateway(toml) as gateway:
        key = {"x-api-key": PLANTED["a caller's key"]}
        body = {"model": "plain:m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        assert call(gateway.url, "/v1/messages", body, key).status == 200
        for path in ("/metrics", "/v1/dashboard?range=1h", "/v1/config"):
            searched(path, call(gateway.admin, path, headers=OPERATOR).text)
        told = subprocess.run([binary(), "check", "--config", gateway.config], env=clean_environment(), capture_output=True, timeout=60)
        searched("tierway check", told.stdout + told.stderr)
        gateway.stop(20)
        searched("the log at trace level", gateway.log)
