"""What the dashboards are made of: panels with a title, a description, a unit, queries, legends and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    nodegraph,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
BUILD: Final = 'parley_build_info{server_id=~"$server",feature=~"$feature|DISCOVERY"}'
"""The processes that are chosen. Discovery's is among them always: it tells of all features."""
WHO: Final = f"* on (job, instance) group_left (server_id) {BUILD}"
"""Gives a process's samples their server's name, and leaves out what is not chosen."""
BOTH: Final = WHO.replace("group_left (server_id)", "group_left (server_id, feature)")
"""The same for samples that do not tell their feature."""

Step = tuple[float, str]


@dataclass(frozen=True)
class Query:
    """An expression, and the legend of its series."""

    expr: str
    legend: str = ""
    name: str = ""


def rate(metric: str, by: str, selector: str = "", who: str = WHO) -> str:
    """How often something happens each second."""
    return f"sum by ({by}) (rate({metric}{selector}[$__rate_interval]) {who})"


def quantile(number: float, metric: str, by: str, who: str = WHO) -> str:
    """A quantile of a histogram."""
    return f"histogram_quantile({number}, {rate(f'{metric}_bucket', f'{by}, le', who=who)})"


def _thresholds(steps: Sequence[Step]) -> dashboard.ThresholdsConfig:
    given = [models.Threshold(value=None, color="green"), *(models.Threshold(value=v, color=c) for v, c in steps)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(given)


def _described(panel: Any, title: str, description: str, unit: str, size: tuple[int, int]) -> Any:
    width, height = size
    panel = panel.title(title).description(description).datasource(SOURCE).span(width).height(height)
    return panel.unit(unit)


def _targets(panel: Any, queries: Sequence[Query]) -> Any:
    for letter, query in zip("ABCDEF", queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(query.name or letter)
        panel = panel.with_target(target.legend_format(query.legend or "__auto").range())
    return panel


def _instant(panel: Any, queries: Sequence[Query]) -> Any:
    for letter, query in zip("ABCDEF", queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(query.name or letter)
        panel = panel.with_target(target.instant().format(prometheus_models.PromQueryFormat.TABLE))
    return panel


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    steps: Sequence[Step] = (),
    size: tuple[int, int] = (12, 8),
) -> timeseries.Panel:
    """Lines over time."""
    panel = _described(timeseries.Panel(), title, description, unit, size)
    legend = common.VizLegendOptions().display_mode(common_models.LegendDisplayMode.LIST).show_legend(True)
    panel = panel.legend(legend.placement(common_models.LegendPlacement.BOTTOM))
    tooltip = common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI)
    panel = panel.tooltip(tooltip.sort(common_models.SortOrder.DESCENDING))
    style = common_models.GraphThresholdsStyleMode.DASHED if steps else common_models.GraphThresholdsStyleMode.OFF
    panel = panel.thresholds(_thresholds(steps)).thresholds_style(common.GraphThresholdsStyleConfig().mode(style))
    return _targets(panel.line_width(1.5).fill_opacity(8).min(0), queries)


def number(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    steps: Sequence[Step] = (),
    size: tuple[int, int] = (4, 4),
) -> stat.Panel:
    """One number, now."""
    panel = _described(stat.Panel(), title, description, unit, size).thresholds(_thresholds(steps))
    panel = panel.graph_mode(common_models.BigValueGraphMode.AREA)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    return _targets(panel, [query])


def matrix(
    title: str, description: str, unit: str, query: Query, *, rows: str, columns: str, steps: Sequence[Step]
) -> table.Panel:
    """A table with one label down and another across."""
    panel = _described(table.Panel().show_header(True), title, description, unit, (12, 8)).thresholds(
        _thresholds(steps)
    )
    fields = {"rowField": rows, "columnField": columns, "valueField": "Value", "emptyValue": "null"}
    panel = panel.with_transformation(models.DataTransformerConfig(id_val="groupingToMatrix", options=fields))
    painted = models.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"})
    panel = panel.with_override(models.MatcherConfig(id_val="byType", options="number"), [painted])
    return _instant(panel, [query])


def listed(title: str, description: str, unit: str, query: Query, *, names: dict[str, str]) -> table.Panel:
    """A table: `names` are the labels that are shown, and their headings."""
    panel = _described(table.Panel().show_header(True), title, description, unit, (12, 8)).thresholds(
        _thresholds(())
    )
    options = {"excludeByName": {"Time": True}, "renameByName": names}
    panel = panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=options))
    return _instant(panel, [query])


def heat(title: str, description: str, unit: str, query: Query) -> heatmap.Panel:
    """How many of which size, over time."""
    panel = _described(heatmap.Panel(), title, description, unit, (24, 9)).calculate(False)
    panel = panel.y_axis(heatmap.YAxisConfig().unit(unit))
    target = prometheus.Dataquery().expr(query.expr).ref_id("A").legend_format("{{le}}").range()
    return panel.with_target(target.format(prometheus_models.PromQueryFormat.HEATMAP))


def graph_of_nodes(title: str, description: str, nodes: Query, edges: Query) -> nodegraph.Panel:
    """Servers and links: `nodes` has the labels id and title, `edges` id, source and target."""
    panel = _described(nodegraph.Panel(), title, description, "short", (12, 12))
    names = {f"Value #{query.name}": "mainstat" for query in (nodes, edges)}
    options = {"excludeByName": {"Time": True}, "renameByName": names}
    panel = panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=options))
    panel = panel.thresholds(_thresholds(())).nodes(nodegraph.NodeOptions().main_stat_unit("short"))
    return _instant(panel, [nodes, edges])


def board(uid: str, title: str, description: str, *panels: Any) -> dashboard.Dashboard:
    """A dashboard, with what all of them have in common."""
    board = dashboard.Dashboard(f"Parley: {title}").uid(f"parley-{uid}").description(description).tags(["parley"])
    board = board.readonly().time("now-15m", "now").refresh("5s").timezone("browser")
    board = board.tooltip(models.DashboardCursorSync.CROSSHAIR)
    board = board.link(dashboard.DashboardLink("Parley").type("dashboards").tags(["parley"]).keep_time(True))
    board = board.with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    for name, label, query in (
        ("server", "Server", "label_values(parley_build_info, server_id)"),
        ("feature", "Feature", 'label_values(parley_build_info{feature!="DISCOVERY"}, feature)'),
    ):
        variable = dashboard.QueryVariable(name).label(label).query(query).datasource(SOURCE).multi(True)
        variable = variable.include_all(True).all_value(".*").refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        everything = models.VariableOption(selected=True, text="All", value="$__all")
        board = board.with_variable(variable.sort(models.VariableSort.ALPHABETICAL_ASC).current(everything))
    for panel in panels:
        board = board.with_panel(panel)
    return board
