"""The whole way without a network: from an installer DVD, from folders, and from what is in the cache."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Demo, isobuilder, loopback_environ
from tests.practice.mirror import write_demo

pytestmark = pytest.mark.practice

DVD = '[dvd]\nrepositories = { baseos = "" }\nkeys = true\n\n[[repository]]'
ISO_NAME = "gap-practice-x86_64.iso"


@pytest.fixture(scope="module")
def dvd(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an installer DVD of the practice release would be."""
    path = tmp_path_factory.mktemp("dvd") / "dvd.iso"
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", path, mirror / "os"], check=True, timeout=60)
    return path


@pytest.fixture
def site(mirror: Path, tmp_path: Path) -> Path:
    """A folder with a definition of a minimal medium, whose release names servers that are not there."""
    folder = tmp_path / "site"
    write_demo(folder, "http://127.0.0.1:9", mirror)
    release = folder / "practice.toml"
    release.write_text(release.read_text().replace("[[repository]]", DVD, 1))
    return folder


def define(site: Path, text: str) -> None:
    (site / "media.toml").write_text(f'version = 1\nname = "gap"\nrelease = "practice.toml"\n{text}')


def run(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command, *options = words
    return isobuilder(command, "--cache-dir", str(site.parent / "cache"), *options, cwd=site)


def names(iso: Path) -> set[str]:
    listed = subprocess.run(["bsdtar", "-tf", iso], check=True, capture_output=True, text=True).stdout.splitlines()
    return {name for name in listed if name.startswith(("Packages/", "RPM-GPG-KEY"))}


def test_a_dvd_is_enough_and_its_lock_goes_anywhere(site: Path, dvd: Path, tmp_path: Path) -> None:
    (site / "dvd.iso").hardlink_to(dvd)
    define(site, 'source = "./dvd.iso"\n')
    trace = tmp_path / "trace"
    strace = ["strace", "--follow-forks", "--trace=%network", f"--output={trace}"]
    done = subprocess.run(
        [*strace, sys.executable, "-m", "isobuilder", "build", "--offline", "--cache-dir", tmp_path / "cache"],
        cwd=site,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env=loopback_environ(),
    )
    assert done.returncode == 0, done.stderr
    # The C library asks its name service cache who we are, by a socket in the file system.
    assert "exited with 0" in trace.read_text()
    assert "AF_INET" not in trace.read_text()
    assert "note: not on the DVD, and left out: extras" in done.stderr
    assert {"RPM-GPG-KEY-practice"} < names(site / ISO_NAME)
    lock = (site / "gap.lock").read_text()
    assert '"baseurl": [\n    "dvd.iso/"' in lock
    assert str(site) not in lock
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("media.toml", "practice.toml", "dvd.iso", "gap.lock"):
        shutil.copy(site / name, elsewhere)
    again = isobuilder("build", "--offline", "--cache-dir", str(tmp_path / "other"), cwd=elsewhere)
    assert again.returncode == 0, again.stderr
    assert (elsewhere / ISO_NAME).read_bytes() == (site / ISO_NAME).read_bytes()


def test_the_installed_system_is_told_of_servers_only(site: Path, dvd: Path) -> None:
    release = site / "practice.toml"
    release.write_text(release.read_text().replace("[kernel-", "[installed]\nstock-repositories = false\n[kernel-"))
    more = (
        'id = "more"\nbaseurl = "http://127.0.0.1:9/"\ntrust = "unsigned"\nexcludes = ["a*", "b-1:2"]\nincludes = ["c"]'
    )
    define(site, f'source = "{dvd}"\n[[repository]]\n{more}\n')
    text = isobuilder("kickstart", "minimal", cwd=site).stdout
    assert "baseurl=http://127.0.0.1:9/os/" in text
    assert "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-practice" in text
    assert "dvd" not in text
    assert "\nexclude=a* b-1:2\nincludepkgs=c\n" in text


def test_folders_by_any_spelling(site: Path, mirror: Path) -> None:
    (site / "my mirror").symlink_to(mirror / "os")
    base = f'trust = "signed"\nfingerprint = ["{(mirror / "fingerprint").read_text().strip()}"]\n'
    define(
        site,
        f'source = "my mirror"\nkeys = "{mirror}/os"\n'
        f'[[repository]]\nid = "extras"\nbaseurl = "file://{mirror}/extras"\ngpgkey = "RPM-GPG-KEY-practice"\n{base}',
    )
    done = run(site, "lock", "--offline")
    assert done.returncode == 0, done.stderr
    lock = json.loads((site / "gap.lock").read_text())
    assert [one["baseurl"] for one in lock["repositories"]] == [["my%20mirror/"], [f"file://{mirror}/extras/"]]
    assert [key["file"]["url"] for key in lock["keys"]] == [f"file://{mirror}/os/RPM-GPG-KEY-practice"]
    assert run(site, "build", "--offline").returncode == 0


def test_what_lies_here_must_be_signed_like_all_else(site: Path, mirror: Path) -> None:
    subprocess.run(["cp", "-rl", mirror / "os", site / "os"], check=True, timeout=60)
    package = min((site / "os/Packages").iterdir())
    data = bytearray(package.read_bytes())
    data[-100] ^= 1
    package.unlink()
    package.write_bytes(data)
    define(site, 'source = "os"\n')
    done = run(site, "build", "--offline")
    assert done.returncode == 5, done.stderr
    assert package.name in done.stderr.replace("%2B", "+")
    assert not list(site.glob("*.iso*"))


def test_only_the_metadata_that_is_needed_must_be_there(site: Path, mirror: Path) -> None:
    shutil.copytree(mirror / "extras", site / "extras")
    [changelogs] = (site / "extras/repodata").glob("*-other.xml.gz")
    changelogs.unlink()
    extras = '[[repository]]\nid = "extras"\nbaseurl = "extras"\ntrust = "unsigned"\n'
    define(site, f'source = "{mirror}/os"\nkeys = "{mirror}/os"\n{extras}')
    done = run(site, "build", "--offline")
    assert done.returncode == 0, done.stderr
    assert "repository extras: its metadata of the kind other is not there, and is left out" in done.stderr
    lock = json.loads((site / "gap.lock").read_text())
    assert [set(one["metadata"]) for one in lock["repositories"]] == [
        {"repomd", "primary", "filelists", "other", "group"},
        {"repomd", "primary", "filelists"},
    ]
    [filelists] = (site / "extras/repodata").glob("*-filelists.xml.gz")
    filelists.unlink()
    (site / "gap.lock").unlink()
    done = isobuilder("lock", "--offline", "--cache-dir", str(site.parent / "fresh"), cwd=site)
    assert done.returncode == 4
    assert filelists.name in done.stderr


def test_offline_without_anything_says_all_that_is_missing(site: Path) -> None:
    define(site, "")
    done = run(site, "build", "--offline")
    assert done.returncode == 4, done.stderr
    for path in ("RPM-GPG-KEY-practice", "repodata/repomd.xml", ".treeinfo", "images/pxeboot/vmlinuz"):
        assert f"  http://127.0.0.1:9/os/{path}\n" in done.stderr
    assert "error: offline, and " in done.stderr


def test_a_lock_is_made_anew_offline_from_what_was_seen(demo: Demo, tmp_path: Path) -> None:
    for name in ("media.toml", "practice.toml", "rack-node.ks.j2", demo.lock.name):
        shutil.copy(demo.folder / name, tmp_path)
    shutil.copytree(demo.folder / "eucalyptus", tmp_path / "eucalyptus")
    cache = ["--offline", "--cache-dir", str(demo.cache)]
    done = isobuilder("lock", "--update", *cache, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / demo.lock.name).read_text() == demo.lock.read_text()
    lock = json.loads(demo.lock.read_text())
    empty = tmp_path / "cache"
    package = lock["packages"][0]["file"]["sha256"]
    subprocess.run(["cp", "-rl", demo.cache, empty], check=True, timeout=60)
    (empty / "sha256" / package[:2] / package).unlink()
    done = isobuilder("build", "--offline", "--cache-dir", str(empty), cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert re.search(r"error: offline, and a needed file is not here: [0-9.]+ [kM]?B\n  http://127", done.stderr)
    assert not list(tmp_path.glob("*.iso*"))


def test_a_release_that_does_not_say_what_its_dvd_holds(site: Path) -> None:
    release = site / "practice.toml"
    release.write_text(release.read_text().replace(DVD, "[[repository]]"))
    define(site, 'source = "dvd.iso"\n')
    done = run(site, "lock", "--offline")
    assert done.returncode == 3
    assert "does not say what its DVD holds" in done.stderr
    release.write_text(release.read_text().replace("[[repository]]", DVD.replace("baseos", "basos"), 1))
    assert "has no repository 'basos'" in run(site, "lock", "--offline").stderr


def test_a_dvd_that_is_not_there(site: Path) -> None:
    define(site, 'source = "dvd.iso"\n')
    done = run(site, "build", "--offline")
    assert done.returncode == 4
    assert "dvd.iso/RPM-GPG-KEY-practice: there is no such file" in done.stderr
    assert not (site / "gap.lock").exists()
