"""Labs without a machine: what is asked, the file they are kept in, processes that are known again, libvirt's XML."""

import contextlib
import fcntl
import json
import os
import re
import shlex
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from isobuilder.boot.drives import make_disk
from isobuilder.boot.firmware import OVMF, firmware_arguments
from isobuilder.boot.hardware import AARCH64, X86_64
from isobuilder.errors import HostError, MediumError, UsageError
from isobuilder.lab.ending import remove, stop
from isobuilder.lab.folder import check_space
from isobuilder.lab.libvirt import commands, libvirt_files, write_files
from isobuilder.lab.listing import as_lines, look
from isobuilder.lab.machines import DISK, PID
from isobuilder.lab.medium import read_lab_medium
from isobuilder.lab.nested import nested_words
from isobuilder.lab.processes import identify, is_alive, kill, wait_for_end
from isobuilder.lab.running import up
from isobuilder.lab.state import (
    LOCK,
    STATE,
    Lab,
    LabMachine,
    labs_root,
    locked,
    mac_address,
    machine_names,
    read_state,
    write_state,
)
from isobuilder.lab.wish import Wish, new_lab, roles_for
from isobuilder.progress import Silent
from tests.conftest import isobuilder
from tests.lab_medium import make_lab_tree, write_lab_iso

GIB = 1 << 30


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A medium with menu and kickstarts, and nothing to start."""
    folder = tmp_path_factory.mktemp("medium")
    return write_lab_iso(make_lab_tree(folder / "tree"), folder / "Lab Cloud.iso")


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, whose installer asks for the disk."""
    folder = tmp_path_factory.mktemp("asking")
    return write_lab_iso(make_lab_tree(folder / "tree", unattended=False), folder / "asking.iso")


def a_lab(**changes: object) -> Lab:
    fields: dict[str, object] = {
        "name": "demo",
        "iso": "/media/a & b's.iso",
        "arch": "x86_64",
        "firmware": "uefi",
        "serial_port": 0,
        "memory_mib": 2048,
        "disk_gib": 40,
        "network_out": False,
        "machines": tuple(LabMachine(name=name) for name in machine_names(2)),
    }
    return Lab(**(fields | changes))  # type: ignore[arg-type]


def kept(folder: Path, lab: Lab) -> Path:
    """The lab as a command leaves it behind."""
    for machine in lab.machines:
        (folder / machine.name).mkdir(parents=True)
        (folder / machine.name / DISK).write_bytes(b"disk")
    write_state(folder, lab)
    return folder


class TestMedium:
    def test_roles_are_known_by_the_parts_of_a_cloud_that_they_make(self, medium: Path) -> None:
        found = read_lab_medium(medium, "bios")
        assert {name: role.parts for name, role in found.roles.items()} == {
            "nc": ("nc",),
            "frontend": ("frontend",),
            "ciab": ("frontend", "nc"),
            "minimal": (),
            "rack-node": (),
        }
        lab, _ = new_lab("demo", Wish(medium, nodes=2, firmware="bios"))
        roles = roles_for(lab, found, Wish(medium, unattended=True))
        assert {name: role.line.id for name, role in roles.items()} == {
            "front": "frontend-serial",
            "node1": "nc-serial",
            "node2": "nc-serial",
        }
        chosen = roles_for(lab, found, Wish(medium, unattended=True, front_end="ciab", node="rack-node"))
        assert {role.line.id for role in chosen.values()} == {"ciab-serial", "rack-node-serial"}

    def test_a_role_that_is_not_there_and_one_that_asks(self, medium: Path, asking: Path) -> None:
        with pytest.raises(UsageError, match=r"--node: the medium has no role 'ncc'; did you mean .*nc"):
            read_lab_medium(medium, "bios").role("nc", "ncc")
        with pytest.raises(UsageError, match="the installer of frontend-serial asks a person which disk to use"):
            read_lab_medium(asking, "bios").unattended_role("frontend", None)

    def test_what_is_no_medium_for_a_lab(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="No such file"):
            read_lab_medium(tmp_path / "none.iso", "bios")
        (tmp_path / "text.iso").write_text("not an image")
        with pytest.raises(MediumError):
            read_lab_medium(tmp_path / "text.iso", "bios")
        silent = write_lab_iso(make_lab_tree(tmp_path / "tree", console=None), tmp_path / "silent.iso")
        with pytest.raises(UsageError, match="the menu is on no serial console"):
            read_lab_medium(silent, "bios")

    def test_no_role_says_what_it_is_for(self, tmp_path: Path) -> None:
        tree = make_lab_tree(tmp_path / "tree")
        for kickstart in (tree / "ks").iterdir():
            kickstart.write_text(kickstart.read_text().replace("PARTS", "OTHER"))
        found = read_lab_medium(write_lab_iso(tree, tmp_path / "plain.iso"), "bios")
        with pytest.raises(UsageError, match="--unattended: nothing on the medium says") as caught:
            found.unattended_role("frontend", None)
        assert "Name it with --front-end: the medium has nc, frontend, ciab" in caught.value.hint


class TestState:
    def test_it_is_what_it_was(self, tmp_path: Path) -> None:
        lab = a_lab(switch=identify(os.getpid()))
        write_state(tmp_path, lab)
        assert read_state(tmp_path) == lab
        assert [path.name for path in tmp_path.iterdir()] == [STATE]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            '{"version": 2}',
            a_lab().model_dump_json().replace("node1", "../../etc"),
            a_lab().model_dump_json().replace('"demo"', '"-demo"'),
            a_lab().model_dump_json().replace('"arch"', '"arhc"'),
        ],
    )
    def test_a_file_that_is_not_ours_is_refused(self, text: str, tmp_path: Path) -> None:
        (tmp_path / STATE).write_text(text)
        commands: tuple[Callable[[], object], ...] = (
            lambda: read_state(tmp_path),
            lambda: stop(tmp_path, (), 0, Silent()),
            lambda: remove(tmp_path, 0, Silent()),
            lambda: up(tmp_path, "demo", Wish(None), Silent()),
        )
        for command in commands:
            with pytest.raises(HostError, match="this is not what isobuilder writes there"):
                command()
        assert (tmp_path / STATE).read_text() == text

    def test_two_commands_do_not_change_one_lab(self, tmp_path: Path, medium: Path) -> None:
        kept(tmp_path / "lab", a_lab())
        with locked(tmp_path / "lab"):
            commands: tuple[Callable[[], object], ...] = (
                lambda: stop(tmp_path / "lab", (), 0, Silent()),
                lambda: remove(tmp_path / "lab", 0, Silent()),
                lambda: up(tmp_path / "lab", "demo", Wish(medium), Silent()),
            )
            for command in commands:
                with pytest.raises(HostError, match="another command is at work on this lab"):
                    command()
        assert read_state(tmp_path / "lab") == a_lab()

    def test_a_lock_that_was_removed_with_its_lab_is_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        take = fcntl.flock

        def late(file: int, how: int) -> None:
            (tmp_path / LOCK).unlink()
            (tmp_path / LOCK).touch()
            take(file, how)

        monkeypatch.setattr(fcntl, "flock", late)
        with pytest.raises(HostError, match="another command is at work"), locked(tmp_path):
            pass

    def test_where_labs_are(self) -> None:
        assert labs_root({"XDG_STATE_HOME": "/state", "HOME": "/home/a"}) == Path("/state/isobuilder/labs")
        assert labs_root({"XDG_STATE_HOME": "state", "HOME": "/h"}) == Path("/h/.local/state/isobuilder/labs")
        with pytest.raises(HostError, match="there is no place for labs"):
            labs_root({})

    def test_addresses_of_network_cards_follow_from_names(self) -> None:
        assert mac_address("demo", "front", "lan") == mac_address("demo", "front", "lan")
        names = [(lab, machine, net) for lab in ("a", "b") for machine in ("front", "node1") for net in ("lan", "out")]
        macs = {mac_address(lab, machine, net) for lab, machine, net in names}  # type: ignore[arg-type]
        assert len(macs) == len(names)
        assert all(re.fullmatch(r"52:54:00(:[0-9a-f]{2}){3}", mac) for mac in macs)


class TestProcesses:
    def test_an_id_that_was_given_anew_is_another_process(self, tmp_path: Path) -> None:
        with subprocess.Popen(["sleep", "1000"]) as other, contextlib.ExitStack() as ending:
            ending.callback(other.kill)
            here = identify(other.pid)
            assert here
            assert is_alive(here)
            stale = here.model_copy(update={"started": here.started - 1})
            elsewhen = here.model_copy(update={"boot": "another"})
            for wrong in (stale, elsewhen):
                machines = (LabMachine(name="front", process=wrong),)
                kept(tmp_path / str(wrong.started) / wrong.boot, a_lab(machines=machines, switch=wrong))
                folder = tmp_path / str(wrong.started) / wrong.boot
                assert look(folder, a_lab(machines=machines)).machines[0].pid is None
                stop(folder, (), 0, Silent())
                kill(wrong)
                assert is_alive(here)
            assert wait_for_end([here], 0) == [here]
            kill(here)
            assert not is_alive(here)
            assert wait_for_end([here], 60) == []

    def test_only_what_left_its_id_behind_has_crashed(self, tmp_path: Path) -> None:
        with subprocess.Popen(["true"]) as done:
            gone = identify(os.getpid())
            assert gone
            gone = gone.model_copy(update={"pid": done.pid})
        lab = a_lab(machines=(LabMachine(name="front", process=gone),))
        folder = kept(tmp_path / "lab", lab)
        assert look(folder, lab).machines[0].state == "off"
        (folder / "front" / PID).write_text("1")
        (folder / "front/qemu.log").write_text("first\nqemu: out of luck\n")
        assert look(folder, lab).machines[0].state == "crashed"
        assert "  front: qemu: out of luck" in list(as_lines([look(folder, lab)]))
        # After a start of the computer nothing is known of how it ended.
        earlier = a_lab(machines=(LabMachine(name="front", process=gone.model_copy(update={"boot": "earlier"})),))
        assert look(folder, earlier).machines[0].state == "off"


class TestFolder:
    def test_what_it_has_not_made_is_not_removed(self, tmp_path: Path) -> None:
        folder = kept(tmp_path / "lab", a_lab())
        (folder / "front/notes.txt").write_text("mine")
        with pytest.raises(UsageError, match="there are files that isobuilder has not made, so nothing was removed"):
            remove(folder, 0, Silent())
        assert (folder / "node2" / DISK).exists()
        (folder / "front/notes.txt").unlink()
        remove(folder, 0, Silent())
        assert not folder.exists()
        with pytest.raises(UsageError, match="there is no lab"):
            remove(folder, 0, Silent())

    def test_what_a_killed_command_left_of_the_labs_file_is_removed_too(self, tmp_path: Path) -> None:
        folder = kept(tmp_path / "lab", a_lab())
        (folder / f".{STATE}.0123abcd.part").write_text('{"version"')
        remove(folder, 0, Silent())
        assert not folder.exists()

    def test_a_link_is_removed_and_not_what_it_leads_to(self, tmp_path: Path) -> None:
        folder = kept(tmp_path / "lab", a_lab())
        (tmp_path / "precious").write_text("mine")
        (folder / "front" / DISK).unlink()
        (folder / "front" / DISK).symlink_to(tmp_path / "precious")
        remove(folder, 0, Silent())
        assert (tmp_path / "precious").read_text() == "mine"

    def test_a_folder_with_files_is_no_place_for_a_new_lab(self, tmp_path: Path, medium: Path) -> None:
        (tmp_path / "thesis.tex").write_text("mine")
        with pytest.raises(UsageError, match="this folder has files and no lab"):
            up(tmp_path, "demo", Wish(medium, firmware="bios"), Silent())
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_space_is_looked_at_before_anything_is_made(self, tmp_path: Path, medium: Path) -> None:
        with pytest.raises(HostError, match="there is not enough space for the disks"):
            up(tmp_path / "lab", "demo", Wish(medium, nodes=1, firmware="bios"), Silent(), free=lambda _: 2 * GIB - 1)
        assert not (tmp_path / "lab").exists()

    def test_disks_that_can_outgrow_the_room_are_told(self, tmp_path: Path) -> None:
        told: list[str] = []

        class Listening(Silent):
            def warning(self, line: str) -> None:
                told.append(line)

        check_space(tmp_path, a_lab(), Listening(), lambda _: 120 * GIB)
        assert not told
        check_space(tmp_path, a_lab(), Listening(), lambda _: 120 * GIB - 1)
        assert len(told) == 1
        assert "the disks can grow to 128.8 GB together" in told[0]

    def test_without_qemu_it_is_said_what_to_install(
        self, tmp_path: Path, medium: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(HostError, match="qemu-system-x86_64: no such program") as caught:
            up(tmp_path / "lab", "demo", Wish(medium, firmware="bios"), Silent())
        assert "apt install qemu-system-x86" in caught.value.hint
        assert not (tmp_path / "lab").exists()


class TestMachines:
    def test_a_disk_that_cannot_be_made(self, tmp_path: Path) -> None:
        with pytest.raises(HostError, match="the disk cannot be made") as caught:
            make_disk(tmp_path / "none/disk.qcow2", 1)
        assert "No such file or directory" in caught.value.details[0]

    def test_what_qemu_img_makes_is_as_large_as_was_asked(self, tmp_path: Path) -> None:
        make_disk(tmp_path / "disk.qcow2", 3)
        said = subprocess.run(
            ["qemu-img", "info", "--output=json", tmp_path / "disk.qcow2"], capture_output=True, check=True
        )
        assert json.loads(said.stdout)["virtual-size"] == 3 * GIB
        assert (tmp_path / "disk.qcow2").stat().st_size < 1 << 20

    def test_a_lab_that_could_not_be_made_is_gone(
        self, tmp_path: Path, medium: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake = tmp_path / "bin/qemu-img"
        fake.parent.mkdir()
        fake.write_text('#!/bin/sh\ncase "$*" in *node1*) echo "No space left on device" >&2; exit 1 ;; esac\n')
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
        for folder in (tmp_path / "lab", tmp_path / "empty"):
            (tmp_path / "empty").mkdir(exist_ok=True)
            with pytest.raises(HostError, match="the disk cannot be made") as caught:
                up(folder, "demo", Wish(medium, nodes=1, firmware="bios"), Silent())
            assert caught.value.details == ("No space left on device",)
        assert not (tmp_path / "lab").exists()
        assert not list((tmp_path / "empty").iterdir())

    def test_variables_of_an_earlier_start_are_kept(self, tmp_path: Path) -> None:
        firmware_arguments("uefi", tmp_path, OVMF)
        assert (tmp_path / "variables").stat().st_size > 1000
        (tmp_path / "variables").write_bytes(b"mine")
        firmware_arguments("uefi", tmp_path, OVMF)
        assert (tmp_path / "variables").read_bytes() == b"mine"

    def test_another_lab_than_was_asked_for_is_told(self, tmp_path: Path, medium: Path) -> None:
        folder = kept(tmp_path / "lab", a_lab(iso=str(medium), firmware="bios"))
        wish = Wish(medium, "other", 2, 4096, 40, "uefi", network_out=True, node="nc")
        with pytest.raises(UsageError, match="there is a lab demo already, and it is another") as caught:
            up(folder, "other", wish, Silent())
        assert caught.value.details == (
            "--name: it has demo, not other",
            "--memory: it has 2048, not 4096",
            "--firmware: it has bios, not uefi",
            "--network-out: it has False, not True",
            "--unattended, --front-end, --node: roles are chosen when a lab is made, and installed by now",
        )


class TestNested:
    @pytest.mark.parametrize(
        ("module", "says", "words"),
        [
            ("kvm_intel", "Y\n", "nested virtualisation: yes, kvm_intel allows it"),
            ("kvm_amd", "1\n", "nested virtualisation: yes, kvm_amd allows it"),
            ("kvm_amd", "0\n", "nested virtualisation: no, kvm_amd has it switched off"),
            ("kvm_other", "Y\n", "nested virtualisation: this computer does not say"),
        ],
    )
    def test_the_kernel_says_it(self, module: str, says: str, words: str, tmp_path: Path) -> None:
        (tmp_path / module / "parameters").mkdir(parents=True)
        (tmp_path / module / "parameters/nested").write_text(says)
        assert nested_words("kvm", tmp_path).startswith(words)
        assert "only as QEMU translates it" in nested_words("tcg", tmp_path)


def valid(path: Path, kind: str) -> bool:
    done = subprocess.run(["virt-xml-validate", path, kind], capture_output=True, text=True, check=False)
    return done.returncode == 0


class TestLibvirt:
    @pytest.mark.parametrize("firmware", ["bios", "uefi", "uefi-secure"])
    @pytest.mark.parametrize("network_out", [False, True])
    def test_libvirt_takes_the_files(self, firmware: str, network_out: bool, tmp_path: Path) -> None:  # noqa: FBT001
        files = libvirt_files(a_lab(firmware=firmware, network_out=network_out, serial_port=1), X86_64)
        assert list(files) == ["demo-network.xml", "demo-front.xml", "demo-node1.xml", "demo-node2.xml"]
        write_files(files, tmp_path)
        for name in files:
            assert valid(tmp_path / name, "network" if name == "demo-network.xml" else "domain"), name

    def test_an_aarch64_machine_is_taken_too(self, tmp_path: Path) -> None:
        write_files(libvirt_files(a_lab(arch="aarch64"), AARCH64), tmp_path)
        assert valid(tmp_path / "demo-front.xml", "domain")

    @pytest.mark.parametrize(
        ("kind", "right", "wrong"),
        [
            ("domain", "<vcpu>2</vcpu>", "<vcpu>many</vcpu>"),
            ("domain", 'mode="host-passthrough"', 'mode="wishful"'),
            ("domain", 'unit="MiB"', 'unit="bags"'),
            ("domain", 'firmware="efi"', 'firmware="ofw"'),
            ("network", "<name>demo</name>", ""),
        ],
    )
    def test_the_judge_refuses_bad_files(self, kind: str, right: str, wrong: str, tmp_path: Path) -> None:
        name = "demo-network.xml" if kind == "network" else "demo-front.xml"
        text = libvirt_files(a_lab(), X86_64)[name]
        assert right in text
        (tmp_path / name).write_text(text.replace(right, wrong))
        ET.parse(tmp_path / name)
        assert not valid(tmp_path / name, kind)

    def test_what_a_machine_is(self) -> None:
        text = libvirt_files(a_lab(network_out=True), X86_64)["demo-node1.xml"]
        domain = ET.fromstring(text)
        assert domain.get("type") == "kvm"
        cpu, system = domain.find("cpu"), domain.find("os")
        assert cpu is not None
        assert cpu.get("mode") == "host-passthrough"
        assert system is not None
        assert system.get("firmware") == "efi"
        assert [each.get("network") for each in domain.findall("devices/interface/source")] == ["demo", "default"]
        macs = [each.get("address") for each in domain.findall("devices/interface/mac")]
        assert macs == [mac_address("demo", "node1", "lan"), mac_address("demo", "node1", "out")]
        sources = [each.get("file") for each in domain.findall("devices/disk/source")]
        assert sources == ["/media/a & b's.iso", "/var/lib/libvirt/images/demo-node1.qcow2"]
        assert [each.get("order") for each in domain.findall("devices/disk/boot")] == ["1", "2"]
        # Neither an address of the host, which would bring DHCP, nor a way out.
        network = ET.fromstring(libvirt_files(a_lab(), X86_64)["demo-network.xml"])
        assert [each.tag for each in network] == ["name"]

    def test_the_commands_name_every_file(self, tmp_path: Path) -> None:
        output = tmp_path / "a folder"
        files = libvirt_files(a_lab(), X86_64)
        write_files(files, output)
        words = [shlex.split(line, comments=True) for line in commands(a_lab(), output)]
        named = [word[2] for word in words if word[1] in {"net-define", "define"}]
        assert sorted(named) == sorted(str(output / name) for name in files)
        assert ["virsh", "vol-create-as", "default", "demo-node2.qcow2", "40G", "--format", "qcow2"] in words

    def test_the_command(self, medium: Path, tmp_path: Path) -> None:
        arguments = ("lab", "libvirt", str(medium), "--firmware", "bios", "--nodes", "1", "--output", str(tmp_path))
        done = isobuilder(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0] == f"virsh net-define {tmp_path}/lab-cloud-network.xml"
        assert valid(tmp_path / "lab-cloud-front.xml", "domain")
        again = isobuilder(*arguments)
        assert again.returncode == 2
        assert "these files are there already" in again.stderr


class TestCommands:
    def test_nothing_there(self, tmp_path: Path) -> None:
        environ = {"XDG_STATE_HOME": str(tmp_path)}
        empty = isobuilder("lab", "list", cwd=None, **environ)
        assert (empty.returncode, empty.stdout) == (0, "")
        assert "there is no lab; isobuilder lab up ISO makes one" in empty.stderr
        assert json.loads(isobuilder("lab", "list", "--json", cwd=None, **environ).stdout) == []
        for command in ("stop", "down", "up"):
            done = isobuilder("lab", command, cwd=None, **environ)
            assert done.returncode == 2
            assert "there is no lab in" in done.stderr
        missing = isobuilder("lab", "up", "missing.iso", cwd=None, **environ)
        assert missing.returncode == 2
        assert "missing.iso" in missing.stderr
        assert not (tmp_path / "isobuilder/labs/missing").exists()

    @pytest.mark.parametrize("name", ["..", "a/b", "-a", "A", "a" * 32, ""])
    def test_names_that_cannot_be(self, name: str, medium: Path, tmp_path: Path) -> None:
        done = isobuilder("lab", "up", str(medium), f"--name={name}", cwd=None, XDG_STATE_HOME=str(tmp_path))
        assert done.returncode == 2
        assert "cannot be a lab's name" in done.stderr
        assert not list(tmp_path.iterdir())
