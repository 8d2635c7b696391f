"""Kernels, initrds and the installer's image: each what its name says, for this machine, and no shorter than it says.

Contents are not unpacked: what the headers say is compared with what is there. Facts about kernels: Linux,
Documentation/arch/x86/boot.rst and Documentation/arch/arm64/booting.rst.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from isobuilder.iso.listing import Node
from isobuilder.iso.units import BLOCK, SECTOR
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium, Unreadable
from isobuilder.verify.pe import MACHINES, pe_machine

_AGAIN: Final = "Take the file again from the release's own tree, and compare it with the checksum in .treeinfo."

KERNEL_DAMAGED = Kind("kernel-damaged", "error", "a kernel is damaged", _AGAIN)
KERNEL_MACHINE = Kind("kernel-machine", "error", "a kernel is for another machine than the medium", _AGAIN)
INITRD_DAMAGED = Kind("initrd-damaged", "error", "an initrd is damaged", _AGAIN)
STAGE2_DAMAGED = Kind("stage2-damaged", "error", "the installer's image is damaged", _AGAIN)
DIFFER = Kind(
    "boot-files-differ",
    "warning",
    "a BIOS would be given another kernel or initrd than UEFI",
    "Put the same files into isolinux and images/pxeboot: the modules in an initrd are those of one kernel.",
)
KINDS = (KERNEL_DAMAGED, KERNEL_MACHINE, INITRD_DAMAGED, STAGE2_DAMAGED, DIFFER)

# Not what lies beside them under longer names: a signature, a checksum, an address (s390x).
_KERNEL: Final = re.compile(r"(?:.*/)?(?:vmlinu[xz]|bzImage)(?:[-_0-9][^/]*)?", re.IGNORECASE)
_INITRD: Final = re.compile(r"(?:.*/)?initrd(?:[^/]*\.img)?", re.IGNORECASE)
_BOOT_FOLDERS: Final = re.compile(r"(?:isolinux|images(?:/.*)?|boot(?:/.*)?|EFI(?:/.*)?|ppc.*)?", re.IGNORECASE)
_STAGE2: Final = ("images/install.img", "LiveOS/squashfs.img", "images/stage2.img")
_HEAD: Final = 64 << 10
_PIECE: Final = 1 << 20
# As lorax lays them out for 6 to 9: the same files twice.
_PAIRS: Final = (("isolinux/vmlinuz", "images/pxeboot/vmlinuz"), ("isolinux/initrd.img", "images/pxeboot/initrd.img"))

_X86_MAGIC: Final = b"HdrS"
_FIRST_WITH_LIMIT: Final = 0x206
_OLD_LIMIT: Final = 255
_ARM_MAGIC: Final = b"ARM\x64"
_ELF_MACHINES: Final = {0x3E: "x86_64", 0x03: "i386", 0xB7: "aarch64"}
_GZIP: Final = b"\x1f\x8b"
_PARAGRAPH: Final = 16
_MOST_BITS: Final = 16

# What an initrd may begin with (Linux, usr/Kconfig and lib/decompress.c); a cpio archive may stand in front of it all.
_INITRD_MAGICS: Final = (
    b"\x1f\x8b", b"\x1f\x9e", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh", b"\x5d\0\0", b"\x02\x21", b"\x04\x22\x4d\x18",
    b"\x89LZO", b"070701", b"070702", b"070707", b"\xc7\x71",
)  # fmt: skip


@dataclass(frozen=True)
class Kernels:
    """How long each kernel's command line may be, in bytes, by its path; kernels that do not say are left out."""

    limits: dict[str, int]
    findings: tuple[Finding, ...]


def check_kernels(medium: Medium, arch: str | None) -> Kernels:
    """Look at everything in the folders that loaders read; `arch` is the medium's own, None when it says none."""
    limits: dict[str, int] = {}
    findings: list[Finding] = []
    seen: set[tuple[tuple[int, int], ...]] = set()
    for path, node in sorted(medium.files.items()):
        if not _BOOT_FOLDERS.fullmatch(path.rpartition("/")[0]) or not node.is_plain:
            continue
        # Hard links are one file: what is wrong with it is told once.
        is_new = node.extents not in seen
        if _KERNEL.fullmatch(path):
            limit, wrong = _checked(medium, node, arch)
            if limit is not None:
                limits[path] = limit
            findings += wrong if is_new else []
        elif _INITRD.fullmatch(path) and is_new:
            findings += _check_initrd(medium, node)
        seen.add(node.extents)
    for path in _STAGE2:
        stage2 = medium.find(path)
        if stage2 is not None and stage2.is_plain:
            findings += _check_stage2(medium, stage2)
    # What is damaged is told as that.
    if not findings:
        findings += [finding for pair in _PAIRS for finding in _check_pair(medium, *pair)]
    return Kernels(limits, tuple(findings))


def _start(medium: Medium, node: Node) -> bytes:
    """The first bytes. Raises Unreadable when there is nothing, or nothing but zeros."""
    if not node.size:
        raise Unreadable("it is empty")
    head = medium.head(node, _HEAD)
    if not any(head):
        raise Unreadable(f"it begins with {len(head)} zeros")
    # The last byte has to be there as well: what lies beyond the end of the image is no file.
    block, size = node.extents[-1]
    if size:
        medium.read_at(block * BLOCK + size - 1, 1)
    return head


def _checked(medium: Medium, node: Node, arch: str | None) -> tuple[int | None, list[Finding]]:
    """The limit of the command line, and what is wrong with the kernel."""
    machines: tuple[str, ...]
    limit = None
    try:
        head = _start(medium, node)
        if head[0x202:0x206] == _X86_MAGIC:
            machines, limit = ("x86_64", "i386"), _x86_limit(head, node.size)
        else:
            machines = _other_machines(head, node.size)
    except (Unreadable, struct.error) as error:
        return None, [KERNEL_DAMAGED.at(node.path, str(error))]
    if machines and arch in MACHINES.values() and arch not in machines:
        return limit, [KERNEL_MACHINE.at(node.path, f"it is for {machines[0]}, and the medium for {arch}")]
    return limit, []


def _x86_limit(head: bytes, size: int) -> int:
    """The limit that a bzImage says. Raises Unreadable when it is shorter than it says."""
    if head[0x1FE:0x200] != b"\x55\xaa":
        raise Unreadable(f"its boot sector ends with {head[0x1FE:0x200].hex()}, not 55aa")
    (version,) = struct.unpack_from("<H", head, 0x206)
    # 0 stands for 4; the protected-mode part is counted in paragraphs of 16 bytes, by 32 bits from protocol 2.04 on.
    setup = (head[0x1F1] or 4) + 1
    (paragraphs,) = struct.unpack_from("<I" if version >= 0x204 else "<H", head, 0x1F4)
    whole = setup * SECTOR + paragraphs * _PARAGRAPH
    if size < whole:
        raise Unreadable(f"it has {size} bytes, and says that it has {whole}")
    stub = pe_machine(head)
    if stub is not None and MACHINES.get(stub) not in {"x86_64", "i386"}:
        raise Unreadable(f"its EFI stub is for machine {stub:04x}")
    limit: int = struct.unpack_from("<I", head, 0x238)[0] if version >= _FIRST_WITH_LIMIT else _OLD_LIMIT
    return limit or _OLD_LIMIT


def _other_machines(head: bytes, size: int) -> tuple[str, ...]:
    """The machine of a kernel that is no bzImage; none when it does not say. Raises Unreadable when it is no kernel."""
    if head[0x38:0x3C] == _ARM_MAGIC:
        return ("aarch64",)
    machine = pe_machine(head)
    if machine is not None:
        return (MACHINES.get(machine, f"machine {machine:04x}"),)
    if head[:2] == _GZIP:
        return ()
    if head[:4] == b"\x7fELF":
        return (_ELF_MACHINES.get(struct.unpack_from("<H", head, 18)[0], "another one"),)
    raise Unreadable(f"it has {size} bytes, which are no kernel: neither HdrS nor ARM64 nor PE stands where it should")


def _check_pair(medium: Medium, path: str, other: str) -> Iterator[Finding]:
    one, two = medium.find(path), medium.find(other)
    if one is None or two is None or not (one.is_plain and two.is_plain) or one.extents == two.extents:
        return
    short, long = sorted((one, two), key=lambda node: node.size)
    is_start = all(
        medium.piece(short, at, min(_PIECE, short.size - at)) == medium.piece(long, at, min(_PIECE, short.size - at))
        for at in range(0, short.size, _PIECE)
    )
    if is_start and short.size < long.size:
        kind = INITRD_DAMAGED if _INITRD.fullmatch(path) else KERNEL_DAMAGED
        yield kind.at(short.path, f"it is the first {short.size} bytes of {long.path}, which has {long.size}")
    elif not is_start:
        yield DIFFER.at(path, f"it is another file than {other}")


def _check_initrd(medium: Medium, node: Node) -> Iterator[Finding]:
    try:
        head = _start(medium, node)
    except Unreadable as error:
        yield INITRD_DAMAGED.at(node.path, str(error))
        return
    if not head.startswith(_INITRD_MAGICS):
        yield INITRD_DAMAGED.at(
            node.path, f"it begins with {head[:6].hex()}, and neither a cpio archive nor a compressed one does"
        )


def _check_stage2(medium: Medium, node: Node) -> Iterator[Finding]:
    try:
        head = _start(medium, node)
        size = _file_system_size(head)
    except (Unreadable, struct.error) as error:
        yield STAGE2_DAMAGED.at(node.path, str(error))
        return
    if size > node.size:
        yield STAGE2_DAMAGED.at(node.path, f"its file system has {size} bytes, and the file {node.size}")


def _file_system_size(head: bytes) -> int:
    """How long a file system says that it is, in bytes; 0 when it does not. Raises Unreadable for what is none."""
    if head[:4] == b"hsqs":
        # squashfs 4 (Linux, fs/squashfs/squashfs_fs.h); 3 has it elsewhere.
        major: int = struct.unpack_from("<H", head, 28)[0]
        return int(struct.unpack_from("<Q", head, 40)[0]) if major == 4 else 0
    if head[:4] == b"\x45\x3d\xcd\x28":
        # cramfs (Linux, include/uapi/linux/cramfs_fs.h); its size is that of the whole with flag 1 set.
        size, flags = struct.unpack_from("<II", head, 4)
        return size if flags & 1 else 0
    if head[1024:1028] == b"\xe2\xe1\xf5\xe0":
        # erofs (Linux, fs/erofs/erofs_fs.h): blocks at 36, and their size as a power of two at 12.
        bits, blocks = head[1024 + 12], struct.unpack_from("<I", head, 1024 + 36)[0]
        return int(blocks) << bits if bits <= _MOST_BITS else 0
    if head[1024 + 56 : 1024 + 58] == b"\x53\xef":
        # ext2 to ext4: blocks at 4, and their size as a power of two beyond 1024 at 24.
        blocks, bits = struct.unpack_from("<I", head, 1024 + 4)[0], struct.unpack_from("<I", head, 1024 + 24)[0]
        return int(blocks) << (10 + bits) if bits <= _MOST_BITS else 0
    if head[:4] in {b"sqsh", b"\x28\xcd\x3d\x45"} or head[32769:32774] == b"CD001" or head.startswith(_INITRD_MAGICS):
        return 0
    raise Unreadable(f"it begins with {head[:4].hex()}, which is no squashfs, erofs, ext or cramfs")
