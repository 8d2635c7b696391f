"""Repositories with modules that tests share, and what roles ask of them, in dnf's words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isobuilder.kickstart.request import ModuleCommand, PackageRequest, Wanted, WantedGroup
from isobuilder.resolve.solve import Resolution, RoleRequest, Source, resolve
from tests.dnf_oracle import Scenario
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
        every = {
            fake.nevra: fake for fake in (*self.packages, *(fake for build in self.builds for fake in build.packages))
        }
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
        Build(
            "db", "1", [mod("mysql", "8.2"), mod("mytool", "8")], version=2, profiles={"server": ["mysql", "mytool"]}
        ),
        Build("db", "2", [mod("mysql", "9")], requires={}, profiles={"server": ["mysql"]}),
        # Needs modules that have no default.
        Build("runtime", "a", [mod("runtime", "1")], profiles={"x": ["runtime"]}),
        Build("runtime", "b", [mod("runtime", "2")], profiles={"x": ["runtime"]}),
        Build("app", "any", [mod("app", "1", requires=["runtime"])], requires={"runtime": []}, profiles={"x": ["app"]}),
        Build(
            "app",
            "both",
            [mod("app", "2", requires=["runtime"])],
            requires={"runtime": ["b", "a"]},
            profiles={"x": ["app"]},
        ),
        Build(
            "app",
            "notb",
            [mod("app", "3", requires=["runtime"])],
            requires={"runtime": ["-b"]},
            profiles={"x": ["app"]},
        ),
        Build(
            "app",
            "nota",
            [mod("app", "4", requires=["runtime"])],
            requires={"runtime": ["-a"]},
            profiles={"x": ["app"]},
        ),
        Build("app", "never", [mod("app", "5")], requires={"nowhere": ["1"]}, profiles={"x": ["app"]}),
        Build("app", "el8", [mod("app", "6")], requires={"platform": ["el8"]}, profiles={"x": ["app"]}),
        # What was modular once, and is plain again.
        Build("tool", "1", [mod("old-tool", "0.5")], version=1),
        Build("tool", "1", [mod("new-tool", "1")], version=2, demodularized=["old-tool"]),
        # A module that is called like a group.
        Build("both", "1", [mod("both", "2")], profiles={"default": ["both"]}),
        Build("foreign", "1", [Fake("foreign", "1-1", "aarch64")], arch="aarch64", profiles={"x": ["foreign"]}),
        Build("broken", "1", [mod("broken", "1")], profiles={"x": ["broken", "nowhere"], "y": ["plaim"], "empty": []}),
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


def request(scenario: Scenario, role: str = "role") -> RoleRequest:
    """What a kickstart asks for that says the same; commands are in the lines from 1 on, %packages in those from 51."""
    words = list(enumerate(scenario.install, 51))
    said = [*((word, False) for word in scenario.disable), *((word, True) for word in scenario.enable)]
    asked = PackageRequest(
        packages=tuple(Wanted(word, line) for line, word in words if not word.startswith("@")),
        groups=tuple(WantedGroup(word[1:], line) for line, word in words if word.startswith("@")),
        environment=None,
        excluded_packages=tuple(Wanted(word, line) for line, word in enumerate(scenario.exclude, 91)),
        excluded_groups=(),
        weak=scenario.weak,
        modules=tuple(command(word, line, enable) for line, (word, enable) in enumerate(said, 1)),
    )
    return RoleRequest(role, asked, f"ks/{role}.cfg")


def command(word: str, line: int, enable: bool) -> ModuleCommand:  # noqa: FBT001 - as in the kickstart
    name, _, stream = word.partition(":")
    return ModuleCommand(name, stream, line, enable)


def run(sources: Sequence[Source], *scenarios: Scenario, platform: str | None = None) -> Resolution:
    roles = [request(scenario, f"role{number}") for number, scenario in enumerate(scenarios, 1)]
    return resolve(sources, roles, arch="x86_64", always=(), platform=platform)


def nevras(resolution: Resolution) -> list[str]:
    return [package.nevra for package in resolution.packages]
