"""Requests are mangled: each fault alone, on every kind of file; then all of them at random, on one mirror and on several."""

import functools
import random
import shutil
from pathlib import Path

from tests.torture.cases import Case, Cases, Reference, Report
from tests.torture.faults import FAULTS, HARMLESS
from tests.torture.judge import Scene, broken_rules, build, make_scene
from tests.torture.lyingserver import Choice, Lies, first_time, honest, lie, sometimes

STAGE = "network"
RANDOM_CASES = 8
_AT_ONCE = 4
# A server that is not as it should be: it could not be fetched, or is not to be trusted.
_FAILED = {4, 5}


def cases() -> Cases:
    names = sorted(FAULTS.keys() - HARMLESS)
    groups = [tuple(names[at : at + _AT_ONCE]) for at in range(0, len(names), _AT_ONCE)]
    for number, group in enumerate([tuple(sorted(HARMLESS)), *groups]):
        yield Case(STAGE, f"once-{number}", functools.partial(_once, group))
    for number in range(RANDOM_CASES):
        yield Case(STAGE, f"random-{number}", functools.partial(_random, number))


def _once(names: tuple[str, ...], good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    """The first answer for each file has one of a few faults, or on the first mirror of several."""
    mirrors = rng.random() < 0.5
    scene = _scene(good, folder, mirrors=mirrors, locked=rng.random() < 0.5)
    codes = {0} if HARMLESS.issuperset(names) else {0, *_FAILED}
    _suffer(scene, good, first_time(rng.getrandbits(32), names, r"^/(os|e1|extra)/" if mirrors else ""), codes, report)


def _random(number: int, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    share = rng.choice((0.03, 0.1, 0.3, 0.8))
    names = list(FAULTS) if number % 2 else rng.sample(list(FAULTS), 6)
    scene = _scene(good, folder, mirrors=rng.random() < 0.5, locked=rng.random() < 0.5)
    _suffer(scene, good, sometimes(rng.getrandbits(32), share, names), {0, *_FAILED}, report)


def _scene(good: Reference, folder: Path, *, mirrors: bool, locked: bool) -> Scene:
    scene = make_scene(folder, good.upstream, good.mirrored_sha256 if mirrors else good.sha256, mirrors=mirrors)
    if locked:
        source = good.mirrored if mirrors else good.plain
        shutil.copyfile(source / scene.lock.name, scene.lock)
    return scene


def _suffer(scene: Scene, good: Reference, choose: Choice, codes: set[int], report: Report) -> None:
    """One build from a lying server, and one from an honest one, which has to go on where the other stopped."""
    with lie(good.upstream.files, choose) as lies:
        done = build(scene)
    _count(lies, report)
    report.broken += broken_rules(scene, done, codes)
    if done.code == 0:
        return
    kept = _kept(scene)
    with lie(good.upstream.files, honest):
        again = build(scene)
        if again.code == 5 and "isobuilder lock --update" in again.said:
            # A lie about a size, told twice, stands in the lock: the next build says so, and how to go on.
            scene.lock.unlink()
            report.figures["locks made anew"] += 1
            again = build(scene)
    report.broken += [f"afterwards: {line}" for line in broken_rules(scene, again, {0})]
    lost = sum(size for path, size in kept.items() if not path.exists())
    report.figures["bytes lost"] += lost
    if lost:
        report.broken.append(f"{lost} bytes of the cache were lost")


def _kept(scene: Scene) -> dict[Path, int]:
    return {path: path.stat().st_size for path in scene.cache.glob("sha256/??/*")}


def _count(lies: Lies, report: Report) -> None:
    report.figures["requests"] += lies.requests
    report.figures["requests mangled"] += sum(lies.dealt.values())
    report.kinds.update(lies.dealt)
