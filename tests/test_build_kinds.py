"""Releases without isolinux, from the practice mirror to their media: GRUB out of an ISO of the tree, UEFI alone."""

import configparser
import hashlib
import json
import re
import subprocess
from pathlib import Path

import productmd.treeinfo
import pytest

from tests.conftest import Demo, isobuilder
from tests.practice.mirror import write_demo

pytestmark = pytest.mark.practice

BIOS = """
[arch.x86_64.boot.bios]
loader = "grub"
image = "images/eltorito.img"
files = ["images/eltorito.img", "boot/grub2/i386-pc/"]
inside = "images/boot.iso"
mbr = { package = "grub2-pc-modules", file = "/usr/lib/grub/i386-pc/boot_hybrid.img" }
"""


def write_definition(folder: Path, url: str, mirror: Path, bios: str) -> None:
    """The demo's definition, with a release file that has `bios` for what it says of BIOS."""
    write_demo(folder, url, mirror)
    release = folder / "practice.toml"
    before, _, after = release.read_text().partition("[arch.x86_64.boot.bios]")
    release.write_text(f"{before}{bios}\n[arch.x86_64.boot.efi]{after.partition('[arch.x86_64.boot.efi]')[2]}")


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.fixture(scope="module")
def built(mirror_url: str, mirror: Path, demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return build(tmp_path_factory.mktemp("grub"), mirror_url, mirror, demo, BIOS)


def build(folder: Path, url: str, mirror: Path, demo: Demo, bios: str) -> Demo:
    write_definition(folder, url, mirror, bios)
    done = isobuilder("build", "--cache-dir", str(demo.cache), cwd=folder)
    assert done.returncode == 0, done.stderr
    [iso], [lock] = folder.glob("*.iso"), folder.glob("*.lock")
    return Demo(folder, demo.cache, iso, lock, done.stderr)


def test_the_lock_names_the_iso_that_the_loader_lies_in(built: Demo, mirror: Path) -> None:
    boot = {entry["path"]: entry for entry in json.loads(built.lock.read_text())["boot"]}
    treeinfo = (mirror / "os/.treeinfo").read_text()
    [sha256] = re.findall(r"^images/boot\.iso = sha256:(\w+)$", treeinfo, re.MULTILINE)
    for path in ("images/eltorito.img", "boot/grub2/i386-pc/"):
        entry = boot[path]
        assert (entry["member"], entry["vouched-by"], entry["file"]["sha256"]) == (path, "treeinfo", sha256)
        assert entry["file"]["url"].endswith("/os/images/boot.iso")
    assert not [path for path in boot if path.startswith("isolinux/")]


def test_the_medium_has_the_loader_of_that_iso(built: Demo, mirror: Path, tmp_path: Path) -> None:
    medium, source = tmp_path / "medium", tmp_path / "source"
    for iso, folder in ((built.iso, medium), (mirror / "os/images/boot.iso", source)):
        folder.mkdir()
        output("bsdtar", "-xf", iso, "-C", folder)
    modules = {path.name: path.read_bytes() for path in (source / "boot/grub2/i386-pc").iterdir()}
    assert len(modules) > 250
    assert {path.name: path.read_bytes() for path in (medium / "boot/grub2/i386-pc").iterdir()} == modules
    ours, theirs = ((folder / "images/eltorito.img").read_bytes() for folder in (medium, source))
    assert (ours[:8], ours[64:2548], ours[2556:]) == (theirs[:8], theirs[64:2548], theirs[2556:])
    assert not (medium / "images/boot.iso").exists()
    assert not (medium / "images/efiboot.img").exists()
    assert "efiboot" not in (medium / ".treeinfo").read_text()


def test_the_medium_is_of_the_kind_of_that_iso(built: Demo, mirror: Path) -> None:
    def summary(iso: Path) -> list[str]:
        report = output("xorriso", "-indev", iso, "-report_el_torito", "plain", "-report_system_area", "plain")
        return [line for line in report.splitlines() if re.match("System area|El Torito img (?:path|opts)", line)]

    assert summary(built.iso) == summary(mirror / "os/images/boot.iso")
    assert "No problems found" in output("sgdisk", "-v", built.iso)
    output("checkisomd5", built.iso)


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("images/boot.iso", "images/install.iso", 5, r"images/install\.iso: .* no checksum of it"),
        ("boot/grub2/i386-pc/", "boot/grub2/none/", 8, r"images/boot\.iso: .* there is no none where it should be"),
        ("/usr/lib/grub/i386-pc/boot_hybrid.img", "/usr/lib/none", 8, r"the package has no file /usr/lib/none"),
    ],
)
def test_what_is_not_there_is_refused(
    mirror_url: str, mirror: Path, built: Demo, tmp_path: Path, old: str, new: str, code: int, words: str
) -> None:
    assert BIOS.count(f'"{old}"') == 1
    write_definition(tmp_path, mirror_url, mirror, BIOS.replace(f'"{old}"', f'"{new}"'))
    done = isobuilder("build", "--cache-dir", str(built.cache), cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert re.search(words, " ".join(done.stderr.split()))
    assert not list(tmp_path.glob("*.iso"))


def test_a_release_without_a_bios_loader_gives_a_medium_for_uefi(
    mirror_url: str, mirror: Path, demo: Demo, tmp_path: Path
) -> None:
    built = build(tmp_path, mirror_url, mirror, demo, bios="")
    assert "mbr" not in {entry["path"] for entry in json.loads(built.lock.read_text())["boot"]}
    report = output("xorriso", "-indev", built.iso, "-report_el_torito", "plain", "-report_system_area", "plain")
    assert re.findall(r"^El Torito boot img :   . +(\w+)", report, re.MULTILINE) == ["UEFI"]
    assert "MBR partition path :   1  /images/efiboot.img" in report
    assert built.iso.read_bytes()[:440] == bytes(440)
    output("checkisomd5", built.iso)


def test_a_medium_in_the_manner_of_the_old_releases(mirror_url: str, mirror: Path, demo: Demo, tmp_path: Path) -> None:
    """No variant in .treeinfo, the kickstart from the CD, and the old GRUB for UEFI: what 6 has, and 7 in part."""
    write_demo(tmp_path, mirror_url, mirror)
    release = tmp_path / "practice.toml"
    text = release.read_text()
    for old, new in (
        ('variant = "BaseOS"\n', ""),
        # productmd reads a tree without variants only of this family.
        ('family = "Practice Linux"', 'family = "CentOS"'),
        ('version = "9"', 'version = "7"'),
        ('syntax = "RHEL9"', 'syntax = "RHEL7"'),
        ('stage2 = "inst.stage2=hd:LABEL={label}"\n', ""),
        ("inst.ks=hd:LABEL={label}:{path}", "ks=cdrom:{path}"),
        ("[arch.x86_64.boot.efi]\n", '[arch.x86_64.boot.efi]\nloader = "grub-legacy"\n'),
    ):
        assert old in text
        text = text.replace(old, new)
    release.write_text(text)
    done = isobuilder("build", "--cache-dir", str(demo.cache), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [iso] = tmp_path.glob("*.iso")
    medium = tmp_path / "medium"
    medium.mkdir()
    output("bsdtar", "-xf", iso, "-C", medium)
    plain = configparser.ConfigParser(interpolation=None)
    plain.read(medium / ".treeinfo")
    assert plain["general"]["variant"] == ""
    assert not [section for section in plain.sections() if section.startswith(("variant-", "header"))]
    read = productmd.treeinfo.TreeInfo()
    read.load(str(medium / ".treeinfo"))
    assert (read.tree.arch, read.stage2.mainimage, read.release.version) == ("x86_64", "images/install.img", "7")
    for path, (kind, digest) in read.checksums.checksums.items():
        assert kind == "sha256"
        assert digest == hashlib.sha256((medium / path).read_bytes()).hexdigest(), path
    legacy = (medium / "EFI/BOOT/BOOTX64.conf").read_text()
    output("mcopy", "-i", medium / "images/efiboot.img", "::/EFI/BOOT/BOOTX64.conf", tmp_path)
    assert (tmp_path / "BOOTX64.conf").read_text() == legacy
    wanted = "ks=cdrom:/ks/minimal.cfg"
    assert f"kernel /images/pxeboot/vmlinuz {wanted}\n" in legacy
    assert f"append initrd=/images/pxeboot/initrd.img {wanted}\n" in (medium / "isolinux/isolinux.cfg").read_text()
