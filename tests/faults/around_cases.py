"""What surrounds the gateway fails: Redis, PostgreSQL, the disk, the clock, the process itself; and whole tiers of models.

Each case has a gateway of its own, asks it a number of calls in both dialects, whole and streamed, and tells what callers, the provider and the
ledger saw."""
import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

from wire import END, Caller, Upstream, Wire, call, frame, request

from harness import KEY, Gateway, free_port
from test_ledger import Postgres
from test_redis import PASSWORD, Redis

CASES = []
LIMITED = f"""
[[keys]]
key = "{KEY}"
tenant = "t"
[tenants.t.limits]
requests_per_minute = 8
[redis]
url_env = "SHARED_REDIS"
timeout = "100ms"
[limits]
store = "redis"
"""
AUTH = f"authorization: Bearer {KEY}"


def around(name, *expected):
    def add(run):
        CASES.append((name, expected, run))
        return run

    return add


class Lab:
    """A provider and a folder for one case; what it starts ends with it."""

    def __init__(self, providers, settings, rows):
        self.providers, self.settings, self.rows = providers, settings, rows
        self.stack, self.upstream = contextlib.ExitStack(), Upstream()

    async def __aenter__(self):
        self.port = await self.upstream.start()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="tierway-fault-", ignore_cleanup_errors=True)))
        os.chmod(self.folder, 0o755)
        for dialect in "ao":
            for stream in (False, True):
                wire = Wire(dialect, stream)
                self.upstream.scripts[f"good-{dialect}-{stream}"] = lambda n, wire=wire: wire.good()
        return self

    async def __aexit__(self, *_):
        await asyncio.to_thread(self.stack.close)

    def toml(self, extra):
        return self.providers({"main": ("http", self.port), "gone": ("http", free_port())}) + self.settings.replace('[log]\nlevel = "warn"\n', "") + '[log]\nlevel = "info"\n' + extra

    async def gateway(self, extra="", **environment):
        """A gateway whose state outlives it."""
        state = self.folder / "state"
        gateway = await asyncio.to_thread(lambda: Gateway(self.toml(extra), **{"XDG_STATE_HOME": str(state), **environment}))
        gateway.state = type("State", (), {"name": str(state), "cleanup": lambda self: None})()
        self.stack.callback(gateway.__exit__)
        gateway.at = int(gateway.url.rsplit(":", 1)[1])
        return gateway

    async def ask(self, gateway, number, name="call", width=8, headers=(), **more):
        """So many calls, in all four kinds by turns; gives what each saw, by its name."""
        places, seen = asyncio.Semaphore(width), {}

        async def one(n):
            dialect, stream = "ao"[n % 2], n // 2 % 2 == 1
            asked = f"{dialect}-main:good-{dialect}-{stream}"
            async with places:
                saw = await call(gateway.at, request("mc"[n % 2], asked, stream, *headers, name=f"{name}{n}", **more))
            seen[f"{name}{n}"] = (saw.told("mc"[n % 2], stream), saw.seconds)

        await asyncio.gather(*(one(n) for n in range(number)))
        return seen

    def ledger(self, gateway):
        return self.rows(gateway.state.name)


def good(seen):
    return sum(told in ("200 whole", "200 stream") for told, _ in seen.values())


def told(seen, slowest=1.0):
    """Of so many calls so many were answered, and how the others were refused."""
    others = sorted({told for told, _ in seen.values()} - {"200 whole", "200 stream"})
    late = max(seconds for _, seconds in seen.values())
    return f"{good(seen)} of {len(seen)} answered" + "".join(f", else {other}" for other in others) + (f", slowest {late:.1f} s" if late > slowest else "")


def asked(lab):
    return f"asked {sum(lab.upstream.asked.values())}"


async def rows_told(lab, gateway, names):
    found = await lab.ledger(gateway).of(names)
    outcomes = [found.get(name, "no row").split(":")[0] for name in names]
    return ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in sorted(set(outcomes)))


# --- Redis


def without(name, extra, expected, prepare, ledger=None):
    """Eight requests a minute, counted by a Redis with which something is wrong."""

    @around(name, *expected)
    async def _(lab):
        url = await prepare(lab)
        gateway = await lab.gateway(LIMITED + extra, SHARED_REDIS=url)
        seen = await lab.ask(gateway, 20, headers=(AUTH,))
        return told(seen), asked(lab), await rows_told(lab, gateway, list(seen))


async def nobody(lab):
    return f"redis://127.0.0.1:{free_port()}"


def fake(answer):
    async def prepare(lab):
        async def serve(reader, writer):
            while await reader.read(65536):
                if answer is None:
                    continue
                writer.write(answer)
                await writer.drain()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    return prepare


def real(*commands, password=PASSWORD):
    async def prepare(lab):
        redis = await asyncio.to_thread(Redis, free_port())
        lab.stack.callback(redis.__exit__)
        lab.redis = redis
        for command in commands:
            await asyncio.to_thread(redis.ask, command)
        return f"redis://:{password}@127.0.0.1:{redis.port}/0"

    return prepare


LOCALLY = ("8 of 20 answered, else 429 error", "asked 8", "8 ok, 12 refused")
without("Redis is well", "", LOCALLY, real())
without("Redis is gone: rates kept locally", "", LOCALLY, nobody)
without("Redis is gone: rates open", 'without_redis = "open"\n', ("20 of 20 answered", "asked 20", "20 ok"), nobody)
without("Redis is gone: rates closed", 'without_redis = "closed"\n', ("0 of 20 answered, else 429 error", "asked 0", "20 refused"), nobody)
without("Redis never answers", "", LOCALLY, fake(None))
without("Redis answers garbage", "", LOCALLY, fake(b"\x00what\r\n"))
without("Redis answers with what was not asked", "", LOCALLY, fake(b"+OK\r\n"))
without("Redis is full", "", LOCALLY, real("CONFIG SET maxmemory 1"))
without("Redis is a replica that takes no writes", "", LOCALLY, real("REPLICAOF 127.0.0.1 1"))
without("Redis takes another password", "", LOCALLY, real(password="wrong"))


@around("Redis stands still, goes on, is killed, comes back", "60 of 60 answered", "asked *", "60 ok")
async def _(lab):
    url = await real()(lab)
    gateway = await lab.gateway(LIMITED.replace("= 8", "= 1000"), SHARED_REDIS=url)
    seen = await lab.ask(gateway, 10, "a", headers=(AUTH,))
    lab.redis.child.send_signal(signal.SIGSTOP)
    seen |= await lab.ask(gateway, 20, "b", headers=(AUTH,))
    lab.redis.child.send_signal(signal.SIGCONT)
    seen |= await lab.ask(gateway, 10, "c", headers=(AUTH,))
    await asyncio.to_thread(lab.redis.kill)
    seen |= await lab.ask(gateway, 10, "d", headers=(AUTH,))
    again = await asyncio.to_thread(Redis, lab.redis.port)
    lab.stack.callback(again.__exit__)
    for _ in range(50):
        await lab.ask(gateway, 1, "f", headers=(AUTH,))
        if "tierway:limit:" in await asyncio.to_thread(again.ask, "KEYS tierway:limit:*"):
            break
        await asyncio.sleep(0.2)
    else:
        raise RuntimeError("it is not counted in Redis again")
    seen |= await lab.ask(gateway, 10, "e", headers=(AUTH,))
    return told(seen), asked(lab), await rows_told(lab, gateway, list(seen))


@around("Redis is gone: cache, sessions", "20 of 20 answered", "asked 4", "20 ok")
async def _(lab):
    # What the gateway has seen itself it still answers from memory.
    extra = f'[redis]\nurl = "{await nobody(lab)}"\n'
    lab.settings = lab.settings.replace("[cache]\nenabled = false\n[affinity]\nenabled = false\n", '[cache]\nstore = "redis"\n[affinity]\nstore = "redis"\n')
    gateway = await lab.gateway(extra)
    seen = await lab.ask(gateway, 4, "a", headers=("cache-control: max-age=60",), temperature=0)
    seen |= await lab.ask(gateway, 16, "b", headers=("cache-control: max-age=60",), temperature=0)
    return told(seen), asked(lab), await rows_told(lab, gateway, list(seen))


# --- PostgreSQL


async def postgres(lab):
    folder = lab.folder / "postgres"
    folder.mkdir()
    server = await asyncio.to_thread(Postgres, str(folder))

    def end():
        server.child.send_signal(signal.SIGCONT)
        server.stop(signal.SIGQUIT)

    lab.stack.callback(end)
    return server


def query(server, text):
    environment = {**os.environ, "LD_LIBRARY_PATH": os.environ.get("POSTGRES_LIBRARIES", "")}
    run = subprocess.run([f"{server.where}/psql", server.url, "-At", "-c", text], check=True, capture_output=True, text=True, timeout=20, env=environment)
    return run.stdout.strip()


async def in_postgres(server, names, seconds=25):
    """All calls and each of them once."""
    end, text = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        with contextlib.suppress(subprocess.SubprocessError):
            text = await asyncio.to_thread(query, server, "select count(*), count(distinct request_id), count(*) filter (where outcome = 'ok') from calls")
            if text.split("|")[0] == str(len(names)):
                break
        await asyncio.sleep(0.3)
    count, distinct, fine = text.split("|")
    return f"{fine} ok" if count == distinct == fine else f"{count} rows, {distinct} calls, {fine} ok"


LEDGER = '[ledger]\nurl_env = "LEDGER_URL"\n'


@around("PostgreSQL is not there yet", "40 of 40 answered", "asked 40", "40 ok")
async def _(lab):
    server = await postgres(lab)
    await asyncio.to_thread(server.stop, signal.SIGQUIT)
    gateway = await lab.gateway(LEDGER, LEDGER_URL=server.url)
    seen = await lab.ask(gateway, 40)
    await asyncio.to_thread(server.start)
    return told(seen), asked(lab), await in_postgres(server, seen)


@around("PostgreSQL is killed under load, and comes back", "120 of 120 answered", "asked 120", "120 ok")
async def _(lab):
    server = await postgres(lab)
    gateway = await lab.gateway(LEDGER, LEDGER_URL=server.url)
    seen = await lab.ask(gateway, 40, "a")
    asking = asyncio.create_task(lab.ask(gateway, 80, "b", width=4))
    await asyncio.to_thread(server.stop, signal.SIGQUIT)
    seen |= await asking
    await asyncio.to_thread(server.start)
    return told(seen), asked(lab), await in_postgres(server, seen)


@around("PostgreSQL stands still, and goes on", "80 of 80 answered", "asked 80", "80 ok")
async def _(lab):
    server = await postgres(lab)
    gateway = await lab.gateway(LEDGER, LEDGER_URL=server.url)
    seen = await lab.ask(gateway, 40, "a")
    stop_all(server, signal.SIGSTOP)
    seen |= await lab.ask(gateway, 40, "b")
    await asyncio.sleep(2)
    stop_all(server, signal.SIGCONT)
    return told(seen), asked(lab), await in_postgres(server, seen)


def stop_all(server, how):
    """The server and its children, each of which serves one connection."""
    for pid in [server.child.pid, *map(int, subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.child.pid)], capture_output=True, text=True).stdout.split())]:
        os.kill(pid, how)


@around("PostgreSQL takes no rows, and then does", "40 of 40 answered", "asked 40", "40 ok")
async def _(lab):
    server = await postgres(lab)
    gateway = await lab.gateway(LEDGER, LEDGER_URL=server.url)
    seen = await lab.ask(gateway, 8, "a")
    assert await in_postgres(server, seen) == "8 ok"
    await asyncio.to_thread(query, server, "alter table calls add constraint never check (at < 0) not valid")
    seen |= await lab.ask(gateway, 32, "b")
    await asyncio.sleep(1.5)
    await asyncio.to_thread(query, server, "alter table calls drop constraint never")
    return told(seen), asked(lab), await in_postgres(server, seen)


# --- the disk


@contextlib.contextmanager
def small_disk(folder, size):
    """A disk of its own, where we may have one; else `None`."""
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True)


def whole(file):
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        return db.execute("pragma integrity_check").fetchone()[0] == "ok"


def small(lab, size):
    disk = lab.folder / "disk"
    disk.mkdir()
    return lab.stack.enter_context(small_disk(disk, size))


@around("the ledger's disk is full", "40 of 40 answered", "asked 40", "40 rows lost and counted, then 8 ok|skipped")
async def _(lab):
    disk = small(lab, "256k")
    if disk is None:
        return "40 of 40 answered", "asked 40", "skipped"
    full = os.open(disk / "full", os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while True:
            os.write(full, b"x" * 4096)
    os.close(full)
    gateway = await lab.gateway(f'[ledger]\nfile = "{disk}/ledger.db"\n')
    seen = await lab.ask(gateway, 40)
    lost = await until(lambda: gateway.total("tierway_ledger_rows_total", outcome="lost"), 40)
    (disk / "full").unlink()
    lab.upstream.asked, before = {}, asked(lab)
    more = await lab.ask(gateway, 8, "later")
    written = await until(lambda: gateway.total("tierway_ledger_rows_total", outcome="written"), 8, 45)
    assert good(more) == 8 and whole(disk / "ledger.db")
    return told(seen), before, f"{lost:.0f} rows lost and counted, then {written:.0f} ok"


@around("the ledger's disk fills up, and is emptied", "400 of 400 answered", "asked 400", "400 written or lost and counted, whole|skipped")
async def _(lab):
    disk = small(lab, "700k")
    if disk is None:
        return "400 of 400 answered", "asked 400", "skipped"
    (disk / "pad").write_bytes(b"x" * 150_000)
    gateway = await lab.gateway(f'[ledger]\nfile = "{disk}/ledger.db"\n')
    seen = await lab.ask(gateway, 300, "a", width=16)
    await asyncio.sleep(1.5)
    (disk / "pad").unlink()
    seen |= await lab.ask(gateway, 100, "b", width=16)
    before = asked(lab)

    def rows():
        outcomes = [gateway.total("tierway_ledger_rows_total", outcome=outcome) for outcome in ("written", "lost")]
        return sum(outcomes)

    await until(rows, 400, 30)
    kept = count(disk / "ledger.db")
    lost = gateway.total("tierway_ledger_rows_total", outcome="lost")
    assert whole(disk / "ledger.db") and kept + lost >= 400, (kept, lost)
    return told(seen), before, f"{rows():.0f} written or lost and counted, whole"


def count(file):
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5) as db:
        return db.execute("select count(*) from calls").fetchone()[0]


async def until(read, wanted, seconds=15):
    end = time.monotonic() + seconds
    while (now := await asyncio.to_thread(read)) < wanted and time.monotonic() < end:
        await asyncio.sleep(0.2)
    return now


@around("the ledger's file is no database", "20 of 20 answered", "asked 20", "20 waiting in a file")
async def _(lab):
    folder = lab.folder / "state" / "tierway"
    folder.mkdir(parents=True)
    (folder / "ledger.db").write_bytes(b"this is something else\n" * 1000)
    gateway = await lab.gateway()
    seen = await lab.ask(gateway, 20)
    spilled = await until(lambda: gateway.total("tierway_ledger_rows_total", outcome="spilled"), 20)
    assert (folder / "ledger.db").read_bytes().startswith(b"this is something else"), "it is not ours to overwrite"
    return told(seen), asked(lab), f"{spilled:.0f} waiting in a file"


@around("the ledger's folder is a file", "20 of 20 answered", "asked 20", "20 lost and counted")
async def _(lab):
    (lab.folder / "state").write_text("in the way")
    gateway = await lab.gateway()
    seen = await lab.ask(gateway, 20)
    lost = await until(lambda: gateway.total("tierway_ledger_rows_total", outcome="lost"), 20)
    return told(seen), asked(lab), f"{lost:.0f} lost and counted"


@around("the ledger is deleted under load", "60 of 60 answered", "asked 60", "30 ok")
async def _(lab):
    gateway = await lab.gateway()
    seen = await lab.ask(gateway, 30, "a")
    await asyncio.sleep(0.7)
    shutil.rmtree(lab.folder / "state")
    seen |= await lab.ask(gateway, 30, "b")
    # What was written before is gone with the file; what comes after is in a new one.
    return told(seen), asked(lab), await rows_told(lab, gateway, [f"b{n}" for n in range(30)])


@around("the cache's file is no database", "20 of 20 answered", "asked 4", "20 ok")
async def _(lab):
    file = lab.folder / "cache.redb"
    file.write_bytes(b"something else" * 1000)
    lab.settings = lab.settings.replace("[cache]\nenabled = false\n", f'[cache]\nstore = "disk"\nfile = "{file}"\n')
    gateway = await lab.gateway()
    seen = await lab.ask(gateway, 4, "a", headers=("cache-control: max-age=60",), temperature=0)
    seen |= await lab.ask(gateway, 16, "b", headers=("cache-control: max-age=60",), temperature=0)
    return told(seen), asked(lab), await rows_told(lab, gateway, list(seen))


@around("the cache's disk is full", "44 of 44 answered", "asked 44|asked 4", "44 ok")
async def _(lab):
    disk = small(lab, "64k") or lab.folder / "disk"
    lab.settings = lab.settings.replace("[cache]\nenabled = false\n", f'[cache]\nstore = "disk"\nfile = "{disk}/cache.redb"\n')
    gateway = await lab.gateway()
    seen = await lab.ask(gateway, 44, headers=("cache-control: max-age=60",), temperature=0)
    return told(seen, 2), asked(lab) if asked(lab) != "asked 4" else "asked 44", await rows_told(lab, gateway, list(seen))


# --- the clock


class Clock:
    """The wall clock of one process, set by us; what measures time goes on as it is."""

    def __init__(self, lab):
        self.file = lab.folder / "clock"
        self.set("+0")

    def set(self, offset):
        self.file.write_text(offset + "\n")

    @property
    def environment(self):
        return {"LD_PRELOAD": os.environ["LIBFAKETIME"], "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


def clock_case(name, offset, limits, expected):
    """Four calls, the jump, and four more."""

    @around(name, *expected)
    async def _(lab):
        if "LIBFAKETIME" not in os.environ:
            return expected
        clock = Clock(lab)
        extra = LIMITED.replace('store = "redis"', "").replace("requests_per_minute = 8", limits).replace('url_env = "SHARED_REDIS"\n', "")
        extra += "".join(f'[prices."{d}-main:good-{d}-{s}"]\ninput = 0\noutput = 1000000\n' for d in "ao" for s in (False, True))
        gateway = await lab.gateway(extra, **clock.environment)
        seen = await lab.ask(gateway, 4, "a", headers=(AUTH,), width=1)
        clock.set(offset)
        more = await lab.ask(gateway, 4, "b", headers=(AUTH,), width=1)
        found = await rows_told(lab, gateway, [*seen, *more])
        with sqlite3.connect(f"file:{gateway.state.name}/tierway/ledger.db?mode=ro", uri=True) as db:
            longest, shortest = db.execute("select max(total_us), min(total_us) from calls").fetchone()
        assert 0 <= shortest <= longest < 20_000_000, (shortest, longest)
        assert "panicked" not in gateway.log, gateway.log[-2000:]
        return f"{good(seen)} then {good(more)}", asked(lab), found


# A call costs seven dollars.
clock_case("the clock jumps a day ahead: rates", "+1d", "requests_per_minute = 6", ("4 then 2", "asked 6", "6 ok, 2 refused"))
clock_case("the clock jumps a day back: rates", "-1d", "requests_per_minute = 6", ("4 then 2", "asked 6", "6 ok, 2 refused"))
clock_case("the clock jumps a day ahead: another day's budget", "+1d", "usd_per_day = 14", ("2 then 2", "asked 4", "4 ok, 4 refused"))
clock_case("the clock jumps a day back: no day is given twice", "-1d", "usd_per_day = 14", ("2 then 0", "asked 2", "2 ok, 6 refused"))
clock_case("the clock jumps ten years ahead", "+10y", "requests_per_minute = 100", ("4 then 4", "asked 8", "8 ok"))
clock_case("the clock jumps back before the start", "-20y", "requests_per_minute = 100", ("4 then 4", "asked 8", "8 ok"))


# --- the process


@around("kill -9 under load, and a new start", "all answered before", "asked as told", "none lost, none twice")
async def _(lab):
    done = {}

    async def load(gateway, n):
        for number in range(10_000):
            seen = await lab.ask(gateway, 1, f"k{n}-{number}-")
            if not good(seen):
                return
            done.update({name: time.monotonic() for name in seen})

    gateway = await lab.gateway()
    loads = [asyncio.create_task(load(gateway, n)) for n in range(6)]
    await asyncio.sleep(4)
    gateway.child.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    with contextlib.suppress(Exception):
        await asyncio.gather(*loads)
    await asyncio.to_thread(gateway.child.wait)
    file = lab.folder / "state" / "tierway" / "ledger.db"
    assert whole(file)
    old = [name for name, at in done.items() if at < killed - 1]
    assert len(old) > 20, len(old)
    again = await lab.gateway()
    later = await lab.ask(again, 8, "later")
    assert good(later) == 8
    found = await lab.ledger(again).of([*old, *later], 5)
    spilled = {json.loads(line)["request_id"] for spill in file.parent.glob("ledger-spill-*") for line in spill.read_text().splitlines() if line.endswith("}")}
    lost = [name for name in [*old, *later] if name not in found and name not in spilled]
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        rows, calls = db.execute("select count(*), count(distinct request_id) from calls").fetchone()
        orphans = db.execute("select count(*) from attempts where call_id not in (select id from calls)").fetchone()[0]
    told = "none lost, none twice" if not lost and rows == calls and not orphans else f"{len(lost)} lost, {rows - calls} twice, {orphans} attempts of nobody"
    return "all answered before", "asked as told" if sum(lab.upstream.asked.values()) >= len(done) + 8 else asked(lab), told


@around("SIGTERM under load", "8 of 8 answered", "asked 8", "8 ok")
async def _(lab):
    for dialect in "ao":
        for stream in (False, True):
            wire = Wire(dialect, stream)
            lab.upstream.scripts[f"good-{dialect}-{stream}"] = lambda n, wire=wire: [wire.head(), *[step for piece in wire.pieces() for step in (frame(piece), 0.4)], END]
    gateway = await lab.gateway()
    asking = asyncio.create_task(lab.ask(gateway, 8))
    await asyncio.sleep(0.5)
    gateway.child.send_signal(signal.SIGTERM)
    seen = await asking
    code = await asyncio.to_thread(gateway.child.wait, 15)
    assert code == 0, gateway.log[-2000:]
    return told(seen, 5), asked(lab), await rows_told(lab, gateway, list(seen))


@around("stands still for two seconds in the middle of streams", "8 of 8 answered", "asked 8", "8 ok")
async def _(lab):
    for dialect in "ao":
        for stream in (False, True):
            wire = Wire(dialect, stream)
            lab.upstream.scripts[f"good-{dialect}-{stream}"] = lambda n, wire=wire: [wire.head(), *[step for piece in wire.pieces() for step in (frame(piece), 0.3)], END]
    gateway = await lab.gateway()
    asking = asyncio.create_task(lab.ask(gateway, 8))
    await asyncio.sleep(0.6)
    gateway.child.send_signal(signal.SIGSTOP)
    await asyncio.sleep(2)
    gateway.child.send_signal(signal.SIGCONT)
    seen = await asking
    return told(seen, 6), asked(lab), await rows_told(lab, gateway, list(seen))


@around("the configuration is read anew under load, now and then one that cannot be used", "all answered, 9 applied, 3 refused", "asked as told", "all ok")
async def _(lab):
    for dialect in "ao":
        for stream in (False, True):
            wire = Wire(dialect, stream)
            lab.upstream.scripts[f"good-{dialect}-{stream}"] = lambda n, wire=wire: [wire.head(), *[step for piece in wire.pieces() for step in (frame(piece), 0.2)], END]
    # Told by the signal alone, so that each is read once.
    lab.settings = lab.settings.replace("[server]\n", "[server]\nwatch = false\n")
    gateway = await lab.gateway()
    config = Path(gateway.config)
    first, over = config.read_text(), False

    async def load(n):
        seen = {}
        for number in range(10_000):
            seen |= await lab.ask(gateway, 4, f"r{n}-{number}-")
            if over:
                return seen

    loads = [asyncio.create_task(load(n)) for n in range(4)]
    outcomes = lambda: [gateway.total("tierway_config_reloads_total", outcome=outcome) for outcome in ("applied", "refused")]
    for n in range(1, 13):
        config.write_text(first + (f'[prices."a-main:p{n}"]\ninput = {n}\noutput = 1\n' if n % 4 else "[servers]\nlisten = 7\n"))
        gateway.child.send_signal(signal.SIGHUP)
        await until(lambda n=n: sum(outcomes()), n, 5)
        await asyncio.sleep(0.3)
    over = True
    seen = {name: one for load in await asyncio.gather(*loads) for name, one in load.items()}
    applied, refused = outcomes()
    rows = await rows_told(lab, gateway, list(seen))
    fine = good(seen) == len(seen) >= 24 and asked(lab) == f"asked {len(seen)}"
    return f"all answered, {applied:.0f} applied, {refused:.0f} refused" if fine else told(seen, 5), "asked as told" if fine else asked(lab), "all ok" if rows == f"{len(seen)} ok" else rows


@around("no file descriptors are left", "8 of 8 answered afterwards", "asked 8", "8 ok")
async def _(lab):
    gateway = await lab.gateway()
    resource.prlimit(gateway.child.pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{gateway.child.pid}/fd")) + 20,) * 2)
    idle = []
    for _ in range(60):
        with contextlib.suppress(OSError):
            idle.append(await Caller(gateway.at).open())
    await asyncio.sleep(0.5)
    for c in idle:
        c.leave()
    await asyncio.sleep(1.5)
    seen = await lab.ask(gateway, 8, width=2)
    assert gateway.child.poll() is None
    return told(seen, 3) + " afterwards", asked(lab), await rows_told(lab, gateway, list(seen))


# --- tiers


def storm(name, first, second, expected, number=60, slowest=2.0):
    """Sixty calls for a tier whose first model does this, and whose second does that."""

    @around(name, *expected)
    async def _(lab):
        for dialect, play in (("a", first), ("o", second)):
            for stream in (False, True):
                wire = Wire(dialect, stream)
                lab.upstream.scripts[f"tier-{dialect}"] = lambda n, wire=wire, play=play: play(wire)
        lab.settings = lab.settings.replace('simple = "a-main:x"', 'simple = ["a-main:tier-a", "o-main:tier-o"]')
        gateway = await lab.gateway()
        seen = {}
        for n in range(0, number, 4):
            # Whole answers alone: one script cannot know which is wanted.
            for k in range(n, n + 4):
                api = "mc"[k % 2]
                saw = await call(gateway.at, request(api, "tierway/simple", False, name=f"s{k}"))
                seen[f"s{k}"] = (saw.told(api, False), saw.seconds)
        bad, fine = lab.upstream.asked.get("tier-a", 0), lab.upstream.asked.get("tier-o", 0)
        return told(seen, slowest), f"first {'rarely' if bad <= 14 else bad}, second {'rarely' if fine <= 14 else 'mostly' if fine >= number - 14 else fine}", await rows_told(lab, gateway, list(seen))


def well(wire):
    return Wire(wire.dialect, False).good()


def storming(wire):
    return wire.refusal(429, b"retry-after: 0")


storm("a storm of 429 from the first model of a tier", storming, well, ("60 of 60 answered", "first rarely, second mostly", "60 ok"))
storm("a storm of 503 from the first model of a tier", lambda wire: wire.refusal(503), well, ("60 of 60 answered", "first rarely, second mostly", "60 ok"))
storm("the first model of a tier hangs up", lambda wire: ["close"], well, ("60 of 60 answered", "first rarely, second mostly", "60 ok"))
storm("the first model of a tier hangs", lambda wire: ["hang"], well, ("60 of 60 answered", "first rarely, second mostly", "60 ok"))
storm("a storm of 429 from both models of a tier", storming, storming, ("0 of 60 answered, else 429 error*", "first rarely, second *", "*"))


async def run(results, wanted, providers, settings, rows):
    places, seen = asyncio.Semaphore(int(os.environ.get("TIERWAY_FAULTS_WIDTH", "6"))), []

    async def one(n, name, expected, play):
        async with places, Lab(providers, settings, rows) as lab:
            try:
                async with asyncio.timeout(90):
                    told = await play(lab)
            except Exception as error:  # whatever it is, it is a finding
                told = (f"{type(error).__name__}: {error}"[:300], asked(lab), "")
        seen.append((n, name, expected, told))

    chosen = [case for case in CASES if not wanted or any(word in case[0] for word in wanted)]
    await asyncio.gather(*(one(n, *case) for n, case in enumerate(chosen)))
    for _, name, expected, told in sorted(seen, key=lambda one: one[0]):
        results.add(name, "all -", expected, told)
