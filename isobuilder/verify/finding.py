"""What a check says: kinds of findings with a stable id, and findings of them at a place."""

from dataclasses import dataclass
from typing import Literal

# error: something would fail, or hurt; warning: some machine or somebody may be surprised; note: good to know.
Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Kind:
    """One way in which a medium can be wrong.

    `id` is stable, since people skip findings by it; `title` says in a few words what is wrong, whatever the place;
    `remedy` is one sentence about what to do.
    """

    id: str
    severity: Severity
    title: str
    remedy: str

    def at(self, place: str, message: str) -> "Finding":
        """A finding of this kind at `place` ("isolinux/isolinux.cfg, line 12", "GPT"): what exactly is wrong there."""
        return Finding(self, place, message)


@dataclass(frozen=True)
class Finding:
    """What is wrong, and where: a path on the medium, with its line, or the name of a structure."""

    kind: Kind
    place: str
    message: str
