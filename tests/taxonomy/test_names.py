"""Names that look the same, and characters that no name holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.names import difference, fault_of_name, is_blank, looks


def alike(one: str, other: str) -> bool:
    return any(a == b for a, b in zip(looks(one), looks(other), strict=True))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Late Parcel", "late parcel"),
        ("Late Parcel", "Late\u200b Parcel"),
        ("Late Parcel", "Late\u00a0Parcel"),
        ("Late Parcel", "Late  Parcel"),
        ("Late Parcel", "Late\u2009Parcel"),
        ("Late Parcel", "Late\u2028Parcel"),
        ("Late Parcel", "Late\u2800Parcel"),
        ("Late Parcel", "La\u00adte Parcel"),
        ("Late Parcel", "\u2067Late Parcel\u2069"),
        ("Late Parcel", "Late\u2060 Parcel"),
        ("Late Parcel", "Late\U000e0041 Parcel"),
        ("Late Parcel", "Lаte Pаrcel"),
        ("cop", "сор"),
        ("Mail", "Маil"),
        ("MAIL", "ΜΑΙL"),
        ("AI", "Al"),
        ("Café", "Cafe\u0301"),
        ("a\u0323\u0307", "a\u0307\u0323"),
        ("ﬁne", "fine"),
        ("Straße", "STRASSE"),
        ("❤", "❤\ufe0f"),
        ("می\u200cخواهم", "میخواهم"),
        ("Don't", "Don’t"),
        ("check-in", "check‐in"),
        ("한국", "한\u3164국"),
    ],
)
def test_these_look_the_same(one: str, other: str) -> None:
    assert alike(one, other)
    assert difference(one, other).startswith("only in ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Late", "Lates"),
        ("Boot", "Boat"),
        ("мир", "мыр"),
        ("בו", "בן"),
        ("على", "علي"),
        ("カ", "力"),
        ("v1", "v2"),
        ("resume", "résumé"),
        ("👍", "👎"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e007f", "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e007f"),
    ],
)
def test_these_do_not(one: str, other: str) -> None:
    assert not alike(one, other)


@pytest.mark.parametrize(
    "name",
    [
        "می\u200cخواهم",
        "👨\u200d👩\u200d👧",
        "❤\ufe0f",
        "1\ufe0f\u20e3",
        "\U0001f3f4\U000e0067\U000e0062\U000e007f",
        "שלום\u200f!",
        "葛\U000e0100",
        "C++ & C#",
        "日本語",
    ],
)
def test_what_scripts_and_emoji_need_is_in_its_place(name: str) -> None:
    assert fault_of_name(name) is None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a\u200bb", "U+200B ZERO WIDTH SPACE"),
        ("a\u200d", "U+200D ZERO WIDTH JOINER"),
        ("\u200fa", "U+200F RIGHT-TO-LEFT MARK"),
        ("\u202ea", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("a\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("a\u00adb", "U+00AD SOFT HYPHEN"),
        ("a\U000e0041", "U+E0041 TAG LATIN CAPITAL LETTER A"),
        ("\ufe0fa", "U+FE0F VARIATION SELECTOR-16"),
        ("a\u3164b", "U+3164 HANGUL FILLER"),
        ("a\ufffeb", "U+FFFE, which is no character"),
        ("a\ud800b", "a control character"),
        ("a\x00b", "a control character"),
        ("a\u2029b", "a control character"),
    ],
)
def test_what_is_not_drawn_is_named(name: str, fault: str) -> None:
    assert fault in str(fault_of_name(name))


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\u00a0\u2800", "\ufeff \u3164"])
def test_what_nobody_sees_is_blank(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(f"{text}x")


@given(st.text(max_size=20))
def test_a_name_looks_like_itself_in_any_form(name: str) -> None:
    assert alike(name, name.replace(" ", "\u00a0"))
    assert alike(f"{name}x", f" {name}\u200bx")
