"""The demo with Prometheus and Alertmanager: what it makes of the shipped files, what it prints, and that it runs and ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.running import environment, eventually
from tools.demostack import notifications
from tools.demostack.configuration import (
    ALERTMANAGER,
    PROMETHEUS,
    RULES,
    quick_route,
    quick_rules,
    read,
    scraping,
    shorter,
    shortest_wait,
    telling,
)
from tools.demostack.programs import StackError, address, find, running

ROOT = Path(__file__).parent.parent.parent


def missing() -> str:
    """Return what is said of the first program that this machine lacks, nothing where all are there."""
    for name in ("Prometheus", "Alertmanager"):
        try:
            find(name)
        except StackError:
            return f"needs {name}: Debian's packages `prometheus` and `prometheus-alertmanager`"
    return ""


# --- what it makes of the shipped files ---


@pytest.mark.parametrize(
    ("duration", "quick"),
    [("5m", "10s"), ("1h", "120s"), ("1h30m", "180s"), ("24h", "2880s"), ("30s", "1s"), ("5s", "1s"), ("0s", "0s")],
)
def test_quick_times_are_a_fraction_and_never_nothing(duration: str, quick: str) -> None:
    assert shorter(duration) == quick


def without(content: Any, *names: str) -> Any:
    """Return content without what has these names, wherever it is."""
    if isinstance(content, Mapping):
        return {name: without(part, *names) for name, part in content.items() if name not in names}
    return [without(each, *names) for each in content] if isinstance(content, list) else content


def test_quick_rules_differ_in_nothing_but_how_long_they_wait() -> None:
    shipped, quick = read(RULES), quick_rules(read(RULES))
    assert quick != shipped
    waits = "for", "keep_firing_for"
    assert without(quick, *waits) == without(shipped, *waits)
    pairs = zip(shipped["groups"], quick["groups"], strict=True)
    rules = [pair for old, new in pairs for pair in zip(old["rules"], new["rules"], strict=True)]
    assert all(new.get(name) == (shorter(old[name]) if name in old else None) for old, new in rules for name in waits)
    assert shortest_wait(shipped) == "5m"
    assert shortest_wait(quick) == "10s"


def test_a_quick_route_differs_in_nothing_but_how_long_it_waits() -> None:
    shipped = read(ALERTMANAGER)["route"]
    quick = quick_route(shipped)
    assert quick["routes"][0]["group_wait"] == shorter(shipped["routes"][0]["group_wait"])
    assert quick["routes"][0]["repeat_interval"] == shipped["routes"][0]["repeat_interval"]
    waits = "group_wait", "group_interval"
    assert without(quick, *waits) == without(shipped, *waits)


def test_every_receiver_tells_the_terminal_and_what_is_over_as_shipped() -> None:
    shipped, told = read(ALERTMANAGER), telling("http://127.0.0.1:1/")
    assert (told["route"], told["inhibit_rules"]) == (shipped["route"], shipped["inhibit_rules"])
    assert {each["name"]: each["webhook_configs"] for each in told["receivers"]} == {
        "pager": [{"url": "http://127.0.0.1:1/", "send_resolved": True}],
        "tickets": [{"url": "http://127.0.0.1:1/", "send_resolved": True}],
        "digest": [{"url": "http://127.0.0.1:1/", "send_resolved": False}],
    }
    assert "example.com" not in str(told)


def test_the_job_of_the_exporter_is_the_shipped_one_elsewhere() -> None:
    made = scraping(RULES, "127.0.0.1:1", "127.0.0.1:2")
    (shipped,), (job,) = read(PROMETHEUS)["scrape_configs"], made["scrape_configs"]
    assert job == {**shipped, "static_configs": [{"targets": ["127.0.0.1:1"]}]}
    assert made["rule_files"] == [str(RULES)]
    assert "example.com" not in str(made)


# --- what it prints ---


def alert(name: str, status: str, description: str) -> dict[str, Any]:
    return {"status": status, "labels": {"alertname": name}, "annotations": {"description": description}}


def message(*alerts: Mapping[str, Any]) -> dict[str, Any]:
    return {"receiver": "pager", "groupLabels": {"cloud": "demo", "job": "x"}, "alerts": list(alerts)}


def test_a_message_says_who_is_told_what_and_where_to_read_on() -> None:
    told = message(
        alert("OpenStackMigrationHostDown", "firing", "compute-6\n  is down."),
        alert("OpenStackMigrationHostDown", "resolved", "compute-5 is down."),
        alert("Unknown", "firing", "\x1b[31mred"),
    )
    assert list(notifications.lines(told)) == [
        "pager is told: 2 firing, 1 resolved (cloud=demo, job=x)",
        "  firing    OpenStackMigrationHostDown: compute-6 is down.",
        "  resolved  OpenStackMigrationHostDown: compute-5 is down.",
        "  firing    Unknown: \\u001b[31mred",
        "  runbook   docs/runbooks/OpenStackMigrationHostDown.md",
    ]


def test_of_many_alerts_a_few_are_shown_and_the_rest_is_counted() -> None:
    shown = list(notifications.lines(message(*[alert("Unknown", "firing", f"number {n}") for n in range(7)])))
    assert shown[0].startswith("pager is told: 7 firing")
    assert shown[1:] == [*(f"  firing    Unknown: number {n}" for n in range(5)), "  and 2 more"]


# --- its programs ---


def test_a_program_that_is_missing_is_named_with_what_brings_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.demostack"]
    only = environment({"PATH": str(tmp_path)})
    done = subprocess.run(command, cwd=ROOT, env=only, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Prometheus is missing on this machine" in done.stderr
    assert "apt-get install --no-install-recommends prometheus prometheus-alertmanager" in done.stderr
    assert done.stdout == ""


def test_a_port_that_is_taken_is_not_insisted_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert address(port) not in (f"127.0.0.1:{port}", "127.0.0.1:0")
    assert address(port) == f"127.0.0.1:{port}"


def test_a_program_that_ends_early_is_named_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('no such rule', file=sys.stderr); sys.exit(3)"]
    ended = pytest.raises(StackError, match="Prometheus ended with status 3:\nno such rule")
    with ended, running("Prometheus", address(0), command, tmp_path):
        pytest.fail("it never was ready")


# --- all of it ---


class Stack:
    """The stack as `make demo-stack` runs it; `text` is what it printed so far."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._log = log
        command = [sys.executable, "-m", "tools.demostack", *arguments]
        with log.open("w") as written:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment(None), stdout=written, stderr=written)

    @property
    def text(self) -> str:
        return self._log.read_text()

    def url(self, name: str) -> str:
        """Return where a program listens, once it is said."""
        found = re.search(rf"^  {name} +(http://[\d.:]+)", self.text, re.MULTILINE)
        assert found or self.process.poll() is None, self.text
        return found[1] if found else ""

    def ask(self, name: str, path: str, **query: str) -> Any:
        answer = requests.get(self.url(name) + path, query, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def children(self) -> list[int]:
        pid = self.process.pid
        return [
            int(each)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for each in (task / "children").read_text().split()
        ]


@contextmanager
def stack(log: Path, *arguments: str) -> Iterator[Stack]:
    started = Stack(log, *arguments)
    try:
        eventually(lambda: started.url("Alertmanager"), 180.0)
        yield started
    finally:
        started.process.terminate()
        try:
            started.process.wait(60)
        except subprocess.TimeoutExpired:
            started.process.kill()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.system
@pytest.mark.long
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_an_alert_comes_to_the_terminal_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    with stack(tmp_path / "log", "--quick") as running_stack:
        ask = running_stack.ask
        eventually(
            lambda: value(ask("Prometheus", "/api/v1/query", query='up{job=~".*openstack-migration.*"}')) == ["1"],
            120.0,
        )
        groups = ask("Prometheus", "/api/v1/rules")["data"]["groups"]
        assert {group["name"] for group in groups} == {group["name"] for group in read(RULES)["groups"]}
        eventually(lambda: "pager is told: " in running_stack.text, 180.0)
        fired = {each["labels"]["alertname"] for each in ask("Alertmanager", "/api/v2/alerts")}
        assert fired & set(re.findall(r"^  firing +(\w+):", running_stack.text, re.MULTILINE))
        assert "OpenStackMigrationStateNotDurable" not in fired
        rules = [rule for group in ask("Prometheus", "/api/v1/rules")["data"]["groups"] for rule in group["rules"]]
        assert {rule["health"] for rule in rules} == {"ok"}
        children = running_stack.children()
        assert len(children) == 3
        running_stack.process.send_signal(signal.SIGINT)
        assert running_stack.process.wait(60) == 0
        assert [each for each in children if alive(each)] == []
        assert running_stack.text.endswith("\nstopped\n")


@pytest.mark.system
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_program_that_is_killed_ends_the_others(tmp_path: Path) -> None:
    with stack(tmp_path / "log") as running_stack:
        assert "Its rules wait as shipped: no alert comes before 5m." in running_stack.text
        children = running_stack.children()
        os.kill(children[0], signal.SIGKILL)
        assert running_stack.process.wait(60) == 1
        assert [each for each in children if alive(each)] == []
        assert "Alertmanager ended with status -9" in running_stack.text


def value(answer: Mapping[str, Any]) -> list[str]:
    return [each["value"][1] for each in answer["data"]["result"]]
