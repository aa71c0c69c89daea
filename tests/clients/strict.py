"""What the vendors' servers refuse, so that a wrong translation fails here as it would there.

Each function returns the reason why a real server would answer 400, or None.
"""
import json

OPENAI_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
OPENAI_PARTS = {"text", "image_url", "input_audio", "file", "refusal"}
OPENAI_FOREIGN = {"system", "stop_sequences", "thinking", "top_k", "anthropic_version", "context_management", "output_config", "mcp_servers"}
ANTHROPIC_ROLES = {"user", "assistant", "system"}
ANTHROPIC_FOREIGN = {"stop", "max_completion_tokens", "n", "response_format", "stream_options", "functions", "logit_bias", "parallel_tool_calls", "presence_penalty", "frequency_penalty", "reasoning_effort", "seed"}


def _parts(content):
    return content if isinstance(content, list) else []


def chat_completions(body):
    """Why OpenAI would refuse this chat completion."""
    foreign = OPENAI_FOREIGN & set(body)
    if foreign:
        return f"Unrecognized request argument supplied: {sorted(foreign)[0]}"
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return "'messages' must be a non-empty array"
    if "max_tokens" in body and "max_completion_tokens" in body:
        return "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
    open_calls = []
    for at, message in enumerate(messages):
        role = message.get("role")
        if role not in OPENAI_ROLES:
            return f"Invalid value: '{role}' at messages[{at}].role"
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                return f"messages[{at}] with role 'tool' must answer a preceding message with 'tool_calls'"
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            return f"messages[{at}]: these tool_call_ids did not have response messages: {open_calls}"
        for part in _parts(message.get("content")):
            if part.get("type") not in OPENAI_PARTS:
                return f"Invalid value: '{part.get('type')}' at messages[{at}].content"
            if "cache_control" in part:
                return f"Unknown parameter: 'messages[{at}].content.cache_control'"
            if part["type"] == "image_url" and not isinstance((part.get("image_url") or {}).get("url"), str):
                return f"messages[{at}].content.image_url.url must be a string"
        if role in ("system", "user") and message.get("content") in (None, []):
            return f"Invalid value for 'content' at messages[{at}]: expected a string or a list"
        if role == "assistant" and not message.get("content") and not message.get("tool_calls") and not message.get("refusal"):
            return f"messages[{at}]: an assistant message needs content or tool_calls"
        for call in message.get("tool_calls") or []:
            if call.get("type") != "function" or not isinstance((call.get("function") or {}).get("arguments"), str):
                return f"messages[{at}].tool_calls: arguments must be a string"
            try:
                json.loads(call["function"]["arguments"] or "{}")
            except ValueError:
                return f"messages[{at}].tool_calls: arguments are not JSON"
            open_calls.append(call["id"])
    if open_calls:
        return f"these tool_call_ids did not have response messages: {open_calls}"
    for at, tool in enumerate(body.get("tools") or []):
        if tool.get("type") != "function" or not (tool.get("function") or {}).get("name"):
            return f"Missing required parameter: 'tools[{at}].function'"
    choice = body.get("tool_choice")
    if choice is not None:
        if not body.get("tools"):
            return "'tool_choice' is only allowed when 'tools' are specified."
        if isinstance(choice, str) and choice not in ("auto", "none", "required"):
            return f"Invalid value: '{choice}' at tool_choice"
        if isinstance(choice, dict) and (choice.get("type") != "function" or not (choice.get("function") or {}).get("name")):
            return "Missing required parameter: 'tool_choice.function'"
    if body.get("stream_options") is not None and not body.get("stream"):
        return "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    return None


def invoke(body):
    """Why Bedrock would refuse this message to Claude."""
    if body.get("anthropic_version") != "bedrock-2023-05-31":
        return "anthropic_version: Field required"
    for name in ("model", "stream"):
        if name in body:
            return f"{name}: Extra inputs are not permitted"
    return messages(body, {"anthropic-version": ""})


def messages(body, headers, counting=False):
    """Why Anthropic would refuse this message."""
    if "anthropic-version" not in headers:
        return "anthropic-version: header is required"
    foreign = ANTHROPIC_FOREIGN & set(body)
    if foreign:
        return f"{sorted(foreign)[0]}: Extra inputs are not permitted"
    limit = body.get("max_tokens")
    if not counting and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        return "max_tokens: Field required"
    turns = body.get("messages")
    if not isinstance(turns, list) or not turns:
        return "messages: at least one message is required"
    open_calls = set()
    for at, turn in enumerate(turns):
        role = turn.get("role")
        if role not in ANTHROPIC_ROLES:
            return f"messages.{at}.role: Input should be 'user' or 'assistant'"
        if turn.get("content") in (None, "", []) and at + 1 < len(turns):
            return f"messages.{at}: all messages must have non-empty content"
        if "tool_calls" in turn:
            return f"messages.{at}.tool_calls: Extra inputs are not permitted"
        blocks = _parts(turn.get("content"))
        answered = {b.get("tool_use_id") for b in blocks if b.get("type") == "tool_result"}
        if role == "user":
            if answered - open_calls:
                return f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {sorted(answered - open_calls)}"
            if open_calls - answered:
                return f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {sorted(open_calls)}"
            open_calls = set()
        for block in blocks:
            kind = block.get("type")
            if kind in ("image_url", "input_text", "refusal", None):
                return f"messages.{at}.content: Input tag '{kind}' found using 'type' does not match any of the expected tags"
            if kind == "text" and not isinstance(block.get("text"), str):
                return f"messages.{at}.content.text: Field required"
            if kind == "tool_use":
                if not isinstance(block.get("input"), dict):
                    return f"messages.{at}.content.tool_use.input: Input should be a valid dictionary"
                open_calls.add(block["id"])
            if kind == "image" and (block.get("source") or {}).get("type") not in ("base64", "url", "file"):
                return f"messages.{at}.content.image.source: Field required"
    for at, tool in enumerate(body.get("tools") or []):
        if "function" in tool or not tool.get("name"):
            return f"tools.{at}: Extra inputs are not permitted"
    choice = body.get("tool_choice")
    if choice is not None and (not isinstance(choice, dict) or choice.get("type") not in ("auto", "any", "tool", "none")):
        return "tool_choice: Input should be an object with type auto, any, tool or none"
    return None
