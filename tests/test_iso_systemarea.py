"""The partition tables, held against sgdisk. How firmware takes them is the boot tests' business."""

import struct
import subprocess
from pathlib import Path

import pytest

from isobuilder.errors import MediumError
from isobuilder.iso.systemarea import BACKUP_SIZE, Places, check_code, system_area
from isobuilder.tree import Isolinux

CODE = bytes(range(1, 217)) * 2
ISOLINUX = Isolinux("bios", "efi", CODE)
PLACES = Places(bios=1000, efi=50, efi_blocks=700, blocks=512 * 3)


def image(places: Places, identity: str = "test") -> bytearray:
    head, tail = system_area(ISOLINUX, places, identity)
    whole = bytearray(places.blocks * 2048)
    whole[: len(head)] = head
    whole[len(whole) - len(tail) :] = tail
    return whole


def protected(whole: bytearray) -> bytearray:
    """The same with a protective MBR, so that sgdisk judges the GPT and not the hybrid."""
    protective = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, len(whole) // 512 - 1)
    return whole[:446] + protective.ljust(64, b"\0") + whole[510:]


def sgdisk(option: str, whole: bytearray, folder: Path) -> str:
    (folder / "disk").write_bytes(whole)
    return subprocess.run(
        ["sgdisk", *option.split(), folder / "disk"], check=True, capture_output=True, text=True
    ).stdout


def test_the_gpt_by_itself_is_without_fault(tmp_path: Path) -> None:
    whole = protected(image(PLACES))
    verified, listed = sgdisk("-v", whole, tmp_path), sgdisk("-i 2", whole, tmp_path)
    assert "No problems found" in verified
    assert "Caution" not in verified
    assert "C12A7328-F81F-11D2-BA4B-00A0C93EC93B (EFI system partition)" in listed
    assert "First sector: 200 " in listed
    assert "Last sector: 2999 " in listed


def test_the_backup_stands_in_for_a_lost_primary(tmp_path: Path) -> None:
    whole = protected(image(PLACES))
    before = sgdisk("-i 2", whole, tmp_path)
    whole[512 : 34 * 512] = bytes(33 * 512)
    after = sgdisk("-i 2", whole, tmp_path)
    assert before.startswith("Partition GUID code")
    assert after.endswith(before)


def test_the_mbr_says_where_the_bios_image_and_the_efi_image_are() -> None:
    head, _ = system_area(ISOLINUX, PLACES, "test")
    assert head[:432] == CODE
    assert struct.unpack_from("<Q", head, 432) == (4000,)
    active, efi, third, fourth = struct.iter_unpack("<B3sB3sII", head[446:510])
    assert active == (0x80, b"\0\1\0", 0, bytes([63, 32, 2]), 0, 6144)
    assert efi == (0, b"\xfe\xff\xff", 0xEF, b"\xfe\xff\xff", 200, 2800)
    assert third == fourth == (0, bytes(3), 0, bytes(3), 0, 0)
    assert head[510:512] == b"\x55\xaa"


def test_the_area_fits_in_front_of_the_file_system_and_the_backup_at_the_end() -> None:
    head, tail = system_area(ISOLINUX, PLACES, "test")
    assert len(head) <= 16 * 2048
    assert len(tail) == BACKUP_SIZE


def test_a_medium_beyond_what_cylinders_can_say_ends_at_the_last_cylinder() -> None:
    head, _ = system_area(ISOLINUX, Places(bios=1000, efi=50, efi_blocks=700, blocks=512 * 4000), "test")
    assert head[446 + 5 : 446 + 8] == bytes([63, 32 | 0xC0, 0xFF])
    assert struct.unpack_from("<I", head, 446 + 12) == (4000 * 2048,)


def test_ids_come_from_the_identity_alone() -> None:
    assert image(PLACES) == image(PLACES)
    one, other = image(PLACES, "one"), image(PLACES, "other")
    assert one[440:444] != other[440:444]
    assert one[512 + 56 : 512 + 72] != other[512 + 56 : 512 + 72]
    assert one[1024 + 16 : 1024 + 32] != other[1024 + 16 : 1024 + 32]


@pytest.mark.parametrize("code", [b"", bytes(433), bytes(512)])
def test_code_that_does_not_fit_is_refused(code: bytes) -> None:
    with pytest.raises(MediumError, match="432"):
        check_code(Isolinux("bios", "efi", code))
