"""A case of torture, what came of it, and what its worker knows. Figures of all cases are added up."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.upstream import Upstream


@dataclass(frozen=True)
class Reference:
    """What is good: the mirror, and folders where everything went well, with one mirror each and with several."""

    upstream: Upstream
    plain: Path
    mirrored: Path
    sha256: str
    mirrored_sha256: str


@dataclass
class Report:
    """What came of a case: `figures` to add up, and the rules that it broke, a line each; `kinds` of mangling seen."""

    figures: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Case:
    """One thing to do, in a folder of its own, with random numbers of its own; `name` is unique in its stage."""

    stage: str
    name: str
    act: Callable[[Reference, Path, random.Random, Report], None]

    def __str__(self) -> str:
        return f"{self.stage}/{self.name}"


Cases = Iterator[Case]
