"""The example for Alertmanager: it is valid, every alert goes to whom it is for, and inhibitions name what there is."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pytest
import yaml

from tests.alerts.delivery import ALERTMANAGER, PROMETHEUS, amtool
from tests.alerts.expected import EXPECTED, SILENCED
from tests.programs import program
from tools.rules import GROUPS
from tools.rules.rows import Alert, Severity

CONFIG: dict[str, Any] = yaml.safe_load(ALERTMANAGER.read_text())
INHIBITIONS: list[dict[str, Any]] = CONFIG["inhibit_rules"]
ALERTS = [rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert)]
RECEIVERS = {Severity.CRITICAL: "pager", Severity.WARNING: "tickets", Severity.INFO: "digest"}

MATCHER = re.compile(r'^([a-z_]+) *(=~|!~|!=|=) *"([^"]*)"$')


@dataclass(frozen=True, slots=True)
class Matcher:
    """A matcher as Alertmanager takes it: a label that is not there is empty, an expression fits the whole value."""

    label: str
    operator: str
    value: str

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels pass."""
        found = labels.get(self.label, "")
        same = re.fullmatch(self.value, found) is not None if "~" in self.operator else found == self.value
        return same != self.operator.startswith("!")


def matchers(texts: Iterable[str]) -> list[Matcher]:
    return [Matcher(*MATCHER.fullmatch(text).groups()) for text in texts]  # type: ignore[union-attr]


#: Each alert's labels as they arrive, which tests/alerts/test_notifications.py proves.
LABELS = [dict(each.all_labels) for each in EXPECTED]


def matched(texts: Iterable[str]) -> list[dict[str, str]]:
    wanted = matchers(texts)
    return [labels for labels in LABELS if all(each.fits(labels) for each in wanted)]


def names(texts: Iterable[str]) -> set[str]:
    return {labels["alertname"] for labels in matched(texts)}


def run(command: list[str]) -> str:
    found = subprocess.run(command, capture_output=True, check=False, timeout=120, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.mark.system
def test_amtool_finds_no_fault() -> None:
    said = run([amtool(), "check-config", str(ALERTMANAGER)])
    assert "1 templates" in said
    assert f"{len(INHIBITIONS)} inhibit rules" in said


@pytest.mark.system
def test_promtool_finds_no_fault_in_the_example_for_prometheus() -> None:
    said = run([program("promtool"), "check", "config", str(PROMETHEUS)])
    assert "1 rule files found" in said and "valid prometheus config" in said


@pytest.mark.system
@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_goes_to_whom_its_severity_is_for(alert: Alert) -> None:
    receiver = RECEIVERS[alert.severity]
    command = [amtool(), "config", "routes", "test", f"--config.file={ALERTMANAGER}", f"--verify.receivers={receiver}"]
    run([*command, f"alertname={alert.full_name}", f"severity={alert.severity}", "cloud=prod"])


@pytest.mark.system
@pytest.mark.parametrize(
    "labels",
    [["alertname=OpenStackMigrationHostDown"], ["alertname=SomebodyElses", "severity=critical"]],
    ids=["no severity", "not ours"],
)
def test_what_has_no_severity_or_is_not_ours_wakes_nobody(labels: list[str]) -> None:
    command = [amtool(), "config", "routes", "test", f"--config.file={ALERTMANAGER}", "--verify.receivers=tickets"]
    run([*command, *labels])


def test_an_address_is_an_example() -> None:
    addresses = re.findall(r"https?://([^/\s]+)", ALERTMANAGER.read_text() + PROMETHEUS.read_text())
    assert addresses and all(each.endswith(".example.com") for each in addresses)


def test_prometheus_scrapes_the_job_that_the_rules_know() -> None:
    (job,) = yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]
    assert "openstack-migration" in job["job_name"]


def rule_id(rule: Mapping[str, Any]) -> str:
    return f"{rule['source_matchers'][0].split('OpenStackMigration')[1]} -> {rule['target_matchers'][0].split('OpenStackMigration')[1]}"


every_inhibition = pytest.mark.parametrize("rule", INHIBITIONS, ids=rule_id)


@every_inhibition
def test_an_inhibition_names_alerts_that_there_are(rule: Mapping[str, Any]) -> None:
    for matcher in matchers(chain(rule["source_matchers"], rule["target_matchers"])):
        if matcher.label == "alertname" and matcher.value != "OpenStackMigration.+":
            known = {alert.full_name for alert in ALERTS}
            parts = re.fullmatch(r"(\w+)(?:\(([\w|]+)\))?", matcher.value)
            assert parts is not None, matcher
            assert {parts[1] + each for each in (parts[2] or "").split("|")} <= known
    assert names(rule["source_matchers"]) and names(rule["target_matchers"])


@every_inhibition
def test_both_sides_of_an_inhibition_have_the_labels_that_must_be_equal(rule: Mapping[str, Any]) -> None:
    assert rule["equal"]
    for labels in chain(matched(rule["source_matchers"]), matched(rule["target_matchers"])):
        assert set(rule["equal"]) <= labels.keys(), labels["alertname"]


@every_inhibition
def test_a_warning_silences_no_page(rule: Mapping[str, Any]) -> None:
    weight = {"info": 0, "warning": 1, "critical": 2}
    sources, targets = matched(rule["source_matchers"]), matched(rule["target_matchers"])
    assert min(weight[each["severity"]] for each in sources) >= max(
        weight[each["severity"]]
        for each in targets
        if not all(matcher.fits(each) for matcher in matchers(rule["source_matchers"]))
    )


def test_the_story_shows_silenced_what_inhibitions_can_silence() -> None:
    silencing = {name for rule in INHIBITIONS for name in names(rule["source_matchers"])}
    assert {f"OpenStackMigration{each}" for each in SILENCED.values()} <= silencing
