"""What the wizard writes and asks, before other people's programs: NetworkManager, chrony, the kernel, arping."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from isobuilder.firstlogin import probes
from isobuilder.firstlogin import systemfiles as texts
from tests.firstlogin_helpers import NODE_ROLE, configure
from tests.scratch_machine import PROFILES, Scratch
from tests.test_firstlogin_goldens import CASES

ROOT = Path(__file__).parent.parent


def settings(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


@pytest.mark.parametrize("case", sorted(CASES))
def test_networkmanager_reads_every_profile_as_it_is_meant(case: str, tmp_path: Path) -> None:
    machine = Scratch(str(tmp_path / "root"), "9").make(ports=2, role=NODE_ROLE if case.startswith("bridge") else "")
    assert configure(machine, CASES[case])[0] == 0
    profiles = list(Path(machine.path(PROFILES)).glob("cloud-setup-*.nmconnection"))
    assert profiles
    for path in profiles:
        done = subprocess.run(
            ["nmcli", "--offline", "connection", "modify", "connection.zone", "public"],
            input=path.read_text(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, ""), path.read_text()
        written, understood = settings(path.read_text()), settings(done.stdout)
        assert understood["connection"].pop("zone") == "public"
        assert {section: values for section, values in understood.items() if section in written} == written
        assert understood["connection"]["id"] == path.stem


@pytest.mark.parametrize("servers", [["ntp1.example.org"], ["0.pool.ntp.org", "192.168.1.1"]])
def test_chrony_takes_its_new_configuration(servers: list[str], tmp_path: Path) -> None:
    stock = "# x\npool 2.centos.pool.ntp.org iburst\ndriftfile /var/lib/chrony/drift\nmakestep 1.0 3\n"
    text = texts.time_configuration(stock, "chronyd", servers)
    assert text is not None
    path = tmp_path / "chrony.conf"
    path.write_text(text)
    chronyd = shutil.which("chronyd", path="/usr/sbin:/usr/bin")
    assert chronyd, "chrony is not installed"
    done = subprocess.run([chronyd, "-p", "-f", path], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    named = re.findall(r"^(?:server|pool) (\S+) iburst$", done.stdout, re.MULTILINE)
    assert named == servers
    assert texts.time_configuration(text, "chronyd", servers) is None


_IN_NAMESPACE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from isobuilder.firstlogin import machine, probes
from isobuilder.firstlogin.effects import Effects
effects = Effects()
print(json.dumps({
    "addresses": machine.addresses(effects),
    "route": machine.default_route(effects),
    "taken": probes.someone_has(effects, "va", "10.99.0.1"),
    "free": probes.someone_has(effects, "va", "10.99.0.77"),
    "nowhere": probes.someone_has(effects, "none0", "10.99.0.77"),
}))
"""
_NETWORK = """
set -e
ip link add va type veth peer name vb
ip addr add 10.99.0.9/24 dev va
ip addr add 10.99.0.1/24 dev vb
ip addr add 10.98.0.1/16 dev vb
for name in lo va vb; do ip link set $name up; done
ip route add default via 10.99.0.1 dev va metric 50
ip route add default via 10.99.0.7 dev va metric 20
"$@"
"""


def test_the_kernel_and_the_wire_are_understood() -> None:
    """In a network of its own, which goes with the process."""
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", _NETWORK, "sh", sys.executable, "-I", "-B", "-c", _IN_NAMESPACE, ROOT],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("only root can make a network of its own: the wire is not tried")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "addresses": {"va": ["10.99.0.9/24"], "vb": ["10.99.0.1/24", "10.98.0.1/16"]},
        "route": ["va", "10.99.0.7"],
        "taken": "answered",
        "free": "silent",
        "nowhere": "unknown",
    }


@pytest.mark.parametrize(
    ("reply", "offset"),
    [
        (b"\x24\x02" + b"\0" * 38 + (2208988800 + 1000).to_bytes(4, "big") + b"\x80\0\0\0", 0.5),
        (b"\x24\x00" + b"\0" * 46, None),
        (b"\x23\x02" + b"\0" * 46, None),
        (b"\x24", None),
        (None, None),
    ],
    ids=["half a second", "has no time itself", "is no server", "short", "silent"],
)
def test_what_a_time_server_says(reply: bytes | None, offset: float | None, tmp_path: Path) -> None:
    machine = Scratch(str(tmp_path / "root"), "9").make()
    hands = machine.effects(exchange=lambda *_: reply, now=lambda: 1000.0)
    assert probes.clock_offset(hands, "192.168.1.1") == offset


def test_hosts_keeps_what_is_not_ours() -> None:
    before = (
        "127.0.0.1 localhost localhost.localdomain front.example.org front # loop\n::1 localhost\n127.0.1.1 front\n"
        "10.0.0.5 db.example.org db\n192.168.1.9 front.example.org front  # cloud-setup\n"
    )
    assert texts.hosts(before, "front.example.org", "192.168.1.10") == (
        "127.0.0.1 localhost localhost.localdomain # loop\n::1 localhost\n10.0.0.5 db.example.org db\n"
        "192.168.1.10 front.example.org front  # cloud-setup\n"
    )
    again = texts.hosts(before, "front.example.org", "")
    assert "front" not in again
    assert texts.hosts(again, "front.example.org", "") == again


def test_names_are_the_same_in_capitals_and_a_server_with_blanks_before_it_is_one() -> None:
    """As for who reads these files: resolvers fold case, and chronyd and ntpd skip blanks."""
    before = "127.0.0.1 localhost Front\n127.0.1.1\tFRONT.example.org\n"
    assert texts.hosts(before, "front.example.org", "192.168.1.10") == (
        f"127.0.0.1 localhost\n192.168.1.10 front.example.org front  {texts.MARK}\n"
    )
    for service in ("chronyd", "ntpd"):
        stock = "\tserver 10.0.0.1\n  pool b.example.org\ndriftfile /d\n"
        text = texts.time_configuration(stock, service, ["a.example.org"])
        assert text == "server a.example.org iburst\ndriftfile /d\n"
        assert texts.time_configuration(f" {text}", service, ["a.example.org"]) is None
