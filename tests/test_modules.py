"""Module streams: the same packages as dnf, with the same streams active, and errors that say which line asked."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from isobuilder.errors import ResolveError
from isobuilder.readback import ModuleCommand, PackageRequest, Wanted, WantedGroup
from isobuilder.resolve.solve import Resolution, RoleRequest, Source, resolve
from tests.dnf_oracle import Scenario, ask_dnf
from tests.modular import Build, defaults, obsoletes
from tests.repositories import Fake, make_repository

RELEASE = Fake("system-release", provides=["system-release = 9", "base-module(platform:el9)"])
COMPS = """
<group><id>core</id><name>Core</name><packagelist>
  <packagereq type="mandatory">system-release</packagereq>
  <packagereq type="mandatory">perl</packagereq>
</packagelist></group>
<group><id>both</id><name>Both</name><packagelist>
  <packagereq type="mandatory">plain</packagereq>
</packagelist></group>
<environment><id>minimal</id><name>Minimal</name><grouplist><groupid>core</groupid></grouplist></environment>
"""


@dataclass(frozen=True)
class Repo:
    """A repository of a test: the packages of `builds` are in it too."""

    packages: Sequence[Fake] = ()
    builds: Sequence[Build] = ()
    more: Sequence[str] = ()
    comps: str = ""
    priority: int = 99
    hotfixes: bool = False

    def make(self, folder: Path, name: str) -> Source:
        every = {fake.nevra: fake for fake in (*self.packages, *(fake for build in self.builds for fake in build.packages))}
        return make_repository(
            folder,
            list(every.values()),
            comps=self.comps,
            modules="".join([*(build.text for build in self.builds), *self.more]),
            id=name,
            priority=self.priority,
            hotfixes=self.hotfixes,
        )


def mod(name: str, version: str, **more: Sequence[str]) -> Fake:
    return Fake(name, f"{version}-1.module", "x86_64", **more)  # type: ignore[arg-type]


NODE10, NODE18 = mod("nodejs", "10", requires=["npm"]), mod("nodejs", "18", recommends=["npm"])
NPM10, NPM18 = mod("npm", "6"), mod("npm", "8")
PERL26, PERL30 = mod("perl", "5.26", provides=["interpreter"]), mod("perl", "5.30")
MAIN = Repo(
    packages=[
        RELEASE,
        Fake("plain"),
        Fake("nodejs", "20-1", "x86_64"),
        Fake("other-node", provides=["nodejs = 99"]),
        Fake("needs-node", requires=["nodejs"]),
        Fake("needs-perl", requires=["perl"]),
        Fake("perl-App", "1-1.module", requires=["perl"]),
        Fake("mysql", "5-1"),
        Fake("old-tool", "1-1"),
        Fake("both", "1-1.plain"),
        Fake("runtime", "0-1"),
    ],
    builds=[
        Build("nodejs", "10", [NODE10, NPM10], profiles={"common": ["nodejs", "npm"], "minimal": ["nodejs"]}),
        Build("nodejs", "18", [NODE18, NPM18], profiles={"common": ["nodejs"], "s2i": ["nodejs", "plain"]}),
        Build("nodejs", "1.10", [mod("nodejs", "1.10")], profiles={"common": ["nodejs"]}),
        Build("perl", "5.26", [PERL26], profiles={"common": ["perl"]}),
        Build("perl", "5.30", [PERL30], profiles={"common": ["perl"]}),
        # A context for each stream of what it is built on.
        Build(
            "perl-App",
            "1",
            [Fake("perl-App", "2-1.for526")],
            context="aaaa",
            requires={"perl": ["5.26"], "platform": ["el9"]},
            profiles={"common": ["perl-App"]},
        ),
        Build(
            "perl-App",
            "1",
            [Fake("perl-App", "2-1.for530")],
            context="bbbb",
            requires={"perl": ["5.30"], "platform": ["el9"]},
            profiles={"common": ["perl-App"]},
        ),
        # Of several versions of one context all are seen, and the newest one's profiles count.
        Build("db", "1", [mod("mysql", "8.1")], version=1, profiles={"server": ["mysql"]}),
        Build("db", "1", [mod("mysql", "8.2"), mod("mytool", "8")], version=2, profiles={"server": ["mysql", "mytool"]}),
        Build("db", "2", [mod("mysql", "9")], requires={}, profiles={"server": ["mysql"]}),
        # Needs modules that have no default.
        Build("runtime", "a", [mod("runtime", "1")]),
        Build("runtime", "b", [mod("runtime", "2")]),
        Build("app", "any", [mod("app", "1", requires=["runtime"])], requires={"runtime": []}, profiles={"x": ["app"]}),
        Build(
            "app", "both", [mod("app", "2", requires=["runtime"])], requires={"runtime": ["b", "a"]}, profiles={"x": ["app"]}
        ),
        Build(
            "app", "notb", [mod("app", "3", requires=["runtime"])], requires={"runtime": ["-b"]}, profiles={"x": ["app"]}
        ),
        Build("app", "nota", [mod("app", "4", requires=["runtime"])], requires={"runtime": ["-a"]}, profiles={"x": ["app"]}),
        Build("app", "never", [mod("app", "5")], requires={"nowhere": ["1"]}, profiles={"x": ["app"]}),
        Build("app", "el8", [mod("app", "6")], requires={"platform": ["el8"]}, profiles={"x": ["app"]}),
        # What was modular once, and is plain again.
        Build("tool", "1", [mod("old-tool", "0.5")], version=1),
        Build("tool", "1", [mod("new-tool", "1")], version=2, demodularized=["old-tool"]),
        # A module that is called like a group.
        Build("both", "1", [mod("both", "2")], profiles={"default": ["both"]}),
        Build("foreign", "1", [Fake("foreign", "1-1", "aarch64")], arch="aarch64", profiles={"x": ["foreign"]}),
        Build("broken", "1", [mod("broken", "1")], profiles={"x": ["broken", "nowhere"], "empty": []}),
    ],
    more=[
        defaults("nodejs", "10", {"10": ["common"], "18": ["common"]}),
        defaults("perl", "5.26", {"5.26": ["common"], "5.30": ["common"]}),
        defaults("perl-App", "1", {"1": ["common"]}),
        defaults("db", "1", {"1": ["server"]}),
        defaults("app", "", {"any": ["x"], "both": ["x"], "notb": ["x"], "nota": ["x"]}),
        defaults("tool", "1"),
        defaults("both", "1", {"1": ["default"]}),
        defaults("broken", "1", {"1": ["no-such"]}),
        obsoletes("nodejs", "10", "18"),
    ],
    comps=COMPS,
)

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


def request(scenario: Scenario, role: str = "role") -> RoleRequest:
    """What a kickstart asks for that says the same; commands are in the lines from 1 on, %packages in those from 51."""
    words = list(enumerate(scenario.install, 51))
    commands = [
        ModuleCommand(*(word.split(":") + [""])[:2], line=line, enable=enable)
        for line, (word, enable) in enumerate(
            [*((word, False) for word in scenario.disable), *((word, True) for word in scenario.enable)], 1
        )
    ]
    asked = PackageRequest(
        packages=tuple(Wanted(word, line) for line, word in words if not word.startswith("@")),
        groups=tuple(WantedGroup(word[1:], line) for line, word in words if word.startswith("@")),
        environment=None,
        excluded_packages=tuple(Wanted(word, line) for line, word in enumerate(scenario.exclude, 91)),
        excluded_groups=(),
        weak=scenario.weak,
        modules=tuple(commands),
    )
    return RoleRequest(role, asked, f"ks/{role}.cfg")


def run(sources: Sequence[Source], *scenarios: Scenario, platform: str | None = None) -> Resolution:
    roles = [request(scenario, f"role{number}") for number, scenario in enumerate(scenarios, 1)]
    return resolve(sources, roles, arch="x86_64", always=(), platform=platform)


def nevras(resolution: Resolution) -> list[str]:
    return [package.nevra for package in resolution.packages]


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
    different = []
    for scenario, answer in zip(scenarios, answers, strict=True):
        try:
            found = run(sources, scenario, platform=platform)
            ours = (nevras(found), sorted(stream.stream for stream in found.modules))
        except ResolveError as error:
            ours = error.details
        streams = sorted({module.rsplit(":", 2)[0] for module in answer.modules})
        if (answer.error is not None) != (not isinstance(ours[0], list)) or (not answer.error and ours != (answer.packages, streams)):
            different.append((scenario, ours, answer))
    if different:
        import pprint; pprint.pprint(different, width=160)
    assert not different
    print("REFUSED", sum(bool(a.error) for a in answers), len(answers))
    return [bool(answer.error) for answer in answers]


def test_the_same_packages_and_streams_as_dnf(tmp_path: Path) -> None:
    refused = assert_as_dnf({"main": MAIN}, SCENARIOS, tmp_path)
    # The oracle itself: some are chosen and some refused.
    assert sum(refused) == 31


SITE = {
    "main": Repo(
        packages=[RELEASE, Fake("tool", "1-1"), Fake("user", requires=["lib"]), Fake("lib", "1-1")],
        builds=[
            Build("m", "1", [mod("tool", "3"), mod("lib", "3")], profiles={"p": ["tool"], "q": ["lib"]}),
            Build("m", "2", [mod("tool", "2")], profiles={"p": ["tool"]}),
            Build("s", "1", [mod("stat", "1")], version=5, profiles={"p": ["stat"]}),
        ],
        more=[defaults("m", "1", {"1": ["p"]}), defaults("s", "1", {"1": ["p"]})],
    ),
    # Plain packages that modules hide, and newer builds of the same streams.
    "extra": Repo(
        packages=[Fake("tool", "9-1"), Fake("lib", "9-1"), Fake("provider", provides=["lib"])],
        builds=[
            Build("m", "1", [mod("tool", "4")], version=7, profiles={"p": ["tool", "added"]}),
            Build("s", "1", [mod("stat", "2")], version=6, context="fixed", static=True, profiles={"p": ["stat"]}),
            Build("n", "1", [mod("added", "1")], profiles={"p": ["added"]}),
        ],
        more=[defaults("m", "2", {"2": ["p"]}, modified=0), defaults("n", "1")],
    ),
    "hot": Repo(packages=[Fake("tool", "7-1.hot"), Fake("stat", "0-1.hot")], hotfixes=True),
}
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


@pytest.mark.parametrize("platform", ["el8", "el9", None])
def test_the_platform_is_said_or_found(platform: str | None, tmp_path: Path) -> None:
    builds = [Build("m", "1", [mod("tool", "3")], profiles={"p": ["tool"]}), Build("e", "1", [mod("x", "1")], requires={})]
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


@pytest.mark.parametrize("seed", range(6))
def test_random_repositories_as_with_dnf(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    repo = random_repo(chance)
    scenarios = []
    for _ in range(40):
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
