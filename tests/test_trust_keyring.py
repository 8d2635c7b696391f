"""Keys and detached signatures made by GnuPG; what we accept, its verifier accepts."""

import base64
import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isobuilder.errors import TrustError
from isobuilder.trust.openpgp import UnsupportedError, packets, parse_key
from isobuilder.trust.signatures import Keyring, pinned_in
from tests.openpgp_keys import Keyhome, gpgv_accepts, new_keyhome

DATA = b"<repomd/>\n"
ALGORITHMS = ("rsa2048", "dsa1024", "dsa2048", "ed25519")

# Fingerprints as GnuPG 2.2 says them.
REAL_KEYS = {
    "RPM-GPG-KEY-CentOS-6": "C1DAC52D1664E8A4386DBA430946FCA2C105B9DE",
    "RPM-GPG-KEY-CentOS-7": "6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5",
    "RPM-GPG-KEY-CentOS-7-aarch64": "EF8F3CA66EFDF32B36CDADF76C7CB6EF305D49D6",
    "RPM-GPG-KEY-CentOS-8": "99DB70FAE1D7CE227FB6488205B555B38483C65D",
    "RPM-GPG-KEY-CentOS-9": "99DB70FAE1D7CE227FB6488205B555B38483C65D",
    "RPM-GPG-KEY-CentOS-10": "99DB70FAE1D7CE227FB6488205B555B38483C65D",
    "RPM-GPG-KEY-CentOS-Official": "99DB70FAE1D7CE227FB6488205B555B38483C65D",
    "RPM-GPG-KEY-CentOS-Official-SHA256": "99DB70FAE1D7CE227FB6488205B555B38483C65D",
    "RPM-GPG-KEY-CentOS-SIG-SCLo": "C4DBD535B1FBBA14F8BA64A84EB84E71F2EE9D55",
    "RPM-GPG-KEY-CentOS-SIG-Virtualization": "A7C8E761309D2F1C92C50B627AEBBE8261E8806C",
    "RPM-GPG-KEY-CentOS-SIG-Extras": "363FC0972F64B699AED3968E1FF6A2171D997668",
    "RPM-GPG-KEY-CentOS-SIG-Extras-SHA512": "363FC0972F64B699AED3968E1FF6A2171D997668",
    "RPM-GPG-KEY-EPEL-6": "8C3BE96AF2309184DA5C0DAE3B49DF2A0608B895",
    "RPM-GPG-KEY-EPEL-7": "91E97D7C4A5E96F17F3E888F6A2FAEA2352C64E5",
    "RPM-GPG-KEY-EPEL-8": "94E279EB8D8F25B21810ADF121EA45AB2F86D6A1",
    "RPM-GPG-KEY-EPEL-9": "FF8AD1344597106ECE813B918A3872BF3228467C",
    "RPM-GPG-KEY-EPEL-10": "7D8D15CBFC4E62688591FB2633D98517E37ED158",
}


@pytest.fixture(scope="module")
def home() -> Iterator[Keyhome]:
    with new_keyhome() as home:
        yield home


@pytest.fixture(scope="module")
def keys(home: Keyhome) -> dict[str, str]:
    """A key of each algorithm; the RSA one is known to GnuPG 1.4 too."""
    keys = {algorithm: home.new_key(algorithm, f"key {algorithm}") for algorithm in ALGORITHMS}
    home.share_with_gpg1(keys["rsa2048"])
    return keys


def ring(home: Keyhome, *fingerprints: str, sha1: bool = False) -> Keyring:
    return Keyring.from_files([home.public(fingerprint) for fingerprint in fingerprints], fingerprints, sha1=sha1)


def refusal(keyring: Keyring, signature: bytes, data: bytes = DATA) -> str:
    with pytest.raises(TrustError) as caught:
        keyring.verify(data, signature)
    return " ".join([caught.value.message, *caught.value.details])


def block(packets: list[tuple[int, bytes]]) -> bytes:
    """Packets as a binary block, with lengths of four bytes."""
    return b"".join(bytes([0xC0 | kind, 0xFF]) + len(body).to_bytes(4, "big") + body for kind, body in packets)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("armor", [True, False])
def test_a_signature_is_verified(home: Keyhome, keys: dict[str, str], algorithm: str, *, armor: bool) -> None:
    fingerprint = keys[algorithm]
    keyring = Keyring.from_files([home.public(fingerprint, armor=armor)], [fingerprint])
    signature = home.sign(fingerprint, DATA, *(["--armor"] if armor else []))
    assert keyring.verify(DATA, signature) == fingerprint
    assert "not of these bytes" in refusal(keyring, signature, DATA + b" ")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_with_one_bit_changed_is_refused(
    home: Keyhome, keys: dict[str, str], algorithm: str, tmp_path: Path
) -> None:
    """In parts that it does not sign, too: the key id, and the counts of bits."""
    keyring = ring(home, keys[algorithm])
    good = home.sign(keys[algorithm], DATA)
    assert keyring.verify(DATA, good) == keys[algorithm]
    assert gpgv_accepts(home.public(keys[algorithm], armor=False), DATA, good, tmp_path)
    for at, bit in itertools.product(range(len(good)), range(8)):
        refusal(keyring, good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :])


def test_a_signature_of_version_3_is_verified(home: Keyhome, keys: dict[str, str], tmp_path: Path) -> None:
    signature = home.sign_v3(keys["rsa2048"], DATA)
    assert signature[3] == 3
    assert ring(home, keys["rsa2048"]).verify(DATA, signature) == keys["rsa2048"]
    assert gpgv_accepts(home.public(keys["rsa2048"], armor=False), DATA, signature, tmp_path)
    for at in range(4, len(signature)):
        bad = signature[:at] + bytes([signature[at] ^ 0x80]) + signature[at + 1 :]
        refusal(ring(home, keys["rsa2048"]), bad)


def test_only_pinned_keys_count(home: Keyhome, keys: dict[str, str]) -> None:
    both = home.public(keys["rsa2048"], keys["ed25519"])
    keyring = Keyring.from_files([both], [keys["rsa2048"]])
    assert keyring.verify(DATA, home.sign(keys["rsa2048"], DATA)) == keys["rsa2048"]
    signature = home.sign(keys["ed25519"], DATA)
    assert f"signed by {keys['ed25519']}, which is not pinned" in refusal(keyring, signature)
    # Where several have signed, one that is pinned is enough, and it is the one that is named.
    assert keyring.verify(DATA, signature + home.sign(keys["rsa2048"], DATA)) == keys["rsa2048"]


def test_all_pins_that_fail_are_told(home: Keyhome, keys: dict[str, str]) -> None:
    files = [home.public(keys["rsa2048"]), home.public(keys["ed25519"]), b"<html>Not found</html>"]
    with pytest.raises(TrustError, match="not the one that was pinned") as caught:
        Keyring.from_files(files, ["A" * 40, keys["ed25519"], "B" * 40])
    assert [line[:40] for line in caught.value.details] == ["A" * 40, "B" * 40]
    for line in caught.value.details:
        assert f"has {keys['rsa2048']}" in line
        assert "neither armored nor binary" in line


@pytest.mark.parametrize("surplus", ["rsa2048", None])
def test_a_key_file_that_nobody_asked_for_is_refused(home: Keyhome, keys: dict[str, str], surplus: str | None) -> None:
    """It would lie on the medium as a key to import."""
    file = home.public(keys[surplus]) if surplus else b"<html>Not found</html>"
    with pytest.raises(TrustError) as caught:
        Keyring.from_files([home.public(keys["ed25519"]), file], [keys["ed25519"]])
    assert len(caught.value.details) == 1
    assert "a key file has none of the pinned keys" in caught.value.details[0]


def test_what_a_key_file_has_of_the_pinned_keys(home: Keyhome, keys: dict[str, str]) -> None:
    both = home.public(keys["rsa2048"], keys["ed25519"])
    assert pinned_in(both, [keys["ed25519"], "A" * 40]) == (keys["ed25519"],)
    assert pinned_in(b"<html>", [keys["ed25519"]]) == ()


def test_data_signed_over_sha1_is_refused(home: Keyhome, keys: dict[str, str]) -> None:
    signature = home.sign(keys["rsa2048"], DATA, "--digest-algo", "SHA1")
    assert "over SHA-1" in refusal(ring(home, keys["rsa2048"]), signature)


@pytest.mark.parametrize("algorithm", ["rsa2048", "dsa1024"])
def test_data_signed_over_sha1_is_accepted_where_that_was_said(
    home: Keyhome, keys: dict[str, str], algorithm: str
) -> None:
    keyring = ring(home, keys[algorithm], sha1=True)
    signature = home.sign(keys[algorithm], DATA, "--digest-algo", "SHA1")
    assert keyring.verify(DATA, signature) == keys[algorithm]
    assert "not of these bytes" in refusal(keyring, signature, DATA + b" ")


@pytest.mark.parametrize("digest", ["MD5", "RIPEMD160"])
def test_broken_hashes_are_refused(home: Keyhome, keys: dict[str, str], digest: str) -> None:
    signature = home.sign_v3(keys["rsa2048"], DATA, "--digest-algo", digest)
    for sha1 in (False, True):
        assert "hash algorithm" in refusal(ring(home, keys["rsa2048"], sha1=sha1), signature)


def test_other_kinds_of_signatures_are_refused(home: Keyhome, keys: dict[str, str]) -> None:
    keyring = ring(home, keys["rsa2048"])
    text = home.sign(keys["rsa2048"], DATA, "--textmode")
    assert "type 0x01" in refusal(keyring, text)
    expiring = home.sign(keys["rsa2048"], DATA, "--default-sig-expire", "7d")
    assert "meant to expire" in refusal(keyring, expiring)
    noted = home.sign(keys["rsa2048"], DATA, "--sig-notation", "!policy@example.org=strange")
    assert "critical part of type 20" in refusal(keyring, noted)
    [(kind, body)] = packets(home.sign(keys["rsa2048"], DATA))
    assert "bytes after the end" in refusal(keyring, block([(kind, body + b"\0")]))
    harmless = home.sign(keys["rsa2048"], DATA, "--sig-notation", "remark@example.org=fine")
    assert keyring.verify(DATA, harmless) == keys["rsa2048"]


@pytest.fixture(scope="module")
def family(home: Keyhome) -> tuple[str, str]:
    """A primary key that certifies only, and its signing subkey."""
    primary = home.new_key("rsa2048", "family", usage="cert")
    home.gpg("--passphrase", "", "--quick-add-key", primary, "rsa2048", "sign")
    home.gpg("--passphrase", "", "--quick-add-key", primary, "rsa2048", "encr")
    return primary, home.fingerprints("family")[1]


def test_a_subkey_signs_for_its_primary_key(home: Keyhome, family: tuple[str, str], tmp_path: Path) -> None:
    primary, subkey = family
    signature = home.sign(subkey, DATA)
    assert ring(home, primary).verify(DATA, signature) == primary
    assert gpgv_accepts(home.public(primary, armor=False), DATA, signature, tmp_path)
    with pytest.raises(TrustError):
        Keyring.from_files([home.public(primary)], [subkey])


def test_a_subkey_must_be_bound_both_ways(home: Keyhome, keys: dict[str, str], family: tuple[str, str]) -> None:
    primary, subkey = family
    signature = home.sign(subkey, DATA)
    whole = list(packets(home.public(primary, armor=False)))
    at = next(i for i, (kind, _) in enumerate(whole) if kind == 14)
    key, binding = whole[at : at + 2]
    # Stripped of its binding, and with a binding whose back-signature (type 0x19, in the unhashed part) is spoilt.
    stripped = [*whole[: at + 1], *whole[at + 2 :]]
    back = binding[1].index(b"\x04\x19")
    spoilt = [*whole[:at], key, (2, binding[1][: back + 1] + b"\x18" + binding[1][back + 2 :]), *whole[at + 2 :]]
    for tampered in (stripped, spoilt):
        try:
            keyring = Keyring.from_files([block(tampered)], [primary])
        except TrustError:
            continue
        assert "not pinned" in refusal(keyring, signature)
    # Adopted by another primary key, whose owner wants to be taken for the signer.
    adopted = [*packets(home.public(keys["rsa2048"], armor=False)), key, binding]
    keyring = Keyring.from_files([block(adopted)], [keys["rsa2048"]])
    assert "not pinned" in refusal(keyring, signature)
    assert Keyring.from_files([block(whole)], [primary]).verify(DATA, signature) == primary


def test_a_key_must_be_signed_by_itself(home: Keyhome, keys: dict[str, str]) -> None:
    [key, user, (_, own)] = packets(home.public(keys["rsa2048"], armor=False))
    other = next(body for kind, body in packets(home.public(keys["ed25519"], armor=False)) if kind == 2)
    for signatures in ([], [(2, other)], [(2, own[:-1] + bytes([own[-1] ^ 1]))]):
        with pytest.raises(TrustError) as caught:
            Keyring.from_files([block([key, user, *signatures])], [keys["rsa2048"]])
        assert "not signed by itself" in caught.value.details[0]


def test_an_expired_key_vouches_for_what_it_signed_before(home: Keyhome) -> None:
    key = home.new_key("rsa2048", "expires", at="20100101T000000!")
    before = home.sign(key, DATA, at="20110101T000000!")
    after = home.sign(key, DATA, at="20140101T000000!")
    home.gpg("--quick-set-expire", key, "20120101T000000", at="20110601T000000!")
    keyring = ring(home, key)
    assert keyring.verify(DATA, before) == key
    assert "expired before the signature was made" in refusal(keyring, after)


def test_a_signature_older_than_its_key_is_refused(home: Keyhome) -> None:
    key = home.new_key("rsa2048", "young", at="20150101T000000!")
    signature = home.sign(key, DATA, "--ignore-time-conflict", at="20140101T000000!")
    assert "older than the key" in refusal(ring(home, key), signature)


@pytest.mark.parametrize(("reason", "past_stands"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_revoked_key(home: Keyhome, reason: int, *, past_stands: bool) -> None:
    key = home.new_key("ed25519", f"revoked for {reason}", at="20100101T000000!")
    before = home.sign(key, DATA, at="20110101T000000!")
    after = home.sign(key, DATA, at="20140101T000000!")
    certificate = subprocess.run(
        ["gpg", "--homedir", home.path, "--no-tty", "--faked-system-time", "20120101T000000!", "--command-fd", "0",
         "--status-fd", "2", "--armor", "--gen-revoke", key],
        input=f"y\n{reason}\n\ny\n".encode(), check=True, capture_output=True, timeout=60,
    ).stdout  # fmt: skip
    home.gpg("--import", data=certificate)
    keyring = ring(home, key)
    assert "was revoked" in refusal(keyring, after)
    if past_stands:
        assert keyring.verify(DATA, before) == key
    else:
        assert "was revoked" in refusal(keyring, before)


def test_weak_and_foreign_keys_are_refused() -> None:
    def rsa(bits: int) -> bytes:
        return b"\x04" + bytes(4) + b"\x01" + bits.to_bytes(2, "big") + b"\xff" * (bits // 8) + b"\x00\x11\x01\x00\x01"

    for body, reason in (
        (rsa(512), "RSA of 512 bits"),
        (rsa(32768), "RSA of 32768 bits"),
        (b"\x06" + bytes(9), "version 6"),
        (b"\x03" + bytes(9), "version 3"),
        (b"\x04" + bytes(4) + b"\x13" + bytes(9), "algorithm 19"),
    ):
        with pytest.raises(UnsupportedError, match=reason):
            parse_key(body)
    assert parse_key(rsa(2048)).created == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"This is a key.\n\n" + text,
        lambda text: text.replace(b"KEY BLOCK-----\n\n", b"KEY BLOCK-----\nVersion: 1\nComment: a: b\n\n"),
        lambda text: re.sub(rb"\n=....\n", b"\n", text),
        lambda text: text.rstrip(b"\n"),
    ],
    ids=["crlf", "text before", "headers", "no checksum", "no last newline"],
)
def test_armor_as_it_comes(home: Keyhome, keys: dict[str, str], change: "type[bytes]") -> None:
    armored = change(home.public(keys["rsa2048"]))
    two = armored + b"\n" + home.public(keys["ed25519"])
    keyring = Keyring.from_files([two], [keys["rsa2048"], keys["ed25519"]])
    for algorithm in ("rsa2048", "ed25519"):
        assert keyring.verify(DATA, home.sign(keys[algorithm], DATA)) == keys[algorithm]


@settings(max_examples=300)
@given(data=st.data())
def test_nothing_but_trust_errors_comes_of_damage(
    home: Keyhome, keys: dict[str, str], family: tuple[str, str], data: st.DataObject
) -> None:
    public = home.public(family[0], armor=False)
    at = data.draw(st.integers(0, len(public)))
    bad = public[:at] + data.draw(st.binary(max_size=16)) + public[data.draw(st.integers(at, len(public))) :]
    if data.draw(st.booleans()):
        kind = b"PGP PUBLIC KEY BLOCK-----\n"
        bad = b"-----BEGIN " + kind + b"\n" + base64.b64encode(bad) + b"\n-----END " + kind
    try:
        Keyring.from_files([bad], [family[0]]).verify(DATA, data.draw(st.binary(max_size=400)))
    except TrustError:
        return
    raise AssertionError


def test_real_keys_are_read(real_metadata: Path) -> None:
    for name, fingerprint in REAL_KEYS.items():
        Keyring.from_files([(real_metadata / "keys" / name).read_bytes()], [fingerprint])


def test_real_keys_that_cannot_be_read_are_refused(real_metadata: Path) -> None:
    unread = (real_metadata / "keys" / "RPM-GPG-KEY-CentOS-9-PQC").read_bytes()
    with pytest.raises(TrustError) as caught:
        Keyring.from_files([unread], ["A" * 64])
    assert "a key of version 6" in caught.value.details[0]
    readable = (real_metadata / "keys" / "RPM-GPG-KEY-CentOS-9").read_bytes()
    Keyring.from_files([unread + b"\n" + readable], [REAL_KEYS["RPM-GPG-KEY-CentOS-9"]])
    with pytest.raises(TrustError):
        Keyring.from_files([(real_metadata / "keys" / "RPM-GPG-KEY-EPEL-10-IMA").read_bytes()], ["A" * 40])
