"""The kinds of media besides isolinux's: GRUB on BIOS as CentOS 10 has it, and UEFI alone. xorriso made the models."""

import dataclasses
import re
import struct
import subprocess
from pathlib import Path

import pytest

from isobuilder.boot.firmware import Firmware
from isobuilder.boot.hardware import Medium
from isobuilder.boot.vm import Machine, VirtualMachine
from isobuilder.errors import MediumError
from isobuilder.iso.reader import read_file
from isobuilder.iso.writer import Written
from isobuilder.tree import GrubBios, Inline, Tree
from tests.isotree import BOOT_HYBRID, contents, efi_image, grub_tree, uefi_tree, with_files, write

BLOCK = 2048


@dataclasses.dataclass(frozen=True)
class Made:
    """A medium of ours, what it was made from, and xorriso's of the same files, made as lorax makes it."""

    tree: Tree
    written: Written
    model: Path

    @property
    def image(self) -> bytes:
        return self.written.path.read_bytes()


def run(*command: str | Path) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def report(image: Path) -> str:
    return run("xorriso", "-indev", image, "-report_el_torito", "plain", "-report_system_area", "plain")


def unpacked(tree: Tree, folder: Path) -> Path:
    for path, data in contents(tree).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def grub(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("grub")
    (folder / "cache").mkdir()
    tree = grub_tree(folder / "cache")
    assert isinstance(tree.boot, GrubBios)
    (folder / "esp").write_bytes(tree.boot.efi.data)
    run(
        *("xorriso", "-as", "mkisofs", "-o", folder / "model.iso", "-R", "-J", "-V", "MODEL"),
        *("--grub2-mbr", BOOT_HYBRID, "-partition_offset", "16", "-appended_part_as_gpt"),
        *("-append_partition", "2", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", folder / "esp"),
        *("-iso_mbr_part_type", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "-c", "boot.cat", "--boot-catalog-hide"),
        *("-b", "images/eltorito.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"),
        *("--grub2-boot-info", "-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot"),
        unpacked(tree, folder / "tree"),
    )
    return Made(tree, write(tree, folder / "grub.iso"), folder / "model.iso")


@pytest.fixture(scope="module")
def uefi(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("uefi")
    (folder / "cache").mkdir()
    tree = uefi_tree(folder / "cache")
    run(
        *("xorriso", "-as", "mkisofs", "-o", folder / "model.iso", "-R", "-J", "-V", "MODEL", "-c", "boot.cat"),
        *("-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot", unpacked(tree, folder / "tree")),
    )
    return Made(tree, write(tree, folder / "uefi.iso"), folder / "model.iso")


@pytest.fixture(params=["grub", "uefi"])
def made(request: pytest.FixtureRequest) -> Made:
    found: Made = request.getfixturevalue(request.param)
    return found


def catalog(image: bytes) -> bytearray:
    """The boot catalog with the places of images taken out: they are each maker's own."""
    block = struct.unpack_from("<I", image, 17 * BLOCK + 71)[0]
    found = bytearray(image[block * BLOCK : (block + 1) * BLOCK])
    for entry in range(0, BLOCK, 32):
        if found[entry] == 0x88:
            found[entry + 8 : entry + 12] = bytes(4)
    return found


def test_the_boot_catalog_is_as_xorriso_writes_it(made: Made) -> None:
    assert catalog(made.image) == catalog(made.model.read_bytes())


def test_tools_find_no_fault(made: Made) -> None:
    run("checkisomd5", made.written.path)
    # sgdisk has no status 0 for a GPT behind an MBR that does not protect it, which is the kind for UEFI alone.
    verified = subprocess.run(
        ["sgdisk", "-v", made.written.path], check=False, capture_output=True, text=True, input=""
    )
    assert verified.returncode == (0 if isinstance(made.tree.boot, GrubBios) else 2)
    assert "No problems found" in verified.stdout
    assert not re.search("Problem|Caution|Warning", verified.stdout)


def test_every_file_reads_back_and_no_other(made: Made, tmp_path: Path) -> None:
    run("bsdtar", "-x", "-f", made.written.path, "-C", tmp_path)
    found = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    wanted = contents(made.tree)
    assert found.keys() - wanted.keys() == {"boot.cat"}
    for path, data in wanted.items():
        if path == "images/eltorito.img":
            told = {*range(8, 24), *range(2548, 2556)}
            assert [at for at in range(len(data)) if data[at] != found[path][at] and at not in told] == []
        else:
            assert found[path] == data, path


def test_xorriso_takes_the_medium_of_grub_for_its_own_kind(grub: Made) -> None:
    said, model = report(grub.written.path), report(grub.model)
    for line in (
        "El Torito img path :   1  /images/eltorito.img",
        "El Torito img opts :   1  boot-info-table grub2-boot-info",
        "System area options: 0x00004201",
        "System area summary: MBR protective-msdos-label grub2-mbr cyl-align-off GPT",
        "GPT type GUID      :   2  28732ac11ff8d211ba4b00a0c93ec93b",
    ):
        assert line in said.splitlines()
        assert line in model.splitlines()
    assert f"MBR partition      :   1   0x00  0xee            1 {grub.written.size // 512 - 1:>12}" in said


def test_the_efi_image_is_a_partition_and_no_file(grub: Made) -> None:
    assert isinstance(grub.tree.boot, GrubBios)
    said = report(grub.written.path)
    [place] = re.findall(r"boot img :   2  UEFI .* (\d+)$", said, re.MULTILINE)
    start = int(place) * BLOCK
    assert grub.image[start : start + grub.tree.boot.efi.size] == grub.tree.boot.efi.data
    assert start % (1 << 20) == 0
    [(first, sectors)] = re.findall(r"GPT start and size :   2  (\d+)  (\d+)$", said, re.MULTILINE)
    assert int(first) * 512 == start
    assert int(sectors) * 512 == grub.tree.boot.efi.size
    assert "img path :   2" not in said
    assert grub.written.size - (start + grub.tree.boot.efi.size) >= 150 * BLOCK


def boot_image(iso: Path) -> tuple[bytes, int]:
    """GRUB's boot image on a medium, and its block."""
    [block] = re.findall(r"boot img :   1  BIOS .* (\d+)$", report(iso), re.MULTILINE)
    return read_file(iso, "images/eltorito.img", limit=1 << 20), int(block)


def test_grub_is_told_its_place_as_xorriso_tells_it(grub: Made, tmp_path: Path) -> None:
    """xorriso's own image and boot record, with the one number in which they differ moved to where ours lies."""
    (ours, our_block), (theirs, their_block) = (boot_image(iso) for iso in (grub.written.path, grub.model))
    moved = (our_block - their_block) * 4
    words = struct.Struct("<Q")
    there = words.unpack_from(theirs, 2548)[0]
    assert words.unpack_from(ours, 2548)[0] == there + moved
    assert (ours[:12], ours[16:20], ours[24:2548], ours[2556:]) == (
        theirs[:12],
        theirs[16:20],
        theirs[24:2548],
        theirs[2556:],
    )
    assert struct.unpack_from("<I", ours, 12) == (our_block,)
    sums = [struct.unpack_from("<I", image, 20)[0] for image in (ours, theirs)]
    assert (sums[0] - sums[1] - moved) % (1 << 32) == 0
    record, model = grub.image[:440], grub.model.read_bytes()[:440]
    assert record[:432] == model[:432] == BOOT_HYBRID.read_bytes()[:432]
    assert words.unpack_from(record, 432)[0] == words.unpack_from(model, 432)[0] + moved


def test_a_medium_for_uefi_has_no_code_and_one_partition(uefi: Made) -> None:
    said = report(uefi.written.path)
    assert uefi.image[:440] == bytes(440)
    assert re.findall(r"^MBR partition  .*(0x\w\w)  (0x\w\w) ", said, re.MULTILINE) == [("0x00", "0xef")]
    assert "MBR partition path :   1  /images/efiboot.img" in said
    assert "GPT partition path :   2  /images/efiboot.img" in said


@pytest.mark.parametrize("code", [b"", bytes(512), BOOT_HYBRID.read_bytes()[:432], bytes(1024)])
def test_code_that_is_not_grubs_is_refused(grub: Made, code: bytes, tmp_path: Path) -> None:
    boot = GrubBios("images/eltorito.img", Inline(efi_image()), code)
    with pytest.raises(MediumError, match=r"boot_hybrid\.img"):
        write(dataclasses.replace(grub.tree, boot=boot), tmp_path / "x.iso")


def test_a_loader_too_short_to_be_grubs_is_refused(grub: Made, tmp_path: Path) -> None:
    with pytest.raises(MediumError, match="too short to be GRUB's"):
        write(with_files(grub.tree, {"images/eltorito.img": Inline(bytes(2556))}), tmp_path / "x.iso")
    assert not list(tmp_path.iterdir())


def test_the_same_tree_is_the_same_bits(made: Made, tmp_path: Path) -> None:
    assert write(made.tree, tmp_path / "again.iso").sha256 == made.written.sha256


@pytest.mark.vm
@pytest.mark.parametrize(
    ("kind", "firmware", "medium", "words"),
    [
        ("grub", "bios", "cdrom", r"BIOS from .*, medium \(cd\)"),
        ("grub", "bios", "usb", r"BIOS from .*, medium \(hd0\)"),
        ("grub", "uefi", "cdrom", r"UEFI, of the medium's own file from .*, medium \(cd0\)"),
        ("grub", "uefi", "usb", r"UEFI from \(hd0,gpt2\)/EFI/BOOT .*, medium \(hd0\)"),
        ("uefi", "uefi", "usb", r"UEFI, of the medium's own file from .*, medium \(cd0\)"),
    ],
)
def test_it_boots(
    request: pytest.FixtureRequest, kind: str, firmware: Firmware, medium: Medium, words: str, tmp_path: Path
) -> None:
    made: Made = request.getfixturevalue(kind)
    log = tmp_path / "console"
    with VirtualMachine(Machine(firmware, medium), made.written.path, accelerator="tcg", console_log=log) as machine:
        heard = machine.expect([re.compile("the medium is whole")], 120)
    said = log.read_text(encoding="utf-8", errors="replace")
    assert heard, said[-2000:]
    assert re.search(words, said), said[-2000:]
