"""The gate promotes what is shown to be good, holds what is not shown, rejects what is shown to be bad."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.judging.gate import GatePolicy, decide, read_policy
from eval.judging.paired import packed
from route_feedback import main
from taxonomy.checkpoint.calibration import Calibration, Scale
from taxonomy.checkpoint.fingerprint import Fingerprint, Probe
from taxonomy.checkpoint.gate_record import KEY_VARIABLE, GateRecord, Verdict, evidence_of
from taxonomy.checkpoint.manifest import Manifest, checkpoint_id, hashes, publish, read_manifest
from taxonomy.errors import CallWrong
from taxonomy.language.forms import Form
from taxonomy.language.prompt import PromptStyle, prompt_version

NOW = datetime(2026, 11, 21, tzinfo=UTC)
FINGERPRINT = Fingerprint(
    taxonomy="tx_1",
    language="l",
    recorded_on="cpu/float32",
    spread=0,
    probes=(Probe(comment="ok", asked="a", tokens=(1,), logprobs=(-0.1,)),),
)
SCORES: dict[str, Any] = {
    "test": {"leaf": {"micro": {"f1": 0.55}, "f1_95": [0.53, 0.57]}, "violations": [], "comments": 861, "gold": "abc"},
    "general": {
        name: {"accuracy": {"value": 0.75, "stderr": 0.0036, "count": 14042}} for name in ("mmlu", "mmlu_generative")
    },
    "fingerprint": {"reproduced": True, "of": FINGERPRINT.digest},
}


def calibrated(ece: float) -> Calibration:
    scale = Scale(temperature=1.5, bias=0)
    return Calibration(
        scales={"L1": scale},
        review_below=0.5,
        wanted_error=0.05,
        coverage=0.5,
        comments=60,
        segments=90,
        figures={"L1": {"ece": ece / 2}, "emotion": {"ece": ece}},
    )


def manifest(scores: dict[str, Any] = SCORES, ece: float | None = 0.02, **changed: Any) -> Manifest:
    fields: dict[str, Any] = {
        "version": "ck_1",
        "files": {},
        "taxonomy": "tx_1",
        "prompt": prompt_version(Form.VERBATIM),
        "prompt_style": PromptStyle.LEARNED,
        "base_model": None,
        "recipe": {},
        "data": {},
        "scores": scores,
        "calibration": None if ece is None else calibrated(ece),
        "fingerprint": FINGERPRINT,
    }
    return Manifest.model_validate(fields | changed)


def with_score(value: Any, *path: str) -> dict[str, Any]:
    """The good scores with another value at one place; None takes it away."""
    scores = copy.deepcopy(SCORES)
    at = scores
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return scores


def answered(value: float, count: int, benchmark: str) -> dict[str, Any]:
    """The good scores, but for one benchmark's accuracy."""
    return with_score({"value": value, "stderr": 0.004, "count": count}, "general", benchmark, "accuracy")


def verdicts(candidate: Manifest, baseline: Manifest | None = None, policy: GatePolicy | None = None) -> dict[str, str]:
    decision = decide(candidate, baseline or manifest(), policy or GatePolicy(), NOW)
    return {f.check: f.verdict.value for f in decision.findings if f.verdict is not Verdict.PROMOTE} | {
        "": decision.verdict.value
    }


def test_what_is_as_good_in_everything_is_promoted() -> None:
    assert verdicts(manifest()) == {"": "promote"}


@pytest.mark.parametrize(
    ("scores", "check", "verdict"),
    [
        (with_score(0.529, "test", "leaf", "micro", "f1"), "leaf_f1", "reject"),
        (answered(0.47, 14042, "mmlu"), "general.mmlu.accuracy", "reject"),
        (answered(0.0038, 14042, "mmlu_generative"), "general.mmlu_generative.accuracy", "reject"),
        (answered(0.745, 14042, "mmlu"), "general.mmlu.accuracy", "hold"),
        (answered(0.75, 100, "mmlu"), "general.mmlu.accuracy", "hold"),
        (with_score(["1: a path is not in the taxonomy"], "test", "violations"), "violations", "reject"),
        (with_score({"reproduced": False, "of": FINGERPRINT.digest}, "fingerprint"), "fingerprint", "reject"),
        (with_score({"reproduced": True, "of": "another"}, "fingerprint"), "fingerprint", "hold"),
        (with_score("other", "general", "mmlu", "asked"), "general.mmlu.accuracy", "hold"),
        (with_score("other", "test", "gold"), "leaf_f1", "hold"),
    ],
)
def test_each_check_says_what_it_finds(scores: dict[str, Any], check: str, verdict: str) -> None:
    assert verdicts(manifest(scores)) == {check: verdict, "": verdict}


@pytest.mark.parametrize(
    ("path", "checks"),
    [
        (("test",), {"leaf_f1", "violations"}),
        (("test", "leaf"), {"leaf_f1"}),
        (("test", "violations"), {"violations"}),
        (("general",), {"general.mmlu.accuracy", "general.mmlu_generative.accuracy"}),
        (("general", "mmlu", "accuracy", "stderr"), {"general.mmlu.accuracy"}),
        (("fingerprint",), {"fingerprint"}),
    ],
)
def test_what_was_not_measured_holds_and_never_passes(path: tuple[str, ...], checks: set[str]) -> None:
    decision = decide(manifest(with_score(None, *path)), manifest(), GatePolicy(), NOW)
    assert decision.verdict is Verdict.HOLD
    held = {f.check: f.reason for f in decision.findings if f.verdict is Verdict.HOLD}
    assert held.keys() == checks
    assert all(reason.startswith("not measured") for reason in held.values())


def paired(right: list[bool], asked: str = "q") -> dict[str, Any]:
    """The good scores, with MMLU's questions one by one."""
    share = sum(right) / len(right)
    error = (share * (1 - share) / len(right)) ** 0.5
    accuracy = {"value": share, "stderr": error, "count": len(right), "right": packed(right)}
    return with_score({"accuracy": accuracy, "asked": asked}, "general", "mmlu")


def test_the_same_questions_are_compared_pair_by_pair() -> None:
    before = [n % 4 > 0 for n in range(2000)]
    after = [right and n >= 8 for n, right in enumerate(before)]
    baseline = manifest(paired(before))
    assert verdicts(manifest(paired(after)), baseline) == {"": "promote"}
    decision = decide(manifest(paired(after)), baseline, GatePolicy(), NOW)
    assert "2000 pairs: 6 lost, 0 gained, McNemar p 0.0312" in decision.findings[1].reason
    assert verdicts(manifest(paired(after, "other")), baseline)["general.mmlu.accuracy"] == "hold"
    forgetful = [right and n % 8 > 0 for n, right in enumerate(before[::-1])]
    assert verdicts(manifest(paired(forgetful)), baseline)["general.mmlu.accuracy"] == "reject"


def test_a_checkpoint_without_a_fingerprint_is_held() -> None:
    assert verdicts(manifest(fingerprint=None)) == {"fingerprint": "hold", "": "hold"}


def test_a_baseline_that_was_not_measured_holds_too() -> None:
    assert verdicts(manifest(), manifest({}))[""] == "hold"
    assert verdicts(manifest({}), manifest({}))[""] == "hold"


def test_calibration_out_of_bounds_is_rejected_and_none_is_held() -> None:
    assert verdicts(manifest(ece=0.06)) == {"calibration": "reject", "": "reject"}
    assert verdicts(manifest(ece=None)) == {"calibration": "hold", "": "hold"}


@pytest.mark.parametrize("name", ["residue", "team"])
def test_what_is_too_little_or_has_its_errors_counted_is_not_judged_by_its_calibration_error(name: str) -> None:
    found = calibrated(0.02)
    figures = found.figures | {name: {"ece": 0.2}}
    assert verdicts(manifest(calibration=found.model_copy(update={"figures": figures}))) == verdicts(manifest())


@given(
    junk=st.recursive(st.none() | st.text(max_size=3) | st.booleans(), lambda c: st.lists(c, max_size=2), max_leaves=4)
)
@settings(max_examples=80, deadline=None)
def test_scores_of_another_shape_hold(junk: Any) -> None:
    for key in SCORES:
        scores = SCORES | {key: junk}
        assert decide(manifest(scores), manifest(), GatePolicy(), NOW).verdict is Verdict.HOLD
        assert decide(manifest(), manifest(scores | {"fingerprint": junk}), GatePolicy(), NOW)


def test_a_policy_changes_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("general: []\nfingerprint: false\nece: 0.1\nviolations: 1\n")
    policy = read_policy(tmp_path / "p.yaml")
    scores = with_score(["one"], "test", "violations") | {"general": None, "fingerprint": None}
    assert verdicts(manifest(scores, ece=0.06), policy=policy) == {"": "promote"}


def test_the_defaults_are_those_of_the_document(tmp_path: Path) -> None:
    document = Path("docs/judging.md").read_text(encoding="utf-8")
    (block,) = (each for each in re.findall(r"```yaml\n(.*?)```", document, re.DOTALL) if "general_drop" in each)
    (tmp_path / "p.yaml").write_text(block)
    assert read_policy(tmp_path / "p.yaml") == GatePolicy()
    assert yaml.safe_load(block).keys() == GatePolicy.model_fields.keys()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("leef: 1", r"p\.yaml:1: leef: unknown key"),
        ("ece: much", r"p\.yaml:1: ece: Input should be a valid number"),
        ("- a", "it holds no keys with values"),
        ("{", "not YAML"),
    ],
)
def test_a_wrong_policy_is_a_wrong_call(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(CallWrong, match=said):
        read_policy(tmp_path / "p.yaml")


def test_a_signature_holds_for_this_key_and_these_fields_only() -> None:
    decision = decide(manifest(), manifest(), GatePolicy(), NOW).signed("secret")
    assert decision.is_signed_with("secret")
    assert GateRecord.model_validate_json(decision.model_dump_json()).is_signed_with("secret")
    assert not decision.is_signed_with("other")
    assert not decision.is_signed_with("")
    forged = decision.model_copy(update={"candidate": "ck_2"})
    assert not forged.is_signed_with("secret")
    unsigned = decide(manifest(), manifest(), GatePolicy(), NOW).signed("")
    assert unsigned.signature is None
    assert not unsigned.is_signed_with("")


def test_scores_changed_after_the_decision_are_other_evidence() -> None:
    decision = decide(manifest(), manifest(), GatePolicy(), NOW)
    assert decision.evidence == evidence_of(SCORES, calibrated(0.02))
    assert decision.evidence != evidence_of(with_score(0.9, "test", "leaf", "micro", "f1"), calibrated(0.02))
    assert decision.evidence != evidence_of(SCORES, None)


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    for name in ("candidate", "baseline"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.safetensors").write_text(name)
        files = hashes(folder)
        publish(folder, manifest(files=files, version=checkpoint_id(files)))
    return [f"--candidate={tmp_path / 'candidate'}", f"--baseline={tmp_path / 'baseline'}"]


def test_the_command_records_a_signed_decision(
    folders: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    assert main(["eval", "gate", *folders, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    recorded = read_manifest(tmp_path / "candidate").decision
    assert recorded
    assert recorded.is_signed_with("secret")
    assert printed.pop("signed") is True
    assert GateRecord.model_validate(printed) == recorded
    assert read_manifest(tmp_path / "baseline").decision is None


def test_without_a_key_it_says_unsigned(
    folders: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert main(["eval", "gate", *folders]) == 0
    assert "unsigned" in capsys.readouterr().out


def test_exit_codes_tell_held_and_rejected_from_a_wrong_call(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "candidate"
    good = read_manifest(folder)
    for scores, verdict in (
        (with_score(None, "fingerprint"), "hold"),
        (with_score(0.1, "test", "leaf", "micro", "f1"), "reject"),
    ):
        publish(folder, good.model_copy(update={"scores": scores}))
        assert main(["eval", "gate", *folders]) == 1
        assert capsys.readouterr().out.startswith(f"{verdict}: ck_")
    assert main(["eval", "gate", folders[0], f"--baseline={tmp_path / 'nowhere'}"]) == 2
    assert main(["eval", "gate", *folders, f"--policy={tmp_path / 'nowhere.yaml'}"]) == 2
    (folder / "model.safetensors").write_text("altered")
    assert main(["eval", "gate", *folders]) == 1
    assert "model.safetensors is altered" in capsys.readouterr().err
