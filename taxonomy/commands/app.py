"""`route-feedback taxonomy ...`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from taxonomy import command_line
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.comments import read_comments, write_comments
from taxonomy.diff import changed_fields, diff, migrated
from taxonomy.errors import TaxonomyInvalid
from taxonomy.formats.registry import load_taxonomy, save_taxonomy
from taxonomy.labels import LEVELS


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="route-feedback")
    rooms = parser.add_subparsers(required=True)
    _taxonomy(rooms.add_parser("taxonomy", help="taxonomy files: YAML, CSV, XLSX, JSON"))
    return command_line.run(parser, arguments)


def _taxonomy(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True)
    for name, run, text in (
        ("validate", _validate, "name every fault of a taxonomy file"),
        ("stats", _stats, "count its labels, teams and workflows"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("file", type=Path, nargs="?", default=BUNDLED_TAXONOMY, help="default: the bundled one")
        command.add_argument("--json", action="store_true")
        command.set_defaults(run=run)
    convert = commands.add_parser("convert", help="write it in another format, by the endings")
    convert.add_argument("source", type=Path)
    convert.add_argument("target", type=Path)
    convert.set_defaults(run=_convert)
    compare = commands.add_parser("diff", help="what changed from one taxonomy to the next")
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path)
    compare.add_argument("--json", action="store_true")
    compare.set_defaults(run=_diff)
    migrate = commands.add_parser("migrate", help="carry labelled comments (JSONL) over to the next taxonomy")
    migrate.add_argument("data", type=Path)
    migrate.add_argument("--from", dest="old", type=Path, required=True)
    migrate.add_argument("--to", dest="new", type=Path, required=True)
    migrate.add_argument("--out", type=Path, required=True)
    migrate.set_defaults(run=_migrate)


def _validate(given: argparse.Namespace) -> int:
    try:
        taxonomy = load_taxonomy(given.file)
    except TaxonomyInvalid as error:
        faults = [{"where": f.where, "what": f.what, "remedy": f.remedy} for f in error.faults]
        command_line.tell({"valid": False, "faults": faults}, str(error), as_json=given.json)
        return 1
    text = f"{given.file}: valid, {len(taxonomy.leaves)} leaves, version {taxonomy.version}"
    command_line.tell({"valid": True, "version": taxonomy.version, "faults": []}, text, as_json=given.json)
    return 0


def _stats(given: argparse.Namespace) -> int:
    taxonomy = load_taxonomy(given.file)
    levels = {
        LEVELS[depth]: len({leaf.path[: depth + 1] for leaf in taxonomy.leaves}) for depth in range(taxonomy.depth)
    }
    teams = Counter(leaf.team or "(none)" for leaf in taxonomy.leaves)
    workflows = Counter(leaf.workflow or "(none)" for leaf in taxonomy.leaves)
    lines = [
        f"version {taxonomy.version}",
        *(f"{level}: {count}" for level, count in levels.items()),
        "leaves by team:",
    ]
    lines += [f"  {count:>5}  {team}" for team, count in teams.most_common()]
    lines += [f"workflows: {len(workflows)}"]
    value = {"version": taxonomy.version, "levels": levels, "teams": dict(teams), "workflows": dict(workflows)}
    command_line.tell(value, "\n".join(lines), as_json=given.json)
    return 0


def _convert(given: argparse.Namespace) -> int:
    taxonomy = load_taxonomy(given.source)
    save_taxonomy(taxonomy, given.target)
    print(f"{given.target}: {len(taxonomy.leaves)} leaves, version {taxonomy.version}")
    return 0


def _diff(given: argparse.Namespace) -> int:
    change = diff(load_taxonomy(given.old), load_taxonomy(given.new))
    lines = [f"moved    {' > '.join(old)}\n      to {' > '.join(new)}" for old, new in change.moved.items()]
    lines += [f"removed  {' > '.join(path)}" for path in change.removed]
    lines += [f"added    {' > '.join(path)}" for path in change.added]
    lines += [f"changed  {' > '.join(new.path)}: {', '.join(changed_fields(old, new))}" for old, new in change.changed]
    command_line.tell(change.as_json(), "\n".join(lines) or "no leaf differs", as_json=given.json)
    return 0


def _migrate(given: argparse.Namespace) -> int:
    new = load_taxonomy(given.new)
    change = diff(load_taxonomy(given.old), new)
    out, homeless = [], 0
    for comment in read_comments(given.data):
        carried, lost = migrated(comment, change, new)
        out.append(carried)
        homeless += len(lost)
        for path in lost:
            print(f"{given.data}: {comment.id}: the new taxonomy has no {' > '.join(path)}", file=sys.stderr)
    if homeless:
        print(f"{homeless} segments need a new label; {given.out} is not written", file=sys.stderr)
        return 1
    print(f"{given.out}: {write_comments(out, given.out)} comments for {new.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
