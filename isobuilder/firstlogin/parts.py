"""The parts of the configuration, and what is asked of all of them together."""

from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from . import basics
from .cloud import part as cloud
from .effects import Effects
from .model import Action, Answers, Line, Machine, Part, Problem, Question

PARTS = (basics.PART, cloud.PART)


class Parts:
    """Some parts as one."""

    def __init__(self, parts: Tuple[Part, ...] = PARTS) -> None:
        self._parts = parts

    def question(self, key: str) -> Optional[Question]:
        """The question that has this key in an answers file, or None."""
        return next(filter(None, (part.question(key) for part in self._parts)), None)

    def rule_of(self, key: str) -> Optional[Callable[[str], str]]:
        """The rule for a key of an answers file, or None."""
        found = self.question(key)
        return found.rule if found else None

    def documented(self) -> List[Question]:
        """Every question once, for documentation."""
        return [row for part in self._parts for row in part.documented()]

    def known_keys(self) -> List[str]:
        return [row.key for row in self.documented()]

    def questions(self, machine: Machine, answers: Answers) -> List[Question]:
        """The questions that arise, as far as the answers so far tell."""
        return [row for part in self._parts for row in part.questions(machine, answers)]

    def fits(self, answers: Answers) -> List[Problem]:
        return [one for part in self._parts for one in part.fits(answers)]

    def suits(self, answers: Answers, machine: Machine, effects: Effects) -> List[Problem]:
        return [one for part in self._parts for one in (*part.fits(answers), *part.suits(answers, machine, effects))]

    def problems(self, answers: Answers, machine: Machine, effects: Effects) -> List[Problem]:
        """All that is wrong with answers that are complete; the wire is asked too, if the rest is right."""
        found = self.suits(answers, machine, effects)
        if any(not one.warning for one in found):
            return found
        return found + [one for part in self._parts for one in part.wire(answers, machine, effects)]

    def preflight(self, answers: Answers, machine: Machine, effects: Effects) -> List[Line]:
        return [line for part in self._parts for line in part.preflight(answers, machine, effects)]

    def wanted(self, answers: Answers, machine: Machine, effects: Effects) -> List[object]:
        return [row for part in self._parts for row in part.wanted(answers, machine, effects)]

    def proofs(self, answers: Answers, machine: Machine, effects: Effects) -> List[Line]:
        return [line for part in self._parts for line in part.proofs(answers, machine, effects)]

    def finish(
        self, answers: Answers, machine: Machine, effects: Effects, tell: Callable[[str], None]
    ) -> Iterator[Line]:
        for part in self._parts:
            yield from part.finish(answers, machine, effects, tell)

    def status(self, answers: Answers, machine: Machine, effects: Effects) -> List[Tuple[str, str]]:
        return [row for part in self._parts for row in part.status(answers, machine, effects)]

    def thorough(self, answers: Answers, machine: Machine, effects: Effects) -> Iterator[Line]:
        for part in self._parts:
            yield from part.thorough(answers, machine, effects)

    def across(self, machines: Sequence[Tuple[str, Answers]]) -> List[str]:
        return [line for part in self._parts for line in part.across(machines)]

    def actions(self) -> List[Action]:
        return [action for part in self._parts for action in part.actions]

    def public(self, answers: Answers) -> Answers:
        """The answers without secrets."""
        return {key: value for key, value in answers.items() if not self._is_secret(key)}

    def secrets(self, answers: Answers) -> Answers:
        return {key: value for key, value in answers.items() if self._is_secret(key)}

    def _is_secret(self, key: str) -> bool:
        row = self.question(key)
        return row is not None and row.secret
