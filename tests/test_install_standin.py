"""The stand-in for Anaconda, without a machine: what it takes of a kickstart, and what it would make of a disk."""

import re
import subprocess
from pathlib import Path

import pytest

from isobuilder.blueprint import read_blueprint
from isobuilder.kickstart.rendering import render_roles
from tests.practice.mirror import unattended, write_demo
from tests.practice.standin import bootloader, network, payload, plan, reading, scripts
from tests.practice.standin.plan import Disk
from tests.practice.standin.tools import FailureError, Tools

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me"
HASH = "$6$abcdefgh$" + "x" * 86
MEDIUM = "[release]\nname = Practice Linux\nversion = 9\n"
ONE_DISK = """\
ignoredisk --only-use=vda
zerombr
clearpart --all --initlabel --drives=vda
bootloader --boot-drive=vda --append="console=tty0 console=ttyS0,115200"
reqpart
part /boot --size=1024 --label=MARK --ondisk=vda
part pv.01 --size=1024 --grow --ondisk=vda
volgroup isobuilder pv.01 --reserved-percent=10
"""
SWAP_AND_ROOT = """\
logvol swap --vgname=isobuilder --name=swap --recommended
logvol / --vgname=isobuilder --name=root --size=10240 --grow --maxsize=51200
"""
GIB = 1024


def read(text: str, folder: Path) -> reading.Kickstart:
    file = folder / "ks.cfg"
    file.write_text(text)
    return reading.read(file, "RHEL9")


def layout(
    text: str, folder: Path, gib: int = 16, *, uefi: bool = False, memory: int = 1024, table: str | None = None
) -> plan.Layout:
    disks = [Disk("vda", gib * GIB, table)]
    return plan.make_layout(read(text, folder).handler, disks, uefi=uefi, memory=memory)


def sizes(made: plan.Layout) -> dict[str, int]:
    return {one.mountpoint: one.size for one in (*made.partitions, *made.logical)}


# What the definitions of users and ours come to.


@pytest.mark.parametrize("tables", [{}, {"install": unattended(HASH, [KEY])}], ids=["asks", "not"])
def test_every_kickstart_of_the_demo_is_known(tables: dict[str, str], tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "fingerprint").write_text("A" * 40)
    definition = write_demo(tmp_path / "demo", "http://127.0.0.1:1", mirror, tables=tables)
    kickstarts = render_roles(read_blueprint(definition))
    assert {kickstart.role for kickstart in kickstarts} == {
        "minimal",
        "rack-node",
        "nc",
        "frontend",
        "ciab",
        "image",
    }
    for kickstart in kickstarts:
        include = tmp_path / "storage.ks"
        include.write_text(ONE_DISK + SWAP_AND_ROOT)
        text = kickstart.text.replace("/tmp/isobuilder-storage.ks", str(include))
        found = read(text, tmp_path)
        asks = not tables or kickstart.role == "image"
        assert plan.is_asked_for(found.commands) is not asks, kickstart.role


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("autopart", "line 2: this stand-in does not know the command autopart"),
        ("vnc", "line 2: this stand-in does not know the command vnc"),
        ("part / --size=1 --encrypted", "line 2: this stand-in does not know --encrypted of the command part"),
        ("bootloader --location=none", "line 2: this stand-in knows no --location but mbr"),
        ("bootlaoder", "line 2"),
        ("part --size=1", "line 2"),
        ("%packages --multilib\n%end", "line 2: this stand-in does not know --multilib of %packages"),
        ("%addon com_redhat_kdump\n%end", "%addon"),
    ],
)
def test_what_it_does_not_know_it_refuses_by_its_line(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FailureError, match=re.escape(said)):
        read(f"cdrom\n{line}\n", tmp_path)


def test_the_syntax_is_that_of_the_medium(tmp_path: Path) -> None:
    (tmp_path / ".treeinfo").write_text(MEDIUM)
    assert reading.syntax_of(reading.release_of(tmp_path)) == "RHEL9"
    (tmp_path / ".treeinfo").write_text(MEDIUM.replace("9", "99"))
    with pytest.raises(FailureError, match="'99'"):
        reading.release_of(tmp_path)


def test_the_first_reading_takes_pre_and_nothing_else(tmp_path: Path) -> None:
    included = tmp_path / "made"
    file = tmp_path / "ks.cfg"
    file.write_text(
        f"%include {included}\nno-such-command\n%pre --log=/tmp/x\necho lang C >{included}\n%end\n%post\n%end\n"
    )
    [script] = reading.read_pre(file, "RHEL9")
    assert script.script == f"echo lang C >{included}\n"


def test_a_missing_include_is_an_error_the_second_time(tmp_path: Path) -> None:
    with pytest.raises(FailureError, match="not-there"):
        read(f"%include {tmp_path}/not-there\n", tmp_path)


# Disks.


def test_a_bios_disk(tmp_path: Path) -> None:
    made = layout(ONE_DISK + SWAP_AND_ROOT, tmp_path)
    assert made.tables == {"vda": "dos"}
    assert [(one.device, one.kind, one.size, one.label) for one in made.partitions] == [
        ("/dev/vda1", "xfs", 1024, "MARK"),
        ("/dev/vda2", "lvm", 16384 - 2 - 1024, ""),
    ]
    # 3839 extents of 4 MiB, of which a tenth is kept free; swap for 1 GiB of memory is a tenth of the disk.
    extents = (16384 - 2 - 1024 - 1) // 4
    free = extents - -(-extents // 10)
    assert sizes(made)["swap"] == 1640
    assert sizes(made)["/"] == free * 4 - 1640


def test_a_uefi_disk_has_a_partition_for_the_firmware(tmp_path: Path) -> None:
    made = layout(ONE_DISK + SWAP_AND_ROOT, tmp_path, uefi=True)
    assert made.tables == {"vda": "gpt"}
    assert [(one.mountpoint, one.kind, one.size) for one in made.partitions[:2]] == [
        ("/boot/efi", "efi", 600),
        ("/boot", "xfs", 1024),
    ]
    assert [one.mountpoint for one in made.mounted] == ["/", "/boot", "/boot/efi"]


def test_a_disk_that_an_mbr_is_too_small_for(tmp_path: Path) -> None:
    made = layout(ONE_DISK + SWAP_AND_ROOT, tmp_path, 3 * GIB)
    assert made.tables == {"vda": "gpt"}
    assert made.partitions[0].kind == "biosboot"
    assert sizes(made)["/"] == 51200


def test_what_grows_shares_by_size_up_to_its_maximum(tmp_path: Path) -> None:
    volumes = (
        "logvol / --vgname=isobuilder --name=root --size=10000 --grow --maxsize=12000\n"
        "logvol /a --vgname=isobuilder --name=a --size=1000 --grow\n"
        "logvol /b --vgname=isobuilder --name=b --size=3000 --grow\n"
    )
    found = sizes(layout(ONE_DISK + volumes, tmp_path, 64))
    assert found["/"] == 12000
    assert abs(found["/b"] - 3 * found["/a"]) <= 12
    extents = (65536 - 2 - 1024 - 1) // 4
    used = sum(found[one] for one in ("/", "/a", "/b"))
    assert 0 <= (extents - -(-extents // 10)) * 4 - used <= 8


def test_a_volume_of_a_percentage(tmp_path: Path) -> None:
    volumes = (
        "logvol / --vgname=isobuilder --name=root --size=4096\nlogvol /a --vgname=isobuilder --name=a --percent=50\n"
    )
    extents = (16384 - 2 - 1024 - 1) // 4
    free = (extents - -(-extents // 10)) * 4 - 4096
    assert sizes(layout(ONE_DISK + volumes, tmp_path))["/a"] == free // 2 // 4 * 4


@pytest.mark.parametrize(
    ("change", "gib", "said"),
    [
        (("--size=10240", "--size=20480"), 16, r"volume group isobuilder is too small: 22120 MiB are needed, and 1\d+"),
        (
            ("--size=1024 --label", "--size=99999 --label"),
            16,
            "disk vda is too small: 101023 MiB are needed, and 16382",
        ),
        (("--label=MARK", "--label=THIRTEEN-LONG"), 16, "label 'THIRTEEN-LONG' is too long: xfs has 12"),
        (("--size=1024 --label", "--size=200 --label"), 16, "/boot is too small: 300 MiB are needed for xfs, and 200"),
        (("--ondisk=vda", "--ondisk=sdz"), 16, "there is no disk sdz; there are vda"),
        (("--only-use=vda", "--only-use=vdb"), 16, "vda is not among the disks of ignoredisk"),
        (("isobuilder pv.01", "isobuilder pv.02"), 16, "volgroup isobuilder wants pv.02"),
        (("logvol / ", "logvol /data "), 16, "nothing is mounted at /"),
        (("--size=1024 --label", "--size=1024 --fstype=ext3 --label"), 16, "makes no ext3"),
    ],
)
def test_what_cannot_be_made(change: tuple[str, str], gib: int, said: str, tmp_path: Path) -> None:
    text = ONE_DISK + SWAP_AND_ROOT
    assert change[0] in text
    with pytest.raises(FailureError, match=said):
        layout(text.replace(*change), tmp_path, gib)


def test_a_used_disk_is_left_alone_unless_it_is_to_be_cleared(tmp_path: Path) -> None:
    text = ONE_DISK + SWAP_AND_ROOT
    assert layout(text, tmp_path, table="dos").tables
    with pytest.raises(FailureError, match="vda has a partition table, and no clearpart"):
        layout(re.sub("(?m)^clearpart.*\n", "", text), tmp_path, table="dos")
    with pytest.raises(FailureError, match="vda has no partition table"):
        layout(re.sub("(?m)^(clearpart|zerombr).*\n", "", text), tmp_path)


def test_uefi_wants_its_partition(tmp_path: Path) -> None:
    with pytest.raises(FailureError, match="reqpart makes one"):
        layout((ONE_DISK + SWAP_AND_ROOT).replace("reqpart\n", ""), tmp_path, uefi=True)


@pytest.mark.parametrize(
    ("memory", "disk", "swap"),
    [(1000, 10**6, 2016), (4000, 10**6, 4016), (16000, 10**6, 8008), (10**6, 10**6, 4096), (4000, 20000, 2000)],
)
def test_swap_as_blivet_recommends(memory: int, disk: int, swap: int) -> None:
    assert plan.recommended_swap(memory, disk) == swap


# Packages.


def test_packages_in_the_words_of_dnf(tmp_path: Path) -> None:
    text = "%packages\n@^minimal-environment\n@standard\n-@extra\nless\nrack-*\n-rack-doc\n%end\n"
    asked, excluded = payload.wanted(read(text, tmp_path).handler.packages)
    assert asked == ["@^minimal-environment", "@core", "@standard", "less", "rack-*"]
    assert excluded == ["@extra", "rack-doc"]
    assert "@core" not in payload.wanted(read("%packages --nocore\nless\n%end\n", tmp_path).handler.packages)[0]


# Scripts.


def run_scripts(text: str, folder: Path) -> list[str]:
    said: list[str] = []
    found = read(text, folder).scripts
    scripts.run_scripts(Tools(said.append, folder / "log"), found, "%post", Path("/"), logs=folder)
    return said


def test_a_script_has_its_interpreter_and_its_log(tmp_path: Path) -> None:
    run_scripts(
        f"%post --nochroot --interpreter=/usr/bin/python3 --log={tmp_path}/a/b.log\nprint(6 * 7)\n%end\n", tmp_path
    )
    assert (tmp_path / "a/b.log").read_text() == "42\n"


def test_a_script_that_fails_stops_it_only_when_it_says_so(tmp_path: Path) -> None:
    section = "%post --nochroot{}\necho some words\nexit 3\n%end\n"
    said = run_scripts(section.format(""), tmp_path)
    assert said[1:] == ["%post of line 1 ended with status 3, and has no --erroronfail: going on", "  some words"]
    with pytest.raises(FailureError, match="%post of line 1 ended with status 3") as caught:
        run_scripts(section.format(" --erroronfail"), tmp_path)
    assert caught.value.said == ["some words"]


# Network and boot loader.


@pytest.fixture
def interfaces(tmp_path: Path) -> Path:
    net = tmp_path / "net"
    for name, carrier in (("enp1s0", "0"), ("enp2s0", "1")):
        (net / name / "device").mkdir(parents=True)
        (net / name / "carrier").write_text(f"{carrier}\n")
        (net / name / "address").write_text(f"52:54:00:00:00:{name[3]}0\n")
    (net / "lo").mkdir()
    return net


def test_the_network_is_on_the_interface_with_a_link(interfaces: Path, tmp_path: Path) -> None:
    text = "network --bootproto=dhcp --device=link --onboot=yes --no-activate\n"
    assert network.set_network(read(text, tmp_path).handler, tmp_path, interfaces) == ["network: enp2s0, dhcp"]
    [keyfile] = (tmp_path / "etc/NetworkManager/system-connections").iterdir()
    assert keyfile.name == "enp2s0.nmconnection"
    assert keyfile.stat().st_mode & 0o777 == 0o600
    lines = keyfile.read_text().splitlines()
    assert {"interface-name=enp2s0", "autoconnect=true", "method=auto", "type=ethernet"} <= set(lines)


def test_an_address_that_is_given(interfaces: Path, tmp_path: Path) -> None:
    text = (
        "network --bootproto=static --device=52:54:00:00:00:10 --ip=192.0.2.7 --netmask=255.255.240.0"
        " --gateway=192.0.2.1 --nameserver=192.0.2.2,192.0.2.3 --hostname=front.example.org\n"
    )
    (tmp_path / "etc").mkdir()
    said = network.set_network(read(text, tmp_path).handler, tmp_path, interfaces)
    assert said == ["network: this machine is front.example.org", "network: enp1s0, static"]
    lines = (tmp_path / "etc/NetworkManager/system-connections/enp1s0.nmconnection").read_text().splitlines()
    assert {"address1=192.0.2.7/20,192.0.2.1", "method=manual", "dns=192.0.2.2;192.0.2.3;"} <= set(lines)
    assert (tmp_path / "etc/hostname").read_text() == "front.example.org\n"


def test_an_interface_that_is_not_there(interfaces: Path, tmp_path: Path) -> None:
    with pytest.raises(FailureError, match="no interface eth7"):
        network.set_network(read("network --bootproto=dhcp --device=eth7\n", tmp_path).handler, tmp_path, interfaces)


@pytest.mark.parametrize(
    ("append", "serial"),
    [("console=tty0 console=ttyS1,57600", ["serial --unit=1 --speed=57600"]), ("quiet", []), ("", [])],
)
def test_the_menu_of_the_installed_system(append: str, serial: list[str], tmp_path: Path) -> None:
    for version in ("6.1.0-1", "6.1.0-2"):
        (tmp_path / f"vmlinuz-{version}").touch()
    menu = bootloader.menu(tmp_path, "some-uuid", "", "/dev/mapper/isobuilder-root", append)
    lines = [line.strip() for line in menu.splitlines()]
    assert [line for line in lines if line.startswith("serial")] == serial
    assert next(line for line in lines if line.startswith("linux")) == (
        f"linux /vmlinuz-6.1.0-2 root=/dev/mapper/isobuilder-root ro {append}".strip()
    )
    subprocess.run(["grub-script-check"], input=menu, text=True, check=True)


def test_a_system_without_a_kernel(tmp_path: Path) -> None:
    with pytest.raises(FailureError, match="no package has put a kernel"):
        bootloader.menu(tmp_path, "some-uuid", "", "/dev/sda1", "")
