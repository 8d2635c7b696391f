"""The shipped release files, held against what CentOS published: trees, boot menus, comps, metadata and keys.

Where the real metadata is that of another minor release, only what all of them share is compared.
"""

import configparser
import datetime as dt
import gzip
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

import pykickstart.version
import pytest

import isobuilder.releases
from isobuilder.definition import Repository
from isobuilder.releases import Release, end_of_life_warning
from isobuilder.schema import load_toml
from tests.dnf_oracle import Scenario, ask_dnf
from tests.repositories import publish

FOLDER = Path(isobuilder.releases.__file__).parent
IDS = ("6", "7", "8-stream", "9-stream", "10-stream")
COMMON = "{http://linux.duke.edu/metadata/common}"

# Packages that the real metadata at hand lacks: it is of BaseOS alone, of a minimal medium, or older than the release.
AGENTS = frozenset({"hyperv-daemons", "open-vm-tools", "qemu-guest-agent"})
NOT_IN_MINIMAL_7 = AGENTS | {"cryptsetup", "device-mapper-multipath", "dracut-network", "fcoe-utils", "kernel-devel"}
IN_APPSTREAM_9 = AGENTS | {"authselect-compat", "langpacks-en"}
LATER_THAN_9_OF_2022_02 = frozenset({"kbd-legacy"})


def release(name: str) -> Release:
    return load_toml(FOLDER / f"{name}.toml", Release, "release file")


def repositories(shipped: Release) -> Iterator[Repository]:
    yield from shipped.repository
    for facts in shipped.arch.values():
        yield from facts.repository


def addresses(repository: Repository) -> Iterator[str]:
    yield from filter(None, (repository.baseurl, repository.mirrorlist, repository.metalink))


def ini(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(path.read_text())
    return parser


def names(real_metadata: Path, repository: str) -> frozenset[str]:
    (path,) = (real_metadata / "repos" / repository / "repodata").glob("*-primary.xml.gz")
    with gzip.open(path) as file:
        return frozenset(element.text or "" for _, element in ET.iterparse(file) if element.tag == f"{COMMON}name")


def owners(real_metadata: Path, repository: str, wanted: set[str]) -> dict[str, set[str]]:
    """Which packages hold each of the `wanted` paths."""
    (path,) = (real_metadata / "repos" / repository / "repodata").glob("*-filelists.xml.gz")
    found: dict[str, set[str]] = {path: set() for path in wanted}
    with gzip.open(path) as file:
        for _, element in ET.iterparse(file):
            if element.tag.endswith("package"):
                for child in element:
                    if child.text in found:
                        found[child.text].add(element.get("name", ""))
                element.clear()
    return found


def test_all_releases_are_there() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(IDS)
    assert [release(name).id for name in IDS] == list(IDS)


@pytest.mark.parametrize(
    ("name", "last_day"),
    [
        ("6", dt.date(2020, 11, 30)),
        ("7", dt.date(2024, 6, 30)),
        ("8-stream", dt.date(2024, 5, 31)),
        ("9-stream", dt.date(2027, 5, 31)),
        ("10-stream", dt.date(2030, 5, 31)),
    ],
)
def test_end_of_life(name: str, last_day: dt.date) -> None:
    shipped = release(name)
    assert end_of_life_warning(shipped, last_day) is None
    assert end_of_life_warning(shipped, last_day + dt.timedelta(days=1))


@pytest.mark.parametrize("name", IDS)
def test_syntax_is_one_of_pykickstart(name: str) -> None:
    syntax = release(name).kickstart.syntax
    assert syntax == f"RHEL{name.removesuffix('-stream')}"
    assert pykickstart.version.stringToVersion(syntax) in pykickstart.version.versionMap.values()


@pytest.mark.parametrize(
    ("name", "medium", "root", "network"),
    [
        ("6", "/mnt/source", "/mnt/sysimage", "ifcfg"),
        ("7", "/run/install/repo", "/mnt/sysimage", "ifcfg"),
        ("8-stream", "/run/install/repo", "/mnt/sysroot", "networkmanager"),
        ("9-stream", "/run/install/repo", "/mnt/sysroot", "networkmanager"),
        ("10-stream", "/run/install/repo", "/mnt/sysroot", "networkmanager"),
    ],
)
def test_places_of_the_installer(name: str, medium: str, root: str, network: str) -> None:
    shipped = release(name)
    assert (shipped.kickstart.medium, shipped.kickstart.root, shipped.network) == (medium, root, network)


def test_sections_come_and_go_with_releases() -> None:
    known = {name: set(release(name).kickstart.sections) for name in IDS}
    assert known["6"] == {"%packages", "%pre", "%post", "%traceback"}
    assert known["7"] == known["6"] | {"%pre-install", "%onerror", "%addon", "%anaconda"} == known["8-stream"]
    assert known["9-stream"] == known["7"] | {"%certificate"} == known["10-stream"] | {"%anaconda"}
    assert "%anaconda" not in known["10-stream"]


@pytest.mark.parametrize("name", IDS)
def test_kernel_arguments(name: str) -> None:
    arguments = release(name).kernel_arguments
    if name == "6":
        assert (arguments.stage2, arguments.kickstart) == (None, "ks=cdrom:{path}")
        assert (arguments.rescue, arguments.check) == ("rescue", "mediacheck")
    else:
        assert arguments.stage2 == "inst.stage2=hd:LABEL={label}"
        assert arguments.kickstart == "inst.ks=hd:LABEL={label}:{path}"
        assert (arguments.rescue, arguments.check) == ("inst.rescue", "rd.live.check")


@pytest.mark.parametrize("name", IDS)
def test_addresses_answer_today(name: str) -> None:
    """The mirror list of old is gone: what has ended is on the vault, and what has not is found by metalink."""
    shipped = release(name)
    ended = name in ("6", "7", "8-stream")
    hosts = {urlsplit(address).hostname for one in repositories(shipped) for address in addresses(one)}
    assert hosts == {"vault.centos.org" if ended else "mirrors.centos.org"}
    trees = [facts.tree for facts in shipped.arch.values()]
    assert {urlsplit(tree).hostname for tree in trees} == {"vault.centos.org" if ended else "mirror.stream.centos.org"}
    everything = [*trees, *(url for one in repositories(shipped) for url in (*addresses(one), *one.gpgkey))]
    assert {urlsplit(url).scheme for url in everything} == {"https"}
    for one in repositories(shipped):
        assert all("$basearch" in address for address in addresses(one))
        assert (one.baseurl is None) == (not ended)
    assert shipped.installed.stock_repositories == (not ended)
    assert shipped.installed.https == (name != "6")


@pytest.mark.parametrize("name", IDS)
def test_everything_is_signed(name: str) -> None:
    for one in repositories(release(name)):
        assert one.trust == "signed"
        assert one.sha1 == (name == "6"), "only packages of 6 carry signatures over SHA-1"


def test_architectures() -> None:
    assert list(release("6").arch) == ["x86_64"]
    for name in IDS[1:]:
        shipped = release(name)
        assert list(shipped.arch) == ["x86_64", "aarch64"]
        assert shipped.arch["aarch64"].boot.bios is None


def test_release_7_on_aarch64_is_elsewhere() -> None:
    facts = release("7").arch["aarch64"]
    assert facts.tree.startswith("https://vault.centos.org/altarch/7.9.2009/os/")
    assert {one.id for one in facts.repository} == {one.id for one in release("7").repository}
    assert all(str(one.baseurl).startswith("https://vault.centos.org/altarch/7.9.2009/") for one in facts.repository)
    assert {len(one.gpgkey) for one in facts.repository} == {len(one.fingerprint) for one in facts.repository} == {2}


LIBRARIES = {"isolinux/ldlinux.c32", "isolinux/libcom32.c32", "isolinux/libutil.c32"}


@pytest.mark.parametrize(
    ("name", "libraries", "package"),
    [
        ("6", set(), "syslinux"),
        ("7", set(), "syslinux"),
        *((f"{n}-stream", LIBRARIES, "syslinux-nonlinux") for n in (8, 9)),
    ],
)
def test_isolinux_of_its_time(name: str, libraries: set[str], package: str) -> None:
    bios = release(name).arch["x86_64"].boot.bios
    assert bios is not None
    assert (bios.loader, bios.image) == ("isolinux", "isolinux/isolinux.bin")
    assert set(bios.files) == {"isolinux/isolinux.bin", "isolinux/vesamenu.c32"} | libraries
    assert (bios.mbr.package, bios.mbr.file) == (package, "/usr/share/syslinux/isohdpfx.bin")


def test_release_10_starts_by_grub_out_of_boot_iso() -> None:
    bios = release("10-stream").arch["x86_64"].boot.bios
    assert bios is not None
    assert (bios.loader, bios.inside, bios.image) == ("grub", "images/boot.iso", "images/eltorito.img")
    assert set(bios.files) == {"images/eltorito.img", "boot/grub2/i386-pc/"}
    assert (bios.mbr.package, bios.mbr.file) == ("grub2-pc-modules", "/usr/lib/grub/i386-pc/boot_hybrid.img")


def test_uefi_of_release_6_is_legacy_grub() -> None:
    efi = release("6").arch["x86_64"].boot.efi
    assert efi.loader == "grub-legacy"
    assert efi.files == ("EFI/BOOT/BOOTX64.efi", "EFI/BOOT/splash.xpm.gz")


@pytest.mark.parametrize("name", IDS[1:])
@pytest.mark.parametrize(
    ("arch", "suffix", "linux", "initrd"),
    [("x86_64", "x64", "linuxefi", "initrdefi"), ("aarch64", "aa64", "linux", "initrd")],
)
def test_uefi(name: str, arch: Literal["x86_64", "aarch64"], suffix: str, linux: str, initrd: str) -> None:
    efi = release(name).arch[arch].boot.efi
    assert set(efi.files) == {
        f"EFI/BOOT/BOOT{suffix.upper()}.EFI",
        f"EFI/BOOT/grub{suffix}.efi",
        f"EFI/BOOT/mm{suffix}.efi",
        "EFI/BOOT/fonts/unicode.pf2",
    }
    assert (efi.loader, efi.linux, efi.initrd) == ("grub", linux, initrd)
    assert efi.local_loaders == (f"/EFI/centos/shim{suffix}.efi", f"/EFI/centos/grub{suffix}.efi")


@pytest.mark.parametrize(
    ("name", "tree"),
    [("6", "centos-6.6-vendor"), ("7", "centos-7.3"), ("8-stream", "centos-8"), ("9-stream", "rocky-9.6")],
)
def test_tree_is_as_published(real_metadata: Path, name: str, tree: str) -> None:
    treeinfo = ini(real_metadata / "trees" / tree / ".treeinfo")
    shipped = release(name)
    files = shipped.arch["x86_64"].boot
    assert files.stage2 == treeinfo["stage2"]["mainimage"]
    assert files.initrd == treeinfo["images-x86_64"]["initrd"]
    assert files.kernel == treeinfo["images-x86_64"].get("kernel", files.kernel)
    named = {section.removeprefix("variant-") for section in treeinfo.sections() if section.startswith("variant-")}
    assert named == ({shipped.variant} if shipped.variant else set())
    if name == "7":
        assert (shipped.family, shipped.version) == (treeinfo["general"]["family"], treeinfo["general"]["version"])


def test_menus_of_release_6_say_the_same(real_metadata: Path) -> None:
    arguments = release("6").kernel_arguments
    isolinux = (real_metadata / "bootcfg/centos-6/isolinux.cfg").read_text()
    assert re.search(rf"\b{re.escape(arguments.kickstart.format(path='/isolinux/ks.cfg'))}\s", isolinux)
    assert re.search(rf"initrd=initrd\.img {arguments.rescue}$", isolinux, re.MULTILINE)
    assert "default vesamenu.c32" in isolinux


def test_menus_of_release_7_say_the_same(real_metadata: Path) -> None:
    arguments, files = release("7").kernel_arguments, release("7").arch["x86_64"].boot
    isolinux, grub = ((real_metadata / "bootcfg/centos-7" / name).read_text() for name in ("isolinux.cfg", "grub.cfg"))
    assert arguments.stage2 is not None
    stage2 = arguments.stage2.format(label=r"CentOS\x207\x20x86_64")
    assert f"{files.efi.linux} /{files.kernel} {stage2} {arguments.check} quiet\n" in grub
    assert f"{files.efi.initrd} /{files.initrd}\n" in grub
    assert f"initrd=initrd.img {stage2} {arguments.check} quiet\n" in isolinux


@pytest.mark.parametrize(
    ("name", "comps"), [("6", "centos-6.3.xml"), ("7", "centos-7.xml"), ("8-stream", "centos-8-baseos.xml")]
)
def test_environments_are_known_where_comps_have_them(real_metadata: Path, name: str, comps: str) -> None:
    root = ET.parse(real_metadata / "comps" / comps).getroot()
    assert release(name).kickstart.environments == (root.find("environment") is not None)


def test_packages_of_release_6(real_metadata: Path) -> None:
    root = ET.parse(real_metadata / "comps/centos-6.3.xml").getroot()
    known = {element.text for element in root.iter("packagereq")}
    facts = release("6").arch["x86_64"]
    assert {*facts.always, *facts.may} - known == {"chkconfig", "kernel", "kernel-devel"}


@pytest.mark.parametrize(
    ("name", "repository", "elsewhere"),
    [
        ("7", "centos7-minimal-2023-09", NOT_IN_MINIMAL_7),
        ("9-stream", "stream9-baseos-2022-02", IN_APPSTREAM_9 | LATER_THAN_9_OF_2022_02),
    ],
)
def test_packages_are_there(real_metadata: Path, name: str, repository: str, elsewhere: frozenset[str]) -> None:
    shipped = release(name)
    facts = shipped.arch["x86_64"]
    wanted = {*facts.always, *facts.may, shipped.wizard.package}
    assert wanted - names(real_metadata, repository) == elsewhere


@pytest.mark.parametrize(
    ("name", "repository"), [("7", "centos7-minimal-2023-09"), ("9-stream", "stream9-baseos-2022-02")]
)
def test_packages_go_together(real_metadata: Path, name: str, repository: str, tmp_path: Path) -> None:
    """What the installer adds, and that with all a person can choose: dnf installs both, as far as they are there."""
    shipped = release(name)
    facts = shipped.arch["x86_64"]
    there = names(real_metadata, repository)
    publish(real_metadata / "repos" / repository, tmp_path / "mirror")
    scenarios = [
        Scenario([package for package in wanted if package in there])
        for wanted in (facts.always, (*facts.always, *facts.may, shipped.wizard.package))
    ]
    for answer in ask_dnf({"base": (tmp_path / "mirror", 99)}, scenarios, tmp_path):
        assert answer.error is None
        assert any(package.startswith("kernel-") for package in answer.packages)


def test_packages_of_8_and_10_are_those_of_9(real_metadata: Path) -> None:
    """No metadata of theirs is at hand; what a name of theirs can be is known from 9."""
    known = names(real_metadata, "stream9-baseos-2022-02") | IN_APPSTREAM_9
    for name in ("8-stream", "10-stream"):
        facts = release(name).arch["x86_64"]
        assert {*facts.always, *facts.may} <= known


@pytest.mark.parametrize("name", IDS[1:])
def test_architectures_differ_in_loaders_and_in_what_was_not_seen(name: str) -> None:
    x86, arm = (release(name).arch[arch] for arch in ("x86_64", "aarch64"))
    loaders = {"grub2-efi-x64", "shim-x64"} | ({"grub2-pc"} if name != "7" else set())
    assert set(x86.always) - set(arm.always) == loaders
    assert set(arm.always) - set(x86.always) == {"grub2-efi-aa64", "shim-aa64"} | (
        {"grub2-efi-aa64-cdboot"} if name == "10-stream" else set()
    )
    assert set(arm.may) < set(x86.may)


@pytest.mark.parametrize("name", IDS)
def test_lists_of_packages_are_in_order(name: str) -> None:
    for facts in release(name).arch.values():
        both = [*facts.always, *facts.may]
        assert len(set(both)) == len(both)
        assert [list(facts.always), list(facts.may)] == [sorted(facts.always), sorted(facts.may)]


def test_rest_of_release_7_is_in_its_comps(real_metadata: Path) -> None:
    root = ET.parse(real_metadata / "comps/centos-7.xml").getroot()
    known = {element.text for element in root.iter("packagereq")}
    assert NOT_IN_MINIMAL_7 - known == {"kernel-devel"}


@pytest.mark.parametrize(
    ("name", "repository"), [("7", "centos7-minimal-2023-09"), ("9-stream", "stream9-baseos-2022-02")]
)
def test_files_of_packages_are_there(real_metadata: Path, name: str, repository: str) -> None:
    """An installed system's loaders lie where its packages put them, and these are packages that it gets."""
    facts = release(name).arch["x86_64"]
    found = owners(real_metadata, repository, {f"/boot/efi{path}" for path in facts.boot.efi.local_loaders})
    assert all(packages & set(facts.always) for packages in found.values()), found


@pytest.mark.parametrize("name", ["9-stream", "10-stream"])
def test_boot_code_is_in_its_package(real_metadata: Path, name: str) -> None:
    """The packages of 10 have the layout of those of 9, whose metadata this is."""
    bios = release(name).arch["x86_64"].boot.bios
    assert bios is not None
    assert bios.mbr.package in owners(real_metadata, "stream9-baseos-2022-02", {bios.mbr.file})[bios.mbr.file]


@pytest.mark.parametrize("name", IDS)
def test_pins_are_those_of_the_keys(real_metadata: Path, name: str, tmp_path: Path) -> None:
    """Each key's address ends in the name by which CentOS publishes it; the pins are what GnuPG reads in such files."""
    for one in repositories(release(name)):
        files = [real_metadata / "keys" / PurePosixPath(urlsplit(url).path).name for url in one.gpgkey]
        assert {pin for file in files for pin in primary_fingerprints(file, tmp_path)} == set(one.fingerprint)


def primary_fingerprints(key: Path, home: Path) -> list[str]:
    command = ["gpg", "--homedir", str(home), "--batch", "--with-colons", "--show-keys", str(key)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return re.findall(r"^pub:.*\nfpr:+([0-9A-F]{40}):", said, re.MULTILINE)


def test_wizard_has_a_python_of_3_6_or_later_everywhere() -> None:
    interpreters = {name: (release(name).wizard.python, release(name).wizard.package) for name in IDS}
    assert interpreters["6"] == ("/opt/rh/rh-python36/root/usr/bin/python3", "rh-python36-python")
    assert interpreters["8-stream"] == ("/usr/libexec/platform-python", "platform-python")
    assert {interpreters[name] for name in ("7", "9-stream", "10-stream")} == {("/usr/bin/python3", "python3")}
    assert "sclo" in {one.id for one in release("6").repository}
