"""The anthropic SDK through the gateway, on upstreams of every format."""
import asyncio

import anthropic
import pytest
import told
from harness import KEY, UPSTREAM_KEY, call, direct
from pydantic import BaseModel

NATIVE = "a"
ASK = [{"role": "user", "content": "Say hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"name": "get_weather", "description": "The weather", "input_schema": SCHEMA}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="session")
def client(gateway):
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0, timeout=30) as client:
        yield client


def headers(gateway):
    return {"x-api-key": gateway.key, "anthropic-version": "2023-06-01"}


def test_whole(client, gateway, provider):
    raw = client.messages.with_raw_response.create(model=gateway.model(provider, "text-x"), max_tokens=64, messages=ASK)
    answer = raw.parse()
    assert answer.type == "message" and answer.role == "assistant" and answer.stop_reason == "end_turn"
    assert answer.content[0].type == "text" and answer.content[0].text.startswith("Hello")
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    if not direct():
        assert raw.headers["x-tierway-provider"] == provider and "text-x" in raw.headers["x-tierway-model"]
        assert raw.headers["x-request-id"]


@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
def test_the_clients_key_stays_here(gateway, provider, scripted, scheme):
    given = {"api_key": gateway.key} if scheme == "x-api-key" else {"auth_token": gateway.key, "api_key": None}
    with anthropic.Anthropic(base_url=gateway.url, max_retries=0, **given) as client:
        client.messages.create(model=gateway.model(provider, "text-x"), max_tokens=64, messages=ASK)
    sent = scripted.requests[-1].headers
    assert all(KEY not in value for value in sent.values())
    assert any(UPSTREAM_KEY in value for value in sent.values())


def check_grammar(events):
    """One message_start first, blocks opened and closed in order, one message_delta, one terminal event."""
    kinds = [e["type"] for _, e in events if e["type"] != "ping"]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    assert all(kinds.count(k) == 1 for k in ("message_start", "message_delta", "message_stop"))
    assert all(name == e["type"] for name, e in events)
    opened, following = None, 0
    for _, event in events:
        if event["type"] == "content_block_start":
            assert opened is None and event["index"] == following
            opened = event["index"]
        elif event["type"] == "content_block_delta":
            assert event["index"] == opened
        elif event["type"] == "content_block_stop":
            assert event["index"] == opened
            opened, following = None, following + 1
    assert opened is None


@pytest.mark.parametrize("model,tools", [("text-x", None), ("think-x", None), ("tool-x", TOOLS), ("parallel-x", TOOLS), ("parallel-think", TOOLS), ("text-tiny", None), ("empty-x", None)])
def test_the_streams_grammar(gateway, provider, model, tools):
    body = {"model": gateway.model(provider, model), "max_tokens": 2048, "messages": ASK, "stream": True, **({"tools": tools} if tools else {})}
    answer = call(gateway.url, "/v1/messages", body, headers(gateway))
    assert answer.headers["content-type"].startswith("text/event-stream")
    check_grammar(answer.events)
    events = [e for _, e in answer.events]
    assert events[0]["message"]["usage"]["input_tokens"] > 0, "no estimate at the start"
    assert next(e for e in events if e["type"] == "message_delta")["usage"]["output_tokens"] > 0


def test_stream(client, gateway, provider):
    with client.messages.stream(model=gateway.model(provider, "text-x"), max_tokens=64, messages=ASK) as stream:
        assert "".join(stream.text_stream).startswith("Hello")
        final = stream.get_final_message()
    assert final.stop_reason == "end_turn" and final.usage.output_tokens > 0 and final.usage.input_tokens > 0


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("model,count", [("tool-x", 1), ("parallel-x", 2)])
def test_a_tool_round(client, gateway, provider, model, count, streamed):
    ask = {"model": gateway.model(provider, model), "max_tokens": 256, "tools": TOOLS, "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]}
    if streamed:
        with client.messages.stream(messages=ASK, **ask) as stream:
            answer = stream.get_final_message()
    else:
        answer = client.messages.create(messages=ASK, **ask)
    assert answer.stop_reason == "tool_use"
    calls = [b for b in answer.content if b.type == "tool_use"]
    assert len(calls) == count and all(c.name == "get_weather" and c.input == {"city": "Paris"} for c in calls)
    results = [{"type": "tool_result", "tool_use_id": c.id, "content": [{"type": "text", "text": "sunny"}]} for c in calls]
    messages = [*ASK, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [*results, {"type": "text", "text": "and now?"}]}]
    final = client.messages.create(messages=messages, **ask)
    assert final.stop_reason == "end_turn" and final.content[0].text.startswith("All done")


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("model,count", [("tool-x", 1), ("parallel-x", 2), ("think-tool-x", 1)])
def test_the_tool_runner(client, gateway, provider, model, count, streamed):
    """The SDK runs the loop itself: it calls the tool, sends the results back, and ends when there are no more calls."""
    asked = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return f"sunny in {city}"

    runner = client.beta.messages.tool_runner(model=gateway.model(provider, model), max_tokens=1024, tools=[get_weather], messages=ASK, stream=streamed)
    turns = [turn.get_final_message() if streamed else turn for turn in runner]
    assert asked == ["Paris"] * count
    assert [t.stop_reason for t in turns] == ["tool_use", "end_turn"] and turns[-1].content[-1].text.startswith("All done")


def test_a_failed_tool(client, gateway, provider):
    messages = [
        *ASK,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": "no such city"}]},
    ]
    answer = client.messages.create(model=gateway.model(provider, "tool-x"), max_tokens=64, messages=messages, tools=TOOLS)
    assert answer.content[0].text.startswith("All done")


@pytest.mark.parametrize("choice", ["auto", "any", "none", "tool"])
def test_tool_choice(client, gateway, provider, choice):
    wanted = {"type": choice, **({"name": "get_weather"} if choice == "tool" else {})}
    answer = client.messages.create(model=gateway.model(provider, "tool-x"), max_tokens=64, messages=ASK, tools=TOOLS, tool_choice=wanted)
    assert (answer.stop_reason == "tool_use") == (choice != "none")


@pytest.mark.parametrize("streamed", [True, False])
def test_thinking(client, gateway, provider, streamed):
    ask = {"model": gateway.model(provider, "think-x"), "max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": ASK}
    if streamed:
        with client.messages.stream(**ask) as stream:
            answer = stream.get_final_message()
    else:
        answer = client.messages.create(**ask)
    assert [b.type for b in answer.content] == ["thinking", "text"]
    assert answer.content[0].thinking == "Let me think about it."
    if provider in "arb":
        assert answer.content[0].signature
    # what was thought goes back, as agents do
    again = client.messages.create(**{**ask, "messages": [*ASK, {"role": "assistant", "content": answer.content}, *ASK]})
    assert again.stop_reason == "end_turn"


def test_count_tokens(client, gateway, provider):
    model = gateway.model(provider, "text-x")
    bare = client.messages.count_tokens(model=model, messages=ASK).input_tokens
    tooled = client.messages.count_tokens(model=model, messages=ASK, tools=TOOLS).input_tokens
    longer = client.messages.count_tokens(model=model, messages=[{"role": "user", "content": "word " * 500}]).input_tokens
    assert 0 < bare < tooled < longer


def test_options_arrive(client, gateway, provider, scripted):
    stop = None if provider == "r" else ["END"]
    more = {"stop_sequences": stop} if stop else {}
    client.messages.create(model=gateway.model(provider, "text-x"), max_tokens=77, messages=ASK, system="Be brief.", extra_body={"temperature": 0.25, "top_p": 0.5}, **more)
    sent = scripted.requests[-1]
    assert told.options(provider, sent) == told.Options("text-x", 0.25, 0.5, 77, stop)
    assert "Be brief." in told.system(provider, sent)


@pytest.mark.skipif(direct(), reason="the gateway's own")
def test_a_stop_that_cannot_be_is_refused_by_name(client, gateway, scripted):
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model=gateway.model("r", "text-x"), max_tokens=77, messages=ASK, stop_sequences=["END"])
    assert "stop" in caught.value.body["error"]["message"] and not scripted.requests


def test_an_image(client, gateway, provider, scripted):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    client.messages.create(model=gateway.model(provider, "text-x"), max_tokens=64, messages=[{"role": "user", "content": [image, {"type": "text", "text": "?"}]}])
    assert told.image(provider, scripted.requests[-1]) == ("image/png", PIXEL)


def test_system_among_the_messages(client, gateway, provider):
    """Claude Code writes reminders as `role: system` in the middle of a conversation."""
    messages = [*ASK, {"role": "assistant", "content": "hello"}, *ASK, {"role": "system", "content": "A reminder."}]
    answer = client.messages.create(model=gateway.model(provider, "text-x"), max_tokens=64, messages=messages)
    assert answer.stop_reason == "end_turn"


def test_truncation_is_told(client, gateway, provider):
    assert client.messages.create(model=gateway.model(provider, "text-long"), max_tokens=20, messages=ASK).stop_reason == "max_tokens"


def test_cached_tokens_are_told(client, gateway, provider):
    usage = client.messages.create(model=gateway.model(provider, "text-cached"), max_tokens=64, messages=ASK).usage
    assert usage.cache_read_input_tokens == 64 and 0 < usage.input_tokens < 64


def test_parsed_output(client, gateway, provider):
    class Weather(BaseModel):
        city: str
        celsius: int

    answer = client.messages.parse(model=gateway.model(provider, "text-x"), max_tokens=64, messages=ASK, output_format=Weather)
    assert answer.parsed_output == Weather(city="Paris", celsius=1)


ERRORS = {
    400: anthropic.BadRequestError, 401: anthropic.AuthenticationError, 403: anthropic.PermissionDeniedError, 404: anthropic.NotFoundError,
    413: anthropic.APIStatusError, 429: anthropic.RateLimitError, 500: anthropic.InternalServerError, 529: anthropic.APIStatusError,
}
KINDS = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large",
    429: "rate_limit_error", 500: "api_error", 529: "overloaded_error",
}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("status", ERRORS)
def test_errors(client, gateway, provider, status, streamed):
    if provider == "b" and status in (413, 529):
        pytest.skip("Amazon has no such status")
    with pytest.raises(ERRORS[status]) as caught:
        client.messages.create(model=gateway.model(provider, f"e{status}-x"), max_tokens=5, messages=ASK, stream=streamed)
    assert caught.value.status_code == status and caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == KINDS[status] and caught.value.body["error"]["message"]
    if status in (429, 529):
        assert caught.value.response.headers["retry-after"] == "1"


GATEWAY_ONLY = pytest.mark.skipif(direct(), reason="a promise of the gateway")


@pytest.mark.parametrize("fault", ["midfail", *(pytest.param(f, marks=GATEWAY_ONLY) for f in ("cutoff", "eof", "garbage"))])
def test_a_stream_that_fails_in_the_middle(client, gateway, provider, fault):
    with pytest.raises(anthropic.APIError) as caught, client.messages.stream(model=gateway.model(provider, f"{fault}-x"), max_tokens=64, messages=ASK) as stream:
        list(stream)
    assert str(caught.value)
    body = {"model": gateway.model(provider, f"{fault}-x"), "max_tokens": 64, "messages": ASK, "stream": True}
    name, last = call(gateway.url, "/v1/messages", body, headers(gateway)).events[-1]
    assert name == last["type"] == "error" and last["error"]["message"] and last["error"]["type"]


@GATEWAY_ONLY
def test_a_repeat_without_stream(client, gateway, provider):
    """What Claude Code does after a failure in mid-stream: the same again, whole."""
    answer = client.messages.create(model=gateway.model(provider, "midfail-text"), max_tokens=64, messages=ASK)
    assert answer.content[0].text.startswith("Hello")


@pytest.mark.parametrize("model", ["nousage-text"])
def test_a_stream_without_usage(gateway, provider, model):
    if provider == "a":
        pytest.skip("Anthropic's format always has it")
    body = {"model": gateway.model(provider, model), "max_tokens": 64, "messages": ASK, "stream": True}
    check_grammar(call(gateway.url, "/v1/messages", body, headers(gateway)).events)


def test_leaving_early_ends_the_upstreams_work(client, gateway, provider, scripted):
    with client.messages.stream(model=gateway.model(provider, "long-slow"), max_tokens=4096, messages=ASK) as stream:
        next(iter(stream))
    assert scripted.wait_left(), "the upstream was left talking"


def test_many_at_once(gateway, provider):
    async def crowd():
        async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
            async def one(n):
                async with client.messages.stream(model=gateway.model(provider, "text-x"), max_tokens=64, messages=[{"role": "user", "content": f"{n}"}]) as stream:
                    return "".join([t async for t in stream.text_stream])
            return await asyncio.gather(*(one(n) for n in range(40)))

    assert set(asyncio.run(crowd())) == {"Hello from the scripted upstream."}


@GATEWAY_ONLY
class TestTheGatewaysOwn:
    def test_wrong_key(self, gateway):
        with pytest.raises(anthropic.AuthenticationError) as caught:
            anthropic.Anthropic(base_url=gateway.url, api_key="nope", max_retries=0).messages.create(model="auto", max_tokens=5, messages=ASK)
        assert caught.value.body["error"]["type"] == "authentication_error" and "nope" not in str(caught.value)

    def test_unknown_model(self, client):
        with pytest.raises(anthropic.NotFoundError) as caught:
            client.messages.create(model="no-such-model", max_tokens=5, messages=ASK)
        assert "no-such-model" in caught.value.body["error"]["message"]

    @pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"model": 3, "messages": []}', b'{"model": "auto", "messages": 1}', b"\xff\xfe"])
    def test_malformed(self, gateway, body):
        answer = call(gateway.url, "/v1/messages", body, headers(gateway))
        assert answer.status == 400 and answer.json["type"] == "error" and answer.json["error"]["type"] == "invalid_request_error"

    def test_unknown_route(self, gateway):
        assert call(gateway.url, "/v1/nope", {}, headers(gateway)).status == 404

    def test_too_large(self, client, scripted):
        with pytest.raises(anthropic.APIStatusError) as caught:
            client.messages.create(model="a:text-x", max_tokens=5, messages=[{"role": "user", "content": "x" * (33 << 20)}])
        assert caught.value.status_code == 413 and caught.value.body["error"]["type"] == "request_too_large"
        assert not scripted.requests

    def test_just_not_too_large(self, client):
        answer = client.messages.create(model="a:text-x", max_tokens=64, messages=[{"role": "user", "content": "x" * (31 << 20)}])
        assert answer.content[0].text.startswith("Hello")

    def test_models(self, client):
        models = list(client.models.list())
        assert models and all(m.type == "model" and m.id for m in models)

    @pytest.mark.parametrize("method,path", [("HEAD", "/"), ("GET", "/"), ("HEAD", "/api/hello")])
    def test_probes(self, gateway, method, path):
        assert call(gateway.url, path, method=method).status < 400

    @pytest.mark.parametrize("model", ["auto", "claude-opus-5-5", "claude-haiku-4-5-20251001", "claude-sonnet-4-5"])
    def test_claude_names_go_by_tier(self, client, model):
        answer = client.messages.with_raw_response.create(model=model, max_tokens=64, messages=[{"role": "user", "content": "hi"}])
        assert answer.headers["x-tierway-tier"] in ("simple", "medium", "complex", "reasoning")
        assert answer.headers["x-tierway-model"].startswith("text-") or ":text-" in answer.headers["x-tierway-model"]

    def test_the_query_string_is_kept(self, gateway, scripted):
        beta = {"anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14"}
        body = {"model": "a:text-x", "max_tokens": 5, "messages": ASK}
        assert call(gateway.url, "/v1/messages?beta=true", body, {**headers(gateway), **beta}).status == 200
        assert scripted.requests[-1].path.endswith("/v1/messages?beta=true")
        assert scripted.requests[-1].headers["anthropic-beta"] == beta["anthropic-beta"]

    def test_the_same_bytes_go_on(self, gateway, scripted):
        raw = '{"zeta": [1.00],  "model":"a:text-x", "max_tokens": 5, "messages": [{"role": "user", "content": "caf\\u00e9"}], "new_field": null}'
        assert call(gateway.url, "/v1/messages", raw.encode(), headers(gateway)).status == 200
        assert scripted.requests[-1].raw.decode() == raw.replace("a:text-x", "text-x")
