"""What nobody vouches for, as a mirror gives it: the same twice, and no page for a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import isobuilder
from tests.practice.mirror import write_demo
from tests.serving import Fault, Mirror, serve

pytestmark = pytest.mark.practice

LOADER = "/os/EFI/BOOT/mmx64.efi"
PAGES = (b"<!DOCTYPE html><html>Log in</html>", b"\n <HTML><body>404</body></html>", b"<?xml version='1.0'?><Error/>")


@pytest.fixture
def upstream(mirror: Path) -> Iterator[Mirror]:
    with serve() as served:
        served.files.update(
            {f"/{path.relative_to(mirror)}": path.read_bytes() for path in mirror.rglob("*") if path.is_file()}
        )
        yield served


def lock(upstream: Mirror, mirror: Path, folder: Path) -> tuple[int, str]:
    write_demo(folder, upstream.url, mirror)
    done = isobuilder("lock", "--cache-dir", "cache", cwd=folder)
    assert (folder / "practice-cloud.lock").exists() == (done.returncode == 0)
    return done.returncode, " ".join(done.stderr.split())


@pytest.mark.parametrize("path", [LOADER, "/os/.treeinfo"])
def test_what_is_another_when_asked_for_again_is_refused(
    upstream: Mirror, mirror: Path, tmp_path: Path, path: str
) -> None:
    other = upstream.files[path] + b"\n"
    upstream.faults[path] += [Fault(), Fault(body=other)]
    code, said = lock(upstream, mirror, tmp_path)
    assert code == 5, said
    assert f"{path}: nobody vouches for it, and it was not the same when it was asked for again" in said


def test_a_size_that_is_another_when_asked_for_again_is_refused(upstream: Mirror, mirror: Path, tmp_path: Path) -> None:
    path = "/os/images/install.img"
    upstream.faults[path].append(Fault(headers={"Content-Length": "7"}))
    code, said = lock(upstream, mirror, tmp_path)
    assert code == 5, said
    assert f"{path}: nobody vouches" in said


@pytest.mark.parametrize("page", PAGES)
def test_a_page_for_a_browser_is_no_boot_file(upstream: Mirror, mirror: Path, tmp_path: Path, page: bytes) -> None:
    upstream.files[LOADER] = page
    code, said = lock(upstream, mirror, tmp_path)
    assert code == 5, said
    assert f"{LOADER}: is a page for a browser" in said
