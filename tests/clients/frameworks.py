"""Whole tool rounds with Python frameworks, on the gateway at $BASE_URL. usage: frameworks.py CLIENT MODEL...

Runs in an environment of its own (framework-requirements.txt) and prints one JSON line for each model: {model, text, tools: [what each tool was called with]}.
"""
import json
import os
import sys

BASE, KEY = os.environ["BASE_URL"], os.environ["KEY"]
ASK = "What is the weather in Paris?"
CALLED = []


def weather(city):
    CALLED.append(city)
    return f"sunny in {city}"


def langchain(model, api):
    from langchain.agents import create_agent
    from langchain_anthropic import ChatAnthropic
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    if api == "messages":
        chat = ChatAnthropic(model=model, base_url=BASE, api_key=KEY, max_retries=0, max_tokens=1024)
    else:
        chat = ChatOpenAI(model=model, base_url=BASE + "/v1", api_key=KEY, max_retries=0, use_responses_api=api == "responses", stream_usage=True)

    @tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return weather(city)

    def said(message):
        return message.text if isinstance(message.text, str) else message.text()

    final = create_agent(chat, [get_weather]).invoke({"messages": [("user", ASK)]})["messages"]
    usage = None
    streamed = ""
    for chunk in chat.stream("Say hello"):
        streamed += said(chunk)
        usage = chunk.usage_metadata or usage
    return {"text": said(final[-1]), "steps": sum(m.type == "ai" for m in final), "streamed": streamed, "usage": usage}


def pydantic_ai(model, api):
    import asyncio

    from anthropic import AsyncAnthropic
    from pydantic import BaseModel
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    class Weather(BaseModel):
        city: str
        celsius: int

    if api == "messages":
        chat = AnthropicModel(model, provider=AnthropicProvider(anthropic_client=AsyncAnthropic(base_url=BASE, api_key=KEY, max_retries=0)))
    else:
        kind = OpenAIResponsesModel if api == "responses" else OpenAIChatModel
        chat = kind(model, provider=OpenAIProvider(base_url=BASE + "/v1", api_key=KEY))
    agent = Agent(chat)

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return weather(city)

    async def streamed():
        async with Agent(chat).run_stream("Say hello") as run:
            return await run.get_output()

    async def walk():
        ran = await agent.run(ASK)
        usage = ran.usage() if callable(ran.usage) else ran.usage
        structured = (await Agent(chat, output_type=Weather).run("A city")).output
        return {
            "text": ran.output, "steps": usage.requests, "streamed": await streamed(), "object": structured.model_dump(),
            "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        }

    return asyncio.run(walk())


if __name__ == "__main__":
    name, api = sys.argv[1].rsplit("-", 1)
    walk = {"langchain": langchain, "pydantic-ai": pydantic_ai}[name]
    for model in sys.argv[2:]:
        CALLED.clear()
        result = walk(model, api)
        print(json.dumps({"model": model, "tools": CALLED, **result}), flush=True)
