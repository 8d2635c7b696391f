"""Module streams: the same packages as dnf, with the same streams active, and errors that say which line asked."""

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from isobuilder.errors import ResolveError
from isobuilder.resolve.solve import Resolution, Source, resolve
from tests.dnf_oracle import Answer, Scenario, ask_dnf
from tests.modular import Build, defaults
from tests.module_cases import COMPS, MAIN, RELEASE, SITE, Repo, mod, nevras, request, run
from tests.repositories import Fake

SCENARIOS = [
    Scenario(["nodejs"]),
    Scenario(["nodejs"], enable=["nodejs:18"]),
    Scenario(["nodejs"], disable=["nodejs"]),
    Scenario(["nodejs"], disable=["nodejs"], enable=["nodejs:18"]),
    Scenario(["needs-node"]),
    Scenario(["needs-node"], disable=["nodejs:10"]),
    Scenario(["other-node"]),
    Scenario(["other-node", "nodejs"], disable=["nodejs"]),
    Scenario(["@nodejs"]),
    Scenario(["@nodejs:18"]),
    Scenario(["@nodejs:18/s2i"]),
    Scenario(["@nodejs:10/minimal"]),
    Scenario(["@nodejs:10/*"]),
    Scenario(["@nodejs/minimal"]),
    Scenario(["@nodejs/s2i"]),
    Scenario(["@nodejs:1.10/common"]),
    Scenario(["@nodejs:1.1/common"]),
    Scenario(["@nodejs:18/nothing"]),
    Scenario(["@nodejs:18:1/common"]),
    Scenario(["@nodejs:18:1:c0ffee:x86_64/common"]),
    Scenario(["@nodejs:18:1:c0ffee::x86_64/common"]),
    Scenario(["@nodejs:18::x86_64"]),
    Scenario(["@nodejs:18:2"]),
    Scenario(["@nodejs:99"]),
    Scenario(["@nosuch:1"]),
    Scenario(["@nodejs:10", "@nodejs:18"]),
    Scenario(["@nodejs:18", "@nodejs:18/s2i"]),
    Scenario(["@nodejs:18"], enable=["nodejs:10"]),
    Scenario(["@nodejs:18"], enable=["nodejs:18"]),
    Scenario(["@nodejs:18"], disable=["nodejs"]),
    Scenario(["@nodejs"], disable=["nodejs"]),
    Scenario(["@nodejs:18"], ["npm"]),
    Scenario(["@nodejs:10"], ["npm"]),
    Scenario(["@nodejs:18"], weak=False),
    Scenario(["@core"]),
    Scenario(["@core"], enable=["perl:5.30"]),
    Scenario(["@core", "perl-App"]),
    Scenario(["@perl:5.30", "perl-App"]),
    Scenario(["@perl:5.30", "@perl-App"]),
    Scenario(["@perl-App"]),
    Scenario(["needs-perl"], enable=["perl"]),
    Scenario(["interpreter"]),
    Scenario(["interpreter"], enable=["perl:5.30"]),
    Scenario(["perl"], disable=["perl"]),
    Scenario(["perl-App"], disable=["perl"]),
    Scenario(["mysql"]),
    Scenario(["mysql-8.1"]),
    Scenario(["@db"]),
    Scenario(["@db:1:1"]),
    Scenario(["@db:2/server"]),
    Scenario(["@db:2"]),
    Scenario(["mysql"], disable=["db"]),
    Scenario(["mytool"], enable=["db:2"]),
    *(Scenario([f"@app:{stream}"]) for stream in ("any", "both", "notb", "nota")),
    *(Scenario([f"@app:{stream}/x"]) for stream in ("never", "el8")),
    Scenario(["@app"]),
    Scenario(["@app:both", "runtime"], enable=["runtime:b"]),
    Scenario(["@app:notb"], enable=["runtime:b"]),
    Scenario(["@app:both", "@runtime:b/x"], enable=["app:both"]),
    Scenario(["@runtime:b/x"], enable=["app:both"]),
    Scenario(["@runtime:a/x"], enable=["app:both"]),
    Scenario(["@runtime:b/x", "@app:both"]),
    Scenario(["runtime"], enable=["app:both"]),
    Scenario(["runtime"]),
    Scenario(["old-tool", "new-tool"]),
    Scenario(["old-tool"], disable=["tool"]),
    Scenario(["@both"]),
    Scenario(["both"]),
    Scenario(["both"], disable=["both"]),
    Scenario(["@foreign:1/x"]),
    Scenario(["foreign"]),
    Scenario(["@broken"]),
    Scenario(["@broken/x"]),
    Scenario(["@broken/empty"]),
    Scenario(["broken"]),
    Scenario(["plain"], enable=["nosuch"]),
    Scenario(["plain"], disable=["nosuch"]),
    Scenario(["plain"], enable=["app"]),
    Scenario(["plain"], enable=["app:never"]),
    Scenario(["@core"], disable=["runtime"], enable=["app:both"]),
    Scenario(["@per*:5.30"]),
    Scenario(["@minimal"]),
    Scenario(["plain", "nodejs*"]),
    Scenario(["np*", "my*"]),
    Scenario(["nodejs-10"], enable=["nodejs:18"]),
]


def assert_as_dnf(
    repositories: Mapping[str, Repo], scenarios: Sequence[Scenario], folder: Path, *, platform: str | None = None
) -> list[bool]:
    """Compare every scenario with dnf: packages, streams, and whether it is refused. Gives back which dnf refuses."""
    sources = [repo.make(folder / name, name) for name, repo in repositories.items()]
    answers = ask_dnf(
        {name: (folder / name, repo.priority) for name, repo in repositories.items()},
        scenarios,
        folder / "dnf",
        hotfixes=[name for name, repo in repositories.items() if repo.hotfixes],
        platform=f"platform:{platform}" if platform else None,
    )
    for scenario, answer in zip(scenarios, answers, strict=True):
        found = chosen(sources, scenario, platform)
        assert (found is None) == bool(answer.error), (scenario, answer)
        if found:
            assert_same(scenario, found, answer)
    return [bool(answer.error) for answer in answers]


def chosen(sources: Sequence[Source], scenario: Scenario, platform: str | None) -> Resolution | None:
    """What is chosen, or None where it is refused."""
    try:
        return run(sources, scenario, platform=platform)
    except ResolveError:
        return None


def assert_same(scenario: Scenario, found: Resolution, answer: Answer) -> None:
    assert nevras(found) == answer.packages, scenario
    streams = {module.rsplit(":", 2)[0] for module in answer.modules}
    assert [active.stream for active in found.modules] == sorted(streams), scenario


def test_the_same_packages_and_streams_as_dnf(tmp_path: Path) -> None:
    refused = assert_as_dnf({"main": MAIN}, SCENARIOS, tmp_path)
    # The oracle itself: some are chosen and some refused.
    assert sum(refused) == 32


SITE_SCENARIOS = [
    *(Scenario([word]) for word in ("tool", "lib", "user", "stat", "@m", "@m:1/q", "@m:2/p", "@s", "added", "@n:1/p")),
    Scenario(["tool", "lib"], disable=["m"]),
    Scenario(["stat"], disable=["s"]),
    Scenario(["user"], enable=["m:2"]),
    Scenario(["@m:1/*", "@n:1/p"]),
    Scenario(["tool-7"]),
    Scenario(["tool-3"]),
    Scenario(["@m:1:1/p"]),
]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"hot": Repo(packages=SITE["hot"].packages)},
        {"hot": Repo(packages=SITE["hot"].packages, priority=10)},
        {"hot": Repo(packages=SITE["hot"].packages, hotfixes=True, priority=10)},
        # Defaults: the later one's stream, none of two that are equally old, and no defaults at all.
        {"later": Repo(more=[defaults("m", "2", {"1": ["q"], "2": ["p"]}, modified=9)])},
        {"other": Repo(more=[defaults("m", "2", modified=1)])},
        {"other": Repo(more=[defaults("m", "1", {"1": ["q"]}, modified=1)])},
    ],
)
def test_several_repositories_as_with_dnf(change: Mapping[str, Repo], tmp_path: Path) -> None:
    assert_as_dnf({**SITE, **change}, SITE_SCENARIOS, tmp_path)


def test_excludes_of_repositories_come_before_modules_as_with_dnf(tmp_path: Path) -> None:
    source = SITE["main"].make(tmp_path / "main", "main")
    for excludes in (("tool-3*",), ("lib",)):
        options = {"main": {"excludepkgs": excludes}}
        scenarios = [
            Scenario([word], options=options) for word in ("tool", "lib", "user", "@m:1/p", "@m:2/p", "@m:1/q")
        ]
        filtered = dataclasses.replace(source, excludes=excludes)
        answers = ask_dnf({"main": (tmp_path / "main", 99)}, scenarios, tmp_path / "dnf")
        for scenario, answer in zip(scenarios, answers, strict=True):
            found = chosen([filtered], scenario, None)
            assert (found and nevras(found)) == (None if answer.error else answer.packages), (scenario, answer)


@pytest.mark.parametrize("platform", ["el8", "el9", None])
def test_the_platform_is_said_or_found(platform: str | None, tmp_path: Path) -> None:
    builds = [
        Build("m", "1", [mod("tool", "3")], profiles={"p": ["tool"]}),
        Build("e", "1", [mod("x", "1")], requires={}),
    ]
    repo = Repo(packages=[Fake("tool", "1-1")], builds=builds, more=[defaults("m", "1"), defaults("e", "1")])
    release = {"release": Repo(packages=[RELEASE])}
    scenarios = [Scenario(["tool"]), Scenario(["x"]), Scenario(["@m:1/p"])]
    assert_as_dnf({"main": repo}, scenarios, tmp_path / "alone", platform=platform)
    assert_as_dnf({"main": repo, **release}, scenarios, tmp_path / "release", platform=platform)
    # Two that say different things say nothing.
    other = Repo(packages=[RELEASE, Fake("other-release", provides=["system-release", "base-module(platform:el8)"])])
    assert_as_dnf({"main": repo, "release": other}, scenarios, tmp_path / "two", platform=platform)


def random_repo(random: random.Random) -> Repo:
    """Some modules that require each other, with packages by few names, so that they hide each other."""
    names, streams, modules = "abcdef", ["1", "2", "3"], ["p", "q", "r", "s"]
    packages = [Fake(name, f"{random.randint(1, 9)}-1.plain", "x86_64") for name in random.sample(names, 4)]
    builds = []
    for module in modules:
        for stream in random.sample(streams, random.randint(1, 3)):
            for version, context in random.sample([(1, "aa"), (2, "aa"), (2, "bb")], random.randint(1, 2)):
                required = {
                    other: random.choice([[], [], ["1", "2"], ["-1"], ["3", "2", "1"]])
                    for other in random.sample(modules, random.choice([0, 0, 0, 1]))
                    if other != module
                }
                inside = [
                    Fake(
                        name,
                        f"{random.randint(1, 9)}-{version}.{module}{stream}{context}",
                        "x86_64",
                        requires=random.choice([(), (), (), tuple(random.sample(names, 1))]),
                        provides=random.choice([(), (), tuple(random.sample(names, 1))]),
                    )
                    for name in random.sample(names, random.randint(1, 2))
                ]
                builds.append(
                    Build(
                        module,
                        stream,
                        inside,
                        version,
                        context,
                        requires=random.choice([required, {**required, "platform": ["el9"]}]),
                        profiles={"default": [fake.name for fake in inside]},
                        static=random.random() < 0.2,
                        demodularized=random.choice([(), (), (inside[0].name,)]),
                    )
                )
    more = [
        defaults(module, random.choice(streams), {stream: ["default"] for stream in streams})
        for module in random.sample(modules, 2)
    ]
    return Repo([RELEASE, *packages], builds, more, COMPS)


@pytest.mark.parametrize("seed", range(4))
def test_random_repositories_as_with_dnf(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    repo = random_repo(chance)
    scenarios = []
    for _ in range(30):
        words = [f"@{chance.choice('pqrs')}{chance.choice(['', ':1', ':2', ':3'])}", *chance.sample("abcdef", 2)]
        asked = chance.sample(words, chance.randint(1, 2))
        others = sorted(set("abcdef") - set(asked))
        scenarios.append(
            Scenario(
                asked,
                chance.choice([[], [], others[:1]]),
                enable=chance.choice([[], [], [f"{chance.choice('pqrs')}:{chance.choice('123')}"]]),
                disable=chance.choice([[], [], chance.sample("pqrs", 1)]),
            )
        )
    assert_as_dnf({"main": repo}, scenarios, tmp_path)


def test_static_contexts_as_with_dnf(tmp_path: Path) -> None:
    # Two static contexts of one requirement are two streams; builds without one join the first that requires the same.
    builds = [
        Build("m", "1", [mod("tool", "1"), mod("old", "1")], 1, "aa"),
        Build("m", "1", [mod("tool", "2")], 2, "bb", static=True),
        Build("m", "1", [mod("tool", "3")], 3, "cc", static=True),
        Build("n", "1", [mod("x", "1")], 1, "aa", requires={"m": ["1"]}),
    ]
    repo = Repo([RELEASE], builds, [defaults("m", "1"), defaults("n", "1")])
    assert_as_dnf({"main": repo}, [Scenario(["tool"]), Scenario(["old"]), Scenario(["x"])], tmp_path)


TOO_LATE = "; an @ enables its stream too late for names, `module --name --stream` does not"
TWO_STREAMS = "module nodejs can have one stream only, not 10 and 18 (ks/role1.cfg:1)"


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    return [MAIN.make(tmp_path_factory.mktemp("modules") / "main", "main")]


def refused(sources: Sequence[Source], *scenarios: Scenario) -> tuple[str, ...]:
    with pytest.raises(ResolveError) as caught:
        run(sources, *scenarios)
    return caught.value.details


@pytest.mark.parametrize(
    ("scenario", "details"),
    [
        (Scenario(["@nodej:18"]), ["ks/role1.cfg:51: @nodej:18: there is no module nodej; did you mean 'nodejs'?"]),
        (
            Scenario(["@nodejs:19/common"]),
            ["ks/role1.cfg:51: @nodejs:19/common: module nodejs has no stream 19; it has: 1.10, 10, 18"],
        ),
        (
            Scenario(["@nodejs:18/dev"]),
            ["ks/role1.cfg:51: @nodejs:18/dev: module nodejs:18 has no profile dev; it has: common, s2i"],
        ),
        (Scenario(["@db:2"]), ["ks/role1.cfg:51: @db:2: module db:2 has no default profile; it has: server"]),
        (
            Scenario(["plain"], enable=["app"]),
            ["ks/role1.cfg:1: app: module app has no default stream; it has: any, both, el8, never, nota, notb"],
        ),
        (
            Scenario(["plain", "@nodejs:10/common"], enable=["nodejs:18"]),
            [f"ks/role1.cfg:52: @nodejs:10/common: {TWO_STREAMS}"],
        ),
        (
            Scenario(["@nodejs:10/common"], ["npm"]),
            ["ks/role1.cfg:51: npm of module nodejs:10/common is left out again by -npm in line 91"],
        ),
        (
            Scenario(["@broken/y"]),
            ["ks/role1.cfg:51: module broken:1/y: no package is called 'plaim'; did you mean 'plain'?"],
        ),
        (
            Scenario(["mytool"], enable=["db:2"]),
            [
                "ks/role1.cfg:51: every package called 'mytool' is hidden by module streams; `module` enables others",
            ],
        ),
        (
            Scenario(["@perl:5.30", "perl"]),
            [
                "role role1: package perl-5.26-1.module.x86_64 is disabled",
                f"  perl-5.26-1.module.x86_64 is hidden by module streams{TOO_LATE}",
                "  perl: named at ks/role1.cfg:52",
            ],
        ),
        (
            Scenario(["plain"], enable=["app:el8"]),
            [
                "role role1: modules: nothing provides module platform:el8 needed by module app:el8:1:c0ffee:x86_64",
                "role role1:   enabled: app:el8 at line 1",
            ],
        ),
    ],
)
def test_mistakes_are_told_with_their_lines(scenario: Scenario, details: list[str], main: Sequence[Source]) -> None:
    assert list(refused(main, scenario)) == details


def test_the_chain_of_what_modules_require_is_told(tmp_path: Path) -> None:
    builds = [
        Build("a", "1", requires={"b": ["1"]}),
        Build("b", "1", requires={"c": []}),
        Build("c", "1", requires={"nowhere": ["9"]}),
    ]
    source = Repo([RELEASE, Fake("x")], builds).make(tmp_path / "main", "main")
    details = refused([source], Scenario(["x"], enable=["a:1"]))
    for line in (
        "nothing provides module nowhere:9 needed by module c:1:1:c0ffee:x86_64",
        "module b:1:1:c0ffee:x86_64 requires module c, but none of the providers can be installed",
        "module a:1:1:c0ffee:x86_64 requires module b:1, but none of the providers can be installed",
    ):
        assert f"role role1: modules: {line}" in details


def test_every_stream_and_package_has_its_reason(main: Sequence[Source]) -> None:
    found = run(main, Scenario(["@nodejs:18/common"]), Scenario(["@app:both"], enable=["perl:5.30"]))
    streams = {active.stream: dict(zip(active.roles, active.reasons, strict=True)) for active in found.modules}
    assert streams["nodejs:18"] == {"role1": "enabled at ks/role1.cfg:51"}
    assert streams["nodejs:10"] == {"role2": "default stream"}
    assert streams["perl:5.30"] == {"role2": "enabled at ks/role2.cfg:1"}
    assert streams["app:both"] == {"role2": "enabled at ks/role2.cfg:51"}
    assert streams["runtime:a"] == {"role2": "required by module app:both"}
    assert streams["db:1"] == {"role1": "default stream", "role2": "default stream"}
    reasons = {package.nevra: package.reasons for package in found.packages}
    assert reasons["nodejs-0:18-1.module.x86_64"] == ("module nodejs:18/common",)
    assert reasons["runtime-0:1-1.module.x86_64"] == ("required by app",)


def test_roles_may_have_different_streams(main: Sequence[Source]) -> None:
    found = run(
        main, Scenario(["@nodejs:18/common"], weak=False), Scenario(["@nodejs:1.10/common"]), Scenario(["nodejs"])
    )
    assert {package.nevra: package.roles for package in found.packages if package.name == "nodejs"} == {
        "nodejs-0:1.10-1.module.x86_64": ("role2",),
        "nodejs-0:10-1.module.x86_64": ("role3",),
        "nodejs-0:18-1.module.x86_64": ("role1",),
    }


def test_packages_for_boot_code_are_those_that_defaults_show(main: Sequence[Source]) -> None:
    roles = [request(Scenario(["plain"], disable=["nodejs"]))]
    found = resolve(main, roles, arch="x86_64", always=(), extra=["nodejs"])
    assert found.extra["nodejs"].nevra == "nodejs-0:10-1.module.x86_64"
