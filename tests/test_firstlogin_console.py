"""What whoever follows a machine from outside hears of the wizard, on the system's console."""

from pathlib import Path

import pytest

from isobuilder.firstlogin.cli import main
from tests.cloud_cases import answers, machine
from tests.firstlogin_helpers import answers_file, at_keyboard, configure
from tests.standin_cloud import CloudMachine

CONSOLE = "dev/console"


@pytest.fixture
def one(tmp_path: Path) -> CloudMachine:
    made = machine(tmp_path / "root", "7", "front-end")
    made.write(CONSOLE, "")
    return made


def heard(one: CloudMachine) -> list[str]:
    """The lines of a console that is a file."""
    return [line for line in one.read(CONSOLE).replace("\r", "").split("\n") if line]


class Listening:
    """A console that keeps all that it hears."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[str] = []
        monkeypatch.setattr(
            "isobuilder.firstlogin.effects.Effects.announce", lambda _self, line: self.lines.append(line)
        )


def test_a_console_hears_a_line_and_without_one_nothing_happens(one: CloudMachine) -> None:
    one.effects().announce("isobuilder: reached configured")
    assert heard(one) == ["isobuilder: reached configured"]
    Path(one.path(CONSOLE)).unlink()
    one.effects().announce("isobuilder: reached checked")
    assert not Path(one.path(CONSOLE)).exists()


def test_what_is_done_and_checked_is_said(one: CloudMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Listening(monkeypatch)
    assert configure(one, answers("EDGE", "front-end"))[0] == 0
    assert console.lines == ["isobuilder: reached configured", "isobuilder: reached checked"]
    assert configure(one, answers("EDGE", "front-end"))[0] == 0
    assert console.lines[2:] == console.lines[:2]


def test_a_step_that_fails_is_said_with_its_cause(one: CloudMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Listening(monkeypatch)
    one.fail("start eucalyptus-cloud", said="it is stopped\nno memory\nsee its log")
    assert configure(one, answers("EDGE", "front-end"))[0] == 5
    [line] = console.lines
    assert line.startswith("isobuilder: failed configured: ")
    assert line.endswith(": no memory see its log")
    assert at_keyboard(one, "c", "correct-Horse9battery")[0] == 0
    assert console.lines[1:] == ["isobuilder: reached configured", "isobuilder: reached checked"]


def test_a_check_that_fails_is_said_with_what_failed(one: CloudMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Listening(monkeypatch)
    monkeypatch.setattr("isobuilder.firstlogin.cloud.checks.cloud_services", lambda _effects: None)
    assert configure(one, answers("EDGE", "front-end"))[0] == 5
    assert console.lines[-1] == "isobuilder: failed checked: cloud: does not answer"


def test_a_start_with_answers_that_cannot_be_says_which(one: CloudMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Listening(monkeypatch)
    values = {**answers("EDGE", "front-end"), "gateway": "10.9.9.9"}
    one.write("etc/cloud-setup/answers", answers_file(values))
    assert main(["boot"], one.effects()) == 3
    [line] = console.lines
    assert line.startswith("isobuilder: failed configured: ")
    assert "gateway" in line
