"""A wizard that is stopped, anywhere and by whatever: the next run goes on or back, and ends as if nothing had been."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from isobuilder.firstlogin import journal as journals
from isobuilder.firstlogin.effects import Effects, Result
from isobuilder.firstlogin.journal import Journal
from tests.firstlogin_helpers import NODE_ROLE, STATIC, STYLES, at_keyboard, configure, end_state, run_engine
from tests.scratch_machine import SCRIPTS, Scratch

ANSWERS = {**STATIC, "bridge": "br0"}
_PULLED = 77


def new(tmp_path: Path, name: str, style: str) -> Scratch:
    machine = Scratch(str(tmp_path / name), style).make(ports=2, role=NODE_ROLE)
    machine.write("root/answers.ini", "")
    return machine


class Plug:
    """Pulled at the `pull`th event: before or after a command, or when something is to be safe on disk."""

    def __init__(self, machine: Scratch, pull: int) -> None:
        self.events = 0
        self._machine = machine
        self._pull = pull

    def effects(self) -> Effects:
        return self._machine.effects(run=self._run, sync=self._event)

    def _event(self, _number: int = 0) -> None:
        if self.events == self._pull:
            # No exception, no clean-up: the machine is off.
            os._exit(_PULLED)
        self.events += 1

    def _run(self, argv: Sequence[str], given: str, timeout: int) -> Result:
        self._event()
        result = self._machine.run(argv, given, timeout)
        self._event()
        return result


def cut_off(plug: Plug, work: Callable[[Effects], object]) -> bool:
    """Do `work` in a process that dies when the plug is pulled; whether it was."""
    child = os.fork()
    if child == 0:
        work(plug.effects())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFEXITED(status)
    assert os.WEXITSTATUS(status) in (0, _PULLED)
    return os.WEXITSTATUS(status) == _PULLED


def every_event(machine: Scratch, work: Callable[[Effects], object]) -> range:
    plug = Plug(machine, -1)
    work(plug.effects())
    assert plug.events > 40
    return range(plug.events)


@pytest.mark.parametrize("style", ["6", "9"])
def test_a_power_failure_anywhere_changes_nothing_in_the_end(style: str, tmp_path: Path) -> None:
    whole = new(tmp_path, "whole", style)
    untouched = end_state(whole)
    events = every_event(whole, lambda effects: configure(whole, ANSWERS, effects))
    wanted = end_state(whole)
    for event in events:
        machine = new(tmp_path, str(event), style)
        assert cut_off(Plug(machine, event), lambda effects, machine=machine: configure(machine, ANSWERS, effects))  # type: ignore[misc]
        run = Journal(machine.effects()).last()
        if event % 2:
            code, said = run_engine(machine.effects(), "roll_back")
        elif run is None or run.state == journals.FINISHED:
            code, said = configure(machine, ANSWERS)
        else:
            code, said = at_keyboard(machine, "c")
            assert f"{len(run.done)} of {len(run.steps)} steps are done" in said
        assert code == 0, (event, said)
        assert end_state(machine) == (untouched if event % 2 else wanted), event
        if event % 2 == 0 and run is not None and run.state != journals.FINISHED:
            # What was kept is what there was before the first try, and not what that left.
            assert run_engine(machine.effects(), "roll_back")[0] == 0
            assert end_state(machine) == untouched, event


@pytest.mark.parametrize("style", ["7", "8"])
def test_a_power_failure_on_the_way_back_changes_nothing_in_the_end(style: str, tmp_path: Path) -> None:
    whole = new(tmp_path, "whole", style)
    untouched = end_state(whole)
    configure(whole, ANSWERS)
    events = every_event(whole, lambda effects: run_engine(effects, "roll_back"))
    assert end_state(whole) == untouched
    for event in events[::2]:
        machine = new(tmp_path, str(event), style)
        configure(machine, ANSWERS)
        assert cut_off(Plug(machine, event), lambda effects: run_engine(effects, "roll_back"))
        run = Journal(machine.effects()).last()
        assert run is not None
        if run.state == journals.ROLLING:
            # A roll-back that was begun ends by itself at the next start.
            assert run_engine(machine.effects(), "at_boot")[0] == 0
        elif run.state != journals.ROLLED_BACK:
            assert run_engine(machine.effects(), "roll_back")[0] == 0
        assert end_state(machine) == untouched, event


@pytest.mark.parametrize("style", STYLES)
def test_a_step_that_fails_is_named_and_the_next_run_goes_on(style: str, tmp_path: Path) -> None:
    wanted = new(tmp_path, "whole", style)
    configure(wanted, ANSWERS)
    failing = [words for words in wanted.commands() if words[0] != "nmcli" or words[1] == "--wait"]
    for number, command in enumerate(failing):
        machine = new(tmp_path, str(number), style)
        run = machine.run

        def refuse(argv: Sequence[str], given: str, timeout: int) -> Result:
            if list(argv) == command:  # noqa: B023 - called in this turn alone
                return Result(1, "first words\n" + "\n".join(f"line {n}" for n in range(20)) + "\n\x1b[31mlast words\n")
            return run(argv, given, timeout)  # noqa: B023

        code, said = configure(machine, ANSWERS, machine.effects(run=refuse))
        assert code == 5
        assert f"failed: run {' '.join(command)}" in " ".join(said.split())
        assert "last words" in said
        assert "\x1b" not in said
        assert "first words" not in said
        assert "cloud-setup rollback" in said
        log = machine.read("var/log/cloud-setup.log")
        assert "first words" in log
        code, said = at_keyboard(machine, "what", "c")
        assert code == 0, said
        assert "last words" in said
        assert end_state(machine) == end_state(wanted)


def test_a_program_that_is_missing_or_hangs_has_its_own_advice(tmp_path: Path) -> None:
    for code, advice in ((127, "not installed"), (124, "did not end in time")):
        machine = new(tmp_path, str(code), "9")
        run = machine.run

        def refuse(argv: Sequence[str], given: str, timeout: int) -> Result:
            if argv[0] == "hostname":
                return Result(code, "no")  # noqa: B023 - called in this turn alone
            return run(argv, given, timeout)  # noqa: B023

        exit_code, said = configure(machine, ANSWERS, machine.effects(run=refuse))
        assert exit_code == 5
        assert advice in said


def test_going_back_brings_back_modes_links_and_absences(tmp_path: Path) -> None:
    machine = new(tmp_path, "root", "7")
    machine.write("etc/chrony.conf", "server old.example.org\n", 0o640)
    machine.write(f"{SCRIPTS}/ifcfg-Wired", "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\n", 0o600)
    before = end_state(machine)
    assert configure(machine, ANSWERS)[0] == 0
    changed = end_state(machine)
    assert changed != before
    assert Path(machine.path("etc/chrony.conf")).stat().st_mode & 0o777 == 0o640
    assert run_engine(machine.effects(), "roll_back")[0] == 0
    assert end_state(machine) == before
    assert run_engine(machine.effects(), "roll_back") == (0, "There is nothing to roll back.\n")


def test_what_cannot_be_undone_is_said(tmp_path: Path) -> None:
    machine = new(tmp_path, "root", "7")
    configure(machine, ANSWERS)
    run = machine.run

    def refuse(argv: Sequence[str], given: str, timeout: int) -> Result:
        return Result(1, "it will not") if argv[0] == "hostname" else run(argv, given, timeout)

    code, said = run_engine(machine.effects(run=refuse), "roll_back")
    assert code == 5
    assert "hostname localhost.localdomain: it will not" in said


def test_a_journal_that_ends_in_the_middle_of_a_line_is_read_up_to_there(tmp_path: Path) -> None:
    machine = new(tmp_path, "root", "9")
    configure(machine, ANSWERS)
    effects = machine.effects()
    journal = Journal(effects)
    last = journal.last()
    assert last is not None
    path = Path(machine.path(last.folder + "/journal"))
    data = path.read_bytes()
    end_of_first = data.index(b"\n")
    for size in range(end_of_first + 1, len(data), 37):
        path.write_bytes(data[:size])
        run = journal.last()
        assert run is not None
        lines = data[:size].split(b"\n")[:-1]
        assert len(run.done) == sum(json.loads(line)["what"] == "done" for line in lines)
        journal.note(run.folder, "start", step=0)
        assert all(json.loads(line) for line in path.read_bytes().splitlines())
    # Without even its first line it is as if the run had never begun.
    path.write_bytes(data[: end_of_first - 5])
    assert journal.last() is None


def test_only_one_is_at_work(tmp_path: Path) -> None:
    machine = new(tmp_path, "root", "9")
    held = machine.effects().lock(journals.LOCK)
    assert held is not None
    naps: list[float] = []
    code, said = configure(machine, ANSWERS, machine.effects(sleep=naps.append))
    assert (code, "Another cloud-setup is at work" in said, sum(naps)) == (5, True, 30)
    # At boot that is no failure: somebody is at it.
    assert run_engine(machine.effects(), "at_boot")[0] == 0
    assert machine.commands() == []


@pytest.mark.parametrize("done", [False, True])
def test_whoever_logs_in_while_it_is_at_work_waits_for_its_turn(done: bool, tmp_path: Path) -> None:  # noqa: FBT001
    machine = new(tmp_path, "root", "9")
    other = machine.effects()
    held = other.lock(journals.LOCK)
    assert held is not None
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            if done:
                machine.write(journals.DONE[1:], "")
            other.unlock(held)

    code, said = at_keyboard(machine, effects=machine.effects(sleep=nap))
    assert naps == [1, 1, 1]
    assert "Another cloud-setup is at work on this machine" in said
    # Nothing is asked of whoever finds that all is done.
    assert (code, "Host name" in said, "It has set this machine up." in said) == (
        (0, False, True) if done else (130, True, False)
    )


def test_who_leaves_has_changed_nothing(tmp_path: Path) -> None:
    machine = new(tmp_path, "root", "9")
    before = end_state(machine)
    answers = ["node1.example.org", "", "192.168.1.10/24", "", "", "", "", "", ""]
    for typed in range(len(answers)):
        code, said = at_keyboard(machine, *answers[:typed])
        assert code == 130, said
        assert end_state(machine) == before
        assert Journal(machine.effects()).last() is None
