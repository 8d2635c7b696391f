"""What dnf would install: the host's own dnf, asked through its API in a process of its own."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_SCRIPT = """
import json, os, sys, dnf, dnf.module.module_base
asked = json.load(sys.stdin)
os.makedirs(asked["root"], exist_ok=True)
for scenario in asked["scenarios"]:
    base = dnf.Base()
    conf = base.conf
    conf.installroot, conf.cachedir, conf.persistdir = asked["root"], asked["cache"], asked["root"] + "/persist"
    conf.logdir, conf.reposdir, conf.varsdir, conf.pluginpath = asked["root"], [], [], []
    conf.substitutions.update(arch=asked["arch"], basearch=asked["arch"], releasever="9")
    conf.install_weak_deps, conf.best, conf.assumeno = scenario["weak"], True, True
    if asked["platform"]:
        conf.module_platform_id = asked["platform"]
    for name, (folder, priority) in asked["repositories"].items():
        repo = base.repos.add_new_repo(name, conf, baseurl=["file://" + folder], priority=priority, gpgcheck=False)
        repo.module_hotfixes = name in asked["hotfixes"]
        # add_new_repo would keep the first pattern of a list, and forget the others.
        for option, patterns in scenario["options"].get(name, {}).items():
            setattr(repo, option, patterns)
    base.fill_sack(load_system_repo=False)
    base.read_comps(arch_filter=True)
    answer = {"error": None, "packages": [], "repositories": [], "modules": []}
    try:
        # As Anaconda does it, which calls both even where there is nothing to do. It always has a group.
        if scenario["disable"] or scenario["enable"] or any(word.startswith("@") for word in scenario["install"]):
            modules = dnf.module.module_base.ModuleBase(base)
            modules.disable(scenario["disable"])
            modules.enable(scenario["enable"])
        base.install_specs(scenario["install"], exclude=scenario["exclude"])
        base.resolve()
        container = base._moduleContainer
        answer["modules"] = sorted({
            m.getNameStreamVersion() + ":" + m.getContext()
            for m in container.getModulePackages() if container.isModuleActive(m)})
        chosen = sorted(
            (f"{p.name}-{p.epoch}:{p.version}-{p.release}.{p.arch}", p.reponame) for p in base.transaction.install_set)
        answer["packages"], answer["repositories"] = ([each[number] for each in chosen] for number in (0, 1))
    except dnf.exceptions.Error as error:
        answer["error"] = str(error)
    print(json.dumps(answer), flush=True)
"""


@dataclass(frozen=True)
class Scenario:
    """One thing to ask dnf to install, in the words of its command line; before that, modules to disable and enable.

    `options` are those of its repositories, by id: excludepkgs, includepkgs.
    """

    install: Sequence[str]
    exclude: Sequence[str] = ()
    weak: bool = True
    options: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    enable: Sequence[str] = ()
    disable: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """What dnf would install, or its error.

    `packages` are sorted NEVRA, `repositories` where each of them is from, `modules` the active builds of streams.
    """

    packages: list[str]
    repositories: list[str]
    modules: list[str]
    error: str | None


def ask_dnf(
    repositories: Mapping[str, tuple[Path, int]],
    scenarios: Sequence[Scenario],
    scratch: Path,
    *,
    arch: str = "x86_64",
    hotfixes: Sequence[str] = (),
    platform: str | None = None,
) -> list[Answer]:
    """The answer to each scenario; `repositories` gives a folder that has repodata/, and a priority, by id.

    `hotfixes` are those whose packages no module hides; `platform` is the module that the system is ("platform:el9").
    """
    asked = {
        "root": str(scratch / "root"),
        "cache": str(scratch / "cache"),
        "arch": arch,
        "hotfixes": list(hotfixes),
        "platform": platform,
        "repositories": {name: [str(folder), priority] for name, (folder, priority) in repositories.items()},
        "scenarios": [asdict(scenario) for scenario in scenarios],
    }
    done = subprocess.run(
        ["/usr/bin/python3", "-c", _SCRIPT],
        check=False,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [Answer(**json.loads(line)) for line in done.stdout.splitlines()]
