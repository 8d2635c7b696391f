"""What the wizard sees of a machine."""

from pathlib import Path

import pytest

from isobuilder.firstlogin import machine as machines
from isobuilder.firstlogin.netstyles import ifcfg
from isobuilder.firstlogin.shelltext import variables
from tests.firstlogin_helpers import NODE_ROLE, STATIC, STYLES, configure
from tests.scratch_machine import SCRIPTS, Scratch


@pytest.fixture(params=STYLES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Scratch:
    return Scratch(str(tmp_path / "root"), request.param).make(ports=2, role=NODE_ROLE)


def test_a_machine_is_seen_as_its_installer_left_it(machine: Scratch) -> None:
    seen = machines.look(machine.effects())
    assert [(port.name, port.mac, port.link, port.bridge) for port in seen.ports] == [
        ("eth0", "52:54:00:12:34:56", True, ""),
        ("eth1", "52:54:00:12:34:57", True, ""),
    ]
    assert [port.configured for port in seen.ports] == ["dhcp", ""]
    assert [port.addresses for port in seen.ports] == [("192.168.1.77/24",), ()]
    assert (seen.main, seen.gateway, seen.name_servers) == ("eth0", "192.168.1.1", ("192.168.1.1",))
    assert (seen.serial, seen.time_zone, seen.memory_mib) == ("SN-0042", "UTC", 4000)
    assert seen.time_service == ("ntpd" if machine.style == "6" else "chronyd")
    assert seen.time_servers[0].endswith("centos.pool.ntp.org")
    assert (seen.role.bridge, seen.role.cpu_flags) == ("br0", ("vmx", "svm"))
    assert seen.session == ""


def test_a_machine_with_a_bridge_is_seen_as_the_wizard_left_it(machine: Scratch) -> None:
    assert configure(machine, {**STATIC, "bridge": "br0", "address.eth1": "10.0.0.5/24"})[0] == 0
    seen = machines.look(machine.effects())
    assert [(port.name, port.bridge, port.configured, port.addresses) for port in seen.ports] == [
        ("eth0", "br0", "192.168.1.10/24", ("192.168.1.10/24",)),
        ("eth1", "", "10.0.0.5/24", ("10.0.0.5/24",)),
    ]
    assert (seen.main, seen.gateway, seen.time_zone) == ("eth0", "192.168.1.1", "Europe/Rome")
    assert seen.others == ()


def test_a_time_server_with_blanks_before_it_is_seen(tmp_path: Path) -> None:
    machine = Scratch(str(tmp_path / "root"), "7").make()
    machine.write("etc/chrony.conf", "  server 10.0.0.1 iburst\n\n\tpool b.example.org\n")
    assert machines.look(machine.effects()).time_servers == ("10.0.0.1", "b.example.org")


@pytest.mark.parametrize(
    ("environ", "parents", "session"),
    [
        ({"SSH_CONNECTION": "10.0.0.9 50000 192.168.1.77 22"}, (), "192.168.1.77"),
        ({}, ("bash", "su", "bash", "sshd", "sshd"), "?"),
        ({}, ("bash", "su", "bash", "sshd-session"), "?"),
        ({}, ("bash", "su", "bash", "tmux: server"), "?"),
        ({}, ("bash", "sudo", "bash", "screen"), "?"),
        ({}, ("bash", "su", "bash", "cockpit-bridge", "cockpit-session"), "?"),
        ({}, ("bash", "login"), ""),
        ({}, ("a) S 1 (sshd", "login"), ""),
    ],
    ids=["ssh", "su in ssh", "su in ssh of 10", "in tmux", "in screen", "in cockpit", "console", "a pretender"],
)
def test_a_remote_session_is_known(
    tmp_path: Path, environ: dict[str, str], parents: tuple[str, ...], session: str
) -> None:
    machine = Scratch(str(tmp_path / "root"), "7").make()
    for number, name in enumerate(parents):
        parent = 1001 + number if number + 1 < len(parents) else 1
        machine.write(f"proc/{1000 + number}/stat", f"{1000 + number} ({name}) S {parent} 5 5 34816\n")
    assert machines.look(machine.effects(environ=environ, pid=1000)).session == session


def test_interfaces_that_are_no_ethernet_ports_are_not_configured(tmp_path: Path) -> None:
    machine = Scratch(str(tmp_path / "root"), "7").make()
    machine.write("sys/class/net/wlan0/type", "1\n")
    machine.write("sys/class/net/wlan0/phy80211/name", "phy0\n")
    machine.write("sys/class/net/wlan0/device/uevent", "")
    machine.write("sys/class/net/ib0/type", "32\n")
    machine.write("sys/class/net/ib0/device/uevent", "")
    machine.write("sys/class/net/virbr0/type", "1\n")
    table = machine.state()
    machine.set(addresses={**table["addresses"], "virbr0": ["192.168.122.1/24"]})
    seen = machines.look(machine.effects())
    assert [port.name for port in seen.ports] == ["eth0"]
    assert seen.others == (("virbr0", "192.168.122.1/24"),)


def test_shell_files_are_read_and_never_run(tmp_path: Path) -> None:
    text = """A=1
 B = 2
C="a b"
D='x y' # no
E=$(touch PWNED)
F=plain # comment
G="open
# H=9
A=2
"""
    assert variables(text) == {"A": "2", "C": "a b", "D": "x y", "E": "$(touch PWNED)", "F": "plain", "G": '"open'}
    machine = Scratch(str(tmp_path / "root"), "7").make()
    machine.write(f"{SCRIPTS}/ifcfg-Wired", 'HWADDR="52:54:00:12:34:56"\nBOOTPROTO=none\nIPADDR=10.1.1.1\nPREFIX=24\n')
    machine.write(f"{SCRIPTS}/ifcfg-eth0:1", "DEVICE=eth0:1\nIPADDR=10.9.9.9\n")
    machine.write(f"{SCRIPTS}/ifcfg-eth0.bak", "DEVICE=eth0\nIPADDR=10.9.9.9\n")
    found = ifcfg.configured(machine.effects())
    assert found["eth0"].address == "dhcp"
    assert [path.rpartition("/")[2] for path in found["eth0"].files] == ["ifcfg-Wired", "ifcfg-eth0"]
