"""An upstream that knows what it asked for: it answers with the usage that each question names, and keeps its own accounts of it."""
import asyncio
import json
from decimal import Decimal

from aiohttp import web
from loopback import Loopback

# US dollars for a million tokens: input, output, read from the cache, written to it.
PRICES = {"small": ("0.1", "0.4", "0.1", "0.1"), "big": ("2.5", "10", "0.25", "2.5"), "claude": ("3", "15", "0.3", "3.75")}
MILLION = Decimal(1_000_000)


def cost(model, usage):
    """In dollars, exactly."""
    prices = [Decimal(price) for price in PRICES[model]]
    return sum((price * count for price, count in zip(prices, usage, strict=True)), Decimal(0)) / MILLION


def toml(url, extra):
    prices = "".join(
        f'[prices."{at}:{model}"]\ninput = {i}\noutput = {o}\ncache_read = {r}\ncache_write = {w}\n'
        for model, (i, o, r, w) in PRICES.items()
        for at in ("a" if model == "claude" else "o",)
    )
    return f"""
[providers.o]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = "k"
[providers.a]
kind = "anthropic-compatible"
base_url = "{url}"
api_key = "k"
[tiers]
simple = "o:small"
medium = "o:big"
complex = "o:big"
reasoning = "a:claude"
{prices}
[log]
level = "warn"
{extra}
"""


class Accounts(Loopback):
    """Answers on a loopback port, in a thread of its own. `complete` holds a (model, usage) for each answer that went out whole."""

    def __init__(self):
        super().__init__()
        self.complete, self.failed, self.left = [], 0, 0
        self.flaky = set()

    def routes(self):
        return [web.post("/v1/chat/completions", self.completions), web.post("/v1/messages", self.messages)]

    @staticmethod
    def asked(body):
        """What the newest question wants: it ends in JSON."""
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        return json.loads(text[text.index("{") :])

    async def stream(self, request, pieces, done):
        """Sends pieces; one that is None is the place where an endless answer waits for its caller to leave."""
        answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
        try:
            await answer.prepare(request)
            for piece in pieces:
                if piece is None:
                    for _ in range(2000):
                        await answer.write(b": wait\n\n")
                        await asyncio.sleep(0.005)
                    raise ConnectionResetError
                await answer.write(piece.encode())
            self.complete.append(done)
            await answer.write_eof()
        except (ConnectionResetError, asyncio.CancelledError):
            self.left += 1
        return answer

    def broken(self, asked, model):
        """The first call of a question that is to fail does."""
        name = (asked["n"], model)
        if asked.get("fails") and name not in self.flaky:
            self.flaky.add(name)
            self.failed += 1
            return True
        return False

    async def completions(self, request):
        body = await request.json()
        asked, model = self.asked(body), body["model"]
        if self.broken(asked, model):
            return web.json_response({"error": {"message": "overloaded", "type": "server_error"}}, status=503)
        given, out, cached = asked["in"], asked["out"], asked.get("cached", 0)
        usage = {"prompt_tokens": given + cached, "completion_tokens": out, "total_tokens": given + cached + out,
                 "prompt_tokens_details": {"cached_tokens": cached}}
        done = (model, (given, out, cached, 0))
        text = "" if model == "small" and asked.get("reject") else f"The answer to {asked['n']} is {asked['n'] + 1}."
        head = {"id": f"c{asked['n']}", "created": 1, "model": model}
        if not body.get("stream"):
            self.complete.append(done)
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            return web.json_response({**head, "object": "chat.completion", "choices": [choice], "usage": usage})

        def chunk(**more):
            return f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', **more})}\n\n"

        def delta(reason=None, **delta):
            return chunk(choices=[{"index": 0, "delta": delta, "finish_reason": reason}])

        words = [delta(content=word + " ") for word in text.split()]
        if asked.get("endless"):
            words.append(None)
        wanted = (body.get("stream_options") or {}).get("include_usage")
        return await self.stream(request, [*words, delta("stop"), *([chunk(choices=[], usage=usage)] if wanted else []), "data: [DONE]\n\n"], done)

    async def messages(self, request):
        body = await request.json()
        asked, model = self.asked(body), body["model"]
        if self.broken(asked, model):
            return web.json_response({"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}}, status=529)
        given, out, cached, written = asked["in"], asked["out"], asked.get("cached", 0), asked.get("written", 0)
        usage = {"input_tokens": given, "output_tokens": out, "cache_read_input_tokens": cached, "cache_creation_input_tokens": written}
        done = (model, (given, out, cached, written))
        text = f"The answer to {asked['n']} is {asked['n'] + 1}."
        head = {"id": f"m{asked['n']}", "type": "message", "role": "assistant", "model": model}
        if not body.get("stream"):
            self.complete.append(done)
            return web.json_response({**head, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})

        def event(kind, **more):
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n"

        start = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 1}}
        pieces = [event("message_start", message=start), event("content_block_start", index=0, content_block={"type": "text", "text": ""})]
        pieces += [event("content_block_delta", index=0, delta={"type": "text_delta", "text": word + " "}) for word in text.split()]
        if asked.get("endless"):
            pieces.append(None)
        pieces += [event("content_block_stop", index=0), event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": out}), event("message_stop")]
        return await self.stream(request, pieces, done)
