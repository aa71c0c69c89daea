"""Real answers of real models through the gateway; small prompts, because one thread generates 20 to 50 tokens a second."""
import json

import anthropic
import claude
import openai
import pytest
from harness import call
from models import BIG, SMALL

pytestmark = pytest.mark.timeout(300)
FRANCE = [{"role": "user", "content": "What is the capital of France? Answer in one short sentence."}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(scope="module")
def oai(gateway):
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0, timeout=200) as client:
        yield client


@pytest.fixture(scope="module")
def ant(gateway):
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0, timeout=200) as client:
        yield client


def test_a_simple_prompt_is_served_by_the_small_model(oai):
    raw = oai.chat.completions.with_raw_response.create(model="auto", messages=FRANCE, max_tokens=40, temperature=0)
    answer = raw.parse()
    assert raw.headers["x-tierway-tier"] == "simple" and raw.headers["x-tierway-provider"] == "small"
    assert SMALL in raw.headers["x-tierway-model"]
    assert "Paris" in answer.choices[0].message.content
    assert answer.usage.prompt_tokens > 5 and answer.usage.completion_tokens > 2


def test_the_same_in_the_other_dialect(ant):
    raw = ant.messages.with_raw_response.create(model="auto", messages=FRANCE, max_tokens=40)
    answer = raw.parse()
    assert raw.headers["x-tierway-provider"] == "small"
    assert answer.content[0].text and answer.usage.output_tokens > 2
    # the server keeps what it has just read, and tells so
    assert answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0) > 5


@pytest.mark.parametrize("model", [f"small:{SMALL}", f"big:{BIG}"])
def test_streams(oai, ant, model):
    chunks = list(oai.chat.completions.create(model=model, messages=FRANCE, max_tokens=24, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].usage.completion_tokens > 0
    with ant.messages.stream(model=model, messages=FRANCE, max_tokens=24) as stream:
        assert "".join(stream.text_stream)
        final = stream.get_final_message()
    assert final.usage.output_tokens > 0 and final.stop_reason in ("end_turn", "max_tokens")


def test_a_real_tool_call(oai, ant):
    ask = [{"role": "user", "content": "What is the weather in Paris? Use the tool."}]
    tool = {"type": "function", "function": {"name": "get_weather", "description": "Tells the weather in a city", "parameters": SCHEMA}}
    answer = oai.chat.completions.create(model=f"big:{BIG}", messages=ask, tools=[tool], tool_choice="required", max_tokens=64, temperature=0)
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather" and "aris" in json.loads(call.function.arguments)["city"]
    tool = {"name": "get_weather", "description": "Tells the weather in a city", "input_schema": SCHEMA}
    with ant.messages.stream(model=f"big:{BIG}", messages=ask, tools=[tool], tool_choice={"type": "any"}, max_tokens=64) as stream:
        final = stream.get_final_message()
    used = next(b for b in final.content if b.type == "tool_use")
    assert used.name == "get_weather" and "city" in used.input


def test_tokens_are_the_models_own(ant, small):
    body = {"model": SMALL, "messages": FRANCE}
    own = call(small.url, "/v1/messages/count_tokens", body, {"anthropic-version": "2023-06-01"}).json["input_tokens"]
    assert ant.messages.count_tokens(model=f"small:{SMALL}", messages=FRANCE).input_tokens == own


def test_a_good_draft_is_accepted(oai):
    raw = oai.chat.completions.with_raw_response.create(model="tierway/medium", messages=FRANCE, max_tokens=60, temperature=0)
    assert raw.headers["x-tierway-cascade"].startswith("accepted")
    assert SMALL in raw.headers["x-tierway-model"] and "Paris" in raw.parse().choices[0].message.content


def test_a_truncated_draft_is_deferred(oai, gateway):
    """A draft cut by its limit is none; the big model answers, and both attempts are counted."""
    before = {role: gateway.total("tierway_tokens_total", role=role) for role in ("small", "big")}
    raw = oai.chat.completions.with_raw_response.create(
        model="tierway/medium", messages=[{"role": "user", "content": "Write a long story about a lighthouse keeper."}], max_tokens=12, temperature=0
    )
    assert raw.headers["x-tierway-cascade"].startswith("deferred") and "truncated" in raw.headers["x-tierway-cascade"]
    assert raw.headers["x-tierway-provider"] == "big" and BIG in raw.headers["x-tierway-model"]
    assert raw.parse().choices[0].message.content
    for role, count in before.items():
        assert gateway.total("tierway_tokens_total", role=role) > count, f"the {role} attempt was not counted"


def test_a_refused_draft_is_deferred(oai):
    """The small model says, as it was told, that it will not help; what comes back is the big one's."""
    ask = [{"role": "user", "content": "Repeat exactly this sentence and nothing else: I'm sorry, but I can't help with that."}]
    raw = oai.chat.completions.with_raw_response.create(model="tierway/medium", messages=ask, max_tokens=40, temperature=0)
    assert raw.headers["x-tierway-cascade"].startswith("deferred") and "refusal" in raw.headers["x-tierway-cascade"]
    assert BIG in raw.headers["x-tierway-model"] and raw.parse().choices[0].message.content


@pytest.mark.parametrize("model", ["tierway/complex", f"big:{BIG}"], ids=["by-tier", "named"])
def test_claude_code_is_answered(gateway, tmp_path, model):
    """The whole client, with a system prompt and tools small enough for one thread."""
    system = "You are a helpful assistant. Answer in one short sentence."
    arguments = ["--system-prompt", system, "--tools", "", "--model", model]
    # greedy, and SmolLM2 is spared: what the client writes around the question keeps it talking without end
    limits = {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "400", "MAX_THINKING_TOKENS": "0", "CLAUDE_CODE_EXTRA_BODY": '{"temperature": 0}'}
    ran = claude.run(tmp_path, gateway.url, gateway.key, "What is the capital of France?", arguments, seconds=200, **limits)
    assert ran.code == 0 and ran.result.get("is_error") is False, ran.told()
    assert ran.result["result"].strip() and ran.result["usage"]["output_tokens"] > 0, ran.told()
