"""What is fuzzed: each parser of untrusted bytes, what it may raise, and good input to begin with."""

import io
import json
import os
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Final

from isobuilder.answers import PARTS
from isobuilder.bootmenu.reading.grub import Platform, read_grub
from isobuilder.bootmenu.reading.isolinux import read_isolinux
from isobuilder.bootmenu.reading.legacy import read_legacy
from isobuilder.bootmenu.reading.model import decode
from isobuilder.decompress import DecompressionError, decompressed, format_of
from isobuilder.definition import Definition
from isobuilder.errors import DefinitionError, FetchError, IsobuilderError, LockError, MediumError, TrustError
from isobuilder.firstlogin import answers
from isobuilder.iso.bootcatalog import parse_catalog
from isobuilder.iso.fatreader import FatVolume
from isobuilder.iso.files import IsoFiles
from isobuilder.iso.partitiontables import parse_mbr, read_gpt
from isobuilder.iso.reader import read_files
from isobuilder.kickstart.readback import examine
from isobuilder.lock import read_lock
from isobuilder.manifest import Manifest
from isobuilder.progress import Silent
from isobuilder.releases import KickstartFacts, Release
from isobuilder.repository.comps import merge_comps, parse_comps
from isobuilder.repository.mirrors import parse_metalink, parse_mirrorlist
from isobuilder.repository.modules import read_modules
from isobuilder.repository.repomd import listed_files, parse_repomd, parse_treeinfo
from isobuilder.repository.rpmmd import check_xml
from isobuilder.resolve.pool import PackagePool, Source
from isobuilder.schema import load_toml
from isobuilder.trust.certificates import read_key_file
from isobuilder.trust.openpgp import MalformedError
from isobuilder.trust.packages import verify_digests
from isobuilder.trust.rpmpayload import read_member
from isobuilder.verify.authenticode import signatures
from isobuilder.verify.examine import examine as examine_medium
from isobuilder.verify.pe import parse_pe
from tests.menu_devices import FakeDevices
from tests.repositories import Fake, make_repository
from tests.rpm_files import make_rpm

_LIMIT: Final = 1 << 20
GOLDEN: Final = Path(__file__).parents[1] / "golden"
CASES: Final = Path(__file__).parents[1] / "cases"


@dataclass(frozen=True)
class Target:
    """A parser: `feed` gives it bytes, and what it raises beside `errors` is a bug; `seeds` are bytes that it takes."""

    feed: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: Callable[[Path], list[bytes]]

    def run(self, data: bytes) -> bool:
        """Whether the parser takes `data`; other errors than its own come out."""
        try:
            self.feed(data)
        except self.errors:
            return False
        return True


@contextmanager
def _as_file(data: bytes, name: str = "input") -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_memory()) as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        yield path


def _memory() -> str | None:
    """A folder in memory, where the host has one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _reader(data: bytes) -> Callable[[int, int], bytes]:
    def read(place: int, size: int) -> bytes:
        found = data[place : place + size]
        if len(found) != size:
            raise ValueError("beyond the end")
        return found

    return read


# Repositories.


def _pool(data: bytes) -> None:
    """Primary and filelists behind each other, parted by a zero byte, as libsolv and createrepo_c read them."""
    primary, _, filelists = data.partition(b"\0")
    with _as_file(primary) as one, _as_file(filelists) as two:
        pool = PackagePool(
            [Source("base", 99, {"primary": one, "filelists": two})], arch="x86_64", paths=("/usr/bin/a",)
        )
        for name in pool.names():
            for solvable in pool.every(name):
                pool.file(solvable)


def _metadata_seeds(folder: Path) -> list[bytes]:
    source = make_repository(
        folder / "repository",
        [
            Fake("a", files=("/usr/bin/a",), requires=("b >= 1-2", "/usr/lib/b")),
            Fake("b", "2:1-2", files=("/usr/lib/b",)),
        ],
        comps="<group><id>core</id><name>Core</name><packagelist><packagereq>a</packagereq></packagelist></group>",
        compression="",
    )
    return [source.files["primary"].read_bytes() + b"\0" + source.files["filelists"].read_bytes()]


def _repomd_seeds(folder: Path) -> list[bytes]:
    _metadata_seeds(folder)
    return [(folder / "repository/repodata/repomd.xml").read_bytes()]


def _repomd(data: bytes) -> None:
    parse_repomd(data, where="repomd.xml")
    listed_files(data, where="repomd.xml")


def _xml(data: bytes) -> None:
    with _as_file(data) as path:
        check_xml(path, "other")


def _comps(data: bytes) -> None:
    parse_comps(data)
    merge_comps([data, _COMPS])


_COMPS: Final = (
    b"<comps><group><id>core</id><name>Core</name><packagelist><packagereq type='conditional' requires='b'>a</packagereq>"
    b"</packagelist></group><environment><id>e</id><name>E</name><grouplist><groupid>core</groupid></grouplist>"
    b"<optionlist><groupid>x</groupid></optionlist></environment><langpacks><match name='a' install='a-%s'/></langpacks>"
    b"</comps>"
)
_MODULES: Final = b"""---
document: modulemd
version: 2
data:
  name: nodejs
  stream: "18"
  version: 8010020200101000000
  context: c0ffee42
  arch: x86_64
  summary: s
  description: d
  license: {module: [MIT]}
  dependencies: [{buildrequires: {platform: [el8]}, requires: {platform: [el8]}}]
  profiles: {common: {rpms: [nodejs]}}
  artifacts: {rpms: ["nodejs-1:18.0.0-1.x86_64"]}
---
document: modulemd-defaults
version: 1
data: {module: nodejs, stream: "18", profiles: {"18": [common]}}
"""
_METALINK: Final = (
    b'<metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager"><files>'
    b'<file name="repomd.xml"><mm0:timestamp>1600000000</mm0:timestamp><size>3</size><verification><hash type="sha256">'
    + b"a"
    * 64
    + b"</hash></verification><mm0:alternates><mm0:alternate><mm0:timestamp>1500000000</mm0:timestamp><verification><hash "
    b'type="sha512">'
    + b"b"
    * 128
    + b'</hash></verification></mm0:alternate></mm0:alternates><resources><url protocol="https" '
    b'preference="100">https://example.org/os/repodata/repomd.xml</url></resources></file></files></metalink>'
)
_TREEINFO: Final = (
    b"[general]\narch = x86_64\ntimestamp = 1600000000.5\n[tree]\narch = x86_64\nbuild_timestamp = 1600000000\n[checksums]\n"
    b"images/boot.iso = sha256:" + b"a" * 64 + b"\n"
)


# Packages.


def _package(data: bytes) -> None:
    with _as_file(data) as path:
        verify_digests(path, nevra=None)


def _payload(data: bytes) -> None:
    with _as_file(data) as path:
        read_member(path, "/etc/tiny", limit=_LIMIT, unpacked_limit=8 << 20)


def _rpm_seeds(folder: Path) -> list[bytes]:
    return [
        make_rpm(folder / f"{name}.rpm", {"/etc/tiny": b"tiny\n" * 9}, compression=name).read_bytes()
        for name in ("gzip", "xz", "zstd")
    ]


def _unpack(data: bytes) -> None:
    size = 0
    for piece in decompressed(io.BytesIO(data), format_of(data[:6])):
        size += len(piece)
        if size > 64 << 20:
            return


def _packed_seeds(_folder: Path) -> list[bytes]:
    import bz2
    import gzip
    import lzma

    import zstandard

    text = b"plain text, again and again; " * 20
    return [pack(text) for pack in (gzip.compress, bz2.compress, lzma.compress, zstandard.compress)]


def _key_seeds(_folder: Path) -> list[bytes]:
    """A throw-away key, which nobody has the other half of."""
    from tests.openpgp_keys import new_keyhome

    with new_keyhome() as home:
        fingerprint = home.new_key("ed25519", "Nobody <nobody@example.org>")
        return [home.public(fingerprint), home.public(fingerprint, armor=False)]


# Images.


def _tree(folder: Path) -> Path:
    tree = folder / "tree"
    for path, data in (
        ("repodata/repomd.xml", b"<repomd/>"),
        (".discinfo", b"1\nTiny 9\nx86_64\nALL\n"),
        ("a/b/c", b"c" * 3000),
    ):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(data)
    (tree / "link").symlink_to("a/b/c")
    return tree


def _iso_seeds(folder: Path) -> list[bytes]:
    iso = folder / "seed.iso"
    options: list[str | Path] = ["-quiet", "-R", "-J", "-no-pad", "-o", iso, _tree(folder)]
    subprocess.run(["xorriso", "-as", "mkisofs", *options], check=True, capture_output=True)
    return [iso.read_bytes()]


def _iso(data: bytes) -> None:
    with _as_file(data, "x.iso") as path:
        try:
            with IsoFiles(path) as files:
                for name in ("repodata/repomd.xml", "a/b/c", "link", "nothing/x"):
                    if found := files.find(name):
                        for piece in found.chunks(0):
                            len(piece)
        except MediumError:
            pass
        read_files(path, "a/", limit=_LIMIT)


def _medium(data: bytes) -> None:
    with _as_file(data, "x.iso") as path:
        examine_medium(path, progress=Silent(), release=None, read_all=True)


def _fat(data: bytes) -> None:
    found = FatVolume(_reader(data))
    for name in list(found.files)[:20]:
        found.read(name, _LIMIT)


def _fat_seeds(folder: Path) -> list[bytes]:
    image = folder / "seed.fat"
    subprocess.run(["mkfs.fat", "-C", image, "160"], check=True, capture_output=True)
    file = folder / "A long name.txt"
    file.write_bytes(b"x" * 3000)
    subprocess.run(["mmd", "-i", image, "::EFI"], check=True, capture_output=True)
    subprocess.run(["mcopy", "-i", image, file, "::EFI/"], check=True, capture_output=True)
    return [image.read_bytes()]


def _tables(data: bytes) -> None:
    if len(data) >= 512:
        parse_mbr(data[:512])
    read_gpt(_reader(data), 1)


def _table_seeds(folder: Path) -> list[bytes]:
    disk = folder / "disk"
    disk.write_bytes(bytes(100 << 10))
    subprocess.run(["sgdisk", "-n", "1:40:80", disk], check=True, capture_output=True)
    return [disk.read_bytes()[: 34 * 512]]


def _catalog(data: bytes) -> None:
    parse_catalog(data.ljust(2048, b"\0")[:2048])


def _catalog_seeds(_folder: Path) -> list[bytes]:
    validation = bytearray(struct.pack("<BBH24sHBB", 1, 0, 0, b"maker", 0, 0x55, 0xAA))
    validation[28:30] = struct.pack("<H", -sum(struct.unpack("<16H", validation)) & 0xFFFF)
    entry = struct.pack("<BBHBBHI20x", 0x88, 0, 0, 0, 0, 4, 30)
    section = struct.pack("<BBH28s", 0x91, 0xEF, 1, b"")
    return [bytes(validation) + entry + section + entry]


def _pe(data: bytes) -> None:
    signatures(data, parse_pe(data))


def _pe_seeds(_folder: Path) -> list[bytes]:
    for path in ("/usr/lib/shim/shimx64.efi.signed", "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"):
        if Path(path).exists():
            data = Path(path).read_bytes()
            return [data]
    return []


# Texts.


def _kickstart(data: bytes) -> None:
    text = data.decode("utf-8", errors="replace")
    for syntax in ("RHEL6", "RHEL9"):
        examine(text, KickstartFacts(syntax=syntax))


def _kickstart_seeds(_folder: Path) -> list[bytes]:
    text = (
        b"lang en_US\nkeyboard us\nrootpw --lock\npart / --size=1 --grow\nmodule --name=a --stream=1\n%packages\n@core\na\n"
        b"-b\n@^env\n%end\n%pre --log=/tmp/x\necho\n%end\n%addon x\n%end\nuser --name=a --password=b\n"
    )
    return [text]


def _menus(data: bytes) -> None:
    text = decode(data)
    read_isolinux("isolinux/isolinux.cfg", FakeDevices({"isolinux/isolinux.cfg": text}))
    read_grub("esp", "EFI/BOOT/grub.cfg", FakeDevices({}, {"EFI/BOOT/grub.cfg": text}), Platform("uefi", "x86_64"))
    read_legacy("medium", "EFI/BOOT/BOOTX64.conf", FakeDevices({"EFI/BOOT/BOOTX64.conf": text}))


def _menu_seeds(_folder: Path) -> list[bytes]:
    paths = sorted(path for path in GOLDEN.rglob("*.c*f*") if path.name.endswith(("grub.cfg", "isolinux.cfg", ".conf")))
    return [path.read_bytes() for path in paths[:: max(1, len(paths) // 6)]]


def _definition(data: bytes) -> None:
    with _as_file(data, "media.toml") as path:
        load_toml(path, Definition, "definition")


def _release(data: bytes) -> None:
    with _as_file(data, "x.toml") as path:
        load_toml(path, Release, "release file")


def _lock(data: bytes) -> None:
    with _as_file(data, "x.lock") as path:
        read_lock(path)


def _answers(data: bytes) -> None:
    answers.parse(data, PARTS.rule_of, PARTS.known_keys())


_DEFINITION: Final = b"""version = 1
name = "campus"
release = "9-stream"
volume-id = "CAMPUS"
[install]
timezone = "Europe/Rome"
disk = { min-size = "10GB" }
[[repository]]
id = "site"
baseurl = "https://example.org/$basearch/"
trust = "unsigned"
[role.x]
kickstart = "x.ks.j2"
[answers]
ntp = "ntp.example.org"
"""


def _given(*seeds: bytes) -> Callable[[Path], list[bytes]]:
    return lambda _folder: list(seeds)


def _shipped_releases(_folder: Path) -> list[bytes]:
    return [files("isobuilder.releases").joinpath(name).read_bytes() for name in ("9-stream.toml", "6.toml")]


TARGETS: Final = MappingProxyType(
    {
        "answers": Target(
            _answers, (), _given(b"[all]\nntp = a.example.org\n[mac 52:54:00:12:34:56]\naddress = 10.0.0.2/24\n")
        ),
        "catalog": Target(_catalog, (), _catalog_seeds),
        "comps": Target(_comps, (TrustError,), _given(_COMPS)),
        "decompress": Target(_unpack, (DecompressionError,), _packed_seeds),
        "definition": Target(_definition, (DefinitionError,), _given(_DEFINITION)),
        "fat": Target(_fat, (ValueError, LookupError), _fat_seeds),
        "iso": Target(_iso, (MediumError,), _iso_seeds),
        "keys": Target(read_key_file, (MalformedError,), _key_seeds),
        "kickstart": Target(_kickstart, (), _kickstart_seeds),
        "lock": Target(_lock, (LockError,), _given(json.dumps({"seal": "x", "version": 1}).encode())),
        "manifest": Target(
            lambda data: Manifest.parse(data, where="x"), (MediumError,), _given(b'{"version": 1, "packages": []}')
        ),
        "medium": Target(_medium, (IsobuilderError,), _iso_seeds),
        "menus": Target(_menus, (), _menu_seeds),
        "metalink": Target(lambda data: parse_metalink(data, where="x"), (TrustError, FetchError), _given(_METALINK)),
        "mirrorlist": Target(
            lambda data: parse_mirrorlist(data, "x86_64", where="x"),
            (FetchError,),
            _given(b"# x\nhttps://example.org/$basearch/\n"),
        ),
        "modules": Target(lambda data: read_modules(data, "x"), (TrustError,), _given(_MODULES)),
        "package": Target(_package, (TrustError,), _rpm_seeds),
        "payload": Target(_payload, (MediumError, TrustError), _rpm_seeds),
        "pe": Target(_pe, (ValueError,), _pe_seeds),
        "pool": Target(_pool, (TrustError,), _metadata_seeds),
        "release": Target(_release, (DefinitionError,), _shipped_releases),
        "repomd": Target(_repomd, (TrustError,), _repomd_seeds),
        "tables": Target(_tables, (ValueError,), _table_seeds),
        "treeinfo": Target(lambda data: parse_treeinfo(data, where="x"), (TrustError,), _given(_TREEINFO)),
        "xml": Target(_xml, (TrustError,), _given(b"<otherdata packages='0'><package pkgid='a'/></otherdata>")),
    }
)
