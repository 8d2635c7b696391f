"""Row 5: what a build costs that has nothing to do, what one changed line of a kickstart costs, and what help costs."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measuring import Children, Cost, Figure, in_turns
from tests.bench.serving import served
from tests.bench.world import Bench, isobuilder

NAME = "idle"
_SECONDS = 1.0
_HELP = 0.15


def figures(bench: Bench) -> Iterator[Figure]:
    work, size = bench.folder(NAME), bench.size
    children = Children()
    starts, nothing = in_turns(
        size.rounds,
        lambda: children.run(isobuilder("--help")),
        lambda: children.run([sys.executable, "-c", "pass"]),
    )
    extra = tuple(ours - theirs for ours, theirs in zip(starts, nothing, strict=True))
    yield Figure.of("isobuilder --help", extra, (), _HELP, "seconds more than python -c pass")
    with served(bench.world.mirror) as address:
        yield from _builds(work, address, bench)


def _builds(work: Path, address: str, bench: Bench) -> Iterator[Figure]:
    definition = bench.world.define(work / "site", address)
    children = Children()
    log = work / "log"
    words = ("--cache-dir", work / "cache", "--output-dir", work / "out", "--timings")
    build = isobuilder("build", definition, *words)
    children.run(build, log=log)

    def rest() -> Cost:
        """The seconds of a whole process that were not the pass over the bytes; its folder is empty, as in CI."""
        shutil.rmtree(work / "out")
        cost = children.run(build, log=log)
        return cost - Cost(_passed(log.read_text()), 0)

    children.peak = 0
    [spent] = in_turns(bench.size.rounds, rest)
    yield Figure.of(
        "nothing to do", spent, (), _SECONDS, "seconds of a whole build besides Writing and Checksum, no pictures"
    )
    yield Figure("whole build, warm: memory", (children.peak / 1e6,), (), 256, "the most that any process had", "MB")
    shutil.rmtree(work / "out")


def _passed(said: str) -> float:
    """What `--timings` says of the pass over the bytes, in seconds."""
    rows = [line.split() for line in said.splitlines()]
    return sum(float(row[1]) for row in rows if row and row[0] in {"Writing", "Checksum"} and len(row) > 2)
