"""Requests are mangled: each fault in its turn, on one mirror and on the first of several; then all of them at random."""

import functools
import random
import re
import shutil
from pathlib import Path

from tests.torture.cases import Case, Cases, Reference, Report
from tests.torture.faults import FAULTS, HARMLESS
from tests.torture.judge import Run, Scene, broken_rules, build, make_scene
from tests.torture.lyingserver import Choice, Lies, honest, lie, once_each, sometimes

STAGE = "network"
FAILOVER_CASES = 8
RANDOM_CASES = 8
_AT_ONCE = 4
# A build that fails may not have asked for everything yet.
_ROUNDS = 20
# A server that is not as it should be: it could not be fetched, or is not to be trusted.
_FAILED = {4, 5}


def cases() -> Cases:
    ranges = sorted(name for name in FAULTS if name.startswith("range_"))
    names = sorted(FAULTS.keys() - HARMLESS - set(ranges))
    groups = [tuple(names[at : at + _AT_ONCE]) for at in range(0, len(names), _AT_ONCE)]
    for number, group in enumerate([tuple(sorted(HARMLESS)), *groups]):
        yield Case(STAGE, f"once-{number}", functools.partial(_once, group, None))
    for before in ("close_in_the_body", "close_before_the_last_byte", "reset_in_the_body"):
        yield Case(STAGE, f"ranges-{before}", functools.partial(_once, tuple(ranges), before))
    for number in range(FAILOVER_CASES):
        yield Case(STAGE, f"failover-{number}", functools.partial(_failover, tuple(names[number::FAILOVER_CASES])))
    for number in range(RANDOM_CASES):
        yield Case(STAGE, f"random-{number}", functools.partial(_random, number))


def _once(
    names: tuple[str, ...], before: str | None, good: Reference, folder: Path, rng: random.Random, report: Report
) -> None:
    """One answer for each file has one of a few faults."""
    scene = _scene(good, folder, mirrors=False, locked=rng.random() < 0.5)
    paths = [path for path in good.upstream.files if re.match("/(os|extra)/", path)]
    codes = {0} if HARMLESS.issuperset(names) else {0, *_FAILED}
    _suffer(scene, good, once_each(paths, names, rng.randrange(len(names)), before), codes, report)


def _failover(names: tuple[str, ...], good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    """The best of several mirrors has faults, and the others are honest."""
    scene = _scene(good, folder, mirrors=True, locked=rng.random() < 0.5)
    paths = [path for path in good.upstream.files if re.match("/(os|extra)/", path)]
    _suffer(scene, good, once_each(paths, names, rng.randrange(len(names))), {0, *_FAILED}, report)


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
    """Builds from a lying server, each of which goes on where the last one stopped, and then one from an honest one."""
    with lie(good.upstream.files, choose) as lies:
        for _ in range(_ROUNDS):
            done = _watched_build(scene, report)
            report.broken += broken_rules(scene, done, codes)
            if done.code == 0:
                break
            _heed(done, scene, good, report)
    _count(lies, report)
    if done.code == 0:
        return
    with lie(good.upstream.files, honest):
        again = _watched_build(scene, report)
        if _heed(again, scene, good, report):
            again = _watched_build(scene, report)
    report.broken += [f"afterwards: {line}" for line in broken_rules(scene, again, {0})]


def _watched_build(scene: Scene, report: Report) -> Run:
    """A build that loses nothing of what the cache had before it."""
    kept = _kept(scene)
    done = build(scene)
    if lost := sum(size for path, size in kept.items() if not path.exists()):
        report.figures["bytes lost"] += lost
        report.broken.append(f"{lost} bytes of the cache were lost")
    return done


def _heed(done: Run, scene: Scene, good: Reference, report: Report) -> bool:
    """Whether the lock had to go: a lie about a size, told twice, stands in it, and the next build says what to do."""
    if done.code != 5 or "isobuilder lock --update" not in done.said or not scene.lock.exists():
        return False
    if scene.lock.read_bytes() in {(place / scene.lock.name).read_bytes() for place in (good.plain, good.mirrored)}:
        return False
    scene.lock.unlink()
    report.figures["locks made anew"] += 1
    return True


def _kept(scene: Scene) -> dict[Path, int]:
    return {path: path.stat().st_size for path in scene.cache.glob("sha256/??/*")}


def _count(lies: Lies, report: Report) -> None:
    report.figures["requests"] += lies.requests
    report.figures["requests mangled"] += sum(lies.dealt.values())
    report.kinds.update(lies.dealt)
