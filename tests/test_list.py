"""`list`: what moves and what is stuck on a terminal, and in a script's exit status."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from exporter.demo.cloud import SimulatedCloud
from exporter.domain.lifecycle import Reason
from exporter.domain.view import View
from exporter.filters import Filters
from exporter.listing import table
from exporter.remote import RemoteError, ask
from exporter.report import report
from tests.running import environment, run, write_clouds
from tests.serving import FakePages, serving
from tests.shown import AT, LIVE, RESIZE, RICH, STRANDED, WELL, cloud, live, moving, view

CALM = view(cloud("prod", WELL, live(moving(1, RESIZE, "migrating", 60), 3600)))
STUCK = view(cloud("prod", WELL, live(moving(1, RESIZE, "migrating", 90_000), 3600, Reason.SOURCE_DOWN)))
EMPTY = view(cloud("prod", WELL))


@pytest.fixture
def simulated() -> Iterator[SimulatedCloud]:
    with SimulatedCloud() as started:
        yield started


def shown(what: View, *, colours: bool = False) -> str:
    return table(json.loads(report(what, Filters())[0]), AT, colours=colours)


def listed(what: View, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what `list` says when it asks an exporter that shows a view."""
    with serving(FakePages(view=what)) as server:
        return run("list", "--exporter.url", f"http://127.0.0.1:{server.port}/", *arguments)


def test_of_nothing_the_table_says_so() -> None:
    assert shown(EMPTY) == "0 migrations are live, 0 of them stuck; 0 servers are stranded.\n"


def test_a_migration_is_a_line_in_columns() -> None:
    summary, blank, titles, line = shown(CALM).splitlines()
    assert (summary, blank) == ("1 migration is live, 0 of them stuck; 0 servers are stranded.", "")
    assert titles.split() == ["CLOUD", "TYPE", "STATUS", "FOR", "STUCK", "FROM", "TO", "SERVER", "MIGRATION"]
    each = moving(1, RESIZE, "migrating", 60)
    hosts = [each.source_host, each.dest_host]
    assert line.split() == ["prod", "resize", "migrating", "1m", "0s", "-", *hosts, each.server_id, each.uuid]
    assert line.index("resize") == titles.index("TYPE") and line.index(each.uuid) == titles.index("MIGRATION")


def test_what_is_stuck_comes_first_with_its_reason_and_the_reason_is_explained_once() -> None:
    stuck = [live(moving(number, RESIZE, "migrating", 90_000), 3600, Reason.SOURCE_DOWN) for number in (2, 3)]
    lines = shown(view(cloud("prod", WELL, *CALM.clouds[0].live, *stuck))).splitlines()
    assert ["source_down" in line for line in lines[3:6]] == [True, True, False]
    assert [line for line in lines if line.startswith("source_down: nova-compute on the source")] == lines[7:]


def test_a_stranded_server_has_a_line_of_its_own() -> None:
    said = shown(view(cloud("prod", WELL, stranded=(STRANDED,))))
    assert "1 server is stranded." in said and STRANDED.server.id in said
    assert "stranded: The server is in the middle of a move" in said


def test_what_is_not_known_has_a_place_all_the_same() -> None:
    unknown = dataclasses.replace(moving(1, LIVE, "accepted", 60), source_host=None, dest_host=None)
    assert " -  " in shown(view(cloud("prod", WELL, live(unknown, 3600))))


def test_a_stranger_cannot_move_the_cursor() -> None:
    odd = dataclasses.replace(moving(1, RESIZE, "migrating", 60), source_host="a\x1b[2J\nb")
    said = shown(view(cloud("prod", WELL, live(odd, 3600))))
    assert "\x1b" not in said and len(said.splitlines()) == 4


def test_colours_mark_what_is_stuck_and_change_no_word() -> None:
    plain, coloured = shown(STUCK), shown(STUCK, colours=True)
    assert "\x1b[1;31mprod" in coloured and coloured.replace("\x1b[1;31m", "").replace("\x1b[0m", "") == plain
    assert shown(CALM, colours=True) == shown(CALM)


@pytest.mark.parametrize(("what", "status"), [(EMPTY, 0), (CALM, 0), (STUCK, 3)])
def test_the_exit_status_says_whether_something_is_stuck(what: View, status: int) -> None:
    done = listed(what)
    assert (done.returncode, done.stderr) == (status, "")
    assert "of them stuck" in done.stdout and "\x1b" not in done.stdout


def test_a_cloud_that_does_not_answer_is_named_for_the_list_is_not_complete() -> None:
    silent = next(each for each in RICH.clouds if each.health.error)
    done = listed(view(dataclasses.replace(silent, live=(), stranded=())))
    assert done.returncode == 1
    assert f"cloud {silent.cloud} does not answer: {silent.health.error}" in done.stderr


def test_the_json_is_that_of_the_exporter() -> None:
    done = listed(RICH, "--format", "json")
    assert json.loads(done.stdout) == json.loads(report(RICH, Filters())[0])
    assert done.returncode == 3


def test_filters_are_those_of_the_json() -> None:
    done = listed(RICH, "--filter", "stuck=false", "--filter", "migration_type=resize", "--format=json")
    found = json.loads(done.stdout)["migrations"]
    assert found and all(each["stuck"] is None and each["migration_type"] == "resize" for each in found)


@pytest.mark.parametrize(("wrong", "cure"), [("colour=red", "the filters are"), ("stuck", "write one of true, false")])
def test_a_filter_that_there_is_not_is_wrong_usage(wrong: str, cure: str) -> None:
    done = listed(CALM, "--filter", wrong)
    assert done.returncode == 2 and cure in done.stderr


def test_an_exporter_that_does_not_answer_is_said_without_its_password() -> None:
    done = run("list", "--exporter.url", "http://me:sesame@127.0.0.1:9")
    assert done.returncode == 1
    assert "no exporter answers at http://127.0.0.1:9" in done.stderr and "sesame" not in done.stderr


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, b"Unauthorized", "answers 401: Unauthorized; write https://USER:PASSWORD@HOST:PORT"),
        (404, b"<html>\nno", "answers 404: <html>"),
        (200, b"up 1", "is no openstack-migration-exporter"),
        (200, b"[]", "is no openstack-migration-exporter"),
        (200, b'{"clouds": []}', "is no openstack-migration-exporter"),
    ],
)
def test_an_answer_that_is_not_an_exporters_is_said(status: int, body: bytes, message: str) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(RemoteError, match=message):
            ask(f"http://127.0.0.1:{server.server_port}", [])


def test_a_terminal_sees_colours_unless_it_wants_none() -> None:
    with serving(FakePages(view=STUCK)) as server:
        for wish, marked in (({}, True), ({"NO_COLOR": "1"}, False)):
            ours, theirs = pty.openpty()
            command = [sys.executable, "-m", "exporter", "list", "--exporter.url", f"http://127.0.0.1:{server.port}"]
            done = subprocess.run(command, stdout=theirs, env=environment(wish), timeout=60, check=False)
            said = os.read(ours, 1 << 16).decode()
            os.close(ours)
            os.close(theirs)
            assert done.returncode == 3
            assert ("\x1b[1;31m" in said) is marked


def test_without_an_exporter_the_cloud_itself_is_asked(simulated: SimulatedCloud, tmp_path: Path) -> None:
    server = simulated.nova.boot(name="web", host="here")
    record = simulated.nova.insert(migration_type="migration", status="migrating", instance_uuid=server.id)
    environ = write_clouds(tmp_path / "clouds.yaml", simulated.auth_url, **dataclasses.asdict(simulated.credentials))
    done = run("list", environ=environ)
    assert done.returncode == 3, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if record.uuid in line]
    assert line.split()[:3] == ["mycloud", "migration", "migrating"] and "orphaned" in line


def test_a_cloud_that_refuses_the_login_is_said(simulated: SimulatedCloud, tmp_path: Path) -> None:
    wrong = {**dataclasses.asdict(simulated.credentials), "password": "no"}
    done = run("list", environ=write_clouds(tmp_path / "clouds.yaml", simulated.auth_url, **wrong))
    assert done.returncode == 1
    assert "cloud mycloud does not answer" in done.stderr
