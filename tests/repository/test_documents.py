"""The documents: each is reached from docs/index.md, links lead somewhere, the commands that they name exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from route_feedback import TREE, main
from taxonomy.command_line import Command, Group

INDEX: Final = Path("docs/index.md")
DOCUMENTS: Final = sorted(Path("docs").rglob("*.md"))
PAGES: Final = [Path("README.md"), Path("CONTRIBUTING.md"), Path("CHANGELOG.md"), *DOCUMENTS]
CODE: Final = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
CALL: Final = re.compile(r"(?<![\w/-])(?:\.venv/bin/)?route-feedback((?: +[^\s`|&;<>()]+)+)")


class Call(NamedTuple):
    """A command's place in the tree, and the options that it is called with."""

    path: list[str]
    options: set[str]


def call(words: list[str]) -> Call:
    node: Command | Group = TREE
    path: list[str] = []
    for word in words:
        if not isinstance(node, Group):
            break
        name = word if word in node.commands else node.default
        assert name, f"route-feedback {' '.join([*path, word])}: no such command"
        node = node.commands[name]
        path.append(name)
    return Call(path, {word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z].*", word)})


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Of every relative link: the file (or folder), and the heading in it, if one is named."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if not re.match(r"[a-z]+:", target):
            file, _, heading = target.partition("#")
            yield (page if not file else (page.parent / file)).resolve().relative_to(Path.cwd()), heading


def headings(page: Path) -> set[str]:
    """As GitHub names them in addresses."""
    titles = re.findall(r"^#+ (.*)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_index_names_every_page_that_stands_beside_it() -> None:
    named = {file for file, _ in links(INDEX)}
    assert {page for page in Path("docs").glob("*.md") if page != INDEX} - named == set()
    assert set(Path("docs/decisions").glob("*.md")) - named == set()


def test_every_document_is_reached_from_the_index() -> None:
    reached, open_ = {INDEX}, [INDEX]
    while open_:
        found = {file for file, _ in links(open_.pop()) if file.suffix == ".md"} - reached
        reached |= found
        open_ += found
    assert set(DOCUMENTS) - reached == set()


def test_the_readme_leads_to_the_index() -> None:
    assert (INDEX, "") in set(links(Path("README.md")))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_its_links_lead_somewhere(page: Path) -> None:
    assert [str(file) for file, _ in links(page) if not file.exists()] == []
    assert [f"{file}#{heading}" for file, heading in links(page) if heading and heading not in headings(file)] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_commands_that_it_names_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = " ".join(CODE.findall(text(page).replace("\\\n", " ")))
    for words in CALL.findall(code):
        path, options = call(words.split())
        if options - {"--help"}:
            assert main([*path, "--help"]) == 0
            offered = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
            assert options - offered == set(), f"route-feedback {' '.join(path)} has no such option"
