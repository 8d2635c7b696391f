"""The lock as a file, and what it says when something else changed."""

import json
from pathlib import Path

import pytest

from isobuilder.errors import LockError
from isobuilder.lock import (
    BootFile,
    Lock,
    LockedRepository,
    Package,
    RepositoryFile,
    differences,
    digests,
    dump_lock,
    read_lock,
)
from isobuilder.releases import MBR

FILE = RepositoryFile(path="Packages/l/libstdc%2B%2B-1-1.x86_64.rpm", sha256="0" * 64, size=7)
PACKAGE = Package(
    nevra="gtk-doc-tools-0:1-1.x86_64",
    repository="x",
    file=FILE,
    roles=("minimal",),
    reasons=("minimal: group core",),
)
BOOT = BootFile(path=MBR, file=FILE, vouched_by="package", member="/usr/share/syslinux/isohdpfx.bin")
LOCK = Lock(
    name="site",
    release="9",
    arch="x86_64",
    volume_id="SITE",
    epoch=1,
    made_from={"definition.name": "a"},
    made_with={"isobuilder": "0"},
    keys=(),
    repositories=(
        LockedRepository(
            id="x",
            listing=None,
            baseurl=("https://x.example.org/",),
            trust="unsigned",
            fingerprints=(),
            sha1=False,
            repomd_signer=None,
            metadata={},
        ),
    ),
    boot=(BOOT,),
    packages=(PACKAGE,),
)


def out_of(voucher: str, member: str | None) -> dict[str, object]:
    place = {"path": "x"} if voucher == "package" else {"url": "https://x.example.org/x.iso"}
    file = {**place, "sha256": "0" * 64, "size": 7}
    return {"path": "x", "file": file, "vouched-by": voucher, "member": member}


def test_a_lock_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "site.lock"
    path.write_text(dump_lock(LOCK))
    assert read_lock(path) == LOCK
    assert dump_lock(LOCK).endswith("}\n")
    assert read_lock(tmp_path / "other.lock") is None


def test_a_package_knows_its_name_and_place() -> None:
    assert PACKAGE.name == "gtk-doc-tools"
    assert PACKAGE.path == "Packages/libstdc++-1-1.x86_64.rpm"


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"epoch": "1"},
        {"epoch": -1},
        {"packages": [{"nevra": 1}]},
        {"surplus": 1},
        {"arch": None},
        {"boot": [{"path": "../../evil"}]},
        {"keys": [{"file": {"url": "http://[bad", "sha256": "0", "size": -1}}]},
    ],
)
def test_a_lock_of_another_shape_is_refused_with_what_is_wrong(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "site.lock"
    path.write_text(json.dumps(json.loads(dump_lock(LOCK)) | change))
    with pytest.raises(LockError) as caught:
        read_lock(path)
    assert any(next(iter(change)) in line for line in caught.value.details)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"repositories": []}, "no repository is called x"),
        ({"packages": []}, "mbr is not out of one of the packages"),
        ({"boot": [out_of("package", None)]}, "x is not out of one of the packages"),
        ({"boot": [out_of("nobody", "x")]}, "x is out of an ISO that nobody vouches for"),
    ],
)
def test_a_lock_that_names_what_it_lacks_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    path = tmp_path / "site.lock"
    path.write_text(json.dumps(json.loads(dump_lock(LOCK)) | change))
    with pytest.raises(LockError) as caught:
        read_lock(path)
    assert any(words in line for line in caught.value.details)


@pytest.mark.parametrize("change", [{"release": "8"}, {"epoch": 2}, {"volume-id": "OTHER"}, {"seal": "0" * 64}])
def test_a_lock_that_was_edited_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "site.lock"
    path.write_text(json.dumps(json.loads(dump_lock(LOCK)) | change))
    with pytest.raises(LockError, match="changed since it was written"):
        read_lock(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000, b"{", b"\xff\xfe\x00"])
def test_what_is_no_lock_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "site.lock"
    path.write_bytes(content)
    with pytest.raises(LockError):
        read_lock(path)


def test_differences_name_the_key_and_never_the_value() -> None:
    before = digests("definition", {"menu": {"title": "one"}, "name": "x", "password": "$6$old"})
    after = digests("definition", {"menu": {"title": "two"}, "password": "$6$new", "arch": "x86_64"})
    lock = LOCK.model_copy(update={"made_from": before})
    assert differences(lock, before) == []
    assert differences(lock, after) == [
        "definition.arch: added",
        "definition.menu.title: changed",
        "definition.name: removed",
        "definition.password: changed",
    ]
    assert "$6$" not in json.dumps(before)
