"""`isobuilder answers check` on files that tell of whole clouds."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from isobuilder.answers import Findings, check_files, commented_file, new_key_lines
from isobuilder.firstlogin.cloud import rules, sshkeys
from isobuilder.firstlogin.cloud.questions import QUESTIONS
from isobuilder.firstlogin.rules import AnswerError
from tests.cloud_cases import PASSWORD, answers, machine
from tests.firstlogin_helpers import answers_file, at_keyboard, configure

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


@pytest.fixture(scope="module")
def halves() -> tuple[str, str]:
    """A private key and its public half, made by `answers key`."""
    private, public = new_key_lines()
    return private.partition(" = ")[2], public.partition(" = ")[2]


def test_both_halves_are_what_openssh_says_they_are(halves: tuple[str, str], tmp_path: Path) -> None:
    private, public = halves
    file = tmp_path / "key"
    file.write_text(sshkeys.private_file(private))
    file.chmod(0o600)
    said = subprocess.run(["ssh-keygen", "-y", "-f", file], capture_output=True, text=True, check=True)
    assert said.stdout.split()[:2] == public.split()


def test_a_key_that_openssh_made_is_taken(tmp_path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", str(tmp_path / "key")]
    subprocess.run(command, check=True)
    word = "".join((tmp_path / "key").read_text().splitlines()[1:-1])
    assert sshkeys.public_key(word).split() == (tmp_path / "key.pub").read_text().split()[:2]


@pytest.mark.parametrize("cut", [1, 40, 700])
def test_what_is_no_key_is_refused_and_not_repeated(cut: int, halves: tuple[str, str]) -> None:
    for word in (halves[0][:-cut], halves[0][cut:], "A" * 400, halves[0][:200] + "AAAA" + halves[0][204:]):
        with pytest.raises(AnswerError) as refused:
            rules.private_key(word)
        assert word[:30] not in str(refused.value)


def test_a_rack_whose_halves_belong_together_is_good(halves: tuple[str, str], tmp_path: Path) -> None:
    front = {**FRONT, "front-end-private-key": halves[0]}
    nodes = [{**node, "front-end-key": halves[1]} for node in NODES.values()]
    assert check(tmp_path, front, *nodes).mistakes == ()


def test_halves_that_do_not_belong_together_are_told(halves: tuple[str, str], tmp_path: Path) -> None:
    front = {**FRONT, "front-end-private-key": halves[0]}
    without = {key: value for key, value in NODES[2].items() if key != "front-end-key"}
    found = "\n".join(check(tmp_path, front, NODES[1], without).mistakes)
    assert "front-end-key: is not the public half of the front-end-private-key" in found
    assert "front-end-key: is missing, and its front end has the front-end-private-key" in found
    assert halves[0] not in found


def test_a_front_end_of_a_rack_waits_for_its_nodes_and_adds_them(halves: tuple[str, str], tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    one.add_node("192.168.1.11")
    one.add_node("192.168.1.12", up=False)
    sleep = one.clock.sleep

    def later(seconds: float) -> None:
        sleep(seconds)
        if one.clock.now() - 1800000000.0 > 400:
            one.add_node("192.168.1.12")

    values = {**FRONT, "front-end-private-key": halves[0]}
    code, said = configure(one, values, one.effects(sleep=later))
    assert code == 0, said
    assert "waiting for 1 of its nodes" in said
    assert "node 192.168.1.12: added" in said
    key = Path(one.path("root/.ssh/id_rsa"))
    assert key.read_text() == sshkeys.private_file(halves[0])
    assert key.stat().st_mode & 0o777 == 0o600
    assert one.read("root/.ssh/id_rsa.pub") == f"{halves[1]} front end\n"
    assert ["ssh-keygen"] not in [words[:1] for words in one.commands() if "-t" in words]
    # It is nowhere else.
    body = halves[0][100:160]
    places = [path for path in Path(one.root).rglob("*") if path.is_file() and body in path.read_text(errors="replace")]
    assert {str(path.relative_to(one.root)) for path in places} <= {"root/.ssh/id_rsa", "root/answers.ini"}
    assert body not in said


def test_a_node_that_never_comes_is_skipped_and_named(halves: tuple[str, str], tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    one.write("dev/console", "")
    one.add_node("192.168.1.11")
    values = {**FRONT, "front-end-private-key": halves[0]}
    code, said = configure(one, values)
    assert "node 192.168.1.11: added" in said
    assert "fail  node 192.168.1.12: does not answer, and is skipped" in said
    assert code == 5
    assert "isobuilder: failed checked: node 192.168.1.12: does not answer, and is skipped" in one.read("dev/console")


def test_a_key_that_is_gone_from_the_answers_is_not_made_up(halves: tuple[str, str], tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    one.add_node("192.168.1.11")
    one.add_node("192.168.1.12")
    values = {**FRONT, "front-end-private-key": halves[0]}
    one.fail("start eucalyptus-cloud")
    assert configure(one, values)[0] == 5
    # The file that it began with is not where the wizard looks by itself.
    code, said = at_keyboard(one, "c", PASSWORD)
    assert (code, "is not among the answers any more" in said) == (3, True)
    assert not Path(one.path("root/.ssh/id_rsa")).exists()
    one.write("etc/cloud-setup/answers", answers_file(values))
    code, said = at_keyboard(one, "c")
    assert code == 0, said
    assert one.read("root/.ssh/id_rsa") == sshkeys.private_file(halves[0])
