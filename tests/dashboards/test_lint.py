"""The dashboards keep every rule, and every rule can be broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboards.lint import DASHBOARD_LINTER, MORE, RULES, Rule
from tests.dashboards.reading import COMMITTED, Json, panels

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
TARGET = 'job=~"$job",instance=~"$instance"'
CLOUD = f'{TARGET},cloud=~"$cloud"'
TYPED = f'{CLOUD},migration_type=~"$migration_type"'


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("file", COMMITTED)
def test_a_dashboard_keeps_a_rule(file: str, rule: Rule) -> None:
    assert list(rule(COMMITTED[file])) == []


def choice(name: str) -> Json:
    question = {"query": f"label_values(openstack_migrations{{{TARGET}}}, {name})", "refId": name}
    return {
        "name": name,
        "type": "query",
        "query": question,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "refresh": 2,
    }


def panel(number: int, kind: str = "timeseries", *expressions: str, top: int = 0) -> Json:
    expressions = expressions or (f"max by (cloud) (openstack_migration_up{{{CLOUD}}})",)
    asked = [{"refId": ref, "datasource": SOURCE, "expr": each} for ref, each in zip("ABC", expressions, strict=False)]
    return {
        "id": number,
        "type": kind,
        "title": f"Panel {number}",
        "description": "What to do.",
        "datasource": SOURCE,
        "gridPos": {"x": 0, "y": top, "w": 24, "h": 8},
        "fieldConfig": {"defaults": {"unit": "s", "noValue": "Nothing"}, "overrides": []},
        "targets": asked,
    }


def sound(*expressions: str) -> Json:
    """Return a small dashboard that keeps every rule; its first panel asks these expressions."""
    table = panel(2, "table", top=8)
    table["transformations"] = [{"id": "filterFieldsByName"}, {"id": "organize"}]
    return {
        "uid": "board",
        "tags": ["openstack", "openstack-migration"],
        "editable": False,
        "schemaVersion": 41,
        "links": [{"title": "Others", "type": "dashboards", "keepTime": True, "includeVars": True}],
        "annotations": {"list": []},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
                *map(choice, ("job", "instance", "cloud", "migration_type")),
            ]
        },
        "panels": [panel(1, "timeseries", *expressions), table],
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize(
    "expression",
    [
        f"sum by (cloud) (max by (cloud, status) (openstack_migrations{{{TYPED}}}))",
        f"max by (cloud) (rate(openstack_migration_polls_total{{{CLOUD}}}[$__rate_interval]))",
        f"max by (cloud) (increase(openstack_migration_polls_total{{{CLOUD}}}[$__range]))",
        f"time() - min by (cloud) (openstack_migration_last_success_timestamp_seconds{{{CLOUD}}})",
        f"max by (cloud) (openstack_migration_up{{{CLOUD}}}) and on (cloud) openstack_migration_up{{{CLOUD}}}",
        f"sum(up{{{TARGET}}})",
        'sum by (cloud) (cloud_host_role:openstack_migrations_ended_per_host_failure:increase1h{cloud=~"$cloud"})',
    ],
)
def test_what_is_sound_is_not_blamed(rule: Rule, expression: str) -> None:
    assert list(rule(sound(expression))) == []


Break = Callable[[Json], Any]
SELECTED = f"openstack_migration_up{{{CLOUD}}}"

#: How a sound dashboard is broken, and all that is said of it.
CASES: list[tuple[str, Break, str]] = [
    # dashboard-linter's
    ("template_datasource", lambda b: b["templating"]["list"].pop(0), "board: no variable `datasource` that chooses a Prometheus"),
    ("template_datasource", lambda b: b["templating"]["list"][0].update(query="loki"), "board: no variable `datasource` that chooses a Prometheus"),
    ("template_datasource", lambda b: b["templating"]["list"][0].update(label="Source"), "board: the variable `datasource` is labelled Source, not Data source"),
    ("template_targets", lambda b: b["templating"]["list"].pop(1), "board: no query variable `job`"),
    ("template_targets", lambda b: b["templating"]["list"][2].update(type="custom"), "board: no query variable `instance`"),
    ("template_targets", lambda b: b["templating"]["list"][1].update(multi=False), "board: the variable `job` is not multi with All as .+"),
    ("template_targets", lambda b: b["templating"]["list"][2].update(allValue=".*"), "board: the variable `instance` is not multi with All as .+"),
    ("template_reload", lambda b: b["templating"]["list"][3].update(refresh=1), "board: the variable `cloud` is not asked anew when the time changes"),
    ("template_promql", lambda b: b["templating"]["list"][3]["query"].update(query="label_values(up{, cloud)"), "board: the variable `cloud` asks no PromQL: unexpected end of input inside braces"),
    ("panel_datasource", lambda b: b["panels"][0].update(datasource={"type": "prometheus", "uid": "P1"}), "board 1 Panel 1: its data source is not the one chosen above"),
    ("panel_datasource", lambda b: b["panels"][1]["targets"][0].pop("datasource"), "board 2 Panel 2: its data source is not the one chosen above"),
    ("panel_title_and_description", lambda b: b["panels"][0].update(title=""), "board 1 : no title"),
    ("panel_title_and_description", lambda b: b["panels"][0].pop("description"), "board 1 Panel 1: no description"),
    ("panel_unit", lambda b: b["panels"][0]["fieldConfig"]["defaults"].pop("unit"), "board 1 Panel 1: no unit"),
    ("panel_targets", lambda b: b["panels"][0].update(targets=[]), "board 1 Panel 1: no query"),
    ("target_promql", lambda b: ask(b, "sum("), "board 1 Panel 1 A: no PromQL: unclosed left parenthesis"),
    ("target_rate_interval", lambda b: ask(b, "rate(x[5m])"), "board 1 Panel 1 A: rate over a range that Grafana does not set"),
    ("target_rate_interval", lambda b: ask(b, "rate(x[$__range])"), "board 1 Panel 1 A: rate over a range that Grafana does not set"),
    ("target_rate_interval", lambda b: ask(b, "sum(increase(x[1h]))"), "board 1 Panel 1 A: increase over a range that Grafana does not set"),
    ("target_filters", lambda b: ask(b, SELECTED.replace('job=~"$job",', "")), 'board 1 Panel 1 A: openstack_migration_up without job=~"$job"'),
    ("target_filters", lambda b: ask(b, SELECTED.replace("$instance", "a")), 'board 1 Panel 1 A: openstack_migration_up without instance=~"$instance"'),
    ("target_filters", lambda b: ask(b, SELECTED.replace("cloud=~", "cloud=")), 'board 1 Panel 1 A: openstack_migration_up without cloud=~"$cloud"'),
    ("target_filters", lambda b: ask(b, f"openstack_migrations{{{CLOUD}}}"), 'board 1 Panel 1 A: openstack_migrations without migration_type=~"$migration_type"'),
    ("target_counters", lambda b: ask(b, f"max(openstack_migration_polls_total{{{CLOUD}}})"), "board 1 Panel 1 A: the counter openstack_migration_polls_total outside rate, irate and increase"),
    ("uneditable", lambda b: b.update(editable=True), "board: can be edited, and would lose it at the next start"),
    # more
    ("provisions_without_edits", lambda b: b.update(__inputs=[]), "board: has __inputs"),
    ("provisions_without_edits", lambda b: b.update(id=7), "board: has id"),
    ("provisions_without_edits", lambda b: b.update(schemaVersion=36), "board: schema version 36, not 41"),
    ("is_found", lambda b: b.update(tags=["openstack"]), "board: not tagged openstack and openstack-migration"),
    ("is_found", lambda b: b["links"][0].update(keepTime=False), "board: the link Others loses the time or what is chosen"),
    ("every_choice", lambda b: b["templating"]["list"].pop(4), "board: nothing to choose a migration_type with"),
    ("every_choice", lambda b: ask(b, 'max(up{host=~"$host"})'), "board: a query uses $host, which nobody can choose"),
    ("unique_ids", lambda b: b["panels"][1].update(id=1), "board: 2 panels with the id 1"),
    ("unique_ids", lambda b: b["panels"][0].update(id=0), "board: 1 panels with the id 0"),
    ("unique_ids", lambda b: b["panels"][0]["targets"].append(b["panels"][0]["targets"][0]), "board 1 Panel 1: two queries with one refId"),
    ("grid", lambda b: b["panels"][1]["gridPos"].update(y=7), "board 2 Panel 2: over Panel 1"),
    ("grid", lambda b: b["panels"][0]["gridPos"].update(x=13), "board 1 Panel 1: beyond the grid"),
    ("grid", lambda b: b["panels"][0]["gridPos"].update(h=0), "board 1 Panel 1: beyond the grid"),
    ("full_lines", lambda b: b["panels"][0]["gridPos"].update(w=12), "board 1 Panel 1: its line is not full"),
    ("full_lines", lambda b: b["panels"].append({**panel(3), "gridPos": {"x": 24, "y": 0, "w": 0, "h": 7}}), "board 1 Panel 1: its line is not of one height"),
    ("nothing_to_show", lambda b: b["panels"][0]["fieldConfig"]["defaults"].pop("noValue"), "board 1 Panel 1: does not say what it means that there is nothing"),
    ("in_the_catalogue", lambda b: ask(b, "max(openstack_migration_gone)"), "board 1 Panel 1 A: nothing serves openstack_migration_gone"),
    ("in_the_catalogue", lambda b: ask(b, 'max(openstack_migration_up{status="x"})'), "board 1 Panel 1 A: openstack_migration_up has no label status"),
    ("in_the_catalogue", lambda b: ask(b, 'max(cloud_host_role:openstack_migrations_ended_per_host_failure:increase1h{job="x"})'), "board 1 Panel 1 A: cloud_host_role:openstack_migrations_ended_per_host_failure:increase1h has no label job"),
    ("groups_by_labels_that_are_there", lambda b: ask(b, "max by (cloud, status) (openstack_migration_up)"), "board 1 Panel 1 A: by a label status that nothing below has"),
    ("replicas_count_once", lambda b: ask(b, f"sum(openstack_migrations{{{TYPED}}})"), "board 1 Panel 1 A: openstack_migrations counts twice where two exporters watch one cloud"),
    ("replicas_count_once", lambda b: ask(b, f"{SELECTED} and max({SELECTED}) > 0"), "board 1 Panel 1 A: openstack_migration_up counts twice where two exporters watch one cloud"),
    ("links_lead_somewhere", lambda b: b["panels"][0].update(links=[{"url": "https://x/OpenStackMigrationGone.md"}]), "board 1 Panel 1: leads to https://x/OpenStackMigrationGone.md, which is no runbook of an alert"),
    ("links_lead_somewhere", lambda b: b["panels"][0]["fieldConfig"]["overrides"].append(linked("/d/x?var-host=${__value.raw}")), "board 1 Panel 1: the link of Host loses time or data source"),
    ("tables_are_laid_out", lambda b: b["panels"][1].pop("transformations"), "board 2 Panel 2: a table whose columns are not named and ordered"),
    ("tables_are_laid_out", lambda b: b["panels"][1]["targets"].append({**b["panels"][1]["targets"][0], "refId": "B"}), "board 2 Panel 2: a table of several answers that are not merged"),
]  # fmt: skip


def ask(board: Json, expression: str) -> None:
    board["panels"][0]["targets"][0]["expr"] = expression


def linked(url: str) -> Json:
    return {"matcher": {"options": "Host"}, "properties": [{"id": "links", "value": [{"url": url}]}]}


@pytest.mark.parametrize(
    ("name", "spoil", "message"), CASES, ids=[f"{case[0]}-{place}" for place, case in enumerate(CASES)]
)
def test_a_rule_finds_what_breaks_it(name: str, spoil: Break, message: str) -> None:
    board = sound()
    spoil(board)
    (rule,) = (each for each in RULES if each.__name__ == name)
    assert list(rule(board)) == [message]


def test_every_rule_has_a_case_in_which_it_finds_something() -> None:
    assert {case[0] for case in CASES} == {rule.__name__ for rule in (*DASHBOARD_LINTER, *MORE)}


def test_rules_look_into_collapsed_rows() -> None:
    board = sound()
    inner = panel(3, top=17)
    inner.pop("description")
    board["panels"].append(
        {"id": 9, "type": "row", "title": "More", "gridPos": {"x": 0, "y": 16, "w": 24, "h": 1}, "panels": [inner]}
    )
    assert [each["id"] for each in panels(board)] == [1, 2, 3]
    assert [message for rule in RULES for message in rule(board)] == ["board 3 Panel 3: no description"]
