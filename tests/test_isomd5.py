"""The media checksum, held against the tool that Anaconda's media check comes from."""

import random
import struct
import subprocess
from pathlib import Path

import pytest

from isobuilder.iso.mediasum import FIELD_OFFSET, FIELD_SIZE, SECTOR, MediaSum


def volume(sectors: int) -> bytearray:
    """Random bytes with just enough of a volume descriptor for isomd5sum to take them for a medium."""
    data = bytearray(random.Random(sectors).randbytes(sectors * SECTOR))
    data[16 * SECTOR : 16 * SECTOR + 8] = b"\1CD001\1\0"
    data[16 * SECTOR + 80 : 16 * SECTOR + 88] = struct.pack("<I", sectors) + struct.pack(">I", sectors)
    data[17 * SECTOR : 17 * SECTOR + 7] = b"\xffCD001\1"
    data[FIELD_OFFSET : FIELD_OFFSET + FIELD_SIZE] = b" " * FIELD_SIZE
    return data


@pytest.mark.parametrize("sectors", [512, 513, 527, 528, 1024, 1111, 1536, 2047, 4096])
def test_the_field_is_byte_for_byte_what_implantisomd5_writes(sectors: int, tmp_path: Path) -> None:
    data = volume(sectors)
    image = tmp_path / "volume.iso"
    image.write_bytes(data)
    subprocess.run(["implantisomd5", image], check=True, capture_output=True)
    implanted = image.read_bytes()[FIELD_OFFSET : FIELD_OFFSET + FIELD_SIZE]

    media = MediaSum(len(data))
    chance = random.Random(1)
    start = 0
    while start < len(data):
        end = start + chance.randrange(1, 100_000)
        media.update(data[start:end])
        start = end

    assert media.field() == implanted
    assert f"ISO MD5SUM = {media.hexdigest()};".encode() in implanted


def test_a_sum_of_half_a_volume_is_refused() -> None:
    media = MediaSum(1 << 20)
    media.update(bytes(1 << 19))
    with pytest.raises(ValueError, match="missing"):
        media.field()


@pytest.mark.parametrize("size", [0, 1 << 19, (1 << 20) + 1])
def test_a_volume_that_cannot_be_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="volume"):
        MediaSum(size)
