"""`isobuilder answers check` on files that tell of whole clouds."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from isobuilder.answers import Findings, check_files, commented_file
from isobuilder.firstlogin.cloud.questions import QUESTIONS
from tests.cloud_cases import answers

FRONT = {**answers("EDGE", "front-end"), "nodes": "192.168.1.11-192.168.1.12"}
NODES = {
    number: {
        **answers("EDGE", "node"),
        "hostname": f"node{number}.example.org",
        "address": f"192.168.1.{10 + number}/24",
    }
    for number in (1, 2)
}
OTHER = {
    **answers("EDGE", "front-end"),
    "hostname": "other.example.org",
    "address": "192.168.1.20/24",
    "public-addresses": "192.168.1.201-192.168.1.210",
    "private-addresses": "192.168.1.211-192.168.1.220",
    "nodes": "192.168.1.21",
    "mac-prefix": "d0:0e",
}


def check(folder: Path, *machines: Mapping[str, str], shared: Mapping[str, str] | None = None) -> Findings:
    lines = ["[all]", *(f"{key} = {value}" for key, value in (shared or {}).items())]
    for number, one in enumerate(machines):
        lines += [f"[mac 52:54:00:00:00:{number:02x}]", *(f"{key} = {value}" for key, value in one.items())]
    (folder / "rack.ini").write_text("\n".join(lines) + "\n")
    return check_files([folder / "rack.ini"])


def test_a_whole_cloud_is_good_and_lacks_nothing(tmp_path: Path) -> None:
    found = check(tmp_path, FRONT, NODES[1], NODES[2], OTHER)
    assert (found.mistakes, found.notes, len(found.machines)) == ((), (), 4)


def test_what_all_machines_share_stands_once(tmp_path: Path) -> None:
    keys = {row.key for row in QUESTIONS if row.shared} | {"dns", "ntp", "timezone", "gateway"}
    shared = {key: value for one in (FRONT, NODES[1]) for key, value in one.items() if key in keys}
    own = [{key: value for key, value in one.items() if key not in keys} for one in (FRONT, NODES[1], NODES[2])]
    found = check(tmp_path, *own, shared=shared)
    assert found.mistakes == ()


PROBLEMS = [
    ({"nodes": "192.168.1.11"}, {}, {}, "no front end has 192.168.1.12 among its nodes"),
    ({"nodes": "none"}, {}, {}, "no front end has 192.168.1.11 among its nodes"),
    ({}, {"front-end": "192.168.1.99"}, {}, "no front end has the address 192.168.1.99"),
    ({}, {"address": "10.0.0.11/24", "gateway": "10.0.0.1"}, {}, "is outside the private network of"),
    ({}, {"address": "10.0.0.11/24", "gateway": "10.0.0.1"}, {}, "is in no network of its front end"),
    ({}, {"network-mode": "MANAGED"}, {}, "is MANAGED, and EDGE at"),
    ({}, {"front-end": "192.168.1.20"}, {}, "has it among its nodes"),
    ({}, {"address": "192.168.1.65/24"}, {}, "192.168.1.65 is the address of"),
    ({}, {"address": "192.168.1.105/24"}, {}, "192.168.1.105 is the address of"),
    ({}, {}, {"public-addresses": "192.168.1.80-192.168.1.90"}, "192.168.1.80 is among the public addresses of"),
    ({}, {}, {"public-addresses": "192.168.1.140-192.168.1.141"}, "192.168.1.140 is among the private addresses of"),
    ({}, {}, {"private-addresses": "192.168.1.139"}, "192.168.1.139 is among the private addresses of"),
    ({}, {}, {"nodes": "192.168.1.12-192.168.1.13"}, "192.168.1.12 is a node of"),
    ({}, {}, {"nodes": "192.168.1.50"}, "192.168.1.50 is among the public addresses of"),
    ({}, {}, {"mac-prefix": "d0:0d"}, "both are on one wire"),
]


@pytest.mark.parametrize(("front", "node", "other", "why"), PROBLEMS)
def test_machines_that_do_not_fit_together(
    front: dict[str, str], node: dict[str, str], other: dict[str, str], why: str, tmp_path: Path
) -> None:
    found = check(tmp_path, {**FRONT, **front}, {**NODES[1], **node}, NODES[2], {**OTHER, **other})
    assert any(why in line for line in found.mistakes), found.mistakes
    assert all(line.startswith(str(tmp_path / "rack.ini")) for line in found.mistakes)


def test_a_managed_subnet_that_another_machine_is_in(tmp_path: Path) -> None:
    front = answers("MANAGED", "front-end")
    plain = {"hostname": "db.example.org", "address": "172.16.3.4/24", "gateway": "172.16.3.1"}
    found = check(tmp_path, front, plain)
    assert any("private-subnet: 172.16.0.0/16 overlaps 172.16.3.0/24" in line for line in found.mistakes)


def test_what_the_wizard_would_ask_of_a_front_end_and_not_of_its_nodes(tmp_path: Path) -> None:
    front = {key: value for key, value in FRONT.items() if key not in ("public-addresses", "admin-password")}
    found = check(tmp_path, front, NODES[1], NODES[2])
    notes = [note for note in found.notes if "the wizard would ask for" in note]
    assert len(notes) == 1
    assert notes[0].endswith("the wizard would ask for: public-addresses, admin-password")


def test_the_commented_file_explains_every_question_of_a_cloud() -> None:
    text = commented_file()
    assert all(f"# {row.key} = " in text for row in QUESTIONS)
