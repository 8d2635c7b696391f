"""Reads a FAT file system out of an image: FAT12, FAT16 and FAT32, as firmware has to.

Nothing in it is trusted. A volume that makes no sense at all is a ValueError; what is wrong with a part of it is told
as `damage`, and the rest is read all the same. Facts: as in `fat.py`.
"""

import struct
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from isobuilder.iso.fat import ENTRY_SIZE, FOLDER, READ_ONLY_LABEL, checksum

Read = Callable[[int, int], bytes]

MOST_FILES: Final = 10_000
_MOST_TABLE: Final = 4 << 20
_MOST_FOLDER: Final = 65_536 * ENTRY_SIZE
_MAX_DEPTH: Final = 32
_LONG_NAME: Final = 0x0F
_LAST_LONG: Final = 0x40
_UNUSED: Final = 0xE5
_KANJI: Final = 0x05
_FAT16_FROM, _FAT32_FROM = 4085, 65525
_UNKNOWN_ATTRIBUTES: Final = 0xC0


@dataclass(frozen=True)
class FatFile:
    """A file: its path as it is spelled there, its length in bytes, and the runs of bytes that hold it."""

    path: str
    size: int
    runs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Geometry:
    """What the boot sector says, in bytes but for `bits` and `clusters`; `table_size` is what is used of one copy."""

    bits: int
    cluster_size: int
    clusters: int
    tables_at: int
    copies: int
    copy_size: int
    table_size: int
    root_at: int
    root_size: int
    root_cluster: int
    data_at: int
    size: int


class FatVolume:
    """A volume that is open for reading, listed whole.

    `read` gives a number of bytes from a place in the image on; what it raises passes through. `files` maps each path
    as it is spelled to its file; names are looked for in any case, as firmware does. `size` is the volume's own, in
    bytes, whatever the size of the image. Raises ValueError.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._geometry = _geometry(read(0, 512))
        self.bits = self._geometry.bits
        self.size = self._geometry.size
        self.damage: list[tuple[str, str]] = []
        self._table = self._load_table()
        self._owners: dict[int, str] = {}
        files: dict[str, FatFile] = {}
        for file in self._walk():
            if file.path in files:
                self.damage.append((file.path, "two files have this name"))
            files[file.path] = file
        self.files: Mapping[str, FatFile] = files
        self._by_upper = {path.upper(): file for path, file in files.items()}

    def find(self, path: str) -> FatFile | None:
        """The file at `path`, spelled in whatever case."""
        return self._by_upper.get(path.upper().strip("/"))

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a file. LookupError when there is none, ValueError when it has more than `limit`."""
        file = self.find(path)
        if file is None:
            raise LookupError(f"there is no {path}")
        if file.size > limit:
            raise ValueError(f"it has {file.size} bytes, and {limit} is the most for what it is")
        pieces, left = [], file.size
        for place, size in file.runs:
            pieces.append(self._read(place, min(size, left)))
            left -= len(pieces[-1])
        return b"".join(pieces)

    def _load_table(self) -> "array[int]":
        geometry = self._geometry
        copies = [
            self._read(geometry.tables_at + number * geometry.copy_size, geometry.table_size)
            for number in range(geometry.copies)
        ]
        if any(copy != copies[0] for copy in copies[1:]):
            self.damage.append(("its allocation table", "the copies differ"))
        table = _entries(copies[0], geometry.bits, geometry.clusters + 2)
        if (table[0] & 0xFF) < 0xF0:
            self.damage.append(("its allocation table", f"it begins with {copies[0][:4].hex()}, which none does"))
        return table

    def _walk(self) -> Iterator[FatFile]:
        """Every file; folders are gone through once each, as nothing may lie where another thing does."""
        geometry = self._geometry
        if geometry.root_size:
            root = self._read(geometry.root_at, geometry.root_size)
        else:
            root = self._folder("/", geometry.root_cluster)
        waiting = [("", root)]
        count = 0
        while waiting:
            folder, data = waiting.pop()
            for name, attribute, cluster, size in self._names(folder, data):
                count += 1
                path = folder + name
                if count > MOST_FILES:
                    self.damage.append((folder or "/", f"there are more than {MOST_FILES} names; the rest is not read"))
                    return
                if not attribute & FOLDER:
                    yield self._file(path, cluster, size)
                elif path.count("/") >= _MAX_DEPTH:
                    self.damage.append((path, f"folders lie more than {_MAX_DEPTH} deep; the rest is not read"))
                else:
                    waiting.append((path + "/", self._folder(path, cluster)))

    def _names(self, folder: str, data: bytes) -> Iterator[tuple[str, int, int, int]]:
        """Name, attribute, first cluster and size of what a folder names; deleted names, labels and dots left out."""
        pieces: dict[int, bytes] = {}
        expected = -1
        for place in range(0, len(data) - ENTRY_SIZE + 1, ENTRY_SIZE):
            record = data[place : place + ENTRY_SIZE]
            if record[0] == 0:
                return
            attribute = record[11]
            if record[0] == _UNUSED:
                pieces = {}
            elif attribute & 0x3F == _LONG_NAME:
                if record[0] & _LAST_LONG:
                    pieces, expected = {}, record[13]
                if record[13] == expected:
                    pieces[record[0] & 0x1F] = record[1:11] + record[14:26] + record[28:32]
            elif attribute & READ_ONLY_LABEL:
                pieces = {}
            else:
                short, long = record[:11], pieces
                pieces = {}
                if short.rstrip() in {b".", b".."}:
                    continue
                name = _long_name(long) if long and expected == checksum(short) else _short_name(short, record[12])
                if attribute & _UNKNOWN_ATTRIBUTES or not name.isprintable() or "/" in name or name in {"", ".", ".."}:
                    self.damage.append((f"{folder}{name!r}", "this is no name, or no attribute, that a file may have"))
                    continue
                high, low = struct.unpack_from("<H4xH", record, 20)
                (size,) = struct.unpack_from("<I", record, 28)
                yield name, attribute, low | (high << 16 if self.bits == 32 else 0), size

    def _file(self, path: str, cluster: int, size: int) -> FatFile:
        if not size:
            return FatFile(path, 0, ())
        cluster_size = self._geometry.cluster_size
        chain = self._chain(path, cluster)
        if len(chain) * cluster_size < size:
            self.damage.append((path, f"it has {size} bytes, and its clusters hold {len(chain) * cluster_size}"))
        return FatFile(path, size, tuple(self._runs(chain)))

    def _chain(self, path: str, cluster: int) -> list[int]:
        """The clusters of a file or folder, as far as they make sense and are nobody else's."""
        chain: list[int] = []
        end = {12: 0xFF8, 16: 0xFFF8, 32: 0x0FFFFFF8}[self.bits]
        while cluster < end:
            if not 2 <= cluster < self._geometry.clusters + 2:
                self.damage.append((path, f"its chain leads to cluster {cluster}, which there is not"))
                break
            if cluster in self._owners:
                owner = self._owners[cluster]
                whose = "itself" if owner == path else owner
                self.damage.append((path, f"its chain runs into cluster {cluster}, which is in use by {whose}"))
                break
            self._owners[cluster] = path
            chain.append(cluster)
            cluster = self._table[cluster]
        return chain

    def _folder(self, path: str, cluster: int) -> bytes:
        """The entries of a folder; none when it is larger than one can be."""
        chain = self._chain(path, cluster)
        if len(chain) * self._geometry.cluster_size > _MOST_FOLDER:
            self.damage.append((path, "the folder is larger than a folder can be"))
            return b""
        return b"".join(self._read(place, size) for place, size in self._runs(chain))

    def _runs(self, chain: list[int]) -> Iterator[tuple[int, int]]:
        """Places and sizes in the image, neighbours joined."""
        geometry = self._geometry
        start = count = 0
        for cluster in chain:
            if count and cluster == start + count:
                count += 1
                continue
            if count:
                yield geometry.data_at + (start - 2) * geometry.cluster_size, count * geometry.cluster_size
            start, count = cluster, 1
        if count:
            yield geometry.data_at + (start - 2) * geometry.cluster_size, count * geometry.cluster_size


def looks_like_fat(sector: bytes) -> bool:
    """Whether 512 bytes may be the boot sector of a FAT file system, sound or not."""
    if len(sector) < 512 or sector[0] not in {0xEB, 0xE9} or sector[510:512] != b"\x55\xaa":
        return False
    return sector[54:57] == b"FAT" or sector[82:85] == b"FAT" or struct.unpack_from("<H", sector, 11)[0] in _SECTORS


_SECTORS: Final = frozenset({512, 1024, 2048, 4096})


def _geometry(sector: bytes) -> _Geometry:
    size, per_cluster, reserved, copies, root_entries, small, media, table, _, _, _, large, table32, _, _, root = (
        struct.unpack_from("<HBHBHHBHHHIIIHHI", sector, 11)
    )
    if sector[510:512] != b"\x55\xaa":
        raise ValueError("its first sector does not end in 55aa")
    if size not in _SECTORS:
        raise ValueError(f"its sectors would have {size} bytes")
    if per_cluster not in {1, 2, 4, 8, 16, 32, 64, 128}:
        raise ValueError(f"its clusters would have {per_cluster} sectors")
    if not reserved or not 1 <= copies <= 4 or (media != 0xF0 and media < 0xF8):
        raise ValueError(f"{reserved} reserved sectors, {copies} tables and medium {media:02x} make no file system")
    sectors = small or large
    per_table = table or table32
    root_sectors = -(-root_entries * ENTRY_SIZE // size)
    before = reserved + copies * per_table + root_sectors
    clusters = (sectors - before) // per_cluster
    if not per_table or clusters < 1:
        raise ValueError(f"its {sectors} sectors have no room for data behind {before} sectors of tables")
    # By the specification the number of clusters decides alone; Linux and EDK2 go by the field that only FAT32 lacks.
    bits = 32 if not table else 12 if clusters < _FAT16_FROM else 16
    if (bits == 32) != (root_entries == 0) or clusters >= {12: _FAT16_FROM, 16: _FAT32_FROM, 32: 1 << 28}[bits]:
        raise ValueError(f"it has {clusters} clusters, as FAT{bits}, and a top folder of {root_entries} entries")
    table_size = -(-(clusters + 2) * bits // 8)
    if table_size > per_table * size:
        raise ValueError(f"its table of {per_table} sectors is too small for {clusters} clusters")
    if table_size > _MOST_TABLE:
        raise ValueError(f"it has {clusters} clusters, more than any image to start from")
    return _Geometry(
        bits=bits,
        cluster_size=per_cluster * size,
        clusters=clusters,
        tables_at=reserved * size,
        copies=copies,
        copy_size=per_table * size,
        table_size=table_size,
        root_at=(reserved + copies * per_table) * size,
        root_size=root_entries * ENTRY_SIZE,
        root_cluster=root,
        data_at=before * size,
        size=sectors * size,
    )


def _entries(table: bytes, bits: int, count: int) -> "array[int]":
    if bits == 16:
        return array("I", struct.unpack_from(f"<{count}H", table))
    if bits == 32:
        return array("I", (entry & 0x0FFFFFFF for entry in struct.unpack_from(f"<{count}I", table)))
    entries = array("I")
    for number in range(count):
        (pair,) = struct.unpack("<H", table[number * 3 // 2 : number * 3 // 2 + 2].ljust(2, b"\0"))
        entries.append(pair >> 4 if number % 2 else pair & 0xFFF)
    return entries


def _long_name(pieces: Mapping[int, bytes]) -> str:
    units = b"".join(pieces[number] for number in sorted(pieces))
    return units.decode("utf-16-le", errors="replace").partition("\0")[0]


def _short_name(short: bytes, case: int) -> str:
    """The name in front of its suffix; two bits of byte 12 say which of them is meant in lower case (Windows NT).

    Other letters are those of the PC's first code page; a name that begins with e5, which marks deleted ones, has 05.
    """
    if short[0] == _KANJI:
        short = bytes([_UNUSED]) + short[1:]
    stem = short[:8].decode("cp437").rstrip(" ")
    suffix = short[8:].decode("cp437").rstrip(" ")
    stem, suffix = stem.lower() if case & 0x08 else stem, suffix.lower() if case & 0x10 else suffix
    return f"{stem}.{suffix}" if suffix else stem
