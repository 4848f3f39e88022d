"""The dashboards, built from their panels."""

from __future__ import annotations

from string import ascii_uppercase
from typing import Final

from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig, VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import DataSourceRef, GraphThresholdsStyleMode, LegendDisplayMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)

from helm.dashboards.activations import ACTIVATIONS
from helm.dashboards.charts import ALL, Chart
from helm.dashboards.engine import ENGINE
from helm.dashboards.quality import QUALITY
from helm.dashboards.service import SERVICE
from helm.dashboards.slo import SLO

SOURCE: Final = DataSourceRef("prometheus", "${source}")
TAG: Final = "route-feedback"
DASHBOARDS: Final = {
    "service": ("route-feedback: service", SERVICE),
    "quality": ("route-feedback: quality and drift", QUALITY),
    "activations": ("route-feedback: checkpoints and activations", ACTIVATIONS),
    "engine": ("route-feedback: engine", ENGINE),
    "slo": ("route-feedback: objectives", SLO),
}


def dashboard(name: str) -> Dashboard:
    title, rows = DASHBOARDS[name]
    made = (
        Dashboard(title)
        .uid(f"route-feedback-{name}")
        .tags([TAG])
        .time("now-6h", "now")
        .refresh("1m")
        .link(
            DashboardLink("route-feedback")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(include_vars=True)
            .keep_time(keep_time=True)
        )
        .with_variable(DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(_variable("namespace", "label_values(route_feedback_pair_info, namespace)"))
        .with_variable(
            _variable(
                "checkpoint", 'label_values(route_feedback_pair_info{namespace="$namespace"}, checkpoint)', many=True
            )
        )
        .with_variable(
            _variable(
                "replica",
                'label_values(route_feedback_pair_info{namespace="$namespace",checkpoint=~"$checkpoint"}, pod)',
                many=True,
            )
        )
        .annotation(_new_pairs())
    )
    for row, charts in rows.items():
        made.with_row(Row(row))
        for chart in charts:
            made.with_panel(_panel(chart))
    return made


def _variable(name: str, query: str, *, many: bool = False) -> QueryVariable:
    made = QueryVariable(name).datasource(SOURCE).query(query).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    made.sort(VariableSort.ALPHABETICAL_ASC)
    return made.multi(multi=True).include_all(include_all=True).all_value(".*") if many else made


def _new_pairs() -> AnnotationQuery:
    pairs = f"count by (checkpoint, taxonomy) (route_feedback_pair_info{{{ALL}}}"
    return (
        AnnotationQuery()
        .name("New pairs")
        .datasource(SOURCE)
        .enable(enable=True)
        .icon_color("blue")
        .expr(f"{pairs}) unless {pairs} offset 2m)")
        .title_format("now answering")
        .text_format("{{checkpoint}} {{taxonomy}}")
    )


def _panel(chart: Chart) -> TimeSeries:
    panel = TimeSeries().title(chart.title).description(chart.description).unit(chart.unit).datasource(SOURCE)
    panel.span(12).height(8).thresholds(_thresholds(chart))
    panel.legend(VizLegendOptions().show_legend(show_legend=True).display_mode(LegendDisplayMode.LIST))
    if chart.warn is not None or chart.bad is not None:
        panel.thresholds_style(GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    for letter, (legend, expr) in zip(ascii_uppercase, chart.queries.items(), strict=False):
        query = Dataquery().datasource(SOURCE).ref_id(letter).expr(expr).legend_format(legend).range()
        panel.with_target(query.exemplar(exemplar=True) if chart.has_exemplars else query)
    return panel


def _thresholds(chart: Chart) -> ThresholdsConfig:
    steps = [Threshold(None, "green")]
    steps += [
        Threshold(value, color) for value, color in ((chart.warn, "yellow"), (chart.bad, "red")) if value is not None
    ]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def written(name: str) -> str:
    """The dashboard's file."""
    text: str = JSONEncoder(sort_keys=True, indent=1).encode(dashboard(name).build())
    return text + "\n"
