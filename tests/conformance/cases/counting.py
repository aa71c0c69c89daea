"""`/v1/messages/count_tokens`: Claude Code decides from it when to compact."""
from context import TOOL, Skip, check
from registry import case
from script import error

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ABSENT = (404, 501)


def counted(t, **more):
    body = {k: v for k, v in t.body("messages", "text-x").items() if k != "max_tokens"}
    answer = t.count({**body, **more})
    if answer.status in ABSENT:
        raise Skip(f"it says {answer.status}, so there is no count")
    check(answer.status == 200, f"status {answer.status}: {answer.text[:200]}")
    number = answer.json.get("input_tokens")
    check(isinstance(number, int), f"no count: {answer.text[:200]}")
    return number


@case(10, "count_tokens is there", formats="aol")
def endpoint_is_there(t):
    body = {k: v for k, v in t.body("messages", "text-x").items() if k != "max_tokens"}
    answer = t.count(body)
    if t.format == "a":
        check(answer.status == 200, f"the upstream counts, the gateway says {answer.status}: {answer.text[:200]}")
    else:
        check(answer.status == 200 or answer.status in ABSENT, f"{answer.status}: {answer.text[:200]}")


@case(11, "count_tokens never says a made-up zero: a number, or 404/501", formats="aol")
def no_made_up_zero(t):
    check(counted(t) > 0, "it counts 0 tokens")


@case(12, "count_tokens is near the truth; tools, images and system count")
def near_the_truth(t):
    text = [{"role": "user", "content": "word " * 2000}]
    plain = counted(t, messages=text)
    if t.format == "a":
        sent = t.script.last("/count_tokens")
        if sent is not None:
            return  # its own upstream's figure, by case 10
    check(1500 <= plain <= 3000, f"2,000 words are {plain} tokens")
    tools = [{**TOOL["messages"], "name": f"tool_{n}", "description": "Says what the weather is like. " * 20} for n in range(10)]
    check(counted(t, messages=text, tools=tools) > plain + 800, "tools are not counted")
    check(counted(t, messages=text, system="word " * 500) > plain + 350, "the system prompt is not counted")
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    seen = counted(t, messages=[{"role": "user", "content": [{"type": "text", "text": "word " * 2000}, image]}])
    check(plain < seen < plain + 5000, f"an image of one pixel makes {plain} tokens {seen}")


@case(13, "An upstream's error at count_tokens comes in the caller's shape", formats="a")
def errors_in_shape(t):
    t.script.custom["raw-e429-x"] = error(429, "rate_limit_error", "Slow down", [("retry-after", "7")])
    body = {k: v for k, v in t.body("messages", "raw-e429-x").items() if k != "max_tokens"}
    answer = t.count(body)
    if not t.script.received("/count_tokens"):
        raise Skip("it counts by itself")
    check(answer.status == 429, f"429 becomes {answer.status}: {answer.text[:200]}")
    check(answer.json.get("type") == "error" and answer.json["error"]["type"] == "rate_limit_error", f"it says {answer.text[:200]}")
