"""The fuzzer at the command line: python -m tests.fuzz --help. It uses atheris, which is libFuzzer for Python."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.targets import CASES, TARGETS

_LONGEST_INPUT = 200_000
# Of one input, in seconds, and of the whole process, in MiB.
_SLOWEST = 20
_MEMORY = 2048


def main(arguments: list[str]) -> int:
    """Fuzz; gives 0 when nothing was found, else 1."""
    parsed = _parser().parse_args(arguments)
    if parsed.inside:
        _fuzz(parsed.names[0], Path(parsed.inside), parsed.seconds, parsed.seed)
    names = parsed.names or sorted(TARGETS)
    if unknown := set(names) - TARGETS.keys():
        print(f"error: no target is called {', '.join(sorted(unknown))}; there are {', '.join(sorted(TARGETS))}")
        return 2
    found = [name for name in names if _is_broken(name, parsed.seconds, parsed.seed)]
    print(f"{len(names)} parsers, {len(found)} with findings{': ' if found else ''}{', '.join(found)}")
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PARSER", help=f"of {', '.join(sorted(TARGETS))}; without any, all")
    parser.add_argument("--seconds", type=int, default=60, help="for each parser (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="random numbers as they were")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    return parser


def _is_broken(name: str, seconds: int, seed: int) -> bool:
    """Whether anything was found in a process of its own; it is kept below tests/cases, for the tests to try again."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        made = Path(folder, "made")
        made.mkdir()
        for number, data in enumerate(TARGETS[name].seeds(made)):
            (corpus / f"seed-{number}").write_bytes(data)
        words = [
            sys.executable,
            "-m",
            "tests.fuzz",
            name,
            "--inside",
            folder,
            "--seconds",
            str(seconds),
            "--seed",
            str(seed),
        ]
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
        kept = sorted(Path(folder).glob("found-*"))
        for path in kept:
            target = CASES / name / path.name.removeprefix("found-")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            print(f"{name}: FOUND {os.path.relpath(target)}")
        runs = next((line.split()[1] for line in done.stderr.splitlines() if line.startswith("Done ")), "?")
        print(f"{name}: {runs} inputs in {time.monotonic() - began:.0f} s, exit {done.returncode}", flush=True)
        if done.returncode:
            print("\n".join(f"  {line}" for line in done.stderr.splitlines()[-25:]))
    return bool(kept) or done.returncode != 0


def _fuzz(name: str, folder: Path, seconds: int, seed: int) -> None:
    """Never comes back: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["isobuilder"], enable_loader_override=False):
        from tests.fuzz.targets import TARGETS as ALL

    target = ALL[name]

    def one(data: bytes) -> None:
        target.run(data)

    limits = [f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={_LONGEST_INPUT}", f"-timeout={_SLOWEST}"]
    limits += [f"-rss_limit_mb={_MEMORY}", f"-artifact_prefix={folder}/found-", os.fspath(folder / "corpus")]
    atheris.Setup([sys.argv[0], *limits], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
