"""A file of a base's own chats: what is counted, and that a run that was stopped goes on as if it had not been."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest

from serve.engine.completion import CompletionTask, Written
from taxonomy.errors import CallWrong, DataInvalid, EngineFailed
from tests.support.bases import rewrite, small_base
from tests.support.speakers import END, TOKENIZER, Recording, chatter, is_question, starter, written
from train.data.chats import Chat, read_chats
from train.recipe_parts import Sampling
from train.replay.filters import Reason
from train.replay.order import Order, StartCompleter, write_replay
from train.replay.output import Card, Output, card_file, read_card

SAMPLING = Sampling(temperatures=[0.8, 1.2], question_tokens=40, answer_tokens=60, batch=8)
ASKS = "Why would a heron follow the river when it lives in the far north?"
LONG = " ".join(f"thing{number * number}" for number in range(200))
SAYS = "There are more fish in the river than anywhere else, so it is easier to live there."


def quiet(_: str) -> None:
    """Nobody reads along."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(small_base(tmp_path_factory.mktemp("bases") / "base"))


def write(
    base: str,
    out: Path,
    chats: int | None = 20,
    start: StartCompleter | None = None,
    *,
    resume: bool = True,
    seed: int = 0,
) -> Card:
    order = Order(base, chats, seed, SAMPLING)
    return write_replay(order, out, start or starter(), resume=resume, say=quiet)


def rows(file: Path) -> list[Chat | DataInvalid]:
    return list(read_chats(file))


def test_as_many_chats_as_asked_for_that_a_recipe_can_read(base: str, tmp_path: Path) -> None:
    card = write(base, tmp_path / "own.jsonl")
    chats = rows(tmp_path / "own.jsonl")
    assert len(chats) == card.kept == 20
    for chat in chats:
        assert isinstance(chat, Chat)
        assert [message.role for message in chat.messages] == ["user", "assistant"]
        assert chat.messages[0].content.startswith("Why would a")
    assert card.left_out.keys() <= {f"{part}: {Reason.CUT_OFF}" for part in ("question", "answer")} | {
        "chat: duplicate"
    }
    assert card.left_out["answer: not ended in time"] > 0
    assert card.kept + sum(card.left_out.values()) == card.tried
    assert sum(tally.tried for tally in card.temperatures.values()) == card.tried
    assert card.temperatures.keys() == {"0.8", "1.2"}
    assert card.languages == {"en": 20}


def test_the_card_says_what_the_chats_are_made_of(base: str, tmp_path: Path) -> None:
    card = write(base, tmp_path / "own.jsonl")
    assert Card.model_validate_json((tmp_path / "own.card.json").read_bytes()) == card
    assert card.is_finished
    assert (card.base, card.origin.seed, card.origin.sampling) == (base, 0, SAMPLING)
    page = (tmp_path / "own.card.md").read_text()
    assert f"| tried | {card.tried} |" in page
    assert f"| base, digest | {card.origin.base_digest} |" in page
    assert f"| left out, answer: not ended in time | {card.left_out['answer: not ended in time']} |" in page
    first = rows(tmp_path / "own.jsonl")[0]
    assert isinstance(first, Chat)
    assert first.messages[1].content in page


def test_questions_take_their_temperatures_in_turn(base: str, tmp_path: Path) -> None:
    asked: list[CompletionTask] = []

    def script(task: CompletionTask) -> Iterable[Written]:
        asked.append(task)
        return chatter(task)

    write(base, tmp_path / "own.jsonl", 4, starter(script))
    assert {task.temperature for task in asked if not is_question(task)} == {SAMPLING.answer_temperature}
    assert [task.temperature for task in asked if is_question(task)] == [0.8, 1.2] * 4
    assert len({task.seed for task in asked}) == len(asked)
    for line in (tmp_path / "own.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert row["temperature"] == [0.8, 1.2][row["candidate"] % 2]


@pytest.mark.parametrize(
    ("question", "answer", "named"),
    [
        (written(""), None, "question: empty"),
        (written("hi"), None, "question: too short"),
        (written(LONG, None), None, "question: not ended in time"),
        (written(ASKS, TOKENIZER.pad_token_id), None, "question: special token"),
        (written(ASKS + " <|im_end|>"), None, "question: special token"),
        (written(ASKS + " \ufffd"), None, "question: broken characters"),
        (written("and so on " * 13), None, "question: repeats itself"),
        (written(ASKS), written(" "), "answer: empty"),
        (written(ASKS), written(LONG), "answer: not ended in time"),
        (written(ASKS), written(SAYS, TOKENIZER.pad_token_id), "answer: special token"),
        (written(ASKS), written(SAYS + "\ufffd"), "answer: broken characters"),
        (written(ASKS), written("and so on " * 13), "answer: repeats itself"),
        (written("xq zzkv 88 -- qpw; 7f&&"), written("vvx 0x81 kq"), "chat: no language"),
    ],
)
def test_each_reason_is_counted_by_the_turn_that_it_is_of(
    base: str, tmp_path: Path, question: Iterable[Written], answer: Iterable[Written] | None, named: str
) -> None:
    """The first question is the odd one, and the answer to it."""
    first = {True: question, False: answer}

    def script(task: CompletionTask) -> Iterable[Written]:
        return first.pop(is_question(task), None) or chatter(task)

    sampling = SAMPLING.model_copy(update={"batch": 1})
    card = write_replay(Order(base, 1, 0, sampling), tmp_path / "own.jsonl", starter(script), resume=False, say=quiet)
    assert card.left_out[named] >= 1
    assert next(iter(card.left_out)) == named
    assert card.kept == 1


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(base: str, tmp_path: Path) -> None:
    whole = write(base, tmp_path / "whole.jsonl")
    left = [20]

    def failing(task: CompletionTask) -> Iterable[Written]:
        left[0] -= 1
        if left[0] < 0:
            raise EngineFailed("the engine died")
        return chatter(task)

    out = tmp_path / "parts.jsonl"
    with pytest.raises(EngineFailed, match="died"):
        write(base, out, start=starter(failing))
    before = read_card(out)
    assert before
    assert before.tried == 8, "whole batches stand there"
    assert len(rows(out)) == before.kept
    with out.open("ab") as file:
        file.write(b'{"messages": [{"role": "us')  # and a power cut in the middle of the next one
    assert write(base, out) == whole
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_leaves_what_was_done_and_closes_the_engine(
    base: str, tmp_path: Path, number: signal.Signals, raised: type[BaseException]
) -> None:
    started: list[Recording] = []
    calls = [0]

    def script(task: CompletionTask) -> Iterable[Written]:
        calls[0] += 1
        if calls[0] == 20:
            signal.raise_signal(number)
        return chatter(task)

    def start(_: str, context: int, __: int) -> Recording:
        started.append(Recording(script, context))
        return started[-1]

    out = tmp_path / "own.jsonl"
    with pytest.raises(raised):
        write(base, out, start=start)
    assert started[0].closed == 1
    assert 0 < len(rows(out)) < 20
    assert all(isinstance(row, Chat) for row in rows(out))
    assert write(base, out) == write(base, tmp_path / "whole.jsonl")


def test_more_chats_may_be_asked_for_later(base: str, tmp_path: Path) -> None:
    write(base, tmp_path / "own.jsonl", 12)
    write(base, tmp_path / "own.jsonl", 20)
    write(base, tmp_path / "whole.jsonl", 20)
    assert (tmp_path / "own.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_what_is_finished_starts_no_engine(base: str, tmp_path: Path) -> None:
    card = write(base, tmp_path / "own.jsonl", 6)

    def start(_: str, __: int, ___: int) -> Recording:
        raise EngineFailed("nobody asked for an engine")

    assert write(base, tmp_path / "own.jsonl", 6, start) == card


def test_what_stands_there_is_not_overwritten_and_not_mixed(base: str, tmp_path: Path) -> None:
    out = tmp_path / "own.jsonl"
    write(base, out, 6)
    before = out.read_bytes()
    with pytest.raises(CallWrong, match="go on with --resume, or remove it"):
        write(base, out, 6, resume=False)
    with pytest.raises(CallWrong, match="another origin: seed was 0, now it is 1"):
        write(base, out, 6, seed=1)
    card_file(out).unlink()
    with pytest.raises(CallWrong, match=r"no own\.card\.json beside it"):
        write(base, out, 6)
    assert out.read_bytes() == before


def test_two_do_not_write_one_file(base: str, tmp_path: Path) -> None:
    out = tmp_path / "own.jsonl"
    card = write(base, out, 6)
    with Output(out, card, resume=True), pytest.raises(CallWrong, match="another process is writing it"):
        write(base, out, 9)


def test_a_base_that_does_not_speak_is_given_up(base: str, tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"of 200 chats of .* 0 can be used \(200 .* 'question: not ended in time'\)"):
        write(base, tmp_path / "own.jsonl", start=starter(lambda _: written(LONG, None)))


def test_a_context_without_room_is_said_before_an_engine_starts(tmp_path: Path) -> None:
    small = str(small_base(tmp_path / "base", context=90))
    with pytest.raises(CallWrong, match="a question of 40 tokens and an answer of 60 do not go into the 90"):
        write(small, tmp_path / "own.jsonl")


def test_other_weights_are_another_origin(tmp_path: Path) -> None:
    folder = small_base(tmp_path / "base")
    write(str(folder), tmp_path / "own.jsonl", 4)
    rewrite(folder / "config.json", rms_norm_eps=1e-5)
    with pytest.raises(CallWrong, match="another origin: base_digest was"):
        write(str(folder), tmp_path / "own.jsonl", 4)


def prompted(base: str, prompts: Path, out: Path, chats: int | None = None) -> Card:
    order = Order(base, chats, 0, SAMPLING, (prompts,))
    return write_replay(order, out, starter(), resume=False, say=quiet)


def test_given_lines_are_answered(base: str, tmp_path: Path) -> None:
    lines = [f"What does the {animal} eat in winter?" for animal in ("heron", "badger", "salmon")]
    (tmp_path / "prompts.txt").write_text("\n\n".join([*lines, lines[0]]) + "\n")
    card = prompted(base, tmp_path / "prompts.txt", tmp_path / "own.jsonl")
    assert card.is_finished
    assert card.tried == 4
    assert card.temperatures.keys() == {"given"}
    asked = [chat.messages[0].content for chat in rows(tmp_path / "own.jsonl") if isinstance(chat, Chat)]
    assert asked == [line for line in lines if line in asked], "in their order, each once"
    assert len(asked) == card.kept == 4 - sum(card.left_out.values())


def test_chats_are_answered_turn_by_turn_by_the_base_itself(base: str, tmp_path: Path) -> None:
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What does the heron eat in winter?"},
        {"role": "assistant", "content": "Somebody else's answer."},
        {"role": "user", "content": "And in summer, when it is warm?"},
    ]
    alone = {"messages": [{"role": "user", "content": "How does the salmon find the way home?"}]}
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ({"messages": talk}, alone)))
    seen: list[str] = []

    def script(task: CompletionTask) -> Iterable[Written]:
        seen.append(TOKENIZER.decode(task.prompt))
        return written(f"The answer number {len(seen)} is about fish and about rivers.", END)

    order = Order(base, None, 0, SAMPLING, (tmp_path / "chats.jsonl",))
    card = write_replay(order, tmp_path / "own.jsonl", starter(script), resume=False, say=quiet)
    assert card.kept == 2
    first = rows(tmp_path / "own.jsonl")[0]
    assert isinstance(first, Chat)
    assert [message.role for message in first.messages] == ["system", "user", "assistant", "user", "assistant"]
    last = next(prompt for prompt in seen if "in summer" in prompt)
    assert first.messages[2].content in last
    assert not any("Somebody else" in prompt for prompt in seen)
    assert last.startswith("<|im_start|>system\nBe brief.")


def test_a_prompt_over_the_context_is_left_out(tmp_path: Path) -> None:
    small = str(small_base(tmp_path / "base", context=120))
    (tmp_path / "prompts.txt").write_text(f"{ASKS * 20}\nWhat does the heron eat in winter?\n")
    card = prompted(small, tmp_path / "prompts.txt", tmp_path / "own.jsonl")
    assert card.left_out["answer: no room in the context"] == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.txt", "\n \n", r"p\.txt: there is no prompt"),
        (
            "p.jsonl",
            '{"messages": [{"role": "assistant", "content": "x"}]}',
            "p.jsonl:1: messages: no question",
        ),
        ("p.jsonl", '{"question": "x"}', r"p\.jsonl:1: no chat"),
    ],
)
def test_prompts_in_error_are_named(base: str, tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises((CallWrong, DataInvalid), match=said):
        prompted(base, tmp_path / name, tmp_path / "own.jsonl")


def test_without_a_number_or_prompts_there_is_nothing_to_do(base: str, tmp_path: Path) -> None:
    with pytest.raises(CallWrong, match="say how many chats, or give prompts"):
        write(base, tmp_path / "own.jsonl", None)
