"""Rules for dashboards: those of Grafana's dashboard-linter, and more that these ones have to keep.

A rule takes a dashboard's JSON and yields a message for each fault.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import promql_parser as promql

from exporter.metrics.catalogue import Kind
from exporter.metrics.exposition import FAMILIES
from tests.dashboards.reading import Json, asked_by, expressions, name, panels, put, targets, variables
from tools.dashboards.queries import LABELS, OF_TARGETS
from tools.rules import GROUPS
from tools.rules.__main__ import RUNBOOKS
from tools.rules.rows import Alert, Record

Rule = Callable[[Json], Iterator[str]]

#: Stand-ins for Grafana's ranges, by which a parsed query still tells them apart.
RATE, RANGE = "11m", "13m"
_RANGES = {"__rate_interval": RATE, "__range": RANGE}

TARGET = ("job", "instance")
ALERTS = {rule.full_name for group in GROUPS for rule in group.rules if isinstance(rule, Alert)}
RECORDS = {rule.name: rule.expr for group in GROUPS for rule in group.rules if isinstance(rule, Record)}
COUNTERS = {family.name for family in FAMILIES if family.kind is Kind.COUNTER} | {"process_cpu_seconds_total"}
COUNTERS |= {series for series in LABELS if series.endswith(("_bucket", "_count", "_sum"))}

#: What is meant to be added up over the exporters: they are counted, or what all of them ask is.
ADDED_UP = {"up", "openstack_migration_api_requests_total"}

SCHEMA = 41
CHOSEN = ("job", "instance", "cloud", "migration_type")


def parsed(expression: str) -> Any:
    """Return the tree of an expression; raises ValueError for what is no PromQL."""
    return promql.parse(put(expression, _RANGES))


def _sound(board: Json) -> Iterator[tuple[str, Any]]:
    """Yield where each expression that can be parsed stands, and its tree."""
    for panel, target in targets(board):
        try:
            yield f"{name(board, panel)} {target['refId']}", parsed(target["expr"])
        except ValueError:
            continue
    for mark in board["annotations"]["list"]:
        yield f"{board['uid']} annotation {mark['name']}", parsed(mark["expr"])


def _walk(tree: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield every node with those above it, the nearest last."""
    yield tree, above
    for part in ("lhs", "rhs", "expr", "param", "args", "vector_selector"):
        below = getattr(tree, part, None) or []
        for each in below if isinstance(below, list) else [below]:
            yield from _walk(each, (*above, tree))


def selectors(tree: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield every selector of series with what is above it."""
    return ((node, above) for node, above in _walk(tree) if isinstance(node, promql.VectorSelector))


def _matchers(selector: Any) -> set[tuple[str, str, str]]:
    return {(each.name, str(each.op), each.value) for each in selector.matchers.matchers}


def labels_of(series: str) -> set[str]:
    """Return the labels that a series of the exporter, of Prometheus or of a recording rule has."""
    if series in RECORDS:
        found = re.search(r"(?:max|sum|min) by \(([^)]*)\)", RECORDS[series])
        assert found is not None
        return set(found[1].replace(" ", "").split(","))
    return {*TARGET, *LABELS.get(series, ())}


def _function(above: tuple[Any, ...]) -> str:
    """Return the name of the nearest function above, nothing where there is none."""
    calls = [each.func.name for each in above if isinstance(each, promql.Call)]
    return calls[-1] if calls else ""


# --- those of dashboard-linter ---


def template_datasource(board: Json) -> Iterator[str]:
    chosen = variables(board).get("datasource")
    if chosen is None or chosen["type"] != "datasource" or chosen["query"] != "prometheus":
        yield f"{board['uid']}: no variable `datasource` that chooses a Prometheus"
    elif chosen["label"] != "Data source":
        yield f"{board['uid']}: the variable `datasource` is labelled {chosen['label']}, not Data source"


def template_targets(board: Json) -> Iterator[str]:
    for label in TARGET:
        chosen = variables(board).get(label)
        if chosen is None or chosen["type"] != "query":
            yield f"{board['uid']}: no query variable `{label}`"
        elif not (chosen["multi"] and chosen["includeAll"] and chosen["allValue"] == ".+"):
            yield f"{board['uid']}: the variable `{label}` is not multi with All as .+"


def template_reload(board: Json) -> Iterator[str]:
    for variable in variables(board).values():
        if variable["type"] == "query" and variable["refresh"] != 2:
            yield f"{board['uid']}: the variable `{variable['name']}` is not asked anew when the time changes"


def template_promql(board: Json) -> Iterator[str]:
    for variable in variables(board).values():
        if variable["type"] == "query":
            try:
                parsed(asked_by(variable))
            except ValueError as error:
                yield f"{board['uid']}: the variable `{variable['name']}` asks no PromQL: {error}"


def panel_datasource(board: Json) -> Iterator[str]:
    for panel in panels(board):
        for where in (panel, *(panel.get("targets") or [])):
            if where.get("datasource") != {"type": "prometheus", "uid": "${datasource}"}:
                yield f"{name(board, panel)}: its data source is not the one chosen above"


def panel_title_and_description(board: Json) -> Iterator[str]:
    for panel in panels(board):
        for key in ("title", "description"):
            if not panel.get(key):
                yield f"{name(board, panel)}: no {key}"


def panel_unit(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if panel["type"] != "text" and not panel["fieldConfig"]["defaults"].get("unit"):
            yield f"{name(board, panel)}: no unit"


def panel_targets(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if panel["type"] != "text" and not panel.get("targets"):
            yield f"{name(board, panel)}: no query"


def target_promql(board: Json) -> Iterator[str]:
    for panel, target in targets(board):
        try:
            parsed(target["expr"])
        except ValueError as error:
            yield f"{name(board, panel)} {target['refId']}: no PromQL: {error}"


def target_rate_interval(board: Json) -> Iterator[str]:
    allowed = {"rate": (RATE,), "irate": (RATE,), "deriv": (RATE,), "increase": (RATE, RANGE)}
    lengths = {promql.parse(f"x[{each}]").range: each for each in (RATE, RANGE)}
    for where, tree in _sound(board):
        for node, above in _walk(tree):
            function = _function(above) if isinstance(node, promql.MatrixSelector) else ""
            if function in allowed and lengths.get(node.range) not in allowed[function]:
                yield f"{where}: {function} over a range that Grafana does not set"


def target_filters(board: Json) -> Iterator[str]:
    for where, tree in _sound(board):
        for selector, _ in selectors(tree):
            has, filters = labels_of(selector.name), _matchers(selector)
            for label in CHOSEN:
                if label in has and (label, "MatchOp.Re", f"${label}") not in filters:
                    yield f'{where}: {selector.name} without {label}=~"${label}"'


def target_counters(board: Json) -> Iterator[str]:
    for where, tree in _sound(board):
        for selector, above in selectors(tree):
            if selector.name in COUNTERS and _function(above) not in ("rate", "irate", "increase"):
                yield f"{where}: the counter {selector.name} outside rate, irate and increase"


def uneditable(board: Json) -> Iterator[str]:
    if board.get("editable") is not False:
        yield f"{board['uid']}: can be edited, and would lose it at the next start"


# --- and more ---


def provisions_without_edits(board: Json) -> Iterator[str]:
    for key in ("__inputs", "__requires", "__elements", "id"):
        if board.get(key) is not None:
            yield f"{board['uid']}: has {key}"
    if board.get("schemaVersion") != SCHEMA:
        yield f"{board['uid']}: schema version {board.get('schemaVersion')}, not {SCHEMA}"


def is_found(board: Json) -> Iterator[str]:
    if not {"openstack", "openstack-migration"} <= set(board.get("tags") or []):
        yield f"{board['uid']}: not tagged openstack and openstack-migration"
    for link in board["links"]:
        if not (link["type"] == "dashboards" and link["keepTime"] and link["includeVars"]):
            yield f"{board['uid']}: the link {link['title']} loses the time or what is chosen"


def every_choice(board: Json) -> Iterator[str]:
    for label in CHOSEN:
        if label not in variables(board):
            yield f"{board['uid']}: nothing to choose a {label} with"
    offered = {*variables(board), *_RANGES}
    for expression in expressions(board):
        for used in re.findall(r"\$([a-z_]\w*)", expression):
            if used not in offered:
                yield f"{board['uid']}: a query uses ${used}, which nobody can choose"


def unique_ids(board: Json) -> Iterator[str]:
    ids = Counter(panel.get("id") for panel in panels(board, rows=True))
    for number, times in ids.items():
        if not number or times > 1:
            yield f"{board['uid']}: {times} panels with the id {number}"
    for panel in panels(board):
        refs = Counter(target["refId"] for target in panel.get("targets") or [])
        if refs and max(refs.values()) > 1:
            yield f"{name(board, panel)}: two queries with one refId"


def grid(board: Json) -> Iterator[str]:
    taken: dict[tuple[int, int], Json] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24 or min(place["w"], place["h"]) < 1:
            yield f"{name(board, panel)}: beyond the grid"
        cells = [
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        under = next((taken[cell] for cell in cells if cell in taken), None)
        if under is not None:
            yield f"{name(board, panel)}: over {under['title']}"
        taken.update(dict.fromkeys(cells, panel))


def full_lines(board: Json) -> Iterator[str]:
    """Grafana moves panels up into gaps: where there are none, all stay where they are."""
    lines: dict[int, list[Json]] = {}
    for panel in panels(board):
        lines.setdefault(panel["gridPos"]["y"], []).append(panel)
    for line in lines.values():
        if len({panel["gridPos"]["h"] for panel in line}) > 1:
            yield f"{name(board, line[0])}: its line is not of one height"
        if sum(panel["gridPos"]["w"] for panel in line) != 24:
            yield f"{name(board, line[0])}: its line is not full"


def nothing_to_show(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if panel["type"] != "text" and not panel["fieldConfig"]["defaults"].get("noValue"):
            yield f"{name(board, panel)}: does not say what it means that there is nothing"


def in_the_catalogue(board: Json) -> Iterator[str]:
    known = {*LABELS, *OF_TARGETS, *RECORDS}
    for where, tree in _sound(board):
        for selector, _ in selectors(tree):
            if selector.name not in known:
                yield f"{where}: nothing serves {selector.name}"
                continue
            for label in sorted({matcher[0] for matcher in _matchers(selector)} - labels_of(selector.name)):
                yield f"{where}: {selector.name} has no label {label}"


def groups_by_labels_that_are_there(board: Json) -> Iterator[str]:
    for where, tree in _sound(board):
        for node, _ in _walk(tree):
            modifier = node.modifier if isinstance(node, promql.AggregateExpr) else None
            if modifier is None or str(modifier.type) != "AggModifierType.By":
                continue
            served = set().union(*(labels_of(each.name) for each, _ in selectors(node)))
            for label in sorted(set(modifier.labels) - served):
                yield f"{where}: by a label {label} that nothing below has"


def replicas_count_once(board: Json) -> Iterator[str]:
    for where, tree in _sound(board):
        for selector, above in selectors(tree):
            if selector.name in RECORDS or selector.name in ADDED_UP or _is_condition(selector, above):
                continue
            reductions = [each for each in above if isinstance(each, promql.AggregateExpr)]
            if not reductions or str(reductions[-1].op) not in ("max", "min"):
                yield f"{where}: {selector.name} counts twice where two exporters watch one cloud"


def _is_condition(selector: Any, above: tuple[Any, ...]) -> bool:
    """Tell whether a selector stands on the right of and or unless, where no number is made of it."""
    path = (*above, selector)
    return any(
        isinstance(node, promql.BinaryExpr) and str(node.op) in ("and", "unless") and _below(path[place + 1], node.rhs)
        for place, node in enumerate(above)
    )


def _below(node: Any, side: Any) -> bool:
    return str(node) == str(side) and type(node) is type(side)


def links_lead_somewhere(board: Json) -> Iterator[str]:
    for panel in panels(board):
        for link in panel.get("links") or []:
            if link["url"] not in {f"{RUNBOOKS}/{alert}.md" for alert in ALERTS}:
                yield f"{name(board, panel)}: leads to {link['url']}, which is no runbook of an alert"
        for override in panel["fieldConfig"]["overrides"]:
            for link in (each for prop in override["properties"] if prop["id"] == "links" for each in prop["value"]):
                if "${__url_time_range}" not in link["url"] or "${datasource:queryparam}" not in link["url"]:
                    yield f"{name(board, panel)}: the link of {override['matcher']['options']} loses time or data source"


def tables_are_laid_out(board: Json) -> Iterator[str]:
    for panel in panels(board):
        steps = [each["id"] for each in panel.get("transformations") or []]
        if panel["type"] == "table" and steps[-2:] != ["filterFieldsByName", "organize"]:
            yield f"{name(board, panel)}: a table whose columns are not named and ordered"
        if panel["type"] == "table" and (len(panel["targets"]) > 1) != ("merge" in steps):
            yield f"{name(board, panel)}: a table of several answers that are not merged"


DASHBOARD_LINTER: tuple[Rule, ...] = (
    template_datasource,
    template_targets,
    template_reload,
    template_promql,
    panel_datasource,
    panel_title_and_description,
    panel_unit,
    panel_targets,
    target_promql,
    target_rate_interval,
    target_filters,
    target_counters,
    uneditable,
)

MORE: tuple[Rule, ...] = (
    provisions_without_edits,
    is_found,
    every_choice,
    unique_ids,
    grid,
    full_lines,
    nothing_to_show,
    in_the_catalogue,
    groups_by_labels_that_are_there,
    replicas_count_once,
    links_lead_somewhere,
    tables_are_laid_out,
)

RULES = (*DASHBOARD_LINTER, *MORE)
