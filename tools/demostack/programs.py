"""The programs of the stack: finding them, a port for each, starting them, and ending them whatever happens."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Seconds that a program may take until it is ready, and to end.
START_WITHIN, END_WITHIN = 120.0, 15.0

#: What each program is called: by its makers, and by Debian.
NAMES = {"Prometheus": ("prometheus",), "Alertmanager": ("prometheus-alertmanager", "alertmanager")}

_LAST_LINES = 20


class StackError(Exception):
    """The stack cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A program that was started, where it listens (host:port), and where it writes what it has to say."""

    name: str
    address: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Return where it can be opened."""
        return f"http://{self.address}"

    def require(self) -> None:
        """Raise StackError with its last words where it has ended."""
        if self.process.poll() is not None:
            words = "\n".join(self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
            raise StackError(f"{self.name} ended with status {self.process.returncode}:\n{words}")


def find(name: str) -> str:
    """Return the path of a program; raise StackError that says how to get it."""
    for each in NAMES[name]:
        found = shutil.which(each)
        if found:
            return found
    raise StackError(
        f"{name} is missing on this machine. On Debian and Ubuntu:\n"
        "  apt-get install --no-install-recommends prometheus prometheus-alertmanager\n"
        "Without it, `make demo` shows the exporter alone, and deploy/compose/ all of this in containers."
    )


def address(port: int) -> str:
    """Return the usual address of a program on this machine, or one on any free port where that is taken."""
    for wanted in (port, 0):
        try:
            with socket.create_server(("127.0.0.1", wanted)) as listener:
                return f"127.0.0.1:{listener.getsockname()[1]}"
        except OSError:
            continue
    raise StackError("there is no free port on 127.0.0.1")


@contextmanager
def running(name: str, at: str, command: Sequence[str], directory: Path) -> Iterator[Running]:
    """Run a program until the block is left, which begins when the program is ready; raise StackError where it never is."""
    log = directory / f"{name}.log"
    # In a session of its own a Ctrl-C reaches this process alone, which ends the others one after the other.
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written, start_new_session=True)  # noqa: S603  # its own
    try:
        program = Running(name, at, process, log)
        _await(program)
        yield program
    finally:
        process.terminate()
        try:
            process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(program: Running) -> None:
    end = time.monotonic() + START_WITHIN
    while not _ready(program.address):
        program.require()
        if time.monotonic() > end:
            raise StackError(f"{program.name} was not ready within {START_WITHIN:.0f} s")
        time.sleep(0.1)


def _ready(at: str) -> bool:
    connection = http.client.HTTPConnection(at, timeout=5)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
