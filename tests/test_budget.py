"""What is said, and refused, before the first download."""

from pathlib import Path

import pytest

from isobuilder.budget import Budget, Place, make_budget
from isobuilder.errors import HostError
from isobuilder.fetch.cache import Cache
from isobuilder.inputs import locked_files
from isobuilder.lock import Lock
from tests.test_lock import LOCK
from tests.test_lockdiff import package


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def lock(cache: Cache) -> Lock:
    """One package that is there, one of which 300,000 bytes came, and one that boot code is taken out of."""
    there = cache.add(bytes(1_000_000)).name
    with cache.claim("2" * 64, lambda: None) as part:
        part.write(bytes(300_000))
    here = package("here-0:1-1.noarch", "nc")
    here = here.model_copy(update={"file": here.file.model_copy(update={"sha256": there})})
    begun = package("begun-0:1-1.noarch", "nc", sha256="2", size=2_000_000)
    boot = package("boot-0:1-1.noarch", sha256="3", size=4_000_000)
    return LOCK.model_copy(update={"packages": (here, begun, boot), "boot": ()})


def budget(cache: Cache, output: Path, free: int) -> Budget:
    made = lock(cache)
    return make_budget(made, locked_files(made), cache, output, lambda _folder: free)


def test_what_is_to_come_is_said(cache: Cache, tmp_path: Path) -> None:
    made = budget(cache, tmp_path / "out", 50_000_000)
    assert list(made.lines()) == [
        "2 packages for the medium, 3.0 MB",
        "to fetch: 2 files, 6.0 MB (300.0 kB of them came before); in the cache: 1 files, 1.0 MB",
        f"space: at least 5.7 MB in {cache.root} and 3.0 MB in {tmp_path / 'out'}; 50.0 MB free",
    ]
    made.check()


@pytest.mark.parametrize(("free", "enough"), [(8_700_000, True), (8_699_999, False)])
def test_one_file_system_must_hold_both(cache: Cache, tmp_path: Path, free: int, enough: bool) -> None:  # noqa: FBT001
    made = budget(cache, tmp_path, free)
    if enough:
        made.check()
        return
    with pytest.raises(HostError, match="not enough space") as error:
        made.check()
    assert error.value.details == (f"{cache.root} and {tmp_path}: 8.7 MB needed at least, 8.7 MB free",)


def test_two_file_systems_are_looked_at_alone(tmp_path: Path) -> None:
    sizes = {
        "packages": 1,
        "packages_size": 1,
        "here": 0,
        "here_size": 0,
        "missing": 1,
        "missing_size": 5,
        "partial": 0,
    }
    small, large = Place(tmp_path / "a", 5_000, 4_000, 1), Place(tmp_path / "b", 9_000, 10_000, 2)
    with pytest.raises(HostError) as error:
        Budget(**sizes, cache=small, output=large).check()
    assert error.value.details == (f"{tmp_path / 'a'}: 5.0 kB needed at least, 4.0 kB free",)
    lines = list(Budget(**sizes, cache=large, output=small).lines())
    assert lines[2:] == [
        f"space: at least 9.0 kB in {tmp_path / 'b'}; 10.0 kB free",
        f"space: at least 5.0 kB in {tmp_path / 'a'}; 4.0 kB free",
    ]


def test_an_output_that_cannot_be_is_named(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match=str(tmp_path / "file")):
        budget(cache, tmp_path / "file" / "out", 1)
