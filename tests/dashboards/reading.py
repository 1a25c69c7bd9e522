"""The committed dashboards as Grafana reads them: panels, queries, and what is chosen at the top put into them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent.parent.parent / "dashboards"
Json = dict[str, Any]

COMMITTED: Mapping[str, Json] = {path.name: json.loads(path.read_text()) for path in sorted(DIRECTORY.glob("*.json"))}

_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?::\w+)?\}")


def panels(board: Json, *, rows: bool = False) -> Iterator[Json]:
    """Yield the panels, those in collapsed rows too; `rows`: the headings as well."""
    for panel in board["panels"]:
        if rows or panel["type"] != "row":
            yield panel
        yield from panel.get("panels") or []


def name(board: Json, panel: Json) -> str:
    """Return the words by which a panel is called in a message."""
    return f"{board['uid']} {panel['id']} {panel['title']}"


def targets(board: Json) -> Iterator[tuple[Json, Json]]:
    """Yield every panel with each of its queries."""
    for panel in panels(board):
        for target in panel.get("targets") or []:
            yield panel, target


def variables(board: Json) -> dict[str, Json]:
    """Return what can be chosen, by name."""
    return {each["name"]: each for each in board["templating"]["list"]}


def expressions(board: Json) -> Iterator[str]:
    """Yield every PromQL expression: of panels, of annotations, and within the questions of variables."""
    yield from (target["expr"] for _, target in targets(board))
    yield from (mark["expr"] for mark in board["annotations"]["list"])
    for variable in variables(board).values():
        if variable["type"] == "query":
            yield asked_by(variable)


def asked_by(variable: Json) -> str:
    """Return the expression whose answer a variable's values are taken from."""
    question = variable["query"]["query"]
    found = re.fullmatch(r"label_values\((.*), \w+\)|query_result\((.*)\)", question, re.DOTALL)
    assert found is not None, question
    return found[1] or found[2]


def put(expression: str, chosen: Mapping[str, str]) -> str:
    """Return an expression with values in place of its variables; `$1` of label_replace is none of them."""
    return _VARIABLE.sub(lambda found: chosen.get(found[1] or found[2], found[0]), expression)
