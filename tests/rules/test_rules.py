"""The rules are current, say what they must, fire when they should, and name nothing that is not served."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.domain.lifecycle import LIVE_ROWS, MigrationType, Reason, reasons_of, row_of
from exporter.metrics.catalogue import Kind
from exporter.metrics.exposition import FAMILIES
from tests.programs import Release, program
from tools.rules.__main__ import DASHBOARDS, KUBERNETES, PLAIN, RUNBOOKS, files, main

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy/prometheus"
CASES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(Path(__file__).parent.glob("*.yml"))}

GROUPS: list[dict[str, Any]] = yaml.safe_load((RULES / PLAIN).read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule
}
RECORDS: dict[str, str] = {
    rule["record"]: rule["expr"] for group in GROUPS for rule in group["rules"] if "record" in rule
}

#: What every scrape brings along, whoever is scraped.
TARGET_LABELS = {"job", "instance"}

SUFFIXES = {Kind.GAUGE: ("",), Kind.COUNTER: ("",), Kind.HISTOGRAM: ("_bucket", "_count", "_sum")}
LABELS: dict[str, set[str]] = {
    f"{family.name}{suffix}": {*family.labels, *TARGET_LABELS, *(["le"] if suffix == "_bucket" else [])}
    for family in FAMILIES
    for suffix in SUFFIXES[family.kind]
} | {"up": TARGET_LABELS, "process_start_time_seconds": TARGET_LABELS}

NAME = re.compile(r"\b(?:[a-z_]+:)?(openstack_migration[a-z_]*)(?::[a-z0-9_]+)?|\bup\b")
SELECTOR = re.compile(r"([a-z_:0-9]+)\{([^{}]*)\}")
MATCHER = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*(?:\"[^\"]*\"|%q)")
GROUPING = re.compile(r"\b(?:by|on|without|group_left)\s*\(([^()]*)\)")
QUERY = re.compile(r"printf \"((?:[^\"\\]|\\.)*)\"")


def queries(alert: dict[str, Any]) -> Iterator[str]:
    """Yield the expression of an alert, and those that its annotations ask for."""
    yield alert["expr"]
    for text in alert["annotations"].values():
        yield from (each.replace('\\"', '"') for each in QUERY.findall(text) if "{" in each)


EXPRESSIONS = [*RECORDS.values(), *(query for alert in ALERTS.values() for query in queries(alert))]


def cases_of(name: str) -> list[dict[str, Any]]:
    return list(CASES[name]["tests"])


def checks_of(name: str) -> list[dict[str, Any]]:
    return [check for test in cases_of(name) for check in test["alert_rule_test"] if check["alertname"] == name]


@pytest.mark.parametrize("name", files())
def test_a_file_is_current(name: str) -> None:
    assert (RULES / name).read_text() == files()[name], "run `make generate` and commit what it changes"


def test_links_can_lead_elsewhere(tmp_path: Path) -> None:
    main(
        [
            f"--directory={tmp_path}",
            "--runbooks=https://wiki.example.org/",
            "--dashboards=https://graphs.example.org/d/",
        ]
    )
    for name in files():
        text = (tmp_path / name).read_text()
        assert "https://wiki.example.org/OpenStackMigrationOverdue.md" in text
        assert "https://graphs.example.org/d/openstack-migrations?" in text
        assert RUNBOOKS not in text and DASHBOARDS not in text


def test_kubernetes_gets_the_same() -> None:
    resource = yaml.safe_load((RULES / KUBERNETES).read_text())
    assert (resource["apiVersion"], resource["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert resource["spec"] == {"groups": GROUPS}


def test_groups_are_small_and_names_are_unique() -> None:
    assert all(len(group["rules"]) <= 20 for group in GROUPS)
    rules = [rule.get("alert") or rule["record"] for group in GROUPS for rule in group["rules"]]
    assert max(Counter(rules).values()) == 1
    assert len({group["name"] for group in GROUPS}) == len(GROUPS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_must(name: str) -> None:
    alert, annotations = ALERTS[name], ALERTS[name]["annotations"]
    assert re.fullmatch(r"OpenStackMigration([A-Z][a-z]+)+", name) and len(name) <= 40
    assert alert["labels"] == {"severity": alert["labels"]["severity"]}
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert set(annotations) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert re.fullmatch(r"[A-Z][^.{}]*\.", annotations["summary"])
    assert "{{" in annotations["description"]
    assert annotations["runbook_url"] == f"{RUNBOOKS}/{name}.md"
    assert annotations["dashboard_url"].startswith(f"{DASHBOARDS}/openstack-migration")
    assert "for" in alert


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_uses_only_labels_that_it_has(name: str) -> None:
    kept = {label for group in GROUPING.findall(ALERTS[name]["expr"]) for label in re.split(r",\s*", group)}
    record = next((each for each in RECORDS if each in ALERTS[name]["expr"]), None)
    kept |= set(re.findall(r"cloud|host|role|migration_type", record.split(":")[0])) if record else set()
    used = {label for text in ALERTS[name]["annotations"].values() for label in re.findall(r"\$labels\.(\w+)", text)}
    assert used <= kept


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_only_metrics_that_are_served(expression: str) -> None:
    bare = re.sub(r"\"[^\"]*\"", "", expression)
    names = {match.group(0) for match in NAME.finditer(bare)}
    assert names and names <= {*LABELS, *RECORDS}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_only_labels_that_its_metrics_have(expression: str) -> None:
    for metric, matchers in SELECTOR.findall(expression):
        labels = LABELS.get(metric) or set(re.findall(r"cloud|host|role|migration_type|outcome", metric.split(":")[0]))
        assert set(MATCHER.findall(matchers)) <= labels, metric
    metrics = {match.group(0) for match in NAME.finditer(re.sub(r"\"[^\"]*\"", "", expression))} & set(LABELS)
    metrics |= {each for name in RECORDS if name in expression for each in LABELS if each in RECORDS[name]}
    known = set().union(*(LABELS[metric] for metric in metrics))
    grouped = {label for group in GROUPING.findall(expression) for label in re.split(r",\s*", group.strip()) if label}
    assert grouped <= known


def test_the_search_for_names_finds_them() -> None:
    found = {match.group(0) for match in NAME.finditer("sum by (job) (up) + openstack_migration_no_such{a=1}")}
    assert found == {"up", "openstack_migration_no_such"}
    assert MATCHER.findall('cloud="prod",status=~"a|b",migration_id=%q') == ["cloud", "status", "migration_id"]


def test_range_selectors_span_several_scrapes() -> None:
    for expression in EXPRESSIONS:
        for number, unit in re.findall(r"\[(\d+)([smhd])\]", expression):
            assert int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit] >= 300


#: A metric of the exporter's that is asked for its value at this moment, and nothing behind it.
AT_THIS_MOMENT = re.compile(r"\bopenstack_migration\w*(?:\{[^{}]*\})?(?![\w{])(?!\[)(?!\s+offset\b)")


@pytest.mark.parametrize("name", ALERTS)
def test_a_scrape_that_is_missed_neither_resolves_an_alert_nor_begins_its_wait_anew(name: str) -> None:
    expressions = [ALERTS[name]["expr"], *(RECORDS[each] for each in RECORDS if each in ALERTS[name]["expr"])]
    bare = [re.sub(r"[\w]+:openstack_migration[\w:]*", "", expression) for expression in expressions]
    assert [AT_THIS_MOMENT.findall(expression) for expression in bare] == [[] for _ in bare]


def test_what_would_not_live_through_a_missed_scrape_is_found() -> None:
    assert AT_THIS_MOMENT.findall('min(openstack_migration_up{cloud="a"}) == 0') == [
        'openstack_migration_up{cloud="a"}'
    ]
    assert AT_THIS_MOMENT.findall("openstack_migration_up == 0") == ["openstack_migration_up"]
    assert (
        AT_THIS_MOMENT.findall('x(openstack_migration_up{cloud="a"}[5m]) unless openstack_migration_up offset 1h') == []
    )


def matches(value: str, operator: str, wanted: str) -> bool:
    same = re.fullmatch(wanted, value) is not None if "~" in operator else value == wanted
    return not same if operator.startswith("!") else same


def alerts_on(migration_type: str, status: str, reason: str) -> list[str]:
    """Return the alerts whose selector takes a stuck record."""
    record = {"migration_type": migration_type, "status": status, "reason": reason}
    found = []
    for name, alert in ALERTS.items():
        selector = re.search(r"openstack_migration_stuck_info\{([^{}]+)\}", alert["expr"])
        if selector is not None:
            matchers = re.findall(r"([a-z_]+)(=~|!~|!=|=)\"([^\"]*)\"", selector.group(1))
            if all(matches(record[label], operator, wanted) for label, operator, wanted in matchers):
                found.append(name)
    return found


@pytest.mark.parametrize("row", LIVE_ROWS, ids=lambda row: f"{row.migration_type}-{row.status}")
def test_a_stuck_record_fires_one_alert_for_each_reason(row: Any) -> None:
    for reason in reasons_of(row):
        assert len(alerts_on(row.migration_type, row.status, reason)) == 1, reason


@pytest.mark.parametrize("kind", MigrationType)
def test_a_record_in_an_unknown_status_fires_one_alert(kind: MigrationType) -> None:
    for reason in reasons_of(row_of(kind, "wandering")):
        assert len(alerts_on(kind, "wandering", reason)) == 1, reason


def test_a_host_that_is_down_and_a_server_in_error_are_critical_and_an_orphan_is_not() -> None:
    severity = {
        reason: ALERTS[alerts_on("migration", "migrating", reason)[0]]["labels"]["severity"]
        for reason in Reason
        if reason is not Reason.UNCONFIRMED
    }
    critical = {reason for reason, each in severity.items() if each == "critical"}
    assert critical == {Reason.SOURCE_DOWN, Reason.DEST_DOWN, Reason.SERVER_ERROR}
    assert severity[Reason.ORPHANED] == "warning"


def test_every_alert_on_single_records_keeps_firing() -> None:
    single = {name for name, alert in ALERTS.items() if re.search(r"by \([^)]*(migration_id|server_id)", alert["expr"])}
    assert single and all(ALERTS[name]["keep_firing_for"] == "10m" for name in single)


def test_every_alert_has_a_file_of_cases_and_no_file_is_left_over() -> None:
    assert set(CASES) == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(name: str) -> None:
    assert any(check["exp_alerts"] for check in checks_of(name))
    silent = [test for test in cases_of(name) if not any(check["exp_alerts"] for check in test["alert_rule_test"])]
    assert any(test["input_series"] for test in silent), "a case with series in which it never fires"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_case_in_which_it_is_pending_then_fires_and_then_resolves(name: str) -> None:
    (life,) = (test for test in cases_of(name) if test["name"] == f"{name} fires and resolves")
    states = [bool(check["exp_alerts"]) for check in life["alert_rule_test"]]
    assert states[0] is False and True in states and states[-1] is False
    (pending,) = life["promql_expr_test"]
    assert 'alertstate="pending"' in pending["exp_samples"][0]["labels"]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_cases_for_two_replicas_missing_data_and_a_restart(name: str) -> None:
    (replicas,) = (test for test in cases_of(name) if test["name"] == f"{name} fires once for two replicas")
    instances = {
        instance
        for series in replicas["input_series"]
        for instance in re.findall(r'instance="([^"]+)"', series["series"])
    }
    assert len(instances) == 2
    assert all(len(check["exp_alerts"]) == 1 for check in replicas["alert_rule_test"])
    names = " ".join(test["name"] for test in cases_of(name))
    assert "without data" in names
    assert "restart" in names or "new target" in names


def promtool(*arguments: str, release: Release) -> str:
    found = subprocess.run(
        [program("promtool", release), *arguments], capture_output=True, check=False, timeout=600, text=True
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.mark.system
@pytest.mark.parametrize("release", Release)
def test_promtool_finds_no_fault(release: Release) -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES / PLAIN), release=release)
    assert f"{len(ALERTS) + len(RECORDS)} rules found" in said


@pytest.mark.system
@pytest.mark.parametrize("release", Release)
def test_what_annotations_ask_for_is_promql(release: Release, tmp_path: Path) -> None:
    asked = {query.replace("%q", '"x"') for alert in ALERTS.values() for query in queries(alert)}
    rules = [{"record": f"asked{number}", "expr": query} for number, query in enumerate(sorted(asked))]
    (tmp_path / "asked.yml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "asked.yml"), release=release)


@pytest.mark.system
@pytest.mark.parametrize("release", Release)
@pytest.mark.parametrize("name", ALERTS)
def test_the_cases_of_an_alert_hold(name: str, release: Release) -> None:
    promtool("test", "rules", str(Path(__file__).parent / f"{name}.yml"), release=release)
