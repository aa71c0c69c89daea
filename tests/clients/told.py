"""What a request tells the upstream, whatever format it is in."""
from dataclasses import dataclass
from urllib.parse import unquote

# By format: where the options stand, and what they are called there.
NAMES = {
    "a": (None, "temperature", "top_p", ("max_tokens",), "stop_sequences"),
    "o": (None, "temperature", "top_p", ("max_tokens", "max_completion_tokens"), "stop"),
    "r": (None, "temperature", "top_p", ("max_output_tokens",), None),
    "b": ("inferenceConfig", "temperature", "topP", ("maxTokens",), "stopSequences"),
    "g": ("generationConfig", "temperature", "topP", ("maxOutputTokens",), "stopSequences"),
}


@dataclass
class Options:
    model: str
    temperature: float
    top_p: float
    limit: int
    stop: list


def model(provider, request):
    """The model asked for: in the body, or in the path."""
    if provider in "aor":
        return request.body["model"]
    return unquote(request.path).split("/model/" if provider == "b" else "/models/")[1].split("/" if provider == "b" else ":")[0]


def options(provider, request):
    """Its options, None where it has none."""
    place, temperature, top_p, limits, stop = NAMES[provider]
    found = request.body.get(place, {}) if place else request.body
    limit = next((found[name] for name in limits if name in found), None)
    return Options(model(provider, request), found.get(temperature), found.get(top_p), limit, found.get(stop))


def system(provider, request):
    """What is said in the system's name, as text."""
    body = request.body
    if provider == "o":
        return str([m["content"] for m in body["messages"] if m["role"] in ("system", "developer")])
    return str(body.get({"a": "system", "r": "instructions", "b": "system", "g": "systemInstruction"}[provider]))


def image(provider, request):
    """The media type and base64 of the picture in the newest message."""
    body = request.body
    parts = {
        "a": lambda: body["messages"][-1]["content"], "o": lambda: body["messages"][-1]["content"], "r": lambda: body["input"][-1]["content"],
        "b": lambda: body["messages"][-1]["content"], "g": lambda: body["contents"][-1]["parts"],
    }[provider]()
    for part in parts:
        if part.get("type") == "image":
            return part["source"]["media_type"], part["source"]["data"]
        if part.get("type") in ("image_url", "input_image"):
            url = part["image_url"]["url"] if provider == "o" else part["image_url"]
            media_type, data = url.removeprefix("data:").split(";base64,")
            return media_type, data
        if "image" in part:
            return "image/" + part["image"]["format"], part["image"]["source"]["bytes"]
        if "inlineData" in part:
            return part["inlineData"]["mimeType"], part["inlineData"]["data"]
    return None
