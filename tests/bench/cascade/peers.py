"""How published cascades judge a small model's answer, re-implemented from their descriptions for this comparison and for nothing else.

A scorer takes (question, answer, log-probabilities or none, stop reason, tool calls) and returns a confidence. None of this is in the gateway.
The originals are Lynkr 9.14.1 (Apache-2.0) and cascadeflow 1.2.0 (MIT). For cascadeflow the shape, weights and word lists of its estimator are its
own; how well an answer fits its question is described as keyword coverage, length and directness, and is approximated so.
"""
import math
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


# --- cascadeflow's estimator: a weighted mean of four signals, then caps

STRONG_HEDGES = ("i don't know", "i'm not sure", "i cannot", "i don't have information", "i'm unable to", "uncertain", "unclear about")
HEDGES = ("probably", "might be", "could be", "perhaps", "it seems", "appears to", "may", "possibly", "likely", "i think", "i believe")
EVASIONS = ("it depends", "that's a complex question", "there are many factors", "it varies", "there's no simple answer")
EXAMPLES = ("for example", "such as", "for instance", "like", "e.g.")
OPPOSITES = (("yes", "no"), ("true", "false"), ("correct", "incorrect"), ("can", "cannot"))
ASKED_FOR = (
    (0.25, "synthesize design propose create develop formulate construct devise"), (0.15, "analyze compare contrast evaluate assess examine critique discuss argue"),
    (0.0, "why|how does|how do|explain briefly|describe|what causes"), (-0.15, "what is|define|who is|when did|where is|name a|name the|list|give me|tell me"),
)
STOP_WORDS = frozenset("the is a an and or but in on at to for of with by from as what how why who when where which does do are was were it this that i".split())
LENGTHS = ((15, -0.15), (30, -0.05), (50, 0.0), (100, 0.05), (150, 0.1))
CREATIVE = ("write", "story", "poem", "haiku", "metaphor", "creative", "roleplay", "character", "dialogue", "fiction", "narrative", "lyrics", "song")


def within(low, value, high):
    return max(low, min(high, value))


def said(word, text):
    return re.search(rf"\b{re.escape(word)}\b", text) is not None


def difficulty(question):
    """How hard the question looks: length, kind, long words, several questions, conditions."""
    text = question.lower().strip()
    if len(text) < 2:
        return 0.0
    value = 0.25 + next((points for limit, points in LENGTHS if len(text) < limit), 0.15)
    for points, words in ASKED_FOR:
        if any(said(word, text) for word in (words.split("|") if "|" in words else words.split())):
            value += -0.1 if points < 0 and len(text) < 30 else points
            break
    content = [word for word in text.split() if word not in STOP_WORDS and len(word) > 3]
    value += min(0.12, 0.35 * sum(len(word) > 10 for word in content) / len(content)) if content else 0
    value += 0.05 * (text.count("?") > 1)
    conditions = ("if", "suppose", "assume", "given that", "provided that", "in the case", "hypothetically", "what would happen")
    value += min(0.1, 0.05 * sum(condition in text for condition in conditions))
    return within(0.0, value, 1.0)


def sounds_good(answer):
    """Few hedges, sentences of a middling length, numbers and examples, no contradictions, no evasion."""
    text, words = answer.lower(), answer.split()
    if len(answer.strip()) < 2:
        return 0.15
    hundred = 100 / len(words)
    hedged = hundred * (0.05 * sum(map(text.count, STRONG_HEDGES)) + 0.02 * sum(map(text.count, HEDGES)))
    value = 0.3 - min(0.3, hedged)
    each = len(answer.strip()) / (len(re.findall(r"[.!?]+", answer)) or 1)
    if each < 30:
        whole = 0.05 + 0.1 * max(0.0, each - 10) / 20
    elif each <= 150:
        whole = 0.15 + 0.1 * (150 - each) / 120
    else:
        whole = 0.15 - 0.1 * (each - 150) / 200
    value += within(0.0, whole, 0.25)
    longs = sum(len(word) > 8 for word in words) / len(words)
    value += min(0.2, 0.1 + 0.05 * bool(re.search(r"\d", answer)) + 0.03 * has(text, EXAMPLES) + min(0.02, 0.1 * longs))
    coherent = 0.12 - 0.04 * sum(said(a, text) and said(b, text) for a, b in OPPOSITES)
    if len(words) > 10:
        coherent -= 0.15 * max(0.0, 0.6 - len(set(words)) / len(words))
    value += within(0.0, coherent, 0.15)
    value += within(0.0, 0.08 - 0.03 * sum(evasion in text for evasion in EVASIONS), 0.1)
    return within(0.2, value, 0.95)


def fits(question, answer, hard):
    """Keyword coverage, length for the difficulty, directness: an approximation."""
    content = {word for word in re.findall(r"[a-z0-9+*/-]+", question.lower()) if word not in STOP_WORDS and (len(word) > 2 or word.isdigit())}
    text = answer.lower()
    covered = sum(word in text for word in content) / len(content) if content else 0.5
    wanted = 20 + 400 * hard
    length = min(1.0, len(answer) / wanted)
    direct = 0.0 if has(text[:80], STRONG_HEDGES + EVASIONS) else 1.0
    return 0.5 * covered + 0.3 * length + 0.2 * direct


def token_confidence(logprobs):
    """Geometric mean, harmonic mean of the likelier four fifths, least, and evenness."""
    chances = sorted((math.exp(value) for value in logprobs), reverse=True)
    geometric = math.exp(sum(logprobs) / len(logprobs))
    likelier = chances[:max(1, int(0.8 * len(chances)))]
    harmonic = len(likelier) / sum(1 / max(p, 1e-12) for p in likelier)
    entropy = -sum(p * math.log(p) for p in chances if p > 1e-10)
    even = 1 - min(1.0, entropy / (math.log(len(chances)) if len(chances) > 1 else 1.0))
    return 0.5 * geometric + 0.2 * harmonic + 0.15 * chances[-1] + 0.15 * even


def cascadeflow(question, answer, logprobs, stop, calls):
    """Its estimator with the constants for an OpenAI model at temperature 0."""
    hard, quality = difficulty(question), sounds_good(answer)
    aligned = fits(question, answer, hard)
    if logprobs:
        value = 0.5 * token_confidence(logprobs) + 0.2 * quality + 0.2 * aligned + 0.1 * (1 - hard)
    else:
        value = 0.4 * quality + 0.4 * aligned + 0.2 * (1 - hard)
    value = within(0.3, value + {"stop": 0.05, "length": -0.1}.get(stop, 0.0), 0.98)
    relaxed = has(question.lower(), CREATIVE)
    for limit, cap in ((0.1, 0.3), (0.15, 0.35), (0.15, 0.4)) if relaxed else ((0.15, 0.3), (0.2, 0.35), (0.25, 0.4)):
        if aligned < limit:
            return min(value, cap)
    return value


def short(question, answer, logprobs, stop, calls):
    """The shorter, the surer: what costs nothing to think of."""
    return 1 / (1 + len(answer))


SCORERS = {
    "Lynkr, confidence scorer (its default)": lynkr_reasoning, "Lynkr, confidence scorer for facts": lynkr_qa, "Lynkr, verifier": lynkr_verifier,
    "cascadeflow, estimator": cascadeflow, "the shorter, the surer": short,
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
