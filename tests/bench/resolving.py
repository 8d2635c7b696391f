"""Row 3: from metadata as it lies on the disk to the packages of a lock, against the host's dnf.

As a program it is our side: python -m tests.bench.resolving CACHE ANSWER, with what is asked as JSON on stdin.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.bench.measuring import Children, Cost, Figure, Size, in_turns
from tests.bench.metadata import Made, make_repository
from tests.bench.world import Bench

NAME = "resolving"
_COLD, _WARM_LARGE, _WARM_SMALL = 0.30, 0.70, 1.0
_DNF = """
import json, os, sys, time, dnf
asked = json.load(open(sys.argv[1]))
began = time.perf_counter(), time.process_time()
base = dnf.Base()
conf = base.conf
conf.installroot, conf.cachedir, conf.persistdir = asked["root"], asked["cache"], asked["root"] + "/persist"
conf.logdir, conf.reposdir, conf.varsdir, conf.pluginpath = asked["root"], [], [], []
conf.substitutions.update(arch="x86_64", basearch="x86_64", releasever="9")
conf.install_weak_deps, conf.best, conf.assumeno = True, True, True
conf.metadata_expire = -1
for name, folder in asked["repositories"].items():
    base.repos.add_new_repo(name, conf, baseurl=["file://" + folder], gpgcheck=False)
base.fill_sack(load_system_repo=False)
base.read_comps(arch_filter=True)
base.install_specs(asked["install"])
base.resolve()
chosen = sorted(f"{p.name}-{p.epoch}:{p.version}-{p.release}.{p.arch}" for p in base.transaction.install_set)
took = time.perf_counter() - began[0], time.process_time() - began[1]
with open(asked["answer"], "w") as file:
    json.dump({"chosen": chosen, "took": took}, file)
"""


def figures(bench: Bench) -> Iterator[Figure]:
    work, size = bench.folder(NAME), bench.size
    os_count, product = size.of(18_000, 700), size.of(1_100, 350)
    one = make_repository(work / "os", "os", os_count)
    other = make_repository(work / "product", "product", product, core=one.names[:200], seed=2)
    yield from _compare(f"{os_count:,} + {product:,} packages", {"os": one, "product": other}, work, size)
    shutil.rmtree(one.folder)
    shutil.rmtree(other.folder)
    count = size.of(60_000, 900)
    yield from _compare(f"{count:,} packages", {"os": make_repository(work / "os", "os", count)}, work, size)


def _compare(title: str, made: Mapping[str, Made], work: Path, size: Size) -> Iterator[Figure]:
    large = [f"@{name}-core" for name in made]
    for repository in made.values():
        step = max(1, len(repository.names) // (130 // len(made)))
        large += repository.names[::step]
    small = [f"@{next(iter(made))}-core", *next(iter(made.values())).names[300:310]]
    for kind, words, limit in (("large", large, _WARM_LARGE), ("small", small, _WARM_SMALL)):
        comparison = _Comparison(made, words, work)
        if kind == "large":
            mine, usual = in_turns(size.rounds, comparison.cold_ours, comparison.cold_theirs)
            yield Figure.of(
                f"resolve, cold, {title}",
                mine,
                usual,
                _COLD,
                f"of dnf's time, {len(words)} words; {comparison.whole()}",
            )
            yield _memory(f"resolve, cold, {title}: memory", comparison, 512)
        comparison.children.peak = 0
        mine, usual = in_turns(size.rounds, comparison.ours, comparison.theirs)
        count = comparison.check()
        yield Figure.of(
            f"resolve, warm, {title}, {kind}",
            mine,
            usual,
            limit,
            f"of dnf's time, {len(words)} words, {count} packages; {comparison.whole()}",
        )
        if kind == "large":
            yield _memory(f"resolve, warm, {title}: memory", comparison, 256)
        shutil.rmtree(comparison.folder)


def _memory(name: str, comparison: "_Comparison", limit: float) -> Figure:
    return Figure(name, (comparison.children.peak / 1e6,), (), limit, "the most that the process had", "MB")


class _Comparison:
    """One thing that both are asked for, each with a cache of its own."""

    def __init__(self, made: Mapping[str, Made], words: Sequence[str], work: Path) -> None:
        self.folder = work / "asking"
        self.children = Children()
        self._others = Children()
        self.wholes: dict[str, list[Cost]] = {"ours": [], "theirs": []}
        self._caches = {who: self.folder / f"cache-{who}" for who in ("ours", "theirs")}
        self._answers = {who: self.folder / f"{who}.json" for who in ("ours", "theirs")}
        self._asked = self.folder / "asked.json"
        (self.folder / "root").mkdir(parents=True)
        repositories = {name: str(one.folder.absolute()) for name, one in made.items()}
        asked = {
            "install": list(words),
            "repositories": repositories,
            "root": str((self.folder / "root").absolute()),
            "cache": str(self._caches["theirs"].absolute()),
            "answer": str(self._answers["theirs"]),
        }
        self._asked.write_text(json.dumps(asked))

    def cold_ours(self) -> Cost:
        shutil.rmtree(self._caches["ours"], ignore_errors=True)
        return self.ours()

    def cold_theirs(self) -> Cost:
        shutil.rmtree(self._caches["theirs"], ignore_errors=True)
        return self.theirs()

    def ours(self) -> Cost:
        """What ours cost, without the start of Python and its imports, as theirs."""
        program: list[str | Path] = [sys.executable, "-m", "tests.bench.resolving"]
        words = [*program, self._asked, self._caches["ours"], self._answers["ours"]]
        self.wholes["ours"].append(self.children.run(words, log=self.folder / "ours.log"))
        return self._took("ours")

    def theirs(self) -> Cost:
        words: list[str | Path] = ["/usr/bin/python3", "-c", _DNF, self._asked]
        self.wholes["theirs"].append(self._others.run(words, log=self.folder / "dnf.log"))
        return self._took("theirs")

    def _took(self, who: str) -> Cost:
        return Cost(*json.loads(self._answers[who].read_text())["took"])

    def whole(self) -> str:
        """What whole processes took, for people."""
        medians = [f"{median(cost.wall for cost in self.wholes[who]):.2f} s" for who in ("ours", "theirs")]
        self.wholes = {"ours": [], "theirs": []}
        return f"whole processes {' / '.join(medians)}"

    def check(self) -> int:
        """How many packages both chose. Raises RuntimeError when they are not the same."""
        ours, theirs = (json.loads(self._answers[who].read_text())["chosen"] for who in ("ours", "theirs"))
        if ours != theirs:
            raise RuntimeError(f"not the packages of dnf: {sorted(set(ours) ^ set(theirs))[:20]}")
        return len(ours)


def _resolve(asked: Path, cache_root: Path, answer: Path) -> None:
    """What `isobuilder lock` does once metadata is in the cache."""
    from isobuilder.kept import Kept
    from isobuilder.kickstart.request import PackageRequest, Wanted, WantedGroup
    from isobuilder.repository.repomd import metadata_files, parse_repomd
    from isobuilder.resolve.pool import Source
    from isobuilder.resolve.solve import RoleRequest, resolve

    told = json.loads(asked.read_text())
    began = time.perf_counter(), time.process_time()
    cache_root.mkdir(exist_ok=True)
    kept = Kept(cache_root / "solv")
    sources = []
    for name, folder in told["repositories"].items():
        repomd = parse_repomd((Path(folder) / "repodata/repomd.xml").read_bytes(), where=name)
        listed = metadata_files(repomd)
        files = {kind: Path(folder, file.path) for kind, file in listed.items()}
        sources.append(Source(name, 99, files, sha256={kind: file.sha256 for kind, file in listed.items()}))
    groups = tuple(WantedGroup(word[1:], 1) for word in told["install"] if word.startswith("@"))
    packages = tuple(Wanted(word, 1) for word in told["install"] if not word.startswith("@"))
    request = PackageRequest(packages, groups, None, (), ())
    # Another name each time: what was solved is kept for the kickstart that asked, and here solving is measured.
    role = RoleRequest("bench", request, f"bench-{os.getpid()}.ks")
    found = resolve(sources, [role], arch="x86_64", always=(), kept=kept)
    chosen = sorted(package.nevra for package in found.packages)
    took = time.perf_counter() - began[0], time.process_time() - began[1]
    answer.write_text(json.dumps({"chosen": chosen, "took": took}))


if __name__ == "__main__":
    _resolve(*(Path(word) for word in sys.argv[1:]))
