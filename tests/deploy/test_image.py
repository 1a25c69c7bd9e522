"""The container image: its recipe is clean, its health check knows how the exporter listens, and a real build of it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy.image import healthcheck
from exporter.web.security import Security
from tests.certificates import write_all
from tests.deploy.containers import REVISION, ROOT, VERSION, Container, Image, built, container, missing, writable
from tests.running import eventually, free_port
from tests.serving import FakePages, serving

STATE = "var/lib/openstack-migration-exporter"

TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
MUTUAL = TLS.replace("}", ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt}")
USERS = "basic_auth_users: {prometheus: $2y$04$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG}\n"


# --- its recipe ---


def test_hadolint_finds_nothing() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([linter, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_of_this_machine_is_named_in_it() -> None:
    assert re.findall(r"https?://|index-url|trusted-host|find-links", (ROOT / "Dockerfile").read_text()) == []


# --- its health check ---


def command_line(*arguments: str) -> str:
    return "".join(f"{each}\0" for each in ("python", "/opt/exporter/bin/openstack-migration-exporter", *arguments))


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ([], ("127.0.0.1", 19180)),
        (["--web.listen-address=0.0.0.0:19180", "demo"], ("127.0.0.1", 19180)),
        (["--web.listen-address=0.0.0.0:19180", "--web.listen-address", ":9100"], ("127.0.0.1", 9100)),
        (["--web.listen-address=[::]:9100"], ("::1", 9100)),
        (["--web.listen-address=192.0.2.7:9100", "serve"], ("192.0.2.7", 9100)),
    ],
)
def test_it_asks_where_the_exporter_was_told_to_listen(arguments: list[str], address: tuple[str, int]) -> None:
    assert healthcheck.address(command_line(*arguments)) == address


def exit_status(directory: Path, *arguments: str) -> int:
    (directory / "cmdline").write_text(command_line(*arguments))
    return healthcheck.main(directory / "cmdline")


@pytest.mark.parametrize("web", ["", USERS, TLS, TLS + USERS, MUTUAL, MUTUAL + USERS])
def test_an_exporter_that_is_well_is_found_well_however_it_is_protected(tmp_path: Path, web: str) -> None:
    write_all(tmp_path)
    file = tmp_path / "web.yml"
    file.write_text(web)
    with serving(FakePages(), security=Security(str(file))) as server:
        flags = f"--web.listen-address=127.0.0.1:{server.port}", f"--web.config.file={file}"
        assert exit_status(tmp_path, *flags) == 0


@pytest.mark.parametrize("web", ["", TLS])
def test_an_exporter_that_is_not_well_is_found_so(tmp_path: Path, web: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_all(tmp_path)
    file = tmp_path / "web.yml"
    file.write_text(web)
    with serving(FakePages(good=False), security=Security(str(file))) as server:
        flags = f"--web.listen-address=127.0.0.1:{server.port}", f"--web.config.file={file}"
        assert exit_status(tmp_path, *flags) == 1
    assert capsys.readouterr().out == "the exporter says that it is not healthy\n"


@pytest.mark.parametrize("web", ["", MUTUAL])
def test_nobody_there_is_not_healthy_whatever_was_asked_for(
    tmp_path: Path, web: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "web.yml").write_text(web)
    flags = f"--web.listen-address=127.0.0.1:{free_port()}", f"--web.config.file={tmp_path}/web.yml"
    assert exit_status(tmp_path, *flags) == 1
    assert "does not answer" in capsys.readouterr().out


def test_a_proxy_of_the_environment_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with serving(FakePages()) as server:
        assert exit_status(tmp_path, f"--web.listen-address=127.0.0.1:{server.port}") == 0


# --- a real build ---

needs_a_build = [
    pytest.mark.system,
    pytest.mark.long,
    pytest.mark.skipif(bool(missing()), reason=f"needs {', '.join(missing())}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes a file system and a process tree of its own"),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with built(tmp_path_factory.mktemp("image")) as made:
        yield made


@pytest.fixture
def state(tmp_path: Path) -> Path:
    place = tmp_path / "state"
    place.mkdir(mode=0o700)
    return place


@pytest.fixture
def url() -> str:
    return f"http://127.0.0.1:{free_port()}"


def listen(url: str) -> str:
    return f"--web.listen-address={url.removeprefix('http://')}"


def page(url: str) -> str:
    try:
        return requests.get(f"{url}/metrics", timeout=60).text
    except requests.ConnectionError:
        return ""


class TestBuild:
    pytestmark = needs_a_build

    def test_its_labels_say_what_it_is(self, image: Image) -> None:
        labels = {name.removeprefix("org.opencontainers.image."): text for name, text in image.config["Labels"].items()}
        assert (
            labels.items()
            >= {
                "title": "openstack-migration-exporter",
                "description": "Prometheus exporter for the migrations of OpenStack Nova",
                "licenses": "Apache-2.0",
                "version": VERSION,
                "revision": REVISION,
                "base.name": "localhost/base",
            }.items()
        )

    def test_its_user_is_a_number_and_only_home_and_state_are_its_own(self, image: Image) -> None:
        assert image.user == ("10001", "10001")
        public = {
            "tmp",
            "var/tmp",
            "run/lock",
            "home/exporter",
            STATE,
        }  # the first three are everybody's, as everywhere
        own = {str(each) for each in writable(image.root, 10001, 10001)}
        assert {each for each in own if not each.startswith("home/exporter/")} == public
        assert set(image.config["Volumes"]) == {f"/{STATE}"}

    def test_nothing_that_installs_or_compiles_is_in_it(self, image: Image) -> None:
        tools = re.compile(r"pip[\d.]*|(.*-)?(gcc|g\+\+|cpp|cc|c\+\+|clang|ld|as|make)(-[\d.]+)?|git|curl|wget")
        programs = {each.name for place in image.root.glob("**/bin") for each in place.iterdir()}
        assert {"python3", "openstack-migration-exporter"} <= programs
        assert {each for each in programs if tools.fullmatch(each)} == set()
        modules = {each.name for each in image.root.glob("**/*-packages/*")} | {
            each.name for each in image.root.glob("**/lib/python3*/*")
        }
        assert {"openstack", "exporter", "json"} <= modules
        assert {"pip", "setuptools", "ensurepip"} & modules == set()
        assert list(image.root.rglob("pip-*.whl")) == []

    def test_it_adds_little_to_its_base(self, image: Image) -> None:
        assert 20 < image.added / 1e6 < 80

    def test_the_demo_runs_on_a_read_only_root_and_is_scraped(self, image: Image, state: Path, url: str) -> None:
        with container(image, state, "demo", listen(url)) as running:
            eventually(lambda: 'openstack_migration_up{cloud="demo"} 1.0' in page(url), 120.0)
            assert f'revision="{REVISION}"' in page(url)
            assert_unprivileged(running)
            health = running.health()
            assert (health.returncode, health.stdout, health.stderr) == (0, "", "")
            for place in ("/opt/exporter/x", "/home/exporter/x", "/tmp/x"):
                assert "Read-only file system" in running.run("touch", place).stderr
            assert running.stop() == 0, running.log

    def test_state_goes_to_the_volume_by_itself_and_is_found_again(self, image: Image, state: Path, url: str) -> None:
        cloud = {
            "OS_AUTH_URL": f"http://127.0.0.1:{free_port()}",
            "OS_USERNAME": "exporter",
            "OS_PASSWORD": "not asked for",
            "OS_PROJECT_NAME": "service",
        }
        for _ in range(2):
            with container(image, state, listen(url), environment=cloud) as running:
                eventually(lambda: "openstack_migration_exporter_state_durable 1.0" in page(url), 120.0)
                assert (state / "state.db").stat().st_uid == 10001
                assert running.stop() == 0, running.log

    def test_health_is_asked_at_the_port_of_the_first_process_and_nobody_there_is_a_failure(
        self, image: Image, state: Path, url: str
    ) -> None:
        with container(image, state, "demo", listen(url)) as running:
            eventually(lambda: page(url), 120.0)
            os.kill(running.pid, 19)  # SIGSTOP: it is there, and does not answer
            asked = running.health()
            assert asked.returncode == 1
            assert "does not answer" in asked.stdout
        eventually(lambda: not Path(f"/proc/{running.pid}").exists(), 60.0)


def assert_unprivileged(running: Container) -> None:
    status = running.status()
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"10001"}
    assert status["Groups"] == ""
    assert int(status["CapEff"], 16) == 0
    assert status["NSpid"].split()[-1] == "1"
