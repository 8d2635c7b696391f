"""One pass over the bytes of a medium, for every checksum that anything says of it: its own, and those of its files."""

import hashlib
import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from isobuilder.iso.listing import Node
from isobuilder.iso.mediasum import FIELD_OFFSET, FIELD_SIZE, FRAGMENTS, MediaSum
from isobuilder.iso.units import BLOCK
from isobuilder.iso.writer import checksum_path
from isobuilder.progress import Progress
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium

_CHUNK: Final = 1 << 20
_WAITING: Final = 4
# A file may have a checksum in several ways, and be named by several lists.
_MOST_TIMES: Final = 8
_SMALLEST: Final = 1 << 20
_LINE_LIMIT: Final = 64 << 10
# What hashlib calls the algorithms that metadata names. MD5 and SHA-1 say little, and damage is what is looked for.
ALGORITHMS: Final = {
    "md5": "md5",
    "sha": "sha1",
    "sha1": "sha1",
    "sha224": "sha224",
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
}

IMPLANTED_DIFFERS = Kind(
    "media-sum-differs",
    "error",
    "the checksum that the media check compares is not that of the medium",
    "Copy or download the image again; if it was changed on purpose, run implantisomd5 --force on it.",
)
IMPLANTED_MISSING = Kind(
    "media-sum-missing",
    "warning",
    "there is no checksum for the installer's media check",
    "Run implantisomd5 on the image, as its last step.",
)
IMPLANTED_MALFORMED = Kind(
    "media-sum-malformed",
    "error",
    "the checksum for the installer's media check cannot be read",
    "Run implantisomd5 --force on the image.",
)
BESIDE_DIFFERS = Kind(
    "sha256-differs",
    "error",
    "the image is not the one of the .sha256 file beside it",
    "Copy or download both again.",
)
BESIDE_MALFORMED = Kind(
    "sha256-malformed",
    "warning",
    "the .sha256 file beside the image does not say what sha256sum -c can check",
    "Make it anew, in the image's folder: sha256sum NAME.iso >NAME.iso.sha256",
)
OVERLAP = Kind(
    "files-overlap",
    "error",
    "two files lie in the same place, so that one of them is not what it was",
    "Make the image anew: a directory record in it is wrong.",
)
KINDS = (IMPLANTED_DIFFERS, IMPLANTED_MISSING, IMPLANTED_MALFORMED, BESIDE_DIFFERS, BESIDE_MALFORMED, OVERLAP)

_MEDIA_SUM = re.compile(rb"ISO MD5SUM = ([0-9a-f]{32})")
_SKIPPED = re.compile(rb"SKIPSECTORS = ([0-9]{1,9})")
_FRAGMENT_SUMS = re.compile(rb"FRAGMENT SUMS = ([0-9a-f]{1,400})")
_FRAGMENT_COUNT = re.compile(rb"FRAGMENT COUNT = ([0-9]{1,9})")
# sha256sum's two forms: HASH  NAME (or *NAME), and SHA256 (NAME) = HASH.
_GNU_LINE = re.compile(r"\\?([0-9a-fA-F]{64}) [ *](.+)")
_BSD_LINE = re.compile(r"SHA256 \((.+)\) = ([0-9a-fA-F]{64})")


@dataclass(frozen=True)
class Expected:
    """What the bytes of a file must be, and the finding when they are not. `said_by` is who says so."""

    path: str
    node: Node
    algorithm: str
    digest: str
    kind: Kind
    said_by: str


@dataclass(frozen=True)
class _MediaField:
    """What implantisomd5 left in the volume descriptor."""

    md5: str
    skipped: int
    fragments: str | None


class _File:
    """A file whose bytes pass by: its extents in the order of the image, and the sum so far."""

    def __init__(self, algorithm: str, extents: Sequence[tuple[int, int]]) -> None:
        self.hasher = hashlib.new(algorithm, usedforsecurity=False)
        self.extents = [(block * BLOCK, block * BLOCK + size) for block, size in extents if size]

    @property
    def in_order(self) -> bool:
        return all(one[1] <= other[0] for one, other in zip(self.extents, self.extents[1:], strict=False))


def check_layout(medium: Medium) -> Iterator[Finding]:
    """Files that lie in one place in part: hard links lie in one place whole."""
    places = sorted(
        {
            (block * BLOCK, block * BLOCK + size): node.path
            for node in medium.files.values()
            for block, size in node.extents
            if size and node.is_plain
        }.items()
    )
    end, owner = 0, ""
    for (start, stop), path in places:
        if start < end:
            yield OVERLAP.at(path, f"its bytes from {start} on are those of {owner}, too")
        if stop > end:
            end, owner = stop, path


def check_sums(medium: Medium, expected: Iterable[Expected], progress: Progress) -> Iterator[Finding]:
    """Read the whole image once, and compare: the media checksum, the .sha256 beside it, and `expected` of files.

    Files that reach beyond the end of the image are left to another check.
    """
    field, findings = _media_field(medium)
    yield from findings
    beside, findings = sha256_beside(medium.path)
    yield from findings
    wanted = _bounded([each for each in expected if _inside(each.node, medium)], medium.size * _MOST_TIMES)
    files = {
        (each.node.extents, each.algorithm): _File(ALGORITHMS[each.algorithm], each.node.extents) for each in wanted
    }
    media = MediaSum(medium.volume.size, skipped=field.skipped) if field else None
    whole = hashlib.sha256() if beside else None
    with progress.task("Checksums", medium.size) as advance:
        for size in _pass(medium, [file for file in files.values() if file.in_order], media, whole):
            advance(size)
    for file in files.values():
        if not file.in_order:
            _read_apart(medium, file)
    for each in wanted:
        found = files[each.node.extents, each.algorithm].hasher.hexdigest()
        if found != each.digest.lower():
            yield each.kind.at(each.path, f"its {each.algorithm} is {found}; {each.said_by} says {each.digest}")
    if field and media:
        yield from _compare_media(field, media)
    if beside and whole and whole.hexdigest() != beside:
        yield BESIDE_DIFFERS.at(
            checksum_path(medium.path).name, f"it says {beside}, and the image has {whole.hexdigest()}"
        )


def _bounded(expected: Sequence[Expected], room: int) -> list[Expected]:
    """The first of them, with at most `room` bytes together; more are only where files lie over each other."""
    kept = []
    seen: set[tuple[tuple[tuple[int, int], ...], str]] = set()
    for each in expected:
        key = each.node.extents, each.algorithm
        if key not in seen:
            room -= each.node.size
            seen.add(key)
        if room < 0:
            break
        kept.append(each)
    return kept


def _inside(node: Node, medium: Medium) -> bool:
    return node.is_plain and all(block * BLOCK + size <= medium.size for block, size in node.extents)


def _pass(medium: Medium, files: Iterable[_File], media: MediaSum | None, whole: Any) -> Iterator[int]:
    """Feed every byte to whom it concerns, and say how many came. Two threads share the two sums of the whole."""
    pending = sorted(
        ((start, end, file.hasher) for file in files for start, end in file.extents),
        key=lambda piece: piece[:2],
        reverse=True,
    )
    active: list[tuple[int, int, Any]] = []
    # Memory that was touched before: new pages for each piece take longer than to read it.
    buffers = itertools.cycle([memoryview(bytearray(_CHUNK)) for _ in range(_WAITING + 2)])
    waiting: deque[list[Future[None]]] = deque()
    with ThreadPoolExecutor(1, "media-sum") as media_pool, ThreadPoolExecutor(1, "sha256") as whole_pool:
        for offset in range(0, medium.size, _CHUNK):
            data = medium.read_into(next(buffers)[: min(_CHUNK, medium.size - offset)], offset)
            futures = [whole_pool.submit(whole.update, data)] if whole else []
            if media:
                futures.append(media_pool.submit(media.update, _without_field(data) if offset == 0 else data))
            waiting.append(futures)
            end = offset + len(data)
            while pending and pending[-1][0] < end:
                active.append(pending.pop())
            for start, stop, hasher in active:
                hasher.update(data[max(start - offset, 0) : stop - offset])
            active = [piece for piece in active if piece[1] > end]
            while len(waiting) > _WAITING:
                for future in waiting.popleft():
                    future.result()
            yield len(data)
        for future in (future for futures in waiting for future in futures):
            future.result()


def _read_apart(medium: Medium, file: _File) -> None:
    for start, end in file.extents:
        for place in range(start, end, _CHUNK):
            file.hasher.update(medium.read_at(place, min(_CHUNK, end - place)))


def _without_field(data: memoryview) -> memoryview:
    copy = bytearray(data)
    copy[FIELD_OFFSET : FIELD_OFFSET + FIELD_SIZE] = b" " * FIELD_SIZE
    return memoryview(copy)[: len(data)]


def _media_field(medium: Medium) -> tuple[_MediaField | None, list[Finding]]:
    place = "the volume descriptor"
    text = medium.read_at(FIELD_OFFSET, FIELD_SIZE)
    found = _MEDIA_SUM.search(text)
    if found is None:
        if b"ISO MD5SUM" in text:
            return None, [IMPLANTED_MALFORMED.at(place, f"it has {text.rstrip()[:80]!r}")]
        return None, [IMPLANTED_MISSING.at(place, "implantisomd5 was never run on this image")]
    skipped = int(match[1]) if (match := _SKIPPED.search(text)) else 0
    size = medium.volume.size
    if size > medium.size:
        return None, [IMPLANTED_DIFFERS.at(place, "it is of the whole volume, of which a part is missing")]
    if size < _SMALLEST or skipped * BLOCK >= size:
        return None, [IMPLANTED_MALFORMED.at(place, f"it leaves out {skipped} blocks of {medium.volume.blocks}")]
    sums, count = _FRAGMENT_SUMS.search(text), _FRAGMENT_COUNT.search(text)
    comparable = sums and count and int(count[1]) == FRAGMENTS
    return _MediaField(found[1].decode(), skipped, sums[1].decode() if sums and comparable else None), []


def _compare_media(field: _MediaField, media: MediaSum) -> Iterator[Finding]:
    if media.hexdigest() != field.md5:
        yield IMPLANTED_DIFFERS.at(
            "the medium", f"its MD5 is {media.hexdigest()}, and the volume descriptor says {field.md5}"
        )
    elif field.fragments is not None and field.fragments != media.fragments:
        yield IMPLANTED_DIFFERS.at(
            "the volume descriptor",
            "the sums of its fragments are wrong, and the check stops at the first of them",
        )


def sha256_beside(iso: Path) -> tuple[str | None, list[Finding]]:
    """What NAME.iso.sha256 says of NAME.iso; nothing where there is none."""
    path = checksum_path(iso)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_LINE_LIMIT)
    except FileNotFoundError:
        return None, []
    except OSError as error:
        return None, [BESIDE_MALFORMED.at(path.name, f"it cannot be read: {error.strerror}")]
    said: dict[str, str] = {}
    for line in text.splitlines():
        if match := _GNU_LINE.fullmatch(line.rstrip()):
            said[match[2]] = match[1].lower()
        elif match := _BSD_LINE.fullmatch(line.rstrip()):
            said[match[1]] = match[2].lower()
    if digest := said.get(iso.name):
        return digest, []
    if said:
        return None, [BESIDE_MALFORMED.at(path.name, f"it is of {', '.join(sorted(said)[:3])}, not of {iso.name}")]
    return None, [BESIDE_MALFORMED.at(path.name, "it has no line with a SHA-256 and a name")]
