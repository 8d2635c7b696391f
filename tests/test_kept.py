"""What is kept beside the cache's files: given back as it was, and not believed where others could have written it."""

import os
from pathlib import Path

import pytest

from isobuilder.kept import Kept, key_of


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    found = Kept(tmp_path / "kept")
    found.keep_facts("one", {"name": ["value", 1]})
    found.keep_data("one", {"a/b": b"bytes\n\0", "empty": b""})
    return found


def test_what_is_kept_comes_back(kept: Kept) -> None:
    assert kept.facts("one") == {"name": ["value", 1]}
    assert kept.data("one") == {"a/b": b"bytes\n\0", "empty": b""}
    assert kept.facts("other") == {}
    assert kept.data("other") is None


def test_several_files_are_there_together_or_not_at_all(kept: Kept) -> None:
    kept.keep("two", [lambda file: file.write(b"first"), lambda file: file.write(b"second")])
    with kept.opened("two", 2) as files:
        assert files
        # A library reads from the descriptor.
        assert [os.read(file.fileno(), 99) for file in files] == [b"first", b"second"]
    (kept.folder / "two-1").unlink()
    with kept.opened("two", 2) as files:
        assert files is None


@pytest.mark.parametrize("change", ["byte", "cut", "longer", "empty"])
def test_what_is_damaged_is_as_good_as_absent(kept: Kept, change: str) -> None:
    path = kept.folder / "one-facts-0"
    data = path.read_bytes()
    changed = {"byte": data[:-1] + b"x", "cut": data[:-1], "longer": data + b" ", "empty": b""}[change]
    path.write_bytes(changed)
    assert kept.facts("one") == {}


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_what_others_may_write_is_not_believed(kept: Kept, mode: int) -> None:
    (kept.folder / "one-facts-0").chmod(mode)
    assert kept.facts("one") == {}
    assert kept.data("one")


def test_nothing_in_a_folder_that_others_may_write_to_is_believed(kept: Kept) -> None:
    kept.folder.chmod(0o777)
    assert kept.facts("one") == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_is_somebody_elses_is_not_believed(kept: Kept) -> None:
    os.chown(kept.folder / "one-facts-0", 12345, 12345)
    assert kept.facts("one") == {}


def test_a_place_that_takes_nothing_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Kept(tmp_path / "file")
    kept.keep_facts("one", {"a": 1})
    assert kept.facts("one") == {}


def test_a_write_that_fails_leaves_nothing(kept: Kept) -> None:
    def fail(_file: object) -> None:
        raise RuntimeError("a bug")

    before = sorted(kept.folder.iterdir())
    with pytest.raises(RuntimeError):
        kept.keep("three", [fail])
    assert sorted(kept.folder.iterdir()) == before


def test_a_key_is_another_for_anything_else() -> None:
    keys = {key_of("a", 1), key_of("a", "1"), key_of("a1"), key_of("a", [1]), key_of("a", {"b": 1})}
    assert len(keys) == 5
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
