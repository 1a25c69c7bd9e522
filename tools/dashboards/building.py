"""Build a dashboard: variables, links and marks at the top, sections and their panels on the grid."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards.drawing import SOURCE, draw
from tools.dashboards.rows import Board, Mark, Panel, Section, Variable

#: Columns of Grafana's grid.
GRID = 24

#: What all dashboards of the exporter carry, so that each leads to the others.
TAG = "openstack-migration"


def written(board: Board, runbooks: str) -> str:
    """Return a dashboard as JSON that provisions without edits."""
    content: dict[str, Any] = json.loads(json.dumps(_built(board, runbooks), cls=JSONEncoder))
    # The SDK's annotations know neither titles nor labels: the Prometheus data source's own keys are added here.
    content["annotations"] = {"list": [_mark(mark) for mark in board.marks]}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _built(board: Board, runbooks: str) -> model.Dashboard:
    built = dashboard.Dashboard(board.title).uid(board.uid).description(board.description).readonly()
    built.tags(["openstack", TAG]).tooltip(model.DashboardCursorSync.CROSSHAIR).timezone("browser")
    built.time(board.since, "now").refresh(board.refresh).version(1)
    built.link(_others()).with_variable(_datasource())
    for variable in board.variables:
        built.with_variable(_variable(variable))
    top = 0
    for section in board.sections:
        top = _put(built, section, top, runbooks)
    return built.build()


def _others() -> dashboard.DashboardLink:
    """Return the link to the other dashboards; it keeps the time and what is chosen."""
    link = dashboard.DashboardLink("OpenStack migrations").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(False).keep_time(True).include_vars(True)


# Variables


def _datasource() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _variable(variable: Variable) -> dashboard.QueryVariable:
    asked: dict[str, object] = {"query": variable.query, "refId": f"variable-{variable.name}"}
    built = dashboard.QueryVariable(variable.name).label(variable.label).description(variable.description)
    built.datasource(SOURCE).query(asked).refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    built.sort(model.VariableSort.ALPHABETICAL_ASC).multi(True).include_all(True).all_value(variable.every)
    built.allow_custom_value(True).regex(variable.regex)
    return built.current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))


# Marks


def _mark(mark: Mark) -> dict[str, object]:
    return {
        "name": mark.name,
        "datasource": SOURCE.to_json(),
        "enable": True,
        "hide": False,
        "iconColor": mark.colour,
        "expr": mark.expr,
        "step": "60s",
        "titleFormat": mark.title,
        "textFormat": mark.text,
        "tagKeys": ",".join(mark.labels),
        "useValueForTime": False,
    }


# The grid


def _put(built: dashboard.Dashboard, section: Section, top: int, runbooks: str) -> int:
    """Put a section on the grid; return the line below it."""
    heading = dashboard.Row(section.title).id(section.id).grid_pos(model.GridPos(h=1, w=GRID, x=0, y=top))
    placed, bottom = _placed(section.panels, top + 1)
    drawn = [draw(panel, place, runbooks) for panel, place in placed]
    if section.collapsed:
        for each in drawn:
            heading.with_panel(each)
        built.with_row(heading)
        return top + 1
    built.with_row(heading.collapsed(False))
    for each in drawn:
        built.with_panel(each)
    return bottom


def _placed(panels: Iterable[Panel], top: int) -> tuple[list[tuple[Panel, model.GridPos]], int]:
    """Place panels from left to right, in lines as high as the highest of them; return the line below, too."""
    placed = []
    for line in _lines(panels):
        left = 0
        for panel in line:
            placed.append((panel, model.GridPos(h=panel.height, w=panel.width, x=left, y=top)))
            left += panel.width
        top += max(panel.height for panel in line)
    return placed, top


def _lines(panels: Iterable[Panel]) -> Iterator[list[Panel]]:
    line: list[Panel] = []
    for panel in panels:
        if sum(each.width for each in line) + panel.width > GRID:
            yield line
            line = []
        line.append(panel)
    yield line
