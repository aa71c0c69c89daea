#!/usr/bin/env python3
"""When the first word of a stream comes, by mode of the cascade, against two scripted models with a pace of their own.

    TIERWAY_BIN=... tests/bench/cascade/first_word.py [--calls 15] [--json]

The small model thinks for 50 ms and writes a word each 5 ms; the big one thinks for 200 ms and writes a word each 15 ms. A draft of 60 words is
kept, rejected when it is whole (its words were unsure), or given up at its beginning (a refusal). What is certified was calibrated on made-up rows
of the same kind by `tierway calibrate`.
"""
import argparse
import http.client
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path += [str(Path(__file__).parents[2] / "clients")]

from harness import KEY, Gateway, binary  # noqa: E402

SMALL, BIG, WORDS = "small-paced", "big-paced", 60
PACE = {SMALL: (0.05, 0.005), BIG: (0.2, 0.015)}
KINDS = {"kept": "sure", "rejected when whole": "unsure", "given up early": "refused"}
MODES = {
    "off": "",
    "buffer": "",
    "prefix": "",
    "hedged": 'max_added_latency = "2s"\nhedge_share = 1.0\nhedge_after = 0.05\n',
}
CONFIGURATION = """
[providers.s]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = "sk-small"
[tiers]
simple = "s:small-paced"
medium = "s:big-paced"
complex = "s:big-paced"
reasoning = "s:big-paced"
[[keys]]
key = "{key}"
tenant = "alice"
[affinity]
enabled = false
[cache]
enabled = false
[cascade]
enabled = true
stay_big = 0
streams = "{mode}"
model = "{model}"
{more}
"""


def words(kind, draw):
    """A draft's words, and how sure the model was of each."""
    if kind == "refused":
        text = "I'm sorry, but I can't help with that because it is not".split()
        text += [draw.choice(("known", "told", "written")) + str(i) for i in range(WORDS - len(text))]
    else:
        text = [draw.choice(("river", "stone", "light", "field", "winter")) + str(draw.randrange(100)) for _ in range(WORDS)]
    logprob = -2.5 if kind == "unsure" else -0.02
    return [(word + " ", logprob * draw.uniform(0.5, 1.5)) for word in text]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def chunk(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        question, model = asked["messages"][-1]["content"], asked["model"]
        kind = question.split()[-1].rstrip(".") if model == SMALL else "sure"
        think, pause = PACE[model]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model}
        try:
            time.sleep(think)
            for word, logprob in words(kind, random.Random(question)):
                choice = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
                if asked.get("logprobs"):
                    choice["logprobs"] = {"content": [{"token": word, "logprob": logprob, "bytes": None, "top_logprobs": []}]}
                self.chunk(f"data: {json.dumps({**head, 'choices': [choice]})}\n\n")
                time.sleep(pause)
            self.chunk(f"data: {json.dumps({**head, 'choices': [{'index': 0, 'delta': {}, 'finish_reason': 'stop'}]})}\n\ndata: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


def question(number, kind):
    return f"Tell a story about place {number} that is {kind}."


def row(number):
    """A labelled row: what was sure is right."""
    kind = "unsure" if number % 4 == 0 else "sure"
    asked = question(number, kind)
    said = words(kind, random.Random(asked))
    told = [{"token": word, "logprob": logprob, "bytes": None, "top_logprobs": []} for word, logprob in said]
    choice = {"index": 0, "message": {"role": "assistant", "content": "".join(word for word, _ in said)}, "finish_reason": "stop"}
    return {
        "id": f"r{number}", "set": "made", "signals": {}, "request": {"model": "auto", "messages": [{"role": "user", "content": asked}]},
        "small": {"model": SMALL, "correct": float(kind == "sure"), "cost_usd": 1e-5, "response": {"choices": [{**choice, "logprobs": {"content": told}}]}},
        "big": {"model": BIG, "correct": 1.0, "cost_usd": 1e-3},
    }


def calibrated(folder):
    rows, model, configuration = folder / "rows.jsonl", folder / "cascade.model", folder / "calibrate.toml"
    rows.write_text("".join(json.dumps(row(number)) + "\n" for number in range(1000, 1600)))
    configuration.write_text(f'[cascade]\nmodel = "{model}"\n')
    ran = subprocess.run([binary(), "calibrate", "--labels", rows, "--config", configuration, "--alpha", "0.01", "--write"], text=True, capture_output=True)
    assert ran.returncode == 0, ran.stderr
    return model, ran.stdout


def first_word(url, number, kind):
    """Seconds until the first word, and what the cascade did."""
    host = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(host.hostname, host.port, timeout=60)
    asked = {"model": "tierway/medium", "stream": True, "messages": [{"role": "user", "content": question(number, kind)}]}
    start, first = time.monotonic(), None
    connection.request("POST", "/v1/chat/completions", json.dumps(asked), {"content-type": "application/json", "authorization": f"Bearer {KEY}"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    for line in answer:
        if first is None and b'"content"' in line:
            first = time.monotonic() - start
    connection.close()
    return first, answer.headers["x-tierway-cascade"]


def measure(calls):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        model, told = calibrated(Path(folder))
        for mode, more in MODES.items():
            toml = CONFIGURATION.format(url="http://127.0.0.1:%d" % server.server_port, key=KEY, mode=mode, model=model, more=more)
            with Gateway(toml, XDG_STATE_HOME=folder) as gateway:
                first_word(gateway.url, 2000, "sure")
                for kind, word in KINDS.items():
                    seen = [first_word(gateway.url, number, word) for number in range(2001, calls + 2001)]
                    outcome = seen[-1][1]
                    expected = "skipped" if mode == "off" else "accepted" if kind == "kept" else "deferred"
                    assert all(o.startswith(expected) for _, o in seen), f"{mode}, {kind}: {outcome}"
                    assert mode not in ("prefix", "hedged") or kind != "kept" or "reason=beginning" in outcome, f"{mode}: {outcome}\n{told}"
                    found.setdefault(mode, {})[kind] = statistics.median(first for first, _ in seen)
    server.shutdown()
    return found


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=15)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    found = measure(given.calls)
    if given.json:
        print(json.dumps(found, indent=1))
        return
    print("| `cascade.streams` | " + " | ".join(f"draft {kind}" for kind in KINDS) + " |\n|---|---|---|---|")
    for mode, times in found.items():
        cells = [f"{times[kind] * 1000:.0f} ms, {times[kind] / found['off'][kind]:.2f}" for kind in KINDS]
        print(f"| `{mode}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
