"""Resolving: the same packages as dnf, reasons for each, and errors that say which line asked for what."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from isobuilder.errors import ResolveError, TrustError
from isobuilder.kickstart.request import PackageRequest, Wanted, WantedGroup
from isobuilder.resolve.loading import _handed_over
from isobuilder.resolve.solve import Resolution, RoleRequest, Source, resolve
from tests.dnf_oracle import Scenario, ask_dnf
from tests.repositories import COMPRESSIONS, Fake, make_repository, publish

COMPS = """
<group><id>core</id><name>Core</name><packagelist>
  <packagereq type="mandatory">a</packagereq>
  <packagereq type="default">usual</packagereq>
  <packagereq type="optional">rare</packagereq>
  <packagereq type="conditional" requires="lib">beside-lib</packagereq>
  <packagereq type="conditional" requires="rare">beside-rare</packagereq>
  <packagereq type="mandatory">nowhere</packagereq>
  <packagereq type="default">replaced</packagereq>
</packagelist></group>
<group><id>more</id><name>More</name><packagelist><packagereq type="mandatory">c</packagereq></packagelist></group>
<group><id>option</id><name>Option</name><packagelist><packagereq type="mandatory">d</packagereq></packagelist></group>
<group><id>broken</id><name>Broken</name><packagelist>
  <packagereq type="default">unmet</packagereq>
</packagelist></group>
<environment><id>env</id><name>Environment</name>
  <grouplist><groupid>core</groupid><groupid>more</groupid></grouplist>
  <optionlist><groupid default="true">option</groupid></optionlist>
</environment>
"""
PACKAGES = (
    Fake("a", requires=["/usr/share/dict/words", "lib >= 2", "(rich if lib)"]),
    Fake("lib", "2-1", recommends=["recommended"]),
    Fake("lib", "1-1"),
    Fake("words", files=["/usr/share/dict/words"]),
    *(Fake(name) for name in ("rich", "recommended", "usual", "rare", "beside-lib", "beside-rare", "c", "d")),
    Fake("supplement", supplements=["lib"]),
    Fake("replaced"),
    Fake("replacement", obsoletes=["replaced"]),
    Fake("unmet", requires=["missing"]),
    Fake("newer", "1-1"),
    Fake("newer", "2-1", requires=["missing"]),
    Fake("x", conflicts=["y"]),
    Fake("y"),
    Fake("multi", arch="i686", requires=["clib(x86-32)"]),
    Fake("multi", arch="x86_64", requires=["clib(x86-64)"]),
    Fake("clib", arch="i686", provides=["clib(x86-32)"]),
    Fake("clib", arch="x86_64", provides=["clib(x86-64)"]),
    Fake("foreign", arch="aarch64"),
    Fake("provider", provides=["virtual"]),
    Fake("owner", files=["/opt/file"]),
    Fake("program", files=["/usr/bin/program"]),
    Fake("split", arch="x86_64"),
    Fake("merged", arch="i686", obsoletes=["split"]),
    Fake("choose", requires=["choice"]),
    Fake("choice1", provides=["choice"]),
    Fake("choice2", provides=["choice"]),
    Fake("epoch", "1:1-1"),
    Fake("epoch", "9-1"),
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return make_repository(tmp_path_factory.mktemp("repositories") / "base", PACKAGES, comps=COMPS)


def request(
    *words: str, without: Sequence[str] = (), weak: bool = True, role: str = "role", environment: str = ""
) -> RoleRequest:
    """What a kickstart asks for in these words, one a line; `without` are in the lines from 51 on."""
    groups = tuple(WantedGroup(word[1:], line) for line, word in enumerate(words, 1) if word.startswith("@"))
    packages = tuple(Wanted(word, line) for line, word in enumerate(words, 1) if not word.startswith("@"))
    no_packages = tuple(Wanted(word, line) for line, word in enumerate(without, 51) if not word.startswith("@"))
    no_groups = tuple(WantedGroup(word[1:], line) for line, word in enumerate(without, 51) if word.startswith("@"))
    chosen = WantedGroup(environment, 40) if environment else None
    return RoleRequest(role, PackageRequest(packages, groups, chosen, no_packages, no_groups, weak), f"ks/{role}.cfg")


def run(
    sources: Source | Sequence[Source],
    *roles: RoleRequest,
    always: Sequence[str] = (),
    may: Sequence[str] = (),
    extra: Sequence[str] = (),
) -> Resolution:
    every = [sources] if isinstance(sources, Source) else sources
    return resolve(every, roles, arch="x86_64", always=always, may=may, extra=extra)


def nevras(resolution: Resolution) -> list[str]:
    return [package.nevra for package in resolution.packages]


def names(resolution: Resolution) -> list[str]:
    return [package.name for package in resolution.packages]


SCENARIOS = [
    Scenario(["@core"]),
    Scenario(["@core"], weak=False),
    Scenario(["@core", "rare"]),
    Scenario(["@core"], ["recommended", "usual"]),
    Scenario(["@core"], ["us*"]),
    Scenario(["@env"]),
    Scenario(["@env"], ["@more"]),
    Scenario(["@env", "@option"]),
    Scenario(["a"], ["lib"]),
    Scenario(["a"], ["supplement"]),
    Scenario(["replaced"]),
    Scenario(["replaced", "replacement"]),
    Scenario(["replaced-1-1"]),
    Scenario(["replaced.noarch"]),
    Scenario(["replace*"]),
    Scenario(["newer"]),
    Scenario(["newer-1-1"]),
    Scenario(["unmet"]),
    Scenario(["@broken"]),
    Scenario(["x", "y"]),
    Scenario(["multi"]),
    Scenario(["multi.i686"]),
    Scenario(["multi", "multi.i686"]),
    Scenario(["mult*", "clib.i686"]),
    Scenario(["split", "merged.i686"]),
    Scenario(["foreign"]),
    Scenario(["virtual"]),
    Scenario(["/opt/file"]),
    Scenario(["/usr/bin/program"]),
    Scenario(["/opt/nothing"]),
    Scenario(["choose"]),
    Scenario(["choose", "choice2"]),
    Scenario(["epoch"]),
    Scenario(["nothing"]),
    Scenario(["@nothing"]),
    Scenario(["nothing*"]),
]


def test_the_same_packages_as_dnf(base: Source, tmp_path: Path) -> None:
    folder = base.files["primary"].parent.parent
    answers = ask_dnf({"base": (folder, 99)}, SCENARIOS, tmp_path)
    assert len(answers) == len(SCENARIOS)
    for scenario, answer in zip(SCENARIOS, answers, strict=True):
        assert_same(scenario, answer.packages, [base])
    # The oracle itself: some are chosen and some refused.
    assert sum(bool(answer.error) for answer in answers) == 11


def test_priority_beats_version_as_with_dnf(tmp_path: Path) -> None:
    site = make_repository(
        tmp_path / "site", [Fake("app", "1-1"), Fake("glue", requires=["app"])], id="site", priority=10
    )
    base = make_repository(tmp_path / "base", [Fake("app", "2-1"), Fake("other", requires=["app >= 2"])])
    scenarios = [Scenario(["app"]), Scenario(["glue"]), Scenario(["other"])]
    answers = ask_dnf({"site": (tmp_path / "site", 10), "base": (tmp_path / "base", 99)}, scenarios, tmp_path)
    for scenario, answer in zip(scenarios, answers, strict=True):
        assert_same(scenario, answer.packages, [site, base])
    chosen = run([site, base], request("app")).packages[0]
    assert (chosen.nevra, chosen.repository) == ("app-0:1-1.noarch", "site")
    assert chosen.file.path == "Packages/app-1-1.noarch.rpm"


def assert_same(scenario: Scenario, packages: Sequence[str], sources: Sequence[Source]) -> None:
    """What dnf chooses is chosen here; what it refuses is refused."""
    try:
        found = nevras(run(sources, request(*scenario.install, without=scenario.exclude, weak=scenario.weak)))
    except ResolveError:
        found = []
    assert found == list(packages), scenario


def test_every_package_has_its_reason(base: Source) -> None:
    resolution = run(base, request("choose", "@core", role="front"), always=["d"])
    reasons = {package.name: package.reasons for package in resolution.packages}
    assert reasons == {
        "a": ("group core",),
        "beside-lib": ("group core, beside lib",),
        "choice1": ("required by choose",),
        "choose": ("named at ks/front.cfg:1",),
        "d": ("added by the installer",),
        "lib": ("required by a",),
        "recommended": ("recommended by lib",),
        "replacement": ("group core",),
        "rich": ("required by a",),
        "supplement": ("supplements lib",),
        "usual": ("group core",),
        "words": ("required by a",),
    }
    assert {package.roles for package in resolution.packages} == {("front",)}


def test_what_a_person_can_choose_is_there_beside_what_the_role_takes_alone(base: Source) -> None:
    # Alone the role takes choice1; with choice2 chosen at the installer's screens, nothing needs choice1.
    alone, chosen = run(base, request("choose")), run(base, request("choose"), may=["choice2"])
    assert names(alone) == ["choice1", "choose"]
    assert {package.name: package.reasons for package in chosen.packages} == {
        "choice1": ("required by choose",),
        "choice2": ("may be chosen at the installer's screens",),
        "choose": ("named at ks/role.cfg:1",),
    }
    with pytest.raises(ResolveError) as caught:
        run(base, request("choose"), may=["nosuch"])
    assert "'nosuch'" in caught.value.details[0]


def test_the_union_of_roles(base: Source) -> None:
    resolution = run(base, request("c", "x", role="one"), request("d", "c", "y", role="two"), always=["rich"])
    roles = {package.name: package.roles for package in resolution.packages}
    assert roles == {"c": ("one", "two"), "d": ("two",), "rich": ("one", "two"), "x": ("one",), "y": ("two",)}
    assert resolution.packages[0].reasons == ("named at ks/one.cfg:1", "named at ks/two.cfg:2")


def test_roles_may_need_different_versions(base: Source) -> None:
    resolution = run(base, request("lib-1-1", role="old"), request("lib", role="new", weak=False))
    assert [(package.nevra, package.roles) for package in resolution.packages] == [
        ("lib-0:1-1.noarch", ("old",)),
        ("lib-0:2-1.noarch", ("new",)),
        *([("recommended-0:1-1.noarch", ("old",))] if "recommended" in names(resolution) else []),
        *([("supplement-0:1-1.noarch", ("old",))] if "supplement" in names(resolution) else []),
    ]


def test_depths_of_groups(base: Source) -> None:
    def at(depth: str) -> set[str]:
        group = WantedGroup("core", 1, depth)
        asked = RoleRequest("role", PackageRequest((), (group,), None, (), (), weak=False), "ks/role.cfg")
        return set(names(run(base, asked)))

    assert "usual" not in at("mandatory")
    assert at("default") - at("mandatory") == {"usual", "replacement"}
    assert at("optional") - at("default") == {"rare", "beside-rare"}


def test_an_environment_and_its_options(base: Source) -> None:
    plain = run(base, request(environment="env"))
    assert {"a", "c"} <= set(names(plain))
    assert "d" not in names(plain)
    asked = RoleRequest("role", PackageRequest((), (), WantedGroup("env", 1, "optional"), (), ()), "ks/role.cfg")
    assert "d" in names(run(base, asked))


def test_packages_for_boot_code_come_alone(base: Source) -> None:
    resolution = run(base, request("c"), extra=["a", "multi", "epoch", "c"])
    assert {package.nevra: (package.roles, package.reasons) for package in resolution.packages} == {
        "a-0:1-1.noarch": ((), ()),
        "c-0:1-1.noarch": (("role",), ("named at ks/role.cfg:1",)),
        "epoch-1:1-1.noarch": ((), ()),
        "multi-0:1-1.x86_64": ((), ()),
    }


def test_packages_for_boot_code_are_the_best_there_are(tmp_path: Path) -> None:
    base = make_repository(tmp_path / "1", [Fake("syslinux", "1-1"), Fake("syslinux", "1-10"), Fake("syslinux", "1-9")])
    assert nevras(run(base, extra=["syslinux"])) == ["syslinux-0:1-10.noarch"]
    site = make_repository(tmp_path / "2", [Fake("syslinux", "1-2")], id="site", priority=10)
    assert nevras(run([base, site], extra=["syslinux"])) == ["syslinux-0:1-2.noarch"]


def test_members_that_no_repository_has_are_noted_once(base: Source) -> None:
    resolution = run(base, request("@core", role="one"), request("@core", role="two"))
    assert resolution.notes == ("comps lists in group core what no repository has: nowhere",)


def test_all_unknown_names_are_told_at_once(base: Source) -> None:
    with pytest.raises(ResolveError) as caught:
        run(
            base,
            request("recomended", "@cor", "/opt/nothing", "@nodejs:18/common", role="one"),
            request("c", "nothing*", role="two", without=["c"], environment="envy"),
            always=["kernel"],
            extra=["syslinux"],
        )
    assert caught.value.details == (
        "ks/one.cfg:4: @nodejs:18/common: there is no module nodejs",
        "ks/one.cfg:1: no package is called 'recomended'; did you mean 'recommended'?",
        "ks/one.cfg:3: no package has the file /opt/nothing",
        "ks/one.cfg (added by the installer, as the release file says): no package is called 'kernel'",
        "ks/one.cfg:2: there is no group @cor; did you mean 'core'?",
        "ks/two.cfg:1: c is left out again by -c in line 51",
        "ks/two.cfg:2: no package is called 'nothing*'",
        "ks/two.cfg (added by the installer, as the release file says): no package is called 'kernel'",
        "ks/two.cfg:40: there is no environment @^envy; did you mean 'env'?",
        "boot code: no package is called 'syslinux'",
    )
    assert caught.value.exit_code == 6


@pytest.mark.parametrize(
    ("asked", "details"),
    [
        (
            request("c", "unmet"),
            ("role role: nothing provides missing needed by unmet-1-1.noarch", "  unmet: named at ks/role.cfg:2"),
        ),
        (
            request("x", "y"),
            (
                "role role: package x-1-1.noarch conflicts with y provided by y-1-1.noarch",
                "  x: named at ks/role.cfg:1",
                "  y: named at ks/role.cfg:2",
            ),
        ),
        (
            request("@core", without=["lib"]),
            (
                "role role: package lib-2-1.noarch is disabled",
                "  package a-1-1.noarch requires lib >= 2, but none of the providers can be installed",
                "  lib-2-1.noarch is left out by -lib at ks/role.cfg:51",
                "  a: group core, at ks/role.cfg:1",
            ),
        ),
        (
            request("newer"),
            (
                "role role: nothing provides missing needed by newer-2-1.noarch",
                "  cannot install the best candidate for the job",
                "  newer: named at ks/role.cfg:1",
            ),
        ),
    ],
)
def test_what_does_not_fit_together_is_explained(base: Source, asked: RoleRequest, details: tuple[str, ...]) -> None:
    with pytest.raises(ResolveError, match="does not fit together") as caught:
        run(base, asked)
    assert caught.value.details == details


def test_problems_of_all_roles_are_told_at_once(base: Source) -> None:
    with pytest.raises(ResolveError) as caught:
        run(base, request("unmet", role="one"), request("c", role="two"), request("x", "y", role="three"))
    assert [line.split(":")[0] for line in caught.value.details if line.startswith("role")] == [
        "role one",
        "role three",
    ]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_compression_is_loaded(compression: str, tmp_path: Path) -> None:
    source = make_repository(tmp_path, PACKAGES, comps=COMPS, compression=compression)
    assert {"a", "words", "lib"} <= set(names(run(source, request("@core"))))


def test_a_file_that_only_filelists_have_is_found_in_another_repository(tmp_path: Path) -> None:
    first = make_repository(tmp_path / "1", [Fake("a", requires=["/usr/share/x"])], id="one")
    second = make_repository(tmp_path / "2", [Fake("b", files=["/usr/share/x"])], id="two")
    assert names(run([first, second], request("a"))) == ["a", "b"]


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        (Fake("bad", href="../../bad.rpm"), "does not lie inside the repository"),
        (Fake("bad", href="/bad.rpm"), "does not lie inside the repository"),
        (Fake("bad", href="https://evil.example.org/bad.rpm"), "does not lie inside the repository"),
        (Fake("bad", base="https://evil.example.org/"), "sends it to another server"),
        (Fake("bad", checksum_type="sha1"), "is not sha256 but sha1"),
        (Fake("bad", size=0), "has no size"),
    ],
)
def test_hostile_metadata_of_a_package_is_refused(fake: Fake, words: str, tmp_path: Path) -> None:
    source = make_repository(tmp_path, [fake, Fake("good")])
    assert names(run(source, request("good"))) == ["good"]
    with pytest.raises(TrustError, match="repository base: bad-1-1") as caught:
        run(source, request("bad"))
    assert words in caught.value.message


def test_broken_primary_is_an_error_of_ours(tmp_path: Path) -> None:
    source = make_repository(tmp_path, [Fake("a")], compression="")
    source.files["primary"].write_bytes(b"<metadata><package>")
    with pytest.raises(TrustError, match="repository base: its primary metadata is not as it should be"):
        run(source, request("a"))


REAL = {
    "stream9-baseos-2022-02": [
        ["@core", "kernel"],
        ["@minimal-environment", "kernel"],
        ["tar"],
        ["words", "glibc.i686"],
    ],
    "centos7-minimal-2023-09": [["@core"], ["@minimal"], ["openssh-server"]],
}


@pytest.mark.parametrize("repository", REAL)
def test_the_same_packages_as_dnf_in_real_metadata(repository: str, real_metadata: Path, tmp_path: Path) -> None:
    source = publish(real_metadata / "repos" / repository, tmp_path / "mirror")
    scenarios = [Scenario(words, weak=weak) for words in REAL[repository] for weak in (True, False)]
    answers = ask_dnf({"base": (tmp_path / "mirror", 99)}, scenarios, tmp_path)
    for scenario, answer in zip(scenarios, answers, strict=True):
        assert answer.error is None
        assert_same(scenario, answer.packages, [source])


def test_a_version_that_no_package_can_have_is_refused(tmp_path: Path) -> None:
    odd = make_repository(tmp_path / "odd", [Fake("odd one")], id="odd")
    with pytest.raises(TrustError, match=r"a package that cannot be: 'odd one-0:1-1\.noarch'"):
        run(odd, request("odd one"))


def test_what_libsolv_was_given_is_closed_again() -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = opened()
    with tempfile.TemporaryFile() as file:
        _handed_over(file, lambda _handle: None)
    assert opened() == before
