#!/usr/bin/env python3
"""The fault matrix: what a provider, a caller, a store or a machine may do wrong, and what the caller, the provider and the ledger see of it.

    TIERWAY_BIN=target/debug/tierway python tests/faults/run.py [WORD...]     only cases whose name has one of these

Each fault is tried in two dialects of callers against two of providers, whole and streamed, all at the same time. Prints a table; ends
with 1 where one is not as expected."""
import asyncio
import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import around_cases
import caller_cases
import upstream_cases
from wire import Upstream, Wire, backlogged, call, request

from harness import Gateway, free_port

COMBINATIONS = ("m>a", "c>o", "m>o", "c>a")


class Results:
    """A line for each fault, mode and outcome."""

    def __init__(self):
        self.lines, self.failed, self.count = {}, [], 0

    def add(self, name, where, expected, seen):
        self.count += 1
        fits = expected is not None and all(fit(e, s) for e, s in zip(expected, seen, strict=True))
        if not fits:
            self.failed.append(f"{name} ({where}):\n    expected {expected}\n    saw      {seen}")
        mode, _, combination = where.partition(" ")
        self.lines.setdefault((name, mode, *seen, fits), []).append(combination)

    def show(self):
        titles = ("fault", "answer", "caller", "provider", "ledger", "where")
        rows = [(name, mode, *seen, " ".join(where) + ("" if fits else "  <- NOT AS EXPECTED")) for (name, mode, *seen, fits), where in self.lines.items()]
        widths = [max(len(str(row[i])) for row in [titles, *rows]) for i in range(len(titles) - 1)]
        for row in [titles, tuple("-" * width for width in widths) + ("-",), *rows]:
            print("  ".join(str(cell).ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip())


def fit(expected, seen):
    """Whether this was to be expected: `*` for anything, `a|b` for one of these, `503/529` for what differs by dialect."""
    pattern = re.escape(expected).replace("503/529", "(503|529)").replace("5xx", "5..").replace("\\*", ".*").replace("\\|", "|")
    return re.fullmatch(pattern, seen) is not None


class Rows:
    """What a ledger has of calls, by the names that we gave them."""

    def __init__(self, state):
        self.file = Path(state) / "tierway" / "ledger.db"

    def read(self):
        with sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=5) as db:
            calls = dict(db.execute("select request_id, id || ' ' || outcome from calls where kind = 'call'").fetchall())
            attempts = {}
            for call_id, ended in db.execute("select call_id, ended from attempts order by call_id, nth"):
                attempts.setdefault(call_id, []).append(ended)
        told = {}
        for name, both in calls.items():
            call_id, outcome = both.split(" ")
            told[name] = outcome + (": " + " ".join(attempts[call_id]) if call_id in attempts else "")
        return told

    async def of(self, names, seconds=10):
        """Those of all these, as soon as they are there."""
        end = time.monotonic() + seconds
        while True:
            try:
                told = self.read() if self.file.exists() else {}
            except sqlite3.OperationalError:
                told = {}
            if set(names) <= set(told) or time.monotonic() > end:
                return told
            await asyncio.sleep(0.2)


def certificates(folder):
    """An authority, and certificates of it and of another: {name: (certificate, key)}."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    for authority in ("ca", "foreign"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{authority}.key", "-out", f"{authority}.pem", "-days", "30", "-subj", f"/CN={authority}", "-addext", "keyUsage=critical,keyCertSign", "-addext", "basicConstraints=critical,CA:TRUE")
        (Path(folder) / f"{authority}.cnf").write_text(f"[ca]\ndefault_ca=x\n[x]\ndatabase={authority}.db\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\ncopy_extensions=copy\n[p]\ncommonName=supplied\n")
        (Path(folder) / f"{authority}.db").touch()
    found = {}
    for name, authority, host, ends in (("tls", "ca", "localhost", "20991231235959Z"), ("expired", "ca", "localhost", "20240101000000Z"), ("other", "ca", "elsewhere.test", "20991231235959Z"), ("unknown", "foreign", "localhost", "20991231235959Z")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{host}")
        openssl("ca", "-batch", "-config", f"{authority}.cnf", "-cert", f"{authority}.pem", "-keyfile", f"{authority}.key", "-in", f"{name}.csr", "-out", f"{name}.pem", "-startdate", "20230101000000Z", "-enddate", ends, "-notext")
        found[name] = (f"{folder}/{name}.pem", f"{folder}/{name}.key")
    return found


def providers(ports):
    """Each in both dialects, as `a-NAME` and `o-NAME`."""
    toml = ""
    for name, (scheme, port) in ports.items():
        for dialect, kind, path in (("a", "anthropic-compatible", ""), ("o", "openai-compatible", "/v1")):
            toml += f"""[providers.{dialect}-{name}]
kind = "{kind}"
base_url = "{scheme}://localhost:{port}{path}"
api_key = "k"
timeouts = {{ connect = "1s", first_byte = "1500ms", idle = "1500ms" }}
"""
    return toml


SETTINGS = """
[tiers]
simple = "a-main:x"
[cache]
enabled = false
[affinity]
enabled = false
[retry]
max = 1
backoff = "10ms"
budget = 1
[server]
body_timeout = "1s"
head_timeout = "1s"
max_body = "8MiB"
[log]
level = "warn"
"""


async def upstream_faults(results, wanted, folder):
    """All of `upstream_cases`, by one gateway."""
    made = certificates(folder)
    upstream = Upstream()
    port = await upstream.start()
    contexts = {name: tls_context(*files) for name, files in made.items()}
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(30), "127.0.0.1", 0)
    plain = await asyncio.start_server(answers_in_the_clear, "127.0.0.1", 0)
    full, waiting = backlogged()
    ports = {"main": ("http", port), "gone": ("http", free_port()), "full": ("http", full.getsockname()[1]), "plain": ("https", plain.sockets[0].getsockname()[1]), "silent": ("https", silent.sockets[0].getsockname()[1])}
    for name, context in contexts.items():
        ports[name] = ("https", await upstream.start(tls=context))
    with Gateway(providers(ports).replace("localhost:" + str(ports["full"][1]), "127.0.0.1:" + str(ports["full"][1])) + SETTINGS, SSL_CERT_FILE=f"{folder}/ca.pem") as gateway:
        at = int(gateway.url.rsplit(":", 1)[1])
        places, waited = asyncio.Semaphore(80), []

        async def one(case, mode, combination):
            api, _, dialect = combination.partition(">")
            wire = Wire(dialect, mode == "stream")
            model = f"{slug(case['name'])}-{api}{dialect}-{mode}"
            provider = f"{dialect}-{case['provider'] or 'main'}"
            upstream.scripts[model] = lambda n: case["script"](wire, n)
            async with places:
                saw = await call(at, request(api, f"{provider}:{model}", mode == "stream", *case["headers"], name=model, **case["body"]))
            await asyncio.sleep(0.1)
            waited.append((case, mode, combination, model, saw.told(api, mode == "stream")))

        tasks = []
        for case in upstream_cases.CASES:
            for mode in ("whole", "stream"):
                for combination in case["only"] or COMBINATIONS:
                    if case[mode] and (not wanted or any(word in case["name"] for word in wanted)):
                        tasks.append(one(case, mode, combination))
        await asyncio.gather(*tasks)
        rows = await Rows(gateway.state.name).of([model for *_, model, _ in waited])
        order = {id(case): n for n, case in enumerate(upstream_cases.CASES)}
        for case, mode, combination, model, told in sorted(waited, key=lambda w: (order[id(w[0])], w[1] == "stream", w[2])):
            results.add(case["name"], f"{mode} {combination}", case[mode], (told, upstream.told(model), rows.get(model, "no row")))
        if "panicked" in gateway.log:
            results.failed.append("the gateway panicked:\n" + gateway.log[-3000:])
    for s in waiting:
        s.close()


async def answers_in_the_clear(reader, writer):
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


def tls_context(certificate, key):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


async def main(wanted):
    # Connections that are cut are what this is about.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    results, began = Results(), time.monotonic()
    folder = tempfile.mkdtemp(prefix="tierway-faults-")
    os.chmod(folder, 0o755)
    try:
        await asyncio.gather(
            upstream_faults(results, wanted, folder),
            caller_cases.run(results, wanted, providers, SETTINGS, Rows),
        )
        await around_cases.run(results, wanted, providers, SETTINGS, Rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results.show()
    for failure in results.failed:
        print(failure)
    took = time.monotonic() - began
    faults = len({name for name, *_ in results.lines})
    print(f"\n{faults} faults, {results.count} cases in two dialects, whole and streamed")
    print(f"{results.count - len(results.failed)} passed, {len(results.failed)} failed in {took:.1f}s")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
