"""What is told of two locks that differ."""

import json
import shutil
from pathlib import Path

import pytest

from isobuilder.lock import ActiveStream, File, Key, Lock, Package, RepositoryFile, dump_lock, read_lock
from isobuilder.lockdiff import compare
from tests.conftest import Demo, isobuilder
from tests.test_lock import LOCK


def package(nevra: str, *roles: str, sha256: str = "1", repository: str = "x", size: int = 1_000_000) -> Package:
    name = nevra.replace("0:", "")
    return Package(
        nevra=nevra,
        repository=repository,
        file=RepositoryFile(path=f"{name}.rpm", sha256=sha256 * 64, size=size),
        roles=roles,
        reasons=roles,
    )


def lock(*packages: Package, **changes: object) -> Lock:
    return LOCK.model_copy(update={"packages": packages, "boot": (), **changes})


def told(old: Lock, new: Lock) -> list[str]:
    return list(compare(old, new).lines())


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        # rpm's order, in which neither text nor numbers alone would do (rpm's own rpmvercmp tests).
        ("a-0:1.9-1.noarch", "a-0:1.10-1.noarch", "package a.noarch: 0:1.9-1 -> 0:1.10-1, upgraded (nc)"),
        ("a-0:1.0-1.noarch", "a-0:1.0~rc1-1.noarch", "package a.noarch: 0:1.0-1 -> 0:1.0~rc1-1, downgraded (nc)"),
        ("a-1:1-1.noarch", "a-0:2-1.noarch", "package a.noarch: 1:1-1 -> 0:2-1, downgraded (nc)"),
        ("a-0:1.0-1.noarch", "a-0:1.0^git1-1.noarch", "package a.noarch: 0:1.0-1 -> 0:1.0^git1-1, upgraded (nc)"),
    ],
)
def test_versions_go_up_and_down_as_rpm_orders_them(old: str, new: str, line: str) -> None:
    assert told(lock(package(old, "nc")), lock(package(new, "nc")))[0] == line


def test_packages_that_come_and_go_with_their_roles() -> None:
    old = lock(
        package("gone-0:1-1.noarch", "nc", "minimal"), package("both-0:1-1.x86_64", "nc"), package("same-0:1-1.noarch")
    )
    new = lock(
        package("come-0:1-1.noarch", "nc", "minimal"),
        package("both-0:1-1.x86_64", "nc", "minimal"),
        package("both-0:1-1.i686", "nc"),
        package("same-0:1-1.noarch", sha256="2"),
    )
    assert told(old, new) == [
        "package both.i686: 0:1-1, added (nc)",
        "package both.x86_64 roles: nc -> nc, minimal",
        "package come.noarch: 0:1-1, added (nc, minimal)",
        "package gone.noarch: 0:1-1, removed (nc, minimal)",
        f"package same.noarch bytes: sha256 {'1' * 64} -> sha256 {'2' * 64}",
        "packages: 2 added, 1 removed, 2 changed",
        "  minimal: 1 added, 1 removed",
        "  nc: 2 added, 1 removed",
        "size of packages and boot files: 1.0 MB -> 1.0 MB",
    ]


def test_a_role_that_comes_is_one_change_and_not_one_of_each_of_its_packages() -> None:
    old = lock(package("a-0:1-1.noarch", "nc"), package("b-0:1-1.noarch", "nc", "gone"))
    new = lock(
        package("a-0:1-1.noarch", "nc", "come"), package("b-0:1-1.noarch", "nc"), package("c-0:1-1.noarch", "come")
    )
    assert told(old, new)[:-1] == [
        "role come: packages: 2, added",
        "role gone: packages: 1, removed",
        "package c.noarch: 0:1-1, added (come)",
        "packages: 1 added",
        "  come: 1 added",
    ]


def test_two_versions_side_by_side_are_no_upgrade() -> None:
    both = (package("k-0:1-1.noarch", "nc"), package("k-0:2-1.noarch", "minimal"))
    assert told(lock(both[0]), lock(*both))[1] == "package k.noarch: 0:2-1, added (minimal)"
    assert told(lock(*both), lock(package("k-0:3-1.noarch", "nc")))[1:3] == [
        "package k.noarch: 0:1-1, removed (nc)",
        "package k.noarch: 0:2-1, removed (minimal)",
    ]


def test_what_is_not_a_package() -> None:
    [repository] = LOCK.repositories
    key = Key(file=File(url="https://x/KEY", sha256="0" * 64, size=1), repositories=("x",), fingerprints=("AB" * 20,))
    other = repository.model_copy(update={"repomd_signer": "AB" * 20, "trust": "signed", "fingerprints": ("AB" * 20,)})
    new = lock(keys=(key,), repositories=(other,), epoch=2, made_from={"definition.name": "b"}, made_with={})
    assert told(lock(), new)[:-2] == [
        "setting epoch: 1 (1970-01-01 00:00:01 UTC) -> 2 (1970-01-01 00:00:02 UTC)",
        "input definition.name: one -> another",
        "tool isobuilder: 0, removed",
        f"repository x keys: none -> {'AB' * 20}",
        f"repository x signer of repomd.xml: nobody -> {'AB' * 20}",
        "repository x trust: unsigned -> signed",
        f"key https://x/KEY: {'AB' * 20} for x (sha256 {'0' * 64}), added",
    ]
    stream = ActiveStream(stream="perl:5.26", roles=("nc", "minimal"), reasons=("default stream", "default stream"))
    assert told(lock(), lock(modules=(stream,)))[0] == "module perl:5.26: for nc, minimal, added"
    assert told(LOCK, LOCK.model_copy(update={"boot": ()}))[0].startswith(
        "boot mbr: /usr/share/syslinux/isohdpfx.bin of"
    )


def test_two_files_are_compared_and_scripts_can_read_it(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text(dump_lock(lock(package("a-0:1-1.noarch", "nc"))))
    (tmp_path / "b.lock").write_text(dump_lock(lock(package("a-0:2-1.noarch", "nc"))))
    same = isobuilder("lock", "--diff", "a.lock", "a.lock", cwd=tmp_path)
    assert (same.returncode, same.stdout) == (0, "the locks are the same\n")
    done = isobuilder("lock", "--diff", "--json", "a.lock", "b.lock", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert not answer["same"]
    assert answer["changes"] == [
        {"kind": "package", "name": "a.noarch", "what": "upgraded", "old": "0:1-1", "new": "0:2-1", "roles": ["nc"]}
    ]
    assert isobuilder("lock", "--diff", "a.lock", "no.lock", cwd=tmp_path).returncode == 3
    assert isobuilder("lock", "a.lock", "b.lock", cwd=tmp_path).returncode == 2


@pytest.mark.practice
def test_a_lock_and_what_would_be_made_now(demo: Demo, tmp_path: Path) -> None:
    for name in ("media.toml", "practice.toml", "rack-node.ks.j2", demo.lock.name):
        shutil.copy(demo.folder / name, tmp_path)
    shutil.copytree(demo.folder / "eucalyptus", tmp_path / "eucalyptus")
    command = ["lock", "--diff", "--offline", "--cache-dir", str(demo.cache)]
    same = isobuilder(*command, cwd=tmp_path)
    assert (same.returncode, same.stdout) == (0, "the locks are the same\n"), same.stderr
    (tmp_path / "rack-node.ks.j2").write_text('{% extends "base.ks.j2" %}\n')
    differs = isobuilder(*command, cwd=tmp_path)
    assert differs.returncode == 1, differs.stderr
    assert "input kickstart.rack-node: one -> another\n" in differs.stdout
    assert "(rack-node)\n" in differs.stdout
    assert read_lock(tmp_path / demo.lock.name) == read_lock(demo.lock)
    assert isobuilder(*command, demo.lock.name, cwd=tmp_path).stdout == differs.stdout
    (tmp_path / demo.lock.name).unlink()
    assert isobuilder(*command, cwd=tmp_path).returncode == 3
