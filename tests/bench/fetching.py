"""Row 4: files over loopback into an empty cache, each verified, against curl and a sha256 of each.

As a program it is our side: python -m tests.bench.fetching ADDRESS INDEX CACHE.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.content import fill
from tests.bench.measuring import Children, Cost, Figure, in_turns
from tests.bench.serving import served
from tests.bench.world import Bench

NAME = "fetching"
_LIMIT = 1.15
_FILES = 1_200
_BYTES = 1_200_000
_CONNECTIONS = 8
_SECONDS = 0.03
_SUMS = """
import subprocess, sys
from pathlib import Path
folder, wanted = Path(sys.argv[1]), dict(line.split() for line in open(sys.argv[2]))
said = subprocess.run(
    ["openssl", "dgst", "-sha256", "-r", *sorted(wanted)], cwd=folder, capture_output=True, text=True, check=True
).stdout
found = {line.split(" *")[1]: line[:64] for line in said.splitlines()}
sys.exit(found != wanted)
"""


def figures(bench: Bench) -> Iterator[Figure]:
    work, size = bench.folder(NAME), bench.size
    filled = fill(work / "mirror", [_BYTES] * size.of(_FILES, 16))
    files = [
        (path, sha256, length) for path, sha256, length in json.loads(filled.index.read_text()) if length == _BYTES
    ]
    names = {path: f"{number:05}" for number, (path, _, _) in enumerate(files)}
    index = work / "files.json"
    index.write_text(json.dumps(files))
    sums = work / "sums"
    sums.write_text("".join(f"{names[path]} {sha256}\n" for path, sha256, _ in files))
    for title, delay in (("loopback", 0.0), (f"{_SECONDS * 1000:.0f} ms", _SECONDS)):
        with served(filled.folder, delay) as address:
            config = work / "curl.config"
            config.write_text("".join(f'url = "{address}/{path}"\noutput = "{names[path]}"\n' for path, _, _ in files))
            children = Children()

            def ours(address: str = address, children: Children = children) -> Cost:
                cache = _emptied(work / "cache")
                return children.run([sys.executable, "-m", "tests.bench.fetching", address, index, cache])

            def curl(config: Path = config, children: Children = children) -> Cost:
                folder = _emptied(work / "curl")
                fetch: list[str | Path] = [
                    "curl",
                    "--silent",
                    "--fail",
                    "--parallel",
                    "--parallel-max",
                    str(_CONNECTIONS),
                    "-K",
                    config,
                ]
                seconds = children.run(fetch, cwd=folder)
                return seconds + children.run([sys.executable, "-c", _SUMS, folder, sums])

            mine, usual = in_turns(size.rounds, ours, curl)
        yield Figure.of(
            f"fetch, {len(files):,} files, {title}",
            mine,
            usual,
            _LIMIT,
            f"of curl -Z with {_CONNECTIONS} connections, then openssl dgst -sha256 of each",
        )


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.sync()
    return folder.absolute()


def _fetch(address: str, index: Path, cache_root: Path) -> None:
    from isobuilder.fetch.cache import Cache
    from isobuilder.fetch.download import Wanted
    from isobuilder.fetch.failover import Place
    from isobuilder.fetch.fetcher import Fetcher
    from isobuilder.progress import Silent

    files = [
        Wanted(Place((f"{address}/",), path), sha256, size) for path, sha256, size in json.loads(index.read_text())
    ]
    with Fetcher(Cache(cache_root), progress=Silent()) as fetcher:
        fetcher.fetch_all(files, title="Packages")


if __name__ == "__main__":
    _fetch(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
