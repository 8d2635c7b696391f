"""What the wizard makes of the machines of a cloud, for every version, mode and part: files, and commands in order."""

import json
from pathlib import Path

import pytest

from tests.cloud_cases import CASES, PARTS, PASSWORD, answers, machine
from tests.firstlogin_helpers import configuration, configure, end_state
from tests.practice.euca.knowledge import SECRET_KEY
from tests.standin_cloud import CloudMachine

GOLDEN = Path(__file__).parent / "golden/cloud"


def made_of(one: CloudMachine, before: dict[str, str]) -> str:
    after = configuration(one)
    lines = [f"command: {' '.join(words)}" for words in one.commands()]
    lines += [f"removed: {name}" for name in sorted(before.keys() - after.keys())]
    for name, text in after.items():
        if before.get(name) != text and not name.startswith("var/lib/eucalyptus/"):
            mode, _, content = text.partition("\n")
            lines += [f"\n==> {name} {mode}", *content.splitlines()]
    for name in ("root/.ssh/authorized_keys", "root/.euca/global.ini", "usr/sbin/cloud-admin"):
        path = Path(one.path(name))
        if path.exists():
            lines += [f"\n==> {name} {path.stat().st_mode & 0o777:o}", *path.read_text().splitlines()]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("style", "mode", "part"), CASES)
def test_files_and_commands_are_as_they_were_approved(
    style: str, mode: str, part: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    one = machine(tmp_path / "root", style, part)
    before = configuration(one)
    code, said = configure(one, answers(mode, part))
    assert code == 0, said
    made = made_of(one, before)
    assert PASSWORD not in made
    assert SECRET_KEY not in made
    approved = GOLDEN / style / f"{mode}-{part}.txt"
    if request.config.getoption("--regenerate"):
        approved.parent.mkdir(parents=True, exist_ok=True)
        approved.write_text(made)
    assert made == approved.read_text()


def test_no_golden_file_is_left_of_what_is_gone() -> None:
    kept = {(path.parent.name, path.stem) for path in GOLDEN.glob("*/*.txt")}
    assert kept == {(style, f"{mode}-{part}") for style, mode, part in CASES}


@pytest.mark.parametrize(("style", "mode", "part"), CASES)
def test_a_second_run_with_the_same_answers_changes_nothing_and_says_so(
    style: str, mode: str, part: str, tmp_path: Path
) -> None:
    one = machine(tmp_path / "root", style, part)
    values = answers(mode, part)
    assert configure(one, values)[0] == 0
    state, cloud, commands = end_state(one), one.cloud(), one.commands()
    code, said = configure(one, values)
    assert (code, "Nothing: this machine is as the answers want it." in said) == (0, True), said
    assert (end_state(one), one.cloud(), one.commands()) == (state, cloud, commands)


@pytest.mark.parametrize(("style", "mode", "part"), CASES)
def test_the_cloud_that_is_there_in_the_end(style: str, mode: str, part: str, tmp_path: Path) -> None:
    """By what the stand-ins were told, and not by what the wizard says."""
    one = machine(tmp_path / "root", style, part)
    assert configure(one, answers(mode, part))[0] == 0
    cloud, running = one.cloud(), one.state()["running"]
    daemon = {"EDGE": "nc", "MANAGED": "frontend", "MANAGED-NOVLAN": "frontend", "VPCMIDO": "frontend"}[mode]
    assert ("eucanetd" in running) == (daemon in PARTS[part].split())
    if part == "node":
        assert cloud["services"] == {}
        assert {"6": "eucalyptus-nc", "7": "eucalyptus-node"}[style] in running
        return
    zones = {kind: [one[1] for one in services.values()] for kind, services in cloud["services"].items()}
    assert zones == {
        "eucalyptus": [""],
        "user-api": [""],
        "walrusbackend": [""],
        "cluster": ["zone-1"],
        "storage": ["zone-1"],
    }
    assert cloud["properties"]["zone-1.storage.blockstoragemanager"] == "overlay"
    assert cloud["users"] == {"administrator": PASSWORD}
    document = cloud["properties"].get("cloud.network.network_configuration")
    assert bool(document) == (mode in ("EDGE", "VPCMIDO"))
    if document:
        assert json.loads(document)["Mode"] == mode
    assert one._node_list() == (["192.168.1.10"] if part == "box" else [])
    for name in ("cloud-setup.ini", "global.ini"):
        assert Path(one.path(f"root/.euca/{name}")).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("first", "second"), [("MANAGED", "EDGE"), ("EDGE", "MANAGED-NOVLAN"), ("EDGE", "MANAGED")])
def test_a_mode_changes_to_another_without_a_trace_of_the_first(first: str, second: str, tmp_path: Path) -> None:
    direct = machine(tmp_path / "direct", "6", "front-end")
    assert configure(direct, answers(second, "front-end"))[0] == 0
    one = machine(tmp_path / "root", "6", "front-end")
    assert configure(one, answers(first, "front-end"))[0] == 0
    code, said = configure(one, answers(second, "front-end"))
    assert code == 0, said
    conf = "etc/eucalyptus/eucalyptus.conf"
    assert sorted(one.read(conf).splitlines()) == sorted(direct.read(conf).splitlines())
    assert {**one._conf(), "PWD": ""} == {**direct._conf(), "PWD": ""}
    assert one.cloud()["properties"] == direct.cloud()["properties"]
    assert Path(one.path("etc/eucalyptus/network.json")).exists() == (second == "EDGE")
