"""How published cascades judge a small model's answer, re-implemented from their descriptions for this comparison and for nothing else.

A scorer takes (question, answer, log-probabilities or none, stop reason, tool calls) and returns a confidence. None of this is in the gateway.
The original is Lynkr 9.14.1 (Apache-2.0).
"""
import re


def has(text, phrases):
    return any(phrase in text for phrase in phrases)


# --- Lynkr's confidence scorer: rules in order, the first that applies decides

UNCERTAIN = ("i don't know", "i'm not sure", "i cannot", "i am unable", "unable to", "not certain", "unclear", "ambiguous")
LACKING = re.compile(r"\b(?:no|insufficient) (?:information|context|details)")
REFUSING = re.compile(r"i can't help|i won't|against (?:my )?(?:guidelines|policy)")
UNFINISHED = re.compile(r"(?://|/\*|#) TODO|\.\.\.$|implement this|implement me|implement here|<replace-this>|<your-code>", re.M | re.I)


def uncertain(text):
    return has(text, UNCERTAIN) or LACKING.search(text) is not None


def lynkr_reasoning(question, answer, logprobs, stop, calls):
    """What it applies to everything, since nothing tells it the type of a task."""
    text = answer.lower().strip()
    if not text:
        return 0.0
    if REFUSING.search(text):
        return 0.2
    if uncertain(text):
        return 0.5
    # the end of the text is not followed by white space, and so does not count
    sentences = len(re.findall(r"[.!?]+\s", answer.strip()))
    return 0.6 if sentences < 2 else 0.7 if sentences > 30 else 0.85


def lynkr_qa(question, answer, logprobs, stop, calls):
    """Its scorer for questions of fact."""
    text = answer.lower().strip()
    if not text:
        return 0.0
    if REFUSING.search(text):
        return 0.2
    if uncertain(text):
        return 0.5
    return 0.9 if len(text) < 200 else 0.85 if len(text) < 500 else 0.8


# --- Lynkr's verifier: faults first, then points

FOREIGN = re.compile(r"[\u0400-\u04ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
STRUCTURE = re.compile(r"\b(?:list|steps?|plan|compare|table|pros and cons|trade-?offs?)\b", re.I)
CODE = re.compile(r"\b(?:write|implement|show|give me)\b.{0,60}\b(?:code|function|script|program|class|method)\b", re.I | re.S)


def circles(text):
    words = text.split()
    if len(text) < 200 or len(words) < 40:
        return False
    counts, places = {}, len(words) - 4
    for i in range(places):
        five = tuple(words[i:i + 5])
        counts[five] = counts.get(five, 0) + 1
    most = max(counts.values())
    return most >= 5 and most > 0.08 * places


def lynkr_verifier(question, answer, logprobs, stop, calls):
    text, asked = answer.strip(), question.strip()
    foreign = len(FOREIGN.findall(text))
    drifts = not FOREIGN.search(asked) and (foreign >= 6 or foreign > 0.02 * max(1, len(text)))
    cut = stop == "length" and text.count("```") % 2 == 1
    echo = len(text) > 40 and len(asked) > 40 and text[:200] == asked[:200]
    if drifts or circles(text) or cut or echo or (len(text) < 2 and not calls):
        return 0.0
    points = 100 if calls else 60
    if not calls:
        if len(asked) > 200 and len(text) < 60:
            points -= 35
        elif len(asked) > 100 and len(text) < 30:
            points -= 30
        elif len(text) >= 120:
            points += 15
        if STRUCTURE.search(asked):
            points += 15 if re.search(r"^\s*(?:[-*]|\d+[.)]|\|)", text, re.M) else -20
        if CODE.search(asked):
            points += 10 if "```" in text else -15
    return max(0, min(100, points)) / 100


def short(question, answer, logprobs, stop, calls):
    """The shorter, the surer: what costs nothing to think of."""
    return 1 / (1 + len(answer))


SCORERS = {
    "Lynkr, confidence scorer (its default)": lynkr_reasoning, "Lynkr, confidence scorer for facts": lynkr_qa, "Lynkr, verifier": lynkr_verifier,
    "the shorter, the surer": short,
}


def seen(row):
    """What a scorer gets to see of a row, or none where there is no answer."""
    response = row["small"].get("response")
    if not response:
        return None
    choice = response["choices"][0]
    asked = [m["content"] for m in row["request"]["messages"] if m["role"] == "user"]
    told = [token["logprob"] for token in (choice.get("logprobs") or {}).get("content") or []]
    message = choice["message"]
    return asked[-1] if asked else "", message.get("content") or "", told or None, choice.get("finish_reason"), message.get("tool_calls") or []
