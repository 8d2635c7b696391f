"""A medium with one part broken at a time: each is found out at its milestone, with words that name the cause."""

import re
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from isobuilder.progress import Silent
from isobuilder.rehearsal.milestones import Milestone
from isobuilder.rehearsal.run import rehearse
from isobuilder.rehearsal.topology import MachineWish, Topology, load_topology
from tests.conftest import isobuilder
from tests.practice.mirror import unattended, write_demo

pytestmark = [pytest.mark.vm, pytest.mark.practice]

# Before the wizard has its last answer, somebody at the console breaks a service.
SPOILT = """
version = 1

[[machine]]
name       = "installed"
role       = "frontend"
firmware   = "bios"
memory-mib = 1536
until      = "rebooted"

[[machine]]
name       = "spoilt"
role       = "local"
firmware   = "bios"
memory-mib = 1536
start-from = "installed"
mac        = "52:54:00:00:07:13"
answers    = "spoilt.ini"
typed      = [
    { expect = "", send = "root" },
    { expect = "Password: ", send = "$password" },
    { expect = "Host name", send = "\\u0003" },
    { expect = "[#] ", send = "cd /etc/systemd/system; mkdir eucalyptus-cloud.service.d" },
    { expect = "[#] ", send = "printf '[Service]\\nExecStartPre=/bin/false\\n' >eucalyptus-cloud.service.d/no.conf" },
    { expect = "[#] ", send = "systemctl daemon-reload; cd" },
    { expect = "[#] ", send = "printf '[all]\\nhostname = spoilt.example.org\\n' >name" },
    { expect = "[#] ", send = "cloud-setup --answers name" },
    { expect = "more lines: Enter shows them", send = "s" },
    { expect = "Do it[?] yes, no", send = "yes" },
]
"""
ANSWERS = """
[mac 52:54:00:00:07:13]
gateway           = none
dns               = 10.7.0.10
ntp               = none
timezone          = UTC
network-mode      = EDGE
address           = 10.7.0.10/24
public-addresses  = 10.7.0.50-10.7.0.60
private-subnet    = 10.7.0.0/24
private-addresses = 10.7.0.100-10.7.0.140
instance-gateway  = 10.7.0.10
instance-dns      = 10.7.0.10
zone              = zone-1
cloud-domain      = cloud.example.org
admin-password    = $password
nodes             = none
image             = none
"""


@pytest.fixture(scope="module")
def password() -> str:
    return f"Aa1-{secrets.token_hex(12)}"


@pytest.fixture(scope="module")
def medium(mirror_url: str, mirror: Path, password: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's medium, whose roles ask nobody."""
    folder = tmp_path_factory.mktemp("unattended")
    openssl = ["openssl", "passwd", "-6", "-stdin"]
    hashed = subprocess.run(openssl, input=password, capture_output=True, text=True, check=True).stdout.strip()
    write_demo(folder, mirror_url, mirror, tables={"install": unattended(hashed)})
    done = isobuilder("build", "--cache-dir", str(folder / "cache"), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "practice-cloud-practice-x86_64.iso"


def good(iso: Path, _copy: Path) -> Path:
    return iso


def without_a_package(iso: Path, copy: Path) -> Path:
    command = ["xorriso", "-indev", str(iso), "-outdev", str(copy), "-boot_image", "any", "replay"]
    subprocess.run([*command, "-rm", "/Packages/chrony-*", "--"], check=True, capture_output=True)
    return copy


def with_another_label(iso: Path, copy: Path) -> Path:
    return replaced(iso, copy, b"PRACTICE-CLOUD-PRACTICE         ", b"ANOTHER-CLOUD-ALTOGETHER        ")


def with_a_mistake_in_its_kickstarts(iso: Path, copy: Path) -> Path:
    return replaced(iso, copy, b"\ntimezone ", b"\ntimezoan ")


def replaced(iso: Path, copy: Path, old: bytes, new: bytes) -> Path:
    data = iso.read_bytes()
    assert data.count(old) >= 1
    assert len(old) == len(new)
    copy.write_bytes(data.replace(old, new))
    return copy


@pytest.mark.parametrize(
    ("broken", "disk_gib", "failed", "cause"),
    [
        (without_a_package, 100, "kickstart", r"packages are missing .*chrony"),
        (with_another_label, 100, "kickstart", r"PRACTICE-CLOUD-PRACTICE"),
        (with_a_mistake_in_its_kickstarts, 100, "kickstart", r"line 8.*timezoan"),
        (good, 5, "kickstart", r"no disk .*\(vda: it is too small"),
    ],
)
def test_one_broken_part_is_found_at_its_milestone(
    broken: Callable[[Path, Path], Path], disk_gib: int, failed: Milestone, cause: str, medium: Path, tmp_path: Path
) -> None:
    iso = broken(medium, tmp_path / "broken.iso")
    wish = MachineWish(name="node", role="minimal", firmware="bios", disk_gib=disk_gib, until="installed")
    topology = Topology(version=1, machine=(wish,))
    [way] = rehearse(iso, topology, output=tmp_path / "out", keep=False, progress=Silent()).failures
    assert way.failed == failed, way.cause
    assert re.search(cause, way.cause), (way.cause, way.last_lines)


def test_a_service_that_does_not_start_is_a_failed_configuration(medium: Path, password: str, tmp_path: Path) -> None:
    for name, text in (("spoilt.ini", ANSWERS), ("spoilt.toml", SPOILT)):
        (tmp_path / name).write_text(text.replace("$password", password), encoding="utf-8")
    topology = load_topology(tmp_path / "spoilt.toml")
    [way] = rehearse(medium, topology, output=tmp_path / "out", keep=False, progress=Silent()).failures
    assert (way.name, way.failed) == ("spoilt", "configured"), (way.cause, way.last_lines)
    assert re.search("systemctl start eucalyptus-cloud: .*failed", way.cause), (way.cause, way.last_lines)
