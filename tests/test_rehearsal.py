"""Rehearsals without an installation: topologies, milestones on consoles as they are written, verdicts."""

import json
import re
from pathlib import Path
from string import Template
from xml.etree import ElementTree as ET

import pytest

from isobuilder.answers import check_files, new_key_lines
from isobuilder.errors import AnswersError, DefinitionError, UsageError
from isobuilder.progress import Silent
from isobuilder.rehearsal.milestones import Milestone, failure, last_words, signs, stages
from isobuilder.rehearsal.run import rehearse
from isobuilder.rehearsal.topology import chosen, load_topology
from isobuilder.rehearsal.verdict import Rehearsal, Way
from tests.conftest import isobuilder

OURS = Path(__file__).parent / "rehearsal/topology.toml"


def topology(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "topology.toml"
    path.write_text("version = 1\n" + text)
    return path


def machine(name: str, **more: str) -> str:
    lines = {"role": '"nc"', **{key.replace("_", "-"): value for key, value in more.items()}}
    return f'[[machine]]\nname = "{name}"\n' + "".join(f"{key} = {value}\n" for key, value in lines.items())


def test_our_own_topology_is_one_and_its_answers_go_together(tmp_path: Path) -> None:
    machines = load_topology(OURS).machine
    ways = {(one.role, one.firmware) for one in machines}
    assert ways >= {("frontend", "bios"), ("nc", "uefi"), ("ciab", "uefi")}
    assert [one.answers for one in machines if one.role == "local"] == [OURS.parent / "answers.ini"] * 3
    private_key, public_key = new_key_lines()
    values = {"password": "Aa1-0123456789", "private_key": private_key, "public_key": public_key}
    answers = tmp_path / "answers.ini"
    answers.write_text(Template((OURS.parent / "answers.ini").read_text()).substitute(values))
    found = check_files([answers])
    assert (found.mistakes, found.notes, len(found.machines)) == ((), (), 3)


def test_answers_lie_beside_the_topology(tmp_path: Path) -> None:
    text = machine("a", answers='"sub/rack.ini"') + machine("b", answers='"/etc/rack.ini"') + machine("c")
    loaded = load_topology(topology(tmp_path, text))
    assert [one.answers for one in loaded.machine] == [tmp_path / "sub/rack.ini", Path("/etc/rack.ini"), None]


def test_answers_that_cannot_be_are_refused_before_anything_starts(tmp_path: Path, demo_iso: Path) -> None:
    (tmp_path / "a.ini").write_text("[all]\ndns = 10.0.0.300\n")
    (tmp_path / "b.ini").write_text("[all]\nhostnam = a\n")
    loaded = load_topology(topology(tmp_path, machine("a", answers='"a.ini"') + machine("b", answers='"b.ini"')))
    with pytest.raises(AnswersError) as caught:
        rehearse(demo_iso, loaded, output=tmp_path / "out", keep=False, progress=Silent())
    first, second = caught.value.details
    assert f"{tmp_path}/a.ini" in first
    assert "10.0.0.300" in first
    assert f"{tmp_path}/b.ini" in second
    assert "hostname" in second
    assert not (tmp_path / "out").exists()


def test_all_mistakes_in_a_table_are_reported_at_once(tmp_path: Path) -> None:
    text = machine("Front", firmware='"grub"', disk_gib="0", mac='"01:00:00:00:00:01"', untill='"login"')
    with pytest.raises(DefinitionError) as caught:
        load_topology(topology(tmp_path, text))
    said = "\n".join(caught.value.details)
    for key in ("name", "firmware", "disk-gib", "mac"):
        assert f"machine[1].{key}: " in said
    assert "machine[1].untill: unknown key; did you mean 'until'?" in said
    assert "needs at least" not in said
    with pytest.raises(DefinitionError) as caught:
        load_topology(topology(tmp_path, "machine = []\n"))
    assert caught.value.details == ("machine: needs at least 1",)


def test_every_machine_whose_role_is_not_on_the_medium_is_named(tmp_path: Path, demo_iso: Path) -> None:
    text = machine("a", role='"fronted"') + machine("b") + machine("c", role='"minimul"')
    with pytest.raises(UsageError) as caught:
        rehearse(demo_iso, load_topology(topology(tmp_path, text)), output=tmp_path, keep=False, progress=Silent())
    assert caught.value.details == (
        "a: the menu has no 'fronted'; did you mean 'frontend'?",
        "c: the menu has no 'minimul'; did you mean 'minimal'?",
    )


def test_a_verdict_that_could_not_be_written_is_known_before_anything_starts(tmp_path: Path, demo_iso: Path) -> None:
    wanted = str(topology(tmp_path, machine("a")))
    files = ("--json", "a.json", "--junit", "none/b.xml")
    done = isobuilder("rehearse", wanted, str(demo_iso), *files, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (7, "")
    assert "none/b.xml: cannot be written: No such file or directory" in done.stderr
    assert not (tmp_path / "rehearsal").exists()


def test_all_mistakes_between_machines_are_reported_at_once(tmp_path: Path) -> None:
    mac = '"52:54:00:00:00:01"'
    text = machine("a", mac=mac) + machine("a", mac=mac, after='["b", "aa"]')
    text += machine("b", start_from='"a"') + machine("c", typed='[{ expect = "(", send = "" }]')
    with pytest.raises(DefinitionError) as caught:
        load_topology(topology(tmp_path, text))
    assert [detail.split(": error")[0] for detail in caught.value.details] == [
        "machine[2].name: 'a' is there already",
        "machine[2].mac: a has it already",
        "machine[2]: it waits for 'b', which comes later, or is itself",
        "machine[2]: it waits for 'aa', which is no machine; did you mean 'a'?",
        "machine[3].start-from: a must have no mac, and come to rebooted or further",
        "machine[4].typed[1].expect: no regular expression: missing ), unterminated subpattern at position 0",
    ]


def test_a_chosen_machine_brings_those_that_it_waits_for(tmp_path: Path) -> None:
    text = machine("a") + machine("b", after='["a"]') + machine("c", start_from='"b"') + machine("d")
    loaded = load_topology(topology(tmp_path, text))
    assert [one.name for one in chosen(loaded, ("c",)).machine] == ["a", "b", "c"]
    assert [one.name for one in chosen(loaded, ()).machine] == ["a", "b", "c", "d"]
    with pytest.raises(DefinitionError, match="no 'e'"):
        chosen(loaded, ("e",))


@pytest.mark.parametrize(
    ("until", "installs", "expected"),
    [
        ("menu", True, (("menu",),)),
        ("installed", True, (("menu",), ("kernel",), ("kickstart",), ("installed",))),
        (
            "checked",
            True,
            (("menu",), ("kernel",), ("kickstart",), ("installed",), ("rebooted",), ("login", "configured", "checked")),
        ),
        ("checked", False, (("menu",), ("login", "configured", "checked"))),
    ],
)
def test_milestones_come_in_groups(
    until: Milestone,
    installs: bool,  # noqa: FBT001
    expected: tuple[tuple[Milestone, ...], ...],
) -> None:
    assert stages(until, installs=installs) == expected


@pytest.mark.parametrize(
    ("milestone", "console", "comes"),
    [
        ("menu", "Practice cloud\nBoot from local drive\n", True),
        ("kernel", "[    0.000000] Command line: BOOT_IMAGE=/images/pxeboot/vmlinuz inst.ks=x\n", True),
        ("kickstart", "isobuilder: reached kickstart nc\n", True),
        ("kickstart", "isobuilder: reached kickstart nc-two\n", False),
        ("kickstart", "isobuilder: reached installed nc\n", False),
        ("installed", "isobuilder: reached installed nc\n", True),
        ("login", "\nnode1.example.org login: ", True),
        ("login", "\nLast login: Thu Nov 26 on tty1\n", False),
        ("configured", "isobuilder: reached configured\n", True),
        ("checked", "isobuilder: reached configured\n", False),
    ],
)
def test_a_milestone_is_known_by_its_words(milestone: Milestone, console: str, comes: bool) -> None:  # noqa: FBT001
    sign = signs([milestone], menu="Boot from local drive", role="nc")[0]
    assert sign.milestone == milestone
    assert bool(sign.pattern.search(console)) == comes


@pytest.mark.parametrize(
    ("console", "milestone", "cause"),
    [
        ("isobuilder: failed kickstart: the disk is not empty\n", "kickstart", "the disk is not empty"),
        ("isobuilder: failed checked: chronyd does not run\n", "checked", "chronyd does not run"),
        # anaconda's kickstart.py, and Linux's panic().
        (
            "The following error occurred while parsing the kickstart file:\n",
            "kickstart",
            "the console shows 'The following error occurred while parsing the kickstart'",
        ),
        (
            "[    1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\n",
            "installed",
            "the console shows 'Kernel panic - not syncing'",
        ),
    ],
)
def test_a_fatal_line_names_the_milestone_and_the_cause(console: str, milestone: Milestone, cause: str) -> None:
    found = [match for sign in signs([], menu="m", role="nc") if sign.fatal and (match := sign.pattern.search(console))]
    assert len(found) == 1
    assert failure(found[0], "installed") == (milestone, cause)


def test_the_kernel_has_no_last_words() -> None:
    lines = ("practice: FAILED storage: too small", "[   13.135232] ACPI: sleep", "[ 13.1] reboot: Power down")
    assert last_words(lines) == "practice: FAILED storage: too small"


def verdict(tmp_path: Path) -> Rehearsal:
    wanted: tuple[Milestone, ...] = ("menu", "kernel", "kickstart", "installed")
    good = Way("a", "nc", "bios", wanted, {"menu": 1.0, "kernel": 9.5, "kickstart": 20.0, "installed": 200.0})
    lines = ("<&> \x1b[1m", "last")
    bad = Way("b", "nc", "uefi", wanted, {"menu": 4.0}, "kernel", 'it said "<no>"\x00', lines, tmp_path / "log", None)
    return Rehearsal(tmp_path / "x.iso", "ab" * 32, "tcg", (good, bad))


def test_a_verdict_as_a_table(tmp_path: Path) -> None:
    top, heads, first, second = verdict(tmp_path).lines()
    assert "ab" * 32 in top
    assert heads.split()[:4] == ["machine", "role", "firmware", "menu"]
    assert re.split(r"  +", first) == ["a", "nc", "bios", "1 s", "10 s", "20 s", "200 s", "-", "-", "-", "-"]
    assert second.split()[3:8] == ["4", "s", "failed", "skipped", "skipped"]


def test_a_verdict_as_json(tmp_path: Path) -> None:
    said = json.loads(verdict(tmp_path).json())
    assert (said["sha256"], said["passed"]) == ("ab" * 32, False)
    assert [machine["failed"] for machine in said["machines"]] == [None, "kernel"]
    assert said["machines"][1]["milestones"][1] == {"name": "kernel", "state": "failed", "seconds": None}


def test_a_verdict_as_junit(tmp_path: Path) -> None:
    top = ET.fromstring(verdict(tmp_path).junit())
    assert [(suite.get("name"), suite.get("failures"), suite.get("skipped")) for suite in top] == [
        ("a", "0", "0"),
        ("b", "1", "2"),
    ]
    times = [float(case.get("time", "")) for case in top[0].iter("testcase")]
    assert times == [1.0, 8.5, 10.5, 180.0]
    (failed,) = top.iter("failure")
    assert failed.get("message", "").startswith('it said "<no>"')
    assert (failed.text or "").startswith("<&> ")
