"""What a medium says of its own making: files, secrets that are not in them, and the same bits out of it again."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from isobuilder.provenance.secrets import put_back, take_out
from tests.conftest import Demo, isobuilder

pytestmark = pytest.mark.practice

ISO_NAME = "practice-cloud-practice-x86_64.iso"
ROOT_HASH = "$6$saltsalt$" + "R" * 86
USER_HASH = "$6$saltsalt$" + "U" * 86
OLD_HASH = "$6$saltsalt$" + "O" * 86
LINE = f"user --name=admin --iscrypted --password={USER_HASH}\n"


@dataclass(frozen=True)
class Site:
    """A definition with secrets, whose files lie in several folders, built by the command line."""

    folder: Path
    cache: Path
    iso: Path

    def file(self, path: str) -> bytes:
        """A file of the medium, as bsdtar reads it."""
        return subprocess.run(["bsdtar", "-xOf", self.iso, path], check=True, capture_output=True).stdout


def laid_out(demo: Demo, folder: Path) -> Path:
    """The demo's definition in folder/site, with its release file beside that; gives the definition's path."""
    site = folder / "site"
    shutil.copytree(demo.folder / "eucalyptus", site / "eucalyptus")
    (folder / "releases").mkdir()
    shutil.copy(demo.folder / "practice.toml", folder / "releases")
    text = (demo.folder / "media.toml").read_text().replace('"practice.toml"', '"../releases/practice.toml"')
    added = f'[install]\nroot-password = "{ROOT_HASH}"\n# root-password = "{OLD_HASH}"'
    (site / "media.toml").write_text(text.replace("[install]", added, 1))
    role = (demo.folder / "rack-node.ks.j2").read_text()
    block = "{% block commands %}\n"
    (site / "rack-node.ks.j2").write_text(role.replace(block, f"{block}%include more.ks\n"))
    (site / "more.ks").write_text(LINE)
    (site / "unrelated.txt").write_text("nothing reads this")
    return site / "media.toml"


@pytest.fixture(scope="module")
def site(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    laid_out(demo, folder)
    done = isobuilder("build", "--cache-dir", str(demo.cache), cwd=folder / "site")
    assert done.returncode == 0, done.stderr
    return Site(folder, demo.cache, folder / "site" / ISO_NAME)


def in_folder(iso: Path) -> set[str]:
    listed = subprocess.run(["bsdtar", "-tf", iso], check=True, capture_output=True, text=True).stdout.splitlines()
    return {path for path in listed if path.startswith("isobuilder/") and not path.endswith("/")} - {
        path for path in listed if any(other.startswith(f"{path}/") for other in listed)
    }


def test_it_carries_what_was_read_for_it_and_nothing_else(site: Site) -> None:
    inputs = {path for path in in_folder(site.iso) if path.startswith("isobuilder/inputs/")}
    assert inputs == {
        "isobuilder/inputs/here/media.toml",
        "isobuilder/inputs/here/rack-node.ks.j2",
        "isobuilder/inputs/here/more.ks",
        "isobuilder/inputs/here/eucalyptus/product.toml",
        "isobuilder/inputs/releases/practice.toml",
    }
    assert site.file("isobuilder/lock.json") == (site.folder / "site/practice-cloud.lock").read_bytes()
    assert (
        site.file("isobuilder/inputs/releases/practice.toml") == (site.folder / "releases/practice.toml").read_bytes()
    )


def test_hashes_are_where_the_kickstart_has_them_and_nowhere_else(site: Site, tmp_path: Path) -> None:
    subprocess.run(["bsdtar", "-xf", site.iso, "-C", tmp_path], check=True)
    having = {
        str(path.relative_to(tmp_path))
        for path in tmp_path.rglob("*")
        if path.is_file() and re.search(rb"\$6\$saltsalt\$[A-Z]", path.read_bytes())
    }
    # The machine image has no password of its own.
    assert having == {f"ks/{role}.cfg" for role in ("nc", "frontend", "ciab", "minimal", "rack-node")}
    beside = [path for path in (site.folder / "site").glob("practice-cloud-practice*") if path.suffix != ".iso"]
    assert len(beside) >= 2
    assert not [path for path in beside if b"saltsalt" in path.read_bytes()]
    definition = (tmp_path / "isobuilder/inputs/here/media.toml").read_text()
    assert 'root-password = "REDACTED-1"\n# root-password = "REDACTED"\n' in definition
    assert OLD_HASH not in definition
    # All else of it is as it was written.
    assert tomllib.loads(definition)["menu"] == tomllib.loads((site.folder / "site/media.toml").read_text())["menu"]


def test_the_manifest_on_it_is_the_one_beside_it_without_the_image(site: Site) -> None:
    beside = json.loads((site.folder / "site" / ISO_NAME.replace(".iso", ".manifest.json")).read_text())
    on_it = json.loads(site.file("isobuilder/manifest.json"))
    assert beside.pop("iso")["sha256"] == (site.iso.with_name(f"{ISO_NAME}.sha256")).read_text().split()[0]
    assert on_it == beside
    named = {path for path in on_it["other-files"] if path.startswith("isobuilder/")}
    assert named == in_folder(site.iso) - {"isobuilder/manifest.json"}


def reproduce(iso: Path, cache: Path, *more: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return isobuilder("reproduce", "--offline", "--cache-dir", str(cache), *more, str(iso), cwd=cwd)


def test_it_is_made_again_out_of_itself(site: Site, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(site.iso, alone / "renamed.iso")
    done = reproduce(alone / "renamed.iso", site.cache, cwd=alone)
    assert done.returncode == 0, done.stderr
    assert f"every bit is as what it carries makes it, sha256 {sha256(site.iso)}" in done.stdout
    assert [path.name for path in alone.iterdir()] == ["renamed.iso"]


def test_what_is_made_again_can_be_kept(site: Site, tmp_path: Path) -> None:
    done = reproduce(site.iso, site.cache, "--output-dir", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sha256(tmp_path / "out" / ISO_NAME) == sha256(site.iso)
    assert reproduce(site.iso, site.cache, "--output-dir", "out", cwd=tmp_path).returncode == 2


def sha256(path: Path) -> str:
    return subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.split()[0]


def place_of(iso: Path, path: str) -> int:
    """Where a file begins on an image, in bytes, as xorriso says."""
    said = subprocess.run(
        ["xorriso", "-indev", iso, "-find", f"/{path}", "-exec", "report_lba"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return int(said.split("File data lba:")[1].split(",")[1]) * 2048


def changed(iso: Path, place: int, data: bytes) -> None:
    with iso.open("r+b") as file:
        file.seek(place)
        file.write(data)


@pytest.fixture
def copy(site: Site, tmp_path: Path) -> Path:
    path = tmp_path / "copy.iso"
    shutil.copy(site.iso, path)
    return path


def test_the_first_difference_is_named(site: Site, copy: Path, tmp_path: Path) -> None:
    place = place_of(copy, "ks/minimal.cfg")
    changed(copy, place + 2, b"%")
    done = reproduce(copy, site.cache, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    said = f"ks/minimal.cfg differs at byte 2 (byte {place + 2} of the image)"
    assert f"it is not what it carries makes: {said}" in done.stdout


def test_a_difference_outside_of_files_is_named(site: Site, copy: Path, tmp_path: Path) -> None:
    changed(copy, 440, b"\xff\xff\xff\xff")
    with copy.open("ab") as file:
        file.write(b"appended")
    done = reproduce(copy, site.cache, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "no file differs; byte 440 of the image does, in the boot code and partition tables" in done.stdout
    shutil.copy(site.iso, copy)
    with copy.open("ab") as file:
        file.write(b"appended")
    done = reproduce(copy, site.cache, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert f"it has {site.iso.stat().st_size + 8} bytes, and {site.iso.stat().st_size} as it should be" in done.stdout


def test_verify_says_which_file_the_manifest_does_not_name_so(copy: Path) -> None:
    changed(copy, place_of(copy, "ks/minimal.cfg") + 2, b"%")
    copy.with_name(f"{copy.name}.sha256").unlink(missing_ok=True)
    done = isobuilder("verify", "--only", "manifest-differs", "--format", "json", str(copy))
    assert done.returncode == 8
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["id"], finding["place"]) == ("manifest-differs", "ks/minimal.cfg")


def test_what_was_changed_in_the_folder_is_refused(site: Site, copy: Path, tmp_path: Path) -> None:
    place = place_of(copy, "isobuilder/inputs/here/media.toml")
    at = site.file("isobuilder/inputs/here/media.toml").index(b"Practice cloud")
    changed(copy, place + at, b"Another  cloud")
    done = reproduce(copy, site.cache, cwd=tmp_path)
    assert done.returncode == 3
    assert "what it carries does not belong together" in done.stderr
    assert "definition.menu.title: changed" in done.stderr


def test_what_is_missing_offline_is_said(site: Site, tmp_path: Path) -> None:
    done = reproduce(site.iso, tmp_path / "empty", cwd=tmp_path)
    assert done.returncode == 4
    assert "offline" in done.stderr


def test_a_hash_that_no_kickstart_has_is_said_to_be_missing(demo: Demo, tmp_path: Path) -> None:
    definition = laid_out(demo, tmp_path)
    # Its one role sets no password.
    text = definition.read_text().replace('product = "./eucalyptus"\n', "")
    definition.write_text(text + '[role.minimal]\nkickstart = "locked.ks.j2"\n')
    locked = '{% extends "base.ks.j2" %}\n{% block root %}\nrootpw --lock\n{% endblock %}\n'
    (definition.parent / "locked.ks.j2").write_text(locked)
    (definition.parent / "rack-node.ks.j2").write_text(locked)
    done = isobuilder("build", "--cache-dir", str(demo.cache), cwd=definition.parent)
    assert done.returncode == 0, done.stderr
    done = reproduce(definition.parent / ISO_NAME, demo.cache, cwd=tmp_path)
    assert done.returncode == 3
    assert f"{ISO_NAME}:isobuilder/inputs/here/media.toml: 1 mistake in the definition" in done.stderr
    assert "install.root-password: not a crypt hash" in done.stderr
    assert "A secret of its files is in none of its kickstarts" in " ".join(done.stderr.split())


def made_iso(folder: Path, files: Mapping[str, str]) -> Path:
    tree = folder / "tree"
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    iso = folder / "made.iso"
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", iso, tree], check=True, capture_output=True)
    return iso


def index(**changes: Any) -> str:
    return json.dumps({"version": 1, "definition": "isobuilder/inputs/media.toml", "redacted": [], **changes})


DEFINITION = 'version = 1\nname = "evil"\nrelease = "{release}"\n'


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({"x": "nothing"}, 8, "it does not carry its definition"),
        ({"isobuilder/inputs.json": "{"}, 8, "is not as isobuilder writes it"),
        ({"isobuilder/inputs.json": index(definition="isobuilder/inputs/../../../x.toml")}, 8, "definition: "),
        ({"isobuilder/inputs.json": index(definition="/etc/x.toml")}, 8, "definition: "),
        ({"isobuilder/inputs.json": index()}, 8, "names a definition that is not there"),
        (
            {"isobuilder/inputs.json": index(), "isobuilder/inputs/media.toml": "x = 1"},
            3,
            "made.iso:isobuilder/inputs/",
        ),
        *(
            (
                {
                    "isobuilder/inputs.json": index(),
                    "isobuilder/inputs/media.toml": DEFINITION.format(release=release),
                    "isobuilder/lock.json": "{}",
                },
                3,
                "is not among the files that came with the medium",
            )
            for release in ("../../../../../../../../etc/x.toml", "/etc/x.toml", '9-stream"\nproduct = "/srv/evil')
        ),
        (
            {
                "isobuilder/inputs.json": index(),
                "isobuilder/lock.json": "{}",
                "isobuilder/inputs/media.toml": DEFINITION.format(release='9-stream"\nproduct = "./p'),
                "isobuilder/inputs/p/product.toml": 'id = "p"\ntitle = "P"\nextends = "../../../../../etc"\n',
            },
            3,
            "is not among the files that came with the medium",
        ),
        (
            {
                "isobuilder/inputs.json": index(),
                "isobuilder/lock.json": "{}",
                "isobuilder/inputs/media.toml": DEFINITION.format(release="9-stream")
                + '[role.evil]\nkickstart = "evil.ks.j2"\n',
                "isobuilder/inputs/evil.ks.j2": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
            },
            3,
            "access to attribute '__class__' of 'str' object is unsafe",
        ),
        (
            {
                "isobuilder/inputs.json": index(),
                "isobuilder/inputs/media.toml": DEFINITION.format(release="9-stream"),
                "isobuilder/lock.json": "{}",
            },
            3,
            "evil.lock: this is no lock",
        ),
    ],
)
def test_a_hostile_medium_is_refused(tmp_path: Path, files: dict[str, str], code: int, words: str) -> None:
    iso = made_iso(tmp_path, files)
    before = sorted(tmp_path.rglob("*"))
    done = reproduce(iso, tmp_path / "cache", cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert words in " ".join(done.stderr.split())
    assert [path for path in sorted(tmp_path.rglob("*")) if "cache" not in path.parts] == before


@pytest.mark.parametrize("name", [b"..", b"./", b"/x"])
def test_a_name_that_climbs_is_refused(tmp_path: Path, name: bytes) -> None:
    iso = made_iso(tmp_path, {"isobuilder/inputs.json": index(), "isobuilder/inputs/QZ/x": "evil"})
    data = iso.read_bytes()
    # The name in Rock Ridge; the plain one is QZ as well, behind its length.
    assert data.count(b"NM\x07\x01\x00QZ") == 1
    iso.write_bytes(data.replace(b"NM\x07\x01\x00QZ", b"NM\x07\x01\x00" + name))
    done = reproduce(iso, tmp_path / "cache", cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (8, False), done.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"tree", "made.iso", "cache"}


def test_a_link_among_the_inputs_is_refused(tmp_path: Path) -> None:
    files = {"isobuilder/inputs.json": index(), "isobuilder/inputs/x": ""}
    (tmp_path / "tree/isobuilder/inputs").mkdir(parents=True)
    (tmp_path / "tree/isobuilder/inputs/media.toml").symlink_to("/etc/passwd")
    done = reproduce(made_iso(tmp_path, files), tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 8
    assert "it is no plain file" in done.stderr


KICKSTARTS = {"ks/a.cfg": f"rootpw --iscrypted {ROOT_HASH}\nuser --password=hunter22\n"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f'root-password = "{ROOT_HASH}"', 'root-password = "REDACTED-1"'),
        (f"{{% set hash = '{ROOT_HASH}' %}}", "{% set hash = 'REDACTED-1' %}"),
        (f"rootpw --iscrypted {OLD_HASH}", "rootpw --iscrypted REDACTED"),
        ("rootpw --iscrypted {{ install.root_password }}", "rootpw --iscrypted {{ install.root_password }}"),
        ("user --name=a --password=hunter22", "user --name=a --password=REDACTED-1"),
        ("user --name=a --password={{ facts.x }}", "user --name=a --password={{ facts.x }}"),
        ('{% if password == "hunter22" %}', '{% if password == "hunter22" %}'),
        ("echo root:hunter22 | chpasswd", "REDACTED"),
        ("chpasswd <<X\nroot:hunter23\nX\nls", "chpasswd <<X\nREDACTED\nX\nls"),
        ("REDACTED-1 password=hunter22", "REDACTED-1 password=REDACTED-2"),
        ("baseurl = 'https://joe:word@example.org/'", "baseurl = 'https://REDACTED@example.org/'"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "REDACTED\n"),
        ("ssh-keys = ['ssh-ed25519 AAAA']", "ssh-keys = ['ssh-ed25519 AAAA']"),
    ],
)
def test_secrets_go_and_those_of_a_kickstart_come_back(text: str, shown: str) -> None:
    without, redacted = take_out("isobuilder/inputs/x", text, KICKSTARTS)
    assert without == shown
    back = put_back("isobuilder/inputs/x", without, redacted, KICKSTARTS)
    assert back == (text if "REDACTED-" in shown or shown == text else shown)
