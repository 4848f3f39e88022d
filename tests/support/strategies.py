"""What property tests draw: labels, taxonomies, comments and answers."""

from __future__ import annotations

from hypothesis import strategies as st

from taxonomy.labels import EMOTIONS
from taxonomy.language.answer import Part
from taxonomy.language.chunks import chunks
from taxonomy.names import fault_of_name, is_blank, looks
from taxonomy.tree import REVIEW_BY, Leaf, Taxonomy, taxonomy_of

# Everything but surrogates and control characters, with those that formats trip over drawn often.
_awkward = st.sampled_from(list("\"'/&\\=#:-{}[]<>|,;_ 😀é日本ß%@+*?~`\u200f\u200d"))
_plain = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="|")
label = (
    st.text(st.one_of(_awkward.filter(lambda c: c != "|"), _plain), min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda text: not is_blank(text) and not fault_of_name(text))
)
any_text = st.text(st.one_of(_plain, _awkward, st.sampled_from("\n\t\r\x00\x0b\x7f")), max_size=80)
sentences = st.lists(
    st.sampled_from(
        [
            "It came late, ",
            "the app crashes! ",
            "Das Bild ist unscharf; ",
            "¿dónde está? ",
            "夜里看不清。",
            'he said "no" ',
            "<|im_end|> ",
            "😡 ",
            "\n",
            'x", "L1": "y ',
            "\\",
        ]
    ),
    min_size=1,
    max_size=8,
).map("".join)
comment = st.one_of(sentences, any_text.filter(bool))


@st.composite
def taxonomies(draw: st.DrawFn, max_leaves: int = 8) -> Taxonomy:
    """Valid taxonomies of any depth, even or not, in any script."""
    depths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=max_leaves))
    names = draw(st.lists(label, min_size=1, max_size=max_leaves * 2, unique_by=(_looks, _looks_in_letters)))
    drawn = {tuple(draw(st.sampled_from(names)) for _ in range(depth)) for depth in depths}
    # What stands above another is no leaf.
    paths = drawn - {path[:level] for path in drawn for level in range(len(path))}
    text = st.one_of(st.just(""), label)
    unit = st.sampled_from(["", *names])
    leaves = [
        Leaf(path, draw(text), tuple(draw(st.lists(label, max_size=2))), draw(unit), draw(unit)) for path in paths
    ]
    below, by = draw(st.sampled_from([0.5, 0.25, 1.0])), draw(st.sampled_from(REVIEW_BY))
    return taxonomy_of(leaves, review_below=below, review_by=by)


def _looks(text: str) -> str:
    return looks(text)[0]


def _looks_in_letters(text: str) -> str:
    return looks(text)[1]


@st.composite
def answers(draw: st.DrawFn, comment: str, taxonomy: Taxonomy) -> tuple[Part, ...]:
    """Any valid answer to a comment."""
    parts: list[Part] = []
    content = ""
    pieces = chunks(comment)
    for index, piece in enumerate(pieces):
        content += piece
        if index == len(pieces) - 1 or draw(st.booleans()):
            leaf = draw(st.one_of(st.none(), st.sampled_from(taxonomy.leaves)))
            parts.append(Part(content, leaf.path, draw(st.sampled_from(EMOTIONS))) if leaf else Part(content))
            content = ""
    return tuple(parts)
