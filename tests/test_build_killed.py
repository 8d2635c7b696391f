"""A build that is killed in mid-download, and run again: the server is asked for what is missing, and nothing else."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.inputs import locked_files
from isobuilder.lock import read_lock
from tests.conftest import isobuilder, loopback_environ
from tests.practice.mirror import write_demo
from tests.serving import Fault, Mirror, serve

pytestmark = pytest.mark.practice

# So much of each of these comes before the build is killed; there is one for each connection, so that none is left to
# bring anything else meanwhile.
PIECE = 1_000_000
CONNECTIONS = 8


@pytest.fixture
def upstream(mirror: Path) -> Iterator[Mirror]:
    """The practice mirror, served out of memory."""
    with serve() as served:
        served.files.update(
            {f"/{path.relative_to(mirror)}": path.read_bytes() for path in mirror.rglob("*") if path.is_file()}
        )
        yield served


@pytest.fixture
def folder(upstream: Mirror, mirror: Path, tmp_path: Path) -> Path:
    """The demo's folder, with its lock."""
    write_demo(tmp_path, upstream.url, mirror)
    done = isobuilder("lock", "--cache-dir", "cache", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def build(folder: Path, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "isobuilder", "build", "--cache-dir", "cache", *words]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=loopback_environ())


def wanted(folder: Path) -> list[Wanted]:
    lock = read_lock(folder / "practice-cloud.lock")
    assert lock
    return locked_files(lock)


def wait_for_parts(process: "subprocess.Popen[str]", cache: Cache, names: list[str]) -> None:
    """Until the build has PIECE bytes of each."""
    while not all(cache.part_size(name) == PIECE for name in names):
        try:
            raise AssertionError(f"the build ended with {process.wait(timeout=0.05)}")
        except subprocess.TimeoutExpired:
            continue


def test_only_what_is_missing_is_asked_for(upstream: Mirror, folder: Path) -> None:
    cache = Cache(folder / "cache")
    files = wanted(folder)
    paths = {file.sha256: (file.place.mirrors[0] + file.place.path).removeprefix(upstream.url) for file in files}
    # Making the lock has brought some.
    away = [file for file in files if not cache.has(file.sha256, file.size)]
    large = [file.sha256 for file in sorted(away, key=lambda file: -file.size)[:CONNECTIONS]]
    for name in large:
        upstream.faults[paths[name]].append(Fault(cut=PIECE, hang=True))
    with build(folder) as process:
        wait_for_parts(process, cache, large)
        process.kill()
    parts = {paths[file.sha256]: cache.part_size(file.sha256) for file in files}
    missing = [paths[file.sha256] for file in files if not cache.has(file.sha256, file.size)]
    assert {paths[name] for name in large} <= set(missing)
    upstream.requests.clear()
    done = isobuilder("build", "--cache-dir", "cache", cwd=folder)
    assert done.returncode == 0, done.stderr
    asked = {path: headers.get("Range") for path, headers in upstream.requests}
    assert asked == {path: f"bytes={parts[path]}-" if parts[path] else None for path in missing}
    assert len(upstream.requests) == len(missing)
    assert "of them came before" in done.stderr


def test_two_builds_at_once_share_what_comes(upstream: Mirror, folder: Path) -> None:
    upstream.requests.clear()
    with build(folder, "--output-dir", "one") as first, build(folder, "--output-dir", "two") as second:
        said = [process.communicate(timeout=300)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), said
    one, two = (next((folder / name).glob("*.iso.sha256")).read_text() for name in ("one", "two"))
    assert one == two
    asked = [path for path, _ in upstream.requests]
    assert sorted(set(asked)) == sorted(asked)
