"""From what is wanted to what is to be done: only what differs from the machine as it is, as steps that are data."""

import difflib
import re
import shlex
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from .effects import Effects
from .model import Absent, Check, Command, File, Link

WRITE, LINK, REMOVE, RUN = "write", "link", "remove", "run"
HIDDEN = "(a secret; not shown)"


class Step(NamedTuple):
    """One step. Its `key` names it.

    `content` is that of a file, the target of a link, or a command's input. That of a `secret` step is kept in memory
    alone.
    """

    kind: str
    path: str = ""
    content: str = ""
    mode: int = 0o644
    argv: Tuple[str, ...] = ()
    undo: Tuple[Tuple[str, ...], ...] = ()
    why: str = ""
    timeout: int = 120
    cuts: bool = False
    secret: bool = False
    unless: Optional[Check] = None
    patience: int = 0
    expect: str = ""
    again: Tuple[Tuple[str, ...], ...] = ()

    @property
    def key(self) -> str:
        return "{} {}".format(self.kind, self.path or " ".join(self.argv))

    def as_data(self) -> Dict[str, Any]:
        """For the journal: everything, but what is secret."""
        table = dict(self._asdict())
        if self.secret:
            table["content"] = None
        return table


def from_data(table: Dict[str, Any]) -> Step:
    """A step out of the journal. One whose secret is gone has no content."""
    values = dict(table)
    values["argv"] = tuple(values["argv"])
    for name in ("undo", "again"):
        values[name] = tuple(tuple(one) for one in values.get(name, ()))
    if values.get("unless"):
        argv, pattern = values["unless"]
        values["unless"] = Check(tuple(argv), pattern)
    return Step(**values)


def holds(check: Check, effects: Effects) -> bool:
    """Whether the machine is as the check wants it."""
    result = effects.run(*check.argv)
    return result.code == 0 and bool(re.search(check.pattern, result.output, re.MULTILINE))


def make(wanted: Iterable[object], effects: Effects) -> List[Step]:
    """The steps that bring about what is `wanted`, in its order; none for what is so already."""
    rows = list(wanted)
    changing: Set[str] = set()
    steps: Dict[int, Step] = {}
    for number, row in enumerate(rows):
        step = _of_file(row, effects)
        if step:
            steps[number] = step
            changing.add(step.path)
    for number, row in enumerate(rows):
        if isinstance(row, Command) and (changing.intersection(row.after) or _is_needed(row, effects)):
            steps[number] = _run(row)
    return [steps[number] for number in sorted(steps)]


def _is_needed(row: Command, effects: Effects) -> bool:
    return row.needed or (row.unless is not None and not holds(row.unless, effects))


def secrets(wanted: Iterable[object]) -> Dict[str, Step]:
    """The steps that have a secret in them, by key, whether the machine needs them now or not."""
    found = [_written(row) for row in wanted if isinstance(row, File) and row.secret]
    found += [_run(row) for row in wanted if isinstance(row, Command) and row.secret_input]
    return {step.key: step for step in found}


def _run(row: Command) -> Step:
    return Step(
        RUN,
        content=row.secret_input,
        argv=row.argv,
        undo=row.undo,
        why=row.why,
        timeout=row.timeout,
        cuts=row.cuts,
        secret=bool(row.secret_input),
        unless=row.unless,
        patience=row.patience,
        expect=row.expect,
        again=row.again,
    )


def _written(row: File) -> Step:
    return Step(WRITE, row.path, row.content, row.mode, secret=row.secret)


def _of_file(row: object, effects: Effects) -> Optional[Step]:
    if isinstance(row, File):
        data = row.content.encode("utf-8", "surrogateescape")
        same = effects.read_bytes(row.path) == data and effects.mode(row.path) in (row.mode, 0o777)
        return None if same else _written(row)
    if isinstance(row, Link):
        return None if effects.target(row.path) == row.target else Step(LINK, row.path, row.target)
    if isinstance(row, Absent):
        return Step(REMOVE, row.path) if effects.exists(row.path) else None
    return None


def in_words(step: Step) -> str:
    """One line about a step."""
    if step.kind == WRITE:
        return f"write {step.path}"
    if step.kind == LINK:
        return f"link {step.path} to {step.content}"
    if step.kind == REMOVE:
        return f"remove {step.path}"
    return "run {}".format(" ".join(map(shlex.quote, step.argv)))


def as_lines(steps: Sequence[Step], effects: Effects) -> List[str]:
    """The whole plan for people: differences of files, and commands with the reason for each."""
    lines: List[str] = []
    for number, step in enumerate(steps, start=1):
        lines.append(f"{number:>2}. {in_words(step)}" + (f"   ({step.why})" if step.why else ""))
        if step.kind == WRITE:
            lines += _difference(step, effects)
    return lines


def _difference(step: Step, effects: Effects) -> List[str]:
    if step.secret:
        return [f"      {HIDDEN}"]
    before = (effects.read(step.path) or "").splitlines()
    after = step.content.splitlines()
    lines = list(difflib.unified_diff(before, after, lineterm="", n=1))[2:]
    if not lines:
        return [f"      (its permissions: {step.mode:o})"]
    return [f"      {line}" for line in lines]
