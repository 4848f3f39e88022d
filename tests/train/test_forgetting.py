"""Two small trainings from one base, and the gate on both: without replay it rejects, with replay it promotes."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from eval.decoding.evaluation import Evaluation, General
from eval.decoding.run import answers_of, keep, read_inputs
from eval.general.suite import Question, write_questions
from route_feedback import main
from serve.activation.proof import record
from serve.routing.loading import pair_of
from serve.routing.router import Router
from serve.settings import Settings
from serve.start import limits_of
from taxonomy.checkpoint.manifest import publish, read_manifest
from taxonomy.comments import LabelledComment, labelled, write_comments
from taxonomy.formats.registry import load_taxonomy
from taxonomy.language.answer import Part
from tests.support.torch_engine import TorchEngine
from train.corpus.suite import WORLD
from train.recipe import Recipe
from train.run import run

TAXONOMY = """L1,L2,team
Delivery,Late,logistics
Delivery,Damaged,logistics
Picture,Night,development
Picture,Zoom,development
"""
SAID = {
    ("Delivery", "Late"): ["It came late.", "The parcel took weeks.", "Late again!"],
    ("Delivery", "Damaged"): ["The box was torn.", "It came broken.", "Damaged on arrival!"],
    ("Picture", "Night"): ["Dark at night.", "At night it is blurry.", "Night shots are bad."],
    ("Picture", "Zoom"): ["The zoom is weak.", "Zoom is blurry.", "I cannot zoom in."],
}
SHAPE = {"vocabulary": 600, "hidden": 64, "layers": 1, "intermediate": 64, "head": 32, "context": 2048}
FACTS = [
    Question("fact", text.format(attribute, country), value)
    for (country, attribute), value in list(WORLD.items())[:160]
    for text in ("What is the {} of {}?", "Name the {} of {}.")
]
"""What the base knows, and has to go on knowing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Comments, questions and a taxonomy, in files."""
    folder = tmp_path_factory.mktemp("forgetting")
    (folder / "taxonomy.csv").write_text(TAXONOMY)
    drawn = list(comments())
    for name, chosen in (("train", drawn[:400]), ("test", drawn[400:480]), ("others", drawn[480:600])):
        write_comments(chosen, folder / f"{name}.jsonl")
    write_questions(FACTS, folder / "facts.jsonl")
    return folder


def comments() -> Iterator[LabelledComment]:
    """Two segments and perhaps a closing line, in a mixed order."""
    said = [(path, text) for path, texts in SAID.items() for text in texts]
    pairs = [(one, other) for one, other in product(said, said) if one[0] != other[0]]
    drawn = list(product(pairs, ["", "Thanks.", "Regards, Bo.", "I am Ann.", "See you.", "Bye!"]))
    random.Random(0).shuffle(drawn)
    for number, (((first, text), (second, more)), closing) in enumerate(drawn):
        end = [Part(closing)] if closing else []
        space = " " if closing else ""
        yield labelled(str(number), [Part(f"{text} ", first, "negative"), Part(more + space, second, "negative"), *end])


def trained(folder: Path, name: str, **changes: Any) -> Path:
    corpus = {"comments": [str(folder / "train.jsonl")], "taxonomy": str(folder / "taxonomy.csv")}
    own: dict[str, Any] = {"corpus": corpus, "architecture": SHAPE, "loss": "completion", "dtype": "float32"}
    run(Recipe.model_validate(own | changes), folder / name, print)
    return folder / name


def replay(folder: Path, share: float) -> list[dict[str, Any]]:
    return [{"name": "facts", "chats": [str(folder / "facts.jsonl")], "share": share, "passes": 1000}]


@pytest.fixture(scope="module")
def base(folder: Path) -> Path:
    """It has read the facts for a while, and no comment."""
    rate = {"batch": 32, "learning_rate": 5e-3}
    return evaluated(
        folder, trained(folder, "base", exposures=0, tokens=15_000, replay=replay(folder, 1), optimisation=rate)
    )


def evaluated(folder: Path, checkpoint: Path) -> Path:
    """As `eval run` does it, on transformers; the fingerprint is recorded by one engine and verified by another."""
    general = General(questions=folder / "facts.jsonl", batch=64)
    # A base that has read no comment may find no segment at all, so there is nothing to calibrate it on.
    others = None if checkpoint.name == "base" else folder / "others.jsonl"
    asked = Evaluation(
        gold=folder / "test.jsonl", taxonomy=folder / "taxonomy.csv", calibration=others, general=general
    )
    inputs = read_inputs(asked)
    manifest = read_manifest(checkpoint)
    fingerprint = asyncio.run(record(router(folder, checkpoint)))
    publish(checkpoint, manifest.model_copy(update={"fingerprint": fingerprint}))
    answers = asyncio.run(answers_of(router(folder, checkpoint), inputs, read_manifest(checkpoint), print))
    keep(checkpoint, checkpoint.with_name(f"{checkpoint.name}-judged"), inputs, answers, print)
    return checkpoint


def router(folder: Path, checkpoint: Path) -> Router:
    pair = pair_of(str(checkpoint), load_taxonomy(folder / "taxonomy.csv"), folder / "cache")
    return Router(pair, TorchEngine(pair.automaton, checkpoint), limits_of(Settings()), context=2048)


def gate(folder: Path, candidate: Path, base: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """The default policy, but that the facts stand for MMLU, and that the bins of so few segments are coarse."""
    (folder / "policy.yaml").write_text("general: [suite.accuracy]\nece: 0.2\n")
    policy = f"--policy={folder / 'policy.yaml'}"
    capsys.readouterr()
    code = main(["eval", "gate", f"--candidate={candidate}", f"--baseline={base}", policy, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "reject"), (0.5, "promote")])
def test_comments_alone_are_rejected_for_what_is_forgotten_and_comments_with_replay_promoted(
    folder: Path, base: Path, share: float, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"share-{share}"
    source = {"replay": replay(folder, share)} if share else {}
    rate = {"batch": 16, "learning_rate": 3e-3}
    candidate = trained(folder, name, continue_from=str(base), exposures=8, optimisation=rate, **source)
    code, decision = gate(folder, evaluated(folder, candidate), base, capsys)
    findings = {each["check"]: each for each in decision["findings"]}
    assert findings["leaf_f1"]["verdict"] == "promote"
    assert findings["general.suite.accuracy"]["verdict"] == verdict
    assert "pairs" in findings["general.suite.accuracy"]["reason"]
    assert decision["verdict"] == verdict, [each for each in decision["findings"] if each["verdict"] != "promote"]
    assert code == (verdict != "promote")
