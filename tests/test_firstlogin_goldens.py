"""What the wizard makes of a machine, for every way to keep a network: files, and commands in their order."""

from pathlib import Path

import pytest

from tests.firstlogin_helpers import NODE_ROLE, STATIC, STYLES, configuration, configure
from tests.scratch_machine import Scratch

GOLDEN = Path(__file__).parent / "golden/firstlogin"
CASES: dict[str, dict[str, str]] = {
    "dhcp": {"hostname": "node1.example.org", "address": "dhcp", "dns": "auto"},
    "dhcp-own-dns": {"hostname": "node1.example.org", "address": "dhcp", "dns": "10.0.0.53"},
    "static": STATIC,
    "static-no-gateway": {**STATIC, "gateway": "none", "dns": "192.168.1.1"},
    "bridge": {**STATIC, "bridge": "br0"},
    "bridge-dhcp": {"hostname": "node1.example.org", "address": "dhcp", "dns": "auto", "bridge": "br0"},
    "two-ports": {**STATIC, "address.eth1": "10.0.0.5/255.255.0.0"},
    "second-dhcp": {**STATIC, "interface": "eth1", "address.eth0": "off"},
    "second-off": {**STATIC, "address.eth1": "off", "ntp": "keep"},
    "other-dhcp": {**STATIC, "address.eth1": "dhcp"},
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("case", sorted(CASES))
def test_files_and_commands_are_as_they_were_approved(
    style: str, case: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    machine = Scratch(str(tmp_path / "root"), style).make(ports=2, role=NODE_ROLE if case.startswith("bridge") else "")
    before = configuration(machine)
    code, said = configure(machine, CASES[case])
    assert code == 0, said
    after = configuration(machine)
    lines = [f"command: {' '.join(words)}" for words in machine.commands()]
    lines += [f"removed: {name}" for name in sorted(before.keys() - after.keys())]
    for name, text in after.items():
        if before.get(name) != text:
            mode, _, content = text.partition("\n")
            lines += [f"\n==> {name} {mode}", *content.splitlines()]
    made = "\n".join(lines) + "\n"
    approved = GOLDEN / style / f"{case}.txt"
    if request.config.getoption("--regenerate"):
        approved.parent.mkdir(parents=True, exist_ok=True)
        approved.write_text(made)
    assert made == approved.read_text()


def test_no_golden_file_is_left_of_what_is_gone() -> None:
    kept = {(path.parent.name, path.stem) for path in GOLDEN.glob("*/*.txt")}
    assert kept == {(style, case) for style in STYLES for case in CASES}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("case", sorted(CASES))
def test_a_second_run_with_the_same_answers_changes_nothing_and_says_so(style: str, case: str, tmp_path: Path) -> None:
    machine = Scratch(str(tmp_path / "root"), style).make(ports=2, role=NODE_ROLE if case.startswith("bridge") else "")
    assert configure(machine, CASES[case])[0] == 0
    files, state, commands = configuration(machine), machine.state(), machine.commands()
    code, said = configure(machine, CASES[case])
    assert (code, "Nothing: this machine is as the answers want it." in said) == (0, True), said
    assert (configuration(machine), machine.state(), machine.commands()) == (files, state, commands)


@pytest.mark.parametrize("style", STYLES)
def test_the_bridge_goes_when_the_answers_say_none(style: str, tmp_path: Path) -> None:
    plain = Scratch(str(tmp_path / "plain"), style).make(ports=2, role=NODE_ROLE)
    assert configure(plain, {**STATIC, "bridge": "none"})[0] == 0
    machine = Scratch(str(tmp_path / "root"), style).make(ports=2, role=NODE_ROLE)
    assert configure(machine, {**STATIC, "bridge": "br0"})[0] == 0
    code, said = configure(machine, {**STATIC, "bridge": "none"})
    assert code == 0, said
    assert configuration(machine) == configuration(plain)
    assert machine.state()["addresses"] == plain.state()["addresses"]
    assert not Path(machine.path("sys/class/net/br0")).exists()


@pytest.mark.parametrize("style", STYLES)
def test_every_answer_changes_to_every_other(style: str, tmp_path: Path) -> None:
    """From whatever the wizard made before, the same answers end in the same machine."""
    role = NODE_ROLE
    for first in ("dhcp", "bridge-dhcp", "two-ports"):
        for second in ("static", "bridge", "dhcp-own-dns"):
            answers = {**CASES[second], "address.eth1": "off", "bridge": CASES[second].get("bridge", "none")}
            direct = Scratch(str(tmp_path / f"{first}-{second}-direct"), style).make(ports=2, role=role)
            assert configure(direct, answers)[0] == 0
            machine = Scratch(str(tmp_path / f"{first}-{second}"), style).make(ports=2, role=role)
            assert configure(machine, CASES[first])[0] == 0
            code, said = configure(machine, answers)
            assert code == 0, said
            different = {
                name
                for name in configuration(direct).keys() | configuration(machine).keys()
                if configuration(direct).get(name) != configuration(machine).get(name)
            }
            # Time servers and zone that were set before stay where the answers do not say.
            assert different <= {"etc/ntp.conf", "etc/chrony.conf", "etc/localtime", "etc/sysconfig/clock"}, different
            assert machine.state()["addresses"] == direct.state()["addresses"]
