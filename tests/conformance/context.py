"""What a case has in its hands: the target, the upstream's script, and calls in each API."""
import http.client
import json
import time
import urllib.parse

import grammar

from harness import Answer

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {
    "messages": {"name": "get_weather", "description": "The weather", "input_schema": PARAMETERS},
    "chat": {"type": "function", "function": {"name": "get_weather", "description": "The weather", "parameters": PARAMETERS}},
    "responses": {"type": "function", "name": "get_weather", "description": "The weather", "parameters": PARAMETERS},
}
PATHS = {"messages": "/v1/messages", "chat": "/v1/chat/completions", "responses": "/v1/responses", "count": "/v1/messages/count_tokens"}


class Skip(Exception):
    """The case says nothing about this target."""


def check(holds, what):
    """Fails the case unless this holds."""
    if not holds:
        raise AssertionError(what)


class Context:
    """One case's run against one target, for one format of the upstream (`a`, `o`) or a live one (`l`)."""

    def __init__(self, target, script, format):
        self.target, self.script, self.format = target, script, format

    # --- the ways to ask

    def body(self, api, model, text="Say hello", tools=False, **more):
        """A request in an API; `model` is the scripted upstream's name for it, `tools` a list or True for the usual one."""
        name = self.target.models[api] if self.format == "l" else self.target.model(self.format, model)
        body = {"model": name}
        if api == "responses":
            body |= {"input": text, "max_output_tokens": 2048}
        else:
            body |= {"messages": [{"role": "user", "content": text}]}
            body["max_tokens"] = 2048
        if tools:
            body["tools"] = tools if isinstance(tools, list) else [TOOL[api]]
        if api == "chat" and more.get("stream"):
            more.setdefault("stream_options", {"include_usage": True})
        return {**body, **more}

    def headers(self, api, **more):
        version = {"anthropic-version": "2023-06-01"} if api in ("messages", "count") else {}
        more = {k.replace("_", "-"): v for k, v in more.items()}
        return {"content-type": "application/json", **version, **self.target.headers(self.format), **more}

    def open(self, path, body, headers, timeout=20):
        """The connection and the answer's head; the caller reads and closes."""
        address = urllib.parse.urlsplit(self.target.url)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        connection = kind(address.netloc, timeout=timeout)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", address.path.rstrip("/") + path, data, headers)
        return connection, connection.getresponse()

    def post(self, path, body, headers, timeout=20):
        """The whole answer. A body cut by the gateway counts up to the cut."""
        connection, response = self.open(path, body, headers, timeout)
        try:
            raw = response.read()
        except http.client.IncompleteRead as cut:
            raw = cut.partial
        except ConnectionError:
            raw = b""
        finally:
            connection.close()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, raw)

    def ask(self, api, model="text-x", text="Say hello", tools=False, headers=None, timeout=20, **more):
        """A generation; a case for an API that the target does not have is skipped."""
        self.need(api)
        return self.post(PATHS[api], self.body(api, model, text, tools, **more), {**self.headers(api), **(headers or {})}, timeout)

    def whole(self, api, *arguments, **more):
        """A generation that must succeed, as JSON."""
        answer = self.ask(api, *arguments, **more)
        check(answer.status == 200, f"{api}: status {answer.status}: {answer.text[:200]}")
        return answer.json

    def stream(self, api, model="text-x", complete=True, exact=False, **more):
        """A stream that must succeed and obey its grammar, as events; `exact` holds it to every field."""
        answer = self.ask(api, model, stream=True, **more)
        check(answer.status == 200, f"{api}: status {answer.status}: {answer.text[:200]}")
        check(answer.headers.get("content-type", "").startswith("text/event-stream"), f"{api}: content-type {answer.headers.get('content-type')}")
        wrong = grammar.violation(api, answer.raw, complete, exact)
        check(wrong is None, f"{api} stream of {model}: {wrong}")
        return answer.events

    def count(self, body, headers=None):
        self.need("messages")
        return self.post(PATHS["count"], body, {**self.headers("count"), **(headers or {})})

    # --- what arrived

    def sent(self):
        """The body that the upstream got last."""
        last = self.script.last()
        check(last is not None, "nothing reached the upstream")
        return last.body

    @property
    def apis(self):
        """The APIs that the target serves on this format of the upstream."""
        return self.target.served[self.format]

    def need(self, api):
        """Skips the case where the target does not serve this."""
        if api not in self.apis:
            raise Skip(f"it does not serve {PATHS[api]} here")


def text_of(api, events):
    """All text of a stream."""
    out = ""
    for _, event in events:
        if not isinstance(event, dict):
            continue
        if api == "messages" and event["type"] == "content_block_delta":
            out += event["delta"].get("text") or ""
        elif api == "chat" and event.get("choices"):
            out += event["choices"][0]["delta"].get("content") or ""
        elif api == "responses" and event.get("type") == "response.output_text.delta":
            out += event["delta"]
    return out


def calls_of(api, events):
    """The tool calls of a stream, as [(name, arguments)]."""
    calls = {}
    for _, event in events:
        if not isinstance(event, dict):
            continue
        if api == "messages" and event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            calls[event["index"]] = [event["content_block"]["name"], ""]
        elif api == "messages" and event["type"] == "content_block_delta" and event["index"] in calls:
            calls[event["index"]][1] += event["delta"].get("partial_json") or ""
        elif api == "chat" and event.get("choices"):
            for call in event["choices"][0]["delta"].get("tool_calls") or []:
                known = calls.setdefault(call["index"], [None, ""])
                known[0] = known[0] or call["function"].get("name")
                known[1] += call["function"].get("arguments") or ""
        elif api == "responses" and event.get("type") == "response.output_item.done" and event["item"]["type"] == "function_call":
            calls[event["output_index"]] = [event["item"]["name"], event["item"]["arguments"]]
    return [tuple(c) for c in calls.values()]


def wait_until(holds, seconds):
    """Whether it holds before the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False
