"""The media checksum, held against the tool that Anaconda's media check comes from."""

import random
import struct
import subprocess
from pathlib import Path

import pytest

from isobuilder.iso.mediasum import FIELD_OFFSET, FIELD_SIZE, MediaSum
from isobuilder.iso.units import BLOCK


def volume(blocks: int) -> bytearray:
    """Random bytes with just enough of a volume descriptor for isomd5sum to take them for a medium."""
    data = bytearray(random.Random(blocks).randbytes(blocks * BLOCK))
    data[16 * BLOCK : 16 * BLOCK + 8] = b"\1CD001\1\0"
    data[16 * BLOCK + 80 : 16 * BLOCK + 88] = struct.pack("<I", blocks) + struct.pack(">I", blocks)
    data[17 * BLOCK : 17 * BLOCK + 7] = b"\xffCD001\1"
    data[FIELD_OFFSET : FIELD_OFFSET + FIELD_SIZE] = b" " * FIELD_SIZE
    return data


@pytest.mark.parametrize("blocks", [512, 513, 527, 528, 1024, 1111, 1536, 2047, 4096])
def test_the_field_is_byte_for_byte_what_implantisomd5_writes(blocks: int, tmp_path: Path) -> None:
    data = volume(blocks)
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
