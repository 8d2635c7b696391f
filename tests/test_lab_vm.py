"""Labs of real machines: they outlive the command, reach each other, are stopped, started again and never forgotten."""

import json
import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from isobuilder.boot.check import LOCAL_STARTED
from isobuilder.lab.ending import control_of
from isobuilder.lab.medium import read_lab_medium
from isobuilder.lab.processes import is_alive, kill
from isobuilder.lab.state import Lab, find_labs, read_state
from tests.conftest import isobuilder, loopback_environ
from tests.lab_medium import FRONT_HEARD, NODE_HEARD, READY, make_lab_medium, make_lab_tree, write_lab_iso

pytestmark = [pytest.mark.vm, pytest.mark.practice]

SECONDS = 180
SMALL = ("--memory", "256", "--disk-size", "1", "--firmware", "bios")
KEYS = {"down": "\x1b[B", "ret": "\r"}


@pytest.fixture(scope="module")
def medium(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A medium whose menu waits for somebody."""
    return make_lab_medium(mirror, tmp_path_factory.mktemp("medium"))


@pytest.fixture(scope="module")
def hasty(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same medium, whose menu starts the local disk after three seconds."""
    return make_lab_medium(mirror, tmp_path_factory.mktemp("hasty"), timeout=3)


class Labs:
    """The command line with a place of its own for labs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {"XDG_STATE_HOME": str(home)}
        self.root = home / "isobuilder/labs"

    def run(self, *arguments: str | Path, expect: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        done = isobuilder("lab", *map(str, arguments), cwd=None, **(self.environ | environ))
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def listed(self) -> dict[str, dict[str, Any]]:
        """The machines of all labs by LAB/MACHINE."""
        labs = json.loads(self.run("list", "--json").stdout)
        return {f"{lab['name']}/{machine['name']}": machine for lab in labs for machine in lab["machines"]}

    def states(self) -> dict[str, str]:
        return {name: machine["state"] for name, machine in self.listed().items()}

    def running(self) -> list[str]:
        """The command lines of this computer's processes that belong to a lab of these."""
        found = []
        for folder in Path("/proc").iterdir():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                place = (folder / "cwd").readlink()
            except OSError:
                continue
            if place.is_relative_to(self.root):
                found.append(line)
        return found

    def state(self, name: str) -> Lab:
        lab = read_state(self.root / name)
        assert lab
        return lab

    def console(self, *arguments: str) -> Any:
        """The command `lab console`, on a terminal of 80 columns and 24 lines."""
        command = ["-m", "isobuilder", "lab", "console", *arguments]
        environ = {**loopback_environ(), **self.environ, "TERM": "linux"}
        return pexpect.spawn(sys.executable, command, env=environ, dimensions=(24, 80), timeout=SECONDS)

    def said(self, name: str, machine: str, pattern: str) -> None:
        """Wait until a machine's console has said it, since its disk was made."""
        log = self.root / name / machine / "console.log"
        reading = pexpect.spawn("tail", ["-c", "+1", "-f", str(log)], timeout=SECONDS)
        try:
            reading.expect_exact(pattern)
        finally:
            reading.close(force=True)


@pytest.fixture
def labs(tmp_path: Path) -> Iterator[Labs]:
    made = Labs(tmp_path / "state")
    yield made
    for folder in find_labs(made.root):
        lab = read_state(folder)
        for process in (lab.switch, *(machine.process for machine in lab.machines)) if lab else ():
            if process:
                kill(process)


def test_a_cloud_comes_up_by_itself_speaks_and_keeps_its_disks(hasty: Path, labs: Labs) -> None:
    up = labs.run("up", hasty, *SMALL, "--nodes", "1", "--unattended")
    assert "front: choosing 'Install the front end' in the menu" in up.stderr
    assert "node1: choosing 'Install a node controller' in the menu" in up.stderr
    assert labs.states() == {"lab-cloud/front": "running", "lab-cloud/node1": "running"}
    labs.said("lab-cloud", "front", FRONT_HEARD)
    labs.said("lab-cloud", "node1", NODE_HEARD)
    # The guests switch themselves off at their power button, long before they would be ended.
    stopped = labs.run("stop", "--grace", "120")
    assert "ended now" not in stopped.stderr
    assert labs.states() == {"lab-cloud/front": "off", "lab-cloud/node1": "off"}
    assert labs.state("lab-cloud").switch is None
    # The menu's default starts the disk, on which the guests have written what it says.
    again = labs.run("up")
    assert "choose" not in again.stderr
    for machine in ("front", "node1"):
        labs.said("lab-cloud", machine, LOCAL_STARTED)
    removed = labs.run("down", "--grace", "0", "--remove-disks")
    assert "removed, with its disks" in removed.stdout
    assert not list(labs.root.iterdir())
    assert not labs.running()


def test_a_person_chooses_at_the_console(medium: Path, labs: Labs) -> None:
    up = labs.run("up", medium, *SMALL, "--nodes", "0")
    assert "front: choose 'Install the front end' at isobuilder lab console front" in up.stderr
    role = read_lab_medium(medium, "bios").role("frontend", None)
    assert role
    console = labs.console("front")
    before = termios.tcgetattr(console.child_fd)
    console.expect("the console of front; Ctrl-] leaves it")
    console.expect("Boot from the local disk")
    assert termios.tcgetattr(console.child_fd) != before
    for presses, shown in zip(
        role.line.presses, ("drawn on the screen[.]", "Command line: .*/frontend.cfg"), strict=True
    ):
        for key in presses:
            # A list ends below the default, so that "down" too often is as good as from its first line.
            if key != "home":
                console.send(KEYS[key])
        console.expect(shown)
    console.expect_exact(READY)
    busy = labs.console("front")
    busy.expect("somebody is attached to this console already")
    busy.expect(pexpect.EOF)
    console.send("\x03hello\r")
    console.expect("lab guest: heard <hello>")
    console.send("\x1d")
    console.expect(pexpect.EOF)
    assert termios.tcgetattr(console.child_fd) == before
    console.close()
    assert console.exitstatus == 0
    # What was said before is shown again, and the terminal is itself also when the command is told to end.
    later = labs.console("front")
    before = termios.tcgetattr(later.child_fd)
    later.expect("lab guest: heard <hello>")
    later.kill(signal.SIGTERM)
    later.expect(pexpect.EOF)
    assert termios.tcgetattr(later.child_fd) == before
    later.close()
    assert later.exitstatus == 130
    # It ends with the machine.
    last = labs.console("front")
    last.expect_exact(READY)
    labs.run("stop", "front")
    last.expect("front: the machine is off")
    last.expect(pexpect.EOF)
    last.close()
    assert last.exitstatus == 0
    off = labs.run("console", "front", expect=2)
    assert "the console needs a terminal" in off.stderr
    gone = labs.console("front")
    gone.expect("front: the machine does not run")
    gone.expect(pexpect.EOF)
    gone.close()
    assert gone.exitstatus == 7


def test_a_machine_that_was_killed_is_told_and_started_again(medium: Path, labs: Labs) -> None:
    labs.run("up", medium, *SMALL, "--nodes", "1", "--network-out")
    before = labs.listed()
    assert before["lab-cloud/front"]["ssh"].startswith("127.0.0.1:")
    assert before["lab-cloud/front"]["ssh"] != before["lab-cloud/node1"]["ssh"]
    kill_hard(before["lab-cloud/node1"]["pid"])
    after = labs.listed()["lab-cloud/node1"]
    assert (after["state"], after["pid"], after["ssh"]) == ("crashed", None, None)
    table = labs.run("list").stdout
    assert "node1: QEMU was killed, and said nothing" in table
    switch = labs.state("lab-cloud").switch
    assert switch
    kill(switch)
    assert "the private network is down: isobuilder lab up starts it again" in labs.run("list").stdout
    labs.run("up", "--name", "lab-cloud")
    again = labs.listed()
    assert again["lab-cloud/front"]["pid"] == before["lab-cloud/front"]["pid"]
    assert again["lab-cloud/node1"]["state"] == "running"
    assert is_alive(labs.state("lab-cloud").switch)


def kill_hard(pid: int) -> None:
    watched = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([watched], [], [], SECONDS)[0]
    os.close(watched)


def test_what_fails_half_way_leaves_nothing_behind(medium: Path, labs: Labs, tmp_path: Path) -> None:
    fake = tmp_path / "bin/qemu-system-x86_64"
    fake.parent.mkdir()
    fake.write_text(
        '#!/bin/sh\ncase "$*" in *half-node2*) echo "no such processor" >&2; exit 1 ;; esac\n'
        'exec -a qemu-system-x86_64 /usr/bin/qemu-system-x86_64 "$@"\n'.replace("/bin/sh", "/bin/bash")
    )
    fake.chmod(0o755)
    path = f"{fake.parent}:{os.environ['PATH']}"
    failed = labs.run("up", medium, *SMALL, "--nodes", "2", "--name", "half", expect=7, PATH=path)
    assert "node1: started" in failed.stderr
    assert "node2: QEMU does not start" in failed.stderr
    assert "no such processor" in failed.stderr
    assert not labs.running()
    assert not list(labs.root.iterdir())


def test_a_lab_that_is_there_loses_nothing_when_it_does_not_start(medium: Path, labs: Labs, tmp_path: Path) -> None:
    labs.run("up", medium, *SMALL, "--nodes", "1", "--name", "half")
    labs.run("stop", "node1", "--grace", "0")
    fake = tmp_path / "bin/qemu-system-x86_64"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    failed = labs.run("up", expect=7, PATH=f"{fake.parent}:{os.environ['PATH']}")
    assert "node1: QEMU does not start" in failed.stderr
    assert labs.states() == {"half/front": "running", "half/node1": "off"}
    labs.run("up")
    assert labs.states() == {"half/front": "running", "half/node1": "running"}


def test_uefi_shows_the_menu_at_every_start(demo_iso: Path, labs: Labs) -> None:
    labs.run("up", demo_iso, "--memory", "512", "--disk-size", "1", "--nodes", "0", "--name", "efi")
    place = labs.root / "efi/front"
    labs.said("efi", "front", "Boot from the local disk")
    labs.run("stop", "--grace", "0")
    (place / "console.log").unlink()
    labs.run("up")
    labs.said("efi", "front", "Boot from the local disk")


def test_qemu_takes_a_machine_of_the_other_kind(tmp_path: Path, labs: Labs) -> None:
    iso = write_lab_iso(make_lab_tree(tmp_path / "tree", kind="aarch64", console="ttyAMA0"), tmp_path / "arm.iso")
    labs.run("up", iso, "--memory", "256", "--disk-size", "1", "--nodes", "1", "--network-out")
    assert labs.states() == {"arm/front": "running", "arm/node1": "running"}


def test_a_machine_that_stands_still_is_told(medium: Path, labs: Labs) -> None:
    labs.run("up", medium, *SMALL, "--nodes", "0")
    place = labs.root / "lab-cloud"
    with control_of(place, labs.state("lab-cloud").machine("front")) as control:
        control.execute("stop")
    assert labs.states() == {"lab-cloud/front": "paused"}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_is_ended_half_way_leaves_no_machine_unknown(
    how: signal.Signals, medium: Path, labs: Labs
) -> None:
    command = [sys.executable, "-m", "isobuilder", "lab", "up", str(medium), *SMALL, "--unattended", "--nodes", "1"]
    up = pexpect.spawn(command[0], command[1:], env={**loopback_environ(), **labs.environ}, timeout=SECONDS)
    up.expect("front: choosing")
    up.kill(how)
    up.expect(pexpect.EOF)
    up.close()
    if how is signal.SIGTERM:
        assert up.exitstatus == 130
        assert not list(labs.root.iterdir())
    else:
        assert labs.states() == {"lab-cloud/front": "running", "lab-cloud/node1": "off"}
        labs.run("down", "--remove-disks", "--grace", "0")
    assert not labs.running()


def test_two_labs_at_once_and_names_that_are_taken(medium: Path, hasty: Path, labs: Labs) -> None:
    labs.run("up", medium, *SMALL, "--nodes", "0", "--name", "one")
    labs.run("up", medium, *SMALL, "--nodes", "0", "--name", "two")
    assert labs.states() == {"one/front": "running", "two/front": "running"}
    assert labs.listed()["one/front"]["mac"] != labs.listed()["two/front"]["mac"]
    taken = labs.run("up", hasty, "--name", "one", "--nodes", "3", expect=2)
    assert "there is a lab one already, and it is another" in taken.stderr
    assert f"ISO: it has {medium}, not {hasty}" in taken.stderr
    assert "--nodes: it has 0, not 3" in taken.stderr
    several = labs.run("stop", expect=2)
    assert "there are several labs" in several.stderr
    labs.run("stop", "--name", "one", "--grace", "0")
    assert labs.states() == {"one/front": "off", "two/front": "running"}
