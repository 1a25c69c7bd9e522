"""The committed dashboards are those that are generated, and fit together with rules, alerts and the lifecycle table."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from exporter.domain.lifecycle import LIVE_ROWS, MigrationType, Outcome, Reason
from tests.dashboards.lint import RECORDS
from tests.dashboards.reading import COMMITTED, DIRECTORY, expressions, panels, targets, variables
from tools.dashboards import BOARDS, colours, queries
from tools.dashboards.__main__ import files, main
from tools.dashboards.rows import Kind
from tools.rules import GROUPS
from tools.rules.__main__ import RUNBOOKS
from tools.rules.rows import Alert, Dashboard

ALERTS = [rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert)]


@pytest.mark.parametrize("name", files())
def test_a_file_is_current(name: str) -> None:
    assert (DIRECTORY / name).read_text() == files()[name], "run `make generate` and commit what it changes"


def test_no_file_is_left_over() -> None:
    assert set(COMMITTED) == set(files())


def test_links_to_runbooks_can_lead_elsewhere(tmp_path: Path) -> None:
    main([f"--directory={tmp_path}", "--runbooks=https://wiki.example.org/"])
    for name in files():
        text = (tmp_path / name).read_text()
        assert "https://wiki.example.org/OpenStackMigration" in text
        assert RUNBOOKS not in text


def test_uids_are_those_that_alerts_link_to() -> None:
    assert Counter(board["uid"] for board in COMMITTED.values()) == Counter(Dashboard)
    assert len({board["title"] for board in COMMITTED.values()}) == len(Dashboard)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_dashboard_of_an_alert_has_each_variable_of_its_link(alert: Alert) -> None:
    assert set(alert.variables) <= set(variables(COMMITTED[f"{alert.dashboard}.json"]))


def test_ids_lie_in_the_hundred_of_their_section() -> None:
    for board in BOARDS:
        for section in board.sections:
            assert section.id % 100 == 0
            assert all(section.id < panel.id < section.id + 100 for panel in section.panels)


def test_recording_rules_are_used() -> None:
    used = {
        record for board in COMMITTED.values() for each in expressions(board) for record in RECORDS if record in each
    }
    assert used == set(RECORDS) == {queries.HOUR_OF_ENDS, queries.HOUR_OF_FAILURES}


def test_every_status_reason_outcome_and_type_has_its_colour_and_no_status_two_places() -> None:
    assert set(colours.STATUSES) == {row.status for row in LIVE_ROWS}
    assert len(set(colours.STATUSES.values())) == len(colours.STATUSES)
    assert set(colours.REASONS) == set(Reason)
    assert set(colours.OUTCOMES) == set(Outcome)
    assert set(colours.TYPES) == set(MigrationType)
    assert set(colours.ENDS) == set(colours.ENDED_STATUSES)
    assert colours.STATUSES["finished"] == colours.WAITING


@pytest.mark.parametrize("kind", MigrationType)
def test_statuses_are_in_the_order_of_each_lifecycle(kind: MigrationType) -> None:
    ranks = [
        row.rank
        for status in colours.STATUS_ORDER
        for row in LIVE_ROWS
        if (row.migration_type, row.status) == (kind, status)
    ]
    assert ranks == sorted(ranks)


def test_a_series_has_one_colour_on_every_panel() -> None:
    meanings = {**colours.STATUSES, **colours.REASONS, **colours.TYPES, **colours.ENDS}
    for board in BOARDS:
        for section in board.sections:
            for panel in section.panels:
                for name, colour in (panel.colours or {}).items():
                    assert meanings.get(name, colour) == colour, (panel.title, name)


def test_what_is_drawn_can_be_previewed_but_for_heatmaps() -> None:
    kinds = {panel["type"] for board in COMMITTED.values() for panel in panels(board)}
    assert kinds == set(Kind)


def test_a_table_shows_no_value_that_no_query_gives() -> None:
    for board in COMMITTED.values():
        for panel in panels(board):
            if panel["type"] == "table":
                names = next(t for t in panel["transformations"] if t["id"] == "filterFieldsByName")["options"]
                refs = {target["refId"] for target in panel["targets"]}
                given = {f"Value #{ref}" for ref in refs} if len(refs) > 1 else {"Value"}
                assert {each for each in names["include"]["names"] if each.startswith("Value")} <= given, panel["title"]


def test_a_link_that_hands_on_a_cloud_has_it_in_its_table() -> None:
    linked = 0
    for board in COMMITTED.values():
        for panel in panels(board):
            text = json.dumps(panel["fieldConfig"])
            if "__data.fields" in text:
                (titles,) = (t["options"]["renameByName"] for t in panel["transformations"] if t["id"] == "organize")
                assert set(re.findall(r"__data\.fields\.(\w+)", text)) <= set(titles.values()), panel["title"]
                linked += 1
    assert linked >= 5


def test_a_query_that_asks_for_now_is_no_graph() -> None:
    for board in COMMITTED.values():
        for panel, target in targets(board):
            graph = panel["type"] in (Kind.TIMESERIES, Kind.HEATMAP)
            assert bool(target.get("instant")) != graph, (panel["title"], target["refId"])


def test_what_provisions_them_names_their_folder() -> None:
    (provider,) = yaml.safe_load((DIRECTORY / "provisioning/dashboards.yaml").read_text())["providers"]
    assert provider["type"] == "file" and provider["allowUiUpdates"] is False
    assert provider["options"]["path"].startswith("/")
    (source,) = yaml.safe_load((DIRECTORY / "provisioning/datasources.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus" and re.fullmatch(r"https?://[^/]+", source["url"])


def test_the_page_about_them_names_each_and_how_they_are_made() -> None:
    page = (DIRECTORY / "README.md").read_text()
    for name, board in COMMITTED.items():
        assert f"`{name}`" in page and board["title"] in page
    assert "python -m tools.dashboards" in page
