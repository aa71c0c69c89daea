"""How the scripted upstream speaks Google's Gemini: `generateContent`, `streamGenerateContent` and `countTokens`."""
import json
import re

from plan import Plan, Tool, identifier, words

ROUTE = re.compile(r"/v1beta/models/(.+):(generateContent|streamGenerateContent|countTokens)$")
ERRORS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL",
    503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}
FIELDS = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent"}
CONFIG = {
    "candidateCount", "frequencyPenalty", "logprobs", "maxOutputTokens", "presencePenalty", "responseJsonSchema", "responseLogprobs",
    "responseMimeType", "responseModalities", "responseSchema", "seed", "stopSequences", "temperature", "thinkingConfig", "topK", "topP",
}
PARTS = {"text", "inlineData", "fileData", "functionCall", "functionResponse"}


def refused(body):
    """Why Google would refuse this request, if it would."""
    body = counted(body)
    for name, known, given in (("", FIELDS, body), ("generation_config.", CONFIG, body.get("generationConfig") or {})):
        if unknown := sorted(set(given) - known):
            return f'Invalid JSON payload received. Unknown name "{name}{unknown[0]}": Cannot find field.'
    turns = body.get("contents")
    if not isinstance(turns, list) or not turns:
        return "GenerateContentRequest.contents: contents is not specified"
    calls = 0
    for at, turn in enumerate(turns):
        if turn.get("role") not in ("user", "model"):
            return "Please use a valid role: user, model."
        parts = turn.get("parts")
        if not parts:
            return f"GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty."
        if any(len(PARTS & set(part)) != 1 for part in parts):
            return f"GenerateContentRequest.contents[{at}].parts: required oneof field 'data' must have one initialized field"
        results = sum("functionResponse" in part for part in parts)
        if results != calls:
            return "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
        calls = sum("functionCall" in part for part in parts)
    for tool in body.get("tools") or []:
        for function in tool.get("functionDeclarations") or []:
            if not re.fullmatch(r"[A-Za-z_][\w.:-]{0,63}", function.get("name") or ""):
                return "GenerateContentRequest.tools[0].function_declarations[0].name: Invalid function name."
    return None


def counted(body):
    """The request within a request to count it, which names its model again; any other as it is."""
    inner = body.get("generateContentRequest")
    return {name: value for name, value in inner.items() if name != "model"} if inner else body


def count(body):
    """The answer to `countTokens`: some number that grows with the request."""
    tokens = 1 + len(json.dumps(counted(body))) // 4
    return {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}


def plan(said, model, body):
    """What to answer to a request."""
    functions = [f for tool in body.get("tools") or [] for f in tool.get("functionDeclarations") or []]
    tools = [Tool(f["name"], f.get("parametersJsonSchema") or f.get("parameters") or {}) for f in functions]
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if calling.get("mode") == "NONE":
        tools = []
    forced = (calling.get("allowedFunctionNames") or [None])[0]
    since = []
    for turn in reversed(body["contents"]):
        if turn["role"] == "model":
            break
        since += turn["parts"]
    config = body.get("generationConfig") or {}
    wanted = config.get("responseJsonSchema") or config.get("responseSchema")
    schema = (wanted or {}) if config.get("responseMimeType") == "application/json" else None
    return Plan(said, model, tools, any("functionResponse" in p for p in since), json.dumps(body), forced, schema, config.get("maxOutputTokens"))


def events(plan, whole=False):
    """The objects of a stream, or the one of a whole answer. A call comes in one piece, here as there."""
    def split(text):
        return [text] if whole else words(text)

    parts = [{"text": w, "thought": True} for w in split(plan.thinking)] if plan.thinking else []
    if plan.text or not plan.calls:
        parts += [{"text": w} for w in split(plan.text)]
    for n, call in enumerate(plan.calls):
        signature = {} if n else {"thoughtSignature": "c2NyaXB0ZWQ="}
        parts.append({"functionCall": {"name": call.name, "args": call.input()}, **signature})
    usage = {
        "promptTokenCount": plan.input + plan.cached, "candidatesTokenCount": plan.output, "totalTokenCount": plan.input + plan.cached + plan.output,
        **({"cachedContentTokenCount": plan.cached} if plan.cached else {}),
    }
    stop = "MAX_TOKENS" if plan.truncated else "STOP"
    head = {"modelVersion": plan.model, "responseId": identifier("", 22)}

    def event(parts, **end):
        return {"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0, **end}], "usageMetadata": usage, **head}

    if whole:
        return [event(parts, finishReason=stop)]
    return [*(event([part]) for part in parts), event([{"text": ""}], finishReason=stop)]


def failure():
    """The object that ends a stream in error."""
    return {"error": {"code": 503, "message": "scripted failure", "status": "UNAVAILABLE"}}
