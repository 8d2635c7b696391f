"""What can be done with a machine that is set up: see how it is doing, take it down, and what its parts do by name."""

from typing import Sequence

from . import journal
from . import machine as machines
from .dialogue import Terminal
from .effects import Effects
from .exits import EXIT_ANSWERS, EXIT_DONE, EXIT_LEFT, EXIT_STEP, SetupError
from .journal import Run
from .model import Action, Answers
from .parts import Parts
from .runner import Runner


class Upkeep:
    """The commands beside setting up."""

    def __init__(self, effects: Effects, terminal: Terminal, parts: Parts, runner: Runner) -> None:
        self._effects = effects
        self._terminal = terminal
        self._parts = parts
        self._runner = runner

    def check(self, *, full: bool = False) -> int:
        """See whether all works as it was set up; with `full`, also by trying it out. The exit code."""
        run, machine = self._last_done(), machines.look(self._effects)
        self._terminal.heading(f"How {machine.hostname} is doing")
        failed = self._runner.verdicts(self._parts.proofs(run.answers, machine, self._effects))
        if full and not failed:
            self._terminal.heading("Trying it out")
            for line in self._parts.thorough(run.answers, machine, self._effects):
                failed += self._runner.verdicts([line])
        self._terminal.line("")
        self._terminal.say("Not all of it works." if failed else "All of it works.")
        return EXIT_STEP if failed else EXIT_DONE

    def status(self) -> int:
        """Say in ten lines what this machine is and how it is doing."""
        runs, machine = self._runner.runs(), machines.look(self._effects)
        answers: Answers = dict(runs[0].answers) if runs else {}
        port = machine.port(answers.get("interface", machine.main))
        rows = [("host", machine.hostname), ("system", machine.facts.title)]
        rows += [("address", ", ".join(port.addresses) or "none") if port else ("address", "no port")]
        rows += [("set up", runs[0].state if runs else "not yet; run: cloud-setup")]
        for name, said in rows + self._parts.status(answers, machine, self._effects):
            self._terminal.line(f"{name:<18} {said}")
        return EXIT_DONE

    def tear_down(self) -> int:
        """Undo all that was ever done here, once somebody has typed the machine's name."""
        self._runner.lock_or_refuse()
        runs = self._runner.runs()
        if not runs:
            self._terminal.say("There is nothing to take down.")
            return EXIT_DONE
        machine = machines.look(self._effects)
        self._terminal.heading(f"Taking down {machine.hostname}")
        self._terminal.say(
            f"All that cloud-setup did here is undone, in {sum(len(run.done) for run in runs)} steps, the network of "
            "this machine included. What was made with it since then is lost: users, images, volumes."
        )
        if machine.session:
            self._terminal.say("You came in over the network: this session may end. What was begun goes on to its end.")
        if not self._terminal.interactive:
            raise SetupError(EXIT_ANSWERS, "Somebody has to be there to say that it is meant.")
        said = self._terminal.ask(f"Type the name of this machine ({machine.hostname}) to do it: ")
        if said.strip() != machine.hostname:
            self._terminal.say("That is not its name: nothing was changed.")
            return EXIT_LEFT
        return self._runner.undo(*runs)

    def act(self, action: Action, words: Sequence[str]) -> int:
        """Do what a part does under a name of its own; the exit code."""
        if action.changes:
            self._runner.lock_or_refuse(wait=True)
        return action.run(words, self._effects, self._terminal)

    def _last_done(self) -> Run:
        run = next((one for one in self._runner.runs() if one.state in (journal.FINISHED, journal.TRIAL)), None)
        if run is None:
            raise SetupError(EXIT_STEP, "This machine is not set up yet. Run: cloud-setup")
        return run
