"""What a service manager is told, and the sockets that it hands over."""
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from harness import Gateway, binary, call, clean_environment, configuration


class Manager:
    """Stands in for systemd: keeps what it is told."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.told = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            self.told += self.socket.recv(4096).decode().splitlines()

    def until(self, line, count=1, seconds=10):
        end = time.monotonic() + seconds
        while sum(told.startswith(line) for told in self.told) < count:
            assert time.monotonic() < end, (line, self.told)
            time.sleep(0.02)


def test_a_service_manager_is_told_what_happens(scripted, tmp_path):
    manager = Manager(tmp_path)
    with Gateway(configuration(scripted.url), NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="400000") as gateway:
        manager.until("READY=1")
        manager.until("WATCHDOG=1", 3)
        gateway.child.send_signal(signal.SIGHUP)
        manager.until("RELOADING=1")
        manager.until("MONOTONIC_USEC=")
        manager.until("READY=1", 2)
        gateway.child.send_signal(signal.SIGTERM)
        manager.until("STOPPING=1")
        assert gateway.child.wait(10) == 0


def test_sockets_that_are_handed_over_are_used(scripted, tmp_path):
    file = tmp_path / "tierway.toml"
    file.write_text(configuration(scripted.url))
    with socket.create_server(("127.0.0.1", 0)) as callers, socket.create_server(("127.0.0.1", 0)) as operators:
        numbers = (callers.fileno(), operators.fileno())
        script = f'exec 3<&{numbers[0]} 4<&{numbers[1]}; LISTEN_PID=$$ LISTEN_FDS=2 exec "$0" serve --config "$1"'
        environment = clean_environment(XDG_STATE_HOME=str(tmp_path))
        child = subprocess.Popen(["bash", "-c", script, binary(), str(file)], env=environment, pass_fds=numbers, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url, admin = (f"http://127.0.0.1:{s.getsockname()[1]}" for s in (callers, operators))
            # Who connects before it runs waits in the socket.
            assert call(url, "/api/hello").status == 200
            assert call(admin, "/readyz").text == "ready\n"
        finally:
            child.terminate()
            assert child.wait(10) == 0


def test_load_balancers_are_told_before_calls_are_turned_away(scripted):
    with Gateway(configuration(scripted.url, extra='[server]\ndrain_delay = "1s"\n')) as gateway:
        gateway.child.send_signal(signal.SIGTERM)
        end = time.monotonic() + 0.8
        while call(gateway.admin, "/readyz").status != 503:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert call(gateway.url, "/api/hello").status == 200
        assert gateway.child.wait(10) == 0
        with pytest.raises(OSError):
            call(gateway.url, "/api/hello")


def test_a_core_would_hold_nothing(scripted):
    with Gateway(configuration(scripted.url)) as gateway:
        limits = open(f"/proc/{gateway.child.pid}/limits").read()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"], core
        assert os.path.exists(f"/proc/{gateway.child.pid}")
