"""Metadata with something wrong in it, and sums that agree with it: hostile repositories are right about their sums."""

import functools
import gzip
import hashlib
import re
from collections.abc import Mapping

import zstandard

from tests.torture.upstream import EPOCH

Files = dict[str, bytes]


def plain(files: Mapping[str, bytes], kind: str, at: str = "/extra") -> bytes:
    """The metadata of a kind (primary, filelists, other) of the repository at `at`, unpacked."""
    path = next(path for path in files if re.fullmatch(rf"{at}/repodata/.*{kind}\.xml\.(zst|gz)", path))
    return _unpacked(files[path])


@functools.cache
def _unpacked(data: bytes) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


def republished(files: Mapping[str, bytes], changed: Mapping[str, bytes], *, repomd: bytes | None = None) -> Files:
    """`files` with the repository /extra made of the metadata `changed` (kind to bytes as published), else its own.

    `repomd` stands for all of repomd.xml.
    """
    kinds = {kind: plain(files, kind) for kind in ("primary", "filelists", "other")} | dict(changed)
    records, found = [], dict(files)
    for kind, data in kinds.items():
        found[f"/extra/repodata/{kind}"] = data
        records.append(record(kind, data))
    found["/extra/repodata/repomd.xml"] = repomd if repomd is not None else repomd_of("".join(records))
    return found


def record(kind: str, data: bytes, **other: str) -> str:
    """What repomd.xml says of a file, or something `other`: href, sum, algorithm, size."""
    said = {"href": f"repodata/{kind}", "sum": hashlib.sha256(data).hexdigest(), "algorithm": "sha256",
            "size": str(len(data)), **other}  # fmt: skip
    return (
        f'<data type="{kind}"><checksum type="{said["algorithm"]}">{said["sum"]}</checksum>'
        f'<location href="{said["href"]}"/><timestamp>{EPOCH}</timestamp><size>{said["size"]}</size></data>'
    )


def repomd_of(records: str) -> bytes:
    return f'<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo">{records}</repomd>'.encode()
