"""A YAML file's faults: one line each, with file, line and key."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from taxonomy.errors import CallWrong, RecipeInvalid
from taxonomy.yaml_files import read_document, read_model


class Step(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["step"] = "step"
    rate: Annotated[float, Field(gt=0)] = 1.0


class Jump(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["jump"]
    height: int


class Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: int = 8000
    name: str | None = None
    first: Step | None = None
    steps: tuple[Annotated[Step | Jump, Field(discriminator="kind")], ...] = ()
    limits: dict[str, float] = {}

    @model_validator(mode="after")
    def _named(self) -> Plan:
        if self.name == "nobody":
            raise ValueError("a plan of nobody")
        return self


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "plan.yaml"


def test_an_empty_file_holds_the_defaults(file: Path) -> None:
    file.write_text("# nothing yet\n")
    assert read_model(file, Plan) == Plan()


def test_anchors_and_merges_are_read(file: Path) -> None:
    file.write_text("first: &a {kind: step, rate: 2}\nsteps:\n- <<: *a\n- {<<: *a, rate: 3}\n")
    plan = read_model(file, Plan)
    assert plan.first
    assert [plan.first.rate, *(step.rate for step in plan.steps if isinstance(step, Step))] == [2, 2, 3]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("\nprot: 1\n", ":2: prot: unknown key; did you mean 'port'?"),
        ("zzzzzz: 1\n", ":1: zzzzzz: unknown key"),
        ("\n\nport: x\n", ":3: port: Input should be a valid integer, unable to parse string as an integer"),
        ("first:\n  rat: 2\n", ":2: first.rat: unknown key; did you mean 'rate'?"),
        ("first:\n  rate: 0\n", ":2: first.rate: Input should be greater than 0"),
        (
            "steps:\n- {kind: step}\n- kind: jump\n  heigt: 3\n",
            ":3: steps.1.height: Field required; {file}:4: steps.1.heigt: unknown key; did you mean 'height'?",
        ),
        (
            "steps:\n- kind: jmp\n",
            ":2: steps.0: Input tag 'jmp' found using 'kind' does not match any of the expected tags: 'step', 'jump'",
        ),
        (
            "limits:\n  a: 1\n  b: x\n",
            ":3: limits.b: Input should be a valid number, unable to parse string as a number",
        ),
        ("name: nobody\n", ": a plan of nobody"),
        ("port: 1\nname: x\nport: 2\n", ":3: port: the key stands in line 1 too"),
        ("first: {rate: 1, rate: 2}\n", ":1: rate: the key stands in line 1 too"),
        ("- port\n", ": it holds no keys with values (a YAML mapping)"),
        ("port\n", ": it holds no keys with values (a YAML mapping)"),
        ("port: 1\nname: {\n", ":3: not YAML: expected the node content, but found '<stream end>'"),
        ("port: 1\n\tname: x\n", ":2: not YAML: found character '\\t' that cannot start any token"),
        ("port: 1\nname: \x00\n", ":2: not YAML: special characters are not allowed"),
        ("port: 1\n---\nport: 2\n", ":2: not YAML: but found another document"),
        ("name: !!python/object:os.system x\n", ":1: not YAML: could not determine a constructor for the tag"),
        ("name: *nobody\n", ":1: not YAML: found undefined alias 'nobody'"),
        ("port: 1\nlimits: &a\n  a: *a\n", ":2: an alias that leads into itself"),
        ("? [port]\n: 1\n", ":1: not YAML: found unhashable key"),
        ("name: 2026-99-99\n", ": month must be in 1..12"),
        ("limits: " + "[" * 1_000, ": nested too deeply"),
        ("1: x\n", ":1: 1: Keys should be strings"),
    ],
)
def test_a_fault_is_one_line_with_file_line_and_key(file: Path, text: str, fault: str) -> None:
    file.write_text(text)
    with pytest.raises(CallWrong) as error:
        read_model(file, Plan)
    assert str(error.value).startswith(f"{file}{fault.replace('{file}', str(file))}")
    assert "\n" not in str(error.value)


def test_what_is_no_text_is_named_with_its_line(file: Path) -> None:
    file.write_bytes(b"port: 1\nname: \xff\n")
    with pytest.raises(CallWrong, match=r"plan.yaml:2: not UTF-8; save it as UTF-8"):
        read_model(file, Plan)


def test_a_file_that_is_not_there_and_one_that_is_a_folder(file: Path) -> None:
    with pytest.raises(CallWrong, match=f"^there is no file {file}$"):
        read_model(file, Plan)
    with pytest.raises(CallWrong, match=r"cannot be read \(Is a directory\)"):
        read_model(file.parent, Plan)


def test_the_error_is_the_readers_own(file: Path) -> None:
    file.write_text("prot: 1")
    with pytest.raises(RecipeInvalid, match="did you mean 'port'"):
        read_model(file, Plan, RecipeInvalid)


def test_many_aliases_of_aliases_are_walked_once(file: Path) -> None:
    rows = ["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]
    file.write_text("\n".join(rows))
    assert len(read_document(file).content) == 40


@given(content=st.text(max_size=40))
def test_any_content_is_a_mapping_or_a_wrong_call(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    with suppress(CallWrong):
        assert isinstance(read_document(file).content, dict)
