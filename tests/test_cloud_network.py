"""Answers about a cloud on a machine and on its wire: what Eucalyptus itself does not check above all."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isobuilder.firstlogin.cloud import documents, editions
from isobuilder.firstlogin.cloud.questions import QUESTIONS
from tests.cloud_cases import PARTS, answers, machine
from tests.firstlogin_helpers import configure
from tests.standin_cloud import CloudMachine
from tests.test_cloud_rules import near_misses


def refused(one: CloudMachine, values: dict[str, str]) -> str:
    """What was said when nothing was done."""
    before = one.commands()
    code, said = configure(one, values)
    assert code in (3, 4), said
    assert one.commands() == before
    return " ".join(said.split())


def route(one: CloudMachine, network: str, mask: str, interface: str = "eth9") -> None:
    """A route beside those that there are; numbers as in /proc/net/route."""
    text = one.read("proc/net/route")
    one.write("proc/net/route", text + f"{interface}\t{network}\t00000000\t0001\t0\t0\t0\t{mask}\n")


def test_a_mode_that_the_version_does_not_have(tmp_path: Path) -> None:
    said = refused(machine(tmp_path / "6", "6", "front-end"), answers("VPCMIDO", "front-end"))
    assert "network-mode: Eucalyptus 4.2 has no mode VPCMIDO. It has EDGE, MANAGED, MANAGED-NOVLAN." in said
    said = refused(machine(tmp_path / "7", "7", "front-end"), answers("MANAGED", "front-end"))
    assert "It has EDGE, VPCMIDO." in said


@pytest.mark.parametrize("mode", ["MANAGED", "MANAGED-NOVLAN"])
def test_a_private_subnet_that_the_machine_has_a_route_to(mode: str, tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "6", "front-end")
    # 172.16.96.0/20
    route(one, "006010AC", "00F0FFFF")
    assert "overlaps 172.16.96.0/20" in refused(one, answers(mode, "front-end"))
    assert configure(one, answers(mode, "front-end", private_subnet="172.17.0.0/16"))[0] == 0


def test_a_private_subnet_that_another_port_is_in(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "6", "front-end", ports=2)
    values = {**answers("MANAGED", "front-end"), "address.eth1": "172.16.200.5/24"}
    assert "overlaps 172.16.200.0/24" in refused(one, values)


def test_a_private_subnet_of_a_network_that_stays(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "6", "front-end", ports=2)
    one.set(addresses={**one.state()["addresses"], "eth1": ["172.16.9.9/24"]})
    assert "overlaps 172.16.9.0/24" in refused(one, answers("MANAGED", "front-end"))
    # And of something that is no port of its own.
    one = machine(tmp_path / "vpn", "6", "front-end")
    one.set(addresses={**one.state()["addresses"], "tun0": ["172.16.77.1/24"]})
    assert "overlaps 172.16.77.0/24" in refused(one, answers("MANAGED", "front-end"))


def test_what_the_cloud_itself_put_there_is_not_in_its_way(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "6", "front-end")
    assert configure(one, answers("MANAGED", "front-end"))[0] == 0
    # The network of a security group, and an instance that answers at its public address.
    route(one, "200010AC", "E0FFFFFF")
    one.set(taken=["192.168.1.1", "192.168.1.50", "192.168.1.60"])
    code, said = configure(one, answers("MANAGED", "front-end"))
    assert (code, "Nothing: this machine is as the answers want it." in said) == (0, True), said


def test_an_edge_subnet_that_is_nearly_the_nodes_network(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    values = answers("EDGE", "front-end", private_subnet="192.168.0.0/22", private_addresses="192.168.3.5")
    assert "overlaps 192.168.1.0/24, which this machine is in or has a route to, and is not the same" in refused(
        one, values
    )


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        ("10.0.0.5", "is in no network of this machine (192.168.1.0/24)"),
        ("192.168.1.250-192.168.2.5", "is in no network of this machine"),
        ("192.168.1.240-192.168.1.255", "has an end of 192.168.1.0/24"),
        ("192.168.1.5-192.168.1.15", "192.168.1.10 is this machine's own"),
        ("192.168.1.1", "192.168.1.1 is the gateway"),
    ],
)
@pytest.mark.parametrize("case", [("6", "MANAGED"), ("6", "EDGE"), ("7", "EDGE")])
def test_public_addresses_that_cannot_be(addresses: str, why: str, case: tuple[str, str], tmp_path: Path) -> None:
    one = machine(tmp_path / "root", case[0], "front-end")
    assert why in refused(one, answers(case[1], "front-end", public_addresses=addresses))


@pytest.mark.parametrize("key", ["public-addresses", "private-addresses"])
def test_addresses_that_somebody_on_the_wire_has(key: str, tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    values = answers("EDGE", "front-end")
    taken = {"public-addresses": "192.168.1.50", "private-addresses": "192.168.1.140"}[key]
    one.set(taken=["192.168.1.1", taken])
    assert f"{key}: Another machine on the wire of eth0 has {taken}" in refused(one, values)
    # One that is not among those that are asked for, and that the kernel remembers.
    one.set(taken=["192.168.1.1"])
    other = {"public-addresses": "192.168.1.61", "private-addresses": "192.168.1.101"}[key]
    header = "IP address       HW type     Flags       HW address            Mask     Device\n"
    entry = "{}     0x1         {}         52:54:00:aa:bb:cc     *        eth0\n"
    one.write("proc/net/arp", header + entry.format(other, "0x2"))
    assert f"heard of another one that has {other}" in refused(one, values)
    one.write("proc/net/arp", header + entry.format(other, "0x0"))
    code, said = configure(one, values)
    assert code == 0, said
    assert "addresses were asked for on the wire" in " ".join(said.split())


def test_without_arping_nobody_is_asked_and_it_is_said(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    Path(one.path("usr/sbin/arping")).unlink()
    code, said = configure(one, answers("EDGE", "front-end"))
    assert code == 0
    assert "Nobody could be asked whether they are free" in " ".join(said.split())


@pytest.mark.parametrize(
    ("style", "mode", "key"), [("6", "MANAGED", "public-interface"), ("6", "MANAGED-NOVLAN", "private-interface")]
)
def test_an_interface_that_is_not_there(style: str, mode: str, key: str, tmp_path: Path) -> None:
    one = machine(tmp_path / "root", style, "front-end")
    said = refused(one, {**answers(mode, "front-end"), key: "eth4"})
    assert f"{key}: There is no interface eth4. This machine has eth0." in said


def test_a_port_that_becomes_an_end_of_the_bridge_is_worth_a_word(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "node")
    _, said = configure(one, answers("EDGE", "node", public_interface="eth0"))
    assert "eth0 will be an end of the bridge br0" in " ".join(said.split())


@pytest.mark.parametrize(
    ("style", "mode", "needed"),
    [("6", "MANAGED", False), ("6", "MANAGED-NOVLAN", True), ("7", "EDGE", True), ("7", "VPCMIDO", True)],
)
def test_a_node_without_a_bridge(style: str, mode: str, needed: bool, tmp_path: Path) -> None:  # noqa: FBT001 - of the table
    one = machine(tmp_path / "root", style, "node")
    values = answers(mode, "node", bridge="none")
    if needed:
        assert f"bridge: In {mode} instances reach the network through a bridge" in refused(one, values)
    else:
        code, said = configure(one, values)
        assert code == 0, said
        assert one._conf()["VNET_PUBINTERFACE"] == "eth0"


def test_without_the_software_nothing_is_begun(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    Path(one.path("usr/sbin/clcadmin-initialize-cloud")).unlink()
    assert "cloud: clcadmin-initialize-cloud missing" in refused(one, answers("EDGE", "front-end"))
    node = machine(tmp_path / "node", "7", "node")
    Path(node.path("usr/sbin/dhcpd")).unlink()
    assert "/usr/sbin/dhcpd is missing" in refused(node, answers("EDGE", "node"))


def test_a_cloud_that_is_not_known_here_leaves_the_machines_own_part(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    one.write("etc/cloud-setup/role", 'ID=x\nTITLE="X"\nCLOUD=eucalyptus-9\nPARTS="frontend"\n')
    code, said = configure(one, answers("EDGE", "front-end"))
    assert code == 0, said
    assert "this wizard does not know eucalyptus-9" in " ".join(said.split())
    assert one.cloud()["services"] == {}


def test_a_machine_that_is_of_no_cloud_is_not_touched_by_answers_for_all(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    one.write("etc/cloud-setup/role", 'ID=minimal\nTITLE="Minimal"\n')
    code, said = configure(one, answers("EDGE", "front-end"))
    assert code == 0, said
    assert one.cloud()["services"] == {}
    assert "eucalyptus" not in " ".join(word for words in one.commands() for word in words)
    assert one.read("etc/motd") == "Authorized people only.\n"


def test_with_dhcp_the_address_of_now_is_the_one_that_is_registered(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    values = answers("EDGE", "front-end", address="dhcp", public_addresses="192.168.1.50")
    values.pop("gateway")
    code, said = configure(one, values)
    assert code == 0, said
    assert "must not change later" in " ".join(said.split())
    assert one.cloud()["services"]["cluster"]["zone-1-cc"][0] == "192.168.1.77"


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(
        [("6", "MANAGED", "box"), ("6", "EDGE", "front-end"), ("7", "VPCMIDO", "front-end"), ("7", "EDGE", "node")]
    ),
    st.dictionaries(st.sampled_from(sorted(row.key for row in QUESTIONS)), near_misses, min_size=1, max_size=4),
)
def test_whatever_stands_in_an_answers_file_nothing_but_valid_values_is_written(
    case: tuple[str, str, str], said: dict[str, str]
) -> None:
    style, mode, part = case
    with tempfile.TemporaryDirectory() as folder:
        one = machine(Path(folder) / "root", style, part)
        before = {name: value for name, value in one._conf().items() if name != "PWD"}
        values = {**answers(mode, part), **{key: text.replace("\n", "") for key, text in said.items()}}
        code, text = configure(one, values)
        assert code in (0, 3), text
        assert not list(Path(folder).glob("root/reboot*"))
        if code == 3:
            assert one.commands() == []
            return
        # What a shell makes of the file: names that a mode has, and values that nothing can hide in.
        after = {name: value for name, value in one._conf().items() if name != "PWD"}
        edition = editions.EDITIONS[0 if style == "6" else 1]
        chosen = edition.mode(after["VNET_MODE"])
        assert chosen
        named = set(documents.needed_variables(chosen, PARTS[part].split()))
        assert set(after) - set(before) <= named | {"NC_WORK_SIZE", "NC_CACHE_SIZE"}
        assert all(re.fullmatch(r"[A-Za-z0-9 ./:_-]*", value) for value in after.values())
