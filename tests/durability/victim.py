"""An exporter that is killed and started again, over and over, on the same port and with the same state file."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tests.durability.nursery import Newborn, Nursery
from tests.running import environment

#: Below the ports that Linux gives to clients, which might take the exporter's while it is dead (net.ipv4.ip_local_port_range).
_PORTS = range(20_000, 32_000)

#: One start in so many is that of a whole new Python; the others are children of a process that has imported everything.
_ROUGH_ONE_IN = 5


class Victim:
    """The exporter; `url` is where it listens whenever it lives."""

    def __init__(self, nursery: Nursery, environ: Mapping[str, str], *arguments: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._arguments = [*arguments, "--web.listen-address", f"127.0.0.1:{port}"]
        self._environ = environ
        self._nursery = nursery
        self._process: Newborn | subprocess.Popen[str] | None = None
        self._starts = 0

    def start(self) -> None:
        """Start the exporter."""
        self._starts += 1
        if self._starts % _ROUGH_ONE_IN:
            self._process = self._nursery.bring_up(self._arguments, self._environ)
            return
        environ = {
            name: value for name, value in environment(self._environ).items() if not name.startswith("COVERAGE_")
        }
        command = [sys.executable, "-m", "exporter", *self._arguments]
        self._process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
        self._nursery.said.listen(self._process.stderr)

    def kill(self) -> None:
        """Kill it; it must have lived until then."""
        assert self._process is not None
        self._process.kill()
        ended, self._process = self._process.wait(), None
        assert ended == -signal.SIGKILL, f"the exporter ended by itself with {ended}:\n{self._nursery.said.text}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    """Return a port that is free, and is given to no client."""
    for port in random.sample(_PORTS, 100):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("no port is free")
