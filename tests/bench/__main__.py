"""The bench at the command line: python -m tests.bench --help."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from types import ModuleType

from tests.bench import fetching, idle, machine, mastering, resolving, scale, whole
from tests.bench.measuring import Figure, Size
from tests.bench.world import Bench

_ROWS: dict[str, ModuleType] = {module.NAME: module for module in (mastering, scale, resolving, fetching, idle, whole)}
# What the rows leave on the disk at most, in bytes; they are removed as they end.
_SPACE = 30_000_000_000
_QUICK = Size(rounds=1, part=0.004)


def main(arguments: Sequence[str]) -> int:
    """Measure, and print the table; the exit code says whether every row is met, or 1 with the names of the others."""
    parsed = _parser().parse_args(arguments)
    size = _QUICK if parsed.quick else Size(parsed.rounds, parsed.part)
    about = machine.described()
    for name, text in about.items():
        print(f"{name + ':':14} {text}")
    print(flush=True)
    figures: list[Figure] = []
    took: dict[str, float] = {}
    parsed.work.mkdir(parents=True, exist_ok=True)
    if not parsed.quick and shutil.disk_usage(parsed.work).free < _SPACE:
        print(f"{parsed.work}: the rows need {_SPACE / 1e9:.0f} GB free; --work names another folder", file=sys.stderr)
        return 7
    os.environ["ISOBUILDER_PICTURES"] = "0"
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parsed.work.absolute()) as folder:
        bench = Bench(Path(folder), size)
        for name in parsed.only or _ROWS:
            began = time.monotonic()
            for figure in _ROWS[name].figures(bench):
                figures.append(figure)
                print(_line(figure, judged=size.is_full), flush=True)
            shutil.rmtree(Path(folder) / name)
            took[name] = time.monotonic() - began
            print(f"  ({name}: {took[name]:.0f} s)", flush=True)
    if parsed.json:
        parsed.json.write_text(json.dumps(_document(about, figures, took, size), indent=1) + "\n")
    missed = [figure for figure in figures if size.is_full and not figure.is_met]
    for figure in missed:
        print(f"missed: {figure.name}: {figure.value:.3f}, and {figure.limit} is the limit", file=sys.stderr)
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=_ROWS, metavar="ROW", help=f"one of {', '.join(_ROWS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round, and no judgement")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each, after one for the caches")
    parser.add_argument("--part", type=float, default=1.0, metavar="X", help="a part of all sizes, not judged then")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON, too")
    parser.add_argument("--work", type=Path, default=Path("build").absolute(), help="where 30 GB are free for a while")
    return parser


def _line(figure: Figure, *, judged: bool) -> str:
    verdict = ("met" if figure.is_met else "MISSED") if judged else "not judged"
    beside = f" / {_shown(figure.theirs, figure.unit)}" if figure.theirs else ""
    measured = f"{_shown(figure.ours, figure.unit)}{beside}"
    unit = "" if figure.theirs else f" {figure.unit}"
    cpu = f"; processors {figure.cpu[0]:.2f} s / {figure.cpu[1]:.2f} s" if figure.cpu else ""
    return (
        f"{figure.name:44} {measured:>22}  {figure.value:7.3f}{unit}  at most {figure.limit:g}{unit}  {verdict}\n"
        f"{'':4}{figure.note}{cpu}"
    )


def _shown(values: Sequence[float], unit: str) -> str:
    return f"{median(values):.{0 if unit == 'MB' else 2}f} {unit}"


def _document(about: dict[str, str], figures: Sequence[Figure], took: dict[str, float], size: Size) -> object:
    return {
        "machine": about,
        "rounds": size.rounds,
        "part": size.part,
        "seconds": {name: round(seconds, 1) for name, seconds in took.items()},
        "rows": [dict(_row(figure, judged=size.is_full)) for figure in figures],
    }


def _row(figure: Figure, *, judged: bool) -> Iterator[tuple[str, object]]:
    yield "name", figure.name
    yield "note", figure.note
    yield "unit", figure.unit
    yield "ours", [round(each, 4) for each in figure.ours]
    yield "theirs", [round(each, 4) for each in figure.theirs]
    yield "processors", [round(each, 4) for each in figure.cpu] if figure.cpu else None
    yield "value", round(figure.value, 4)
    yield "limit", figure.limit
    yield "met", figure.is_met if judged else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
