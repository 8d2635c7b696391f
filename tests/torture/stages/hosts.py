"""Machines that fail: caches that are read-only or damaged, permissions that lack, clocks that are wrong, limits."""

import functools
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.torture.cases import Case, Cases, Reference, Report
from tests.torture.judge import Run, Scene, broken_rules, build, look_around, make_scene, run, sha256_of
from tests.torture.lyingserver import honest, lie

STAGE = "hosts"
# Root without its powers obeys permissions as anybody does.
POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
_CLOCKS = ("1970-01-02 00:00:00", "1999-12-31 23:59:59", "2015-06-30 12:00:00", "2038-01-20 00:00:00")
# How many files are in the cache of the good medium, at the least; each of them is damaged once.
ENTRIES = 34
_PLACES = ("cache", "cache/sha256", "cache/part", "cache/seen", "cache/lock", "output", "tmp", "media.toml", "tiny.toml",
           "tiny.ks.j2", "tortured.lock")  # fmt: skip
_MEMORY = (150, 250, 350, 500, 700, 1_000)


def cases() -> Cases:
    for number in range(ENTRIES):
        yield Case(STAGE, f"entry-{number}", functools.partial(_entry, number))
    for place in _PLACES:
        for there in (False, True):
            yield Case(STAGE, f"forbidden-{place}-{there}", functools.partial(_forbidden, place, there))
            yield Case(STAGE, f"other-{place}-{there}", functools.partial(_other, place, there))
    for place in ("cache", "output", "tmp"):
        yield Case(STAGE, f"read-only-{place}-full", functools.partial(_read_only, place, True))
        yield Case(STAGE, f"read-only-{place}-empty", functools.partial(_read_only, place, False))
    for clock in _CLOCKS:
        yield Case(STAGE, f"clock-{clock[:4]}", functools.partial(_clock, clock))
    for mebibytes in _MEMORY:
        yield Case(
            STAGE, f"memory-{mebibytes}", functools.partial(_wrapped, ("prlimit", f"--as={mebibytes << 20}"), {0, 7})
        )
    for number in (8, 16, 24, 40):
        yield Case(
            STAGE, f"open-files-{number}", functools.partial(_wrapped, ("prlimit", f"--nofile={number}"), {0, 4, 7})
        )
    for language in ("C", "POSIX", "tr_TR.UTF-8", "nonsense"):
        yield Case(STAGE, f"language-{language}", functools.partial(_environ, {"LC_ALL": language}))
    for zone in ("Pacific/Kiritimati", "America/Lima", "nonsense"):
        yield Case(STAGE, f"zone-{zone}", functools.partial(_environ, {"TZ": zone}))


def _filled(good: Reference, folder: Path) -> Scene:
    """A scene that has been built before: the lock is there, and the cache is full."""
    scene = make_scene(folder, good.upstream, good.sha256)
    shutil.copytree(good.plain / "cache", scene.cache)
    shutil.copyfile(good.plain / scene.lock.name, scene.lock)
    return scene


def _served(scene: Scene, good: Reference, *words: str, **more: object) -> Run:
    with lie(good.upstream.files, honest):
        return build(scene, *words, **more)


def _entry(number: int, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    """A build fetches again what it needs; `cache verify` removes the rest, and what a new lock needs comes again."""
    scene = _filled(good, folder)
    entries = sorted(scene.cache.glob("sha256/??/*"))
    entry = entries[number]
    kind = rng.choice(list(_DAMAGES))
    _DAMAGES[kind](entry, rng)
    is_needed = f'"{entry.name}"' in scene.lock.read_text()
    report.figures["cache entries damaged"] += 1
    if not is_needed:
        verified = run(scene, "cache", "verify", "--cache-dir", os.fspath(scene.cache))
        codes = {0} if kind == "gone" else {5}
        report.broken += [f"{kind}: {line}" for line in broken_rules(scene, verified, codes, builds=False)]
        scene.lock.unlink()
    done = _served(scene, good)
    report.broken += [f"{kind}: {line}" for line in broken_rules(scene, done, {0})]
    if not entry.is_file() or sha256_of(entry) != entry.name:
        report.broken.append(f"{kind}: {entry.name} was not fetched again")
        report.figures["bytes lost"] += 1


def _flip(entry: Path, rng: random.Random) -> None:
    data = bytearray(entry.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    entry.write_bytes(data)


def _swap(entry: Path, rng: random.Random) -> None:
    size = entry.stat().st_size
    entry.write_bytes(rng.randbytes(size))


def _link(entry: Path, rng: random.Random) -> None:
    entry.unlink()
    entry.symlink_to("/etc/passwd")


def _dangle(entry: Path, rng: random.Random) -> None:
    entry.unlink()
    entry.symlink_to("nowhere")


def _pipe(entry: Path, rng: random.Random) -> None:
    entry.unlink()
    os.mkfifo(entry)


_DAMAGES: dict[str, Callable[[Path, random.Random], object]] = {
    "a bit changed": _flip,
    "another file": _swap,
    "zeros": lambda entry, rng: entry.write_bytes(bytes(entry.stat().st_size)),
    "cut short": lambda entry, rng: os.truncate(entry, entry.stat().st_size // 2),
    "empty": lambda entry, rng: os.truncate(entry, 0),
    "longer": lambda entry, rng: os.truncate(entry, entry.stat().st_size + 100),
    "gone": lambda entry, rng: entry.unlink(),
    "a link elsewhere": _link,
    "a link to nowhere": _dangle,
    "a pipe": _pipe,
}


def _forbidden(place: str, there: bool, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:  # noqa: FBT001
    """Nobody may read, write or enter it."""
    scene = _filled(good, folder) if there else make_scene(folder, good.upstream, good.sha256)
    path = scene.home / place
    if not path.exists():
        return
    before = path.stat().st_mode
    path.chmod(0)
    done = _served(scene, good, wrapper=POWERLESS)
    path.chmod(before)
    report.figures["hosts that fail"] += 1
    report.broken += broken_rules(scene, done, {0, 3, 7})
    _recovers(scene, good, done, report)


def _other(place: str, there: bool, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:  # noqa: FBT001
    """Something else is there: a folder for a file, or a file for a folder."""
    scene = _filled(good, folder) if there else make_scene(folder, good.upstream, good.sha256)
    path = scene.home / place
    was_folder = path.is_dir() if path.exists() else place not in {"cache/lock", "tortured.lock"}
    aside = scene.folder / "aside"
    if path.exists():
        path.rename(aside)
    path.parent.mkdir(exist_ok=True)
    if was_folder:
        path.write_text("in the way\n")
    else:
        path.mkdir()
    scene.own_too.append(path)
    look_around(scene)
    done = _served(scene, good)
    report.figures["hosts that fail"] += 1
    report.broken += broken_rules(scene, done, {0, 2, 3, 7} if place != "tmp" else {0, 7})
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    if aside.exists():
        aside.rename(path)
    look_around(scene)
    scene.output.mkdir(exist_ok=True)
    scene.temporary.mkdir(exist_ok=True)
    _recovers(scene, good, done, report)


def _read_only(place: str, full: bool, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:  # noqa: FBT001
    scene = _filled(good, folder) if full else make_scene(folder, good.upstream, good.sha256)
    path = scene.home / place
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "--bind", path, path], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        done = _served(scene, good)
    finally:
        subprocess.run(["umount", path], check=True)
    report.figures["hosts that fail"] += 1
    # Python looks for another place for temporary files.
    codes = {0, 7} if place == "tmp" else {7}
    report.broken += broken_rules(scene, done, {0} if (place, full) == ("cache", True) else codes)
    _recovers(scene, good, done, report)


def _clock(clock: str, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    """What is built does not depend on the time, and the time is nobody's proof of anything."""
    scene = make_scene(folder, good.upstream, good.sha256)
    done = _served(scene, good, wrapper=("faketime", "-f", f"@{clock}"))
    report.figures["hosts that fail"] += 1
    report.broken += broken_rules(scene, done, {0})


def _wrapped(wrapper: tuple[str, ...], codes: set[int], good: Reference, folder: Path, rng: random.Random,
             report: Report) -> None:  # fmt: skip
    scene = make_scene(folder, good.upstream, good.sha256)
    done = _served(scene, good, wrapper=wrapper)
    report.figures["hosts that fail"] += 1
    report.broken += broken_rules(scene, done, codes)
    _recovers(scene, good, done, report)


def _environ(environ: dict[str, str], good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    scene = make_scene(folder, good.upstream, good.sha256)
    done = _served(scene, good, environ=environ)
    report.figures["hosts that fail"] += 1
    report.broken += broken_rules(scene, done, {0})


def _recovers(scene: Scene, good: Reference, done: Run, report: Report) -> None:
    if done.code:
        again = _served(scene, good)
        report.broken += [f"afterwards: {line}" for line in broken_rules(scene, again, {0})]
