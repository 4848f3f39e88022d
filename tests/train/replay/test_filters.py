"""What is left out of a base's own chats, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serve.engine.completion import Completion
from tests.support.speakers import END, TOKENIZER, TURNS
from train.data.chat_formats import Message
from train.replay.filters import SHORTEST, ChatFilter, Excluded, Reason, fault_of_turn, is_loop

OTHER = TOKENIZER.pad_token_id
NOTHING = Excluded(None, ())
GOOD = (Message("user", "Why is the night picture of my camera blurry?"), Message("assistant", "Clean its lens."))


def said(text: str, ended_by: int | None = END) -> Reason | None:
    return fault_of_turn(Completion(text, ended_by), TURNS.user_end, TURNS, SHORTEST)


@pytest.mark.parametrize(
    ("text", "ended_by", "reason"),
    [
        ("Why is it late?", END, None),
        ("", END, Reason.EMPTY),
        (" \n\t", END, Reason.EMPTY),
        ("hi", END, Reason.TOO_SHORT),
        ("你好吗", END, None),
        ("Why is it late and wh", None, Reason.CUT_OFF),
        ("Why is it late?", OTHER, Reason.SPECIAL),
        ("Why does it print <|im_end|> to me?", END, Reason.SPECIAL),
        ("Why is it \ufffd late?", END, Reason.BROKEN),
        ("Why is it\x07 late?", END, Reason.BROKEN),
        ("Why is it late?\n\tBecause of snow?", END, None),
        ("It is late, and again " * 20, END, Reason.LOOP),
        ("It is late, and again " * 20, None, Reason.LOOP),
        ("又下雪了，" * 60, END, Reason.LOOP),
    ],
)
def test_why_a_turn_cannot_be_used(text: str, ended_by: int | None, reason: Reason | None) -> None:
    assert said(text, ended_by) is reason


def test_an_answer_may_be_one_letter() -> None:
    assert fault_of_turn(Completion("B", END), TURNS.answer_end, TURNS) is None


def test_lists_and_code_are_no_loops() -> None:
    table = "\n".join(f"{row} times {column} is {row * column}." for row in range(2, 9) for column in (3, 7))
    code = "\n".join(
        f"def get_{name}(self):\n    return self.{name}" for name in ("width", "height", "depth", "weight")
    )
    assert not is_loop(table)
    assert not is_loop(code)
    assert not is_loop("ha " * 9), "short texts may"


def reasons(*chats: tuple[str, str], excluded: Excluded = NOTHING) -> list[str | None]:
    chosen = ChatFilter(excluded, ())
    return [chosen.reason((Message("user", one), Message("assistant", other))) for one, other in chats]


def test_a_question_that_was_asked_is_not_asked_again() -> None:
    question, answer = (message.content for message in GOOD)
    found = reasons(
        (question, answer),
        (question.upper(), "Another answer, which makes no difference to that."),
        (question + "!", answer),
        ("How do I connect the doorbell to my wireless network?", answer),
    )
    assert found == [None, Reason.DUPLICATE, Reason.DUPLICATE, None]


def test_what_stands_in_the_file_already_counts_as_asked() -> None:
    chosen = ChatFilter(NOTHING, [GOOD])
    assert chosen.languages == {"en": 1}
    assert chosen.reason(GOOD) is Reason.DUPLICATE


def test_what_is_in_no_language_is_left_out() -> None:
    found = reasons(
        ("xq zzkv 88 -- qpw; 7f&&", "vvx 0x81 kq"),
        ("12 + 7 = ? x1 y2", "zum dopo aku sebab " + "il mnogo casa hvis paa 7" * 9),
        ("Wann kommt das Paket endlich bei mir an?", "Morgen, wenn es nicht schneit."),
        ("12 + 7 = ?", "19"),
    )
    assert found == [Reason.NO_LANGUAGE, Reason.NO_LANGUAGE, None, None]


QUESTION = "Which of the following planets has the largest number of known moons in our system?"
COMMENT = "The night picture of the garden camera is blurry and the siren went off for no reason at all last week."


@pytest.fixture
def excluded(tmp_path: Path) -> Excluded:
    folder = tmp_path / "general" / "mmlu" / "test"
    folder.mkdir(parents=True)
    (folder / "sky_test.csv").write_text(f'question,choice0,choice1,choice2,choice3,answer\n"{QUESTION}",a,b,c,d,0\n')
    test = tmp_path / "test.jsonl"
    rows = [{"comment": COMMENT, "segments": []}, {"comment": "Parcel came broken!", "segments": []}]
    test.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Excluded(tmp_path / "general", [test])


def test_benchmark_questions_and_test_comments_are_left_out(excluded: Excluded) -> None:
    answer = "I do not know, but I can find it out for you."
    found = reasons(
        (f"Tell me: {QUESTION}", answer),
        ("What do people complain about?", f"For example: {COMMENT} Things like that."),
        ("parcel came broken!", answer),
        ("Which planets have moons?", answer),
        excluded=excluded,
    )
    assert found == ["benchmark question (mmlu)", Reason.TEST, Reason.TEST, None]


def test_what_is_kept_out_has_a_digest_of_its_own(excluded: Excluded, tmp_path: Path) -> None:
    assert NOTHING.digest is None
    assert Excluded(tmp_path / "general", ()).digest not in {None, excluded.digest}
    assert Excluded(tmp_path / "general", [tmp_path / "test.jsonl"]).digest == excluded.digest
