"""A program on a terminal of its own, whose keys we press: enough to answer its questions, without a look at its screen."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

CODES = re.compile(r"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b\][^\x07]*\x07|\x1b[()][A-Z0-9]|\x1b[=>78]")
UP, ENTER = "\x1b[A", "\r"


class Terminal:
    def __init__(self, command, folder, environment):
        self.text, self.all = "", ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(command[0], command, {"TERM": "xterm-256color", **environment})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 150, 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    def read(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    told = os.read(self.fd, 1 << 16).decode("utf-8", "replace")
                except OSError:
                    return
                plain = CODES.sub(" ", told)
                self.text, self.all = self.text + plain, self.all + plain

    def until(self, pattern, seconds=30):
        """Waits for words, which may stand any space apart; what came before them is forgotten."""
        pattern, end = pattern.replace(" ", r"\s+"), time.monotonic() + seconds
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < end, f"no {pattern!r} in {' '.join(self.all.split())[-1500:]}"
            self.read(0.3)
        self.text = self.text[found.end():]
        return found

    def press(self, *keys, pause=0.7):
        for key in keys:
            self.read(pause)
            os.write(self.fd, key.encode())
