"""A real Alertmanager with the example configuration: which alerts it silences beside which others, and which it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from _pytest.tmpdir import TempPathFactory

from tests.alerts.delivery import Alertmanager, alertmanager, alertmanager_config
from tests.alerts.expected import EXPECTED, PREFIX
from tests.running import eventually

pytestmark = pytest.mark.system

SEVERITY = {each.name: each.severity for each in EXPECTED}


def alert(name: str, **labels: str) -> dict[str, str]:
    """Return the labels of an alert."""
    return {"alertname": PREFIX + name, "severity": SEVERITY[name], **labels}


@dataclass(frozen=True, slots=True)
class Case:
    """Alerts that fire together: those that are told, and those that must be silenced. No two cases share a cloud or a job."""

    law: str
    told: tuple[dict[str, str], ...]
    silenced: tuple[dict[str, str], ...] = ()


CASES = (
    Case(
        "no exporter of a job answers: each one of them is silenced, those of other jobs are not",
        (alert("ExporterAbsent", job="j1"), alert("ExporterDown", job="j1-lab", instance="c")),
        (alert("ExporterDown", job="j1", instance="a"), alert("ExporterDown", job="j1", instance="b")),
    ),
    Case(
        "an exporter that is down silences its job and instance, and no other",
        (
            alert("ExporterDown", job="j2", instance="a"),
            alert("StateNotDurable", job="j2", instance="b"),
            alert("StateNotDurable", job="j2-lab", instance="a"),
            alert("HostDown", cloud="c2", migration_id="m", server_id="s"),
        ),
        (alert("StateNotDurable", job="j2", instance="a"),),
    ),
    Case(
        "what is known of a cloud is old: all else of that cloud is silenced but for the causes, and nothing of another",
        (
            alert("DataStale", cloud="c3"),
            alert("LoginRefused", cloud="c3"),
            alert("HostDown", cloud="c3-other", migration_id="m", server_id="s"),
            alert("ExporterDown", job="j3", instance="a"),
        ),
        (
            alert("PollFailing", cloud="c3"),
            alert("HostDown", cloud="c3", migration_id="m", server_id="s"),
            alert("FailureRatioHigh", cloud="c3", migration_type="resize"),
            alert("Overdue", cloud="c3", migration_id="n", server_id="t"),
            alert("Backlog", cloud="c3", migration_type="live-migration", status="queued"),
            alert("FeatureUnavailable", cloud="c3", feature="diagnosis"),
        ),
    ),
    Case(
        "a cloud that cannot be polled silences what is of less weight than a page",
        (
            alert("PollFailing", cloud="c4"),
            alert("HostDown", cloud="c4", migration_id="m", server_id="s"),
            alert("Overdue", cloud="c4-other", migration_id="m", server_id="s"),
        ),
        (
            alert("Overdue", cloud="c4", migration_id="n", server_id="t"),
            alert("ClockSkew", cloud="c4"),
            alert("SeriesOmitted", cloud="c4"),
            alert("UnknownStatus", cloud="c4"),
        ),
    ),
    *(
        Case(
            f"{cause} says why polls fail: one ticket is enough, and the page still comes",
            (alert(cause, cloud=cause), alert("DataStale", cloud=cause), alert("PollFailing", cloud=f"{cause}-other")),
            (alert("PollFailing", cloud=cause),),
        )
        for cause in ("LoginRefused", "RightsMissing")
    ),
    Case(
        "a page for a server silences the tickets of that server, and of no other",
        (
            alert("HostDown", cloud="c6", migration_id="m", server_id="s"),
            alert("ServerStranded", cloud="c6", server_id="r", server_status="RESIZE", host="h"),
            alert("Overdue", cloud="c6", migration_id="n", server_id="t"),
            alert("Overdue", cloud="c6-other", migration_id="m", server_id="s"),
            alert("ClockSkew", cloud="c6"),
            alert("FailuresOnOneHost", cloud="c6", host="h", role="dest"),
        ),
        (
            alert("Overdue", cloud="c6", migration_id="m", server_id="s"),
            alert("Orphaned", cloud="c6", migration_id="o", server_id="r"),
        ),
    ),
    Case(
        "a page for a type of moves silences nothing",
        (
            alert("FailureRatioHigh", cloud="c7", migration_type="migration"),
            alert("FailuresOnOneHost", cloud="c7", host="h", role="dest"),
            alert("EndCorrectedToError", cloud="c7", migration_type="migration", from_status="done", to_status="error"),
            alert("Orphaned", cloud="c7", migration_id="o", server_id="r"),
        ),
    ),
    Case(
        "alerts of somebody else are left alone",
        (
            alert("DataStale", cloud="c8"),
            {"alertname": "SomebodyElses", "severity": "warning", "cloud": "c8", "server_id": "s"},
        ),
    ),
)


@pytest.fixture(scope="module")
def silenced(tmp_path_factory: TempPathFactory) -> Iterator[set[frozenset[tuple[str, str]]]]:
    """Let the alerts of all cases fire at once; yield those that Alertmanager silences."""
    alerts = [each for case in CASES for each in (*case.told, *case.silenced)]
    expected = {frozenset(each.items()) for case in CASES for each in case.silenced}
    config = alertmanager_config("http://127.0.0.1:9", quick=False)
    with alertmanager(config, tmp_path_factory.mktemp("inhibition")) as running:
        running.send(*alerts)
        with suppress(AssertionError):  # the cases say which is missing
            eventually(lambda: len(running.alerts()) == len(alerts) and expected <= seen(running), 20.0)
        yield seen(running)


def seen(running: Alertmanager) -> set[frozenset[tuple[str, str]]]:
    return {frozenset(each.items()) for each in running.silenced()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.law)
def test_alerts_are_silenced_and_told_as_they_should_be(case: Case, silenced: set[frozenset[tuple[str, str]]]) -> None:
    assert [each for each in case.told if frozenset(each.items()) in silenced] == []
    assert [each for each in case.silenced if frozenset(each.items()) not in silenced] == []
