"""The whole way with repositories that a metalink and a mirror list name: which mirrors the lock takes, and uses."""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from isobuilder.lock import dump_lock, read_lock
from tests.conftest import isobuilder
from tests.metalinks import metalink
from tests.practice.mirror import write_demo
from tests.practice.server import serve

pytestmark = pytest.mark.practice

REPOMD = "repodata/repomd.xml"
# Nothing listens on the port of "discard", and to be root is needed to make it so.
DEAD = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Site:
    """A definition whose repositories have listings, in `listings`, and mirrors: dead, spoilt, `stale` and good."""

    folder: Path
    listings: Path
    spoilt: str
    stale: str
    good: str

    @property
    def lock(self) -> Path:
        return self.folder / "practice-cloud.lock"

    @property
    def metalink(self) -> Path:
        return self.listings / "metalink"

    def list_only(self, *bases: str) -> None:
        """Leave only these mirrors in the metalink."""
        lines = self.metalink.read_text().splitlines(keepends=True)
        left = [line for line in lines if "<url " not in line or any(f">{base}/" in line for base in bases)]
        self.metalink.write_text("".join(left))

    def run(self, *command: str, cache: str = "cache") -> subprocess.CompletedProcess[str]:
        return isobuilder(*command, "--cache-dir", str(self.folder / cache), cwd=self.folder)


@pytest.fixture
def site(mirror: Path, mirror_url: str, tmp_path: Path) -> Iterator[Site]:
    repomd = (mirror / "os" / REPOMD).read_bytes()
    with ExitStack() as stack:
        urls = []
        for name, old in (("spoilt", repomd.replace(b"<revision>", b"<revision>9")), ("stale", repomd + b"<!-- -->")):
            folder = tmp_path / name
            subprocess.run(["cp", "-rl", mirror, folder], check=True, timeout=60)
            (folder / "os" / REPOMD).unlink()
            (folder / "os" / REPOMD).write_bytes(old)
            urls.append(stack.enter_context(serve(folder)))
        listings = tmp_path / "listings"
        listings.mkdir()
        bases = [DEAD, *urls, mirror_url]
        resources = [("http", str(100 - rank), f"{base}/os/{REPOMD}") for rank, base in enumerate(bases)]
        (listings / "metalink").write_bytes(metalink(resources, repomd, repomd + b"<!-- -->"))
        (listings / "mirrorlist").write_text("# mirrors\n" + "".join(f"{base}/extras\n" for base in bases))
        listed = stack.enter_context(serve(listings))
        write_demo(tmp_path / "site", mirror_url, mirror)
        release = tmp_path / "site/practice.toml"
        text = release.read_text().replace(f'baseurl = "{mirror_url}/os/"', f'metalink = "{listed}/metalink"')
        text = text.replace(f'baseurl = "{mirror_url}/extras/"', f'mirrorlist = "{listed}/mirrorlist"')
        release.write_text(text)
        spoilt, stale = urls
        yield Site(tmp_path / "site", listings, spoilt, stale, mirror_url)


def test_the_lock_has_the_mirrors_and_the_build_needs_no_listing(site: Site) -> None:
    done = site.run("lock")
    assert done.returncode == 0, done.stderr
    lock = json.loads(site.lock.read_text())
    bases = [DEAD, site.spoilt, site.stale, site.good]
    repositories = {repository["id"]: repository for repository in lock["repositories"]}
    assert repositories["baseos"]["baseurl"] == [f"{base}/os/" for base in bases]
    assert repositories["extras"]["baseurl"] == [f"{base}/extras/" for base in bases]
    assert repositories["baseos"]["listing"].endswith("/metalink")
    # What is said of a file names no mirror.
    assert all(re.fullmatch(r"Packages/[^/]+\.rpm", package["file"]["path"]) for package in lock["packages"])
    assert re.search(rf"warning: {site.spoilt}/os/{REPOMD}: is not what the metalink says", done.stderr)
    shutil.rmtree(site.listings)
    built = site.run("build", cache="other")
    assert built.returncode == 0, built.stderr
    # From other mirrors comes the same, but for what the medium says of its making: the lock has its mirrors.
    iso = site.folder / "practice-cloud-practice-x86_64.iso"
    before = files_of(iso, site.folder / "before")
    read = read_lock(site.lock)
    assert read
    fewer = tuple(one.model_copy(update={"baseurl": one.baseurl[-1:]}) for one in read.repositories)
    site.lock.write_text(dump_lock(read.model_copy(update={"repositories": fewer})))
    again = site.run("build", "--force", cache="other")
    assert again.returncode == 0, again.stderr
    assert files_of(iso, site.folder / "after") == before


def files_of(iso: Path, folder: Path) -> dict[str, str]:
    """The sha256 of the files of a medium, by path, without its folder isobuilder."""
    folder.mkdir()
    subprocess.run(["bsdtar", "-xf", iso, "-C", folder], check=True)
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in found.items()
        if not name.startswith("isobuilder/")
    }


def test_the_order_of_a_metalink_changes_no_lock(site: Site) -> None:
    assert site.run("lock").returncode == 0
    before = site.lock.read_text()
    listing = site.metalink
    lines = listing.read_text().splitlines(keepends=True)
    urls = [line for line in lines if "<url " in line]
    others = [line for line in lines if "<url " not in line]
    at = next(number for number, line in enumerate(others) if "<resources" in line) + 1
    listing.write_text("".join([*others[:at], *reversed(urls), *others[at:]]))
    site.lock.unlink()
    assert site.run("lock").returncode == 0
    assert site.lock.read_text() == before


def test_mirrors_that_are_all_bad_are_all_named(site: Site) -> None:
    site.list_only(DEAD, site.spoilt)
    gone = f"{site.good}/nosuch"
    # Refused connections are tried again after pauses; this is not what is tested here.
    site.metalink.write_text(site.metalink.read_text().replace(DEAD, gone))
    done = site.run("lock")
    assert done.returncode == 5, done.stderr
    said = " ".join(done.stderr.split())
    assert f"{REPOMD}: no mirror has it as it should be, of 2" in said
    assert f"{gone}/os/{REPOMD}: the server answers 404" in said
    assert f"{site.spoilt}/os/{REPOMD}: is not what the metalink says" in said
    assert not site.lock.exists()


def test_an_alternate_is_taken_where_nobody_has_the_newest(site: Site) -> None:
    site.list_only(site.spoilt, site.stale)
    release = site.folder / "practice.toml"
    release.write_text(release.read_text().replace('repomd-signature = "required"', 'repomd-signature = "off"'))
    done = site.run("lock")
    assert done.returncode == 0, done.stderr
    assert "note: repository baseos: no mirror has the newest metadata yet" in done.stderr
    lock = read_lock(site.lock)
    assert lock
    stale = (site.listings.parent / "stale/os" / REPOMD).read_bytes()
    assert lock.repositories[0].metadata["repomd"].sha256 == hashlib.sha256(stale).hexdigest()


def test_the_newest_is_taken_where_somebody_has_it(site: Site) -> None:
    release = site.folder / "practice.toml"
    release.write_text(release.read_text().replace('repomd-signature = "required"', 'repomd-signature = "off"'))
    site.list_only(site.stale, site.good)
    assert site.run("lock").returncode == 0
    lock = read_lock(site.lock)
    assert lock
    assert lock.repositories[0].metadata["repomd"].size < len((site.listings.parent / "stale/os" / REPOMD).read_bytes())


def test_a_lock_names_the_listing_of_the_definition(site: Site) -> None:
    assert site.run("lock").returncode == 0
    lock = read_lock(site.lock)
    assert lock
    changed = tuple(one.model_copy(update={"listing": None}) for one in lock.repositories)
    site.lock.write_text(dump_lock(lock.model_copy(update={"repositories": changed})))
    done = site.run("build")
    assert done.returncode == 3
    assert (
        "repository baseos: address, trust, fingerprints, sha1 or module-hotfixes are not those of the definition"
        in done.stderr
    )


def test_sha1_is_said_and_the_definition_decides(site: Site) -> None:
    release = site.folder / "practice.toml"
    release.write_text(release.read_text().replace('id = "extras"\n', 'id = "extras"\nsha1 = true\n'))
    done = site.run("lock")
    assert done.returncode == 0, done.stderr
    assert "warning: repository extras: signatures over SHA-1 are accepted" in done.stderr
    assert "repository baseos: signatures over SHA-1" not in done.stderr
    lock = read_lock(site.lock)
    assert lock
    assert [repository.id for repository in lock.repositories if repository.sha1] == ["extras"]
    everywhere = tuple(one.model_copy(update={"sha1": True}) for one in lock.repositories)
    site.lock.write_text(dump_lock(lock.model_copy(update={"repositories": everywhere})))
    done = site.run("build")
    assert done.returncode == 3
    assert "repository baseos: address, trust, fingerprints, sha1 or module-hotfixes" in done.stderr


def test_dnf_reads_the_same_metalink(site: Site, tmp_path: Path) -> None:
    """Of a metalink that is no real one, this tells whether it could be."""
    folder = tmp_path / "repos"
    folder.mkdir()
    metalink_url = re.search(r'metalink = "(.*)"', (site.folder / "practice.toml").read_text())
    assert metalink_url
    (folder / "x.repo").write_text(f"[x]\nname=x\nmetalink={metalink_url[1]}\ngpgcheck=0\n")
    options = [f"--setopt=reposdir={folder}", f"--setopt=cachedir={tmp_path}/dnf", "--releasever=9"]
    command = ["dnf", "--quiet", f"--installroot={tmp_path}/root", *options, "repoquery", "--repo=x", "bash"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert "bash" in found.stdout
