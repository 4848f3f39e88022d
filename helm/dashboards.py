"""The dashboards as code: `python -m helm.dashboards` writes them into the chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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

from helm.charts import ALL, HERE, Chart, gauge, of_pods, quantiles, rate, share
from helm.engine import ENGINE

OUT: Final = Path(__file__).parent / "route-feedback" / "dashboards"
SOURCE: Final = DataSourceRef("prometheus", "${source}")
TAG: Final = "route-feedback"
SERVICE: Final = {
    "Requests": [
        Chart("Requests", "By how they ended.", "reqps", {"{{outcome}}": rate("requests_total", "outcome")}),
        Chart(
            "Unavailable",
            "Share that ended in 500 or 503, of those that the service had to answer.",
            "percentunit",
            {
                "unavailable": share(
                    rate("requests_total", where=',status=~"500|503"'),
                    rate("requests_total", where=',status=~"200|500|503"'),
                )
            },
            0.005,
            0.05,
        ),
        Chart(
            "Latency",
            "From request to answer. The dots are single requests, which lead to their traces where there are any.",
            "s",
            quantiles("latency_seconds", 0.5, 0.95, 0.99),
            1,
            3,
            has_exemplars=True,
        ),
        Chart("Stages", "Where the time of an answer goes.", "s", quantiles("stage_seconds", 0.95, by="stage")),
    ],
    "Queue": [
        Chart(
            "Waiting",
            "Comments that wait for a turn; at the limit more are refused.",
            "short",
            {"{{pod}}": gauge("queue_waiting"), "limit {{pod}}": gauge("queue_limit")},
        ),
        Chart(
            "Expected wait",
            "Of a newcomer. What scales the pods.",
            "s",
            {"{{pod}}": gauge("queue_expected_seconds")},
            1,
            3,
        ),
        Chart(
            "Turns held",
            "Comments with the engine; at the limit others wait.",
            "short",
            {"{{pod}}": gauge("turns_held"), "limit {{pod}}": gauge("turns_limit")},
        ),
    ],
    "Process": [
        Chart(
            "CPU",
            "Of the service's process; the engine's core, where it is a process of its own, is not in it.",
            "short",
            {"{{pod}}": of_pods(f"rate(process_cpu_seconds_total{{{HERE}}}[$__rate_interval])")},
        ),
        Chart(
            "Memory", "Resident, of the same.", "bytes",
            {"{{pod}}": of_pods(f"process_resident_memory_bytes{{{HERE}}}")},
        ),
        Chart(
            "Active pair",
            "Pods by the checkpoint and taxonomy that they answer with: more than one line is a roll-out, or skew.",
            "short",
            {"{{checkpoint}} {{taxonomy}}": f"count by (checkpoint, taxonomy) ({gauge('pair_info')})"},
        ),
        Chart(
            "Taxonomy compiled",
            "How long the automaton took at the start, compiled or read from disk.",
            "s",
            {"{{pod}}": gauge("taxonomy_compile_seconds")},
        ),
    ],
}  # fmt: skip
QUALITY: Final = {
    "Answers": [
        Chart("Segments", "By top-level label.", "short", {"{{l1}}": rate("segments_total", "l1")}),
        Chart("Teams", "Segments by the team that gets them.", "short", {"{{team}}": rate("segments_total", "team")}),
        Chart(
            "Emotions",
            "Share of the segments.",
            "percentunit",
            {
                "{{emotion}}": f"{rate('segments_total', 'emotion')} / ignoring (emotion) group_left () "
                f"({rate('segments_total')} > 0)"
            },
        ),
        Chart(
            "Segments of a comment", "Residue not counted.", "short", quantiles("segments_per_comment", 0.5, 0.95)
        ),
        Chart(
            "Residue",
            "Share of the text without feedback. A rise may be a subject that the taxonomy lacks.",
            "percentunit",
            {"residue": share(rate("characters_total", where=',kind="residue"'), rate("characters_total"))},
        ),
    ],
    "Certainty": [
        Chart(
            "Confidence",
            "Median probability of the path down to each level, and of the emotion.",
            "percentunit",
            quantiles("confidence", 0.5, by="level"),
        ),
        Chart(
            "For review",
            "Share of the segments that need a person.",
            "percentunit",
            {"for review": share(rate("reviews_total"), rate("segments_total"))},
            0.3,
            0.5,
        ),
        Chart(
            "For review, by team", "Segments that need a person.", "short", {"{{team}}": rate("reviews_total", "team")}
        ),
    ],
    "Drift": [
        Chart(
            "Drift of L1",
            "Population stability index of the last day against the week before: over 0.1 some, over 0.25 much.",
            "short",
            {"PSI": f"route_feedback:l1_drift:psi1d{{{ALL}}}"},
            0.1,
            0.25,
        ),
        Chart(
            "What moved",
            "Share of each L1 in the last day less its share in the week before.",
            "percentunit",
            {
                "{{l1}}": f"route_feedback:l1_share:increase1d{{{ALL}}} "
                f"- route_feedback:l1_share_before:increase7d{{{ALL}}}"
            },
        ),
    ],
    "Constraint": [
        Chart(
            "Violations",
            "Answers outside the language of answers, refused. There should be none.",
            "short",
            {"{{pod}}": f"increase({gauge('violations_total')}[$__rate_interval])"},
            bad=0.5,
        ),
    ],
}  # fmt: skip


def burns(name: str) -> dict[str, str]:
    allowed = f"on (namespace, job) group_left () route_feedback:{name}:allowed{{{ALL}}}"
    return {
        window: f"route_feedback:{name}:ratio_rate{window}{{{ALL}}} / {allowed}" for window in ("5m", "1h", "6h", "3d")
    }


SLO: Final = {
    title: [
        Chart(
            f"{title}: burn",
            "How many times faster than it lasts the error budget is spent. Alerts: 14.4 for an hour, 6 for six, 1 for "
            "three days.",
            "short",
            burns(name),
            1,
            6,
        ),
        Chart(
            f"{title}: missed",
            f"Share of the requests that were {name}, and what the objective allows.",
            "percentunit",
            {
                "of the last 3 days": f"route_feedback:{name}:ratio_rate3d{{{ALL}}}",
                "allowed": f"route_feedback:{name}:allowed{{{ALL}}}",
            },
        ),
    ]
    for title, name in (("Availability", "unavailable"), ("Latency", "late"))
}
DASHBOARDS: Final = {
    "service": ("route-feedback: service", SERVICE),
    "quality": ("route-feedback: quality and drift", QUALITY),
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


def main(names: Sequence[str] = tuple(DASHBOARDS)) -> None:
    OUT.mkdir(exist_ok=True)
    for name in names:
        (OUT / f"{name}.json").write_text(written(name), encoding="utf-8")


if __name__ == "__main__":
    main()
