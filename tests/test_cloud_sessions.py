"""Whole sessions at a terminal for a front end, a node and a cloud in a box, on every Python that is here."""

import re
from pathlib import Path

import pytest

from tests.cloud_cases import machine
from tests.standin_cloud import CloudMachine
from tests.test_cloud_resume import whole_state, without_database
from tests.test_firstlogin_sessions import COLUMNS, OLDEST, PYTHONS, Person

_MACHINE = [
    ("Host name", "front.example.org"),
    ("Address of eth0", "192.168.1.10/24"),
    ("Gateway", ""),
    ("DNS servers", "192.168.1.1"),
]
_TIME = [("Time servers", ""), ("Time zone", "")]
_CLOUD = [
    ("Availability zone", ""),
    ("DNS domain of the cloud", ""),
    ("Password of the console", ""),
    ("Node controllers", "192.168.1.11-12"),
]
_HYPERVISOR = [
    ("Disk for instances", "512M"),
    ("Disk for the cache", "256"),
    ("Virtio", ""),
    ("Huge pages", ""),
    ("page cache for volumes", ""),
]
_EDGE = [
    ("Networking mode", "edge"),
    ("Public addresses", "192.168.1.50 192.168.1.60-80"),
    ("Private subnet", ""),
    ("Gateway of instances", ""),
    ("Private addresses", "192.168.1.100-140"),
    ("DNS servers for instances", ""),
    ("Beginning of instances'", ""),
]
_MANAGED = [
    ("Networking mode", "managed-novlan"),
    ("Public interface", ""),
    ("Private interface", ""),
    ("Public addresses", "192.168.1.50 192.168.1.60-80"),
    ("Private subnet", ""),
    ("Addresses for each security group", "32"),
    ("DNS servers for instances", ""),
    ("Beginning of instances'", ""),
]
_VPC = [
    ("Networking mode", "vpcmido"),
    ("Public addresses", "10.116.150.10-10.116.150.250"),
    ("Address of the MidoNet gateway", ""),
    ("External device", "em1"),
    ("Network outside", "10.116.128.0/17"),
    ("Address of the gateway in it", "10.116.133.11"),
    ("BGP number of this cloud", ""),
    ("Address of the router outside", "10.116.133.173"),
    ("DNS servers for instances", ""),
    ("Beginning of instances'", ""),
]
_NODE = [
    ("Networking mode", ""),
    ("Public interface", ""),
    ("Private interface", ""),
    ("Address of the front end", "192.168.1.10"),
]
_KEY = [("Public SSH key", "none")]
_BRIDGE = [("Bridge", "")]
SESSIONS = {
    ("7", "front-end", "edge"): [*_MACHINE, *_TIME, *_EDGE, *_CLOUD],
    ("7", "front-end", "vpc"): [*_MACHINE, *_TIME, *_VPC, *_CLOUD],
    ("6", "front-end", "managed"): [*_MACHINE, *_TIME, *_MANAGED, *_CLOUD],
    ("6", "box", "managed"): [*_MACHINE, *_BRIDGE, *_TIME, *_MANAGED, *_CLOUD, *_HYPERVISOR],
    ("7", "box", "edge"): [*_MACHINE, *_BRIDGE, *_TIME, *_EDGE, *_CLOUD, *_NODE[1:3], *_HYPERVISOR],
    ("7", "node", "edge"): [
        ("Host name", "node1.example.org"),
        *_MACHINE[1:],
        *_BRIDGE,
        *_TIME,
        *_NODE,
        *_KEY,
        *_HYPERVISOR,
    ],
}


def new(folder: Path, style: str, part: str) -> CloudMachine:
    one = machine(folder, style, part)
    one.add_node("192.168.1.11")
    one.add_node("192.168.1.12", up=False)
    return one


@pytest.mark.parametrize("python", sorted(PYTHONS))
@pytest.mark.parametrize("case", sorted(SESSIONS))
def test_a_whole_session(case: tuple[str, str, str], python: str, tmp_path: Path) -> None:
    style, part, _mode = case
    one = new(tmp_path / "root", style, part)
    person = Person(one, PYTHONS[python], term="dumb")
    person.answers(SESSIONS[case])
    person.agrees()
    assert person.ends() == 0, person.paper
    assert "This machine is set up." in person.paper
    typed = [line for _, line in SESSIONS[case] if line]
    output = [line for line in person.paper.splitlines() if not any(line.endswith(word) for word in typed)]
    assert max(map(len, output)) < COLUMNS
    assert all(" " <= letter <= "~" or letter in "\r\n" for letter in person.paper)
    if part == "node":
        return
    made = re.search(r"It is (\S{20}) and is shown", person.paper)
    assert made
    assert one.cloud()["users"] == {"administrator": made.group(1)}
    assert person.paper.count(made.group(1)) == 1
    assert made.group(1) not in one.read("var/log/cloud-setup.log")
    assert "node 192.168.1.11: added" in person.paper
    assert "node 192.168.1.12: does not answer, and is skipped" in person.paper
    assert "seconds at most" in person.paper


def test_what_an_answer_comes_to_is_said_and_wrong_ones_are_refused_where_they_are_given(tmp_path: Path) -> None:
    one = new(tmp_path / "root", "6", "front-end")
    one.set(taken=["192.168.1.1", "192.168.1.60"])
    person = Person(one, OLDEST, term="dumb")
    person.answers(_MACHINE + _TIME)
    person.answers([("Networking mode", "vpcmido"), ("Eucalyptus 4.2 has no mode VPCMIDO", "managed")])
    person.answers([("Public interface", "eth7"), ("There is no interface eth7", "")])
    person.answers([("Private interface", "?"), ("network of the node controllers", "")])
    person.answers([("Public addresses", "10.9.9.9"), ("in no network of this machine", "192.168.1.60-80")])
    person.sees("21 addresses: so many")
    person.answers([("Private subnet", "192.168.0.0/16"), ("overlaps 192.168.1.0/24", "172.16.5.0/16")])
    person.answers([("That one begins as", "172.16.0.0/16"), ("Addresses for each security group", "48")])
    person.answers([("cannot be the number", "32")])
    person.sees("A security group can have 22 instances, and there can be 2045 groups.")
    person.answers([("DNS servers for instances", ""), ("Beginning", "")])
    person.answers([("Availability zone", ""), ("DNS domain", "<"), ("Availability zone", ""), ("DNS domain", "")])
    person.answers([("Password of the console", "a-password-of-mine"), ("Node controllers", "none")])
    # Somebody on the wire has one of them: it goes on at that question.
    person.sees("! ")
    person.sees("192.168.1.60")
    person.answers([("Public addresses", "192.168.1.61-69"), ("Private subnet", ""), ("Addresses for each", "")])
    person.answers([("DNS servers for instances", ""), ("Beginning", ""), ("Availability zone", "")])
    person.answers([("DNS domain", ""), ("Password of the console", ""), ("Node controllers", "")])
    person.agrees()
    assert person.ends() == 0, person.paper
    assert "a-password-of-mine" not in person.paper
    assert one._conf()["VNET_PUBLICIPS"] == "192.168.1.61-192.168.1.69"
    assert one.cloud()["users"] == {"administrator": "a-password-of-mine"}


def test_ctrl_c_at_every_question_of_a_cloud_leaves_cleanly(tmp_path: Path) -> None:
    asked = SESSIONS["7", "box", "edge"]
    for number in range(len(_MACHINE) + 2, len(asked)):
        one = new(tmp_path / str(number), "7", "box")
        before = without_database(whole_state(one))
        person = Person(one, OLDEST, term="dumb")
        person.answers(asked[:number])
        person.sees(asked[number][0])
        person.sees(": ")
        assert person.leaves("c" if number % 2 else "d") == 130, person.paper
        assert "Nothing was changed" in person.paper
        assert "Traceback" not in person.paper
        assert without_database(whole_state(one)) == before


def test_nodes_on_the_command_line(tmp_path: Path) -> None:
    one = new(tmp_path / "root", "7", "front-end")
    person = Person(one, OLDEST, term="dumb")
    person.answers(SESSIONS["7", "front-end", "edge"])
    person.agrees()
    assert person.ends() == 0
    one.add_node("192.168.1.13", trusts=False, password="pw of 13")
    person = Person(one, OLDEST, "nodes", "add", "192.168.1.12-192.168.1.13")
    person.answers([("Password of root on 192.168.1.13", "pw of 13")])
    assert person.ends() == 5
    assert "node 192.168.1.13: added" in person.paper
    assert "pw of 13" not in person.paper
    person = Person(one, OLDEST, "teardown")
    person.answers([("Type the name of this machine", "front.example.org")])
    assert person.ends() == 0, person.paper
    assert one.cloud()["started"] is None
