"""The alerts of the rendered chart, by promtool: each fires at its fault, and is silent without."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from fastapi.testclient import TestClient

from serve.routing.router import Router
from tests.helm.conftest import Render, of_kind, profile
from tests.support import requirements
from tests.support.apps import app_on

RUNBOOKS = Path("docs/operations/runbooks")
HERE = 'namespace="prod",job="demo-route-feedback"'
PREFIX = "route_feedback_"
Series = dict[str, str]


class Case(NamedTuple):
    """What happens, minute by minute, and which alerts (name, severity, window) fire at that minute."""

    series: Series
    at: int
    fires: set[tuple[str, str, str]]


def pod(name: str, **labels: str) -> str:
    more = "".join(f',{label}="{value}"' for label, value in labels.items())
    return f'{name}{{{HERE},pod="a"{more}}}'


def steady(rates: Sequence[tuple[float, int]]) -> str:
    """A counter that grows by so much a minute for so many minutes, and so on."""
    value, runs = 0.0, ["0"]
    for rate, minutes in rates:
        runs.append(f"{value + rate:.10g}+{rate:.10g}x{minutes - 1}")
        value += rate * minutes
    return " ".join(runs)


def requests(status: str, *rates: tuple[float, int]) -> Series:
    outcome = {"200": "answered", "503": "overloaded", "422": "comment_invalid", "504": "deadline_passed"}[status]
    return {pod(PREFIX + "requests_total", outcome=outcome, status=status): steady(rates)}


def latency(late: Sequence[tuple[float, int]]) -> Series:
    """100 answers a minute, of which so many are later than 2 s."""
    intime = [(100 - count, minutes) for count, minutes in late]
    name = PREFIX + "latency_seconds"
    return {
        pod(name + "_bucket", le="2.0"): steady(intime),
        pod(name + "_count"): steady([(100, sum(minutes for _, minutes in late))]),
    }


def pairs(minutes: int, *checkpoints: str) -> Series:
    return {
        f'{PREFIX}pair_info{{{HERE},pod="{number}",checkpoint="{checkpoint}",taxonomy="tx_1"}}': f"1x{minutes}"
        for number, checkpoint in enumerate(checkpoints)
    }


def segments(first: Sequence[tuple[float, int]], second: Sequence[tuple[float, int]]) -> Series:
    name = PREFIX + "segments_total"
    return {
        pod(name, l1="Delivery", team="logistics", emotion="negative"): steady(first),
        pod(name, l1="Picture", team="development", emotion="negative"): steady(second),
    }


def reviews(rate: float, minutes: int) -> Series:
    return {pod(PREFIX + "reviews_total", team="logistics"): steady([(rate, minutes)])}


def activations(outcome: str, phase: str, values: str) -> Series:
    return {pod(PREFIX + "activations_total", outcome=outcome, phase=phase): values}


UP = {pod("up"): "1x15000"}
DAY = 24 * 60
BURN, LATE = "RouteFeedbackAvailabilityBurn", "RouteFeedbackLatencyBurn"
CASES: dict[str, Case] = {
    "all is well": Case(
        UP
        | requests("200", (100, 800))
        | requests("503", (0.2, 800))
        | latency([(1, 800)])
        | pairs(800, "ck_1", "ck_1")
        | segments([(60, 800)], [(60, 800)])
        | reviews(30, 800),
        790,
        set(),
    ),
    "an hour of many errors": Case(
        UP | requests("200", (100, 720)) | requests("503", (0, 660), (10, 60)), 718, {(BURN, "critical", "1h")}
    ),
    "an hour just below what burns fast": Case(
        UP | requests("200", (100, 720)) | requests("503", (0, 660), (7, 60)), 718, set()
    ),
    "half a day of some errors": Case(
        UP | requests("200", (100, 720)) | requests("503", (0, 360), (4, 360)),
        718,
        {(BURN, "critical", "6h"), (BURN, "warning", "3d")},
    ),
    "days of few errors": Case(
        UP | requests("200", (100, 3 * DAY)) | requests("503", (0.75, 3 * DAY)),
        3 * DAY - 2,
        {(BURN, "warning", "3d")},
    ),
    "days of fewer errors than are allowed": Case(
        UP | requests("200", (100, 3 * DAY)) | requests("503", (0.4, 3 * DAY)), 3 * DAY - 2, set()
    ),
    "errors that are over": Case(
        UP | requests("200", (100, 720)) | requests("503", (0, 680), (100, 5), (0, 35)), 718, set()
    ),
    "what clients do wrong": Case(
        UP | requests("200", (10, 720)) | requests("422", (100, 720)) | requests("504", (100, 720)), 718, set()
    ),
    "no traffic at all": Case(
        UP | requests("200", (0, 720)) | requests("503", (0, 720)) | latency([(0, 720)]), 718, set()
    ),
    "an hour of late answers": Case(UP | latency([(0, 640), (100, 80)]), 718, {(LATE, "critical", "1h")}),
    "an hour of half the answers late": Case(UP | latency([(0, 640), (50, 80)]), 718, set()),
    "half a day of half the answers late": Case(
        UP | latency([(0, 360), (50, 360)]), 718, {(LATE, "critical", "6h"), (LATE, "warning", "3d")}
    ),
    "one violation": Case(
        UP | {pod(PREFIX + "violations_total"): "0x30 1x4"}, 34, {("RouteFeedbackViolations", "critical", "")}
    ),
    "a violation a while ago": Case(UP | {pod(PREFIX + "violations_total"): "0x30 1x20"}, 48, set()),
    "most segments for a person": Case(
        UP | segments([(50, 200)], [(50, 200)]) | reviews(60, 200), 190, {("RouteFeedbackReviewShare", "warning", "")}
    ),
    "some segments for a person": Case(UP | segments([(50, 200)], [(50, 200)]) | reviews(45, 200), 190, set()),
    "two checkpoints for long": Case(
        UP | pairs(60, "ck_1", "ck_2"), 40, {("RouteFeedbackCheckpointSkew", "warning", "")}
    ),
    "two checkpoints while one replaces the other": Case(UP | pairs(60, "ck_1", "ck_2"), 25, set()),
    "an activation that failed": Case(
        UP | activations("failed", "loading", "0x30 1x4"), 34, {("RouteFeedbackActivationFailed", "warning", "")}
    ),
    "an activation that failed long ago": Case(UP | activations("failed", "loading", "0x30 1x40"), 68, set()),
    "activations that came to their end, or to nothing": Case(
        UP | activations("active", "retiring", "0x30 1x4") | activations("failed", "resolving", "0x30 1x4"), 34, set()
    ),
    "other things written about": Case(
        UP | segments([(8, 8 * DAY), (2, DAY)], [(2, 8 * DAY), (8, DAY)]),
        9 * DAY - 10,
        {("RouteFeedbackDrift", "warning", "")},
    ),
    "somewhat other things written about": Case(
        UP | segments([(6, 8 * DAY), (5, DAY)], [(4, 8 * DAY), (5, DAY)]), 9 * DAY - 10, set()
    ),
    "other things by few": Case(
        UP | segments([(0.08, 8 * DAY), (0.02, DAY)], [(0.02, 8 * DAY), (0.08, DAY)]), 9 * DAY - 10, set()
    ),
    "one pod of two gone": Case(
        {pod("up"): "1x20", f'up{{{HERE},pod="b"}}': "0x20"}, 10, {("RouteFeedbackTargetDown", "warning", "")}
    ),
    "all pods gone": Case(
        {pod("up"): "0x20"},
        10,
        {("RouteFeedbackTargetDown", "warning", ""), ("RouteFeedbackTargetMissing", "critical", "")},
    ),
    "nothing to be scraped": Case(
        {f"up{{{HERE.replace('demo', 'other')}}}": "1x20"}, 10, {("RouteFeedbackTargetMissing", "critical", "")}
    ),
}
MUTATIONS = {
    "a fast burn twice as fast": ("14.4", "28.8", "an hour of many errors"),
    "a fast burn at less": ("14.4", "12", "an hour just below what burns fast"),
    "a slow burn at more": (" 6 * ", " 9 * ", "half a day of some errors"),
    "another objective": ("(1 - 0.995)", "(1 - 0.99)", "days of few errors"),
    "another status": ("500|503", "500", "an hour of many errors"),
    "the client's errors as ours": ('"500|503"', '"4..|50."', "what clients do wrong"),
    "another edge": ('le="2.0"', 'le="2"', "half a day of half the answers late"),
    "another metric": ("route_feedback_violations_total", "route_feedback_violation_total", "one violation"),
    "another outcome of an activation": ('outcome="failed"', 'outcome="failure"', "an activation that failed"),
    "a patient skew": ("for: 30m", "for: 50m", "two checkpoints for long"),
    "more reviews borne": ("> 0.5", "> 0.65", "most segments for a person"),
    "targets given up late": ("for: 5m", "for: 30m", "all pods gone"),
}


@pytest.fixture(scope="module")
def rules(render: Render) -> dict[str, Any]:
    """The groups as the chart renders them for one GPU: 99.5% available, 95% within 2 s."""
    spec: dict[str, Any] = of_kind(render(profile("gpu")), "PrometheusRule")["spec"]
    return spec


def verdict(folder: Path, rules: str, case: Case) -> subprocess.CompletedProcess[str]:
    promtool = requirements.program("promtool", "prometheus")
    (folder / "rules.yaml").write_text(rules)
    expected = [
        {
            "labels": "{" + ",".join(f'{k}="{v}"' for k, v in zip(NAMES, alert, strict=True) if v) + "}",
            "value": 1,
        }
        for alert in case.fires
    ]
    firing = f'count by ({", ".join(NAMES)}) (ALERTS{{alertstate="firing"}})'
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "5m" if case.at > DAY else "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "promql_expr_test": [{"expr": firing, "eval_time": f"{case.at}m", "exp_samples": expected}],
            }
        ],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    return subprocess.run(
        [promtool, "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )


NAMES = ("alertname", "severity", "window")


@pytest.mark.parametrize("name", CASES)
def test_alerts_fire_at_their_faults_and_no_others_with_them(tmp_path: Path, rules: dict[str, Any], name: str) -> None:
    result = verdict(tmp_path, yaml.safe_dump(rules), CASES[name])
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_changed_threshold_or_name_is_noticed(tmp_path: Path, rules: dict[str, Any], name: str) -> None:
    old, new, case = MUTATIONS[name]
    flat = [
        group | {"rules": [rule | {"expr": " ".join(rule["expr"].split())} for rule in group["rules"]]}
        for group in rules["groups"]
    ]
    text = yaml.safe_dump({"groups": flat}, width=10_000)
    assert old in text
    assert verdict(tmp_path, text.replace(old, new), CASES[case]).returncode != 0


def test_every_alert_has_a_case_in_which_it_fires(rules: dict[str, Any]) -> None:
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    assert alerts == {alert for case in CASES.values() for alert, _, _ in case.fires}


def test_promtool_finds_no_fault_in_the_rules_of_any_profile(render: Render, tmp_path: Path) -> None:
    promtool = requirements.program("promtool", "prometheus")
    for name in ("gpu", "fleet"):
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(of_kind(render(profile(name)), "PrometheusRule")["spec"]))
        result = subprocess.run(
            [promtool, "check", "rules", "--lint-fatal", str(file)], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_has_a_runbook_and_every_runbook_an_alert(rules: dict[str, Any]) -> None:
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    assert {f"{rule['alert']}.md" for rule in alerts} == {page.name for page in RUNBOOKS.glob("*.md")}
    for rule in alerts:
        assert rule["annotations"]["runbook_url"].endswith(f"/{rule['alert']}.md")
        assert rule["annotations"]["summary"]
        page = (RUNBOOKS / f"{rule['alert']}.md").read_text()
        assert [line for line in page.splitlines() if line.startswith("## ")] == ["## Means", "## Look", "## Do"]


def test_rules_and_scalers_name_metrics_that_are_exposed(
    render: Render, rules: dict[str, Any], scripted_router: Router
) -> None:
    exposed = TestClient(app_on(scripted_router)).get("/metrics").text
    scaler = of_kind(render({"autoscaling": {"kind": "keda"}}), "ScaledObject")["spec"]["triggers"][0]["metadata"]
    named = set(re.findall(r"\broute_feedback_\w+", yaml.safe_dump(rules) + scaler["query"]))
    assert len(named) >= 8
    for name in named:
        assert re.search(rf"^{name}[{{ ]", exposed, re.MULTILINE), name
