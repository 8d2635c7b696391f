"""`isobuilder answers`, and the table `[answers]` of a definition: the wizard's rules where the ISO is built."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobuilder.answers import PARTS, check_files, check_table, commented_file, table_as_text
from isobuilder.firstlogin import answers as files
from tests.conftest import isobuilder
from tests.kickstart_scripts import SHELLS, complaints, render_part, run_script
from tests.test_firstlogin_rules import HARMLESS, near_misses

RACK = """[all]
gateway = 192.168.1.1
dns = 192.168.1.1
ntp = ntp.example.org
[mac 52:54:00:12:34:56]
hostname = front.example.org
address = 192.168.1.10/24
[serial SN42]
hostname = node1.example.org
address = 192.168.1.11/24
[host node1]
bridge = br0
[host node2.example.org]
hostname = node2.example.org
address = 192.168.1.12/24
"""


def check(tmp_path: Path, *texts: str) -> subprocess.CompletedProcess[str]:
    names = []
    for number, text in enumerate(texts):
        names.append(f"{'abc'[number]}.ini")
        (tmp_path / names[-1]).write_text(text)
    return isobuilder("answers", "check", *names, cwd=tmp_path)


def test_a_good_rack_is_good(tmp_path: Path) -> None:
    done = check(tmp_path, RACK)
    assert (done.returncode, done.stdout) == (0, "3 machines in 1 file: good\n"), done.stderr
    [front, node1, node2] = check_files([tmp_path / "a.ini"]).machines
    assert node1.answers["bridge"] == "br0"
    assert "bridge" not in front.answers
    assert node2.title == "host node2.example.org"


SECOND = RACK.replace("192.168.1.", "192.168.1.2").replace("node", "n").replace("front", "f")
UNREACHABLE = RACK.replace("bridge = br0\n", "").replace("address = 192.168.1.12/24", "gateway = 10.9.9.9")
MISFITS = {
    "name": (
        [RACK.replace("SN42]\nhostname = node1", "SN42]\nhostname = front")],
        "has the host name front.example.org of",
    ),
    "address": (
        [RACK.replace("1.12/24", "1.10/24")],
        "has the address 192.168.1.10 of a.ini:5: [mac 52:54:00:12:34:56]",
    ),
    "section": ([RACK, SECOND], "has the section"),
    "overlap": ([RACK.replace("1.12/24", "1.12/16")], "is in 192.168.0.0/16, which overlaps 192.168.1.0/24"),
    "gateway": (
        [RACK.replace("gateway = 192.168.1.1", "gateway = 10.0.0.1")],
        "The gateway 10.0.0.1 is not in the network",
    ),
    "unreachable": ([UNREACHABLE], "no machine is in the network of 10.9.9.9"),
    "rule": ([RACK.replace("hostname = front", "hostname = -front")], "a.ini:6: hostname: '-front.example.org' is not"),
    "dns": ([RACK.replace("dns = 192.168.1.1", "dns = auto")], "auto takes the DNS servers from DHCP"),
    "nothing": (["# Nothing yet.\n"], "a.ini: no section is in it, and so no answer"),
    "ports": (["[all]\naddress.eth1 = 192.168.1.5/24\naddress = 192.168.1.4/24\n"], "overlaps that of the main port"),
}


@pytest.mark.parametrize(("texts", "said"), MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_is_exit_3_with_its_place(texts: list[str], said: str, tmp_path: Path) -> None:
    done = check(tmp_path, *texts)
    assert done.returncode == 3, done.stdout
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_all_mistakes_of_all_files_are_reported_together(tmp_path: Path) -> None:
    done = check(tmp_path, "[all]\nntp = $(x)\nwhat = 1\n", "[rack]\n[all]\ntimezone = .\n")
    assert done.returncode == 3
    assert "4 mistakes in the answers" in done.stderr
    for place in ("a.ini:2", "a.ini:3", "b.ini:1", "b.ini:3"):
        assert place in done.stderr


def test_what_the_wizard_would_ask_for_is_a_note(tmp_path: Path) -> None:
    done = check(tmp_path, "[mac 52:54:00:12:34:56]\naddress = 192.168.1.10/24\n")
    assert done.returncode == 0
    assert "the wizard would ask for: hostname, gateway, dns" in done.stderr


def test_a_file_that_is_not_there_is_exit_3(tmp_path: Path) -> None:
    done = isobuilder("answers", "check", "none.ini", cwd=tmp_path)
    assert (done.returncode, "none.ini: the answers file cannot be read" in done.stderr) == (3, True)


def test_a_new_file_explains_everything_and_is_good_when_filled_in(tmp_path: Path) -> None:
    done = isobuilder("answers", "new", "rack.ini", cwd=tmp_path)
    assert done.returncode == 0
    text = (tmp_path / "rack.ini").read_text()
    assert text == commented_file() == isobuilder("answers", "new", "-", cwd=tmp_path).stdout
    assert max(map(len, text.splitlines())) <= 120
    for row in PARTS.documented():
        assert f"\n# {row.key} = " in text
    assert files.parse(text.encode(), PARTS.rule_of, PARTS.known_keys()).mistakes == ()
    # Every example of it, taken at its word, is an answer.
    lines = [line[2:] if line.startswith(("# [mac", *(f"# {row.key} = " for row in PARTS.documented()))) else line
             for line in text.replace("address.PORT", "address.eth1").splitlines()]  # fmt: skip
    (tmp_path / "rack.ini").write_text("\n".join(lines).replace("# address.eth1", "address.eth1"))
    done = isobuilder("answers", "check", "rack.ini", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "1 machine in 1 file: good\n"), done.stderr
    assert isobuilder("answers", "new", "rack.ini", cwd=tmp_path).returncode == 2


# In a definition.

DEFINITION = 'version = 1\nname = "x"\nrelease = "7"\nproduct = "eucalyptus"\n'
ANSWERS = """[answers]
ntp = ["NTP1.example.org", "ntp2.example.org"]
timezone = "Europe/Rome"
[answers.mac."52-54-00-12-34-56"]
hostname = "front.example.org"
"address.eth1" = "off"
[answers.host.node1]
bridge = "br0"
"""


def kickstart(tmp_path: Path, text: str, role: str = "frontend") -> subprocess.CompletedProcess[str]:
    (tmp_path / "media.toml").write_text(text)
    return isobuilder("kickstart", role, cwd=tmp_path)


def test_answers_of_a_definition_come_to_the_installed_system(tmp_path: Path) -> None:
    text = kickstart(tmp_path, DEFINITION + ANSWERS).stdout
    compiled = text.partition("<<'ISOBUILDER_ANSWERS'\n")[2].partition("ISOBUILDER_ANSWERS")[0]
    file = files.parse(compiled.encode(), PARTS.rule_of, PARTS.known_keys())
    assert file.mistakes == ()
    assert [(section.title, section.answers) for section in file.sections] == [
        ("all", {"ntp": "ntp1.example.org ntp2.example.org", "timezone": "Europe/Rome"}),
        ("host node1", {"bridge": "br0"}),
        ("mac 52:54:00:12:34:56", {"hostname": "front.example.org", "address.eth1": "off"}),
    ]
    assert "ISOBUILDER_ANSWERS" not in kickstart(tmp_path, DEFINITION).stdout
    # A role without the wizard is not told.
    assert "cloud-setup" not in kickstart(tmp_path, DEFINITION + ANSWERS, "minimal").stdout


def test_mistakes_in_them_are_mistakes_of_the_definition(tmp_path: Path) -> None:
    done = kickstart(
        tmp_path,
        DEFINITION + '[answers]\nntp = "$(x)"\nhostnam = "a"\ndns = 7\nbridge = ["br0", 1]\nmac = "x"\n'
        '[answers.serial]\nx = 1\n[answers.host."a b"]\nbridge = "br0"\n',
    )
    assert done.returncode == 3
    text = " ".join(done.stderr.split())
    for said in (
        "ntp: '$(x)' is neither a name nor an address",
        "hostnam: the wizard has no such question",
        "dns: is neither text nor an array of it",
        "bridge: is neither text nor an array of it",
        "mac: the wizard has no such question",
        "serial.x: is no table",
    ):
        assert said in text


def test_a_section_for_a_machine_that_cannot_be_is_refused(tmp_path: Path) -> None:
    for table in ('mac."52:54"', 'serial."a\'b"', 'host."a b"'):
        done = kickstart(tmp_path, f'{DEFINITION}[answers.{table}]\nbridge = "br0"\n')
        assert done.returncode == 3
        assert "is not" in done.stderr


def test_the_schema_knows_every_question() -> None:
    schema = json.loads(isobuilder("schema").stdout)
    answers = schema["properties"]["answers"]["anyOf"][0]
    properties = answers["properties"]
    keys = {row.key for row in PARTS.documented()} - {"address.PORT"}
    assert set(properties) == keys | {"mac", "serial", "host"}
    for table in (answers, properties["host"]["additionalProperties"]):
        [pattern] = table["patternProperties"]
        assert re.search(pattern, "address.eth1")
        assert not re.search(pattern, "addresses")


@given(st.dictionaries(st.sampled_from([*PARTS.known_keys(), "address.eth1"]), near_misses, max_size=4), near_misses)
def test_whatever_a_definition_says_only_harmless_answers_are_compiled(table: dict[str, str], name: str) -> None:
    try:
        checked = check_table({**table, "host": {name: table}})
    except ValueError:
        return
    for line in table_as_text(checked).splitlines()[1:]:
        assert line.startswith("[") or HARMLESS.fullmatch(line.partition(" = ")[2])


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_the_script_tells_the_wizard_what_it_should_know(shell: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("a=b cloud.answers=hd:LABEL=RACK:/r.ini xcloud.answers=no *\n")
    role = {"id": "rack", "title": 'A "$(touch PWNED)" `touch PWNED` node'}
    places = {"label": "RACK-9", "medium_path": "/run/install/repo", "root_path": "/mnt/sysroot"}
    answers = "[all]\nntp = $(touch PWNED)\n"
    text = render_part("first-login", role=role, machine="\n  BRIDGE=br0\n", answers=answers, **places)
    assert complaints(f"%post\n{text}%end\n") == []
    for _ in range(2):
        done = run_script(text, shell, tmp_path, "/usr/bin:/bin")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    folder = tmp_path / "etc/cloud-setup"
    assert (folder / "role").read_text() == (
        "ID=rack\nTITLE=\"A '$(touch PWNED)' `touch PWNED` node\"\nMEDIUM=RACK-9\nMEDIUM_PATH=/run/install/repo\n"
        "ROOT_PATH=/mnt/sysroot\nBRIDGE=br0\n"
    )
    assert (folder / "answers").read_text() == "[all]\nntp = $(touch PWNED)\n"
    assert (folder / "kernel-argument").read_text() == "cloud.answers=hd:LABEL=RACK:/r.ini\n"
    assert all(path.stat().st_mode & 0o077 == 0 for path in [folder, *folder.iterdir()])
    (tmp_path / "proc/cmdline").write_text("quiet\n")
    assert run_script(text, shell, tmp_path, "/usr/bin:/bin").returncode == 0
    assert not (folder / "kernel-argument").exists()
    assert not list(tmp_path.rglob("PWNED"))


def test_a_role_of_the_users_asks_for_it_by_its_name(tmp_path: Path) -> None:
    template = '{% extends "base.ks.j2" %}\n{% block packages %}\n@core\ncloud-setup\n{% endblock %}\n'
    template += "{% block first_login %}\nBRIDGE=virbr7\n{% endblock %}\n"
    (tmp_path / "rack.ks.j2").write_text(template)
    text = 'version = 1\nname = "x"\nrelease = "9-stream"\n[role.rack]\nkickstart = "rack.ks.j2"\n'
    text += '[answers]\nntp = "keep"\n'
    done = kickstart(tmp_path, text, "rack")
    assert done.returncode == 0, done.stderr
    assert "ID=rack\n" in done.stdout
    assert "BRIDGE=virbr7\n" in done.stdout
    assert "[all]\nntp = keep\n" in done.stdout
