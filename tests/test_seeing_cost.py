"""Why a package is there and what goes with it, against a slow search that takes each thing away in turn."""

import itertools
import json
import random
import subprocess
import time
from pathlib import Path

import pytest

from isobuilder.lock import dump_lock
from isobuilder.resolve.solve import Needs
from isobuilder.seeing.cost import Reasons, chain, costs, reasons_of_lock
from tests.conftest import Demo, isobuilder
from tests.stock_media import KICKSTART, STOCK_9, StockMedium, describe, make_packages, make_repodata
from tests.test_lockdiff import lock, package


def invented(chance: random.Random, count: int, edges: int) -> Reasons:
    """Packages that want each other at random, circles among them, for two roles."""
    names = [f"p{number}" for number in range(count)]
    needs = {}
    for role in ("one", "two"):
        asked = {f"group {n}": frozenset(chance.sample(names, chance.randint(1, 3))) for n in range(3)}
        wants = {name: frozenset(chance.sample(names, chance.randint(0, min(edges, count)))) - {name} for name in names}
        there = reached(wants, {each for found in asked.values() for each in found})
        needs[role] = Needs(asked, {name: wants[name] for name in there})
    return Reasons({name: chance.randint(1, 1000) for name in names}, needs, is_graph=True)


def reached(wants: dict[str, frozenset[str]], roots: set[str], without: str = "") -> set[str]:
    found: set[str] = set()
    todo = [root for root in roots if root != without]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += [other for other in wants.get(node, ()) if other != without]
    return found


def slow(reasons: Reasons, taken: str, role: str | None) -> tuple[int, int]:
    """How much is no longer reached without `taken`, a package or a thing that is asked for."""
    wants: dict[str, frozenset[str]] = {}
    asked: dict[str, frozenset[str]] = {}
    for needs in (needs for name, needs in reasons.needs.items() if role in (None, name)):
        for name, others in needs.wants.items():
            wants[name] = wants.get(name, frozenset()) | others
        for reason, found in needs.asked.items():
            asked[reason] = asked.get(reason, frozenset()) | found
    every = {each for found in asked.values() for each in found}
    rest = {each for reason, found in asked.items() if reason != taken for each in found}
    gone = reached(wants, every) - reached(wants, rest, taken)
    return sum(reasons.sizes[name] for name in gone), len(gone)


@pytest.mark.parametrize("seed", range(40))
def test_what_goes_is_what_a_slow_search_finds(seed: int) -> None:
    chance = random.Random(seed)
    reasons = invented(chance, chance.choice((3, 12, 40)), chance.choice((1, 2, 4)))
    for role in ("one", None):
        found = costs(reasons, role)
        assert found
        for cost in found:
            assert (cost.goes, cost.packages) == slow(reasons, cost.name, role), cost.name
        assert [cost.goes for cost in found] == sorted((cost.goes for cost in found), reverse=True)


@pytest.mark.parametrize("seed", range(20))
def test_chains_are_ways_and_no_shorter_one_is_there(seed: int) -> None:
    reasons = invented(random.Random(seed), 30, 2)
    needs = reasons.needs["one"]
    for name in needs.wants:
        reason, *way = chain(needs, name)
        assert way[0] in needs.asked[reason]
        assert way[-1] == name
        assert all(other in needs.wants[one] for one, other in itertools.pairwise(way))
        within = {each for found in needs.asked.values() for each in found}
        for _ in way[1:]:
            assert name not in within
            within |= {other for each in within for other in needs.wants[each]}
        assert name in within
    assert chain(needs, "nosuch") == []


def test_ten_thousand_packages_take_seconds() -> None:
    reasons = invented(random.Random(1), 10_000, 30)
    start = time.process_time()
    assert len(costs(reasons)) >= 10_000
    assert time.process_time() - start < 20


def test_a_lock_tells_one_reason_for_each_package() -> None:
    packages = [
        package("a-0:1-1.noarch", "nc", size=5).model_copy(update={"reasons": ("group core",)}),
        package("b-0:1-1.noarch", "nc", size=7).model_copy(update={"reasons": ("required by a",)}),
        package("c-0:1-1.noarch", "nc", "minimal", size=9).model_copy(
            update={"reasons": ("recommended by b", "named at ks/minimal.cfg:12")}
        ),
    ]
    reasons = reasons_of_lock(lock(*packages))
    assert not reasons.is_graph
    assert chain(reasons.needs["nc"], "c-0:1-1.noarch") == [
        "group core",
        "a-0:1-1.noarch",
        "b-0:1-1.noarch",
        "c-0:1-1.noarch",
    ]
    assert chain(reasons.needs["minimal"], "c-0:1-1.noarch") == ["named at ks/minimal.cfg:12", "c-0:1-1.noarch"]
    assert {cost.name: cost.goes for cost in costs(reasons)} == {
        "group core": 12,
        "a-0:1-1.noarch": 12,
        "b-0:1-1.noarch": 7,
        "c-0:1-1.noarch": 9,
    }
    assert {cost.name: cost.goes for cost in costs(reasons, "nc")}["group core"] == 21


@pytest.fixture
def racks(stock_media: dict[str, StockMedium], tmp_path: Path) -> Path:
    """A role with rack, which needs rack-libs and rack-data, the latter of which spare needs as well."""

    def change(tree: Path) -> None:
        requires = {"rack": ["rack-libs", "rack-data"], "spare": ["rack-data"]}
        make_packages(tree / "Packages", ["rack", "rack-libs", "rack-data", "spare", "lonely"], requires)
        (tree / "ks.cfg").write_text(KICKSTART.replace("bash\n", "rack\nspare\n"))
        make_repodata(tree)
        describe(tree, STOCK_9)

    return stock_media["9"].changed(tmp_path, change)


def test_why_and_cost_of_a_medium(racks: Path) -> None:
    held = {
        path.name.removesuffix("-1.0-1.noarch.rpm"): path.stat().st_size
        for path in (racks.parent / "tree/Packages").iterdir()
    }
    requires = subprocess.run(
        ["rpm", "-qp", "--requires", racks.parent / "tree/Packages/rack-1.0-1.noarch.rpm"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "rack-libs" in requires
    done = isobuilder("why", str(racks), "rack-libs")
    assert done.returncode == 0, done.stderr
    line = KICKSTART.splitlines().index("bash") + 1
    assert done.stdout.splitlines()[:2] == [
        "rack-libs-0:1.0.0-1.noarch",
        f"  ks: named at ks.cfg:{line} > rack-0:1.0.0-1.noarch > rack-libs-0:1.0.0-1.noarch",
    ]
    assert isobuilder("why", str(racks), "lonely").stdout.splitlines()[1].startswith("  no role needs it: ")
    wrong = isobuilder("why", str(racks), "rack-lib")
    assert (wrong.returncode, "did you mean 'rack-libs'" in wrong.stderr) == (2, True)
    table = json.loads(isobuilder("cost", "--json", str(racks)).stdout)
    goes = {cost["name"]: cost["goes"] for cost in table["costs"]}
    assert not table["estimate"]
    assert goes["rack-0:1.0.0-1.noarch"] == held["rack"] + held["rack-libs"]
    assert goes["spare-0:1.0.0-1.noarch"] == held["spare"]
    assert goes["rack-data-0:1.0.0-1.noarch"] == held["rack-data"]
    assert goes["group core"] == held["system-release"] + held["vim-minimal"]
    assert isobuilder("cost", "--role", "kss", str(racks)).returncode == 2
    assert len(isobuilder("cost", "--role", "ks", "--most", "3", str(racks)).stdout.splitlines()) == 3


@pytest.mark.practice
def test_a_lock_never_says_less_than_its_medium(demo: Demo, tmp_path: Path) -> None:
    release = ["--release", str(demo.folder / "practice.toml")]
    of_medium = json.loads(isobuilder("cost", "--json", *release, str(demo.iso)).stdout)
    of_lock = json.loads(isobuilder("cost", "--json", str(demo.lock)).stdout)
    assert of_lock["estimate"]
    least = {cost["name"]: cost["goes"] for cost in of_medium["costs"] if cost["own"]}
    most = {cost["name"]: cost["goes"] for cost in of_lock["costs"] if cost["own"]}
    assert least.keys() == most.keys()
    assert all(most[name] >= goes for name, goes in least.items())
    (tmp_path / "a.lock").write_text(dump_lock(lock(package("a-0:1-1.noarch", "nc"))))
    assert isobuilder("why", str(tmp_path / "a.lock"), "a").stdout.splitlines()[-1].startswith("an estimate")
