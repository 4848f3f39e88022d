"""`eval run`: decode, verify, calibrate, score, compare, report; what the manifest then holds passes the gate."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eval.decoding.decoding import decoded, reproduced
from eval.decoding.evaluation import BUNDLED_GOLD, BUNDLED_LANGUAGES, Evaluation, General, read_evaluation
from eval.decoding.run import Inputs, answers_of, keep, read_inputs, write_evaluation
from eval.general.benchmarks import NAMES
from eval.general.suite import write_questions
from eval.judging.gate import GatePolicy, decide
from route_feedback import main
from serve.engine.protocol import Decoded, ScriptedEngine, Task
from serve.routing.loading import pair_of
from serve.routing.router import Router
from serve.settings import Settings
from serve.start import limits_of
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.gate_record import Verdict
from taxonomy.checkpoint.manifest import Manifest, read_manifest, verify
from taxonomy.comments import write_comments
from taxonomy.errors import CallWrong, DataInvalid, EngineFailed
from tests.support.checkpoints import proven, router_on, unpublished
from train.corpus.generator import Corpus, load_phrasebook
from train.corpus.suite import suite

POLICY = GatePolicy(scores="gold", general=(), ece=1.0)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder, corpus = tmp_path_factory.mktemp("inputs"), Corpus(load_phrasebook(), "test")
    write_comments(corpus.comments(12), folder / "gold.jsonl")
    write_comments(corpus.comments(120, start=100), folder / "others.jsonl")
    asked = Evaluation(gold=folder / "gold.jsonl", calibration=folder / "others.jsonl", train=folder / "others.jsonl")
    return read_inputs(asked)


@pytest.fixture
async def checkpoint(tmp_path: Path, settings: Settings) -> Path:
    """With a fingerprint of what its weights decide, on an engine without a model."""
    folder = unpublished(tmp_path / "checkpoint", 1)
    await proven(folder, settings)
    return folder


def router_of(folder: Path, settings: Settings) -> Router:
    return router_on(pair_of(str(folder), bundled_taxonomy(), settings.cache), settings)


async def evaluated(folder: Path, out: Path, inputs: Inputs, settings: Settings) -> Manifest:
    answers = await answers_of(router_of(folder, settings), inputs, read_manifest(folder), print)
    return keep(folder, out, inputs, answers, print)


async def test_what_it_writes_into_the_manifest_is_all_that_the_gate_asks_of_the_engine(
    checkpoint: Path, inputs: Inputs, settings: Settings, tmp_path: Path
) -> None:
    before = read_manifest(checkpoint)
    assert inputs.others
    raw = await decoded(router_of(checkpoint, settings), inputs.others)
    manifest = await evaluated(checkpoint, tmp_path / "out", inputs, settings)
    assert manifest == read_manifest(checkpoint) == read_manifest(tmp_path / "out")
    assert manifest.version == before.version
    verify(checkpoint, manifest)
    assert manifest.scores["fingerprint"]["reproduced"] is True
    assert manifest.scores["gold"]["violations"] == []
    assert manifest.scores["gold"]["tail"] is not None
    assert manifest.calibration
    with_segments = sum(bool(answer["segments"]) for answer in raw.lines)
    assert 50 <= manifest.calibration.comments == with_segments
    assert manifest.decision is None
    assert decide(manifest, manifest, POLICY, datetime.now(UTC)).verdict is Verdict.PROMOTE


async def test_the_gold_is_answered_with_the_new_calibration_and_the_next_run_calibrates_afresh(
    checkpoint: Path, inputs: Inputs, settings: Settings, tmp_path: Path
) -> None:
    first = await evaluated(checkpoint, tmp_path / "one", inputs, settings)
    second = await evaluated(checkpoint, tmp_path / "two", inputs, settings)
    assert second.calibration == first.calibration
    lines = [(tmp_path / name / "predictions.jsonl").read_text() for name in ("one", "two")]
    assert lines[0] == lines[1]
    assert first.calibration
    raw = await decoded(router_of(checkpoint, settings).under(None), inputs.gold)
    segments = [s for line in raw.lines for s in line["segments"]]
    served = [s for line in map(json.loads, lines[0].splitlines()) for s in line["segments"]]
    for mine, theirs in zip(segments, served, strict=True):
        assert theirs["confidence"] == pytest.approx(first.calibration.applied(mine["confidence"]), abs=1e-4)


async def test_other_weights_under_the_same_manifest_are_rejected(
    checkpoint: Path, settings: Settings, tmp_path: Path
) -> None:
    fingerprint = read_manifest(checkpoint).fingerprint
    assert fingerprint
    other = unpublished(tmp_path / "other", 2)
    await proven(other, settings)
    found = await reproduced(router_of(other, settings), fingerprint)
    assert found.reproduced is False
    assert "probe 1 of" in (found.reason or "")
    assert found.of == fingerprint.digest


async def test_general_questions_and_a_baseline_come_into_the_report(
    inputs: Inputs, settings: Settings, tmp_path: Path, checkpoint: Path
) -> None:
    first = await evaluated(checkpoint, tmp_path / "one", inputs, settings)
    files = write_evaluation(tmp_path / "one", None, inputs, bundled_taxonomy())
    assert [file.name for file in files] == ["report.html", "report.md", "report.json"]
    write_evaluation(tmp_path / "one", tmp_path / "one", inputs, bundled_taxonomy())
    value = json.loads((tmp_path / "one" / "report.json").read_text())
    assert [side["checkpoint"] for side in value["sides"]] == [first.version] * 2
    assert value["comparison"]["leaf_f1"]["difference"] == 0
    assert value["trust"]["levels"].keys() == {"L1", "L2", "L3", "L4", "emotion", "team"}
    routed = {by: each["at_error"] for by, each in value["trust"]["routing"].items()}
    assert first.scores["gold"]["routed"] == {"error": 0.05} | routed
    assert routed.keys() == {"team", "leaf"}


async def test_what_the_service_would_refuse_is_a_violation(
    settings: Settings, checkpoint: Path, inputs: Inputs
) -> None:
    router = router_of(checkpoint, settings.model_copy(update={"max_comment": 100}))
    served = await decoded(router, inputs.gold)
    long = [comment for comment in inputs.gold if len(comment.comment) > 100]
    assert 0 < len(long) < len(inputs.gold)
    assert len(served.violations) == len(long)
    assert f"{long[0].id}: status 413: comment has" in served.violations[0]


async def test_a_dead_engine_ends_it(settings: Settings, checkpoint: Path, inputs: Inputs) -> None:
    pair = pair_of(str(checkpoint), bundled_taxonomy(), settings.cache)

    class Dying(ScriptedEngine):
        async def decode(self, task: Task) -> Decoded:
            self.is_alive = False
            raise EngineFailed(f"gone at {task.request_id}")

    engine = Dying(pair.automaton, lambda allowed: (allowed[0], -0.1))
    with pytest.raises(EngineFailed, match="the engine died on test-000000: gone"):
        await decoded(Router(pair, engine, limits_of(settings), context=32_768), inputs.gold)


def test_the_bundled_gold_is_what_the_corpus_writes(tmp_path: Path) -> None:
    corpus = Corpus(load_phrasebook(), "test")
    write_comments(corpus.comments(861), tmp_path / "test.jsonl")
    assert BUNDLED_GOLD.read_bytes() == (tmp_path / "test.jsonl").read_bytes()
    rows = [json.loads(line) for line in BUNDLED_LANGUAGES.read_text().splitlines()]
    assert rows == [{"id": corpus.name(n), "group": corpus.language(n)} for n in range(861)]
    assert Evaluation().chosen_groups == BUNDLED_LANGUAGES
    assert Evaluation(gold=tmp_path / "test.jsonl").chosen_groups is None


def test_comments_to_calibrate_on_may_not_be_in_the_gold(inputs: Inputs, tmp_path: Path) -> None:
    write_comments([*(inputs.others or []), inputs.gold[0]], tmp_path / "others.jsonl")
    with pytest.raises(DataInvalid, match=r"others\.jsonl: 1 comments are in"):
        read_inputs(inputs.evaluation.model_copy(update={"calibration": tmp_path / "others.jsonl"}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("golden: x", r"suite\.yaml:1: golden: unknown key; did you mean 'gold'"),
        ("general: {tasks: [mmmlu]}", r"general\.tasks\.0: 'mmmlu' is none of mmlu, "),
        ("general: {tasks: [suite]}", "needs `questions`"),
        ("general: {limit: 0}", r"general\.limit: Input should be greater than 0"),
        ("wanted_error: 2", "wanted_error: Input should be less"),
        ("- gold", "it holds no keys with values"),
        ("{", "not YAML"),
    ],
)
def test_a_wrong_suite_file_is_a_wrong_call(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "suite.yaml").write_text(text)
    with pytest.raises(CallWrong, match=said):
        read_evaluation(tmp_path / "suite.yaml")


def test_the_suite_file_of_the_document_names_every_key(tmp_path: Path) -> None:
    document = Path("docs/judging.md").read_text(encoding="utf-8")
    block = re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)[0]
    (tmp_path / "suite.yaml").write_text(block)
    asked = read_evaluation(tmp_path / "suite.yaml")
    assert asked.model_fields_set == Evaluation.model_fields.keys()
    assert asked.general
    assert asked.general.model_fields_set == General.model_fields.keys()


def test_the_tasks_are_those_that_there_is_data_for(tmp_path: Path) -> None:
    questions = Path("q.jsonl")
    for name in ("mmlu", "arc", "gsm8k"):
        (tmp_path / name).mkdir()
    for part in ("easy", "challenge"):
        (tmp_path / "arc" / f"arc_{part}_test.jsonl").touch()
    of_mmlu = ("mmlu", "mmlu_generative", "mmlu_continuation")
    assert General(data=tmp_path).chosen == (*of_mmlu, "arc_easy", "arc_challenge", "gsm8k")
    assert General().chosen == NAMES[:-1]
    assert General(questions=questions).chosen == ("suite",)
    assert General(questions=questions, data=tmp_path).chosen[-2:] == ("gsm8k", "suite")
    assert General(questions=questions, tasks=("suite", "mmlu")).chosen == ("mmlu", "suite")


def test_files_at_fault_are_named_before_an_engine_starts(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full, suite_file = tmp_path / "full", tmp_path / "suite.yaml"
    full.mkdir()
    (full / "x").write_text("")
    write_questions(suite("test", 0, 0), tmp_path / "none.jsonl")
    for text, more, code, said in (
        ("", ["--out", str(full)], 2, "is no empty folder"),
        ("", ["--baseline", str(full)], 2, "has no predictions.jsonl"),
        (f"gold: {tmp_path / 'nowhere.jsonl'}", [], 1, "nowhere.jsonl"),
        (f"general: {{data: {tmp_path / 'nowhere'}}}", [], 2, "is no folder of general benchmarks"),
        (f"general: {{questions: {tmp_path / 'none.jsonl'}}}", [], 1, "none.jsonl has no questions"),
        (f"groups: {full / 'x'}", [], 1, "861 comments of the gold have no group"),
        (f"taxonomy: {tmp_path / 'nowhere.csv'}", [], 2, "there is no taxonomy file"),
    ):
        suite_file.write_text(text)
        out = [] if "--out" in more else ["--out", str(tmp_path / "out")]
        assert main(["eval", "run", f"--checkpoint={checkpoint}", f"--suite={suite_file}", *out, *more]) == code
        assert said in capsys.readouterr().err
    assert main(["eval", "run", f"--checkpoint={full}", "--out", str(tmp_path / "out")]) == 1
    assert "has no manifest.json" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
