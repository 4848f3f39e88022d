"""Drift is told from chance, and new topics stand with their own words."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.judging.drift import Drift, LabelDrift, Traffic, TrafficSegment, chance, drift, psi, read_traffic, topics
from route_feedback import main
from taxonomy.errors import DataInvalid

LABELS = [(f"L{n // 5}", f"leaf {n}") for n in range(20)]


def traffic(seed: int, count: int = 600, weights: list[float] | None = None, sure: float = 0.9) -> Traffic:
    """Residue is as sure as the segments."""
    rng = random.Random(seed)
    chosen = rng.choices(LABELS, weights or [1.0] * 20, k=count)
    segments = [TrafficSegment("late", path, min(1.0, sure * rng.uniform(0.8, 1.1))) for path in chosen]
    return Traffic(segments, [10] * count, [4] * count, [segment.sure for segment in segments if segment.sure])


def at_level(found: Drift, level: str) -> LabelDrift:
    labels = found.labels[level]
    assert labels
    return labels


def test_two_samples_of_one_distribution_are_within_chance() -> None:
    found = drift(traffic(1), traffic(2), below=0.5)
    assert not at_level(found, "L1").drifted
    assert not at_level(found, "L2").drifted
    assert at_level(found, "L2").psi > 0, "chance alone is not nothing"
    assert found.confidence
    assert found.confidence.p > 0.01


def test_a_label_that_grows_is_drift_and_named_first() -> None:
    found = at_level(drift(traffic(1), traffic(2, weights=[6.0] + [1.0] * 19), below=0.5), "L2")
    assert found.drifted
    assert found.moved[0].label == "L0 > leaf 0"
    assert found.moved[0].now > 3 * found.moved[0].reference


def test_a_level_is_of_the_segments_whose_paths_reach_it() -> None:
    deep, short = TrafficSegment("late", ("A", "x", "y"), None), TrafficSegment("late", ("B",), None)
    found = drift(
        Traffic([deep] * 30 + [short] * 10, [4], [0], []), Traffic([deep] * 10 + [short] * 30, [4], [0], []), 0.5
    )
    assert list(found.labels) == ["L1", "L2", "L3"]
    assert at_level(found, "L1").drifted
    for level in ("L2", "L3"):
        assert at_level(found, level).psi == 0
        assert [(moved.reference, moved.now) for moved in at_level(found, level).moved] == [(1.0, 1.0)]
    assert drift(Traffic([short], [4], [0], []), Traffic([deep], [4], [0], []), 0.5).labels["L2"] is None


def test_falling_confidence_is_seen() -> None:
    both = drift(traffic(1), traffic(2, sure=0.6), below=0.5)
    for found in (both.confidence, both.residue_confidence):
        assert found
        assert found.quartiles[1][1] < found.quartiles[0][1]
        assert found.p < 1e-6


def test_one_sample_in_twenty_is_called_drifted_where_there_is_none() -> None:
    rng = np.random.default_rng(5)
    shares = rng.dirichlet(np.ones(30))
    samples = [[rng.multinomial(400, shares).astype(float) for _ in range(2)] for _ in range(150)]
    assert np.mean([psi(*pair) > chance(*pair) for pair in samples]) == pytest.approx(0.05, abs=0.05)


counts = st.lists(st.integers(0, 50), min_size=3, max_size=3).map(lambda values: np.array(values, dtype=float))


@given(one=counts, other=counts)
@settings(max_examples=80, deadline=None)
def test_psi_is_symmetric_never_negative_and_0_for_equals(one: Any, other: Any) -> None:
    assert psi(one, other) == pytest.approx(psi(other, one))
    assert psi(one, other) >= 0
    assert psi(one, one) == 0


def test_alike_segments_make_a_topic_and_strays_do_not() -> None:
    rng = random.Random(0)
    solar = [
        f"the solar panel does not charge the camera in {month}" for month in ("May", "June", "July", "winter")
    ] * 3
    doors = [
        f"il campanello non suona quando {who} preme il pulsante" for who in ("lui", "lei", "un vicino", "Anna")
    ] * 3
    letters = "abcdefghijklmnopqrstuvwxyz"
    strays = ["".join(rng.choices(letters, k=12)) for _ in range(10)]
    found = topics([*solar, *doors, *strays])
    assert [topic.segments for topic in found[:2]] == [12, 12]
    said = [" ".join(topic.words) for topic in found[:2]]
    assert any("solar" in words for words in said)
    assert any("campanello" in words for words in said)
    assert len({example for topic in found for example in topic.examples} & set(strays)) == 0


def test_few_or_empty_segments_make_no_topic() -> None:
    assert topics([]) == topics(["late"] * 3) == topics(["!!!"] * 50) == []


@given(texts=st.lists(st.text(max_size=6), max_size=30))
@settings(max_examples=40, deadline=None)
def test_whatever_customers_write_topics_are_made_of_it(texts: list[str]) -> None:
    found = topics(texts)
    assert {example for topic in found for example in topic.examples} <= {text.strip() for text in texts}


def write(file: Path, *rows: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


SEGMENT = {"content": "late", "L1": "a", "confidence": {"L1": 0.4, "emotion": 0.9}}


def test_answers_with_residue_and_predictions_with_comments_are_read_alike(tmp_path: Path) -> None:
    answers = write(tmp_path / "a.jsonl", {"id": "1", "segments": [SEGMENT], "residue": [{"content": "hello "}]})
    predictions = write(tmp_path / "p.jsonl", {"id": "1", "comment": "hello late", "segments": [SEGMENT]})
    expected = Traffic([TrafficSegment("late", ("a",), 0.4)], [10], [6], [])
    assert read_traffic(answers) == read_traffic(predictions) == expected
    sure = {"id": "1", "segments": [SEGMENT], "residue": [{"content": "hello ", "confidence": 0.75}]}
    assert read_traffic(write(tmp_path / "s.jsonl", sure)) == expected._replace(residue_sure=[0.75])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "1", "segments": [SEGMENT]}, "neither comment nor residue"),
        ({"id": "1", "comment": "x", "segments": [{"content": "x"}]}, r"segments\[0\] has no content or no L1"),
        ({"id": "1", "comment": "x", "segments": [SEGMENT | {"confidence": {"L1": "high"}}]}, "not a probability"),
        ({"id": "1", "segments": [], "residue": ["x"]}, r"residue\[0\] is not an object"),
        ({"id": "1", "segments": [], "residue": "x"}, "'residue' is not a list"),
        ({"id": "1", "segments": [], "residue": [{"confidence": 2}]}, r"residue\[0\].confidence is not a probability"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(DataInvalid, match=said) as caught:
        read_traffic(write(tmp_path / "a.jsonl", row))
    assert "a.jsonl:1" in str(caught.value)


def test_the_command_says_what_cannot_be_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = {"id": "1", "comment": "hello", "segments": []}
    files = [
        f"--reference={write(tmp_path / 'r.jsonl', bare)}",
        f"--traffic={write(tmp_path / 't.jsonl', {'id': '1', 'comment': 'hello late', 'segments': [SEGMENT]})}",
    ]
    assert main(["eval", "drift", *files]) == 0
    text = capsys.readouterr().out
    assert "L1: not scored" in text
    assert "confidence: not scored" in text
    assert "confidence of residue: not scored" in text
    assert "residue: 100.00% of characters then, 60.00% now" in text
    assert main(["eval", "drift", *files, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"]["L1"] is None
    assert main(["eval", "drift", *files, "--below=3"]) == 2
