"""The torture at the command line: python -m tests.torture --help."""

import argparse
import contextlib
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.torture.cases import Case, Reference
from tests.torture.faults import FAULTS
from tests.torture.stages import network
from tests.torture.workers import STAGES, all_cases, isolate, make_reference, run_case


def main(arguments: list[str]) -> int:
    """Torture; gives 0 when no rule was broken, else 1."""
    parsed = _parser().parse_args(arguments)
    if os.geteuid() != 0:
        print("error: this needs root, for networks and disks of its own", file=sys.stderr)
        return 7
    seed = parsed.seed if parsed.seed is not None else random.SystemRandom().randrange(10**6)
    chosen = _chosen(parsed.only, parsed.few)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-", dir="/var/tmp") as name:
        folder = Path(name)
        good = make_reference(folder / "good")
        say(f"seed {seed}: {len(chosen)} cases; the good medium was built in {time.monotonic() - began:.0f} s")
        figures, broken = _torture(chosen, good, folder, seed)
    _print_table(figures, broken, seed, time.monotonic() - began)
    return 1 if broken else 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, help="random numbers as they were; otherwise others each time")
    parser.add_argument("--only", metavar="STAGE[/CASE]", default="", help=f"of {', '.join(STAGES)}; CASE is a regex")
    parser.add_argument("--few", type=int, metavar="N", default=0, help="at most so many cases of each stage")
    return parser


def _chosen(only: str, few: int) -> list[Case]:
    """The cases that are asked for, or `few` of each stage."""
    stage, _, pattern = only.partition("/")
    found = []
    for name in STAGES:
        own = [case for case in all_cases().values() if case.stage == name and re.search(pattern, case.name)]
        if stage in {"", name}:
            found += own[:: max(1, len(own) // few)][:few] if few else own
    return found


def _torture(cases: list[Case], good: Reference, folder: Path, seed: int) -> tuple[Counter[str], list[str]]:
    figures: Counter[str] = Counter()
    broken: list[str] = []
    kinds: set[str] = set()
    # Much of it is waiting: for servers that say nothing, and for disks.
    with ProcessPoolExecutor(2 * (os.cpu_count() or 1), get_context("spawn"), isolate, (good,)) as workers:
        work = [workers.submit(run_case, str(case), folder / f"case-{n}", seed) for n, case in enumerate(cases)]
        for number, (case, one) in enumerate(zip(cases, work, strict=True), 1):
            report = one.result()
            figures.update(report.figures)
            kinds |= report.kinds
            broken += [f"{case}: {line}" for line in report.broken]
            for line in report.broken:
                say(f"BROKEN {case}: {line}")
            if number % 25 == 0:
                say(f"{number} of {len(cases)} cases, {len(broken)} rules broken")
    figures["kinds of mangling"] = len(kinds)
    if not {str(case) for case in network.cases()} - set(map(str, cases)):
        broken += [f"{network.STAGE}: {name} was never dealt" for name in sorted(FAULTS.keys() - kinds)]
    return figures, broken


def _print_table(figures: Counter[str], broken: list[str], seed: int, seconds: float) -> None:
    figures["tracebacks"] = sum("a traceback" in line for line in broken)
    figures["rules broken"] = len(broken)
    rows = [
        "requests", "requests mangled", "kinds of mangling", "kills", "of them ended in the same sha256", "signals",
        "full disks", "hosts that fail", "cache entries damaged", "hostile inputs", "offline runs",
        "sockets opened offline", "tracebacks", "bytes lost", "rules broken",
    ]  # fmt: skip
    rows[6:7] = [name for name in sorted(figures) if name.startswith("full disks")]
    for name in rows:
        print(f"{name:<40}{figures[name]:>8,}")
    print(f"{'seed':<40}{seed:>8}")
    print(f"{'minutes':<40}{seconds / 60:>8.1f}")
    for line in broken:
        case = line.partition(":")[0]
        only = f"'{case}$'" if "/" in case else case
        print(f"BROKEN {line}\n  again: python -m tests.torture --seed {seed} --only {only}")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
    sys.exit(130)
