"""Signatures of EFI programs: sbsign, osslsigncode, Microsoft and Debian made them, sbverify is asked as well."""

import hashlib
import random
import struct
import subprocess
from pathlib import Path

import pytest

from isobuilder.verify.authenticode import Signature, signatures
from isobuilder.verify.pe import parse_pe
from tests.isotree import grub_image
from tests.stock_media import SHIM

SIGNED = [*SHIM.values(), Path("/usr/lib/shim/fbx64.efi.signed")]


def read(data: bytes) -> tuple[Signature, ...]:
    return signatures(data, parse_pe(data))


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and its certificate, made for this run."""
    folder = tmp_path_factory.mktemp("key")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate),
            *("-subj", "/O=Somebody/CN=Signer of tests", "-days", "2"),
        ],
        check=True,
        capture_output=True,
    )
    return key, certificate


@pytest.fixture(scope="module")
def signed(key: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("signed")
    grub_image(folder / "grub.efi", "-O", "x86_64-efi", "-p", "/EFI/BOOT", "fat")
    subprocess.run(
        ["sbsign", "--key", key[0], "--cert", key[1], "--output", folder / "signed.efi", folder / "grub.efi"],
        check=True,
        capture_output=True,
    )
    return (folder / "signed.efi").read_bytes()


@pytest.mark.parametrize("path", SIGNED, ids=lambda path: path.name)
def test_what_others_signed_holds_and_names_whom_sbverify_names(path: Path) -> None:
    found = read(path.read_bytes())
    assert [signature.fault for signature in found] == [None] * len(found) != []
    listed = subprocess.run(["sbverify", "--list", path], check=True, capture_output=True, text=True).stdout
    for signature in found:
        common_name = signature.issuer.partition(",")[0]
        assert common_name.startswith("CN=")
        assert f"{common_name}\n" in listed
    assert len(found) == listed.count("image signature issuers")


def test_what_sbsign_signs_holds(signed: bytes) -> None:
    assert read(signed) == (Signature("CN=Signer of tests,O=Somebody", "CN=Signer of tests,O=Somebody"),)


def test_unsigned_is_no_signature() -> None:
    assert read(Path("/usr/lib/shim/shimx64.efi").read_bytes()) == ()


@pytest.mark.parametrize("place", ["first section", "last byte", "header"])
def test_another_byte_is_another_program(place: str, signed: bytes) -> None:
    pe = parse_pe(signed)
    at = {"first section": pe.sections[0].place + 99, "last byte": pe.certificates[0] - 1, "header": 2}[place]
    changed = bytearray(signed)
    changed[at] ^= 1
    [signature] = read(bytes(changed))
    assert "its digest is another" in str(signature.fault)


def test_the_checksum_may_change_without_harm(signed: bytes) -> None:
    changed = bytearray(signed)
    struct.pack_into("<I", changed, parse_pe(signed).checksum_at, 0x12345678)
    assert read(bytes(changed)) == read(signed)


def test_a_signature_of_another_key_does_not_hold(signed: bytes) -> None:
    changed = bytearray(signed)
    place, _ = parse_pe(signed).certificates
    (length,) = struct.unpack_from("<I", signed, place)
    # The signature proper is the last of the structure (RFC 5652, 5.3), up to what fills it up to eight bytes.
    end = len(signed[: place + length].rstrip(b"\0")) - 10
    changed[end] ^= 1
    [signature] = read(bytes(changed))
    assert signature.fault == "it was not made by the key of its certificate"


def test_the_digest_itself_is_signed(signed: bytes) -> None:
    """A program with another byte, and with its own digest in place of the one that was signed."""
    pe = parse_pe(signed)
    assert pe.directory_at is not None
    end = pe.certificates[0]
    changed = bytearray(signed)
    changed[end - 1] ^= 1
    old, new = (sha256_without(bytes(data), pe.checksum_at, pe.directory_at, end) for data in (signed, changed))
    assert signed.count(old) == 1
    [signature] = read(bytes(changed).replace(old, new))
    assert signature.fault == "its digest is not the one that was signed"


def sha256_without(data: bytes, checksum_at: int, directory_at: int, end: int) -> bytes:
    hashed = data[:checksum_at] + data[checksum_at + 4 : directory_at] + data[directory_at + 8 : end]
    return hashlib.sha256(hashed).digest()


def test_a_table_that_is_no_signature_is_a_fault(signed: bytes) -> None:
    place, size = parse_pe(signed).certificates
    changed = signed[: place + 8] + b"\x30\x80" * (size // 2 - 4)
    [signature] = read(changed)
    assert "cannot be read" in str(signature.fault)


def test_a_shorter_program_is_refused(signed: bytes) -> None:
    with pytest.raises(ValueError, match="and it has"):
        parse_pe(signed[:-200])
    with pytest.raises(ValueError, match="no PE image"):
        parse_pe(signed[:70])


def test_damage_of_any_kind_ends_in_a_fault_or_is_refused(signed: bytes) -> None:
    place, size = parse_pe(signed).certificates
    for seed in range(1500):
        dice = random.Random(seed)
        changed = bytearray(signed)
        for _ in range(dice.choice((1, 1, 3))):
            at = dice.choice((dice.randrange(place, place + size), dice.randrange(600)))
            changed[at] = dice.choice((0, 0xFF, 0x30, 0x80, 0xA0, dice.randrange(256)))
        try:
            pe = parse_pe(bytes(changed))
        except ValueError:
            continue
        signatures(bytes(changed), pe)
