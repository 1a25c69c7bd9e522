"""Draw a panel: from its row to Grafana's model, by the builders of grafana-foundation-sdk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heatmaps
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from tools.dashboards.rows import Column, Kind, Panel, Query, Step, Unit
from tools.rules.rows import PREFIX

#: The data source that is chosen at the top.
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")

#: From this width on a graph has room for its legend at its side.
_WIDE = 8

#: Units of counted things, of which an empty graph goes from 0 to 1 rather than to 100.
_COUNTED = (Unit.COUNT, Unit.PER_HOUR, Unit.PER_SECOND)

#: The sizes of names and numbers beside bars, in pixels.
_NAME, _NUMBER = 12, 16

Drawn = TypeVar("Drawn", stat.Panel, timeseries.Panel, bargauge.Panel, table.Panel, heatmap.Panel)
Property = model.DynamicConfigValue


def draw(panel: Panel, place: model.GridPos, runbooks: str) -> Builder[model.Panel]:
    """Return a panel at its place in the grid; `runbooks` is where those can be read."""
    return _DRAW[panel.kind](panel, place, runbooks)


def _framed(drawn: Drawn, panel: Panel, place: model.GridPos, runbooks: str) -> Drawn:
    """Set what every panel has, however it is drawn."""
    drawn.id(panel.id).title(panel.title).description(panel.description).datasource(SOURCE).grid_pos(place)
    drawn.unit(panel.unit).no_value(panel.none).links([_runbook(name, runbooks) for name in panel.runbooks])
    drawn.thresholds(scale(panel.steps or (Step(None, "green" if panel.kind is Kind.STAT else "blue"),)))
    if panel.decimals is not None:
        drawn.decimals(panel.decimals)
    if panel.largest is not None:
        drawn.min(0).max(panel.largest)
    if panel.words is not None:
        drawn.mappings([_words(panel.words)])
    for name, colour in (panel.colours or {}).items():
        drawn.override_by_name(name, [Property("color", {"mode": "fixed", "fixedColor": colour})])
    for ref, query in zip(ascii_uppercase, panel.queries, strict=False):
        drawn.with_target(_target(ref, query, panel.kind))
    return drawn


def _target(ref: str, query: Query, kind: Kind) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(ref).datasource(SOURCE).expr(query.expr)
    shape = {Kind.TABLE: PromQueryFormat.TABLE, Kind.HEATMAP: PromQueryFormat.HEATMAP}
    target.format(shape.get(kind, PromQueryFormat.TIME_SERIES)).legend_format(query.legend or "__auto")
    return target.instant() if query.now else target.range()


def scale(steps: tuple[Step, ...]) -> dashboard.ThresholdsConfig:
    """Return thresholds in absolute numbers."""
    absolute = dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE)
    return absolute.steps([model.Threshold(step.value, step.colour) for step in steps])


def _words(words: Mapping[str, tuple[str, str]]) -> model.ValueMap:
    return model.ValueMap(
        {
            value: model.ValueMappingResult(text=text, color=colour, index=place)
            for place, (value, (text, colour)) in enumerate(words.items())
        }
    )


def _runbook(name: str, runbooks: str) -> dashboard.DashboardLink:
    link = dashboard.DashboardLink(f"Runbook: {name}").type(model.DashboardLinkType.LINK)
    return link.url(f"{runbooks}/{PREFIX}{name}.md").target_blank(True)


# Each kind of panel


def _stat(panel: Panel, place: model.GridPos, runbooks: str) -> stat.Panel:
    drawn = _framed(stat.Panel(), panel, place, runbooks)
    drawn.color_mode(kinds.BigValueColorMode.VALUE).graph_mode(kinds.BigValueGraphMode.NONE)
    return drawn.reduce_options(_newest()).text_mode(kinds.BigValueTextMode.AUTO)


def _newest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields("")


def _timeseries(panel: Panel, place: model.GridPos, runbooks: str) -> timeseries.Panel:
    drawn = _framed(timeseries.Panel(), panel, place, runbooks)
    drawn.fill_opacity(30 if panel.stacked else 5).line_width(1).axis_soft_min(0)
    drawn.show_points(kinds.VisibilityMode.AUTO).span_nulls(panel.sparse)
    if panel.unit in _COUNTED:
        drawn.axis_soft_max(1)
    if panel.stacked:
        drawn.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    side = kinds.LegendPlacement.RIGHT if panel.width >= _WIDE else kinds.LegendPlacement.BOTTOM
    tooltip = common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
    legend = common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.TABLE).show_legend(True)
    return drawn.tooltip(tooltip).legend(legend.placement(side).calcs(["lastNotNull", "max"]))


def _bargauge(panel: Panel, place: model.GridPos, runbooks: str) -> bargauge.Panel:
    drawn = _framed(bargauge.Panel(), panel, place, runbooks)
    drawn.display_mode(kinds.BarGaugeDisplayMode.BASIC).orientation(kinds.VizOrientation.HORIZONTAL)
    drawn.value_mode(kinds.BarGaugeValueMode.TEXT).show_unfilled(True)
    drawn.sizing(kinds.BarGaugeSizing.MANUAL).min_viz_height(16).max_viz_height(40)
    text = common.VizTextDisplayOptions().value_size(_NUMBER).title_size(_NAME)
    return drawn.reduce_options(_newest()).min(0).text(text)


def _heatmap(panel: Panel, place: model.GridPos, runbooks: str) -> heatmap.Panel:
    drawn = _framed(heatmap.Panel(), panel, place, runbooks)
    axis = heatmap.YAxisConfig().unit(panel.unit).axis_placement(kinds.AxisPlacement.LEFT)
    colours = (
        heatmap.HeatmapColorOptions().mode(heatmaps.HeatmapColorMode.SCHEME).scheme("Blues").steps(64).reverse(True)
    )
    cells = heatmap.CellValues().unit(Unit.COUNT).decimals(1)
    drawn.calculate(False).y_axis(axis).color(colours.fill("dark-blue").exponent(0.5)).cell_values(cells)
    drawn.filter_values(heatmap.FilterValueRange().le(1e-9))
    return drawn.show_legend().mode(kinds.TooltipDisplayMode.SINGLE).cell_gap(1)


def _table(panel: Panel, place: model.GridPos, runbooks: str) -> table.Panel:
    drawn = _framed(table.Panel(), panel, place, runbooks)
    drawn.show_header(True).cell_height(kinds.TableCellHeight.SM)
    for transformation in _transformations(panel):
        drawn.with_transformation(transformation)
    for column in panel.columns:
        drawn.override_by_name(column.title, _column(column))
    return drawn


def _transformations(panel: Panel) -> list[model.DataTransformerConfig]:
    """Return what makes one table of the answers, with the columns in their order and no others."""
    steps: list[tuple[str, object]] = []
    if len(panel.queries) > 1:
        steps.append(("merge", {}))
    if panel.matrix is not None:
        row, column = panel.matrix
        spread = {"rowField": row, "columnField": column, "valueField": "Value", "emptyValue": "null"}
        steps.append(("groupingToMatrix", spread))
    if panel.sort is not None:
        by = {"field": panel.sort.lstrip("-"), "desc": panel.sort.startswith("-")}
        steps.append(("sortBy", {"fields": {}, "sort": [by]}))
    fields = [column.field for column in panel.columns]
    places = {field: place for place, field in enumerate(fields)}
    titles = {column.field: column.title for column in panel.columns}
    steps.append(("filterFieldsByName", {"include": {"names": fields}}))
    steps.append(("organize", {"indexByName": places, "renameByName": titles, "excludeByName": {}}))
    return [model.DataTransformerConfig(name, options=options) for name, options in steps]


def _column(column: Column) -> list[Property]:
    """Return how a column differs from the others; an empty cell never says what an empty panel says."""
    properties = [Property("noValue", column.none)]
    if column.unit is not None:
        properties.append(Property("unit", column.unit))
    if column.width is not None:
        properties.append(Property("custom.width", column.width))
    if column.link is not None:
        properties.append(Property("links", [{"title": f"Show this {column.title.lower()}", "url": column.link}]))
    if column.colours is not None:
        same = {text: (text, colour) for text, colour in column.colours.items()}
        properties += [Property("mappings", [_words(same)]), _COLOURED]
    if column.words is not None:
        properties += [Property("mappings", [_words(column.words)]), _COLOURED]
    if column.steps:
        properties += [Property("thresholds", scale(column.steps).build()), _COLOURED]
    return properties


_COLOURED = Property("custom.cellOptions", {"type": "color-text"})

_DRAW: Mapping[Kind, Callable[[Panel, model.GridPos, str], Builder[model.Panel]]] = {
    Kind.STAT: _stat,
    Kind.TIMESERIES: _timeseries,
    Kind.BARGAUGE: _bargauge,
    Kind.TABLE: _table,
    Kind.HEATMAP: _heatmap,
}
