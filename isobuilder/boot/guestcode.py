"""Programs of a few bytes for machines without a system: what the boot check puts on a disk, and the probe of KVM.

Each kind of machine has its own. Bytes stand beside what an assembler makes them from; nothing here runs anything.
"""

import struct

from isobuilder.iso.units import SECTOR

# SeaBIOS takes no disk of one sector for bootable.
DISK_SIZE = 1 << 20
# Port of QEMU's isa-debug-exit; the exit status is twice what is written there, plus one.
DEBUG_EXIT_PORT = 0xF4
PROBE_STATUS = (0x10 << 1) | 1

# Goes into 32-bit mode, counts to 100 million and leaves by the debug port. A processor does it in a tenth of a second,
# QEMU's translator in half a second; a KVM that emulates instruction by instruction needs minutes.
_PROBE = bytes.fromhex(
    "fa 31c0 8ed8"  # cli; xor ax, ax; mov ds, ax
    "0f0116177c"  # lgdt [0x7c17]
    "0f20c0 0c01 0f22c0"  # mov eax, cr0; or al, 1; mov cr0, eax
    "ea357c0800"  # jmp 8:0x7c35
    "1700 1d7c0000"  # 0x7c17: the table's limit and address
    "0000000000000000 ffff0000009acf00 ffff00000092cf00"  # 0x7c1d: nothing, flat code, flat data
    "b900e1f505 49 75fd"  # 0x7c35: mov ecx, 100000000; dec ecx; jnz back by one
    "b010 e6f4"  # mov al, 0x10; out 0xf4, al
    "f4 ebfd"  # hlt for ever
)
# Writes the text behind it to the first serial port, then halts.
_SAY_16 = bytes.fromhex(
    "fa 31c0 8ed8 fc be237c"  # cli; xor ax, ax; mov ds, ax; cld; mov si, 0x7c23
    "ac 84c0 7412 88c3"  # lodsb; test al, al; jz to the hlt; mov bl, al
    "bafd03 ec a820 74f8"  # until port 0x3fd says that the line is free,
    "baf803 88d8 ee ebe9"  # write it to port 0x3f8; next
    "f4 ebfd"  # hlt for ever
)
# The same in 64-bit code, as all programs of UEFI are.
SAY_X86_64 = bytes.fromhex(
    "fc 488d351c000000"  # cld; lea rsi, [rip + 0x1c]
    "ac 84c0 7414 88c3"  # the same loop
    "66bafd03 ec a820 74f7"
    "66baf803 88d8 ee ebe7"
    "f4 ebfd"
)


# PL011, the serial port of QEMU's "virt" machines, which is at this address in the device tree that it makes.
SAY_AARCH64 = bytes.fromhex(
    "41010010"  # adr x1, 0x28
    "20144038 c0000034"  # ldrb w0, [x1], #1; cbz w0 to the wfi
    "0220a1d2 431840b9 e3ff2f37"  # mov x2, 0x9000000; until the bit 5 of [x2, 0x18] says that there is room,
    "400000b9 faffff17"  # str w0, [x2]; next
    "7f2003d5 ffffff17"  # wfi for ever
)
# Counts to 100 million, writes a mark to the serial port and switches the machine off (PSCI's SYSTEM_OFF).
PROBE_AARCH64_SAYS = b"!"
PROBE_AARCH64 = bytes.fromhex(
    "00209c52 a0bea072 00040071 e1ffff54"  # mov w0, 100000000; subs w0, w0, 1; b.ne back by one
    "0120a1d2 20048052 200000b9"  # mov x1, 0x9000000; mov w0, '!'; str w0, [x1]
    "00018052 0080b072 020000d4"  # mov w0, 0x84000008; hvc 0
    "7f2003d5 ffffff17"  # wfi for ever
)


def probe_disk() -> bytes:
    """A disk that a BIOS boots and that ends QEMU with PROBE_STATUS through isa-debug-exit."""
    return _boot_disk(_PROBE)


def speaking_disk(text: str) -> bytes:
    """A disk that a BIOS boots and that writes `text` (ASCII, one line) to the first serial port."""
    return _boot_disk(_SAY_16 + _line(text))


def speaking_efi_program(text: str, code: bytes = SAY_X86_64, machine: int = 0x8664) -> bytes:
    """A UEFI application (unsigned) that writes `text` (ASCII, one line) to the first serial port.

    `code` writes what stands behind it, on the processors that PE/COFF has the number `machine` for.

    The layout is that of the PE/COFF specification with one section, at address 0x1000, and no relocations: the code
    runs anywhere.
    """
    code = (code + _line(text)).ljust(SECTOR, b"\0")
    file_header = struct.pack("<HHIIIHH", machine, 1, 0, 0, 0, 0xF0, 0x22E)
    optional = struct.pack("<HBBIIIII", 0x20B, 0, 0, len(code), 0, 0, 0x1000, 0x1000)
    optional += struct.pack("<QIIHHHHHHIIII", 0, 0x1000, SECTOR, 0, 0, 0, 0, 0, 0, 0, 0x2000, SECTOR, 0)
    # Subsystem 10: a UEFI application. The 16 directories after the stack's and heap's sizes are empty.
    optional += struct.pack("<HHQQQQII", 10, 0, 0, 0, 0, 0, 0, 16) + bytes(16 * 8)
    section = struct.pack("<8sIIIIIIHHI", b".text", len(code), 0x1000, len(code), SECTOR, 0, 0, 0, 0, 0x60000020)
    dos_header = b"MZ" + bytes(58) + struct.pack("<I", 64)
    return (dos_header + b"PE\0\0" + file_header + optional + section).ljust(SECTOR, b"\0") + code


def _boot_disk(code: bytes) -> bytes:
    return (code.ljust(SECTOR - 2, b"\0") + b"\x55\xaa").ljust(DISK_SIZE, b"\0")


def _line(text: str) -> bytes:
    return b"\r\n" + text.encode("ascii") + b"\r\n\0"
