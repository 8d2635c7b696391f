"""Asks the questions that arise, checks each answer as it comes, goes back, and gives all answers in the end."""

from typing import Dict, List, Optional, Set, Tuple

from .dialogue import Terminal
from .effects import Effects
from .model import Answers, Machine, Question
from .parts import Parts
from .rules import AnswerError

BACK, HELP = "<", "?"
INTRODUCTION = (
    "A few questions follow. Enter takes the answer in [brackets], ? explains a question, < goes back to the one "
    "before. Ctrl-C leaves; nothing is changed before you have seen all of it and said yes."
)


class Interview:
    """Answers of one machine as they come together.

    `given` are answers that nobody is asked for; `proposed` stand in the brackets, before what the machine proposes.
    """

    def __init__(
        self, terminal: Terminal, parts: Parts, machine: Machine, effects: Effects, given: Answers, proposed: Answers
    ) -> None:
        self._terminal = terminal
        self._parts = parts
        self._machine = machine
        self._effects = effects
        self._given = dict(given)
        self._proposed = proposed
        self._typed: Dict[str, str] = {}
        self._accepted: Dict[str, str] = {}

    def ask_from(self, key: Optional[str] = None) -> Answers:
        """Ask from the question `key` on, or from the first; all answers. Raises LeftError."""
        if key is not None:
            # It was wrong, wherever it came from.
            value = self._given.pop(key, None)
            if value is not None:
                self._typed[key] = value
        done = self._before(key)
        while True:
            rows = self._rows(done)
            row = next((one for one in rows if one.key not in done and one.key not in self._given), None)
            if row is None:
                return self._answers(done)
            if self._ask(row, rows, done):
                done.add(row.key)
            else:
                self._go_back(rows, done)

    def unattended(self) -> Tuple[Answers, List[str]]:
        """The answers with nobody to ask: the given ones, defaults of what needs no answer; and the keys that lack."""
        missing: List[str] = []
        done: Set[str] = set()
        while True:
            row = next((one for one in self._rows(done) if one.key not in done and one.key not in self._given), None)
            if row is None:
                return self._answers(done), missing
            default = self._default(row, self._answers(done))
            if row.needed or not default:
                missing.append(row.key)
            else:
                self._accepted[row.key] = default
            done.add(row.key)

    def _before(self, key: Optional[str]) -> Set[str]:
        """What need not be asked again when it goes on at `key`."""
        if key is None:
            return set()
        known = [row.key for row in self._rows(set(self._typed) | set(self._accepted))]
        return set(known[: known.index(key)]) - set(self._given) if key in known else set()

    def _answers(self, done: Set[str]) -> Answers:
        both = dict(self._accepted, **self._typed)
        answers = {key: value for key, value in both.items() if key in done}
        answers.update(self._given)
        rows = {row.key for row in self._parts.questions(self._machine, answers)}
        # What was given and does not arise stays: checks say what is wrong with it.
        return {key: value for key, value in answers.items() if key in rows or key in self._given}

    def _rows(self, done: Set[str]) -> List[Question]:
        return self._parts.questions(self._machine, self._answers(done))

    def _default(self, row: Question, answers: Answers) -> str:
        for value in (self._typed.get(row.key), self._proposed.get(row.key), row.default(self._machine, answers)):
            if value:
                return value
        return ""

    def _go_back(self, rows: List[Question], done: Set[str]) -> None:
        asked = [row.key for row in rows if row.key in done]
        if asked:
            done.discard(asked[-1])
        else:
            self._terminal.say("This is the first question. Ctrl-C leaves.", indent="  ")

    def _ask(self, row: Question, rows: List[Question], done: Set[str]) -> bool:
        """Ask one question until it has a good answer; False to go back."""
        answers = self._answers(done)
        default = self._default(row, answers)
        asked = [one.key for one in rows if one.key not in self._given]
        prompt = self._prompt(row, answers, default, f"{asked.index(row.key) + 1}/{len(asked)}")
        for line in row.listing(self._machine):
            self._terminal.line(f"     {line}")
        while True:
            said = self._terminal.ask(prompt, secret=row.secret)
            word = said.strip()
            if word == BACK:
                return False
            if word == HELP:
                self._explain(row, default)
                continue
            if not word and default:
                said = default
            try:
                value = self._taken(row, said, answers)
            except AnswerError as refused:
                self._terminal.say("! %s" % (refused if not row.secret else refused.instead), indent="  ")
                continue
            made = row.secret and not word and row.key not in self._typed
            self._remember(row, value, typed=bool(word) and value != default)
            # One that was typed earlier is known to whoever typed it.
            if made:
                self._terminal.say(f"It is {value} and is shown now and never again: write it down.", indent="  ")
            self._say_meaning(row, dict(answers, **{row.key: value}))
            return True

    def _say_meaning(self, row: Question, answers: Answers) -> None:
        meaning = row.meaning(self._machine, answers)
        if meaning:
            self._terminal.say(meaning, indent="  ")

    def _remember(self, row: Question, value: str, *, typed: bool) -> None:
        # What was only accepted follows the answers that it came from, when those change.
        (self._typed if typed or row.key in self._typed else self._accepted)[row.key] = value

    def _taken(self, row: Question, said: str, answers: Answers) -> str:
        """What was said as an answer, if it is one. Raises AnswerError."""
        value = row.rule(said)
        found = self._parts.suits(dict(answers, **{row.key: value}), self._machine, self._effects)
        for problem in found:
            if problem.key == row.key and not problem.warning:
                raise AnswerError(problem.what, problem.instead)
        return value

    def _prompt(self, row: Question, answers: Answers, default: str, place: str) -> str:
        port = row.key.partition(".")[2] or answers.get("interface", self._machine.main)
        text = f"{place} {row.prompt.format(port=port)}"
        if default and not row.secret:
            # A default that does not fit beside the question stands above it.
            if len(text) + len(default) > 66:
                return f"{text}\n     [{default}]: "
            return f"{text} [{default}]: "
        return f"{text}: "

    def _explain(self, row: Question, default: str) -> None:
        self._terminal.say(row.help, indent="  ")
        self._terminal.say(f"Example: {row.example}", indent="  ")
        if default and not row.secret:
            self._terminal.say(f"Enter alone takes: {default}", indent="  ")


def shown_answers(answers: Answers, parts: Parts, machine: Machine) -> List[str]:
    """The answers, a line each, without secrets."""
    rows = parts.questions(machine, answers)
    keys = [row.key for row in rows] + sorted(set(answers) - {row.key for row in rows})
    public = parts.public(answers)
    return [f"{key:<16} {public.get(key, '(not shown)')}" for key in keys if key in answers]
