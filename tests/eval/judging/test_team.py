"""The team's probability is calibrated, and its threshold keeps what it promises."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from scipy.special import expit, logit

from eval.judging.calibrate import Confidences, calibrate, confidences, held_out, least_of
from eval.scoring.predictions import Prediction, Segment
from route_feedback import main
from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.manifest import publish, read_manifest
from taxonomy.comments import LabelledComment, Span
from taxonomy.tree import Leaf, taxonomy_of

T = TypeVar("T")
TREE = taxonomy_of([Leaf(("a",), team="one"), Leaf(("b",), team="one"), Leaf(("c",), team="two")])
SURE = {"L1": 0.6, "emotion": 0.9, "team": 0.8}


def compared(gold: str, predicted: str, place: tuple[int, int] = (0, 5)) -> tuple[LabelledComment, Prediction]:
    return (
        LabelledComment("1", "0123456789", (Span(0, 5, (gold,), "neutral"),)),
        Prediction("1", (Segment(*place, (predicted,), "neutral", SURE),)),
    )


@pytest.mark.parametrize(
    ("gold", "predicted", "place", "right"),
    [
        ("a", "a", (0, 5), True),
        ("a", "b", (0, 5), True),
        ("a", "c", (0, 5), False),
        ("a", "a", (6, 9), False),
        ("z", "a", (0, 5), False),
        ("z", "y", (0, 5), False),
    ],
)
def test_a_team_is_right_where_the_gold_leaf_has_it_whichever_leaf_that_is(
    gold: str,
    predicted: str,
    place: tuple[int, int],
    right: bool,  # noqa: FBT001 (a case)
) -> None:
    comment, prediction = compared(gold, predicted, place)
    assert confidences([comment], [prediction], TREE).right["team"].tolist() == [right]


def test_nothing_is_said_of_teams_without_a_taxonomy_or_where_a_segment_lacks_its_probability() -> None:
    comment, prediction = compared("a", "b")
    assert not confidences([comment], [prediction]).has_teams
    older = replace_confidence(prediction, {"L1": 0.6, "emotion": 0.9})
    assert not confidences([comment], [older], TREE).has_teams


def replace_confidence(prediction: Prediction, confidence: dict[str, float]) -> Prediction:
    return prediction._replace(segments=tuple(s._replace(confidence=confidence) for s in prediction.segments))


def drawn(count: int = 6000, seed: int = 0) -> Confidences:
    """Segments whose team is right as often as its probability says, told too surely; the leaf is less often right."""
    rng = np.random.default_rng(seed)
    team = rng.beta(6, 1.5, count)
    leaf = team * rng.beta(4, 3, count)
    drawn_at = rng.random(count)
    told = {"L1": expit(logit(leaf) * 1.5), "team": expit(logit(team) * 1.5), "emotion": np.full(count, 0.9)}
    right = {"L1": drawn_at < leaf, "team": drawn_at < team, "emotion": rng.random(count) < 0.9}
    known = {name: np.ones(count, dtype=bool) for name in told}
    return Confidences(np.arange(count) // 2, told, right, known, right["L1"])


@pytest.mark.parametrize("wanted", [0.05, 0.1])
def test_of_what_nobody_reviews_the_team_is_wrong_as_seldom_as_wanted(wanted: float) -> None:
    found, fresh = calibrate(drawn(), wanted), drawn(seed=1)
    assert found.team_review_below is not None
    assert found.team_coverage is not None
    told = [{name: float(p[n]) for name, p in fresh.probability.items()} for n in range(6000)]
    team = np.array([found.applied(confidence)["team"] for confidence in told])
    accepted = team >= found.team_review_below
    assert (~fresh.right["team"])[accepted].mean() == pytest.approx(wanted, abs=0.02)
    assert accepted.mean() == pytest.approx(found.team_coverage, abs=0.03)
    assert found.team_coverage > found.coverage, "a team is surer than its leaf"
    assert found.figures["team"]["ece"] < 0.03 < found.figures["team"]["ece_before"]


def _but_team(named: dict[str, T]) -> dict[str, T]:
    return {name: value for name, value in named.items() if name != "team"}


def test_the_leafs_threshold_is_the_same_whether_or_not_there_are_teams() -> None:
    both = drawn()
    without = replace(
        both, probability=_but_team(both.probability), right=_but_team(both.right), known=_but_team(both.known)
    )
    found, before = calibrate(both, 0.1), calibrate(without, 0.1)
    assert (found.review_below, found.coverage) == (before.review_below, before.coverage)
    assert _but_team(found.scales) == before.scales
    assert (before.team_review_below, before.team_coverage) == (None, None)


def test_no_held_out_leaf_is_surer_than_its_team() -> None:
    after = held_out(drawn(count=400))
    assert (after["team"] >= after["L1"]).all()
    assert (least_of(after) <= after["L1"]).all()


def test_the_command_calibrates_the_team_and_asks_for_the_taxonomy_that_it_is_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, tree = tmp_path / "checkpoint", bundled_taxonomy()
    folder.mkdir()
    shutil.copy(BUNDLED_CHECKPOINT / "manifest.json", folder)
    publish(folder, read_manifest(folder).model_copy(update={"calibration": None}))
    own = tree.leaves[0]
    sibling = next(leaf for leaf in tree.leaves if leaf.team == own.team and leaf != own)
    stranger = next(leaf for leaf in tree.leaves if leaf.team != own.team)
    with (tmp_path / "gold.jsonl").open("w") as gold, (tmp_path / "pred.jsonl").open("w") as pred:
        for n in range(90):
            sure = dict.fromkeys(["L1", "L2", "L3", "L4", "emotion"], 0.5) | {"team": 0.5 + n / 200}
            for file, leaf in ((gold, own), (pred, (own, sibling, stranger)[n % 3])):
                levels = dict(zip(("L1", "L2", "L3", "L4"), leaf.path, strict=True))
                segment = {"content": "late", **levels, "emotion": "neutral"}
                row = {"id": str(n), "comment": "late", "segments": [segment]}
                if file is pred:
                    row |= {"checkpoint": read_manifest(folder).version, "taxonomy": tree.version}
                    row["segments"] = [segment | {"confidence": sure}]
                file.write(json.dumps(row) + "\n")
    call = ["eval", "calibrate", f"--gold={tmp_path / 'gold.jsonl'}", f"--pred={tmp_path / 'pred.jsonl'}"]
    assert main([*call, f"--record={folder}", "--error=0.4"]) == 0
    assert "at most 40.0% of segments go to the wrong team from 0.0000 on" in capsys.readouterr().out
    found = read_manifest(folder).calibration
    assert found
    assert found.figures["team"]["accuracy"] == pytest.approx(2 / 3)
    assert found.figures["L4"]["accuracy"] == pytest.approx(1 / 3)

    (tmp_path / "other.csv").write_text("L1,team\na,one\n")
    assert main([*call, f"--taxonomy={tmp_path / 'other.csv'}"]) == 1
    error = capsys.readouterr().err
    assert f"is of {tree.version} and not of tx_" in error
    assert error.count("\n") == 1
