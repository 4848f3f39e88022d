"""The report shows what was measured, in three files that tell the same, and opens in a browser without a network."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_jsonable_python

from eval.bench.scores import worsened
from eval.general.figures import BenchmarkScores, GeneralRun, GeneralScores, QuestionResult, figure
from eval.judging.paired import with_general
from eval.report.files import rendered, write_report
from eval.report.report import Confusion, Report, Side, confusions, report, trust_of, where_wrong, worst
from eval.scoring.matched import matched
from eval.scoring.predictions import Prediction, Predictions, Segment
from route_feedback import main
from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.manifest import Manifest, read_manifest
from taxonomy.comments import LabelledComment, Span, write_comments
from taxonomy.labels import LEVELS
from taxonomy.tree import Leaf, taxonomy_of
from tests.support import requirements
from train.corpus.generator import Corpus, load_phrasebook

GOLD = list(Corpus(load_phrasebook(), "test").comments(60))
SURE = {name: 0.9 - n / 10 for n, name in enumerate([*LEVELS, "emotion"])} | {"team": 0.95}


def side(name: str, seed: int) -> Side:
    predictions = [
        p._replace(segments=tuple(s._replace(confidence=SURE) for s in p.segments)) for p in worsened(GOLD, seed)
    ]
    return Side(name, Predictions(predictions, {"missing": ["7"]}))


@pytest.fixture(scope="module")
def found() -> Report:
    return report(GOLD, [side("candidate", 1), side("baseline", 2)], bundled_taxonomy(), {}, None)


@pytest.fixture(scope="module")
def folder(found: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(found, folder)
    return folder


def test_html_markdown_and_json_tell_the_same(folder: Path, found: Report) -> None:
    assert json.loads((folder / "report.json").read_text()) == to_jsonable_python(found)
    assert found.comparison
    assert found.trust
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text()
        for shown in (
            found.sides[0].scores["leaf"]["micro"]["f1"],
            found.sides[1].seed_compat["L4"].f1,
            found.comparison.leaf_f1.minimum_detectable,
            found.trust.levels["L1"].ece,
            found.sides[0].scores["emotion"]["accuracy"],
            found.sides[1].scores["emotion"]["always"]["accuracy"],
        ):
            assert f"{shown:.4f}" in text
        for word in ("Nova 2 Lite", "0.0038", "missing", found.worst[0].id):
            assert word in text


def test_what_is_routed_at_an_error_is_told_of_the_team_and_of_the_leaf() -> None:
    """Of twenty comments of one segment each, the surest fifteen have the right leaf, the next four the right team."""
    tree = taxonomy_of([Leaf(("a",), team="one"), Leaf(("b",), team="one"), Leaf(("c",), team="two")])
    gold = [LabelledComment(str(n), "0123456789", (Span(0, 5, ("a",), "neutral"),)) for n in range(20)]
    given = ["a"] * 15 + ["b"] * 4 + ["c"]

    def predicted(n: int, label: str, *names: str) -> Prediction:
        return Prediction(str(n), (Segment(0, 5, (label,), "neutral", dict.fromkeys(names, 0.9 - n / 100)),))

    predictions = [predicted(n, label, "L1", "emotion", "team") for n, label in enumerate(given)]
    found = trust_of(gold, predictions, tree)
    assert found
    assert found.routing["team"].at_error == 1.0, "one of twenty"
    assert found.routing["leaf"].at_error == 0.75
    assert found.routing["team"].risk[-1].error == 0.05
    whole = report(gold, [Side("candidate", Predictions(predictions, {}))], tree)
    for template in ("report.html", "report.md"):
        text = rendered(template, whole)
        assert "route at 5% team error" in text
        assert "route at 5% leaf error" in text
    assert rendered("report.html", whole).count('class="routing"') == 2
    without = trust_of(gold, [predicted(n, label, "L1", "emotion") for n, label in enumerate(given)], tree)
    assert without
    assert without.routing.keys() == {"leaf"}


def measured(right: list[bool]) -> Manifest:
    """The bundled manifest, had it answered these questions so."""
    questions = [
        QuestionResult("suite", "sort", f"suite/{n}", "h", {"accuracy": (r,)}, "") for n, r in enumerate(right)
    ]
    suite = BenchmarkScores({"accuracy": figure("accuracy", questions)}, {})
    bare = read_manifest(BUNDLED_CHECKPOINT).model_copy(update={"scores": {}})
    return with_general(bare, GeneralRun(GeneralScores("0", None, {"suite": suite}), questions))


def test_both_axes_stand_beside_the_baseline_question_by_question() -> None:
    sides = [
        side("candidate", 1)._replace(manifest=measured([True] * 60 + [False] * 40)),
        side("baseline", 2)._replace(manifest=measured([True] * 70 + [False] * 30)),
    ]
    found = report(GOLD, sides, bundled_taxonomy())
    drop = found.general_drops["suite.accuracy"]
    assert (drop.drop, drop.lost, drop.gained, drop.pairs) == (0.1, 10, 0, 100)
    assert (found.sides[0].general["suite.accuracy"].value, found.sides[0].general["suite.accuracy"].count) == (
        0.6,
        100,
    )
    for template in ("report.html", "report.md"):
        text = rendered(template, found)
        assert f"{drop.upper_95:+.4f}" in text
        assert "suite.accuracy" in text


def test_nothing_is_loaded_from_anywhere(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    assert not re.search(r"https?://|src=|<link|<script|@import|url\(", text)


def test_what_was_not_measured_is_said_and_never_zero(found: Report) -> None:
    bare = report(GOLD, [Side("candidate", Predictions(list(worsened(GOLD, 1)), {}))], bundled_taxonomy())
    for template in ("report.html", "report.md"):
        text = rendered(template, bare)
        assert "not measured" in text
    assert "the predictions carry no confidences" in rendered("report.html", bare)
    assert "no training comments were given" in rendered("report.html", bare)
    assert (bare.trust, bare.comparison, bare.decision) == (None, None, None)
    assert rendered("report.md", found).count("not scored") == 4 * 2, "four empty bins, two sides"


def test_what_a_customer_wrote_is_text_and_never_markup() -> None:
    nasty = "<script>alert(1)</script> | `x` ![](http://x)"
    gold = [LabelledComment("<b>", nasty, (Span(0, 5, ("a", "b"), "neutral"),))]
    found = report(gold, [Side("candidate", Predictions([_empty("<b>")], {}))], bundled_taxonomy())
    html, markdown = rendered("report.html", found), rendered("report.md", found)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in markdown.replace(r"\<script", "")
    assert r"\| \`x\` !\[\]" in markdown


def _empty(id: str) -> Any:  # noqa: A002
    return next(iter(worsened([LabelledComment(id, "x", ())])))


def spans(*paths: tuple[str, ...]) -> tuple[Span, ...]:
    return tuple(Span(5 * n, 5 * n + 5, path, "neutral") for n, path in enumerate(paths))


def test_each_gold_segment_is_counted_where_it_first_goes_wrong() -> None:
    text = "x" * 25
    gold = [LabelledComment("1", text, spans(("a", "b"), ("a", "b"), ("a", "b"), ("a", "b"), ("a", "b")))]
    predicted = [LabelledComment("1", text, spans(("a", "b"), ("a", "c"), ("d", "e"), ("a", "c")))]
    both = matched(gold, predicted)
    assert [(row.what, row.segments) for row in where_wrong(both)] == [
        ("right", 1),
        ("wrong from L2 on", 2),
        ("wrong from L1 on", 1),
        ("missed", 1),
    ]
    assert confusions(both) == {
        "L1": [Confusion("a", "d", 1)],
        "L2": [Confusion("a > b", "a > c", 2)],
    }


def test_the_worst_comment_comes_first_and_the_right_ones_not_at_all() -> None:
    text = "x" * 10
    gold = [LabelledComment(str(n), text, spans(("a",), ("a",))) for n in range(3)]
    predicted = [
        LabelledComment(str(n), text, spans(*paths)) for n, paths in enumerate([[("a",)] * 2, [("a",)], [("b",)] * 2])
    ]
    predictions = side("x", 0).read.predictions[:3]
    predictions = [p._replace(segments=()) for p in predictions]
    shown = worst(gold, predictions, matched(gold, predicted))
    assert [(row.id, row.faults) for row in shown] == [("2", 4), ("1", 1)]


def test_the_command_writes_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_comments(GOLD, tmp_path / "g.jsonl")
    gold, pred = f"--gold={tmp_path / 'g.jsonl'}", f"--pred={tmp_path / 'g.jsonl'}"
    out = tmp_path / "out"
    assert main(["eval", "report", gold, pred, f"--checkpoint={BUNDLED_CHECKPOINT}", f"--out={out}", "--json"]) == 0
    assert [Path(file).name for file in json.loads(capsys.readouterr().out)["files"]] == [
        "report.html",
        "report.md",
        "report.json",
    ]
    assert "every segment is found with its leaf" in (out / "report.html").read_text()
    assert main(["eval", "report", gold, pred, f"--baseline={BUNDLED_CHECKPOINT}", f"--out={out}"]) == 2


def test_a_real_browser_shows_it_without_a_network(folder: Path, found: Report, tmp_path: Path) -> None:
    chromium = requirements.program("chromium", "chromium")
    picture = tmp_path / "report.png"

    def browse(*arguments: str) -> str:
        call = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        offline = ["--proxy-server=http://127.0.0.1:9", "--window-size=1200,2400"]
        page = (folder / "report.html").as_uri()
        done = subprocess.run(
            [*call, *offline, *arguments, page], capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout

    dom = browse("--dump-dom")
    shown = re.search(r'id="leaf-f1">([\d.]+)<', dom)
    assert shown
    assert found.trust
    assert shown[1] == f"{found.sides[0].scores['leaf']['micro']['f1']:.4f}"
    assert dom.count("<svg") >= 5 + len(found.trust.levels)
    assert "NaN" not in dom
    browse(f"--screenshot={picture}")
    assert picture.stat().st_size > 50_000, "an empty page is smaller"
