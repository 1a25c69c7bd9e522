"""The programs that the preview runs, and how it ends them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

#: What brings each program, for whoever lacks it.
BROUGHT_BY = {
    "node": "Node.js 20 or newer (https://nodejs.org)",
    "npm": "Node.js 20 or newer (https://nodejs.org)",
    "prometheus": "Debian's package `prometheus`, or --prometheus URL to use one that runs",
    "chromium": "Debian's package `chromium`",
}

_PATIENCE = 30.0


def missing(names: Sequence[str]) -> list[str]:
    """Return a line for each program that is not there."""
    return [f"{name} is missing: install {BROUGHT_BY[name]}" for name in names if shutil.which(name) is None]


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, and end it when the block is left, however that happens."""
    with log.open("w") as file:
        # Our own words; and in a session of its own, Ctrl-C reaches this process alone, which ends the others in their order.
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)  # noqa: S603
        try:
            yield process
        finally:
            process.terminate()
            _wait(process)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def demo(directory: Path) -> Iterator[str]:
    """Run the exporter with its simulated cloud; yield where it listens."""
    address = f"127.0.0.1:{free_port()}"
    with running(
        [sys.executable, "-m", "exporter", "demo", "--web.listen-address", address], directory / "exporter.log"
    ):
        yield address
