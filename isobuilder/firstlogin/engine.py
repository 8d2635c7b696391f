"""The way through the wizard: gather, ask, check, plan, show; and where an earlier run stopped, what becomes of it.

What is asked and done the parts say, and the runner does it.
"""

from typing import List, Optional, Sequence, Tuple

from . import journal, plan, sources
from . import machine as machines
from .answers import dump
from .dialogue import LeftError, Terminal
from .effects import Effects
from .exits import COME_BACK, EXIT_ANSWERS, EXIT_DONE, EXIT_PREFLIGHT, EXIT_STEP, SetupError
from .interview import INTRODUCTION, Interview, shown_answers
from .journal import Run
from .log import Log
from .model import Answers, Machine, Problem
from .parts import Parts
from .plan import Step
from .runner import PATIENCE, Runner
from .upkeep import Upkeep

# At boot, answers on a server are asked for so often, with so many seconds between.
_TRIES, _BETWEEN_TRIES = 6, 10


class Engine:
    """The wizard on one machine."""

    def __init__(self, effects: Effects, terminal: Terminal, parts: Optional[Parts] = None) -> None:
        self._effects = effects
        self._terminal = terminal
        self._parts = parts or Parts()
        self._log = Log(effects)
        self._runner = Runner(effects, terminal, self._parts, self._log)
        self.upkeep = Upkeep(effects, terminal, self._parts, self._runner)

    def configure(self, path: Optional[str] = None, save: Optional[str] = None, *, dry_run: bool = False) -> int:
        """The whole way; `path` is an answers file that somebody named, and `save` one to be written."""
        if not dry_run:
            if self._runner.lock_in_turn() and self._effects.exists(journal.DONE):
                self._terminal.say("It has set this machine up. To change anything, run cloud-setup again.")
                return EXIT_DONE
            stopped = self._earlier_run()
            if stopped is not None:
                return stopped
        machine = machines.look(self._effects)
        found = sources.find(self._effects, machine, self._parts, path)
        self._refuse_mistakes(found, path)
        self._greet(machine)
        self._refuse_machine(machine)
        given, proposed = (found.answers, {}) if path else ({}, found.answers)
        interview = Interview(self._terminal, self._parts, machine, self._effects, given, proposed)
        complete, missing = interview.unattended()
        unasked = bool(path) and not missing
        if not unasked and not self._terminal.interactive:
            lines = ["There is nobody to ask, and these answers are missing: {}.".format(", ".join(missing))]
            raise SetupError(EXIT_ANSWERS, *lines)
        while True:
            answers = self._fitting(complete, machine) if unasked else self._asked(interview, machine)
            steps = self._planned(answers, machine)
            if save:
                self._save(save, answers, machine)
            self._show(answers, machine, steps)
            if dry_run:
                self._terminal.line("")
                self._terminal.say("This was a dry run: nothing was changed.")
                return EXIT_DONE
            if unasked or not steps or self._agreed():
                return self._runner.carry_out(steps, answers, machine, unattended=False)

    def confirm(self) -> int:
        """Whoever changed the network from far away is still there."""
        self._runner.lock_or_refuse(wait=True)
        run = self._runner.last()
        if run is None or run.state != journal.TRIAL:
            self._terminal.say("There is nothing to confirm.")
            return EXIT_DONE
        if run.pending:
            raise SetupError(EXIT_STEP, "A step of it failed. Run cloud-setup to go on or to roll back.")
        return self._confirmed(run)

    def roll_back(self) -> int:
        """Undo what the last run did."""
        self._runner.lock_or_refuse(wait=True)
        run = self._runner.last()
        if run is None or run.state == journal.ROLLED_BACK:
            self._terminal.say("There is nothing to roll back.")
            return EXIT_DONE
        return self._runner.undo(run)

    def guard(self) -> int:
        """Wait for the end of a trial, and roll back unless somebody confirms it meanwhile."""
        return self._runner.guard()

    def at_boot(self) -> int:
        """With nobody there: end what was stopped, or do what complete answers say. What it finds goes to the log."""
        if not self._runner.take_lock():
            return EXIT_DONE
        run = self._runner.last()
        if run is not None and run.state in (journal.TRIAL, journal.ROLLING):
            # Whoever could have confirmed it was cut off at the latest by this start.
            return self._runner.undo(run)
        if run is not None and run.state == journal.ROLLED_BACK:
            # Somebody wanted it so; what answers say is not done again behind their back.
            self._tell("This machine was taken back, and stays so until somebody runs cloud-setup.")
            return EXIT_DONE
        if run is not None and run.state == journal.UNFINISHED:
            return self._go_on(run) if run.unattended else EXIT_DONE
        if self._effects.exists(journal.DONE):
            return EXIT_DONE
        machine = machines.look(self._effects)
        found = self._found_in_the_end(machine)
        self._refuse_mistakes(found, None)
        self._refuse_machine(machine)
        interview = Interview(self._terminal, self._parts, machine, self._effects, found.answers, {})
        answers, missing = interview.unattended()
        if missing:
            self._tell("Waiting for a login of root: no answers for {}.".format(", ".join(missing)))
            return EXIT_DONE
        steps = self._planned(self._fitting(answers, machine), machine)
        return self._runner.carry_out(steps, answers, machine, unattended=True)

    def _found_in_the_end(self, machine: Machine) -> sources.Found:
        """All answers that there are; a server may be there a little later than we. Raises SetupError."""
        for _ in range(_TRIES):
            found = sources.find(self._effects, machine, self._parts)
            if not found.failures:
                return found
            self._effects.sleep(_BETWEEN_TRIES)
        raise SetupError(EXIT_ANSWERS, "Answers could not be had; nothing was changed.", *found.failures)

    def close(self) -> None:
        """Let others work."""
        self._runner.unlock()

    # What an earlier run left.

    def _earlier_run(self) -> Optional[int]:
        """Ask what shall become of a run that did not end; the exit code, or None to begin anew."""
        run = self._runner.last()
        if run is None or run.state in (journal.FINISHED, journal.ROLLED_BACK):
            return None
        if run.state == journal.ROLLING:
            self._terminal.say("A roll-back was interrupted. It goes on now.")
            return self._runner.undo(run)
        self._say_where_it_stood(run)
        if not self._terminal.interactive:
            raise SetupError(EXIT_STEP, "Run cloud-setup where it can ask you, or: cloud-setup rollback")
        confirms = run.state == journal.TRIAL and not run.pending
        word = "confirm" if confirms else "continue"
        while True:
            said = self._terminal.ask(f"c {word}, r roll back, or Ctrl-C to leave it so: ").strip().lower()
            if said in ("c", word):
                return self._confirmed(run) if confirms else self._go_on(run)
            if said in ("r", "rollback", "roll back"):
                return self._runner.undo(run)
            self._terminal.say("! Type c or r.", indent="  ")

    def _say_where_it_stood(self, run: Run) -> None:
        if run.state == journal.TRIAL and not run.pending:
            left = max(0, int(run.until - self._effects.now()))
            self._terminal.say(f"The new network waits to be confirmed; all goes back in {left} seconds.")
            return
        self._terminal.say(f"The last run did not end: {len(run.done)} of {len(run.steps)} steps are done.")
        if run.pending:
            number = run.pending[0]
            self._terminal.say(f"Next is step {number + 1}: {plan.in_words(run.steps[number])}", indent="  ")
        for line in run.failure.splitlines():
            self._terminal.line(f"    {line}")

    def _confirmed(self, run: Run) -> int:
        self._runner.finish(run.folder)
        self._terminal.say("Confirmed: the machine stays as it is now.")
        return EXIT_DONE

    def _go_on(self, run: Run) -> int:
        machine = machines.look(self._effects)
        steps, answers = list(run.steps), dict(run.answers)
        if any(steps[number].secret for number in run.pending):
            steps, answers = self._with_secrets_again(run, machine)
        return self._runner.do(run.folder, steps, run.pending, answers, machine, run.begun)

    def _with_secrets_again(self, run: Run, machine: Machine) -> Tuple[List[Step], Answers]:
        """The steps with what no journal keeps: secrets are asked for again, or come from where they came from."""
        found = sources.find(self._effects, machine, self._parts)
        given = dict(self._parts.secrets(found.answers), **run.answers)
        interview = Interview(self._terminal, self._parts, machine, self._effects, given, {})
        answers, missing = interview.unattended()
        if missing and not self._terminal.interactive:
            raise SetupError(EXIT_ANSWERS, "These answers are missing: {}.".format(", ".join(missing)))
        if missing:
            self._terminal.say("Secrets are nowhere written down; they are asked for again.")
            answers = interview.ask_from()
        self._hide_secrets(answers)
        fresh = plan.secrets(self._parts.wanted(answers, machine, self._effects))
        if any(run.steps[number].secret and run.steps[number].key not in fresh for number in run.pending):
            raise SetupError(
                EXIT_ANSWERS,
                "A secret that this run began with is not among the answers any more, and is nowhere written down.",
                "Run: cloud-setup rollback, and then begin again with it.",
            )
        return [fresh.get(step.key, step) if step.secret else step for step in run.steps], answers

    # Asking and checking.

    def _greet(self, machine: Machine) -> None:
        role = f', installed by the menu entry "{machine.role.title}"' if machine.role.title else ""
        self._terminal.heading(f"cloud-setup: {machine.hostname}")
        self._terminal.say(f"This machine runs {machine.facts.title}{role}.")

    def _refuse_mistakes(self, found: sources.Found, path: Optional[str]) -> None:
        for failure in found.failures:
            if path and failure.startswith(path + ":"):
                raise SetupError(EXIT_ANSWERS, failure)
            self._tell(f"note: answers could not be had: {failure}")
        if found.mistakes:
            raise SetupError(EXIT_ANSWERS, "There are mistakes in the answers; nothing was changed.", *found.mistakes)

    def _refuse_machine(self, machine: Machine) -> None:
        """Go no further where no answer would help. Raises SetupError."""
        for problem in self._parts.suits({}, machine, self._effects):
            if not problem.key and not problem.warning:
                raise SetupError(EXIT_PREFLIGHT, f"{problem.what}. {problem.instead}")

    def _asked(self, interview: Interview, machine: Machine) -> Answers:
        """Answers that fit, asked for until they do."""
        self._terminal.line("")
        self._terminal.say(INTRODUCTION)
        self._terminal.line("")
        answers = interview.ask_from()
        while True:
            problems = self._parts.problems(answers, machine, self._effects)
            for problem in problems:
                self._say_problem(problem)
            wrong = next((one for one in problems if not one.warning), None)
            if wrong is None:
                return answers
            answers = interview.ask_from(wrong.key)

    def _fitting(self, answers: Answers, machine: Machine) -> Answers:
        """Answers that nobody was asked for, if they fit. Raises SetupError."""
        self._hide_secrets(answers)
        problems = self._parts.problems(answers, machine, self._effects)
        wrong = [f"{one.key}: {one.what}. {one.instead}" for one in problems if not one.warning]
        if wrong:
            raise SetupError(EXIT_ANSWERS, "The answers do not fit; nothing was changed.", *wrong)
        for problem in problems:
            self._say_problem(problem)
        return answers

    def _say_problem(self, problem: Problem) -> None:
        word = "note:" if problem.warning else "!"
        self._terminal.say(f"{word} {problem.what}. {problem.instead}", indent="  ")
        self._log.say(f"{word} {problem.key}: {problem.what}")

    def _planned(self, answers: Answers, machine: Machine) -> Sequence[Step]:
        """The steps, if the machine will do. Raises SetupError."""
        self._hide_secrets(answers)
        self._terminal.heading("Checks before anything is changed")
        failed = self._runner.verdicts(self._parts.preflight(answers, machine, self._effects))
        if failed:
            line = "This machine will not do: {}. Nothing was changed. {}".format("; ".join(failed), COME_BACK)
            raise SetupError(EXIT_PREFLIGHT, line)
        return plan.make(self._parts.wanted(answers, machine, self._effects), self._effects)

    def _hide_secrets(self, answers: Answers) -> None:
        for value in self._parts.secrets(answers).values():
            self._log.hide(value)

    def _save(self, path: str, answers: Answers, machine: Machine) -> None:
        port = machine.port(answers.get("interface", machine.main))
        public = self._parts.public(answers)
        keys = [row.key for row in self._parts.questions(machine, answers) if row.key in public]
        comment = "Answers of this machine, as cloud-setup took them."
        text = dump(f"mac {port.mac}" if port else "all", [(key, public[key]) for key in keys], comment)
        self._effects.write(path, text.encode("ascii"), 0o600)
        self._terminal.say(f"The answers are saved in {path}.")

    def _show(self, answers: Answers, machine: Machine, steps: Sequence[Step]) -> None:
        self._terminal.heading("The answers")
        for line in shown_answers(answers, self._parts, machine):
            self._terminal.line(f"  {line}")
        self._terminal.heading("What will be done")
        if not steps:
            self._terminal.say("Nothing: this machine is as the answers want it.")
            return
        self._terminal.page(plan.as_lines(steps, self._effects))
        if self._runner.cuts(steps, machine):
            self._terminal.line("")
            self._terminal.say(
                "You came in over the network, and this changes the network: this session may end. If it does, log in "
                f"again, at the new address, within {PATIENCE // 60} minutes. Everything goes back as it was unless "
                "somebody says there:"
            )
            self._terminal.command("cloud-setup confirm")

    def _agreed(self) -> bool:
        """Whether it shall be done; False to ask again. Raises LeftError."""
        self._terminal.line("")
        while True:
            said = self._terminal.ask("Do it? yes, no, or < to change answers [no]: ").strip().lower()
            if said in ("yes", "y"):
                return True
            if said == "<":
                return False
            if said in ("", "no", "n"):
                raise LeftError
            self._terminal.say("! Type yes, no or <.", indent="  ")

    def _tell(self, text: str) -> None:
        self._terminal.say(text)
        self._log.say(text)
