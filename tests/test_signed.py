"""Verdicts on packages: given while they come, kept, and asked for again where anything else is the case."""

from pathlib import Path

import pytest

from isobuilder.errors import TrustError
from isobuilder.fetch.cache import Cache
from isobuilder.lock import Lock, read_lock
from isobuilder.progress import Silent
from isobuilder.signed import PackageChecks
from isobuilder.trust import packages
from tests.conftest import Demo

pytestmark = pytest.mark.practice


@pytest.fixture
def lock(demo: Demo) -> Lock:
    found = read_lock(demo.lock)
    assert found
    return found


@pytest.fixture
def cache(demo: Demo, tmp_path: Path) -> Cache:
    """The demo's files, and nothing that is kept of them."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/sha256").symlink_to(demo.cache / "sha256")
    return Cache(tmp_path / "cache")


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages whose bytes are looked at, by path, from now on."""
    found: list[str] = []
    verify = packages.verify_package

    def noting(path: Path, *arguments: object, **named: object) -> object:
        found.append(path.name)
        return verify(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("isobuilder.signed.verify_package", noting)
    return found


def test_a_package_is_looked_at_once(lock: Lock, cache: Cache, looked_at: list[str]) -> None:
    signers = PackageChecks(lock, cache).finish(Silent())
    assert len(looked_at) == len(set(looked_at)) == len(signers) > 200
    looked_at.clear()
    assert PackageChecks(lock, cache).finish(Silent()) == signers
    assert not looked_at


def test_under_other_rules_everything_is_looked_at_again(lock: Lock, cache: Cache, looked_at: list[str]) -> None:
    PackageChecks(lock, cache).finish(Silent())
    looked_at.clear()
    [baseos] = [repository for repository in lock.repositories if repository.id == "baseos"]
    others = tuple(r for r in lock.repositories if r is not baseos)
    stricter = lock.model_copy(update={"repositories": (*others, baseos.model_copy(update={"sha1": not baseos.sha1}))})
    PackageChecks(stricter, cache).finish(Silent())
    assert len(looked_at) == len({p.file.sha256 for p in lock.packages if p.repository == "baseos"})


def test_a_verdict_is_of_the_package_that_was_locked(lock: Lock, cache: Cache) -> None:
    PackageChecks(lock, cache).finish(Silent())
    first, *rest = lock.packages
    renamed = first.model_copy(update={"nevra": first.nevra.replace("-0:", "-7:")})
    with pytest.raises(TrustError, match="1 packages are not to be trusted") as caught:
        PackageChecks(lock.model_copy(update={"packages": (renamed, *rest)}), cache).finish(Silent())
    assert "not" in caught.value.details[0]


def test_a_file_that_comes_is_looked_at_before_it_has_its_name(
    lock: Lock, cache: Cache, looked_at: list[str], tmp_path: Path
) -> None:
    package = next(each for each in lock.packages if each.repository == "baseos")
    sha256 = package.file.sha256
    whole = cache.path(sha256).read_bytes()
    damaged = tmp_path / "part"
    damaged.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    checks = PackageChecks(lock, cache)
    with damaged.open("rb") as file:
        file.read()
        checks.landed(sha256, file)
        checks.landed("0" * 64, file)
    assert looked_at == [sha256]
    with pytest.raises(TrustError) as caught:
        checks.finish(Silent())
    assert len(caught.value.details) == 1
    assert package.nevra in caught.value.details[0]
    # A refusal is not kept, and neither is anything else of a run that failed.
    looked_at.clear()
    assert sha256 in PackageChecks(lock, cache).finish(Silent())
    assert sha256 in looked_at
