"""Changes of the network from far away: said before, on trial, and undone unless somebody confirms them in time."""

import re
from contextlib import closing
from pathlib import Path
from unittest.mock import ANY

import pytest

from isobuilder.firstlogin import journal as journals
from isobuilder.firstlogin.effects import Effects
from isobuilder.firstlogin.engine import Engine
from isobuilder.firstlogin.journal import Journal
from isobuilder.firstlogin.runner import PATIENCE
from tests.firstlogin_helpers import (
    NODE_ROLE,
    STATIC,
    STYLES,
    Keyboard,
    answers_file,
    at_keyboard,
    configure,
    end_state,
    run_engine,
)
from tests.scratch_machine import Scratch

SESSION = {"TERM": "dumb", "SSH_CONNECTION": "192.168.1.5 50000 192.168.1.77 22"}
TYPED = ("node1.example.org", "192.168.1.10/24", "", "", "br0", "ntp1.example.org", "Europe/Rome", "s", "yes")


class Clock:
    """Seconds that pass only when somebody sleeps; `at` are things that happen meanwhile."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.at: dict[float, object] = {}

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        for moment in [moment for moment in self.at if moment <= self.time]:
            action = self.at.pop(moment)
            assert callable(action)
            action()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=STYLES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Scratch:
    return Scratch(str(tmp_path / "root"), request.param).make(role=NODE_ROLE)


def effects(machine: Scratch, clock: Clock, environ: dict[str, str] | None = None) -> Effects:
    return machine.effects(environ=SESSION if environ is None else environ, now=clock.now, sleep=clock.sleep)


def state(machine: Scratch) -> str:
    run = Journal(machine.effects()).last()
    return run.state if run else ""


def test_somebody_who_came_in_over_the_network_is_told_before_and_keeps_it_after(
    machine: Scratch, clock: Clock
) -> None:
    plain = Scratch(machine.root + "-console", machine.style).make(role=NODE_ROLE)
    assert at_keyboard(plain, *TYPED)[0] == 0
    code, said = at_keyboard(machine, *TYPED, "yes", effects=effects(machine, clock))
    assert code == 0, said
    before, _, after = said.partition("-- Doing it")
    assert "this session may end" in " ".join(before.split())
    assert "cloud-setup confirm" in before
    assert "Keep it?" in after
    assert ["spawn", "/usr/sbin/cloud-setup", "guard"] in machine.commands()
    assert state(machine) == journals.FINISHED
    assert end_state(machine) == end_state(plain)
    # The guard that was started has nothing to do.
    assert run_engine(effects(machine, clock, {}), "guard")[0] == 0
    assert end_state(machine) == end_state(plain)


@pytest.mark.parametrize("answer", [(), ("no",), ("what", "NO")], ids=["no answer", "no", "no after a while"])
def test_without_a_yes_it_all_goes_back(machine: Scratch, clock: Clock, answer: tuple[str, ...]) -> None:
    before = end_state(machine)
    code, said = at_keyboard(machine, *TYPED, *answer, effects=effects(machine, clock))
    assert code == 0, said
    assert "The machine is as it was before." in said
    assert state(machine) == journals.ROLLED_BACK
    assert end_state(machine) == before


def cut_off(machine: Scratch, clock: Clock) -> None:
    """Change the network from far away, with a session that does not survive it."""
    machine.write("root/answers.ini", answers_file({**STATIC, "bridge": "br0"}))
    code, said = run_engine(effects(machine, clock), "configure", "/root/answers.ini")
    assert code == 130, said
    assert state(machine) == journals.TRIAL


def test_the_guard_undoes_it_when_the_time_is_over_and_not_before(machine: Scratch, clock: Clock) -> None:
    before = end_state(machine)
    cut_off(machine, clock)
    changed = end_state(machine)
    assert changed != before
    assert machine.effects().exists(journals.ON_TRIAL)
    clock.at[clock.time + PATIENCE - 1] = lambda: seen.append(end_state(machine))
    seen: list[object] = []
    assert run_engine(effects(machine, clock, {}), "guard")[0] == 0
    assert seen == [changed]
    assert clock.time - 1_000_000 >= PATIENCE
    assert state(machine) == journals.ROLLED_BACK
    assert not machine.effects().exists(journals.ON_TRIAL)
    assert end_state(machine) == before


def test_a_guard_that_finds_more_time_given_waits_for_it(machine: Scratch, clock: Clock) -> None:
    """Steps that took long end, and their lock is free, just when the guard thinks that the time is over."""
    before = end_state(machine)
    cut_off(machine, clock)
    journal = Journal(machine.effects(now=clock.now))
    hands = effects(machine, clock, {})
    lock = hands.lock

    def lock_late(path: str) -> int | None:
        run = journal.last()
        if run is not None and run.until < 1_000_000 + 2 * PATIENCE:
            journal.note(run.folder, "trial", until=1_000_000 + 2 * PATIENCE)
        return lock(path)

    hands.lock = lock_late  # type: ignore[method-assign]
    assert run_engine(hands, "guard")[0] == 0
    assert clock.time - 1_000_000 >= 2 * PATIENCE
    assert state(machine) == journals.ROLLED_BACK
    assert end_state(machine) == before


def test_who_is_asked_is_told_the_time_that_the_guard_leaves(machine: Scratch, clock: Clock) -> None:
    """Looking whether it worked takes time as well."""

    def exchange(server: str, port: int, packet: bytes, timeout: float) -> bytes | None:
        clock.time += 2
        return machine.exchange(server, port, packet, timeout)

    hands = machine.effects(environ=SESSION, now=clock.now, sleep=clock.sleep, exchange=exchange)
    _, said = at_keyboard(machine, *TYPED, "yes", effects=hands)
    prompt = re.search(r"it goes back in ([0-9]+) seconds", said)
    assert prompt is not None
    asked_at = clock.time
    run = Journal(hands).last()
    assert run is not None
    assert asked_at + int(prompt.group(1)) == run.until < asked_at + PATIENCE


def test_who_says_yes_too_late_is_not_told_that_all_is_well(machine: Scratch, clock: Clock) -> None:
    before = end_state(machine)
    hands = effects(machine, clock)

    class Slow(Keyboard):
        def ask_within(self, prompt: str, seconds: float) -> str | None:
            clock.time += seconds + 1
            run_engine(effects(machine, clock, {}), "guard")
            return super().ask_within(prompt, seconds)

    keyboard = Slow(*TYPED, "yes")
    with closing(Engine(hands, keyboard)) as engine:
        code = engine.configure()
    assert "It went back meanwhile" in keyboard.said.getvalue()
    assert code == 5
    assert end_state(machine) == before


def test_the_guard_leaves_alone_what_somebody_confirms(machine: Scratch, clock: Clock) -> None:
    cut_off(machine, clock)
    changed = end_state(machine)
    clock.at[clock.time + 60] = lambda: run_engine(effects(machine, clock), "confirm")
    assert run_engine(effects(machine, clock, {}), "guard")[0] == 0
    assert state(machine) == journals.FINISHED
    assert not machine.effects().exists(journals.ON_TRIAL)
    assert end_state(machine) == changed
    assert run_engine(effects(machine, clock), "confirm") == (0, "There is nothing to confirm.\n")


def test_who_comes_back_in_time_is_asked(machine: Scratch, clock: Clock) -> None:
    cut_off(machine, clock)
    code, said = at_keyboard(machine, "c", effects=effects(machine, clock))
    assert (code, "Confirmed" in said) == (0, True)
    assert f"all goes back in {PATIENCE} seconds" in said


def test_a_machine_that_was_set_up_before_is_so_after_a_way_back(machine: Scratch, clock: Clock) -> None:
    """Else the next start would set it up once more, by answers that somebody has changed since."""
    assert configure(machine, {**STATIC, "bridge": "none"})[0] == 0
    before = end_state(machine)
    cut_off(machine, clock)
    assert run_engine(effects(machine, clock, {}), "at_boot")[0] == 0
    assert end_state(machine) == before
    assert machine.effects().exists(journals.DONE)
    machine.write("etc/cloud-setup/answers", answers_file({**STATIC, "address": "192.168.1.99/24"}))
    assert run_engine(machine.effects(), "at_boot")[0] == 0
    assert end_state(machine) == (dict(before[0], **{"etc/cloud-setup/answers": ANY}), *before[1:])


def test_a_start_of_the_machine_ends_a_trial(machine: Scratch, clock: Clock) -> None:
    before = end_state(machine)
    cut_off(machine, clock)
    assert run_engine(effects(machine, clock, {}), "at_boot")[0] == 0
    assert end_state(machine) == before


def test_a_step_that_fails_in_a_trial_goes_back_too(machine: Scratch, clock: Clock) -> None:
    before = end_state(machine)
    machine.write("root/answers.ini", answers_file({**STATIC, "bridge": "br0"}))
    run = machine.run

    def refuse(argv, given, timeout):  # type: ignore[no-untyped-def]
        if ("start" in argv and "network" in argv) or "up" in argv:
            from isobuilder.firstlogin.effects import Result

            return Result(1, "it does not start")
        return run(argv, given, timeout)

    hands = machine.effects(environ=SESSION, now=clock.now, sleep=clock.sleep, run=refuse)
    code, said = run_engine(hands, "configure", "/root/answers.ini")
    assert code == 5
    assert "everything goes back in 5 minutes" in " ".join(said.split())
    run_then = Journal(machine.effects()).last()
    assert run_then is not None
    assert (run_then.state, run_then.until) == (journals.TRIAL, clock.time + PATIENCE)
    code, said = run_engine(effects(machine, clock), "confirm")
    assert (code, "A step of it failed" in said) == (5, True)
    assert run_engine(effects(machine, clock, {}), "guard")[0] == 0
    assert end_state(machine) == before


def test_what_does_not_touch_the_network_needs_no_trial(machine: Scratch, clock: Clock) -> None:
    assert configure(machine, STATIC)[0] == 0
    machine.write("root/answers.ini", answers_file({**STATIC, "timezone": "America/New_York"}))
    code, said = run_engine(effects(machine, clock), "configure", "/root/answers.ini")
    assert code == 0, said
    assert "Keep it?" not in said
    assert ["spawn", "/usr/sbin/cloud-setup", "guard"] not in machine.commands()
