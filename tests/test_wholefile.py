"""Files that are written whole: by several at once, with permissions, and not at all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from isobuilder.errors import HostError
from isobuilder.wholefile import leftovers, write_whole


def test_several_write_one_file_at_the_same_time_and_it_is_always_that_of_one(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    texts = [f"{number}\n" * 20_000 for number in range(8)]
    with ThreadPoolExecutor(8) as workers:
        for _ in range(10):
            list(workers.map(lambda text: write_whole(path, text), texts))
            assert path.read_text() in texts
    assert [each.name for each in tmp_path.iterdir()] == ["x.lock"]


def test_permissions_are_those_of_other_files_or_as_asked(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_whole(tmp_path / "plain", "a")
    write_whole(tmp_path / "mine", "a", mode=0o600)
    other, plain, mine = ((tmp_path / name).stat().st_mode & 0o777 for name in ("other", "plain", "mine"))
    assert (plain, mine) == (other, 0o600)


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \ud800")
    assert (path.read_text(), list(leftovers(path))) == ("old", [])
    with pytest.raises(HostError, match=r"x\.lock/y: cannot be written: Not a directory") as refused:
        write_whole(path / "y", "new", hint="Choose another place.")
    assert refused.value.hint == "Choose another place."


def test_what_a_killed_writer_left_is_known_again(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    (tmp_path / ".x.lock.0123abcd.part").touch()
    (tmp_path / ".xylock.0123abcd.part").touch()
    assert [left.name for left in leftovers(path)] == [".x.lock.0123abcd.part"]
