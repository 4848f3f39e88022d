"""What changed between taxonomies, and data carried over."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from route_feedback import main
from taxonomy.comments import labelled, read_comments, write_comments
from taxonomy.diff import diff, migrated
from taxonomy.formats.registry import save_taxonomy
from taxonomy.language.answer import Part
from taxonomy.tree import Leaf, Taxonomy, taxonomy_of
from tests.support.strategies import taxonomies

OLD = taxonomy_of(
    [
        Leaf(("Delivery", "Late"), "after the day", team="logistics"),
        Leaf(("Delivery", "Wet"), "rain got in", team="logistics"),
        Leaf(("App", "Slow"), "it lags", team="development"),
        Leaf(("App", "Crash"), "it stops", team="development"),
    ]
)
NEW = taxonomy_of(
    [
        Leaf(("Shipping", "Late"), "after the promised day", team="logistics"),
        Leaf(("Shipping", "Soaked"), "rain got in", team="logistics"),
        Leaf(("App", "Sluggish"), "slow to react", ("Slow",), team="development"),
        Leaf(("App", "Crash"), "it stops", team="mobile"),
        Leaf(("App", "Dark Mode"), "colours at night", team="development"),
    ]
)


def test_each_leaf_is_told_by_what_became_of_it() -> None:
    change = diff(OLD, NEW)
    assert change.moved == {
        ("Delivery", "Late"): ("Shipping", "Late"),
        ("Delivery", "Wet"): ("Shipping", "Soaked"),
        ("App", "Slow"): ("App", "Sluggish"),
    }
    assert change.added == (("App", "Dark Mode"),)
    assert change.removed == ()
    assert [new.path for _, new in change.changed] == [("App", "Crash")]
    assert change.as_json()["changed"] == [{"path": ["App", "Crash"], "fields": ["team"]}]


def test_what_is_not_plain_is_removed_and_added() -> None:
    new = taxonomy_of([Leaf(("A", "Late")), Leaf(("B", "Late"))])
    change = diff(taxonomy_of([Leaf(("Delivery", "Late"))]), new)
    assert change.moved == {}
    assert (len(change.removed), len(change.added)) == (1, 2)


def test_a_leaf_is_merged_into_the_one_that_names_it_among_its_synonyms() -> None:
    new = taxonomy_of(
        [
            Leaf(("Delivery", "Late"), "after the day", team="logistics"),
            Leaf(("Delivery", "Damage"), "anything broken", ("Wet", "Slow"), team="logistics"),
            Leaf(("App", "Crash"), "it stops", ("Slow",), team="development"),
        ]
    )
    change = diff(OLD, new)
    assert change.merged == {("Delivery", "Wet"): ("Delivery", "Damage")}
    assert change.removed == (("App", "Slow"),), "two leaves claim it: nobody can say which is meant"
    old = labelled("a", [Part("Wet box.", ("Delivery", "Wet"), "negative")])
    comment, lost = migrated(old, change, new)
    assert [segment.path for segment in comment.segments] == [("Delivery", "Damage")]
    assert lost == []


def test_two_leaves_of_one_label_are_not_merged_by_it() -> None:
    old = taxonomy_of([Leaf(("A", "Late")), Leaf(("B", "Late")), Leaf(("C", "On Time"))])
    change = diff(old, taxonomy_of([Leaf(("C", "On Time"), "", ("Late",))]))
    assert change.merged == {}
    assert len(change.removed) == 2


SHALLOW = taxonomy_of([Leaf(("Delivery",)), Leaf(("App", "Login", "Code")), Leaf(("App", "Price"), "what it costs")])
DEEP = taxonomy_of(
    [
        Leaf(("Delivery", "Late")),
        Leaf(("Delivery", "Wet")),
        Leaf(("App", "Code")),
        Leaf(("Money", "Product", "App"), "what it costs"),
    ]
)


def test_a_leaf_may_move_to_another_level() -> None:
    change = diff(SHALLOW, DEEP)
    assert change.moved == {
        ("App", "Login", "Code"): ("App", "Code"),
        ("App", "Price"): ("Money", "Product", "App"),
    }
    assert diff(DEEP, SHALLOW).moved == {new: old for old, new in change.moved.items()}


def test_a_leaf_that_got_leaves_below_it_is_split_and_they_are_merged_on_the_way_back() -> None:
    below = (("Delivery", "Late"), ("Delivery", "Wet"))
    there, back = diff(SHALLOW, DEEP), diff(DEEP, SHALLOW)
    assert there.split == {("Delivery",): below}
    assert back.merged == dict.fromkeys(below, ("Delivery",))
    for change in (there, back):
        assert change.added == change.removed == ()
    assert there.as_json()["split"] == [{"from": ["Delivery"], "to": [["Delivery", "Late"], ["Delivery", "Wet"]]}]
    assert back.as_json()["merged"][0] == {"from": ["Delivery", "Late"], "to": ["Delivery"]}


def test_the_place_in_the_tree_comes_before_a_name_and_after_a_scope() -> None:
    old = taxonomy_of([Leaf(("A", "B", "Other")), Leaf(("A", "B", "Slow"), "it lags")])
    new = taxonomy_of([Leaf(("A", "B")), Leaf(("X", "Other")), Leaf(("Speed",), "it lags")])
    change = diff(old, new)
    assert change.merged == {("A", "B", "Other"): ("A", "B")}
    assert change.moved == {("A", "B", "Slow"): ("Speed",)}
    assert change.added == (("X", "Other"),)


def test_merged_segments_take_the_label_above_and_split_ones_need_a_choice() -> None:
    late = labelled("1", [Part("Late.", ("Delivery", "Late"), "negative")])
    carried, lost = migrated(late, diff(DEEP, SHALLOW), SHALLOW)
    assert [span.path for span in carried.segments] == [("Delivery",)]
    assert lost == []
    _, lost = migrated(carried, diff(SHALLOW, DEEP), DEEP)
    assert lost == [("Delivery",)]
    only = taxonomy_of([Leaf(("Delivery", "Late")), *SHALLOW.leaves[:2]])
    renamed, lost = migrated(carried, diff(SHALLOW, only), only)
    assert [span.path for span in renamed.segments] == [("Delivery", "Late")]
    assert lost == []


@given(taxonomy=taxonomies())
@settings(max_examples=30, deadline=None)
def test_nothing_changes_from_a_taxonomy_to_itself(taxonomy: Taxonomy) -> None:
    assert diff(taxonomy, taxonomy).is_empty


@given(old=taxonomies(), new=taxonomies())
@settings(max_examples=60, deadline=None)
def test_every_leaf_is_accounted_for(old: Taxonomy, new: Taxonomy) -> None:
    change = diff(old, new)
    stay = {leaf.path for leaf in old.leaves if leaf.path in new}
    gone = [*change.moved, *change.merged, *change.split, *change.removed]
    assert sorted([*stay, *gone]) == [leaf.path for leaf in old.leaves]
    placed = {*change.moved.values(), *change.merged.values(), *(path for to in change.split.values() for path in to)}
    assert stay | placed | set(change.added) == {leaf.path for leaf in new.leaves}
    assert not placed & {*stay, *change.added}
    assert len(set(change.moved.values())) == len(change.moved)
    assert all(path[: len(above)] == above for path, above in change.merged.items())
    assert all(below[: len(path)] == path for path, to in change.split.items() for below in to)


def test_data_moves_with_its_leaves_and_what_is_lost_is_named() -> None:
    comment = labelled(
        "1", [Part("Late. ", ("Delivery", "Late"), "negative"), Part("Hi. "), Part("x", ("App", "Slow"))]
    )
    carried, lost = migrated(comment, diff(OLD, NEW), NEW)
    assert [span.path for span in carried.segments] == [("Shipping", "Late"), ("App", "Sluggish")]
    assert carried.comment == comment.comment
    assert lost == []
    _, lost = migrated(comment, diff(OLD, OLD), NEW)
    assert lost == [("Delivery", "Late"), ("App", "Slow")]


def test_the_commands_compare_and_migrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, data, out = (tmp_path / name for name in ("old.yaml", "new.csv", "d.jsonl", "out.jsonl"))
    save_taxonomy(OLD, old)
    save_taxonomy(NEW, new)
    write_comments([labelled("1", [Part("Late.", ("Delivery", "Late"), "negative")])], data)
    assert main(["taxonomy", "diff", str(old), str(new)]) == 0
    assert "added    App > Dark Mode" in capsys.readouterr().out
    migrate = ["taxonomy", "migrate", str(data), "--from", str(old), "--to", str(new), "--out", str(out)]
    assert main(migrate) == 0
    assert next(read_comments(out)).segments[0].path == ("Shipping", "Late")
    capsys.readouterr()
    write_comments([labelled("7", [Part("Late.", ("Gone", "Away"), "negative")])], data)
    out.unlink()
    assert main(migrate) == 1
    assert "7: the new taxonomy has no leaf Gone > Away" in capsys.readouterr().err
    assert not out.exists()


def test_the_commands_tell_what_was_split_and_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shallow, deep, data, out = (tmp_path / name for name in ("shallow.yaml", "deep.yaml", "d.jsonl", "out.jsonl"))
    save_taxonomy(SHALLOW, shallow)
    save_taxonomy(DEEP, deep)
    assert main(["taxonomy", "diff", str(shallow), str(deep)]) == 0
    told = capsys.readouterr().out
    assert "split    Delivery\n    into Delivery > Late\n    into Delivery > Wet" in told
    write_comments([labelled("7", [Part("Late.", ("Delivery",), "negative")])], data)
    migrate = ["taxonomy", "migrate", str(data), f"--out={out}"]
    assert main([*migrate, f"--from={shallow}", f"--to={deep}"]) == 1
    told = capsys.readouterr().err
    assert "7: the new taxonomy has no leaf Delivery; it is split, so choose: Delivery > Late, Delivery > Wet" in told
    write_comments([labelled("7", [Part("Late.", ("Delivery", "Late"), "negative")])], data)
    assert main([*migrate, f"--from={deep}", f"--to={shallow}"]) == 0
    assert "1 segments have the leaf above their old one" in capsys.readouterr().out
    assert next(read_comments(out)).segments[0].path == ("Delivery",)
