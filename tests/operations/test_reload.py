"""Another configuration while the gateway runs: by signal, by its file, by a file with a secret; and one that cannot be used."""
import http.client
import json
import os
import signal
import threading
import time
import urllib.parse

from harness import KEY, UPSTREAM_KEY, Gateway, call, configuration, until

HI = {"model": "auto", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
HEADERS = {"anthropic-version": "2023-06-01", "x-api-key": KEY}
NO_CACHE = "[cache]\nenabled = false\n"


def write(path, text):
    """Whole or not at all, as editors and Kubernetes do."""
    new = f"{path}.new"
    with open(new, "w") as file:
        file.write(text)
    os.replace(new, path)


def reloads(gateway, outcome):
    return gateway.total("tierway_config_reloads_total", outcome=outcome)


def told(gateway):
    return call(gateway.admin, "/v1/config").json


def model(gateway):
    return call(gateway.url, "/v1/messages", HI, HEADERS).headers["x-tierway-model"]


def test_a_signal_puts_a_new_configuration_to_work_and_streams_end_as_they_began(scripted):
    with Gateway(configuration(scripted.url, extra=f"[server]\nwatch = false\n{NO_CACHE}")) as gateway:
        assert told(gateway) == {"revision": 0, "since": told(gateway)["since"], "last": None, "restart_needed": []}
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(gateway.url).netloc, timeout=30)
        body = json.dumps({**HI, "model": "a:text-slow", "stream": True})
        connection.request("POST", "/v1/messages", body, {**HEADERS, "content-type": "application/json"})
        answer = connection.getresponse()
        first = answer.read1(200)
        write(gateway.config, configuration(scripted.url, simple="o:text-other", extra=f"[server]\nwatch = false\n{NO_CACHE}"))
        time.sleep(2.5)
        assert model(gateway) == "text-small", "nobody watches"
        gateway.child.send_signal(signal.SIGHUP)
        until(lambda: reloads(gateway, "applied") == 1)
        assert model(gateway) == "text-other"
        assert b"message_stop" in first + answer.read()
        # The kept connection is served by the new one, too.
        connection.request("POST", "/v1/messages", json.dumps(HI), {**HEADERS, "content-type": "application/json"})
        answer = connection.getresponse()
        assert answer.headers["x-tierway-model"] == "text-other" and answer.read()
        connection.close()
        gateway.child.send_signal(signal.SIGHUP)
        until(lambda: reloads(gateway, "unchanged") == 1)
        last = told(gateway)
        assert (last["revision"], last["last"]["outcome"], last["last"]["why"]) == (1, "unchanged", "signal")


def test_the_file_is_watched_and_what_cannot_be_used_is_refused_with_its_reasons(scripted):
    with Gateway(configuration(scripted.url, extra=NO_CACHE)) as gateway:
        write(gateway.config, configuration(scripted.url, extra=f"{NO_CACHE}[cascade]\nenabeld = true\n"))
        until(lambda: reloads(gateway, "refused") == 1)
        assert model(gateway) == "text-small"
        problems = told(gateway)["last"]["problems"]
        assert any("enabeld" in problem for problem in problems), problems
        ready = call(gateway.admin, "/readyz")
        assert ready.status == 200 and "refused" in ready.text
        assert gateway.total("tierway_config_stale") == 1
        assert "enabeld" in gateway.log and "cannot be used" in gateway.log
        assert KEY not in gateway.log and UPSTREAM_KEY not in gateway.log
        write(gateway.config, configuration(scripted.url, simple="o:text-other", extra=NO_CACHE))
        until(lambda: reloads(gateway, "applied") == 1)
        assert model(gateway) == "text-other"
        assert gateway.total("tierway_config_stale") == 0 and call(gateway.admin, "/readyz").text == "ready\n"


def test_what_only_a_restart_can_change_is_named_and_the_rest_is_applied(scripted):
    with Gateway(configuration(scripted.url, extra=NO_CACHE)) as gateway:
        changed = configuration(scripted.url, simple="o:text-other", extra=f'{NO_CACHE}[log]\nlevel = "debug"\n[ledger]\nretention = "1day"\n')
        write(gateway.config, changed)
        until(lambda: reloads(gateway, "applied") == 1)
        assert told(gateway)["restart_needed"] == ["ledger", "log"]
        assert gateway.total("tierway_config_restart_needed") == 1
        assert model(gateway) == "text-other"


def test_a_key_in_a_file_is_rotated_without_a_signal(scripted, tmp_path):
    file = tmp_path / "key"
    file.write_text(UPSTREAM_KEY)
    toml = configuration(scripted.url, extra=NO_CACHE).replace(f'api_key = "{UPSTREAM_KEY}"', f'api_key_file = "{file}"')
    with Gateway(toml) as gateway:
        assert call(gateway.url, "/v1/messages", HI, HEADERS).status == 200
        write(file, "sk-rotated-0003")
        until(lambda: reloads(gateway, "applied") == 1)
        assert call(gateway.url, "/v1/messages", HI, HEADERS).status == 401
        write(file, UPSTREAM_KEY)
        until(lambda: reloads(gateway, "applied") == 2)
        assert call(gateway.url, "/v1/messages", HI, HEADERS).status == 200


def test_nothing_fails_while_configurations_change_under_load(scripted):
    """Calls on kept connections, a configuration a moment: each call is answered, by one of the two."""
    texts = [configuration(scripted.url, simple=f"o:text-{name}", extra=NO_CACHE) for name in ("one", "two")]
    with Gateway(texts[0]) as gateway:
        seen, failed, stop = set(), [], threading.Event()

        def calls():
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(gateway.url).netloc, timeout=30)
            while not stop.is_set():
                connection.request("POST", "/v1/messages", json.dumps(HI), {**HEADERS, "content-type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                seen.add(answer.headers["x-tierway-model"])
                if answer.status != 200:
                    failed.append((answer.status, text))

        threads = [threading.Thread(target=calls) for _ in range(8)]
        for thread in threads:
            thread.start()
        for turn in range(12):
            write(gateway.config, texts[(turn + 1) % 2])
            gateway.child.send_signal(signal.SIGHUP)
            done = turn + 1
            until(lambda: sum(reloads(gateway, outcome) for outcome in ("applied", "unchanged")) >= done)
        stop.set()
        for thread in threads:
            thread.join()
        made = gateway.total("tierway_requests_total")
        assert not failed, failed[:3]
        assert seen == {"text-one", "text-two"}
        assert made > 50 and gateway.total("tierway_requests_total", outcome="ok") == made
        print(f"{made:.0f} calls over {reloads(gateway, 'applied'):.0f} configurations, none failed")
