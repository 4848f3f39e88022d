"""Names that look the same to a person, whatever the reason, and characters that have no place in a name."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

# Unicode's Default_Ignorable_Code_Point, and the marks of interlinear annotation: nothing is drawn for any of them.
_UNSEEN: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_UNSEEN_ONE: Final = re.compile(f"[{_UNSEEN}]")
_FLAG: Final = "\U0001f3f4[\U000e0020-\U000e007f]+"
"""A flag of a region (Scotland's): its tags are not drawn, and make it what it is."""
_UNSEEN_OR_FLAG: Final = re.compile(f"({_FLAG})|[{_UNSEEN}]")
# What scripts and emoji need between two characters: joiners, marks of direction, fillers of Hangul.
_INSIDE: Final = "\u034f\u061c\u115f\u1160\u200c-\u200f"
_VARIATION: Final = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_IN_PLACE: Final = re.compile(
    f"{_FLAG}|(?<=[^{_UNSEEN}\\s])[{_VARIATION}]+|(?<=[^\\s{_UNSEEN}])[{_INSIDE}{_VARIATION}]+(?=[^\\s{_UNSEEN}])"
)
_NOWHERE: Final = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17)) + "]"
)
_SPACES: Final = re.compile(r"[\s\u2800]+")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# From Unicode's confusables (UTS 39), Greek, Cyrillic, Armenian and punctuation that look like ASCII: between these
# scripts people and programs mix letters up. Not whole: within one script it also takes words for one another that
# readers of that script tell apart.
_LIKE: Final = {
    "A": "ΑА", "B": "ΒВ", "C": "СϹ", "E": "ΕЕ", "F": "Ϝ", "G": "Ԍ", "H": "ΗН", "J": "ͿЈ", "K": "ΚК", "M": "ΜМϺ",
    "N": "Ν", "O": "ΟОՕ", "P": "ΡР", "S": "ЅՏ", "T": "ΤТ", "U": "Ս", "V": "Ѵ", "W": "Ԝ", "X": "ΧХ", "Y": "ΥУҮ",
    "Z": "Ζ", "a": "αаɑ", "b": "Ь", "c": "сϲ", "d": "ԁ", "e": "е", "f": "ք", "g": "ցɡ", "h": "һհ", "i": "ιіɩı",
    "j": "јϳ", "l": "IΙІӀӏ|", "n": "ո", "o": "οоօ", "p": "ρр", "q": "ԛզ", "r": "г", "s": "ѕ", "u": "υս",
    "v": "νѵ", "w": "ԝѡա", "x": "х×", "y": "уγү", "3": "З", "6": "б", "'": "’‘‛′‵ʹʻʼʽˈ՚`´", '"': "“”‟″",
    "-": "‐‑‒–−⁃˗", "/": "⁄∕", ":": "։∶ː", ",": "‚",
}  # fmt: skip
_LETTERS: Final = str.maketrans({other: letter for letter, others in _LIKE.items() for other in others})


@lru_cache(maxsize=200_000)
def looks(name: str) -> tuple[str, str]:
    """Two names look the same where either of these two is the same for both.

    The first sees past case, Unicode's forms, spaces and what is not drawn; the second past other scripts' letters too.
    """
    plain = _drawn(unicodedata.normalize("NFKC", name))
    letters = unicodedata.normalize("NFD", plain).translate(_LETTERS)
    return _caseless(plain), _caseless(letters)


def _drawn(text: str) -> str:
    return _SPACES.sub(" ", _UNSEEN_OR_FLAG.sub(r"\1", text)).strip()


def _caseless(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def difference(name: str, other: str) -> str:
    """In what two names that look the same differ, for a person."""
    own = next((c for c in name if c not in other), None) or next((c for c in other if c not in name), None)
    shown = f" ({_named(own)})" if own else ""
    if _drawn(name) == _drawn(other):
        return f"only in spaces or in characters that are not drawn{shown}"
    if looks(name)[0] == looks(other)[0]:
        return "only in case or Unicode form"
    return f"only in letters that look the same{shown}"


def fault_of_text(text: str) -> str | None:
    """What is wrong with any text of a taxonomy: a control character, half a character, none at all."""
    if _CONTROLS.search(text):
        return "holds a control character"
    if found := _NOWHERE.search(text):
        return f"holds {_named(found[0])}, which is no character"
    return None


def fault_of_name(name: str) -> str | None:
    """What is wrong with a label, synonym, team or workflow: besides the above, a character that is not drawn.

    Joiners and marks of direction between two characters are in their place, as are variation selectors after one.
    """
    if fault := fault_of_text(name):
        return fault
    if found := _UNSEEN_ONE.search(_IN_PLACE.sub("", name)):
        return f"holds {_named(found[0])}, which is not drawn"
    return None


def is_blank(text: str) -> bool:
    """Whether a person sees nothing there."""
    return not text or not ("!" <= text[0] <= "~" or _SPACES.sub("", without_unseen(text)))


def without_unseen(text: str) -> str:
    """Without the characters that are not drawn."""
    return _UNSEEN_ONE.sub("", text)


def _named(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + f" {name}" * bool(name)
