"""A file is written whole or not at all, and the error says which."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxonomy.bundled import bundled_taxonomy
from taxonomy.files import appeared, whole
from taxonomy.formats.registry import save_taxonomy


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file of this process may grow over 4 KiB: what a full disk does, without one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


# What lxml has begun for openpyxl it tries to end when it is thrown away, where nobody can catch it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("no_room")
@pytest.mark.parametrize("ending", [".yaml", ".json", ".csv", ".xlsx"])
def test_where_there_is_no_room_the_old_file_stays_and_the_error_names_it(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"t{ending}"
    file.write_text("as it was")
    with pytest.raises(OSError, match=f"t{ending}"):
        save_taxonomy(bundled_taxonomy(), file)
    assert file.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [file]


def test_a_failure_in_between_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "new"

    def write() -> None:
        with whole(file) as part:
            part.write_text("half of it")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write()
    assert not list(tmp_path.iterdir())


def test_what_is_no_plain_file_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with whole(pipe) as part:
        part.write_text("through it")
    assert os.read(reading, 100) == b"through it"
    os.close(reading)
    assert pipe.is_fifo()


def one_file(folder: Path) -> None:
    (folder / "one").write_text("1")


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new"

    def half(folder: Path) -> None:
        one_file(folder)
        assert not target.exists()
        raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        appeared(target, half)
    assert not list(tmp_path.iterdir())
    target.mkdir()
    assert appeared(target, one_file)
    assert (target / "one").read_text() == "1"


def test_a_folder_that_holds_something_stays_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "there"
    target.mkdir()
    (target / "mine").write_text("1")
    assert not appeared(target, one_file)
    assert [file.name for file in target.iterdir()] == ["mine"]
    assert list(tmp_path.iterdir()) == [target]
