"""Start and stop the two servers of the real cloud."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ENVIRONMENTS = ROOT / ".envs"


class CloudError(RuntimeError):
    """The real cloud cannot be started or did not do what it was told."""


def interpreter(part: str) -> Path:
    """Return the Python of a part's environment; say what builds it where it is missing."""
    place = Path(os.environ.get("REALCLOUD_ENVS", ENVIRONMENTS))
    python = place / part / "bin" / "python"
    if not python.exists():
        raise CloudError(f"the {part} environment is missing ({python}): run `make cloud`, which builds .envs")
    return python


def listening() -> tuple[socket.socket, int]:
    """Open a loopback port; the server inherits it, so nobody else can take it meanwhile."""
    opened = socket.create_server(("127.0.0.1", 0), backlog=1024)
    opened.set_inheritable(True)
    return opened, opened.getsockname()[1]


@dataclass
class Server:
    """One server process in a session of its own, with a log file."""

    name: str
    process: subprocess.Popen[bytes]
    log_path: Path
    log: IO[bytes]

    @classmethod
    def start(cls, name: str, command: list[str], sockets: list[socket.socket], directory: Path) -> Server:
        """Start a server that inherits listening sockets."""
        path = directory / f"{name}.log"
        temporary = directory / f"{name}-tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        log = path.open("ab")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "PYTHON"))}
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            env=environment | {"TMPDIR": str(temporary), "PYTHONWARNINGS": "ignore"},
            pass_fds=[one.fileno() for one in sockets],
            start_new_session=True,
        )
        for one in sockets:
            one.close()
        return cls(name, process, path, log)

    def check(self) -> None:
        """Raise when the process has ended."""
        if self.process.poll() is not None:
            tail = self.log_path.read_text(errors="replace").splitlines()[-25:]
            raise CloudError(f"{self.name} ended with {self.process.returncode}; {self.log_path}:\n" + "\n".join(tail))

    def stop(self) -> None:
        """Kill the process and all it started; nothing of it is worth keeping."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        self.log.close()


def start_keystone(directory: Path, password: str) -> tuple[Server, int]:
    """Start Keystone; return it and its port."""
    opened, port = listening()
    command = [str(interpreter("keystone")), str(HERE / "keystone_server.py"), "--fd", str(opened.fileno())]
    command += ["--home", str(directory / "keystone"), "--password", password]
    return Server.start("keystone", command, [opened], directory), port


def start_nova(directory: Path, keystone: dict[str, str]) -> tuple[Server, int, int]:
    """Start Nova; return it, its public port and its control port."""
    public, public_port = listening()
    control, control_port = listening()
    command = [str(interpreter("nova")), str(HERE / "nova_server.py"), "--public-fd", str(public.fileno())]
    command += ["--control-fd", str(control.fileno()), "--keystone", json.dumps(keystone)]
    return Server.start("nova", command, [public, control], directory), public_port, control_port


def wait_for(server: Server, answers: object, timeout: float) -> None:
    """Wait until a server answers; `answers` is called and must return true."""
    end = time.monotonic() + timeout
    while True:
        server.check()
        if callable(answers) and answers():
            return
        if time.monotonic() > end:
            raise CloudError(f"{server.name} did not answer within {timeout} s; see {server.log_path}")
        time.sleep(0.1)
