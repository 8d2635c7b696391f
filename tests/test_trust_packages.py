"""Packages signed by real tools, then changed in every byte; rpm itself is asked what it thinks of them."""

import base64
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isobuilder.errors import HostError, IsobuilderError, TrustError
from isobuilder.trust.packages import verify_digests, verify_package
from isobuilder.trust.signatures import Keyring, Signer
from tests.openpgp_keys import Keyhome, new_keyhome, sign_rpms
from tests.rpm_files import (
    NEVRA,
    header_at,
    make_rpm,
    payload_at,
    rename_tag,
    rpm_database,
    rpmbuild,
    rpmkeys_accepts,
    with_signatures,
)

KINDS = ("rsa", "rsa-v3", "ed25519", "dsa", "no-payload-digest")


SHAPE = """
Name: {name}
Version: 1.0
Release: 1
Epoch: 7
Summary: A shape
License: none
{head}
%description
%install
mkdir -p %{{buildroot}}/opt/shape/folder
echo one >%{{buildroot}}/opt/shape/one
ln %{{buildroot}}/opt/shape/one %{{buildroot}}/opt/shape/two
ln -s one %{{buildroot}}/opt/shape/link
head -c 100001 /dev/zero >%{{buildroot}}/opt/shape/zeros
%files
{files}
"""


@dataclass(frozen=True)
class Signed:
    """Packages by kind of signature, the keyring that has all their keys, and rpm's database with the same keys."""

    home: Keyhome
    packages: dict[str, Path]
    signers: dict[str, str]
    keyring: Keyring
    database: Path


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    folder = tmp_path_factory.mktemp("signed")
    unsigned = make_rpm(folder / "unsigned.rpm", {"/usr/share/tiny/file": b"What is installed.\n" * 20})
    with new_keyhome() as home:
        keys = {algorithm: home.new_key(algorithm, algorithm) for algorithm in ("rsa2048", "ed25519", "dsa2048")}
        home.share_with_gpg1(keys["rsa2048"])
        packages = {kind: Path(shutil.copy(unsigned, folder / f"{kind}.rpm")) for kind in KINDS}
        # As rpm 4.8 and 4.11 of CentOS 6 and 7 make them: 5999 is no tag of rpm's.
        packages["no-payload-digest"].write_bytes(rename_tag(unsigned.read_bytes(), 5092, 5999))
        sign_rpms(home, keys["rsa2048"], [packages["rsa"]])
        sign_rpms(home, keys["rsa2048"], [packages["rsa-v3"], packages["no-payload-digest"]], version=3)
        sign_rpms(home, keys["ed25519"], [packages["ed25519"]])
        sign_rpms(home, keys["dsa2048"], [packages["dsa"]])
        signers = dict.fromkeys(KINDS, keys["rsa2048"]) | {"ed25519": keys["ed25519"], "dsa": keys["dsa2048"]}
        keyring = Keyring.from_files([home.public(key) for key in keys.values()], [*keys.values()])
        database = rpm_database(tmp_path_factory.mktemp("rpmdb"), *(home.public(key) for key in keys.values()))
        yield Signed(home, packages | {"unsigned": unsigned}, signers, keyring, database)


def changed(package: bytes, at: int, mask: int) -> bytes:
    return package[:at] + bytes([package[at] ^ mask]) + package[at + 1 :]


def accepted(package: Path, keyring: Keyring) -> bool:
    try:
        verify_package(package, keyring)
    except TrustError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_package_is_accepted(signed: Signed, kind: str) -> None:
    package = signed.packages[kind]
    assert verify_package(package, signed.keyring, nevra=NEVRA).fingerprint == signed.signers[kind]
    verify_digests(package, nevra=NEVRA)
    assert rpmkeys_accepts(signed.database, [package]) == {package: True}


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_with_one_byte_changed_is_refused(signed: Signed, kind: str, tmp_path: Path) -> None:
    """Each byte in turn, of lead and signature header each bit. rpm judges the same files: we are never laxer."""
    good = signed.packages[kind].read_bytes()
    package = tmp_path / "changed.rpm"
    flipped = []
    for at in range(len(good)):
        flipped.append(tmp_path / f"{at}.rpm")
        flipped[-1].write_bytes(changed(good, at, 0x20))
        assert not accepted(flipped[-1], signed.keyring), at
        for mask in (0x01, 0x02, 0x04, 0x08, 0x10, 0x40, 0x80, 0xFF) if at < header_at(good) else ():
            package.write_bytes(changed(good, at, mask))
            assert not accepted(package, signed.keyring), (at, mask)
    theirs = rpmkeys_accepts(signed.database, flipped)
    assert not any(theirs[one] for one in flipped[header_at(good) :])


@pytest.mark.parametrize(
    ("name", "head", "files"),
    [
        ("shape", "", "/opt/shape"),
        ("a-name-so-long-that-the-lead-has-not-got-enough-room-for-all-of-its-letters", "", "/opt/shape"),
        ("everywhere", "BuildArch: noarch", "/opt/shape"),
        ("ghost", "", "%ghost /opt/shape/one\n/opt/shape/two\n%dir /opt/shape"),
        ("nothing", "", ""),
    ],
    ids=["files", "long name", "noarch", "ghost", "no files"],
)
@pytest.mark.parametrize("payload", ["w9.gzdio", "w2.xzdio", "w3.zstdio", "w.ufdio"])
def test_good_packages_of_all_shapes_are_accepted(
    signed: Signed, tmp_path: Path, name: str, head: str, files: str, payload: str
) -> None:
    package = rpmbuild(
        tmp_path / "shape.rpm",
        SHAPE.format(name=name, head=head, files=files),
        _binary_payload=payload,
        _unpackaged_files_terminate_build="0",
    )
    sign_rpms(signed.home, signed.signers["rsa"], [package])
    nevra = f"{name}-7:1.0-1.{'noarch' if head else platform.machine()}"
    assert verify_package(package, signed.keyring, nevra=nevra).fingerprint == signed.signers["rsa"]
    assert rpmkeys_accepts(signed.database, [package]) == {package: True}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_or_added_is_refused(signed: Signed, kind: str, tmp_path: Path) -> None:
    good = signed.packages[kind].read_bytes()
    package = tmp_path / "changed.rpm"
    for length in [*range(0, len(good), 37), len(good) - 1]:
        package.write_bytes(good[:length])
        assert not accepted(package, signed.keyring)
    package.write_bytes(good + b"\0")
    assert not accepted(package, signed.keyring)


@pytest.fixture(scope="module")
def old(signed: Signed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As packages of CentOS 6.3 to 6.10 are: no digest of the payload, and signatures of version 3 over SHA-1."""
    package = tmp_path_factory.mktemp("old") / "old.rpm"
    package.write_bytes(rename_tag(signed.packages["unsigned"].read_bytes(), 5092, 5999))
    sign_rpms(signed.home, signed.signers["rsa"], [package], version=3, digest="sha1")
    return package


def test_signatures_over_sha1_are_accepted_where_that_was_said(signed: Signed, old: Path, tmp_path: Path) -> None:
    """Each byte that is installed is flipped in turn, too."""
    with pytest.raises(TrustError) as caught:
        verify_package(old, signed.keyring, nevra=NEVRA)
    assert "over SHA-1" in caught.value.details[0]
    key = signed.signers["rsa"]
    keyring = Keyring.from_files([signed.home.public(key)], [key], sha1=True)
    assert verify_package(old, keyring, nevra=NEVRA) == Signer(key, key, "rsa", "sha1")
    assert rpmkeys_accepts(signed.database, [old]) == {old: True}
    good = old.read_bytes()
    package = tmp_path / "flipped.rpm"
    for at in range(header_at(good), len(good)):
        package.write_bytes(good[:at] + bytes([good[at] ^ 0x20]) + good[at + 1 :])
        assert not accepted(package, keyring), at


def test_signatures_over_md5_are_refused_whatever_was_said(signed: Signed, tmp_path: Path) -> None:
    package = tmp_path / "md5.rpm"
    package.write_bytes(rename_tag(signed.packages["unsigned"].read_bytes(), 5092, 5999))
    sign_rpms(signed.home, signed.signers["rsa"], [package], version=3, digest="md5")
    key = signed.signers["rsa"]
    with pytest.raises(TrustError) as caught:
        verify_package(package, Keyring.from_files([signed.home.public(key)], [key], sha1=True))
    assert "hash algorithm 1" in caught.value.details[0]


def test_an_unsigned_package_is_refused(signed: Signed) -> None:
    with pytest.raises(TrustError, match="no good signature") as caught:
        verify_package(signed.packages["unsigned"], signed.keyring)
    assert caught.value.details == ("there is no signature",)
    verify_digests(signed.packages["unsigned"], nevra=NEVRA)


def test_a_signer_who_is_not_pinned_is_refused(signed: Signed) -> None:
    keyring = Keyring.from_files([signed.home.public(signed.signers["dsa"])], [signed.signers["dsa"]])
    with pytest.raises(TrustError) as caught:
        verify_package(signed.packages["rsa"], keyring, nevra=NEVRA)
    assert caught.value.message.startswith(NEVRA)
    assert signed.signers["rsa"][-16:] in caught.value.details[0]


def test_another_package_is_not_the_one(signed: Signed) -> None:
    for nevra in ("tiny-0:1.0.0-1.x86_64", "tiny-2:1.0.0-2.x86_64", "tiny-1.0.0-1.x86_64", "tiny-2:1.0.0-1.src"):
        with pytest.raises(TrustError, match=f"the package is {NEVRA!r}, not"):
            verify_package(signed.packages["rsa"], signed.keyring, nevra=nevra)
        with pytest.raises(TrustError, match="the package is"):
            verify_digests(signed.packages["rsa"], nevra=nevra)


def test_a_source_package_is_not_a_binary_one(signed: Signed, tmp_path: Path) -> None:
    package = tmp_path / "source.rpm"
    good = rename_tag(signed.packages["unsigned"].read_bytes(), 1044, 5999)
    package.write_bytes(good)
    with pytest.raises(TrustError, match="disagree whether this is a source package"):
        verify_digests(package)
    package.write_bytes(good[:7] + b"\1" + good[8:])
    verify_digests(package, nevra=NEVRA.replace("x86_64", "src"))


def test_the_header_of_one_does_not_vouch_for_the_payload_of_another(signed: Signed, tmp_path: Path) -> None:
    other = make_rpm(tmp_path / "other.rpm", {"/usr/share/tiny/file": b"What somebody else wants installed.\n"})
    sign_rpms(signed.home, signed.signers["rsa"], [other])
    good, bad = signed.packages["rsa"].read_bytes(), other.read_bytes()
    mixed = tmp_path / "mixed.rpm"
    mixed.write_bytes(good[: payload_at(good)] + bad[payload_at(bad) :])
    with pytest.raises(TrustError, match="the payload is not the one of its sha256 digest"):
        verify_package(mixed, signed.keyring)
    with pytest.raises(TrustError, match="the payload is not the one of its sha256 digest"):
        verify_digests(mixed)
    mixed.write_bytes(good[: header_at(good)] + bad[header_at(bad) :])
    with pytest.raises(TrustError, match="the header is not the one of its sha256 digest"):
        verify_package(mixed, signed.keyring)


def test_a_header_that_says_nothing_of_the_payload_needs_a_signature_over_both(signed: Signed, tmp_path: Path) -> None:
    good = signed.packages["no-payload-digest"].read_bytes()
    package = tmp_path / "header-only.rpm"
    header = good[header_at(good) : payload_at(good)]
    signature = signed.home.sign_v3(signed.signers["rsa"], header)
    package.write_bytes(with_signatures(good, [(268, 7, signature, len(signature))]))
    with pytest.raises(TrustError, match="nothing signed says what the payload must be"):
        verify_package(package, signed.keyring)
    # Nor does a signature over the header stand in for one over both.
    package.write_bytes(with_signatures(good, [(1002, 7, signature, len(signature))]))
    with pytest.raises(TrustError, match="no good signature"):
        verify_package(package, signed.keyring)


def test_the_signatures_of_rpm_6_are_read(signed: Signed, tmp_path: Path) -> None:
    good = signed.packages["rsa"].read_bytes()
    header = good[header_at(good) : payload_at(good)]
    unknown = b"\xc2\x05\x06\x00\x1e\x0c\x00"  # of version 6, by a key that nobody reads yet
    texts = [base64.b64encode(s) for s in (unknown, signed.home.sign(signed.signers["ed25519"], header))]
    package = tmp_path / "rpm6.rpm"
    package.write_bytes(with_signatures(good, [(278, 8, b"\0".join([*texts, b""]), 2)]))
    assert verify_package(package, signed.keyring).algorithm == "ed25519"
    package.write_bytes(with_signatures(good, [(278, 8, texts[0] + b"\0", 1)]))
    with pytest.raises(TrustError) as caught:
        verify_package(package, signed.keyring)
    assert "version 6" in caught.value.details[0]


def test_every_signature_must_be_good(signed: Signed, tmp_path: Path) -> None:
    """As `rpmkeys --checksig` has it. One over the header alone is enough, until another one contradicts."""
    good = signed.packages["rsa"].read_bytes()
    header, rest = good[header_at(good) : payload_at(good)], good[header_at(good) :]
    by_rsa = signed.home.sign(signed.signers["rsa"], header)
    others = {
        "of other bytes": signed.home.sign(signed.signers["rsa"], rest + b" "),
        "not pinned": signed.home.sign(signed.home.new_key("ed25519", "stranger"), rest),
        "over SHA-1": signed.home.sign(signed.signers["rsa"], rest, "--digest-algo", "SHA1"),
    }
    package = tmp_path / "two.rpm"
    package.write_bytes(with_signatures(good, [(268, 7, by_rsa, len(by_rsa))]))
    assert accepted(package, signed.keyring)
    for reason, other in others.items():
        tag = 1005 if reason == "not pinned" else 1002
        package.write_bytes(with_signatures(good, [(268, 7, by_rsa, len(by_rsa)), (tag, 7, other, len(other))]))
        with pytest.raises(TrustError, match="not every signature is good"):
            verify_package(package, signed.keyring)
        assert reason == "over SHA-1" or rpmkeys_accepts(signed.database, [package]) == {package: False}


def test_a_signature_stands_where_rpm_puts_it(signed: Signed, tmp_path: Path) -> None:
    good = signed.packages["rsa"].read_bytes()
    signature = signed.home.sign(signed.signers["rsa"], good[header_at(good) : payload_at(good)])
    package = tmp_path / "moved.rpm"
    package.write_bytes(with_signatures(good, [(267, 7, signature, len(signature))]))
    with pytest.raises(TrustError, match="tag 267 is not of the algorithm that rpm puts there"):
        verify_package(package, signed.keyring)


def test_a_payload_digest_of_md5_is_refused(signed: Signed, tmp_path: Path) -> None:
    good = signed.packages["unsigned"].read_bytes()
    header = good[header_at(good) : payload_at(good)]
    count = int.from_bytes(header[8:12], "big")
    index = {int.from_bytes(header[at : at + 4], "big"): at for at in range(16, 16 + 16 * count, 16)}
    at = header_at(good) + 16 + 16 * count + int.from_bytes(header[index[5093] + 8 : index[5093] + 12], "big")
    md5 = good[:at] + (1).to_bytes(4, "big") + good[at + 4 :]
    signature = signed.home.sign(signed.signers["rsa"], md5[header_at(md5) : payload_at(md5)])
    package = tmp_path / "md5.rpm"
    package.write_bytes(with_signatures(md5, [(268, 7, signature, len(signature))]))
    with pytest.raises(TrustError, match="of algorithm 1, which is not accepted"):
        verify_package(package, signed.keyring)


def test_a_package_without_digests_is_not_taken_even_unsigned(signed: Signed, tmp_path: Path) -> None:
    package = tmp_path / "bare.rpm"
    package.write_bytes(with_signatures(signed.packages["unsigned"].read_bytes(), [(1008, 7, bytes(4), 4)]))
    with pytest.raises(TrustError, match="no digest of its header"):
        verify_digests(package)


@pytest.mark.parametrize(
    ("entry", "finding"),
    [
        ((1000, 4, (12345).to_bytes(4, "big"), 1), "bytes, not 12345"),
        ((270, 5, (12345).to_bytes(8, "big"), 1), "bytes, not 12345"),
        ((1004, 7, bytes(16), 16), "not those of their md5 digest"),
        ((1007, 4, (12345).to_bytes(4, "big"), 1), "not unpack to 12345 bytes"),
        ((271, 5, (12345).to_bytes(8, "big"), 1), "not unpack to 12345 bytes"),
        ((1007, 4, (7).to_bytes(4, "big"), 1), "not unpack to 7 bytes"),
        ((279, 6, b"0" * 64 + b"\0", 1), "not the one of its sha3_256 digest"),
        ((1008, 7, b"\0\0\1", 3), "reserved for signatures is not empty"),
        ((274, 8, b"03zz\0", 1), "not hexadecimal"),
        ((1263, 4, bytes(4), 1), "tag 1263 of the signature header is not known"),
        ((1000, 7, bytes(4), 4), "tag 1000 of the signature header is not known to rpm, or not of this type"),
        ((1005, 7, b"\xc2\5\6\0\x1e\x0c\0", 7), "version 6"),
        ((1005, 7, b"\xcd\1?", 3), "type 13 is no signature"),
    ],
)
def test_what_the_signature_header_says_must_be_true(
    signed: Signed, tmp_path: Path, entry: tuple[int, int, bytes, int], finding: str
) -> None:
    good = signed.packages["rsa"].read_bytes()
    signature = signed.home.sign(signed.signers["rsa"], good[header_at(good) : payload_at(good)])
    package = tmp_path / "untrue.rpm"
    package.write_bytes(with_signatures(good, [(268, 7, signature, len(signature)), entry]))
    with pytest.raises(TrustError) as caught:
        verify_package(package, signed.keyring)
    assert finding in " ".join([caught.value.message, *caught.value.details])


def test_a_header_that_says_two_things_is_refused(signed: Signed, tmp_path: Path) -> None:
    package = tmp_path / "twice.rpm"
    digests = [(273, 6, digit * 64 + b"\0", 1) for digit in (b"0", b"1")]
    package.write_bytes(with_signatures(signed.packages["unsigned"].read_bytes(), digests))
    with pytest.raises(TrustError, match="says the same thing twice"):
        verify_digests(package)


@pytest.mark.parametrize(
    ("at", "value"),
    [(8, b"\xff\xff\xff\xff"), (12, b"\xff\xff\xff\xff"), (8, bytes(4)), (0, b"PK\3\4"), (24, b"\xff\xff\xff\xff")],
    ids=["entries", "bytes", "nothing", "magic", "offset"],
)
@pytest.mark.parametrize("second", [False, True], ids=["signatures", "header"])
def test_absurd_headers_are_refused(signed: Signed, tmp_path: Path, at: int, value: bytes, *, second: bool) -> None:
    good = signed.packages["rsa"].read_bytes()
    at += header_at(good) if second else 96
    package = tmp_path / "absurd.rpm"
    package.write_bytes(good[:at] + value + good[at + 4 :])
    for check in (lambda: verify_package(package, signed.keyring), lambda: verify_digests(package)):
        with pytest.raises(TrustError):
            check()


def test_a_file_that_is_not_there_is_the_hosts_trouble(signed: Signed, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No such file"):
        verify_package(tmp_path / "none.rpm", signed.keyring)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_nothing_but_our_errors_comes_of_damage(signed: Signed, tmp_path: Path, data: st.DataObject, kind: str) -> None:
    good = signed.packages[kind].read_bytes()
    start = data.draw(st.integers(0, len(good)))
    stop = data.draw(st.integers(start, min(len(good), start + 64)))
    bad = good[:start] + data.draw(st.binary(max_size=64)) + good[stop:]
    package = tmp_path / "damaged.rpm"
    package.write_bytes(bad)
    # Only what is neither header nor payload can change unnoticed.
    assert not accepted(package, signed.keyring) or bad[header_at(bad) :] == good[header_at(good) :]
    try:
        verify_digests(package)
    except IsobuilderError:
        pass
