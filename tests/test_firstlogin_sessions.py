"""Whole sessions at a terminal of 80 columns and 24 lines, as a person types them, on every Python that is here."""

import os
from pathlib import Path

import pexpect
import pyte
import pytest

from isobuilder.firstlogin.journal import Journal
from tests.firstlogin_helpers import NODE_ROLE, end_state
from tests.firstlogin_pythons import every_python
from tests.scratch_machine import Scratch

SESSION = Path(__file__).with_name("firstlogin_session.py")
PYTHONS = every_python()
OLDEST = PYTHONS[min(PYTHONS, key=lambda version: [int(part) for part in version.split(".")])]
COLUMNS, ROWS = 80, 24
# A person's answers, each with what they wait for before they type it.
ANSWERS = [
    ("Host name", "node1.example.org"),
    ("Main network port", ""),
    ("Address of eth0", "192.168.1.10/24"),
    ("Gateway", ""),
    ("Address of eth1", "keep"),
    ("DNS servers", ""),
    ("Bridge", ""),
    ("Time servers", "ntp1.example.org"),
    ("Time zone", "Europe/Rome"),
]


class Person:
    """Somebody at a terminal, who sees a screen and has a paper copy of all that ever was on it."""

    def __init__(self, machine: Scratch, python: str, *arguments: str, term: str = "vt100", **environ: str) -> None:
        words = ["-I", "-B", str(SESSION), machine.root, machine.style, *arguments]
        self.child = pexpect.spawn(
            python,
            words,
            dimensions=(ROWS, COLUMNS),
            env={"TERM": term, "PATH": os.environ["PATH"], "LANG": "C", **environ},
            timeout=60,
            encoding="utf-8",
        )
        self.child.delaybeforesend = None
        self.paper = ""

    def sees(self, text: str) -> None:
        self.child.expect_exact(text)
        self.paper += self.child.before + self.child.after

    def types(self, line: str) -> None:
        self.child.sendline(line)

    def answers(self, pairs: list[tuple[str, str]]) -> None:
        for text, line in pairs:
            self.sees(text)
            self.sees(": ")
            self.types(line)

    def agrees(self) -> None:
        """Says yes to the plan, however many pages it has."""
        while True:
            page = self.child.expect_exact(["more lines", "Do it?"])
            self.paper += self.child.before + self.child.after
            self.sees(": ")
            self.types(["", "yes"][page])
            if page:
                return

    def leaves(self, key: str = "c") -> int:
        """Presses Ctrl and `key`, and once more where that fell between the prompt and readline's wait for a key."""
        for _ in range(10):
            self.child.sendcontrol(key)
            if self.child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=5) == 0:
                break
        self.paper += self.child.before
        self.child.close()
        return int(self.child.exitstatus)

    def ends(self) -> int:
        self.child.expect(pexpect.EOF)
        self.paper += self.child.before
        self.child.close()
        return int(self.child.exitstatus)

    def screens(self) -> list[str]:
        """The screen after each line of output."""
        screen = pyte.Screen(COLUMNS, ROWS)
        stream = pyte.Stream(screen)
        shown = []
        for line in self.paper.splitlines(keepends=True):
            stream.feed(line)
            shown.append("\n".join(screen.display))
        return shown


@pytest.fixture(params=sorted(PYTHONS))
def python(request: pytest.FixtureRequest) -> str:
    return PYTHONS[request.param]


def new(tmp_path: Path, name: str = "root", style: str = "7") -> Scratch:
    return Scratch(str(tmp_path / name), style).make(ports=2, role=NODE_ROLE)


@pytest.mark.parametrize(("style", "term"), [("6", "dumb"), ("9", "vt100")])
def test_a_whole_session(python: str, term: str, style: str, tmp_path: Path) -> None:
    machine = new(tmp_path, style=style)
    person = Person(machine, python, term=term)
    person.answers(ANSWERS)
    person.agrees()
    assert person.ends() == 0, person.paper
    assert "This machine is set up." in person.paper
    assert machine.state()["addresses"] == {"br0": ["192.168.1.10/24"]}
    # Nothing is wider than the screen, and a dumb terminal is sent text alone.
    typed = [line for _, line in ANSWERS]
    output = [line for line in person.paper.splitlines() if not any(line.endswith(word) for word in typed if word)]
    plain = [line.replace("\x1b[32m", "").replace("\x1b[33m", "").replace("\x1b[0m", "") for line in output]
    assert max(map(len, plain)) < COLUMNS
    assert ("\x1b" in person.paper) == (term != "dumb")
    if term == "dumb":
        assert all(" " <= one <= "~" or one in "\r\n" for one in person.paper)


def test_what_is_to_be_read_stays_on_the_screen_until_somebody_has_read_it(tmp_path: Path) -> None:
    machine = new(tmp_path, style="9")
    person = Person(machine, OLDEST)
    person.answers(ANSWERS)
    seen = ""
    while True:
        page = person.child.expect_exact(["more lines", "Do it?"])
        person.paper += person.child.before + person.child.after
        person.sees(": ")
        screen = person.screens()[-1]
        seen += screen
        person.types(["", "no"][page])
        if page:
            break
    assert person.ends() == 130
    # Every line of the plan was on the screen at some moment.
    plan = person.paper.partition("-- What will be done")[2].partition("Do it?")[0]
    lines = [line.rstrip() for line in plan.splitlines()[1:] if line.strip() and "more lines" not in line]
    assert len(lines) > 60
    missing = [line for line in lines if line not in seen]
    assert missing == []


def test_wrong_answers_help_and_going_back(python: str, tmp_path: Path) -> None:
    machine = new(tmp_path)
    person = Person(machine, python)
    person.answers([("Host name", "$(reboot)"), ("is not a host name", "node1"), ("no domain", "node1.example.org")])
    person.answers([("Main network port", "?"), ("The port that leads", "eth5"), ("There is no port eth5", "eth0")])
    person.answers([("Address of eth0", "192.168.1.500/24"), ("more than 255", "192.168.1.10/24")])
    person.answers([("Gateway", "10.0.0.1"), ("is not in the network", "<"), ("Address of eth0", "<")])
    person.answers([("Main network port", "<"), ("Host name [node1.example.org]", "")])
    person.answers(ANSWERS[1:])
    person.agrees()
    assert person.ends() == 0, person.paper
    run = Journal(machine.effects()).last()
    assert run is not None
    assert run.answers["hostname"] == "node1.example.org"
    assert run.answers["gateway"] == "192.168.1.1"
    assert not Path(machine.path("reboot")).exists()


def test_ctrl_c_at_every_question_leaves_cleanly_and_says_how_to_come_back(tmp_path: Path) -> None:
    for number in range(len(ANSWERS) + 1):
        machine = new(tmp_path, str(number))
        before = end_state(machine)
        person = Person(machine, OLDEST)
        person.answers(ANSWERS[:number])
        person.sees(ANSWERS[number][0] if number < len(ANSWERS) else "more lines")
        person.sees(": ")
        assert person.leaves("c" if number % 2 else "d") == 130, person.paper
        assert "Nothing was changed" in person.paper
        assert "To come back, run: cloud-setup" in person.paper
        assert "Traceback" not in person.paper
        assert end_state(machine) == before


def test_keys_that_no_terminal_should_send(python: str, tmp_path: Path) -> None:
    machine = new(tmp_path)
    person = Person(machine, python)
    person.sees("Host name: ")
    person.child.send("\xff\x1b[A\x00\x08\u202e\n")
    person.sees("!")
    person.answers([("Host name", "x" * 3000), ("too long", "node1.example.org")])
    person.sees("Main network port")
    assert person.leaves() == 130
    assert "Traceback" not in person.paper


def test_a_session_that_ends_with_the_line_does_not_stop_what_it_began(tmp_path: Path) -> None:
    """The address moves, the line is dead: what was begun is finished, and waits for somebody to confirm it."""
    machine = new(tmp_path, style="9")
    person = Person(machine, OLDEST, SSH_CONNECTION="10.0.0.1 50000 192.168.1.77 22")
    person.answers(ANSWERS)
    person.sees("more lines")
    person.sees(": ")
    person.types("s")
    person.sees("cloud-setup confirm")
    person.sees("Do it?")
    person.sees(": ")
    # Somebody hangs up in the very moment of saying yes.
    person.child.sendline("yes")
    person.sees("yes")
    person.child.ptyproc.fileobj.close()
    os.waitpid(person.child.pid, 0)
    run = Journal(machine.effects()).last()
    assert run is not None
    assert (run.state, run.pending) == ("trial", [])
    assert machine.state()["addresses"] == {"br0": ["192.168.1.10/24"]}


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--answers", "/none.ini"], 3, "there is no such file"),
        (["--nonsense"], 2, "usage:"),
        (["explode"], 2, "invalid choice"),
        (["--save-answers", "/etc/hosts"], 2, "is there already"),
        (["--help"], 0, "Exit codes"),
        (["confirm"], 0, "nothing to confirm"),
        (["rollback"], 0, "nothing to roll back"),
    ],
)
def test_the_command_line(python: str, arguments: list[str], code: int, why: str, tmp_path: Path) -> None:
    person = Person(new(tmp_path), python, *arguments)
    assert person.ends() == code
    assert why in " ".join(person.paper.split())
