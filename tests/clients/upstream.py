#!/usr/bin/env python3
"""A scripted model provider for tests: the real wire formats, no model. Standard library only (Converse wants botocore),
loopback only.

    Anthropic   POST /v1/messages, /v1/messages/count_tokens    GET /v1/models[/id]
    OpenAI      POST /v1/chat/completions, /v1/responses, /v1/embeddings    GET /v1/models[/id]
    Bedrock     POST /model/{id}/converse, /converse-stream, /invoke, /invoke-with-response-stream
    Gemini      POST /v1beta/models/{id}:generateContent, :streamGenerateContent, :countTokens    GET /v1beta/models
    Ollama      GET /api/tags, /api/version     LM Studio  GET /api/v0/models     llama.cpp  GET /health, /props

If tools are offered and the newest turn answers none, it calls one (a shell-like one first, arguments filled from the schema), so a
real agent goes its whole round; otherwise it answers with text. Words in the model's name change that, and so do words set for a model
in `Upstream.behaviour`:

    text      never a tool                        parallel  two calls in one turn
    think     a thinking block first              long      2,000 words
    refuse    a refusal                           empty     no text at all
    trunc     stops for length                    badjson   arguments (or asked-for JSON) that do not parse
    cached    64 cached input tokens              nousage   a stream that never tells its usage
    unicode   text outside ASCII                  tiny      the stream in one-byte writes
    edit      a whole file, as aider wants it
    e400 ... e529   that status (429, 503 and 529 with retry-after: 1)      html   a 502 with an HTML page
    midfail   an error event after 3 chunks       cutoff    the connection reset after 3 chunks
    eof       a clean end after 3 chunks          garbage   a line of noise after 3 chunks
    hang      headers, then silence               slow      200 ms between chunks
    reset     closed before any answer            flaky     every first request of a pair is a 503

It refuses what the vendors' servers refuse (`strict.py`), remembers every request, and counts clients that left in the middle.
"""
import argparse
import base64
import http.server
import itertools
import json
import re
import socket
import struct
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass

import converse_wire
import gemini_wire
import responses_wire
import strict
from plan import Plan, Tool, embedding, identifier, now, tokens, words

SSE, AMAZONS_STREAM = "text/event-stream; charset=utf-8", "application/vnd.amazon.eventstream"
MODELS = ("claude-sonnet-scripted", "claude-haiku-scripted", "gpt-scripted", "gpt-mini-scripted")
ANTHROPIC_ERRORS = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error",
}
OPENAI_ERRORS = {
    400: ("invalid_request_error", None), 401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"), 429: ("rate_limit_error", "rate_limit_exceeded"),
}


@dataclass
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict
    raw: bytes

    @property
    def body(self):
        try:
            return json.loads(self.raw)
        except ValueError:
            return None


class Cut(Exception):
    """The script says that the stream ends here, and how."""


class Upstream:
    """The server; use as a context manager. `with Upstream() as up: up.url`."""

    def __init__(self, port=0, key=None, strict=True, delay=0.0, models=MODELS, hang=30.0):
        self.key, self.strict, self.delay, self.models, self.hang = key, strict, delay, models, hang
        self.behaviour, self.threads = {}, {}
        self.requests = []
        self.left = 0
        self._flaky = itertools.count()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.upstream = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def clear(self):
        """Forgets what it received."""
        with self._lock:
            self.requests.clear()
            self.left = 0

    def received(self, path):
        """The requests whose path ends so, or in one of these ways, query apart."""
        with self._lock:
            return [r for r in self.requests if r.path.split("?")[0].endswith(path)]

    def wait_left(self, count=1, seconds=5.0):
        """Whether that many clients leave in mid-answer before the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.left >= count:
                return True
            time.sleep(0.02)
        return False


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "scripted-upstream"
    sys_version = ""
    # Answers are written in pieces; without this a delayed acknowledgement adds 40 ms to each.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    @property
    def upstream(self):
        return self.server.upstream

    # --- plumbing

    def read_body(self):
        if "chunked" not in (self.headers.get("transfer-encoding") or "").lower():
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0].strip() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def says(self, word):
        return word in self.said

    def send(self, status, value, content_type="application/json", headers=()):
        data = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        self.send_header("request-id", identifier("req_"))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def begin_stream(self, content_type=SSE):
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("request-id", identifier("req_"))
        self.end_headers()
        self.chunks = 0
        if self.says("hang"):
            self.wfile.flush()
            self.wait_for_client(self.upstream.hang)

    def wait_for_client(self, seconds):
        """Silence, noticing when the client leaves."""
        self.connection.settimeout(seconds)
        try:
            if self.connection.recv(1) == b"":
                raise ConnectionResetError
        except TimeoutError:
            pass
        finally:
            self.connection.settimeout(None)

    def put(self, data):
        self.chunks += 1
        if self.chunks == 4:
            for word in ("midfail", "cutoff", "eof", "garbage"):
                if self.says(word):
                    raise Cut(word)
        for piece in ([bytes([b]) for b in data] if self.says("tiny") else [data]):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        delay = 0.2 if self.says("slow") else self.upstream.delay
        if delay:
            time.sleep(delay)

    def event(self, value, name=None):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        self.put(((f"event: {name}\n" if name else "") + f"data: {text}\n\n").encode())

    def end_stream(self):
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    # --- dispatch

    def do_GET(self):
        self.answer()

    do_HEAD = do_POST = do_GET

    def answer(self):
        raw = self.read_body()
        received = Received(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
        with self.upstream._lock:
            self.upstream.requests.append(received)
        path = urllib.parse.unquote(self.path.split("?")[0]).rstrip("/")
        self.anthropic = path.endswith(("/messages", "/count_tokens"))
        self.amazon, self.google = converse_wire.ROUTE.match(path), gemini_wire.ROUTE.match(path)
        body = received.body if raw else {}
        self.model = str(body.get("model") or "") if isinstance(body, dict) else ""
        if named := self.amazon or self.google:
            self.model = named[1]
        if self.anthropic and isinstance(body, dict):
            body = self.threaded(body)
        self.said = self.upstream.behaviour.get(self.model, self.model).lower()
        if self.says("reset"):
            return self.reset()
        try:
            if not self.refused(body, received.headers, path):
                self.route(path, body)
        except Cut as cut:
            self.cut(str(cut))
        except (BrokenPipeError, ConnectionResetError):
            with self.upstream._lock:
                self.upstream.left += 1
            self.close_connection = True

    def threaded(self, body):
        """What continues a thread, with the beginning that is held here: its messages, and what else is not said again."""
        held = self.upstream.threads.get((body.get("thread") or {}).get("previous_message_id"))
        return {**held, **body, "messages": [*held["messages"], *body["messages"]]} if held else body

    def route(self, path, body):
        if self.command in ("GET", "HEAD"):
            return self.get(path)
        if path.endswith("/messages/count_tokens"):
            return self.send(200, {"input_tokens": tokens(json.dumps(body))})
        if path.endswith("/messages"):
            return self.messages(body)
        if path.endswith("/chat/completions"):
            return self.chat(body)
        if path.endswith("/responses"):
            return self.respond(body)
        if path.endswith("/embeddings"):
            return self.embeddings(body)
        if self.amazon:
            return self.converse(body) if "converse" in self.amazon[2] else self.invoke(body)
        if self.google:
            return self.generate(body)
        return self.error(404, f"no route {path}")

    def refused(self, body, headers, path):
        """Answers with an error where the script, the key or the format demands one."""
        if not isinstance(body, dict):
            self.error(400, "the body is no JSON object")
            return True
        if self.upstream.key and path not in ("", "/health"):
            given = (headers.get("x-api-key"), headers.get("x-goog-api-key"), headers.get("authorization", "").removeprefix("Bearer "))
            if self.upstream.key not in given:
                self.error(401, "invalid x-api-key" if self.anthropic else "Incorrect API key provided")
                return True
        if self.says("html"):
            self.send(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")
            return True
        if status := re.search(r"\be([45]\d\d)\b", self.said):
            self.error(int(status[1]), f"scripted {status[1]}")
            return True
        if self.says("flaky") and next(self.upstream._flaky) % 2 == 0:
            self.error(503, "scripted 503")
            return True
        reason = None
        if self.upstream.strict and self.command == "POST":
            if self.anthropic:
                reason = strict.messages(body, headers, counting=path.endswith("/count_tokens"))
            elif path.endswith("/chat/completions"):
                reason = strict.chat_completions(body)
            elif path.endswith("/responses"):
                reason = responses_wire.refused(body)
            elif self.google:
                reason = gemini_wire.refused(body)
            elif self.amazon and "converse" in self.amazon[2]:
                reason = converse_wire.refused(body)
            elif self.amazon:
                reason = strict.invoke(body)
        if reason:
            self.error(400, reason)
        return bool(reason)

    def error(self, status, message):
        headers = [("retry-after", "1")] if status in (429, 503, 529) else []
        if self.anthropic:
            kind = ANTHROPIC_ERRORS.get(status, "api_error")
            value = {"type": "error", "error": {"type": kind, "message": message}, "request_id": identifier("req_")}
        elif self.amazon:
            value = {"message": message}
            headers.append(("x-amzn-errortype", converse_wire.ERRORS.get(status, "InternalServerException")))
            status = converse_wire.STATUS.get(status, status)
        elif self.google:
            value = {"error": {"code": status, "message": message, "status": gemini_wire.ERRORS.get(status, "UNKNOWN")}}
        else:
            kind, code = OPENAI_ERRORS.get(status, ("server_error", None))
            value = {"error": {"message": message, "type": kind, "param": None, "code": code}}
        self.send(status, value, headers=headers)

    def cut(self, how):
        self.said = ""
        if how == "cutoff":
            return self.reset()
        if how == "midfail" and self.anthropic:
            self.event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error")
        elif how == "midfail" and self.amazon:
            self.put(converse_wire.failure())
        elif how == "midfail" and self.google:
            self.event(gemini_wire.failure())
        elif how == "midfail" and self.path.split("?")[0].endswith("/responses"):
            self.event(responses_wire.failure(), "response.failed")
        elif how == "midfail":
            self.event({"error": {"message": "scripted failure", "type": "server_error", "code": 500}})
        elif how == "garbage":
            self.put(b"data: {\"oops\": \xff\n\nnoise without a colon\n\n")
        self.end_stream()

    def get(self, path):
        models = self.upstream.models
        if path in ("", "/health"):
            return self.send(200, {"status": "ok"})
        if path.endswith("/v1beta/models"):
            return self.send(200, {"models": [{"name": f"models/{m}", "supportedGenerationMethods": ["generateContent"]} for m in models]})
        if path.endswith("/api/version"):
            return self.send(200, {"version": "0.99.0"})
        if path.endswith("/api/tags"):
            return self.send(200, {"models": [{"name": m, "model": m, "size": 1, "details": {"family": "scripted"}} for m in models]})
        if path.endswith("/api/v0/models"):
            return self.send(200, {"object": "list", "data": [{"id": m, "object": "model", "type": "llm", "state": "loaded"} for m in models]})
        anthropic = "anthropic-version" in self.headers

        def one(model):
            if anthropic:
                return {"type": "model", "id": model, "display_name": model, "created_at": "2026-01-01T00:00:00Z", "lifecycle": "active"}
            return {"id": model, "object": "model", "created": 1767225600, "owned_by": "scripted"}

        if path.endswith("/models"):
            data = [one(m) for m in models]
            if anthropic:
                return self.send(200, {"data": data, "has_more": False, "first_id": models[0], "last_id": models[-1]})
            return self.send(200, {"object": "list", "data": data})
        if match := re.search(r"/models/(.+)$", path):
            return self.send(200, one(match[1]))
        return self.error(404, f"no route {path}")

    # --- Anthropic

    def messages(self, body):
        plan = self.anthropic_plan(body)
        head = {"id": identifier("msg_"), "type": "message", "role": "assistant", "model": plan.model}
        if body.get("thread"):
            answer = {"role": "assistant", "content": list(self.blocks(plan))}
            self.upstream.threads[head["id"]] = {**body, "messages": [*body["messages"], answer]}
        usage = {
            "input_tokens": plan.input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": plan.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": plan.output, "service_tier": "standard",
        }
        stop = "tool_use" if plan.calls else "max_tokens" if plan.truncated else "end_turn"
        if not body.get("stream"):
            return self.send(200, {**head, "content": list(self.blocks(plan)), "stop_reason": stop, "stop_sequence": None, "usage": usage})
        self.begin_stream(AMAZONS_STREAM if self.amazon else SSE)
        start = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 1}}
        if self.says("nousage"):
            start["usage"] = {"input_tokens": 0, "output_tokens": 0}
        end = {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}}
        end["usage"] = {} if self.says("nousage") else {"output_tokens": plan.output}
        blocks = enumerate(self.blocks(plan, streaming=True))
        inside = [event for index, block in blocks for event in self.block_events(index, block)]
        for event in [{"type": "message_start", "message": start}, {"type": "ping"}, *inside, end, {"type": "message_stop"}]:
            if self.amazon:
                self.put(converse_wire.enveloped(event))
            else:
                self.event(event, event["type"])
        return self.end_stream()

    def anthropic_plan(self, body):
        tools = [Tool(t["name"], t.get("input_schema") or {}) for t in body.get("tools") or [] if t.get("input_schema")]
        answered = False
        for turn in reversed(body.get("messages") or []):
            if turn.get("role") == "assistant":
                break
            blocks = turn.get("content") if isinstance(turn.get("content"), list) else []
            answered |= any(isinstance(b, dict) and b.get("type") == "tool_result" for b in blocks)
        choice = body.get("tool_choice") or {}
        if choice.get("type") == "none":
            tools = []
        wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
        schema = wanted.get("schema") if wanted.get("type") == "json_schema" else None
        forced = choice.get("name") if choice.get("type") == "tool" else None
        return Plan(self.said, self.model, tools, answered, json.dumps(body), forced, schema, body.get("max_tokens"))

    @staticmethod
    def blocks(plan, streaming=False):
        if plan.thinking:
            yield {"type": "thinking", "thinking": plan.thinking, "signature": "c2NyaXB0ZWQ="}
        if plan.text or not plan.calls:
            yield {"type": "text", "text": plan.text}
        for call in plan.calls:
            yield {"type": "tool_use", "id": "toolu_" + call.id, "name": call.name, "input": call.arguments if streaming else call.input()}

    @staticmethod
    def block_events(index, block):
        kind = block["type"]
        if kind == "tool_use":
            empty, arguments = {**block, "input": {}}, block["input"]
            pieces = [""] + [arguments[i:i + 7] for i in range(0, len(arguments), 7)]
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in pieces]
        elif kind == "thinking":
            empty = {"type": kind, "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": w} for w in words(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        else:
            empty = {"type": kind, "text": ""}
            deltas = [{"type": "text_delta", "text": w} for w in words(block["text"])]
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}

    # --- OpenAI

    def chat(self, body):
        plan = self.openai_plan(body)
        base = {"id": identifier("chatcmpl-"), "created": now(), "model": plan.model, "system_fingerprint": "fp_scripted"}
        prompt = plan.input + plan.cached
        usage = {
            "prompt_tokens": prompt, "completion_tokens": plan.output, "total_tokens": prompt + plan.output,
            "prompt_tokens_details": {"cached_tokens": plan.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }
        calls = [{"id": "call_" + c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in plan.calls]
        finish = "tool_calls" if calls else "length" if plan.truncated else "stop"
        if not body.get("stream"):
            message = {"role": "assistant", "content": plan.text or (None if calls else ""), "refusal": None, "annotations": []}
            if calls:
                message["tool_calls"] = calls
            if plan.thinking:
                message["reasoning_content"] = plan.thinking
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
            return self.send(200, {**base, "object": "chat.completion", "choices": [choice], "usage": usage, "service_tier": "default"})
        counted = bool((body.get("stream_options") or {}).get("include_usage")) and not self.says("nousage")
        self.begin_stream()

        def chunk(delta, finish=None):
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            self.event({**base, "object": "chat.completion.chunk", "choices": [choice], **({"usage": None} if counted else {})})

        chunk({"role": "assistant", "content": "", "refusal": None})
        for word in words(plan.thinking):
            chunk({"reasoning_content": word})
        for word in words(plan.text):
            chunk({"content": word})
        for index, call in enumerate(calls):
            arguments = call["function"]["arguments"]
            chunk({"tool_calls": [{**call, "index": index, "function": {"name": call["function"]["name"], "arguments": ""}}]})
            for at in range(0, len(arguments), 7):
                chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments[at:at + 7]}}]})
        chunk({}, finish)
        if counted:
            self.event({**base, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        self.event("[DONE]")
        return self.end_stream()

    def openai_plan(self, body):
        tools = [Tool(t["function"]["name"], t["function"].get("parameters") or {}) for t in body.get("tools") or [] if "function" in t]
        said = [m.get("role") for m in body.get("messages") or []]
        # after the newest assistant's turn, whatever the user says beside the results
        answered = "tool" in said[len(said) - next((n for n, role in enumerate(reversed(said)) if role == "assistant"), len(said)):]
        choice = body.get("tool_choice")
        if choice == "none":
            tools = []
        forced = (choice.get("function") or {}).get("name") if isinstance(choice, dict) else None
        wanted = body.get("response_format") or {}
        schema = {"json_schema": (wanted.get("json_schema") or {}).get("schema"), "json_object": {}}.get(wanted.get("type"))
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        return Plan(self.said, self.model, tools, answered, json.dumps(body), forced, schema, limit)

    def respond(self, body):
        tools, known = responses_wire.offered(body)
        choice = body.get("tool_choice")
        forced = choice.get("name") if isinstance(choice, dict) else None
        tools = [] if choice == "none" else tools
        answered, schema = responses_wire.answered(body), responses_wire.wanted(body)
        plan = Plan(self.said, self.model, tools, answered, json.dumps(body), forced, schema, body.get("max_output_tokens"))
        events = responses_wire.events(plan, known, body)
        if not body.get("stream"):
            return self.send(200, events[-1]["response"])
        self.begin_stream()
        for event in events:
            self.event(event, event["type"])
        return self.end_stream()

    # --- Amazon, Google

    def invoke(self, body):
        return self.messages({**body, "model": self.model, "stream": self.amazon[2] != "invoke"})

    def converse(self, body):
        plan = converse_wire.plan(self.said, self.model, body)
        if self.amazon[2] == "converse":
            return self.send(200, converse_wire.answer(plan))
        self.begin_stream(AMAZONS_STREAM)
        for frame in converse_wire.frames(plan, usage=not self.says("nousage")):
            self.put(frame)
        return self.end_stream()

    def generate(self, body):
        if self.google[2] == "countTokens":
            return self.send(200, gemini_wire.count(body))
        plan = gemini_wire.plan(self.said, self.model, body)
        if self.google[2] == "generateContent":
            return self.send(200, gemini_wire.events(plan, whole=True)[0])
        self.begin_stream()
        for event in gemini_wire.events(plan):
            if self.says("nousage"):
                event.pop("usageMetadata")
            self.event(event)
        return self.end_stream()

    def embeddings(self, body):
        given = body.get("input")
        texts = given if isinstance(given, list) and not (given and isinstance(given[0], int)) else [given]
        data = []
        for index, text in enumerate(texts):
            vector = embedding(text)
            if body.get("encoding_format") == "base64":
                vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
            data.append({"object": "embedding", "index": index, "embedding": vector})
        count = sum(tokens(str(t)) for t in texts)
        self.send(200, {"object": "list", "data": data, "model": self.model, "usage": {"prompt_tokens": count, "total_tokens": count}})


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=0, help="0 takes a free one")
    options.add_argument("--key", help="answer 401 unless this key is presented")
    options.add_argument("--delay-ms", type=float, default=0, help="between the chunks of a stream")
    options.add_argument("--lenient", action="store_true", help="accept requests that the vendors' servers refuse")
    options.add_argument("--seconds", type=float, default=3600, help="stop by itself after this time")
    given = options.parse_args()
    with Upstream(given.port, given.key, strict=not given.lenient, delay=given.delay_ms / 1000) as upstream:
        print(f"READY {upstream.url}", flush=True)
        try:
            threading.Event().wait(given.seconds)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
