"""Carries out a plan, sees whether it worked, and undoes it: with a journal, one process at a time.

Whoever came in over the network may be cut off by it. Then the change is on trial: a guard that outlives the session
undoes it, unless somebody confirms it in time. What is to be done is decided elsewhere.
"""

from typing import Iterable, List, Optional, Sequence

from . import apply, journal, log, plan
from . import machine as machines
from .dialogue import LeftError, Terminal
from .effects import Effects
from .exits import COME_BACK, EXIT_DONE, EXIT_LEFT, EXIT_STEP, SetupError
from .journal import Journal, Run
from .log import Log
from .model import FAIL, Answers, Line, Machine
from .parts import Parts
from .plan import Step

# Seconds in which somebody who may have been cut off has to say that they are still there; and for the steps before it.
PATIENCE = 300
_FOR_THE_STEPS = 600
_LOCK_TRIES = 30
# Said on the system's console, where rehearsals and whoever else follows a machine from outside look for them.
CONFIGURED, NOT_CONFIGURED = "isobuilder: reached configured", "isobuilder: failed configured: "
CHECKED, NOT_CHECKED = "isobuilder: reached checked", "isobuilder: failed checked: "
GUARD = ("/usr/sbin/cloud-setup", "guard")


class Runner:
    """Does and undoes runs on one machine."""

    def __init__(self, effects: Effects, terminal: Terminal, parts: Parts, book: Log) -> None:
        self._effects = effects
        self._terminal = terminal
        self._parts = parts
        self._log = book
        self._journal = Journal(effects)
        self._worker = apply.Worker(effects, self._journal, book, terminal.line, terminal.count_down)
        self._lock: Optional[int] = None

    def last(self) -> Optional[Run]:
        """The newest run, or None."""
        return self._journal.last()

    def runs(self) -> List[Run]:
        """All runs that were not undone, the newest first."""
        return [run for run in self._journal.runs() if run.state != journal.ROLLED_BACK]

    def carry_out(self, steps: Sequence[Step], answers: Answers, machine: Machine, *, unattended: bool) -> int:
        """Do a new plan, which may be empty; the exit code."""
        if not steps:
            self._effects.append(journal.DONE, b"")
            self._effects.announce(CONFIGURED)
            self._terminal.heading("How it is")
            return self._proven(answers, machine)
        folder = self._journal.begin(steps, self._parts.public(answers), unattended=unattended)
        self._log.say(f"answers: {self._parts.public(answers)}")
        return self.do(folder, steps, list(range(len(steps))), answers, machine)

    def do(
        self,
        folder: str,
        steps: Sequence[Step],
        numbers: Sequence[int],
        answers: Answers,
        machine: Machine,
        begun: Optional[int] = None,
    ) -> int:
        """Do these of the steps of a run, and see whether it worked; the exit code. `begun`: one was begun earlier."""
        self._terminal.heading("Doing it")
        trial = self.cuts([steps[number] for number in numbers], machine)
        if trial:
            self._start_trial(folder, PATIENCE + _FOR_THE_STEPS)
            self._effects.spawn(GUARD)
        try:
            self._worker.do(folder, steps, numbers, begun)
        except apply.StepError as failed:
            self._say_failure(failed)
            if trial:
                self._start_trial(folder, PATIENCE)
                self._terminal.say(f"Unless somebody goes on, everything goes back in {PATIENCE // 60} minutes.")
            return EXIT_STEP
        if trial:
            self._start_trial(folder, PATIENCE)
        else:
            self.finish(folder)
        self._effects.announce(CONFIGURED)
        self._terminal.heading("Did it work?")
        code = self._proven(answers, machines.look(self._effects))
        return self._wait_for_confirmation(folder, code) if trial else code

    def cuts(self, steps: Sequence[Step], machine: Machine) -> bool:
        """Whether these steps may cut off whoever is there."""
        return bool(machine.session) and any(step.cuts for step in steps)

    def finish(self, folder: str) -> None:
        """A run is done, and stays."""
        self._journal.note(folder, "finished")
        self._effects.append(journal.DONE, b"")
        self._effects.remove(journal.ON_TRIAL)
        self._log.say(f"finished {folder}")

    def undo(self, *runs: Run) -> int:
        """Undo runs, the newest first; the exit code."""
        self._terminal.heading("Going back")
        left = [line for run in runs for line in self._worker.roll_back(run)]
        self._effects.remove(journal.ON_TRIAL)
        if not runs[-1].set_up:
            self._effects.remove(journal.DONE)
        if left:
            self._terminal.say("This could not be undone:")
            for line in left:
                self._terminal.line(f"  {line}")
            return EXIT_STEP
        self._terminal.say(f"The machine is as it was before. {COME_BACK}")
        return EXIT_DONE

    def guard(self) -> int:
        """Wait for the end of a trial, and undo the run unless somebody confirms it meanwhile."""
        while True:
            run = self._journal.last()
            if run is None or run.state != journal.TRIAL:
                return EXIT_DONE
            if self._effects.now() < run.until or not self.take_lock():
                self._effects.sleep(1)
                continue
            # It may have been decided, or given more time, before the lock was ours.
            run = self._journal.last()
            if run is not None and run.state == journal.TRIAL and self._effects.now() >= run.until:
                self._log.say("nobody confirmed the new network in time")
                self.undo(run)
                return EXIT_DONE
            self.unlock()

    def take_lock(self) -> bool:
        """Whether this is the only process at work now, for as long as it lives."""
        if self._lock is None:
            self._lock = self._effects.lock(journal.LOCK)
        return self._lock is not None

    def lock_or_refuse(self, *, wait: bool = False) -> None:
        """Be the only one at work, at once or in half a minute. Raises SetupError."""
        for _ in range(_LOCK_TRIES if wait else 1):
            if self.take_lock():
                return
            if wait:
                self._effects.sleep(1)
        raise SetupError(EXIT_STEP, "Another cloud-setup is at work on this machine. Wait for it to end.")

    def lock_in_turn(self) -> bool:
        """Be the only one at work, once any other has ended; whether there was one. Raises as lock_or_refuse."""
        if self.take_lock():
            return False
        if not self._terminal.interactive:
            self.lock_or_refuse(wait=True)
            return True
        self._terminal.say("Another cloud-setup is at work on this machine; what it does is in the log:")
        self._terminal.command(f"tail -f {log.PATH}")
        self._terminal.say("This one waits until it has ended. Ctrl-C leaves.")
        while not self.take_lock():
            self._effects.sleep(1)
        return True

    def unlock(self) -> None:
        """Let others work."""
        if self._lock is not None:
            self._effects.unlock(self._lock)
            self._lock = None

    def _start_trial(self, folder: str, seconds: int) -> None:
        self._journal.note(folder, "trial", until=int(self._effects.now()) + seconds)
        self._effects.append(journal.ON_TRIAL, b"")

    def _say_failure(self, failed: apply.StepError) -> None:
        # The very last line may only say where to read on, as systemctl's does.
        said = f": {' '.join(failed.said[-2:])}" if failed.said else ""
        self._effects.announce(f"{NOT_CONFIGURED}{plan.in_words(failed.step)}{said}")
        self._terminal.line("")
        self._terminal.say(f"Step {failed.number + 1} failed: {plan.in_words(failed.step)}")
        for line in failed.said:
            self._terminal.line(f"    {line}")
        self._terminal.say(failed.advice)
        self._terminal.say(f"The log is {log.PATH}. To undo what was done, run:")
        self._terminal.command("cloud-setup rollback")

    def verdicts(self, lines: Iterable[Line]) -> List[str]:
        """Say the lines of a check, each as it comes; what failed."""
        failed = []
        for line in lines:
            self._terminal.verdict(line)
            self._log.say(f"{line.verdict} {line.what}")
            failed += [line.what] if line.verdict == FAIL else []
        return failed

    def _proven(self, answers: Answers, machine: Machine) -> int:
        failed = self.verdicts(self._parts.finish(answers, machine, self._effects, self._terminal.line))
        failed += self.verdicts(self._parts.proofs(answers, machine, self._effects))
        self._effects.announce(f"{NOT_CHECKED}{'; '.join(failed)}" if failed else CHECKED)
        self._terminal.line("")
        if failed:
            self._terminal.say("Not all of it works. Mend what failed and run cloud-setup again, or go back:")
            self._terminal.command("cloud-setup rollback")
            return EXIT_STEP
        self._terminal.say("This machine is set up. cloud-setup can be run again at any time.")
        return EXIT_DONE

    def _wait_for_confirmation(self, folder: str, code: int) -> int:
        """Whoever came in over the network says that the network still works, or it all goes back."""
        run = self._journal.last()
        until = run.until if run else self._effects.now()
        self.unlock()
        try:
            said = self._kept(until)
        except LeftError:
            self._terminal.line("")
            self._terminal.say("It all goes back, unless somebody says in time:")
            self._terminal.command("cloud-setup confirm")
            return EXIT_LEFT
        self.lock_or_refuse(wait=True)
        run = self._journal.last()
        if run is None or run.folder != folder or run.state != journal.TRIAL:
            return self._decided_elsewhere(run, folder, code, said=said)
        if said:
            self.finish(folder)
            self._terminal.say("It stays.")
            return code
        return self.undo(run)

    def _decided_elsewhere(self, run: Optional[Run], folder: str, code: int, *, said: bool) -> int:
        """What became of a trial that another process ended; the exit code."""
        if run is not None and run.folder == folder and run.state == journal.FINISHED:
            self._terminal.say("It was confirmed elsewhere meanwhile, and stays.")
            return code
        self._terminal.say(f"It went back meanwhile. {COME_BACK}")
        return EXIT_STEP if said else EXIT_DONE

    def _kept(self, until: float) -> bool:
        """Whether it shall stay, as somebody says before `until`. Raises LeftError."""
        self._terminal.say(
            "You came in over the network, and the network is another now. Whoever reads this can keep it."
        )
        while True:
            left = max(0.0, until - self._effects.now())
            prompt = f"Keep it? yes or no (without an answer it goes back in {int(left)} seconds): "
            answer = self._terminal.ask_within(prompt, left)
            if answer is None:
                self._terminal.line("")
                return False
            if answer.strip().lower() in ("y", "yes"):
                return True
            if answer.strip().lower() in ("n", "no"):
                return False
