"""Exporters that start at once: `python -m tests.durability.nursery` imports everything, then forks one for each line it reads.

A line is a JSON list of arguments and an environment. Written are the pid of the new process and, when that has ended, how it
did; one lives at a time. What it says goes to the same standard error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

from prometheus_client.samples import Sample

from exporter.cli import main
from tests.durability.counted import read
from tests.running import Exporter, environment, eventually


class Said:
    """What processes have said so far, in `text`."""

    def __init__(self) -> None:
        self.text = ""

    def listen(self, stream: IO[str] | None) -> None:
        """Take down what comes from a stream, in a thread."""
        assert stream is not None
        threading.Thread(target=self._take_down, args=(stream,), daemon=True).start()

    def _take_down(self, stream: IO[str]) -> None:
        for line in stream:
            self.text += line


class Newborn:
    """An exporter that a nursery brought up; it is handled as a subprocess.Popen."""

    def __init__(self, pid: int, nursery: Nursery) -> None:
        self.pid = pid
        self._nursery = nursery
        self._ended: int | None = None

    def kill(self) -> None:
        """Send SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, _timeout: float | None = None) -> int:
        """Wait until it has ended; return its exit status, or minus the signal that it ended by."""
        if self._ended is None:
            self._ended, self._nursery.child = int(self._nursery.hear()), None
        return self._ended

    def poll(self) -> int | None:
        """Return how it ended where that was waited for."""
        return self._ended

    @property
    def returncode(self) -> int | None:
        """Return how it ended where that was waited for."""
        return self._ended


class Nursery:
    """The process that brings them up.

    `through` is a command that it is run through, `said` what its exporters say, `child` the one that was brought up last and has
    not ended.
    """

    def __init__(self, through: Sequence[str] = ()) -> None:
        # A process that is killed writes no coverage; without, it starts in half the time.
        own = {name: value for name, value in environment(None).items() if not name.startswith("COVERAGE_")}
        self.said = Said()
        self.child: int | None = None
        self._process = subprocess.Popen(
            [*through, sys.executable, "-m", "tests.durability.nursery"],
            env=own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.said.listen(self._process.stderr)

    @property
    def pid(self) -> int:
        """Return the process whose limits its exporters inherit."""
        return self._process.pid

    def bring_up(self, arguments: Sequence[str], environ: Mapping[str, str]) -> Newborn:
        """Start an exporter."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([arguments, dict(environ)]) + "\n")
        self._process.stdin.flush()
        self.child = int(self.hear())
        return Newborn(self.child, self)

    def hear(self) -> str:
        """Return the next thing that the nursery has to tell."""
        assert self._process.stdout is not None
        heard = self._process.stdout.readline()
        assert heard, f"the nursery has ended:\n{self.said.text}"
        return heard

    def close(self) -> None:
        """Bring up no more."""
        self._process.kill()
        self._process.wait()


class Raised(Exporter):
    """A running exporter from a nursery."""

    def __init__(self, nursery: Nursery, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        self._said, self._begin = nursery.said, len(nursery.said.text)
        self.process = nursery.bring_up([*arguments, "--web.listen-address", "127.0.0.1:0"], environ)  # type: ignore[assignment]
        self.url = eventually(self._url, 30.0)

    def samples(self) -> list[Sample]:
        """Return every sample of the page."""
        return read(self.get("/metrics").text)

    @property
    def log(self) -> str:  # type: ignore[override]
        """Return what it wrote to its standard error so far."""
        return self._said.text[self._begin :]


def _bring_up(arguments: list[str], environ: dict[str, str]) -> None:
    pid = os.fork()
    if pid == 0:
        os.environ.update(environ)
        os._exit(main(arguments))
    print(pid, flush=True)
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    for line in sys.stdin:
        _bring_up(*json.loads(line))
