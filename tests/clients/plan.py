"""What the scripted upstream answers, independent of the wire format it is asked in."""
import base64
import hashlib
import json
import os
import re
import time
from dataclasses import dataclass, field

# The tool that a plan prefers, most shell-like first: a real agent that runs one leaves a proof behind.
PREFERRED_TOOLS = (
    "bash", "exec_command", "exec", "shell", "run_shell_command", "execute_command", "run_terminal_cmd", "terminal",
    "run_command", "get_weather", "write", "write_to_file", "read",
)
PROOF = "gateway-agent-ok"
PROOF_FILE = "agent_proof.txt"
COMMAND = f"echo {PROOF} > {PROOF_FILE} && cat {PROOF_FILE}"
# The same, in the words of Codex's tool that takes JavaScript.
SCRIPT = f"const r = await tools.exec_command({{cmd: {json.dumps(COMMAND)}}});\ntext(r);\n"
GREETING = "Hello from the scripted upstream."
CLOSING = f"All done. The command printed {PROOF}."
REFUSAL = "I'm sorry, but I can't help with that."


def identifier(prefix, length=24):
    """A fresh id such as `msg_x3f...`."""
    return prefix + base64.b32encode(os.urandom(20)).decode().lower().rstrip("=")[:length]


def now():
    return int(time.time())


def tokens(text):
    """A stand-in for a tokenizer: four characters a token, never zero."""
    return max(1, len(text) // 4)


def words(text):
    """The chunks in which a text is streamed."""
    return re.findall(r"\S+\s*|\s+", text)


def sample(schema, key=""):
    """A value that satisfies a JSON schema; shell-like keys get the proof command."""
    schema = schema or {}
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return sample(next((x for x in schema[union] if x.get("type") != "null"), schema[union][0]), key)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    key = key.lower()
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        required = schema.get("required") or list(properties)
        return {name: sample(value, name) for name, value in properties.items() if name in required}
    if kind == "array":
        if key in ("command", "cmd"):
            return ["bash", "-lc", COMMAND]
        return [sample(schema.get("items", {"type": "string"}), key)]
    if kind in ("integer", "number"):
        return 1
    if kind == "boolean":
        return False
    if kind == "null":
        return None
    if key in ("command", "cmd", "script", "shell_command"):
        return COMMAND
    if key == "input":
        return SCRIPT
    if "path" in key or key in ("file", "filename"):
        return PROOF_FILE
    if key in ("city", "location"):
        return "Paris"
    if key in ("description", "reason", "explanation", "justification"):
        return "Run the probe command"
    return PROOF


@dataclass
class Tool:
    """A tool on offer."""

    name: str
    schema: dict


@dataclass
class Call:
    """A tool call in the answer; `arguments` is JSON text, or on purpose not."""

    name: str
    arguments: str
    id: str = field(default_factory=lambda: identifier("", 20))

    def input(self):
        try:
            return json.loads(self.arguments)
        except ValueError:
            return {}


class Plan:
    """Text, thinking and tool calls of one answer, and its token counts."""

    def __init__(self, behaviour, model, tools, answered, prompt, forced=None, schema=None, limit=None):
        said = behaviour.lower()
        self.model = model or "scripted"
        self.calls = []
        self.thinking = "Let me think about it." if "think" in said else ""
        self.text = CLOSING if answered else GREETING
        self.truncated = "trunc" in said
        if "long" in said:
            self.text = "word " * 2000
        if "refuse" in said:
            self.text = REFUSAL
        if "empty" in said:
            self.text = ""
        if schema is not None:
            self.text = "this is no JSON" if "badjson" in said else json.dumps(sample(schema))
        tool = None
        if forced:
            tool = next((t for t in tools if t.name == forced), None)
        elif tools and not answered and schema is None and not re.search("text|refuse|empty|trunc", said):
            tool = self._pick(tools)
        if tool:
            arguments = '{"command": "echo' if "badjson" in said else json.dumps(sample(tool.schema))
            self.calls = [Call(tool.name, arguments) for _ in range(2 if "parallel" in said else 1)]
            self.text = "" if forced else "I will run a command."
        if "unicode" in said:
            self.text += " Grüße, 世界 \U0001f30d"
        self.input = tokens(prompt)
        self.cached = 64 if "cached" in said else 0
        self.output = tokens(self.text + self.thinking) + sum(tokens(c.arguments) for c in self.calls)
        if limit and self.output > limit and not self.calls and not self.thinking:
            self.text, self.output, self.truncated = self.text[: limit * 4], limit, True

    @staticmethod
    def _pick(tools):
        by_name = {t.name.lower(): t for t in tools}
        return next((by_name[n] for n in PREFERRED_TOOLS if n in by_name), tools[0])


def embedding(text, size=16):
    """A unit vector that is a function of the text."""
    digest = hashlib.sha256(str(text).encode()).digest()
    values = [(b - 128) / 128 for b in digest[:size]]
    norm = sum(v * v for v in values) ** 0.5 or 1
    return [v / norm for v in values]
