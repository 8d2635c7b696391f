"""Machines start, talk, show their screen, and never stay behind."""

import io
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from isobuilder.boot import guestcode
from isobuilder.boot.accelerate import accelerator, runs_a_guest
from isobuilder.boot.drives import FatDisk, RawDisk, Stick, stick_arguments
from isobuilder.boot.firmware import Firmware
from isobuilder.boot.hardware import AARCH64, KINDS, X86_64, Accelerator, Hardware
from isobuilder.boot.serialconsole import LOG_LIMIT, WINDOW, SerialConsole
from isobuilder.boot.vm import Machine, VirtualMachine
from isobuilder.errors import BootError, HostError
from isobuilder.progress import Silent

SECONDS = 60.0
HELLO = re.compile("hello from the disk")


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A medium that a BIOS starts from a USB stick, and that says hello."""
    path = tmp_path / "a,stick.img"
    path.write_bytes(guestcode.speaking_disk("hello from the disk"))
    return path


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    path = tmp_path / "blank.img"
    path.write_bytes(bytes(1 << 20))
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "console.log"


def machine_of(driver: int) -> int:
    """The process id of the one QEMU that the process `driver` has started."""
    (machine,) = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
    assert Path(f"/proc/{machine}/comm").read_text().startswith("qemu-system")
    return int(machine)


def has_ended(process_id: int) -> bool:
    """Whether the process ends, watched from outside, within the time."""
    try:
        watched = os.pidfd_open(process_id)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], SECONDS)[0])
    finally:
        os.close(watched)


def test_a_machine_boots_talks_and_shows_its_screen(stick: Path, log: Path, tmp_path: Path) -> None:
    with VirtualMachine(Machine("bios", "usb"), stick, accelerator="tcg", console_log=log) as vm:
        heard = vm.expect([re.compile("never said"), HELLO], SECONDS)
        assert heard
        assert heard.index == 1
        assert 0 < vm.seconds < SECONDS
        vm.screenshot(tmp_path / "screen.png")
        assert vm.expect([HELLO], 0.2) is None
        assert not vm.ended
        machine = machine_of(os.getpid())
    assert has_ended(machine)
    assert b"hello from the disk\r\n" in log.read_bytes()
    picture = (tmp_path / "screen.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (720, 400)


def test_a_disk_beside_the_medium_boots_when_the_medium_does_not(blank: Path, log: Path) -> None:
    disk = RawDisk(guestcode.speaking_disk("hello from the disk"))
    with VirtualMachine(Machine("bios", "cdrom"), blank, accelerator="tcg", console_log=log, disk=disk) as vm:
        assert vm.expect([HELLO], SECONDS)


def test_uefi_starts_a_loader_from_a_fat_disk(blank: Path, log: Path) -> None:
    disk = FatDisk({"EFI/BOOT/BOOTX64.EFI": guestcode.speaking_efi_program("hello from the disk")})
    with VirtualMachine(Machine("uefi", "usb"), blank, accelerator="tcg", console_log=log, disk=disk) as vm:
        assert vm.expect([HELLO], SECONDS)


def test_an_aarch64_machine_starts_a_loader_and_shows_its_screen(blank: Path, log: Path, tmp_path: Path) -> None:
    program = guestcode.speaking_efi_program("hello from the disk", AARCH64.speaker, AARCH64.efi_machine)
    machine = Machine("uefi", "cdrom", hardware=AARCH64)
    disk = FatDisk({"EFI/BOOT/BOOTAA64.EFI": program})
    with VirtualMachine(machine, blank, accelerator="tcg", console_log=log, disk=disk) as vm:
        assert vm.expect([HELLO], SECONDS)
        vm.screenshot(tmp_path / "screen.png")
    assert (tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")


def test_a_stick_is_a_labelled_fat_partition_with_its_files(tmp_path: Path) -> None:
    image = tmp_path / "stick.img"
    options = stick_arguments(Stick("CLOUD-SETUP", {"answers": b"[all]\n"}), tmp_path)
    node = json.loads(options[1])
    del node["node-name"]
    subprocess.run(["qemu-img", "convert", "-O", "raw", f"json:{json.dumps(node)}", image], check=True)
    table = json.loads(subprocess.run(["sfdisk", "--json", image], capture_output=True, check=True).stdout)
    start = table["partitiontable"]["partitions"][0]["start"] * 512
    probe = subprocess.run(["blkid", "-p", "-O", str(start), image], capture_output=True, text=True, check=True)
    assert ' LABEL="CLOUD-SETUP" ' in probe.stdout
    read = subprocess.run(["mtype", "-i", f"{image}@@{start}", "::answers"], capture_output=True, check=True)
    assert read.stdout == b"[all]\n"


def test_a_machine_has_its_stick_and_does_not_start_from_it(blank: Path, log: Path) -> None:
    machine = Machine(
        "uefi", "usb", stick=Stick("S", {"EFI/BOOT/BOOTX64.EFI": guestcode.speaking_efi_program("stick")})
    )
    disk = FatDisk({"EFI/BOOT/BOOTX64.EFI": guestcode.speaking_efi_program("hello from the disk")})
    with VirtualMachine(machine, blank, accelerator="tcg", console_log=log, disk=disk) as vm:
        heard = vm.expect([HELLO, re.compile("stick")], SECONDS)
        seen = str(vm._control.execute("query-block"))
    assert "'node-name': 'stick'" in seen
    assert heard
    assert heard.index == 0


@pytest.mark.parametrize("name", ["../outside", "a/../../../outside", "{absolute}/outside"])
def test_nothing_is_written_outside_a_fat_disk(
    name: str, blank: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    disk = FatDisk({name.format(absolute=tmp_path): b"x"})
    machine = VirtualMachine(Machine("uefi", "usb"), blank, accelerator="tcg", console_log=log, disk=disk)
    with pytest.raises(ValueError, match="leads out of the disk"), machine:
        pass
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("x" * 256,)])
def test_files_that_no_disk_can_hold_are_told(names: tuple[str, ...], blank: Path, log: Path) -> None:
    disk = FatDisk(dict.fromkeys(names, b"x"))
    machine = VirtualMachine(Machine("uefi", "usb"), blank, accelerator="tcg", console_log=log, disk=disk)
    with pytest.raises(HostError, match="the scratch disk cannot be made"), machine:
        pass


def test_the_efi_program_is_what_others_call_one(tmp_path: Path) -> None:
    path = tmp_path / "hello.efi"
    path.write_bytes(guestcode.speaking_efi_program("hello"))
    said = subprocess.run(["objdump", "-f", path], capture_output=True, text=True, check=True).stdout
    assert "pei-x86-64" in said
    assert "start address 0x0000000000001000" in said


def test_a_machine_that_resets_has_ended(tmp_path: Path, log: Path) -> None:
    path = tmp_path / "reset.img"
    # mov al, 0xfe; out 0x64, al: the keyboard controller's reset.
    path.write_bytes((bytes.fromhex("b0fee664f4").ljust(510, b"\0") + b"\x55\xaa").ljust(guestcode.DISK_SIZE, b"\0"))
    with VirtualMachine(Machine("bios", "usb"), path, accelerator="tcg", console_log=log) as vm:
        assert vm.expect([HELLO], SECONDS) is None
        assert vm.ended
        assert vm.seconds < SECONDS
        with pytest.raises(BootError, match="does not answer screendump"):
            vm.screenshot(tmp_path / "screen.png")


def test_a_crash_of_qemu_is_no_word_about_the_medium(blank: Path, log: Path) -> None:
    with VirtualMachine(Machine("bios", "usb"), blank, accelerator="tcg", console_log=log) as vm:
        os.kill(machine_of(os.getpid()), signal.SIGSEGV)
        with pytest.raises(HostError, match=r"crashed .* signal 11"):
            vm.expect([HELLO], SECONDS)


def test_serial_ports_are_counted_as_a_pc_counts_them(stick: Path, log: Path) -> None:
    with VirtualMachine(Machine("bios", "usb", serial_port=1), stick, accelerator="tcg", console_log=log) as vm:
        assert vm.expect([HELLO], 3) is None


def test_nothing_stays_behind(stick: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # QEMU's options have commas between them.
    scratch = tmp_path / "scratch, of machines"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with VirtualMachine(Machine("uefi", "usb"), stick, accelerator="tcg", console_log=log):
        assert list(scratch.iterdir())
        machine = machine_of(os.getpid())
    assert has_ended(machine)
    assert not list(scratch.iterdir())


def test_qemu_ends_with_a_driver_that_is_killed(stick: Path, log: Path) -> None:
    driver = """
import sys
from pathlib import Path
from isobuilder.boot.vm import Machine, VirtualMachine
with VirtualMachine(Machine("bios", "usb"), Path(sys.argv[1]), accelerator="tcg", console_log=Path(sys.argv[2])) as vm:
    print("started", flush=True)
    vm.rest(60)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", driver, str(stick), str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"started\n"
        machine = machine_of(process.pid)
        process.send_signal(signal.SIGKILL)
    assert has_ended(machine)


def test_a_medium_that_is_not_there_is_told_in_qemus_words(tmp_path: Path, log: Path) -> None:
    machine = VirtualMachine(Machine("bios", "cdrom"), tmp_path / "no.iso", accelerator="tcg", console_log=log)
    with pytest.raises(HostError, match="does not start") as caught, machine:
        pass
    assert "No such file" in " ".join(caught.value.details)


def test_a_log_that_cannot_be_written_is_told(stick: Path, tmp_path: Path) -> None:
    machine = VirtualMachine(Machine("bios", "usb"), stick, accelerator="tcg", console_log=tmp_path / "no" / "log")
    with pytest.raises(HostError, match="cannot be written"), machine:
        pass


@pytest.mark.parametrize(
    ("kind", "firmware", "words", "package"),
    [
        (X86_64, "uefi", "UEFI", "ovmf"),
        (X86_64, "uefi-secure", "Secure Boot", "ovmf"),
        (AARCH64, "uefi", "UEFI", "qemu-efi-aarch64"),
    ],
)
def test_missing_firmware_names_its_package(
    kind: Hardware, firmware: Firmware, words: str, package: str, stick: Path, log: Path, tmp_path: Path
) -> None:
    code, variables = tmp_path / "CODE.fd", tmp_path / "VARS.fd"
    code.touch()
    nowhere = replace(kind.firmware, places={firmware: [(code, variables)]})
    wanted = Machine(firmware, "usb", hardware=replace(kind, firmware=nowhere))
    machine = VirtualMachine(wanted, stick, accelerator="tcg", console_log=log)
    with pytest.raises(HostError, match=words) as caught, machine:
        pass
    assert f"apt install {package}" in caught.value.hint
    assert str(variables) in caught.value.details[0]


def test_missing_tools_name_their_package(
    stick: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    machine = VirtualMachine(Machine("uefi", "usb"), stick, accelerator="tcg", console_log=log)
    with pytest.raises(HostError) as caught, machine:
        pass
    assert "qemu-system-x86" in caught.value.hint
    with pytest.raises(HostError, match="no such program"):
        runs_a_guest(X86_64, "tcg", SECONDS)


@pytest.mark.parametrize("hardware", KINDS.values(), ids=KINDS)
def test_the_probe_runs_a_real_guest(hardware: Hardware) -> None:
    assert runs_a_guest(hardware, "tcg", SECONDS)
    assert not runs_a_guest(hardware, "tcg", 0.01)


@pytest.mark.parametrize("status", [0, 1, 134])
@pytest.mark.parametrize("hardware", KINDS.values(), ids=KINDS)
def test_a_qemu_that_gives_up_ran_no_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hardware: Hardware, status: int
) -> None:
    fake = tmp_path / hardware.qemu
    fake.write_text(f"#!/bin/sh\nexit {status}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not runs_a_guest(hardware, "kvm", SECONDS)


@pytest.mark.parametrize(
    ("present", "runs", "wanted"), [(False, True, "tcg"), (True, False, "tcg"), (True, True, "kvm")]
)
def test_kvm_is_used_only_when_a_guest_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, present: bool, runs: bool, wanted: Accelerator
) -> None:
    device = tmp_path / "kvm"
    if present:
        device.touch()
    asked: list[tuple[Hardware, str, float]] = []

    def probe(hardware: Hardware, kind: Accelerator, seconds: float) -> bool:
        asked.append((hardware, kind, seconds))
        return runs

    notes: list[str] = []
    listener = Silent()
    monkeypatch.setattr(listener, "note", notes.append)
    assert accelerator(X86_64, listener, host="x86_64", device=device, runs=probe, seconds=5) == wanted
    assert asked == ([(X86_64, "kvm", 5)] if present else [])
    assert notes == (["checking whether KVM runs a guest here"] if present else [])


@pytest.mark.parametrize(("hardware", "host"), [(AARCH64, "x86_64"), (X86_64, "aarch64")])
def test_a_machine_unlike_the_host_is_translated(tmp_path: Path, hardware: Hardware, host: str) -> None:
    assert accelerator(hardware, Silent(), host=host, device=tmp_path, runs=lambda *_asked: True) == "tcg"
    assert accelerator(hardware, Silent(), host=hardware.arch, device=tmp_path, runs=lambda *_asked: True) == "kvm"


def test_escapes_are_left_out_wherever_the_line_cuts_them() -> None:
    said = b"\x1b[2J\x1b[01;31mRed \x1b(0q\x0f\x1b[5;10Hgreen\x1b[0m\r\n\xc3\xa9 \x00end\n"
    for cut in range(len(said)):
        log = io.BytesIO()
        console = SerialConsole(log)
        console.feed(said[:cut])
        console.feed(said[cut:])
        assert console.text == "Red qgreen\n\xe9 end\n"
        assert log.getvalue() == said


def test_a_lone_escape_holds_nothing_back_for_ever() -> None:
    console = SerialConsole(io.BytesIO())
    console.feed(b"\x1b" + b"~" * 100)
    assert console.text.endswith("~" * 100)


def test_what_was_found_is_not_found_again() -> None:
    console = SerialConsole(io.BytesIO())
    console.feed(b"one two one three")
    one, two, three = re.compile("one"), re.compile("two"), re.compile("three")
    found = [console.find([three, two, one]) for _ in range(5)]
    assert [heard and heard.index for heard in found] == [2, 1, 2, 0, None]


def test_a_guest_that_never_stops_talking_fills_neither_memory_nor_disk() -> None:
    log = io.BytesIO()
    console = SerialConsole(log)
    chunk = b"x" * (1 << 20)
    for _ in range((LOG_LIMIT >> 20) + 2):
        console.feed(chunk)
    console.feed(b"the end")
    assert len(log.getvalue()) == LOG_LIMIT
    assert len(console.text) == WINDOW
    assert console.find([re.compile("the end")])
