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


@given(taxonomy=taxonomies())
@settings(max_examples=30, deadline=None)
def test_nothing_changes_from_a_taxonomy_to_itself(taxonomy: Taxonomy) -> None:
    assert diff(taxonomy, taxonomy).is_empty


@given(old=taxonomies(), new=taxonomies())
@settings(max_examples=60, deadline=None)
def test_every_leaf_is_accounted_for(old: Taxonomy, new: Taxonomy) -> None:
    change = diff(old, new)
    stay = {leaf.path for leaf in old.leaves if leaf.path in new}
    assert stay | set(change.moved) | set(change.removed) == {leaf.path for leaf in old.leaves}
    assert stay | set(change.moved.values()) | set(change.added) == {leaf.path for leaf in new.leaves}
    assert len(set(change.moved.values())) == len(change.moved)


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
    assert "7: the new taxonomy has no Gone > Away" in capsys.readouterr().err
    assert not out.exists()
