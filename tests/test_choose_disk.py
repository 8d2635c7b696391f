"""The %pre that chooses a disk: exactly one, empty or marked as ours, or nothing is written. On invented machines."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.invented_machine import MIB, Machine, Outcome, formatted
from tests.kickstart_scripts import SHELLS, complaints, render_part

MARK = "SITE-7-ROOT"
NO_WISHES: dict[str, str | int | None] = {"model": None, "serial": None, "min_size": None, "max_size": None}


@pytest.fixture(params=SHELLS, ids=lambda shell: Path(shell[0]).name)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def script(
    *,
    reinstall: bool = False,
    medium_is_sought: bool = False,
    refused: tuple[str, ...] = (),
    bootloader_options: str = "",
    storage_lines: str = "part / --fstype=xfs --size=1024 --grow --ondisk=$disk",
    **wishes: str | int,
) -> str:
    return render_part(
        "choose-disk",
        disk={**NO_WISHES, **wishes},
        mark=MARK,
        reinstall=reinstall,
        medium_is_sought=medium_is_sought,
        bootloader_options=bootloader_options,
        storage_lines=storage_lines,
        accepts=lambda line: not line.startswith(refused) if refused else True,
    )


def stopped(outcome: Outcome, *said: str) -> None:
    """The script refused, said why on its log and every console, and left nothing behind."""
    assert (outcome.status, outcome.errors, outcome.included) == (1, "", None)
    assert outcome.left == frozenset()
    for words in said:
        assert words in outcome.log
    for console in ("tty0", "ttyS0"):
        assert outcome.consoles[console].replace("\r\n", "\n") == outcome.log
        assert outcome.consoles[console].count("\r\n") == outcome.log.count("\n")


def chosen(outcome: Outcome, disk: str) -> None:
    assert (outcome.status, outcome.errors) == (0, "")
    assert outcome.included is not None
    assert outcome.included.splitlines()[0] == f"ignoredisk --only-use={disk}"
    assert outcome.left == {"isobuilder-storage.ks"}
    assert f"this installs on {disk};" in outcome.log


def line_of(outcome: Outcome, disk: str) -> str:
    """What the list says of a disk: its line and the next."""
    lines = outcome.log.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(f"  {disk} "))
    return "\n".join(lines[at : at + 2])


def test_the_one_empty_disk_is_chosen_and_nothing_but_its_name_is_filled_in(
    machine: Machine, shell: tuple[str, ...]
) -> None:
    machine.add_disk("sda")
    lines = f"part /boot --ondisk=$disk --label={MARK}\nlogvol / --name=\"$HOME `id` $(id) \\\\ &\" 'x' $6$salt$hash"
    text = script(storage_lines=lines, bootloader_options='--append="console=tty0 console=ttyS0,115200"')
    outcome = machine.choose(text, shell)
    chosen(outcome, "sda")
    assert outcome.included == (
        "ignoredisk --only-use=sda\nzerombr\nclearpart --all --initlabel --drives=sda\n"
        'bootloader --boot-drive=sda --append="console=tty0 console=ttyS0,115200"\nreqpart\n'
        + lines.replace("$disk", "sda")
        + "\n"
    )


def test_where_the_medium_is_sought_all_disks_but_it_and_the_chosen_one_are_ignored(
    machine: Machine, shell: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "tree").mkdir()
    stick = tmp_path / "medium.iso"
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-V", "SITE-7", "-o", stick, tmp_path / "tree"], check=True)
    machine.add_disk("sda", size=16 * MIB)
    first = machine.choose(script(medium_is_sought=True), shell)
    assert (first.included or "").splitlines()[0] == "zerombr"
    machine.add_disk("sdb").write_bytes(stick.read_bytes())
    machine.add_disk("cciss!c0d0")
    machine.add_disk("sdc")
    outcome = machine.choose(script(medium_is_sought=True, min_size=16 * MIB), shell)
    assert (outcome.included or "").splitlines()[:3] == [
        "ignoredisk --drives=cciss/c0d0,sdc",
        "zerombr",
        "clearpart --all --initlabel --drives=sda",
    ]


@pytest.mark.parametrize("shell", [("dash",), ("bash", "--posix")], ids=["dash", "bash"], indirect=True)
def test_in_an_installer_the_list_stays_on_the_screen(machine: Machine, shell: tuple[str, ...]) -> None:
    (machine.root / ".buildstamp").touch()
    # Half a minute passes twice. (Busybox has a sleep of its own.)
    sleep = machine.root / "bin/sleep"
    sleep.write_text(
        '#!/bin/sh\n[ ! -e "$0.2" ] || exit 1\n[ ! -e "$0.1" ] || exec /bin/touch "$0.2"\n/bin/touch "$0.1"\n'
    )
    sleep.chmod(0o755)
    machine.add_disk("sda", size=MIB)
    machine.add_disk("sdb", size=MIB)
    outcome = machine.choose(script(min_size=16 * MIB), shell)
    assert (outcome.status, outcome.included) == (1, None)
    marker, _, list_of_disks = outcome.log.partition("\n")
    reasons = "(sda: it is too small, sdb: it is too small)"
    assert marker == f"isobuilder: failed kickstart: no disk of this machine is the one that is asked for {reasons}"
    assert outcome.consoles["tty0"].replace("\r\n", "\n") == outcome.log + list_of_disks * 2
    assert outcome.log.endswith("press Ctrl-Alt-Del.\n")


@pytest.mark.parametrize(
    ("efi", "expected"), [(False, []), (True, ["part /boot/efi --fstype=efi --size=200 --ondisk=sda"])]
)
def test_where_reqpart_is_unknown_the_firmware_decides(
    machine: Machine, shell: tuple[str, ...], *, efi: bool, expected: list[str]
) -> None:
    machine.add_disk("sda")
    if efi:
        (machine.root / "sys/firmware/efi").mkdir(parents=True)
    outcome = machine.choose(script(refused=("reqpart", "bootloader --boot-drive")), shell)
    chosen(outcome, "sda")
    lines = (outcome.included or "").splitlines()
    assert lines[3] == "bootloader --driveorder=sda"
    assert lines[5:] == expected


def test_autopart_looks_after_the_firmware_itself(machine: Machine, shell: tuple[str, ...]) -> None:
    (machine.root / "sys/firmware/efi").mkdir(parents=True)
    machine.add_disk("sda")
    for refused in ((), ("reqpart",)):
        outcome = machine.choose(script(storage_lines="autopart --type=lvm", refused=refused), shell)
        assert (outcome.included or "").splitlines()[4:] == ["autopart --type=lvm"]


def test_no_disk_at_all(machine: Machine, shell: tuple[str, ...]) -> None:
    stopped(machine.choose(script(), shell), "no disk of this machine is the one")


def test_several_disks_and_what_an_earlier_run_left(machine: Machine, shell: tuple[str, ...]) -> None:
    for name in ("sda", "sdb"):
        machine.add_disk(name, sysfs={"wwid": "the same"})  # two paths to one LUN are two disks as well
    (machine.root / "tmp/isobuilder-storage.ks").write_text("stale")
    outcome = machine.choose(script(), shell)
    stopped(outcome, "2 disks are as asked for", "  sda  8388608 bytes (0.0 GB)", "  sdb  8388608 bytes")


@pytest.mark.parametrize(
    ("wishes", "fits"),
    [
        ({"model": "Samsung SSD 860 EVO 500GB"}, True),
        ({"model": "Samsung SSD 860"}, True),
        ({"model": "Samsung_SSD_860_EVO_500GB"}, True),
        ({"model": "Samsung*"}, True),
        ({"model": "*860*500GB"}, True),
        ({"model": "*"}, True),
        ({"model": "samsung*"}, False),
        ({"model": "Samsung"}, False),
        ({"model": "Samsung SSD 860 ???"}, False),
        ({"model": "[S]amsung*"}, False),
        ({"serial": "S3Z1NB0K"}, True),
        ({"serial": "WD-SCSI"}, True),
        ({"serial": "SYSFS-1"}, True),
        ({"serial": "S3Z1NB0"}, False),
        ({"serial": "S3Z1*"}, False),
        ({"min_size": 8 * MIB, "max_size": 8 * MIB}, True),
        ({"min_size": 8 * MIB + 1}, False),
        ({"max_size": 8 * MIB - 1}, False),
        ({"model": "Samsung*", "serial": "another"}, False),
    ],
)
def test_what_is_asked_for(machine: Machine, shell: tuple[str, ...], wishes: dict[str, Any], *, fits: bool) -> None:
    machine.add_disk(
        "sda",
        model="Samsung SSD 860 \n",
        sysfs={"device/serial": "SYSFS-1\n"},
        udev={
            "ID_MODEL": "Samsung_SSD_860_EVO_500GB",
            "ID_MODEL_ENC": r"Samsung\x20SSD\x20860\x20EVO\x20500GB\x20\x20",
            "ID_SERIAL_SHORT": "S3Z1NB0K",
            "ID_SCSI_SERIAL": "WD-SCSI",
        },
    )
    outcome = machine.choose(script(**wishes), shell)
    if fits:
        chosen(outcome, "sda")
    else:
        stopped(outcome, "no disk of this machine is the one", 'model "Samsung SSD 860 EVO 500GB"', "not chosen: ")


def test_every_reason_is_told(machine: Machine, shell: tuple[str, ...]) -> None:
    machine.add_disk("sda", sysfs={"ro": "1\n", "removable": "1\n"})
    outcome = machine.choose(script(model="X", min_size=9 * MIB, max_size=MIB), shell)
    stopped(outcome, "of model X", f"of at least {9 * MIB} bytes", f"of at most {MIB} bytes")
    assert "it is read-only; it is removable; the model is another; it is too small; it is too large" in outcome.log
    stopped(machine.choose(script(serial="it's"), shell), "with serial number it's", "the serial number is another")


@pytest.mark.parametrize(
    ("name", "sysfs", "model"),
    [
        ("nvme0n1", {"device/model": "INTEL SSDPE2   \n", "device/serial": "PHLJ  \n"}, "INTEL SSDPE2"),
        ("vda", {"device/model": "", "serial": "PHLJ"}, ""),
        ("mmcblk0", {"device/model": "", "device/name": "SD16G\n", "device/serial": "PHLJ\n"}, "SD16G"),
    ],
)
def test_serial_numbers_of_disks_that_udev_does_not_know(
    machine: Machine, shell: tuple[str, ...], name: str, sysfs: dict[str, str], model: str
) -> None:
    machine.add_disk(name, sysfs=sysfs)
    machine.add_disk("sdb", sysfs={"serial": "PHLJX"})
    (machine.root / "udev" / name).unlink()
    outcome = machine.choose(script(serial="PHLJ"), shell)
    chosen(outcome, name)
    assert line_of(outcome, name).splitlines()[0].endswith(f'model "{model}", serial "PHLJ"')


def test_blanks_around_a_model_are_the_hardware_s(machine: Machine, shell: tuple[str, ...]) -> None:
    machine.add_disk("nvme0n1", model="INTEL SSDPE2KX010T8       \n")
    machine.add_disk("nvme0c0n1", model="INTEL SSDPE2KX010T8       \n", sysfs={"hidden": "1\n"})
    outcome = machine.choose(script(model="INTEL SSDPE2KX010T8"), shell)
    chosen(outcome, "nvme0n1")
    assert "nvme0c0n1" not in outcome.log


def test_a_name_with_a_folder_in_it(machine: Machine, shell: tuple[str, ...]) -> None:
    machine.add_disk("cciss!c0d0")
    chosen(machine.choose(script(), shell), "cciss/c0d0")
    machine.add_partition("cciss!c0d0", "cciss!c0d0p1")
    stopped(machine.choose(script(), shell), "  cciss/c0d0  ", "it is not empty")


def test_what_hardware_says_is_never_run_and_never_reaches_a_terminal_raw(
    machine: Machine, shell: tuple[str, ...]
) -> None:
    hostile = "$(touch PWNED)`touch PWNED`';\"*?%s\\n\\x41;touch PWNED"
    machine.add_disk("sda", model=hostile.encode() + b"\x1b[2J\xff\x07\0tail\n%end\n", sysfs={"serial": hostile})
    machine.add_disk(
        "sdb", model="", udev={"ID_MODEL_ENC": r"\x1b\x24\x28id\x29\x0a\xzz\x", "ID_SERIAL_SHORT": hostile}
    )
    outcome = machine.choose(script(), shell)
    stopped(outcome)
    assert hostile in line_of(outcome, "sda")
    assert 'model "?$(id)"' in line_of(outcome, "sdb") or r'model "?$(id)\xzz\x"' in line_of(outcome, "sdb")
    assert all(" " <= character <= "~" for line in outcome.log.splitlines() for character in line)
    assert "%end" not in outcome.log
    assert not list(machine.root.rglob("PWNED"))
    assert not Path("PWNED").exists()
    machine.add_disk("sdc", model=hostile.replace("*", "+"))
    chosen(machine.choose(script(model=hostile.replace("*", "+")), shell), "sdc")


def test_what_is_no_disk_is_not_even_listed(machine: Machine, shell: tuple[str, ...]) -> None:
    for name in ("loop0", "ram0", "zram0", "dm-0", "md127", "nbd0"):
        machine.add_disk(name)
        (machine.root / "sys/block" / name / "device/model").unlink()
        (machine.root / "sys/block" / name / "device").rmdir()
    for name in ("sr0", "fd0", "mmcblk0boot0", "mmcblk0rpmb", "sd$(id)", "sd a"):
        machine.add_disk(name)
    machine.add_disk("vda")
    outcome = machine.choose(script(), shell)
    chosen(outcome, "vda")
    assert len(outcome.log.splitlines()) == 3


def test_a_card_reader_with_no_card_in_it(machine: Machine, shell: tuple[str, ...]) -> None:
    machine.add_disk("sda", size=0, sysfs={"removable": "1\n"})
    machine.add_disk("sdb", sysfs={"size": "many\n"})
    outcome = machine.choose(script(), shell)
    stopped(outcome)
    assert line_of(outcome, "sda").endswith("not chosen: there is no medium in it")
    assert line_of(outcome, "sdb").endswith("not chosen: there is no medium in it")


def test_a_removable_disk_is_chosen_by_serial_number_only(machine: Machine, shell: tuple[str, ...]) -> None:
    machine.add_disk("sda", sysfs={"removable": "1\n", "serial": "IDSDM1"})
    stopped(machine.choose(script(model="*"), shell), "not chosen: it is removable")
    chosen(machine.choose(script(serial="IDSDM1"), shell), "sda")


@pytest.mark.parametrize("reinstall", [False, True])
def test_the_medium_itself_is_never_chosen(
    machine: Machine, shell: tuple[str, ...], tmp_path: Path, *, reinstall: bool
) -> None:
    (tmp_path / "tree").mkdir()
    image = tmp_path / "medium.iso"
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-V", MARK, "-o", str(image), str(tmp_path / "tree")],
        check=True,
        capture_output=True,
    )
    # A stick that does not say it is removable, as many do not; and one that holds the volume in a partition.
    machine.add_disk("sda", sysfs={"serial": "STICK"}).write_bytes(image.read_bytes())
    machine.add_disk("sdb", sysfs={"serial": "STICK"})
    machine.add_partition("sdb", "sdb1", image)
    outcome = machine.choose(script(serial="STICK", reinstall=reinstall), shell)
    stopped(outcome, "no disk of this machine")
    assert "sda is an ISO 9660 volume" in line_of(outcome, "sda")
    assert "sdb1 is an ISO 9660 volume" in line_of(outcome, "sdb")


@pytest.mark.parametrize("reinstall", [False, True])
def test_a_disk_that_is_in_use_is_never_chosen(machine: Machine, shell: tuple[str, ...], *, reinstall: bool) -> None:
    machine.add_disk("sda")
    (machine.root / "sys/block/sda/holders/dm-3").touch()
    machine.add_disk("sdb")
    machine.add_partition("sdb", "sdb1")
    number = (machine.root / "sys/block/sdb/sdb1/dev").read_text().strip()
    with (machine.root / "proc/self/mountinfo").open("a") as file:
        file.write(f"30 21 {number} / /run/install/repo ro - xfs /dev/disk/by-label/X ro\n")
    outcome = machine.choose(script(reinstall=reinstall), shell)
    stopped(outcome, "no disk of this machine")
    assert "it is part of dm-3" in line_of(outcome, "sda")
    assert "sdb1 is mounted" in line_of(outcome, "sdb")


@pytest.mark.parametrize("at", [0, 511, 512, MIB - 1, 7 * MIB, 8 * MIB - 1])
def test_one_byte_of_data_is_data(machine: Machine, at: int) -> None:
    with machine.add_disk("sda").open("r+b") as file:
        file.seek(at)
        file.write(b"\1")
    stopped(machine.choose(script(), ("dash",)), "asked for, sda, is not empty", "matches: it is not empty")


@pytest.mark.parametrize("reinstall", [False, True])
@pytest.mark.parametrize("command", [("sgdisk", "--new=1:2048:0"), ("mkfs.ext4", "-q", "-L", MARK), ("mkswap",)])
def test_tables_and_file_systems_on_the_whole_disk_are_data(
    machine: Machine, command: tuple[str, ...], *, reinstall: bool
) -> None:
    formatted(machine.add_disk("sda"), *command, size=8 * MIB)
    stopped(machine.choose(script(reinstall=reinstall), ("dash",)), "the disk that is asked for, sda, is not empty")


def test_a_disk_that_cannot_be_read_is_not_empty(machine: Machine, shell: tuple[str, ...]) -> None:
    # It claims to be larger than what can be read of it.
    machine.add_disk("sda", sysfs={"size": f"{9 * MIB // 512}\n"})
    stopped(machine.choose(script(), shell), "is not empty")
    machine.device("sda").unlink()
    stopped(machine.choose(script(), shell), "is not empty")


@pytest.mark.parametrize("lacking", ["sha256sum", "dd", "blkid"])
def test_without_its_tools_no_disk_is_empty(machine: Machine, lacking: str) -> None:
    machine.add_disk("sda")
    (machine.root / "bin" / lacking).unlink()
    outcome = machine.choose(script(), ("dash",))  # busybox brings its own
    assert (outcome.status, outcome.included) == (1, None)
    assert "is not empty" in outcome.log


def test_what_only_blkid_knows_is_data(machine: Machine, shell: tuple[str, ...]) -> None:
    machine.add_disk("sda")
    blkid = machine.root / "bin/blkid"
    for status, fits in ((0, False), (8, False), (4, False), (2, True)):
        blkid.unlink()
        blkid.write_text(f"#!/bin/sh\nexit {status}\n")
        blkid.chmod(0o755)
        assert machine.choose(script(), shell).status == (0 if fits else 1)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_mark_of_an_earlier_installation(
    machine: Machine, shell: tuple[str, ...], kind: str, tmp_path: Path
) -> None:
    image = formatted(tmp_path / "boot", f"mkfs.{kind}", "-q", "-L", MARK, size=(300 if kind == "xfs" else 4) * MIB)
    machine.add_disk("sda")
    machine.add_partition("sda", "sda1")
    machine.add_partition("sda", "sda2", image)
    chosen(machine.choose(script(reinstall=True), shell), "sda")
    stopped(machine.choose(script(reinstall=False), shell), "the disk that is asked for, sda, is not empty")


@pytest.mark.parametrize("label", ["", MARK[:-1], MARK + "X", "site-7-root"])
def test_another_mark_is_data(machine: Machine, label: str, tmp_path: Path) -> None:
    machine.add_disk("sda")
    machine.add_partition("sda", "sda1", formatted(tmp_path / "boot", "mkfs.ext4", "-q", "-L", label))
    stopped(machine.choose(script(reinstall=True), ("dash",)), f"a file system labelled {MARK}", "is not empty")


def test_two_marked_disks_are_two(machine: Machine, shell: tuple[str, ...], tmp_path: Path) -> None:
    image = formatted(tmp_path / "boot", "mkfs.ext4", "-q", "-L", MARK)
    for name in ("sda", "sdb"):
        machine.add_disk(name)
        machine.add_partition(name, f"{name}1", image)
    stopped(machine.choose(script(reinstall=True), shell), "2 disks are as asked for")


def test_a_partition_that_only_the_kernel_knows_is_data(machine: Machine, shell: tuple[str, ...]) -> None:
    machine.add_disk("sda")
    machine.add_partition("sda", "sda1")
    machine.device("sda").write_bytes(bytes(8 * MIB))
    stopped(machine.choose(script(), shell), "the disk that is asked for, sda, is not empty")


def test_an_include_that_cannot_be_finished_is_not_there_at_all(machine: Machine) -> None:
    machine.add_disk("sda")
    (machine.root / "bin/mv").unlink()
    (machine.root / "bin/mv").symlink_to("/bin/false")
    stopped(machine.choose(script(), ("dash",)), "isobuilder-storage.ks cannot be written")


def test_an_include_that_cannot_be_written(machine: Machine, shell: tuple[str, ...]) -> None:
    machine.add_disk("sda")
    (machine.root / "tmp/isobuilder-storage.ks/full").mkdir(parents=True)
    (machine.root / "tmp/isobuilder-storage.ks.new").mkdir()
    outcome = machine.choose(script(), shell)
    assert outcome.status == 1
    assert "isobuilder-storage.ks cannot be written" in outcome.log


def test_without_a_list_of_consoles_the_kernel_s_is_used(machine: Machine, shell: tuple[str, ...]) -> None:
    (machine.root / "sys/class/tty/console/active").unlink()
    outcome = machine.choose(script(), shell)
    assert (
        outcome.consoles["console"].replace("\r\n", "\n")
        == outcome.consoles["tty0"].replace("\r\n", "\n")
        == outcome.log
    )


@pytest.mark.parametrize("wishes", [{}, {"model": "A '*' B", "serial": "it's", "min_size": 1, "max_size": 2}])
@pytest.mark.parametrize(("reinstall", "refused"), [(False, ()), (True, ("reqpart", "bootloader --boot-drive"))])
def test_every_rendering_is_sound(wishes: dict[str, Any], refused: tuple[str, ...], *, reinstall: bool) -> None:
    text = script(reinstall=reinstall, refused=refused, **wishes)
    assert complaints(f"%pre --erroronfail\n{text}%end\n") == []
