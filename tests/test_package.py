"""Our own package: the same bits each time, as rpm wants it, and what becomes of it in the lock and on the medium."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from isobuilder import firstlogin, releases
from isobuilder.errors import LockError
from isobuilder.fetch.cache import Cache
from isobuilder.lock import BUILT_IN, Lock, LockedRepository, dump_lock, required_lock
from isobuilder.package import make_own, package_digest, provide_own
from isobuilder.releases import Release
from isobuilder.schema import load_toml
from tests.conftest import Demo, isobuilder
from tests.firstlogin_pythons import every_python

ISLAND = Path(firstlogin.__file__).parent
RELEASES = sorted(path.stem for path in Path(releases.__file__).parent.glob("*.toml"))


def release(name: str) -> Release:
    return load_toml(Path(releases.__file__).parent / f"{name}.toml", Release, "release file")


def built(name: str, folder: Path) -> Path:
    """The package for a release, out of a new cache."""
    cache = Cache(folder / "cache")
    return cache.check(make_own(release(name), cache).package.sha256)


def rpm(*arguments: str | Path) -> str:
    done = subprocess.run(["rpm", *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", RELEASES)
def test_the_same_input_is_the_same_package(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = []
    for number, (zone, mask) in enumerate([("UTC", 0o022), ("Asia/Tokyo", 0o077)]):
        monkeypatch.setenv("TZ", zone)
        before = os.umask(mask)
        try:
            folder = tmp_path / f"{'deeper/' * number}{number}"
            folder.mkdir(parents=True)
            packages.append(built(name, folder).read_bytes())
        finally:
            os.umask(before)
    assert packages[0] == packages[1]
    assert str(tmp_path).encode() not in packages[0]


@pytest.mark.parametrize("name", RELEASES)
def test_rpm_finds_it_good_and_complete(name: str, tmp_path: Path) -> None:
    facts = release(name)
    package = built(name, tmp_path)
    checked = subprocess.run(["rpmkeys", "-Kv", package], capture_output=True, text=True, check=False, timeout=60)
    assert "NOT OK" not in checked.stdout
    assert checked.stdout.count(": OK") == 4
    suffix = name.replace("-", "_")
    form = "%{name} %{epochnum} %{version} %{release} %{arch} %{payloadcompressor}\n"
    assert rpm("-qp", "--qf", form, package) == f"cloud-setup 0 0.1.0 1.{suffix} noarch gzip\n"
    required = [line for line in rpm("-qp", "--requires", package).splitlines() if not line.startswith("rpmlib(")]
    assert required == [facts.wizard.package]
    assert rpm("-qp", "--scripts", package) == ""
    listed = set(rpm("-qpl", package).splitlines())
    modules = {f"/usr/share/cloud-setup/firstlogin/{path.relative_to(ISLAND)}" for path in ISLAND.rglob("*.py")}
    assert modules <= listed
    sysv = {path for path in listed if path.startswith("/etc/rc.d/")}
    systemd = {path for path in listed if path.startswith("/usr/lib/systemd/")}
    assert (len(sysv), len(systemd)) == ((8, 0) if facts.installed.init == "sysv" else (0, 2))


@pytest.mark.parametrize("name", ["6", "9-stream"])
def test_it_installs_verifies_and_goes_without_a_trace(name: str, tmp_path: Path) -> None:
    package = built(name, tmp_path)
    root = tmp_path / "root"
    root.mkdir()
    into: tuple[str | Path, ...] = ("--root", root, "--dbpath", "/var/lib/rpm")
    rpm(*into, "--install", "--nodeps", package)
    assert rpm(*into, "--verify", "--nodeps", "cloud-setup") == ""
    assert (root / "usr/sbin/cloud-setup").stat().st_mode & 0o777 == 0o755
    assert (root / "var/lib/cloud-setup").stat().st_mode & 0o777 == 0o700
    links = [path for path in root.rglob("*") if path.is_symlink() and "cloud-setup" in path.name]
    assert links
    assert all(path.exists() for path in links)
    for python in every_python().values():
        command: list[str | Path] = [python, "-I", "-B", root / "usr/share/cloud-setup", "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Exit codes: 0 done" in done.stdout
    assert not list(root.rglob("*.pyc"))
    rpm(*into, "--erase", "cloud-setup")
    assert not [path for path in root.rglob("*cloud-setup*") if "rpm" not in path.parts]


def test_the_launcher_runs_the_releases_own_python(tmp_path: Path) -> None:
    for name in RELEASES:
        facts = release(name)
        package = built(name, tmp_path / name)
        launcher = subprocess.run(
            ["bsdtar", "-xOf", package, "./usr/sbin/cloud-setup"], capture_output=True, text=True, check=True
        ).stdout
        assert f"exec {facts.wizard.python} -I -B /usr/share/cloud-setup" in launcher
        libraries = f"export LD_LIBRARY_PATH={facts.wizard.libraries}\n"
        assert (libraries in launcher) == (name == "6")
        path = tmp_path / f"{name}.sh"
        path.write_text(launcher)
        assert subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False).stdout == ""
        told = subprocess.run(
            ["bsdtar", "-xOf", package, "./usr/share/cloud-setup/facts.json"], capture_output=True, check=True
        ).stdout
        assert json.loads(told) == {"title": facts.title, "network": facts.network, "init": facts.installed.init}


def test_its_digest_is_that_of_all_it_is_made_from() -> None:
    seven = release("7")
    assert package_digest(seven) == package_digest(release("7"))
    wizard = seven.wizard.model_copy(update={"python": "/usr/bin/python3.9"})
    others = [release("8-stream"), seven.model_copy(update={"wizard": wizard}), seven.model_copy(update={"title": "X"})]
    assert len({package_digest(one) for one in [seven, *others]}) == 4


def test_what_is_built_in_is_ours_alone() -> None:
    repository: dict[str, object] = {
        "id": BUILT_IN, "listing": None, "baseurl": (), "trust": "built-in", "fingerprints": (), "sha1": False,
        "repomd_signer": None, "metadata": {},
    }  # fmt: skip
    LockedRepository.model_validate(repository)
    for change in (
        {"id": "other"},
        {"trust": "unsigned"},
        {"baseurl": ("https://x.example.org/",)},
        {"id": "x", "trust": "signed"},
    ):
        with pytest.raises(ValueError, match="only isobuilder is built in"):
            LockedRepository.model_validate(repository | change)


def test_a_repository_of_the_users_cannot_pass_for_ours(tmp_path: Path) -> None:
    text = 'version = 1\nname = "x"\nrelease = "9-stream"\n[[repository]]\nid = "isobuilder"\n'
    (tmp_path / "media.toml").write_text(text + 'baseurl = "https://x.example.org/"\ntrust = "unsigned"\n')
    done = isobuilder("lock", cwd=tmp_path)
    assert done.returncode == 3
    assert "the packages that isobuilder makes itself" in done.stderr


@pytest.fixture
def lock(demo: Demo) -> Lock:
    return required_lock(demo.lock)


@pytest.mark.practice
def test_the_lock_names_it_for_the_roles_that_ask_for_it(lock: Lock) -> None:
    [own] = [package for package in lock.packages if package.repository == BUILT_IN]
    assert own.name == "cloud-setup"
    assert set(own.roles) == {"nc", "frontend", "ciab"}
    assert all(reason.startswith("named at ks/") for reason in own.reasons)
    [repository] = [one for one in lock.repositories if one.trust == "built-in"]
    assert (repository.id, repository.baseurl) == (BUILT_IN, ())
    assert "package.cloud-setup" in lock.made_from
    assert "nfpm" in lock.made_with
    # What it runs on is there for each of these roles.
    [python] = [package for package in lock.packages if package.name == "python3"]
    assert set(own.roles) <= set(python.roles)


@pytest.mark.practice
def test_the_medium_has_it_where_dnf_finds_it(demo: Demo, lock: Lock) -> None:
    [own] = [package for package in lock.packages if package.repository == BUILT_IN]
    data = subprocess.run(["bsdtar", "-xOf", demo.iso, own.path], capture_output=True, check=True).stdout
    assert Cache(demo.cache).check(own.file.sha256).read_bytes() == data
    primary = subprocess.run(
        ["bsdtar", "-xOf", demo.iso, "--include=repodata/*primary.xml.gz"], capture_output=True, check=True
    ).stdout
    assert b"<name>cloud-setup</name>" in gzip.decompress(primary)


@pytest.mark.practice
def test_a_build_from_the_lock_makes_the_same_bytes_in_an_empty_cache(demo: Demo, lock: Lock, tmp_path: Path) -> None:
    facts = load_toml(demo.folder / "practice.toml", Release, "release file")
    cache = Cache(tmp_path / "cache")
    provide_own(lock, facts, cache)
    [own] = [package for package in lock.packages if package.repository == BUILT_IN]
    assert cache.check(own.file.sha256).stat().st_size == own.file.size


def test_a_host_without_rpm_is_not_complained_of(tmp_path: Path) -> None:
    code = "from isobuilder.repository.rpmmd import createrepo_c; createrepo_c()"
    strace = ["strace", "--follow-forks", "--trace=%file", f"--output={tmp_path}/trace"]
    done = subprocess.run([*strace, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stderr
    opened = (tmp_path / "trace").read_text()
    assert "/rpmrc" in opened
    assert "/usr/lib/rpm" not in opened


@pytest.mark.practice
def test_another_package_than_the_locked_one_is_refused(demo: Demo, lock: Lock, tmp_path: Path) -> None:
    facts = load_toml(demo.folder / "practice.toml", Release, "release file")
    packages = tuple(
        one.model_copy(update={"file": one.file.model_copy(update={"sha256": "0" * 64})})
        if one.repository == BUILT_IN
        else one
        for one in lock.packages
    )
    with pytest.raises(LockError, match="is not the one in the lock"):
        provide_own(lock.model_copy(update={"packages": packages}), facts, Cache(tmp_path / "cache"))
    # And so is a lock that was made with another wizard, before anything is fetched.
    changed = lock.model_copy(update={"made_from": {**lock.made_from, "package.cloud-setup": "0" * 64}})
    original = demo.lock.read_text()
    try:
        demo.lock.write_text(dump_lock(changed))
        done = isobuilder("lock", cwd=demo.folder)
    finally:
        demo.lock.write_text(original)
    assert done.returncode == 3
    assert "package.cloud-setup: changed" in done.stderr


@pytest.mark.practice
def test_what_the_cache_has_is_ours_only_where_it_was_made_here(demo: Demo, lock: Lock, tmp_path: Path) -> None:
    facts = load_toml(demo.folder / "practice.toml", Release, "release file")
    cache = Cache(tmp_path / "cache")
    strange = cache.add(b"somebody else's package")
    file = {"sha256": strange.name, "size": strange.stat().st_size}
    packages = tuple(
        one.model_copy(update={"file": one.file.model_copy(update=file)}) if one.repository == BUILT_IN else one
        for one in lock.packages
    )
    edited = lock.model_copy(update={"packages": packages})
    # The first time nothing is kept yet; the second time it is known what ours is.
    for _ in range(2):
        with pytest.raises(LockError, match="is not the one in the lock"):
            provide_own(edited, facts, cache)
        provide_own(lock, facts, cache)
