"""A few questions of what `cascade.py` asks hundreds of."""
from argparse import Namespace

import cascade
import pytest
from questions import KINDS, questions


@pytest.mark.timeout(300)
def test_a_few_questions(small, big):
    found, rows = cascade.measure(Namespace(questions=len(KINDS), modes="buffer", threshold=0.5), small, big)
    alone, off, whole, buffer = found["runs"]
    assert len(rows) == len(KINDS) and all(row["small"]["response"]["choices"][0]["logprobs"]["content"] for row in rows)
    assert set(found["kinds"]) == set(KINDS)
    assert off["accuracy"] > 0 and off["first_word_s"]["p50"] > 0 and buffer["first_word_s"]["p50"] > 0
    for run in (whole, buffer):
        assert set(run["not_accepted_for"]) <= {"prior", "learned", "uncertified", "truncated", "echo", "repetition", "code_fence", "language", "refusal", "empty"}
        assert run["tokens"]["small"]["output"] > 0
        assert (run["tokens"]["big"]["output"] > 0) == (run["accepted"] < 1)
    assert alone["tokens"]["big"]["output"] == 0 and off["tokens"]["small"]["output"] == 0


def test_checks_tell_right_from_wrong():
    by_kind = {q.kind: q for q in questions(len(KINDS))}
    assert by_kind["sum"].text == "What is 55 minus 42? Answer with the number only."
    assert by_kind["sum"].right("13") and by_kind["sum"].right("55 - 42 = 13.") and not by_kind["sum"].right("12") and not by_kind["sum"].right("")
    assert by_kind["choice"].right("A") and by_kind["choice"].right("A: 899") and not by_kind["choice"].right("B") and not by_kind["choice"].right("A or D")
    assert by_kind["json"].right('```json\n{"age": 18, "name": "Deniz"}\n```') and not by_kind["json"].right("Deniz is 18")
    assert by_kind["code"].right("`doc`") and not by_kind["code"].right("doctor")
    assert len({q.text for q in questions(203)}) == 203
