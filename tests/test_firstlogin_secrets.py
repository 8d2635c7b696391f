"""A secret is asked for and used, and is nowhere else: not in plan, log, journal, arguments or saved answers."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from isobuilder.firstlogin.effects import Result
from isobuilder.firstlogin.journal import Journal
from isobuilder.firstlogin.model import Answers, Command, File, Part, Question
from isobuilder.firstlogin.parts import PARTS, Parts
from tests.firstlogin_helpers import STATIC, at_keyboard, run_engine
from tests.scratch_machine import Scratch

SECRET = "Tr0ub4dor.and.3"
QUESTION = Question(
    key="token",
    prompt="Token",
    help="What lets this machine in.",
    example="a-token",
    rule=lambda value: value.strip(),
    default=lambda _machine, _answers: "",
    needed=True,
    secret=True,
)


def wanted(answers: Answers, *_: object) -> list[object]:
    token = answers["token"]
    return [
        File("/etc/app/token", token + "\n", 0o600, secret=True),
        Command(("app-login", "--stdin"), "it logs in", ("/etc/app/token",), secret_input=token),
        Command(("app-start",), "it starts", ("/etc/app/token",)),
    ]


APP = Part(
    question=lambda key: QUESTION if key == "token" else None,
    documented=lambda: [QUESTION],
    questions=lambda _machine, _answers: [QUESTION],
    fits=lambda _answers: (),
    suits=lambda *_: (),
    wire=lambda *_: (),
    preflight=lambda *_: (),
    wanted=wanted,
    proofs=lambda *_: (),
)
WITH_APP = Parts((*PARTS, APP))
TYPED = ("a.example.org", "192.168.1.10/24", "", "", "", "", SECRET, "", "yes")


class App:
    """A machine with the application's commands, which say the secret back; `failing` is one that fails."""

    def __init__(self, machine: Scratch) -> None:
        self._machine = machine
        self.failing = ""
        self.given: list[str] = []

    def run(self, argv: Sequence[str], given: str, timeout: int) -> Result:
        if not argv[0].startswith("app-"):
            return self._machine.run(argv, given, timeout)
        assert SECRET not in " ".join(argv)
        self.given.append(given)
        return Result(1 if argv[0] == self.failing else 0, f"logging in with {given or SECRET} now\n")


@pytest.fixture
def machine(tmp_path: Path) -> Scratch:
    return Scratch(str(tmp_path / "root"), "9").make()


def places_of_the_secret(machine: Scratch) -> Iterator[str]:
    root = Path(machine.root)
    for path in root.rglob("*"):
        if path.is_file() and SECRET.encode() in path.read_bytes():
            yield os.fspath(path.relative_to(root))


def test_a_secret_is_where_it_belongs_and_nowhere_else(machine: Scratch) -> None:
    app = App(machine)
    hands = machine.effects(run=app.run)
    code, said = at_keyboard(machine, *TYPED, effects=hands, parts=WITH_APP, save="/root/saved.ini")
    assert code == 0, said
    assert list(places_of_the_secret(machine)) == ["etc/app/token"]
    assert SECRET not in said
    assert app.given == [SECRET, ""]
    assert "(a secret; not shown)" in said
    assert "token            (not shown)" in said
    assert "logging in with *** now" in machine.read("var/log/cloud-setup.log")


@pytest.mark.parametrize("failing", ["app-login", "app-start"])
def test_a_step_that_fails_does_not_say_it_and_going_on_asks_for_it_again(machine: Scratch, failing: str) -> None:
    app = App(machine)
    app.failing = failing
    code, said = at_keyboard(machine, *TYPED, effects=machine.effects(run=app.run), parts=WITH_APP)
    assert code == 5
    assert "logging in with *** now" in said
    assert list(places_of_the_secret(machine)) == ["etc/app/token"]
    app.failing = ""
    again = ["c", SECRET] if failing == "app-login" else ["c"]
    code, said = at_keyboard(machine, *again, effects=machine.effects(run=app.run), parts=WITH_APP)
    assert code == 0, said
    assert SECRET not in said
    assert app.given[-2:] == ([SECRET, ""] if failing == "app-login" else ["", ""])


def test_cut_off_before_the_secret_was_used_it_is_asked_for_again_and_used(machine: Scratch) -> None:
    app = App(machine)

    def refuse(argv: Sequence[str], given: str, timeout: int) -> Result:
        return Result(1, "no") if argv[0] == "hostname" else app.run(argv, given, timeout)

    code, _ = at_keyboard(machine, *TYPED, effects=machine.effects(run=refuse), parts=WITH_APP)
    assert code == 5
    assert list(places_of_the_secret(machine)) == []
    run = Journal(machine.effects()).last()
    assert run is not None
    assert "token" not in run.answers
    code, said = at_keyboard(machine, "c", SECRET, effects=machine.effects(run=app.run), parts=WITH_APP)
    assert code == 0, said
    assert machine.read("etc/app/token") == SECRET + "\n"
    assert app.given == [SECRET, ""]


def test_a_secret_of_an_answers_file_is_used_and_not_repeated(machine: Scratch) -> None:
    app = App(machine)
    values = {**STATIC, "token": SECRET}
    machine.write("root/answers.ini", "[all]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()))
    code, said = run_engine(machine.effects(run=app.run), "configure", "/root/answers.ini", parts=WITH_APP)
    assert code == 0, said
    assert SECRET not in said
    assert set(places_of_the_secret(machine)) == {"etc/app/token", "root/answers.ini"}


def test_what_the_wizard_writes_only_root_reads(machine: Scratch) -> None:
    app = App(machine)
    assert at_keyboard(machine, *TYPED, effects=machine.effects(run=app.run), parts=WITH_APP)[0] == 0
    log = Path(machine.path("var/log/cloud-setup.log"))
    assert log.stat().st_mode & 0o777 == 0o600
    home = Path(machine.path("var/lib/cloud-setup"))
    for path in home.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
