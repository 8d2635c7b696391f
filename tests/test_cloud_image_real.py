"""A machine image out of the practice medium, made by the wizard with this host's real tools, read back, and booted."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from isobuilder.firstlogin.cloud.image import Maker
from isobuilder.firstlogin.cloud.imagefacts import FIRST, SIZES
from isobuilder.firstlogin.effects import Effects, Result, run_command
from isobuilder.firstlogin.machine import look
from isobuilder.firstlogin.model import FAIL, PASS
from tests.conftest import Demo
from tests.scratch_machine import FACTS

BOOT_SECONDS = 600
ACCOUNT = "000123456789"
SUBMOUNTS = ("", "/proc", "/sys", "/dev")


@dataclass
class Cloud:
    """A cloud that takes images: what it was told, and the disk that it was brought."""

    folder: Path
    told: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def disk(self) -> Path:
        return self.folder / "disk.img"

    def answer(self, words: Sequence[str]) -> Result:
        self.told.append(tuple(words))
        if words[0] == "euca-describe-images":
            manifest = "machine-images/practice-cloud-practice-small.manifest.xml"
            return Result(0, f"IMAGE\temi-1234abcd\t{manifest}\t{ACCOUNT}\tavailable\n" if self.disk.exists() else "")
        if words[0] == "euare-accountlist":
            return Result(0, f"eucalyptus\t{ACCOUNT}\n")
        if words[0] == "euca-install-image":
            os.link(words[words.index("-i") + 1], self.disk)
            return Result(0, "IMAGE\temi-1234abcd\n")
        return Result(0, "")


@pytest.fixture(scope="module")
def medium(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is on the demo medium, in a folder: this kernel may know no ISO 9660."""
    folder = tmp_path_factory.mktemp("medium") / "content"
    command = ["xorriso", "-osirrox", "on", "-indev", str(demo.iso), "-extract", "/", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def made(medium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The image, as the cloud was brought it."""
    root = tmp_path_factory.mktemp("front-end")
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    lay_front_end(root, medium)

    def run(argv: Sequence[str], given: str, timeout: int) -> Result:
        if argv[0] == "cloud-admin":
            return cloud.answer(argv[1:])
        if argv[0] in ("/bin/sh", "/bin/bash"):
            # Scripts outside of the image look for it where an installer has it.
            return run_command(["env", f"ISOBUILDER_ROOT={root}", *argv], given, timeout)
        return run_command(argv, given, timeout)

    effects = Effects(str(root), run=run)
    try:
        lines = Maker(look(effects), effects, print).make("small", "/medium")
        assert [line.verdict for line in lines] == [PASS], lines
        assert lines[-1].what == "image practice-cloud-practice-small: emi-1234abcd, registered"
        assert_nothing_is_left(root)
        yield cloud
    finally:
        unmount_all(root)


def lay_front_end(root: Path, medium: Path) -> None:
    """The files of a front end that an image is made by, with this medium."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    for path, text in {
        "usr/share/cloud-setup/facts.json": json.dumps(FACTS["9"]),
        "etc/cloud-setup/role": "ID=frontend\nCLOUD=eucalyptus-5\nPARTS=frontend\nMEDIUM=PRACTICE-CLOUD-PRACTICE\n"
        "IMAGE=ks/image.cfg\nMEDIUM_PATH=/run/install/repo\nROOT_PATH=/mnt/sysroot\n",
        "usr/bin/dnf": "",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    # The mounts of this host are those of the machine.
    (root / "proc").symlink_to("/proc")
    (root / "medium").symlink_to(medium)


def assert_nothing_is_left(root: Path) -> None:
    assert str(root) not in Path("/proc/mounts").read_text()
    assert str(root) not in subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout
    assert list((root / "var/lib/cloud-setup/image").glob("*.img*")) == []


def unmount_all(root: Path) -> None:
    """For tests that failed: nothing of this host's mounts may go with the folder."""
    for mount in reversed(
        re.findall(rf"^\S+ ({re.escape(str(root))}\S*)", Path("/proc/mounts").read_text(), re.MULTILINE)
    ):
        subprocess.run(["umount", "-l", mount], check=False)


def inside(disk: Path, *command: str) -> str:
    """What debugfs says of the image's file system."""
    words = ["debugfs", "-R", " ".join(command), f"{disk}?offset={FIRST}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_it_is_brought_to_the_cloud_once_and_for_everybody(made: Cloud) -> None:
    names = [words[0] for words in made.told]
    assert names == [
        "euca-describe-images",
        "euare-accountlist",
        "euca-install-image",
        "euca-modify-image-attribute",
    ]
    install = made.told[2]
    assert install[install.index("--user") + 1] == ACCOUNT
    assert install[install.index("--virtualization-type") + 1] == "hvm"


def test_its_disk_is_whole(made: Cloud) -> None:
    assert made.disk.stat().st_size == SIZES["small"] << 20
    table = subprocess.run(["sfdisk", "--json", made.disk], capture_output=True, check=True).stdout
    [partition] = json.loads(table)["partitiontable"]["partitions"]
    assert (partition["start"], partition["type"], partition["bootable"]) == (2048, "83", True)
    assert partition["size"] == (SIZES["small"] << 11) - 2048
    checked = subprocess.run(["e2fsck", "-f", "-n", f"{made.disk}?offset={FIRST}"], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_it_has_no_password_no_key_and_nothing_of_one_machine(made: Cloud) -> None:
    shadow = [line.split(":") for line in inside(made.disk, "cat", "/etc/shadow").splitlines()]
    assert "root" in {row[0] for row in shadow}
    assert [row[0] for row in shadow if not row[1].startswith(("!", "*"))] == []
    assert "ssh_host" not in inside(made.disk, "ls", "-p", "/etc/ssh")
    assert inside(made.disk, "cat", "/etc/machine-id") == ""
    for path in ("/root/.ssh", "/etc/hostname", "/etc/resolv.conf", "/var/lib/dbus/machine-id", "/var/lib/cloud-setup"):
        assert inside(made.disk, "stat", path) == "", path
    logs = inside(made.disk, "ls", "-p", "/var/log/isobuilder").splitlines()
    sizes = [line.split("/")[-2] for line in logs if line.count("/") > 5 and not line.startswith("/2/")]
    assert all(size in ("0", "") for size in sizes), logs
    assert "disable_root: false" in inside(made.disk, "cat", "/etc/cloud/cloud.cfg.d/90-cloud.cfg")
    assert inside(made.disk, "cat", "/etc/fstab") == "LABEL=root / ext4 defaults 1 1\n"
    assert "[isobuilder-eucalyptus]" in inside(made.disk, "cat", "/etc/yum.repos.d/isobuilder.repo")


def test_it_starts_on_a_machine_with_a_bios(made: Cloud, tmp_path: Path) -> None:
    disk = tmp_path / "instance.img"
    shutil.copyfile(made.disk, disk)
    log = tmp_path / "console"
    log.touch()  # a busy machine starts QEMU later than the first look
    drive = f"if=virtio,format=raw,file={disk}"
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "768", "-display", "none", "-drive", drive]
    with subprocess.Popen([*command, "-nodefaults", "-serial", f"file:{log}"]) as machine:
        try:
            until = time.monotonic() + BOOT_SECONDS
            said = ""
            while time.monotonic() < until and machine.poll() is None and " login:" not in said:
                time.sleep(1)
                said = log.read_text(errors="replace")
        finally:
            machine.kill()
    assert " login:" in said, said[-2000:]
    assert "root=LABEL=root" in said


def test_mounts_and_loops_of_a_process_that_was_killed_go_with_the_next_try(tmp_path: Path) -> None:
    root, medium = tmp_path / "front-end", tmp_path / "medium"
    for path, text in {"ks/image.cfg": "%packages\nbash\n%end\n", "repodata/repomd.xml": "<repomd/>\n"}.items():
        (medium / path).parent.mkdir(parents=True)
        (medium / path).write_text(text)
    lay_front_end(root, medium)

    def run(argv: Sequence[str], given: str, timeout: int) -> Result:
        if argv[0] == "dnf":
            os.kill(os.getpid(), signal.SIGKILL)
        return Result(0, "") if argv[0] == "cloud-admin" else run_command(argv, given, timeout)

    effects = Effects(str(root), run=run)
    try:
        child = os.fork()
        if child == 0:
            try:
                Maker(look(effects), effects, print).make("small", "/medium")
            finally:
                # Nobody else's clean-up in this process.
                os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        places = re.findall(rf"^\S+ {re.escape(str(root))}(\S*)", Path("/proc/mounts").read_text(), re.MULTILINE)
        assert places == [f"/{one}" for one in ("run/install/repo", *(f"mnt/sysroot{sub}" for sub in SUBMOUNTS))]
        [line] = Maker(look(effects), effects, print).make("small", "/nowhere")
        assert (line.verdict, "there is no /nowhere" in line.what) == (FAIL, True)
        assert_nothing_is_left(root)
    finally:
        unmount_all(root)
