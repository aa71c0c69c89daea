"""The scripted upstream of tests/clients, with answers that a case writes itself."""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))
import upstream as scripted  # noqa: E402

# Every model that a case asks for, for those gateways which must be told beforehand.
MODELS = (
    "text-x", "tool-x", "think-x", "think-tool-x", "parallel-x", "think-parallel-x", "tool-tiny-x", "text-tiny-x", "text-unicode-x",
    "text-cached-x", "text-slow-x", "text-long-slow-x", "text-hang-x", "text-midfail-x", "text-cutoff-x", "text-eof-x", "text-garbage-x",
    "text-nousage-x", "raw-e400-x", "raw-e404-x", "raw-e429-x", "raw-e529-x", "raw-limits-x", "raw-onechunk-x", "raw-noargs-x", "raw-long-id-x",
    "text-flaky-x",
)


class _Handler(scripted._Handler):
    def route(self, path, body):
        if custom := self.upstream.custom.get(self.model):
            return custom(self, path, body)
        return super().route(path, body)

    def refused(self, body, headers, path):
        # What a case scripts itself is not the words of the model's name.
        if self.model in self.upstream.custom:
            self.said = ""
        return super().refused(body, headers, path)


class Script(scripted.Upstream):
    """`custom[model] = function(handler, path, body)` answers for that model."""

    def __init__(self, **options):
        super().__init__(models=MODELS, **options)
        self.custom = {}
        self._server.RequestHandlerClass = _Handler

    def clear(self):
        super().clear()
        self.custom.clear()
        self.behaviour.clear()

    def last(self, *paths):
        """The newest generation request, of whichever format."""
        wanted = paths or ("/messages", "/chat/completions", "/responses")
        found = [r for r in self.requests if r.method == "POST" and r.path.split("?")[0].endswith(wanted)]
        return found[-1] if found else None


def error(status, kind, message, headers=()):
    """An error answer in the format of the path."""

    def answer(handler, path, body):
        if handler.anthropic:
            value = {"type": "error", "error": {"type": kind, "message": message}}
        else:
            value = {"error": {"message": message, "type": kind, "param": None, "code": None}}
        handler.send(status, value, headers=headers)

    return answer


def with_headers(headers):
    """The usual answer, with these headers besides."""

    def answer(handler, path, body):
        send = handler.send_response

        def send_response(status, message=None):
            send(status, message)
            for name, text in headers.items():
                handler.send_header(name, text)

        handler.send_response = send_response
        handler.said = "text"
        try:
            scripted._Handler.route(handler, path, body)
        finally:
            del handler.send_response

    return answer


def chat_tool_call(arguments, one_chunk=True):
    """A chat upstream's tool call with these arguments: whole, or a stream with all of the call in one chunk."""

    def answer(handler, path, body):
        base = {"id": "chatcmpl-raw", "created": scripted.now(), "model": "raw"}
        call = {"id": "call_raw1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
        usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
        if not body.get("stream"):
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
            return handler.send(200, {**base, "object": "chat.completion", "choices": [choice], "usage": usage})
        handler.said = "text"
        handler.begin_stream()

        def chunk(delta, finish=None, **more):
            choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
            handler.event({**base, "object": "chat.completion.chunk", "choices": choices, **more})

        if one_chunk:
            chunk({"role": "assistant", "content": None, "tool_calls": [{**call, "index": 0}]})
        else:
            chunk({"role": "assistant", "content": None})
            chunk({"tool_calls": [{**call, "index": 0}]})
        chunk({}, "tool_calls")
        handler.event({**base, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        handler.event("[DONE]")
        return handler.end_stream()

    return answer


def as_json(raw):
    """The JSON of a body, or None."""
    try:
        return json.loads(raw)
    except ValueError:
        return None
