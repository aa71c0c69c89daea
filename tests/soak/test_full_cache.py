"""A cache that is full, under load that never asks for what it holds alone: memory stays where it is, and so does the file.

`TIERWAY_SOAK_SECONDS` says for how long (8 by default, which is a smoke test; an hour is `TIERWAY_SOAK_SECONDS=3600`).
"""
import concurrent.futures
import os
import random
import threading
import time
from pathlib import Path

import pytest
from harness import KEY, UPSTREAM_KEY, Gateway, call, configuration
from upstream import Upstream

SECONDS = float(os.environ.get("TIERWAY_SOAK_SECONDS", "8"))
MIB = 1 << 20


def resident(gateway):
    status = Path(f"/proc/{gateway.child.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("store", ["memory", "disk", "semantic"])
def test_a_full_cache_stays_as_large_as_it_is(store, tmp_path):
    file = tmp_path / "cache.redb"
    # Small enough that it is full within the first tenth of the time.
    # Questions with their vectors are kept beside the answers, for each scope of what is the same around them.
    kept = "memory" if store == "semantic" else store
    extra = '[semantic_cache]\nenabled = true\nembeddings = "o:text-embed"\nmax_bytes = "256KiB"\n' if store == "semantic" else ""
    extra += f'[cache]\nstore = "{kept}"\nmax_bytes = "1MiB"\nmax_disk_bytes = "2MiB"\nfile = "{file}"\n[affinity]\nmax_sessions = 1000\n[responses]\nmax_bytes = "1MiB"\n'
    with Upstream(key=UPSTREAM_KEY) as upstream, Gateway(configuration(upstream.url, extra=extra)) as gateway:
        end, failed, asked, sizes = time.monotonic() + SECONDS, [], [0], []

        def caller(seed):
            dice = random.Random(seed)
            while time.monotonic() < end:
                text = f"question {int(dice.paretovariate(0.4)) if dice.random() < 0.5 else dice.random()} " + "x" * dice.randrange(2000)
                if store == "semantic":
                    text = f"{dice.choice(['What is', 'Tell me', 'Please name'])} the capital of region {int(dice.paretovariate(0.4))}"
                path = dice.choice(["/v1/messages", "/v1/chat/completions"])
                body = {"model": dice.choice(["a:text-x", "o:text-x"]), "max_tokens": 64, "temperature": 0, "stream": dice.random() < 0.5,
                        "messages": [{"role": "user", "content": text}], "metadata": {"pad": "y" * dice.randrange(500)}}
                answer = call(gateway.url, path, body, {"authorization": f"Bearer {KEY}"})
                asked[0] += 1
                if answer.status != 200:
                    failed.append(answer.text)
                if len(upstream.requests) > 1000:
                    upstream.clear()

        def watch():
            while time.monotonic() < end:
                time.sleep(max(0.2, SECONDS / 50))
                sizes.append(resident(gateway))

        threads = [threading.Thread(target=watch)]
        threads[0].start()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(caller, range(6)))
        threads[0].join()
        assert not failed, failed[:3]
        if store == "semantic":
            # How many hit is chance: the scripted vectors are of the whole text.
            print("semantic hits:", gateway.total("tierway_cache_total", status="semantic"))
            assert any(request.path == "/v1/embeddings" for request in upstream.requests)
        held = gateway.total("tierway_cache_bytes", store="memory")
        evicted = gateway.total("tierway_cache_evicted_total", store="memory", cause="size")
        # After the first third nothing is to grow: the larger of the middle third against that of the last.
        third = len(sizes) // 3
        middle, last = max(sizes[third:2 * third]), max(sizes[2 * third:])
        print(f"{store}: {asked[0]} calls, {held / MIB:.2f} MiB held, {evicted:.0f} evicted, resident {middle / MIB:.1f} then {last / MIB:.1f} MiB")
        assert held <= 1.1 * MIB
        if SECONDS >= 8:
            assert evicted > 0, "it was never full"
        assert last - middle < 4 * MIB + middle * 0.05, sizes
        if store == "disk":
            taken = file.stat().st_blocks * 512
            print(f"the file takes {taken / MIB:.2f} MiB, {gateway.total('tierway_cache_bytes', store='disk') / MIB:.2f} of it counted")
            assert gateway.total("tierway_cache_bytes", store="disk") <= 2 * MIB and taken <= 8 * MIB
        hits = gateway.total("tierway_cache_total", status="hit") + gateway.total("tierway_cache_total", status="semantic")
        assert hits > 0 and gateway.total("tierway_cache_age_seconds_count") == hits


@pytest.mark.timeout(SECONDS + 120)
def test_a_full_semantic_cache_stays_as_large_as_it_is():
    """Questions without end, of which each is compared with those before: vectors go as they come."""
    extra = '[cache]\nmax_bytes = "1MiB"\n[semantic_cache]\nenabled = true\nembeddings = "o:text-embed"\nmax_bytes = "100KiB"\n[affinity]\nmax_sessions = 1000\n'
    with Upstream(key=UPSTREAM_KEY) as upstream, Gateway(configuration(upstream.url, extra=extra)) as gateway:
        end, failed, asked, sizes = time.monotonic() + SECONDS, [], [0], []

        def caller(seed):
            dice = random.Random(seed)
            while time.monotonic() < end:
                name = f"city{dice.randrange(100_000)}"
                words = dice.choice(["What is the capital of {}?", "what's the capital of {}", "Which city is the capital of {}?"])
                body = {"model": "o:text-x", "max_tokens": 64, "temperature": 0, "messages": [
                    {"role": "system", "content": f"scope {dice.randrange(20)}"}, {"role": "user", "content": words.format(name)}]}
                answer = call(gateway.url, "/v1/chat/completions", body, {"authorization": f"Bearer {KEY}"})
                asked[0] += 1
                if answer.status != 200:
                    failed.append(answer.text)
                if len(upstream.requests) > 1000:
                    upstream.clear()

        def watch():
            while time.monotonic() < end:
                time.sleep(max(0.2, SECONDS / 50))
                sizes.append(resident(gateway))

        threads = [threading.Thread(target=watch)]
        threads[0].start()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(caller, range(6)))
        threads[0].join()
        assert not failed, failed[:3]
        third = len(sizes) // 3
        middle, last = max(sizes[third:2 * third]), max(sizes[2 * third:])
        embedded = gateway.total("tierway_attempt_seconds_count", role="embedding")
        print(f"semantic: {asked[0]} calls, {embedded:.0f} vectors, resident {middle / MIB:.1f} then {last / MIB:.1f} MiB")
        # A question with its vector takes over 200 bytes.
        assert embedded > (500 if SECONDS >= 8 else 0), "it was never full"
        assert last - middle < 4 * MIB + middle * 0.05, sizes
