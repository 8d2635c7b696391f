"""Does steps, and undoes them: one after the other, each written down before and after."""

import re
from typing import Callable, List, Optional, Sequence, Tuple

from . import plan
from .effects import NOT_FOUND, Effects, Result
from .journal import Journal, Run
from .log import Log
from .plan import Step, in_words

# Of a command that failed, these last lines are shown.
LAST_LINES = 8
# Seconds between two tries of a command that has to wait for something.
_PAUSE = 5
_ADVICE = {
    124: "It did not end in time. Look at what it waits for, then run cloud-setup to go on.",
    127: "This program is not installed. Install the package that has it, then run cloud-setup to go on.",
}


class StepError(Exception):
    """A step failed: which, what was said, what to try. The journal knows it, and a later run can go on."""

    def __init__(self, number: int, step: Step, said: Sequence[str], advice: str) -> None:
        super().__init__(in_words(step))
        self.number = number
        self.step = step
        self.said = tuple(said)
        self.advice = advice


class Worker:
    """Does and undoes the steps of a run; `tell` is given a line about each."""

    def __init__(
        self,
        effects: Effects,
        journal: Journal,
        log: Log,
        tell: Callable[[str], None],
        count: Callable[[str, int], None],
    ) -> None:
        self._effects = effects
        self._journal = journal
        self._log = log
        self._tell = tell
        self._count = count

    def do(self, folder: str, steps: Sequence[Step], numbers: Sequence[int], begun: Optional[int] = None) -> None:
        """Do the steps of these numbers, in order; `begun` is one that was begun earlier. Raises StepError."""
        for number in numbers:
            step = steps[number]
            if number == begun:
                self._take_away(step)
            if step.unless is not None and plan.holds(step.unless, self._effects):
                # One that was begun is ours to undo: it was cut off after it had worked.
                self._journal.note(folder, "done", step=number, skipped=number != begun)
                self._tell(f"[{number + 1}/{len(steps)}] is so: {in_words(step)}")
                continue
            self._journal.note(folder, "start", step=number)
            self._log.say(f"step {number + 1} of {len(steps)}: {in_words(step)}")
            try:
                self._do(folder, number, step)
            except StepError as failed:
                self._journal.note(folder, "failed", step=number, said=self._log.clean("\n".join(failed.said)))
                self._log.say("step {} failed: {}".format(number + 1, "\n".join(failed.said)))
                raise
            self._journal.note(folder, "done", step=number)
            self._tell(f"[{number + 1}/{len(steps)}] {in_words(step)}")

    def _do(self, folder: str, number: int, step: Step) -> None:
        try:
            if step.kind == plan.RUN:
                self._run(number, step)
                return
            self._journal.keep(folder, number, step.path)
            if step.kind == plan.WRITE:
                self._effects.write(step.path, step.content.encode("utf-8", "surrogateescape"), step.mode)
            elif step.kind == plan.LINK:
                self._effects.link(step.path, step.content)
            else:
                self._effects.remove(step.path)
        except OSError as error:
            said = [f"{step.path}: {error.strerror or error}"]
            raise StepError(number, step, said, "Is the disk full, or mounted read-only? See df and mount.") from error

    def _take_away(self, step: Step) -> None:
        """What a try that was cut off may have left."""
        for argv in step.again:
            result = self._effects.run(*argv, timeout=step.timeout)
            self._log.say("before another try: {}: exit code {}\n{}".format(" ".join(argv), result.code, result.output))

    def _run(self, number: int, step: Step) -> None:
        result, worked = self._patiently(step)
        if worked:
            return
        said = self._last_lines(result) or [f"exit code {result.code}, and not a word"]
        advice = _ADVICE.get(result.code, "Mend what it says, then run cloud-setup to go on or to roll back.")
        if result.code == 0:
            advice = f"It was not so in {step.patience} seconds. When it is, run cloud-setup to go on."
        raise StepError(number, step, said, advice)

    def _patiently(self, step: Step) -> Tuple[Result, bool]:
        """The last result of a command that may have to wait, and whether it is good."""
        until = self._effects.now() + step.patience
        said = ""
        while True:
            result = self._effects.run(*step.argv, given=step.content, timeout=step.timeout)
            if result.output != said or not step.patience:
                self._log.say(f"exit code {result.code}\n{result.output}")
            said = result.output
            worked = result.code == 0 and bool(re.search(step.expect, said, re.MULTILINE))
            left = int(until - self._effects.now())
            # No time makes a program appear that is not there.
            if worked or left <= 0 or result.code == NOT_FOUND:
                return result, worked
            self._count(step.why or in_words(step), left)
            self._effects.sleep(min(_PAUSE, left))
            self._take_away(step)

    def _last_lines(self, result: Result) -> List[str]:
        lines = [line.rstrip() for line in self._log.clean(result.output).splitlines() if line.strip()]
        return lines[-LAST_LINES:]

    def roll_back(self, run: Run) -> List[str]:
        """Undo what a run did, from its last step to its first; what could not be undone, a line each.

        It can be stopped anywhere and done again.
        """
        self._journal.note(run.folder, "rolling-back")
        self._log.say(f"rolling back {run.folder}")
        left: List[str] = []
        touched = [*run.done, *([run.begun] if run.begun is not None else [])]
        for number in sorted(set(touched) - set(run.skipped), reverse=True):
            left += self._undo(run, number)
        self._journal.note(run.folder, "rolled-back")
        self._log.say("rolled back; left: %s" % ("; ".join(left) or "nothing"))
        return left

    def _undo(self, run: Run, number: int) -> List[str]:
        step = run.steps[number]
        if step.kind != plan.RUN:
            try:
                self._journal.restore(run.folder, number, step.path)
            except OSError as error:
                return [f"{step.path}: {error.strerror or error}"]
            self._tell(f"back as it was: {step.path}")
            return []
        left = []
        for argv in step.undo:
            result = self._effects.run(*argv, timeout=step.timeout)
            self._log.say("undo: {}: exit code {}\n{}".format(" ".join(argv), result.code, result.output))
            self._tell("run {}".format(" ".join(argv)))
            if result.code:
                left.append("{}: {}".format(" ".join(argv), "; ".join(self._last_lines(result)) or result.code))
        return left
