"""The process writes nothing but its state: it runs where it may write nowhere, and where it may, it does not.

Two witnesses: directories that stay empty although the process works in them, and an audit hook within the process, which sees
every file that Python opens for writing, every directory it makes and every database it opens (PEP 578).
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
import requests

from exporter.demo.cloud import SimulatedCloud
from tests.running import environment, eventually, free_port, write_clouds

#: Where programs put files that nobody asked for.
PLACES = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")

#: Where stevedore keeps what plugins are installed (stevedore/_cache.py); it does without where it may not.
PLUGINS = "XDG_CACHE_HOME/python-entrypoints"

WITNESS = textwrap.dedent(
    """
    import os, sys

    CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.symlink", "os.link", "os.truncate", "os.chmod", "sqlite3.connect"}

    def witness(event, arguments):
        if event == "open":
            changes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        else:
            changes = event in CHANGES
        if changes and not isinstance(arguments[0], int) and arguments[0] != os.devnull:
            os.write(2, f"WRITES {os.fsdecode(arguments[0])}\\n".encode())

    sys.addaudithook(witness)
    """
)

CONFIGURATION = "poll: {interval: 500ms, sweep_interval: 1s, timeout: 5s, deadline: 20s}\n"


@dataclass
class Caged:
    """A program in a cage, and what it writes on its standard output and error."""

    process: subprocess.Popen[str]
    output: IO[str]

    def end(self) -> tuple[int, str]:
        """Wait for the end and return the exit status and all that was written there."""
        status = self.process.wait(60)
        with self.output:
            self.output.seek(0)
            return status, self.output.read()


@dataclass
class Cage:
    """Directories that a process is given to work in, and how it is kept from writing there."""

    directory: Path
    environ: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*PLACES, "cwd"):
            (self.directory / name).mkdir()
            self.environ[name] = str(self.directory / name)
        (self.directory / "witness").mkdir()
        (self.directory / "witness" / "sitecustomize.py").write_text(WITNESS)
        (self.directory / "exporter.yaml").write_text(CONFIGURATION)
        self.environ["PYTHONPATH"] = str(self.directory / "witness")
        del self.environ["cwd"]

    def shut(self) -> None:
        """Take away the right to write; root's right to write everywhere, too."""
        for name in (*PLACES, "cwd", "witness"):
            (self.directory / name).chmod(0o555)
        if os.geteuid() == 0:
            caps = "-dac_override,-dac_read_search,-fowner"
            self.prefix = ("setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}", "--")

    def open(self) -> None:
        """Give the right to write back, so that the directories can be removed."""
        for name in (*PLACES, "cwd", "witness"):
            (self.directory / name).chmod(0o755)

    def run(self, *arguments: str, environ: Mapping[str, str]) -> Caged:
        """Start a Python program in the cage."""
        own = environment(environ).items()
        kept = {name: value for name, value in own if not name.startswith(("COV", "PYTHON", "PYTEST", "STATE"))}
        command = [*self.prefix, sys.executable, *arguments]
        # A pipe that nobody reads would hold the program up; `end` closes the file.
        output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        process = subprocess.Popen(
            command, cwd=self.directory / "cwd", env={**kept, **self.environ}, stdout=output, stderr=output, text=True
        )
        return Caged(process, output)

    def files(self) -> set[str]:
        """Return everything in the cage."""
        return {str(path.relative_to(self.directory)) for path in self.directory.rglob("*")}


@pytest.fixture
def cage(tmp_path: Path) -> Iterator[Cage]:
    made = Cage(tmp_path)
    yield made
    made.open()


@pytest.fixture
def clouds(cage: Cage) -> Iterator[Mapping[str, str]]:
    with SimulatedCloud(story_seed=1) as cloud:
        who = cloud.credentials
        credentials = {"username": who.username, "password": who.password, "project_name": who.project_name}
        domains = {"user_domain_name": who.user_domain_name, "project_domain_name": who.project_domain_name}
        yield write_clouds(cage.directory / "clouds.yaml", cloud.auth_url, **credentials, **domains)


@dataclass
class Running:
    """An exporter in a cage."""

    caged: Caged
    port: int

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)

    def polls(self) -> float:
        """Return how many polls succeeded in a row, as far as the page tells."""
        page = self.get("/metrics").text
        up = re.search(r"^openstack_migration_up\{.*\} 1", page, re.MULTILINE)
        found = re.search(r"^openstack_migration_polls_total\{.*\} (\d+)", page, re.MULTILINE)
        return float(found[1]) if up and found else 0.0

    def writable(self) -> set[str]:
        """Return the files that the process holds open for writing: no sockets, pipes or devices."""
        held = set()
        for each in Path(f"/proc/{self.caged.process.pid}/fd").iterdir():
            if each.name in ("1", "2"):
                continue  # where the test has its output go
            with suppress(FileNotFoundError):  # a connection that was closed in the meantime
                fields = (each.parent.parent / "fdinfo" / each.name).read_text().split()
                opened = int(fields[fields.index("flags:") + 1], 8)
                if opened & (os.O_WRONLY | os.O_RDWR) and stat.S_ISREG(each.stat().st_mode):
                    held.add(str(each.readlink()))
        return held


@contextmanager
def exporter(cage: Cage, environ: Mapping[str, str], *arguments: str) -> Iterator[Running]:
    """Run an exporter in a cage until it has polled a few times and shown every page."""
    port = free_port()
    common = (
        f"--config.file={cage.directory}/exporter.yaml",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=debug",
    )
    caged = cage.run("-m", "exporter", "serve", *common, *arguments, environ=environ)
    running = Running(caged, port)
    try:
        eventually(lambda: caged.process.poll() is not None or (answers(running) and running.polls() >= 3), 60.0)
        assert caged.process.poll() is None, caged.end()
        for path in ("/", "/metrics", "/-/healthy", "/-/ready", "/nothing"):
            running.get(path)
        yield running
    finally:
        caged.process.terminate()


def answers(running: Running) -> bool:
    try:
        return running.get("/-/ready").status_code == 200
    except requests.ConnectionError:
        return False


def needed(paths: Iterable[str]) -> set[str]:
    """Return paths without two caches: that of Python, of compiled modules, and that of stevedore."""
    return {path for path in paths if "__pycache__" not in path and PLUGINS not in path}


def writes(errors: str) -> set[str]:
    """Return what the witness saw a process write or try to, caches aside."""
    return needed(re.findall(r"^WRITES (.*)$", errors, re.MULTILINE))


def test_the_cage_holds_and_the_witness_sees(cage: Cage) -> None:
    write = "import os, sqlite3; sqlite3.connect(os.environ['HOME'] + '/x').execute('create table t (x)')"
    status, said = cage.run("-c", write, environ={}).end()
    assert (status, writes(said), "HOME/x" in cage.files()) == (0, {f"{cage.directory}/HOME/x"}, True)
    cage.shut()
    for program in ("open('made', 'w')", "import os; os.mkdir(os.environ['TMPDIR'] + '/made')"):
        status, said = cage.run("-c", program, environ={}).end()
        assert (status, "PermissionError" in said) == (1, True)
        assert {path.split("/")[-1] for path in writes(said)} == {"made"}


def test_nothing_but_caches_is_written_where_everything_may_be(cage: Cage, clouds: Mapping[str, str]) -> None:
    before = cage.files()
    with exporter(cage, clouds) as running:
        held = running.writable()
    status, said = running.caged.end()
    assert (status, writes(said), held) == (0, set(), set())
    assert needed(cage.files() - before) == set()


def test_everything_works_where_nothing_may_be_written(cage: Cage, clouds: Mapping[str, str]) -> None:
    before = cage.files()
    cage.shut()
    with exporter(cage, clouds) as running:
        assert "openstack_migration_exporter_state_durable 0" in running.get("/metrics").text
    status, said = running.caged.end()
    assert (status, writes(said), cage.files()) == (0, set(), before)


@pytest.mark.parametrize("command", ["once", "check"])
def test_commands_write_nothing(cage: Cage, clouds: Mapping[str, str], command: str) -> None:
    before = cage.files()
    cage.shut()
    caged = cage.run("-m", "exporter", command, f"--config.file={cage.directory}/exporter.yaml", environ=clouds)
    status, said = caged.end()
    assert (status, writes(said), cage.files()) == (0, set(), before)


def test_with_a_state_its_files_alone_are_written(cage: Cage, clouds: Mapping[str, str]) -> None:
    (cage.directory / "state").mkdir()
    before = cage.files()
    cage.shut()
    path = cage.directory / "state" / "state.db"
    with exporter(cage, clouds, f"--state.path={path}") as running:
        assert "openstack_migration_exporter_state_durable 1" in running.get("/metrics").text
        modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        held = running.writable()
    status, said = running.caged.end()
    allowed = {f"{path}{end}" for end in ("", "-journal", ".lock")}
    assert status == 0
    assert writes(said) <= allowed
    assert {str(path)} <= held <= allowed
    assert modes == {0o600}
    assert {"state/state.db"} <= cage.files() - before
    assert {str(cage.directory / each) for each in cage.files() - before} <= allowed
