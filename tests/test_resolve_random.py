"""Made-up distributions, in which everything that is rare happens often: the same packages as dnf."""

import random
from pathlib import Path

import pytest

from tests.dnf_oracle import Scenario, ask_dnf
from tests.repositories import Fake, make_repository
from tests.test_resolve import assert_same

_COUNT = 120


def _name(number: int) -> str:
    return f"n{number}"


def _evr(chance: random.Random) -> str:
    epoch = chance.choice(["", "", "", "", "1:"])
    return f"{epoch}{chance.randint(0, 3)}.{chance.randint(0, 11)}{chance.choice(['', '', '', '~rc1', '^git2'])}-1"


def _requirement(chance: random.Random, number: int) -> str:
    """Something of a package with a lower number, mostly, so that there is a way to have it."""
    one, two, three = (_name(chance.randrange(number + 1)) for _ in range(3))
    return chance.choice(
        [
            *(one, one, one, f"{one} >= 1", f"{one} < 3", f"lib{one}.so()(64bit)", f"lib{one}.so()(64bit)"),
            *(f"virtual-{chance.randrange(8)}", f"virtual-{chance.randrange(8)} > 1"),
            *(f"/usr/bin/{one}", f"/usr/share/{one}/data", f"({one} or {two})", f"({one} if {two})"),
            *(f"({one} if {two} else {three})", f"({one} >= 0.5 with {one} < 4)", f"({one} unless {two})"),
        ]
    )


def _package(chance: random.Random, number: int, evr: str, arch: str) -> Fake:
    name = _name(number)
    library = {"x86_64": [f"lib{name}.so()(64bit)"], "i686": [f"lib{name}.so"]}.get(arch, [])
    virtual = [f"virtual-{chance.randrange(8)}{chance.choice(['', ' = 1', ' = 2'])}"] if chance.random() < 0.3 else []

    def rarely(share: float) -> list[str]:
        return [_requirement(chance, _COUNT - 1)] if chance.random() < share else []

    other = _name(chance.randrange(_COUNT))
    return Fake(
        name,
        evr,
        arch,
        requires=[_requirement(chance, number) for _ in range(chance.choice([0, 0, 1, 1, 2, 3]))],
        provides=[*library, *virtual],
        recommends=rarely(0.3),
        supplements=rarely(0.08),
        conflicts=[f"{other} < 1"] if chance.random() < 0.05 else [],
        obsoletes=[chance.choice([f"{other} < 2", f"old-{other}", "virtual-1"])] if chance.random() < 0.06 else [],
        files=[f"/usr/bin/{name}", f"/usr/share/{name}/data"],
    )


def _distribution(chance: random.Random) -> list[Fake]:
    packages = []
    for number in range(_COUNT):
        native = chance.random() < 0.6
        for evr in dict.fromkeys(_evr(chance) for _ in range(chance.choice([1, 1, 2, 3]))):
            changed = chance.random() < 0.1
            packages.append(_package(chance, number, evr, "x86_64" if native != changed else "noarch"))
            if native and chance.random() < 0.3:
                packages.append(_package(chance, number, evr, "i686"))
    packages += [Fake(_name(chance.randrange(_COUNT)), "9-1", arch) for arch in ("src", "aarch64") for _ in range(4)]
    chance.shuffle(packages)
    return list({fake.nevra: fake for fake in packages}.values())


def _comps(chance: random.Random) -> str:
    def member() -> str:
        kind = chance.choice(
            ["mandatory", "default", "optional", f'conditional" requires="{_name(chance.randrange(9))}']
        )
        native = chance.choice(["", "", ' basearchonly="true"'])
        return f'<packagereq type="{kind}"{native}>{_name(chance.randrange(_COUNT))}</packagereq>'

    return "".join(
        f"<group><id>g{number}</id><name>G</name><packagelist>{member()}{member()}</packagelist></group>"
        for number in range(6)
    )


def _scenario(chance: random.Random) -> Scenario:
    words = [_name(number) for number in chance.sample(range(_COUNT), 3)]
    odd = [f"{words[0]}.i686", f"{words[0]}*", f"{words[0]}.*", f"virtual-{chance.randrange(8)}", f"@g{words[1][-1]}"]
    asked = chance.choice([words[:1], words[:1], words[:2], [chance.choice(odd)], [chance.choice(odd), words[2]]])
    return Scenario(asked, chance.choice([[], [], [_name(chance.randrange(_COUNT))]]), weak=chance.random() < 0.6)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_packages_as_dnf(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    packages = _distribution(chance)
    half = len(packages) // 2
    # Some packages are in both, which differ in priority half of the time.
    priorities = {"base": 99, "site": chance.choice([99, 50])}
    sources = [
        make_repository(tmp_path / "base", packages[: half + 20], comps=_comps(chance)),
        make_repository(tmp_path / "site", packages[half:], id="site", priority=priorities["site"]),
    ]
    scenarios = [_scenario(chance) for _ in range(60)]
    folders = {name: (tmp_path / name, priority) for name, priority in priorities.items()}
    answers = ask_dnf(folders, scenarios, tmp_path / "dnf")
    for scenario, answer in zip(scenarios, answers, strict=True):
        assert_same(scenario, answer.packages, sources)
    # The oracle itself: most are chosen.
    assert 0 < sum(bool(answer.error) for answer in answers) < 45
