"""What repositories exclude and include: as dnf has it, for every way of writing a pattern."""

from dataclasses import replace
from pathlib import Path

import pytest

from isobuilder.errors import ResolveError
from isobuilder.resolve.pool import Source
from tests.dnf_oracle import Answer, Scenario, ask_dnf
from tests.module_cases import SITE as MODULAR
from tests.module_cases import nevras
from tests.module_cases import run as run_modular
from tests.repositories import Fake, make_repository
from tests.test_resolve import assert_same, names, request, run

BASE = (
    Fake("kernel", "5.1-1", arch="x86_64"),
    Fake("kernel", "5.2-1", arch="x86_64"),
    Fake("kernel-debug", "5.1-1", arch="x86_64", provides=["kernel"]),
    Fake("kernel-tools", "1:5.1-1", arch="x86_64"),
    Fake("user", requires=["kernel"]),
    Fake("multi", arch="i686"),
    Fake("multi", arch="x86_64"),
    Fake("gone", provides=["thing"]),
    Fake("gone-new", "2-1", obsoletes=["gone"], provides=["thing"]),
    Fake("wants", recommends=["thing"]),
)
SITE = (Fake("kernel", "6.0-1", arch="x86_64"), Fake("only"), Fake("gone", "3-1", provides=["thing"]))
INSTALL = (["kernel"], ["user"], ["kernel-tools", "only"], ["multi*"], ["wants"], ["gone"], ["thing"])
PATTERNS = (
    "kernel",
    "kernel*",
    "kernel-5.2",
    "kernel-5.*",
    "kernel-5.2-1",
    "kernel-0:5.2-1.x86_64",
    "kernel-1:5.2-1.x86_64",
    "kernel-tools-5.1-1.x86_64",
    "kernel-tools-1:5.1",
    "kernel-tools-0:5.1",
    "kernel.x86_64",
    "kernel.noarch",
    "multi.i686",
    "multi.*",
    "*.i686",
    "*-5.2-*",
    "*",
    "k?rnel",
    "thing",
    "gone",
    "gone-*",
    "gone-3*",
    "nothing-like-this",
    "kernel-5.*x86_64",
    "*0:5.2*x86_64",
    "k*-00:5.2-1",
    "multi.*6*",
)


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    return [
        make_repository(tmp_path / "base", BASE),
        make_repository(tmp_path / "site", SITE, id="site", priority=50),
    ]


@pytest.mark.parametrize("option", ["excludepkgs", "includepkgs"])
def test_the_same_packages_as_dnf(sources: list[Source], tmp_path: Path, option: str) -> None:
    folders = {"base": (tmp_path / "base", 99), "site": (tmp_path / "site", 50)}
    cases = [(name, pattern, words) for name in folders for pattern in PATTERNS for words in INSTALL]
    scenarios = [Scenario(words, options={name: {option: [pattern]}}) for name, pattern, words in cases]
    answers = ask_dnf(folders, scenarios, tmp_path)
    for (name, pattern, _), scenario, answer in zip(cases, scenarios, answers, strict=True):
        filtered = [_with(one, option, pattern) if one.id == name else one for one in sources]
        assert_same(scenario, answer.packages, filtered)
    # The oracle itself: the patterns made a difference, both ways.
    assert len({tuple(answer.packages) for answer in answers}) > len(INSTALL)
    assert any(answer.error for answer in answers)
    assert not all(answer.error for answer in answers)


def test_several_patterns_with_modules_as_with_dnf(tmp_path: Path) -> None:
    source = MODULAR["main"].make(tmp_path / "main", "main")
    names = ["tool", "lib", "user", "stat", "system-release"]
    for option, patterns in (
        ("includepkgs", ["tool", "lib"]),
        # Without the release's package nobody knows the platform, and no stream is active.
        ("includepkgs", ["tool", "lib", "system-release"]),
        ("includepkgs", ["tool-3*", "lib", "user", "system-*"]),
        ("excludepkgs", ["tool-3*", "stat"]),
        ("excludepkgs", ["system-release", "lib-3*"]),
    ):
        options = {"main": {option: patterns}}
        scenarios = [Scenario([word], options=options) for word in (*names, "@m:1/p", "@m:2/p", "@s")]
        answers = ask_dnf({"main": (tmp_path / "main", 99)}, scenarios, tmp_path / "dnf")
        for scenario, answer in zip(scenarios, answers, strict=True):
            assert_same_modules(_with(source, option, *patterns), scenario, answer)


def assert_same_modules(source: Source, scenario: Scenario, answer: Answer) -> None:
    try:
        found = nevras(run_modular([source], scenario))
    except ResolveError:
        found = []
    assert found == answer.packages, scenario


def _with(source: Source, option: str, *patterns: str) -> Source:
    return replace(source, excludes=patterns) if option == "excludepkgs" else replace(source, includes=patterns)


def test_both_together_and_a_mistake_that_says_why(sources: list[Source]) -> None:
    base, site = sources
    filtered = [
        replace(base, includes=("kernel*", "user"), excludes=("kernel-debug",)),
        replace(site, includes=("only",)),
    ]
    assert names(run(filtered, request("user"))) == ["kernel", "user"]
    with pytest.raises(ResolveError) as error:
        run(filtered, request("multi"), extra=["kernel-debug"])
    assert error.value.details == (
        "ks/role.cfg:1: multi is left out by the excludes or includes of its repository",
        "boot code: no package is called 'kernel-debug'",
    )
