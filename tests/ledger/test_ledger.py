"""The ledger, by a real load: what it says, what the metrics say and what the upstream knows are one sum; and nothing is lost that was promised."""
import asyncio
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from accounts import Accounts, cost, toml
from harness import Gateway, binary, clean_environment, free_port

CALLS = int(os.environ.get("TIERWAY_LEDGER_CALLS", "10000"))
PICO = 1_000_000_000_000
MICRO = Decimal("0.000001")
CASCADE = "[cascade]\nenabled = true\ntiers = ['medium', 'complex']\nstay_big = 0\nstreams = 'buffer'\nlogprobs = false\n"


def question(n, chance):
    """The nth call: the path, the body, and whether its caller leaves in the middle."""
    asked = {"n": n, "in": chance.randrange(20, 4000), "out": chance.randrange(1, 900), "cached": chance.choice([0, 0, chance.randrange(9000)])}
    kind = chance.choices(
        ["whole", "stream", "messages", "messages stream", "leaves", "messages leaves", "fails", "rejected", "again", "no such model"],
        [22, 22, 10, 12, 4, 4, 6, 10, 8, 2],
    )[0]
    tier = "complex" if kind in ("rejected", "whole", "stream") else "reasoning" if kind.startswith("messages") else "simple"
    if kind == "again":
        # The same few questions, time and again: the prompt cache answers all but the first.
        asked = {"n": n % 7, "in": 1000 + n % 7, "out": 100}
    if kind == "rejected":
        asked["reject"] = True
    if "leaves" in kind:
        asked["endless"] = True
    if kind == "fails":
        asked["fails"] = True
    body = {"model": "nothing" if kind == "no such model" else f"tierway/{tier}", "max_tokens": 1000, "messages": [{"role": "user", "content": f"Question {json.dumps(asked)}"}]}
    if kind == "again":
        body["temperature"] = 0
    if "stream" in kind or "leaves" in kind:
        body["stream"] = True
    if kind.startswith("messages"):
        asked["written"] = chance.choice([0, chance.randrange(5000)])
        body["messages"][0]["content"] = f"Question {json.dumps(asked)}"
        return "/v1/messages", body, "leaves" in kind
    if body.get("stream"):
        body["stream_options"] = {"include_usage": True}
    return "/v1/chat/completions", body, "leaves" in kind


async def load(url, questions, width=48):
    """Asks all; returns how many were answered to the end."""
    questions, answered = iter(questions), 0
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def worker():
            nonlocal answered
            for path, body, leaves in questions:
                async with session.post(url + path, json=body) as answer:
                    if not leaves:
                        await answer.read()
                        answered += answer.status == 200
                        continue
                    async for _ in answer.content.iter_any():
                        break
                    answer.close()

        await asyncio.gather(*(worker() for _ in range(width)))
    return answered


def usage(gateway, *more):
    run = subprocess.run([binary(), "usage", "--since", "all", "--config", gateway.config, *more], capture_output=True, text=True, timeout=20, env=gateway.environment)
    assert run.returncode == 0, run.stderr
    return run.stdout


def start(text, state, **more):
    gateway = Gateway(text, XDG_STATE_HOME=str(state), **more)
    gateway.environment = clean_environment(XDG_STATE_HOME=str(state), **more)
    return gateway


def rows(state):
    with sqlite3.connect(f"file:{state}/tierway/ledger.db?mode=ro", uri=True) as db:
        db.row_factory = sqlite3.Row
        return db.execute("select * from calls").fetchall(), db.execute("select * from attempts").fetchall()


def spilled(state):
    """What waits in a file for the database; a process takes over what another has left there for a minute."""
    return [json.loads(line) for file in state.glob("tierway/ledger-spill-*") for line in file.read_text().splitlines() if line.endswith("}")]


def settled(read, count, seconds=30):
    end = time.monotonic() + seconds
    while (now := read()) != count and time.monotonic() < end:
        time.sleep(0.1)
    assert now == count
    return now


@pytest.fixture
def state():
    with tempfile.TemporaryDirectory(prefix="tierway-ledger-") as folder:
        yield Path(folder)


@pytest.mark.timeout(280)
def test_ledger_metrics_and_the_upstream_have_one_sum(state):
    chance = random.Random(7)
    questions = [question(n, chance) for n in range(CALLS)]
    with Accounts() as accounts, start(toml(accounts.url, CASCADE), state) as gateway:
        began = time.monotonic()
        asyncio.run(load(gateway.url, questions))
        took = time.monotonic() - began
        settled(lambda: gateway.total("tierway_ledger_rows_total", outcome="written"), CALLS, 120)
        assert gateway.total("tierway_ledger_rows_total", outcome="lost") == 0
        calls, attempts = rows(state)
        assert len(calls) == CALLS == gateway.total("tierway_requests_total")

        # What the upstream sent whole, at the prices of the file, by an arithmetic of its own.
        independent = sum(cost(model, tokens) for model, tokens in accounts.complete)
        # What it had begun when its caller left, or when the cascade lost patience: at the tokens that the gateway counted or estimated.
        broken = [a for a in attempts if a["ended"] in ("cancelled", "failed") and a["input"] + a["output"]]
        begun = sum(cost(a["model"], (a["input"], a["output"], a["cache_read"], a["cache_write"])) for a in broken)
        whole = [a for a in attempts if a["ended"] == "complete"]
        assert len(whole) == len(accounts.complete)
        assert accounts.failed == sum(a["ended"] == "status" for a in attempts) > 0

        ledger = Decimal(sum(c["cost"] for c in calls)) / PICO
        by_attempt = Decimal(sum(a["cost"] or 0 for a in attempts)) / PICO
        told = json.loads(usage(gateway, "--json"))["total"]
        metrics = Decimal(repr(gateway.total("tierway_cost_usd_total")))
        for name, sum_ in {"ledger": ledger, "attempts": by_attempt, "usage": Decimal(repr(told["cost"])), "metrics": metrics}.items():
            assert abs(sum_ - (independent + begun)) < MICRO, (name, sum_, independent + begun)
        assert ledger == by_attempt == independent + begun, "to the picodollar"

        # The parts add up, call by call and in the metrics.
        for c in calls:
            saved = sum(c[name] for name in c.keys() if name.startswith("saved_"))
            extra = sum(c[name] for name in c.keys() if name.startswith("extra_"))
            assert c["baseline"] + extra == c["cost"] + saved, dict(c)
        baseline = Decimal(sum(c["baseline"] for c in calls)) / PICO
        assert abs(Decimal(repr(gateway.total("tierway_baseline_usd_total"))) - baseline) < MICRO
        for cause in ("tier", "cascade", "prompt_cache"):
            saved = Decimal(sum(c[f"saved_{cause}"] for c in calls)) / PICO
            assert abs(Decimal(repr(gateway.total("tierway_saved_usd_total", cause=cause))) - saved) < MICRO, cause

        # Every kind of attempt was there, and is called by its name.
        parts = {part: sum(a["part"] == part for a in attempts) for part in {a["part"] for a in attempts}}
        assert parts["answer"] > CALLS / 2 and parts["rejected_draft"] > 0 and parts["cancelled"] > 0 and parts.get("failed", 0) + parts.get("retried", 0) > 0
        assert all(a["estimated"] for a in broken if a["output"] > 1)
        hits = sum(c["cache"] == "hit" for c in calls)
        assert hits > 0 and sum(c["saved_prompt_cache"] for c in calls) > 0
        outcomes = {o: sum(c["outcome"] == o for c in calls) for o in {c["outcome"] for c in calls}}
        assert outcomes["ok"] and outcomes["cancelled"] and outcomes["client_error"]
        assert all(c["ask"] is None for c in calls)
        by_tier = json.loads(usage(gateway, "--json", "--by", "tier"))["groups"]
        assert sum(g["calls"] for g in by_tier) == CALLS
        by_model = json.loads(usage(gateway, "--json", "--by", "model"))["groups"]
        assert abs(sum(Decimal(repr(g["cost"])) for g in by_model) - ledger) < MICRO
        csv = usage(gateway, "--csv", "--by", "model").splitlines()
        column = csv[0].split(",").index("cost_usd")
        assert sum(Decimal(line.split(",")[column]) for line in csv[1:]) == ledger
        exported = subprocess.run([binary(), "ledger", "export", "--config", gateway.config], capture_output=True, text=True, env=gateway.environment, timeout=60)
        exported = [json.loads(line) for line in exported.stdout.splitlines()]
        assert len(exported) == CALLS and sum(c["cost"] for c in exported) == sum(c["cost"] for c in calls)
        print(f"\n{CALLS} calls in {took:.0f} s: {outcomes}; parts {parts}; {hits} hits; ${ledger} = ${independent} + ${begun} broken off")


@pytest.mark.timeout(60)
def test_what_was_answered_a_second_before_a_kill_is_there(state):
    """And a start after it goes on with what is there."""

    async def calls(url):
        done = []
        async with aiohttp.ClientSession() as session:
            end = time.monotonic() + 4
            for n in range(10**6):
                body = {"model": "tierway/simple", "messages": [{"role": "user", "content": f"Question {json.dumps({'n': n, 'in': 5, 'out': 5})}"}]}
                async with session.post(url + "/v1/chat/completions", json=body) as answer:
                    await answer.read()
                    assert answer.status == 200
                done.append((answer.headers["x-request-id"], time.monotonic()))
                if time.monotonic() > end:
                    return done

    with Accounts() as accounts:
        text = toml(accounts.url, "")
        with start(text, state) as gateway:
            done = asyncio.run(calls(gateway.url))
            gateway.child.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            gateway.child.wait(10)
        written = rows(state)[0]
        kept = {c["request_id"] for c in written} | {c["request_id"] for c in spilled(state)}
        old = [name for name, at in done if at < killed - 1]
        assert len(old) > 100 and all(name in kept for name in old)
        lost = [name for name, _ in done if name not in kept]
        print(f"\n{len(done)} calls, {len(lost)} of the last {killed - min(at for name, at in done if name in lost) if lost else 0:.2f} s lost")
        with start(text, state) as gateway:
            asyncio.run(load(gateway.url, [question(n, random.Random(1)) for n in range(3)]))
            settled(lambda: gateway.total("tierway_ledger_rows_total", outcome="written"), 3)
        assert len(rows(state)[0]) == len(written) + 3


@pytest.mark.timeout(60)
def test_a_stop_writes_everything_down(state):
    with Accounts() as accounts, start(toml(accounts.url, ""), state) as gateway:
        asyncio.run(load(gateway.url, [question(n, random.Random(n)) for n in range(300)]))
        assert gateway.stop() == 0
        assert len(rows(state)[0]) == 300


@pytest.mark.timeout(60)
def test_the_status_line_is_quick_and_never_in_the_way(state):
    with Accounts() as accounts, start(toml(accounts.url, ""), state) as gateway:
        asyncio.run(load(gateway.url, [question(n, random.Random(n)) for n in range(1000)]))

        async def session():
            headers = {"x-claude-code-session-id": "6f8f57d5-95ad-4bd5-a6ba-5f0b8a6f0001", "user-agent": "claude-cli/2.1.330 (external, cli)"}
            async with aiohttp.ClientSession(headers=headers) as client:
                asked = {"n": 1, "in": 100_000, "out": 1000, "cached": 300_000}
                body = {"model": "tierway/reasoning", "max_tokens": 9, "messages": [{"role": "user", "content": f"Question {json.dumps(asked)}"}]}
                async with client.post(gateway.url + "/v1/messages", json=body) as answer:
                    assert answer.status == 200, await answer.text()

        asyncio.run(session())
        settled(lambda: gateway.total("tierway_ledger_rows_total", outcome="written"), 1001)
        told = json.dumps({"session_id": "6f8f57d5-95ad-4bd5-a6ba-5f0b8a6f0001", "model": {"display_name": "Opus"}})
        times, full = [], 0
        for _ in range(20):
            began = time.monotonic()
            run = subprocess.run([binary(), "statusline", "--config", gateway.config], input=told, capture_output=True, text=True, timeout=5, env=gateway.environment)
            times.append(time.monotonic() - began)
            assert run.returncode == 0 and run.stderr == ""
            # On a busy machine the ledger may be too slow, and then the line is short.
            assert run.stdout.startswith("tierway · ") and run.stdout.count("\n") == 1
            full += bool(re.fullmatch(r"tierway · reasoning → a:claude · session \$0\.405 · cached 75 % · 24 h \$\d+\.\d+\n", run.stdout))
        assert full > 0, run.stdout
        print(f"\nstatus line: {sorted(times)[10] * 1000:.1f} ms, at most {max(times) * 1000:.1f} ms")
        for text in ("", "{", "[]", '{"session_id": 5}'):
            run = subprocess.run([binary(), "statusline", "--config", "/nowhere"], input=text, capture_output=True, text=True, timeout=5, env=gateway.environment)
            assert (run.returncode, run.stdout) == (0, "tierway\n")


async def conversations(url, count, text="hi"):
    """Two calls each, for whatever model the gateway chooses."""
    async with aiohttp.ClientSession() as client:
        for number in range(count):
            for n in range(2):
                asked = {"n": number * 2 + n, "in": 1000, "out": 100}
                body = {"model": "auto", "messages": [{"role": "user", "content": f"{text} {json.dumps(asked)}"}]}
                async with client.post(url + "/v1/chat/completions", json=body, headers={"x-session-id": f"s{number}"}) as answer:
                    assert answer.status == 200, await answer.text()


def cheap(text):
    """A configuration whose everyday work is the small model's."""
    return text.replace('medium = "o:big"', 'medium = "o:small"')


def dear(text):
    return text.replace('simple = "o:small"', 'simple = "o:big"')


@pytest.mark.timeout(60)
def test_a_hold_out_measures_what_is_saved(state):
    with Accounts() as accounts, start(cheap(toml(accounts.url, "[savings]\nholdout = 0.5\n[affinity]\nenabled = false\n")), state) as gateway:
        asyncio.run(conversations(gateway.url, 150))
        settled(lambda: gateway.total("tierway_ledger_rows_total", outcome="written"), 300)
        calls, _ = rows(state)
        sides = {}
        for c in calls:
            sides.setdefault(c["session"], set()).add((c["holdout"], c["model"]))
        assert len(sides) == 150 and all(side in ({("gateway", "small")}, {("baseline", "big")}) for side in sides.values())
        held = sum(side == {("baseline", "big")} for side in sides.values())
        assert 50 < held < 100
        told = json.loads(usage(gateway, "--json"))["holdout"]
        assert (told["gateway"], told["held_out"]) == (150 - held, held)
        # 1000 and 100 tokens cost 0.00014 at one and 0.0035 at the other.
        assert abs(told["share"]["value"] - 0.96) < 1e-6 and abs(told["saved"]["value"] - (150 - held) * 2 * 0.00336) < 1e-6
        assert gateway.total("tierway_holdout_calls_total", side="baseline") == 2 * held
        assert abs(gateway.total("tierway_holdout_cost_usd_total", side="baseline") - 2 * held * 0.0035) < 1e-9


@pytest.mark.timeout(60)
def test_the_users_words_are_kept_where_that_is_wanted_and_no_secret(state):
    with Accounts() as accounts, start(toml(accounts.url, "[ledger]\nasks = true\n"), state) as gateway:
        asyncio.run(conversations(gateway.url, 1, "Log in with password: hunter2 at"))
        assert gateway.stop() == 0
    calls, _ = rows(state)
    assert len(calls) == 2 and all(c["ask"].startswith("Log in with password: [redacted] at {") for c in calls)


@pytest.mark.timeout(60)
def test_the_same_calls_under_another_configuration(state):
    with Accounts() as accounts, start(cheap(toml(accounts.url, "")), state) as gateway:
        asyncio.run(conversations(gateway.url, 30))
        settled(lambda: gateway.total("tierway_ledger_rows_total", outcome="written"), 60)
        other = state / "other.toml"
        other.write_text(dear(toml(accounts.url, "")))
        run = subprocess.run([binary(), "replay", "--config", str(other), "--ledger", gateway.config, "--since", "all", "--json"], capture_output=True, text=True, timeout=20, env=gateway.environment)
        assert run.returncode == 0, run.stderr
        told = json.loads(run.stdout)
        assert told["calls"] == 60 and abs(told["would_be"]["value"] - 60 * 0.0035) < 1e-9 and abs(told["ratio"]["value"] - 25) < 1e-6


# --- several nodes


class Postgres:
    """A server in a folder of its own, run by nobody where these tests are run by root."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        self.where = os.environ.get("POSTGRES_BIN") or os.path.dirname(os.path.realpath(shutil.which("initdb")))
        if self.user:
            os.chmod(folder, 0o777)
        os.chmod(os.path.dirname(folder), 0o755)
        self.run("initdb", "--pgdata", f"{folder}/data", "--username", "tierway", "--auth", "trust", "--no-sync", "--encoding", "UTF8", "--locale", "C")
        self.start()

    @property
    def url(self):
        return f"postgres://tierway@127.0.0.1:{self.port}/postgres"

    def run(self, program, *arguments):
        environment = {**os.environ, "LD_LIBRARY_PATH": os.environ.get("POSTGRES_LIBRARIES", "")}
        subprocess.run([f"{self.where}/{program}", *arguments], check=True, capture_output=True, timeout=60, env=environment, **self.user)

    def start(self):
        environment = {**os.environ, "LD_LIBRARY_PATH": os.environ.get("POSTGRES_LIBRARIES", "")}
        command = [f"{self.where}/postgres", "-D", f"{self.folder}/data", "-c", "listen_addresses=127.0.0.1", "-p", str(self.port), "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "jit=off"]
        self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, **self.user)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                self.run("psql", self.url, "-c", "select 1") if os.path.exists(f"{self.where}/psql") else self.run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port))
                return
            except subprocess.CalledProcessError:
                time.sleep(0.1)
        raise RuntimeError("PostgreSQL does not start")

    def stop(self, how=signal.SIGINT):
        self.child.send_signal(how)
        self.child.wait(20)


@pytest.fixture
def postgres(state):
    folder = state / "postgres"
    folder.mkdir()
    server = Postgres(str(folder))
    yield server
    server.stop(signal.SIGQUIT)


@pytest.mark.timeout(120)
def test_two_nodes_and_a_postgresql_that_goes_away(state, postgres):
    with Accounts() as accounts:
        text = toml(accounts.url, CASCADE + '[ledger]\nurl_env = "LEDGER_URL"\n')
        with start(text, state / "a", LEDGER_URL=postgres.url) as a, start(text, state / "b", LEDGER_URL=postgres.url) as b:
            written = lambda: sum(node.total("tierway_ledger_rows_total", outcome="written") for node in (a, b))
            for n, node in enumerate((a, b)):
                asyncio.run(load(node.url, [question(n, random.Random(n)) for n in range(n * 100, n * 100 + 100)]))
            settled(written, 200)

            # Dead in the middle: callers notice nothing, and nothing is lost.
            postgres.stop()
            began = time.monotonic()
            some = [q for q in (question(n, random.Random(n)) for n in range(1000, 1400)) if not q[2]]
            asyncio.run(load(a.url, some))
            assert time.monotonic() - began < 15
            settled(lambda: a.total("tierway_ledger_rows_total", outcome="spilled"), len(some))
            assert list((state / "a" / "tierway").glob("ledger-spill-*"))
            postgres.start()
            settled(written, 200 + len(some), 60)
            assert a.total("tierway_ledger_rows_total", outcome="lost") == 0
            assert not list((state / "a" / "tierway").glob("ledger-spill-*"))

            told = json.loads(usage(b, "--json"))["total"]
            metrics = sum(Decimal(repr(node.total("tierway_cost_usd_total"))) for node in (a, b))
            assert told["calls"] == 200 + len(some) and abs(Decimal(repr(told["cost"])) - metrics) < MICRO
            for node in (a, b):
                assert "panicked" not in node.log, node.log[-3000:]
