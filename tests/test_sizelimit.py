"""`max-size`: what is refused, when, and what is said of it."""

import re
import shutil
from pathlib import Path

import pytest

from isobuilder.lock import BootFile, File, Package, required_lock
from isobuilder.seeing.cost import costs, reasons_of_lock
from isobuilder.sizelimit import can_go, least_size
from tests.conftest import Demo, isobuilder
from tests.test_lock import BOOT
from tests.test_lockdiff import lock, package

_NOT_COPIED = ("cache", "*.iso*", "*.manifest.json", "*.spdx.json", "*.report.html")


def there_by(reason: str, nevra: str, size: int) -> Package:
    return package(nevra, "nc", size=size).model_copy(update={"reasons": (reason,)})


def boot_file(path: str, size: int, member: str | None = None) -> BootFile:
    file = File(url=f"https://x.example.org/{path}", sha256="4" * 64, size=size)
    return BootFile(path=path, file=file, vouched_by="treeinfo", member=member)


def test_least_is_packages_and_boot_files_and_those_of_uefi_twice() -> None:
    packages = (package("a-0:1-1.noarch", "nc", "minimal", size=1_000), package("boot-0:1-1.noarch", size=20_000))
    boot = (boot_file("images/install.img", 300_000), boot_file("EFI/BOOT/BOOTX64.EFI", 4_000_000))
    inside = boot_file("images/eltorito.img", 900_000_000, "images/eltorito.img")
    assert least_size(lock(*packages).model_copy(update={"boot": (*boot, inside, BOOT)})) == 8_301_000


def test_only_what_a_kickstart_can_leave_out_is_ranked() -> None:
    made = lock(
        there_by("group core", "a-0:1-1.noarch", 10),
        there_by("required by a", "b-0:1-1.noarch", 200),
        there_by("recommended by b", "c-0:1-1.noarch", 3_000),
        there_by("named at ks/nc.cfg:12", "d-0:1-1.noarch", 40_000),
        there_by("added by the installer", "kernel-0:1-1.noarch", 500_000),
        there_by("may be chosen at the installer's screens", "lvm2-0:1-1.noarch", 600_000),
        there_by("required by kernel", "e-0:1-1.noarch", 7),
    )
    ranked = {cost.name: cost.goes for cost in can_go(made)}
    assert ranked == {
        "named at ks/nc.cfg:12": 40_000,
        "d-0:1-1.noarch": 40_000,
        "group core": 3_210,
        "a-0:1-1.noarch": 3_210,
        "c-0:1-1.noarch": 3_000,
    }
    assert list(ranked.values()) == sorted(ranked.values(), reverse=True)
    everything = {cost.name: cost.goes for cost in costs(reasons_of_lock(made))}
    assert ranked.items() <= everything.items()


@pytest.fixture
def limited(demo: Demo, tmp_path: Path) -> Path:
    """The demo's folder without what was built in it."""
    shutil.copytree(demo.folder, tmp_path / "demo", ignore=shutil.ignore_patterns(*_NOT_COPIED))
    return tmp_path / "demo"


def limit(folder: Path, size: int) -> None:
    text = (folder / "media.toml").read_text()
    text = re.sub(r"(?m)^max-size = .*\n", "", text)
    (folder / "media.toml").write_text(re.sub(r"(?m)^release", f'max-size = "{size / 1e6:.3f}MB"\nrelease', text))


@pytest.mark.practice
def test_a_build_stops_before_anything_is_downloaded(limited: Path, tmp_path: Path) -> None:
    (lock_path,) = limited.glob("*.lock")
    lock_path.unlink()
    limit(limited, 100_000_000)
    done = isobuilder("build", "--cache-dir", str(tmp_path / "cache"), cwd=limited)
    assert done.returncode == 8, done.stderr
    assert "Packages:" not in done.stderr
    assert "more than max-size, 100.000MB" in done.stderr
    least = least_size(required_lock(lock_path))
    assert f"would have at least {least / 1e6:.1f} MB" in done.stderr
    assert re.search(r"^ +[0-9.]+ MB  group core  \(packages: [0-9]+\)$", done.stderr, re.MULTILINE)
    assert "added by the installer" not in done.stderr
    # Metadata, listings and keys came.
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) < 10_000_000
    assert not list(limited.glob("*.iso*"))


@pytest.mark.practice
def test_making_a_lock_and_checking_one_say_so_too_and_keep_it(limited: Path, demo: Demo) -> None:
    (lock_path,) = limited.glob("*.lock")
    limit(limited, 100_000_000)
    for words, options in (("written, ", ("--update",)), ("matches the definition", ())):
        done = isobuilder("lock", *options, "--cache-dir", str(demo.cache), cwd=limited)
        assert done.returncode == 8, done.stderr
        assert words in done.stdout
        assert "more than max-size, 100.000MB" in done.stderr
        assert lock_path.read_bytes() == demo.lock.read_bytes()


@pytest.mark.practice
def test_what_a_lock_cannot_know_is_looked_at_before_a_byte_is_written(limited: Path, demo: Demo) -> None:
    real = demo.iso.stat().st_size
    least = least_size(required_lock(demo.lock))
    assert real * 0.98 < least < real
    limit(limited, real // 1000 * 1000 - 1000)
    done = isobuilder("build", "--cache-dir", str(demo.cache), cwd=limited)
    assert done.returncode == 8, done.stderr
    assert f"would have {real / 1e6:.1f} MB, " in done.stderr
    assert "Writing:" not in done.stderr
    assert not list(limited.glob("*.iso*"))
    # The same lock is good for another limit.
    limit(limited, real // 1000 * 1000 + 1000)
    done = isobuilder("build", "--cache-dir", str(demo.cache), cwd=limited)
    assert done.returncode == 0, done.stderr
    assert (limited / demo.lock.name).read_bytes() == demo.lock.read_bytes()
