"""Row 2: a medium of 20,000 files and 10 GB takes the time that its bytes take, and builds stay small in memory."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.content import fill, sizes
from tests.bench.mastering import program
from tests.bench.measuring import Children, Cost, Figure, in_turns
from tests.bench.world import Bench

NAME = "scale"
_FILES = 20_000
_BYTES = 10_000_000_000
_LAYOUT = """
import time
from pathlib import Path
from tests.bench.content import Filled
from isobuilder.iso.layout import lay_out
folder = Path({folder!r})
tree = Filled(folder, folder.with_name(folder.name + ".json")).tree()
began = time.perf_counter()
lay_out(tree)
print(time.perf_counter() - began)
"""


def figures(bench: Bench) -> Iterator[Figure]:
    work, size = bench.folder(NAME), bench.size
    children = Children()
    count, total = size.of(_FILES, 20), size.of(_BYTES, 8_000_000)
    media = {}
    for name, part in (("half", 2), ("whole", 1)):
        wanted = sizes(count // part, total // part, seed=part)
        media[name] = fill(work / name, wanted)
    actual = {name: sum(each[2] for each in _listed(filled.index)) for name, filled in media.items()}
    output = work / "out.iso"

    def write(name: str) -> Cost:
        output.unlink(missing_ok=True)
        # Per byte: half of the files and bytes must take half of the time.
        cost = children.run(program(media[name], output))
        return Cost(cost.wall / actual[name] * 1e9, cost.cpu / actual[name] * 1e9)

    half, whole = in_turns(min(size.rounds, 3), lambda: write("half"), lambda: write("whole"))
    yield Figure.of(
        f"scale, {count:,} files, {total / 1e9:.1f} GB",
        whole,
        half,
        1.15,
        "seconds for each GB, of those of a medium of half the files and bytes",
    )
    laid_out = {name: _layout_seconds(work / name, children, work / "log") for name in media}
    yield Figure(
        f"scale, layout of {count:,} files",
        (laid_out["whole"],),
        (laid_out["half"],),
        2.6,
        "of the layout of half the files: twice is linear",
    )
    yield Figure("scale, memory of mastering", (children.peak / 1e6,), (), 256, "the most that writing took", "MB")
    for folder in media:
        shutil.rmtree(work / folder)


def _listed(index: Path) -> list[tuple[str, str, int]]:
    import json

    return [(path, sha256, size) for path, sha256, size in json.loads(index.read_text())]


def _layout_seconds(folder: Path, children: Children, log: Path) -> float:
    children.run([sys.executable, "-c", _LAYOUT.format(folder=str(folder))], log=log)
    return float(log.read_text())
