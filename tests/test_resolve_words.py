"""What the words of a kickstart mean: as dnf takes them, with what is left out and what replaces what."""

from pathlib import Path

import pytest

from isobuilder.errors import ResolveError
from isobuilder.resolve.pool import Source
from tests.dnf_oracle import Scenario, ask_dnf
from tests.repositories import Fake, make_repository
from tests.test_resolve import assert_same, nevras, request, run

COMPS = """
<group><id>conditional</id><name>Conditional</name><packagelist>
  <packagereq type="conditional" requires="plain" basearchonly="true">two-arch</packagereq>
  <packagereq type="conditional" requires="plain">gone</packagereq>
  <packagereq type="mandatory">plain</packagereq>
</packagelist></group>
<group><id>native</id><name>Native</name><packagelist>
  <packagereq type="mandatory" basearchonly="true">two-arch</packagereq>
  <packagereq type="mandatory" basearchonly="true">plain</packagereq>
  <packagereq type="mandatory">sources</packagereq>
  <packagereq type="mandatory">gone</packagereq>
</packagelist></group>
"""
PACKAGES = (
    Fake("plain", provides=["thing"]),
    Fake("named", "1-1", provides=["alias"]),
    # It obsoletes what `named` provides, and not `named`.
    Fake("successor", obsoletes=["alias"]),
    Fake("gone"),
    Fake("gone-newer", obsoletes=["gone < 2"]),
    Fake("gone-newest", obsoletes=["gone >= 2"]),
    Fake("two-arch", "1-1", "x86_64"),
    Fake("two-arch", "1-1", "i686"),
    Fake("two-other", "1-1", "i686"),
    Fake("versions", "1:1.0-1"),
    Fake("versions", "1:1.10-2"),
    Fake("versions", "3.0-1", "x86_64"),
    Fake("versions-3.0", "7-1"),
    Fake("lib64foo", provides=["libfoo.so.1()(64bit)"]),
    Fake("lib64bar", provides=["libbar.so.1()(64bit)", "virtual = 2"]),
    Fake("other-virtual", provides=["virtual = 1"]),
    Fake("sources", "2-1", "src"),
    Fake("sources", "1-1"),
    Fake("no-sources", "1-1", "nosrc"),
    Fake("only-sources", "1-1", "src", provides=["thing"]),
    Fake("says-path", provides=["/opt/said"]),
    Fake("has-path", files=["/opt/said", "/opt/had"]),
    Fake("has-needed", files=["/opt/needed"]),
    Fake("says-needed", provides=["/opt/needed"]),
    Fake("needs", requires=["/opt/needed"]),
    Fake("foreign", "9-1", "aarch64"),
    Fake("half-foreign", "9-1", "aarch64"),
    Fake("half-foreign", "1-1", "x86_64"),
)
WORDS = (
    *("plain", "thing", "named", "alias", "successor", "gone", "gone*", "gone-1", "gone.noarch"),
    *("two-arch", "two-*", "two-arch.*", "two-*.*", "two-arch.i686", "two-arch.i*", "*.i686", "t?o-arch", "[t]wo-arch"),
    *(
        "versions",
        "versions-1.0",
        "versions-1:1.0",
        "versions-0:3.0",
        "versions-0:1.0",
        "versions-3.0",
        "versions-3.0-1",
    ),
    *(
        "versions-1.*",
        "versions-1.0-1.noarch",
        "versions-*-2",
        "versions-1:1.*.noarch",
        "versions-3*x86_64",
        "*versions*2*",
    ),
    *("libfoo.so.1()(64bit)", "lib*.so.1()(64bit)", "lib64*", "virtual", "virt*"),
    *("sources", "sources-2", "sources.src", "source*", "only-sources"),
    *("/opt/said", "/opt/had", "/opt/needed", "/opt/nothing"),
    *("foreign", "half-foreign", "foreign.aarch64", "Plain", "@conditional", "@native"),
)
WITHOUT = (
    (["thing"], ["plain"]),
    (["alias"], ["named"]),
    (["gone"], ["gone"]),
    (["gone*"], ["gone"]),
    (["gone"], ["gone-newer"]),
    (["gone"], ["gone-n*"]),
    (["two-arch"], ["two-arch.x86_64"]),
    (["versions"], ["versions-3.0"]),
    (["versions-3.0"], ["versions-3.0"]),
    (["versions-3.0"], ["versions"]),
    (["/opt/said"], ["says-path"]),
    (["@native"], ["gone"]),
    (["@native"], ["gone", "two-arch"]),
    (["@conditional"], ["two-arch"]),
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return make_repository(tmp_path_factory.mktemp("words") / "base", PACKAGES, comps=COMPS)


def test_the_same_packages_as_dnf(base: Source, tmp_path: Path) -> None:
    scenarios = [*(Scenario([word]) for word in WORDS), *(Scenario(words, without) for words, without in WITHOUT)]
    answers = ask_dnf({"base": (base.files["primary"].parent.parent, 99)}, scenarios, tmp_path)
    for scenario, answer in zip(scenarios, answers, strict=True):
        assert_same(scenario, answer.packages, [base])
    # The oracle itself: some are chosen and some refused.
    assert 8 < sum(bool(answer.error) for answer in answers) < len(scenarios) // 2


KERNELS = (
    *(Fake("kernel", f"5.{minor}-1", "x86_64", provides=[f"kernel(abi) = {minor}"]) for minor in range(1, 4)),
    Fake("kernel-core", "5.3-1", "x86_64", provides=["installonlypkg(kernel)"]),
    Fake("kernel-core", "5.2-1", "x86_64", provides=["installonlypkg(kernel)"]),
    Fake("old-driver", requires=["kernel(abi) = 1"]),
    Fake("new-driver", requires=["kernel(abi) = 3"]),
    Fake("core-driver", requires=["kernel-core = 5.2-1"]),
    Fake("tool", "2-1"),
    Fake("tool", "1-1"),
    Fake("old-plugin", requires=["tool = 1"]),
)


def test_kernels_are_there_side_by_side_as_with_dnf(tmp_path: Path) -> None:
    base = make_repository(tmp_path / "base", KERNELS)
    scenarios = [
        Scenario(["kernel", "old-driver"]),
        Scenario(["old-driver", "new-driver"]),
        Scenario(["kernel-core", "core-driver"]),
        Scenario(["tool", "old-plugin"]),
    ]
    answers = ask_dnf({"base": (tmp_path / "base", 99)}, scenarios, tmp_path / "dnf")
    for scenario, answer in zip(scenarios, answers, strict=True):
        assert_same(scenario, answer.packages, [base])
    assert [bool(answer.error) for answer in answers] == [False, False, False, True]


# Packages of one version in two repositories: they are loaded by priority, and so are the choices between equals.
SITE = (Fake("same"), Fake("two-a", provides=["either"]), Fake("newer", "2-1"), Fake("split", "1-1", "x86_64"))
EXTRA = (Fake("same"), Fake("two-b", provides=["either"]), Fake("newer", "1-1"), Fake("split", "2-1"))


@pytest.mark.parametrize("priorities", [(99, 99), (99, 10), (10, 99)])
def test_repositories_with_the_same_packages_as_with_dnf(priorities: tuple[int, int], tmp_path: Path) -> None:
    needs = Fake("needs-either", requires=["either"])
    sources = [
        make_repository(tmp_path / "site", [*SITE, needs], id="site", priority=priorities[0]),
        make_repository(tmp_path / "extra", EXTRA, id="extra", priority=priorities[1]),
    ]
    scenarios = [Scenario([word]) for word in ("same", "either", "needs-either", "newer", "split", "newer-1-1")]
    folders = {name: (tmp_path / name, priority) for name, priority in zip(("site", "extra"), priorities, strict=True)}
    answers = ask_dnf(folders, scenarios, tmp_path / "dnf")
    for scenario, answer in zip(scenarios, answers, strict=True):
        assert_same(scenario, answer.packages, sources)
        chosen = run(sources, request(*scenario.install)).packages
        assert [package.repository for package in chosen] == answer.repositories, scenario


def test_what_is_called_so_but_cannot_be_there_is_said(base: Source) -> None:
    with pytest.raises(ResolveError) as caught:
        run(base, request("plain", "gone", "only-sources", without=["gone"]))
    assert caught.value.details == (
        "ks/role.cfg:2: gone is left out again by -gone in line 51",
        "ks/role.cfg:3: no package is called 'only-sources'; did you mean 'sources'?",
    )
    with pytest.raises(ResolveError) as caught:
        run(base, request("foreign"))
    assert caught.value.details[0] == "role role: package foreign-9-1.aarch64 does not have a compatible architecture"
    # dnf would go on to install a package without its sources.
    with pytest.raises(ResolveError, match="no repository has"):
        run(base, request("no-sources"))
    assert nevras(run(base, request("half-foreign"))) == ["half-foreign-0:1-1.x86_64"]


def test_equals_are_chosen_in_the_order_in_which_dnf_has_them(tmp_path: Path) -> None:
    # dnf reads metadata back out of libsolv's own format, in which requirements that many have come first.
    packages = [
        Fake("one", provides=["b"]),
        Fake("two", provides=["c", "a"], conflicts=["one"]),
        Fake("three", provides=["a", "b"], conflicts=["one"]),
        Fake("four", provides=["c"], conflicts=["three"]),
        *(Fake(f"other-{number}", requires=["c"]) for number in range(2)),
        Fake("wants", recommends=["a", "c", "b"]),
    ]
    base = make_repository(tmp_path / "base", packages)
    scenarios = [Scenario(["wants"]), Scenario(["wants", "four"])]
    answers = ask_dnf({"base": (tmp_path / "base", 99)}, scenarios, tmp_path / "dnf")
    for scenario, answer in zip(scenarios, answers, strict=True):
        assert_same(scenario, answer.packages, [base])
