"""Vectors of a real llama.cpp server: as callers ask for them, and for the semantic cache."""
import math

import pytest
from harness import KEY, Gateway, call
from models import SMALL, configuration, llama

pytestmark = pytest.mark.timeout(300)
# It is no model for embeddings: to its vectors nearly everything is alike, and the words decide alone.
CACHE = f"""
[providers.vectors]
kind = "llamacpp"
base_url = "%s"
[semantic_cache]
enabled = true
embeddings = "vectors:{SMALL}"
threshold = 0.5
timeout = "20s"
"""


@pytest.fixture(scope="module")
def cached(small, big):
    with llama(SMALL, 2048, 1, "--embeddings") as vectors, Gateway(configuration(small, big, CACHE % vectors.url)) as gateway:
        yield gateway


def post(gateway, path, body):
    return call(gateway.url, path, body, {"authorization": f"Bearer {KEY}"})


def test_vectors_of_texts(cached):
    texts = ["a small red cat", "a little red cat", "the price of crude oil in 1973"]
    answer = post(cached, "/v1/embeddings", {"model": f"vectors:{SMALL}", "input": texts})
    assert answer.status == 200, answer.text
    vectors = [row["embedding"] for row in answer.json["data"]]
    assert [len(vector) for vector in vectors] == [576] * 3 and answer.json["usage"]["prompt_tokens"] > 10

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b)) / math.hypot(*a) / math.hypot(*b)

    assert cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2])


def test_other_words_for_the_same_are_answered_from_the_cache(cached):
    def ask(text):
        body = {"model": f"small:{SMALL}", "max_tokens": 12, "temperature": 0, "messages": [{"role": "user", "content": text}]}
        answer = post(cached, "/v1/chat/completions", body)
        assert answer.status == 200, answer.text
        return answer.headers["x-tierway-cache"], answer.json["choices"][0]["message"]["content"]

    first = ask("What is the capital of France?")
    again = ask("what's the capital of France")
    assert first[0] == "miss" and again[0].startswith("semantic; similarity="), (first, again)
    assert again[1] == first[1]
    assert ask("What is the capital of Germany?")[0] == "miss"
    assert cached.total("tierway_attempt_seconds_count", role="embedding") >= 3
