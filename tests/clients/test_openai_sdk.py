"""The openai SDK through the gateway, on upstreams of every format."""
import asyncio
import json

import openai
import pytest
import told
from harness import KEY, UPSTREAM_KEY, call, direct
from pydantic import BaseModel

NATIVE = "o"
ASK = [{"role": "user", "content": "Say hello"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather", "parameters": PARAMETERS, "strict": True}}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="session")
def client(gateway):
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0, timeout=30) as client:
        yield client


def test_whole(client, gateway, provider):
    raw = client.chat.completions.with_raw_response.create(model=gateway.model(provider, "text-x"), messages=ASK)
    answer = raw.parse()
    assert answer.object == "chat.completion" and answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content.startswith("Hello")
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    if not direct():
        assert raw.headers["x-tierway-provider"] == provider
        assert "text-x" in raw.headers["x-tierway-model"]
        assert raw.headers["x-request-id"]


def test_the_clients_key_stays_here(client, gateway, provider, scripted):
    client.chat.completions.create(model=gateway.model(provider, "text-x"), messages=ASK)
    headers = scripted.requests[-1].headers
    assert all(KEY not in value for value in headers.values())
    assert any(UPSTREAM_KEY in value for value in headers.values())


@pytest.mark.parametrize("usage", [True, False])
def test_stream(client, gateway, provider, usage):
    options = {"stream_options": {"include_usage": True}} if usage else {}
    chunks = list(client.chat.completions.create(model=gateway.model(provider, "text-x"), messages=ASK, stream=True, **options))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices).startswith("Hello")
    assert len({c.id for c in chunks}) == 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    counted = [c for c in chunks if c.usage]
    if usage:
        assert len(counted) == 1 and counted[0] is chunks[-1] and not counted[0].choices
        assert counted[0].usage.completion_tokens > 0
    else:
        assert not counted and all(c.choices for c in chunks)


def test_a_stream_ends_in_done(gateway, provider):
    body = {"model": gateway.model(provider, "text-x"), "messages": ASK, "stream": True}
    answer = call(gateway.url, "/v1/chat/completions", body, {"authorization": f"Bearer {gateway.key}"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.events[-1] == (None, "[DONE]") and answer.text.count("[DONE]") == 1


@pytest.mark.parametrize("streamed", [True, False])
def test_a_tool_round(client, gateway, provider, streamed):
    model = gateway.model(provider, "tool-x")
    ask = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "weather?"}]
    if streamed:
        with client.chat.completions.stream(model=model, messages=ask, tools=TOOLS) as stream:
            for _ in stream:
                pass
            choice = stream.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(model=model, messages=ask, tools=TOOLS).choices[0]
    assert choice.finish_reason == "tool_calls"
    wanted = choice.message.tool_calls[0]
    assert wanted.function.name == "get_weather" and json.loads(wanted.function.arguments) == {"city": "Paris"}
    round_two = [
        *ask,
        {"role": "assistant", "content": choice.message.content, "tool_calls": [wanted.model_dump(include={"id": True, "type": True, "function": {"name", "arguments"}})]},
        {"role": "tool", "tool_call_id": wanted.id, "content": "sunny"},
    ]
    final = client.chat.completions.create(model=model, messages=round_two, tools=TOOLS)
    assert final.choices[0].finish_reason == "stop" and final.choices[0].message.content.startswith("All done")


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("model,count", [("tool-x", 1), ("parallel-x", 2), ("think-tool-x", 1)])
def test_a_tool_round_in_responses(client, gateway, provider, model, count, streamed):
    tools = [{"type": "function", "name": "get_weather", "description": "The weather", "parameters": PARAMETERS, "strict": True}]
    ask = {"model": gateway.model(provider, model), "tools": tools, "store": False}

    def answer(said):
        if not streamed:
            return client.responses.create(input=said, **ask)
        with client.responses.stream(input=said, **ask) as stream:
            assert [event.type for event in stream][-1] == "response.completed"
            return stream.get_final_response()

    first = answer(ASK)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in calls] == [{"city": "Paris"}] * count
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
    items = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
    final = answer([*ASK, *items, *results])
    assert final.status == "completed" and final.output_text.startswith("All done") and final.usage.output_tokens > 0


def test_parsed_output_in_responses(client, gateway, provider):
    class Weather(BaseModel):
        city: str
        celsius: int

    answer = client.responses.parse(model=gateway.model(provider, "text-x"), input=ASK, text_format=Weather)
    assert answer.output_parsed == Weather(city="Paris", celsius=1)


@pytest.mark.parametrize("streamed", [True, False])
def test_two_tools_at_once(client, gateway, provider, streamed):
    model, calls = gateway.model(provider, "parallel-x"), {}
    if streamed:
        for chunk in client.chat.completions.create(model=model, messages=ASK, tools=TOOLS, stream=True):
            for piece in chunk.choices[0].delta.tool_calls or []:
                call = calls.setdefault(piece.index, {"id": piece.id, "arguments": ""})
                call["arguments"] += piece.function.arguments or ""
        calls = list(calls.values())
    else:
        answer = client.chat.completions.create(model=model, messages=ASK, tools=TOOLS)
        calls = [{"id": c.id, "arguments": c.function.arguments} for c in answer.choices[0].message.tool_calls]
    assert len(calls) == 2 and len({c["id"] for c in calls}) == 2
    assert all(json.loads(c["arguments"]) == {"city": "Paris"} for c in calls)
    results = [{"role": "tool", "tool_call_id": c["id"], "content": "sunny"} for c in calls]
    asked = {"role": "assistant", "content": None, "tool_calls": [{"id": c["id"], "type": "function", "function": {"name": "get_weather", "arguments": c["arguments"]}} for c in calls]}
    final = client.chat.completions.create(model=model, messages=[*ASK, asked, *results], tools=TOOLS)
    assert final.choices[0].message.content.startswith("All done")


@pytest.mark.parametrize("choice", ["auto", "none", "required", {"type": "function", "function": {"name": "get_weather"}}], ids=str)
def test_tool_choice(client, gateway, provider, choice):
    answer = client.chat.completions.create(model=gateway.model(provider, "tool-x"), messages=ASK, tools=TOOLS, tool_choice=choice)
    assert bool(answer.choices[0].message.tool_calls) == (choice != "none")


def test_options_arrive(client, gateway, provider, scripted):
    stop = None if provider == "r" else ["END", "STOP"]
    more = {"stop": stop} if stop else {}
    client.chat.completions.create(model=gateway.model(provider, "text-x"), messages=ASK, max_completion_tokens=77, temperature=0.25, top_p=0.5, **more)
    assert told.options(provider, scripted.requests[-1]) == told.Options("text-x", 0.25, 0.5, 77, stop)


def test_an_image(client, gateway, provider, scripted):
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]
    client.chat.completions.create(model=gateway.model(provider, "text-x"), messages=[{"role": "user", "content": parts}])
    assert told.image(provider, scripted.requests[-1]) == ("image/png", PIXEL)


def test_text_outside_ascii_in_small_pieces(client, gateway, provider):
    model = gateway.model(provider, "text-unicode-tiny")
    chunks = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Grüße \U0001f30d"}], stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices).endswith("Grüße, 世界 \U0001f30d")


def test_parsed_output(client, gateway, provider):
    class Weather(BaseModel):
        city: str
        celsius: int

    answer = client.chat.completions.parse(model=gateway.model(provider, "text-x"), messages=ASK, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Paris", celsius=1)


def test_truncation_is_told(client, gateway, provider):
    answer = client.chat.completions.create(model=gateway.model(provider, "text-long"), messages=ASK, max_tokens=20)
    assert answer.choices[0].finish_reason == "length"


def test_cached_tokens_are_told(client, gateway, provider):
    usage = client.chat.completions.create(model=gateway.model(provider, "text-cached"), messages=ASK).usage
    assert usage.prompt_tokens_details.cached_tokens == 64 and usage.prompt_tokens > 64


ERRORS = {
    400: openai.BadRequestError, 401: openai.AuthenticationError, 403: openai.PermissionDeniedError, 404: openai.NotFoundError,
    429: openai.RateLimitError, 500: openai.InternalServerError, 503: openai.InternalServerError, 529: openai.InternalServerError,
}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("status", ERRORS)
def test_errors(client, gateway, provider, status, streamed):
    if provider == "b" and status == 529:
        pytest.skip("Amazon has no such status")
    with pytest.raises(ERRORS[status]) as caught:
        client.chat.completions.create(model=gateway.model(provider, f"e{status}-x"), messages=ASK, stream=streamed)
    assert caught.value.body["message"] and caught.value.body["type"]
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "1"


def test_an_error_page(client, gateway, provider):
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=gateway.model(provider, "html-x"), messages=ASK)
    if not direct():
        assert caught.value.body["message"]


@pytest.mark.skipif(direct(), reason="a promise of the gateway")
def test_an_upstream_that_hangs_up(client, gateway, provider):
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=gateway.model(provider, "reset-x"), messages=ASK)
    assert caught.value.status_code in (502, 503, 504) and caught.value.body["message"]


@pytest.mark.parametrize("fault", ["midfail", pytest.param("cutoff", marks=pytest.mark.skipif(direct(), reason="gateway")), pytest.param("eof", marks=pytest.mark.skipif(direct(), reason="gateway")), pytest.param("garbage", marks=pytest.mark.skipif(direct(), reason="gateway"))])
def test_a_stream_that_fails_in_the_middle(client, gateway, provider, fault):
    with pytest.raises(openai.APIError) as caught:
        for _ in client.chat.completions.create(model=gateway.model(provider, f"{fault}-x"), messages=ASK, stream=True):
            pass
    assert str(caught.value)


def test_leaving_early_ends_the_upstreams_work(client, gateway, provider, scripted):
    stream = client.chat.completions.create(model=gateway.model(provider, "long-slow"), messages=ASK, stream=True)
    next(iter(stream))
    stream.close()
    assert scripted.wait_left(), "the upstream was left talking"


def test_leaving_before_the_first_word(gateway, provider, scripted):
    async def leave():
        async with openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0) as client:
            asking = client.chat.completions.create(model=gateway.model(provider, "hang-x"), messages=ASK, stream=True)
            try:
                stream = await asyncio.wait_for(asking, 0.7)
                await asyncio.wait_for(anext(aiter(stream)), 0.7)
            except TimeoutError:
                pass

    asyncio.run(leave())
    assert scripted.wait_left(), "the upstream was left waiting"


@pytest.mark.skipif(direct(), reason="the gateway's own errors")
class TestTheGatewaysOwn:
    def test_wrong_key(self, gateway):
        with pytest.raises(openai.AuthenticationError) as caught:
            openai.OpenAI(base_url=gateway.url + "/v1", api_key="nope", max_retries=0).chat.completions.create(model="auto", messages=ASK)
        assert caught.value.body["message"] and "nope" not in str(caught.value)

    def test_unknown_model(self, client):
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="no-such-model", messages=ASK)
        assert "no-such-model" in caught.value.body["message"]

    @pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"model": 3, "messages": []}', b'{"model": "auto", "messages": 1}', b"\xff\xfe"])
    def test_malformed(self, gateway, body):
        answer = call(gateway.url, "/v1/chat/completions", body, {"authorization": f"Bearer {gateway.key}"})
        assert answer.status == 400 and answer.json["error"]["message"] and answer.json["error"]["type"] == "invalid_request_error"

    def test_models(self, client):
        assert {m.object for m in client.models.list()} == {"model"}

    def test_auto_goes_by_tier(self, client):
        answer = client.chat.completions.with_raw_response.create(model="auto", messages=[{"role": "user", "content": "hi"}])
        assert answer.headers["x-tierway-tier"] == "simple" and "text-small" in answer.headers["x-tierway-model"]

    @pytest.mark.parametrize("tier,model", [("simple", "text-small"), ("medium", "text-medium"), ("complex", "text-big"), ("reasoning", "text-reason")])
    def test_a_named_tier(self, client, tier, model):
        answer = client.chat.completions.with_raw_response.create(model=f"tierway/{tier}", messages=ASK)
        assert answer.headers["x-tierway-tier"] == tier and model in answer.headers["x-tierway-model"]


def test_many_at_once(gateway, provider):
    async def crowd():
        async with openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0) as client:
            async def one(n):
                stream = await client.chat.completions.create(model=gateway.model(provider, "text-x"), messages=[{"role": "user", "content": f"{n}"}], stream=True)
                return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
            return await asyncio.gather(*(one(n) for n in range(40)))

    assert set(asyncio.run(crowd())) == {"Hello from the scripted upstream."}


def test_the_same_bytes_go_on(gateway, scripted):
    """What this gateway has never heard of is not dropped, reordered or rewritten; only the model's name changes."""
    if direct():
        pytest.skip("a promise of the gateway")
    raw = '{"zeta": [1.00, 1e5],  "model":"o:text-x", "messages": [{"role": "user", "content": "caf\\u00e9"}], "new_field": {"a": null}}'
    answer = call(gateway.url, "/v1/chat/completions", raw.encode(), {"authorization": f"Bearer {gateway.key}"})
    assert answer.status == 200
    assert scripted.requests[-1].raw.decode() == raw.replace("o:text-x", "text-x")
