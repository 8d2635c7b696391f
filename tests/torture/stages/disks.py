"""Disks fill up: that of the cache, of the output, of temporary files and of the lock, at every size from none to enough."""

import functools
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.torture.cases import Case, Cases, Reference, Report
from tests.torture.judge import Scene, broken_rules, build, make_scene
from tests.torture.lyingserver import honest, lie

STAGE = "disks"
# Bytes of the disks, in KiB: none at all, a part of what is needed, nearly enough. A build needs some 24 MB of cache, 33
# of output, 1 of temporary files, and 20 KB for the lock.
_SIZES = {
    "cache": (16, 64, 512, 2_000, 6_000, 9_000, 12_000, 16_000, 20_000, 23_000, 23_300),
    "output": (16, 1_000, 8_000, 20_000, 30_000, 31_700, 31_744, 31_748, 31_764, 31_784, 31_800),
    "temporary files": (8, 12, 16, 24, 40, 64, 120, 400),
    "lock": (12, 16, 20, 24, 32, 36),
}
# From this size on a build may succeed; an error is as good.
_ENOUGH = {"cache": 23_300, "output": 31_780, "temporary files": 0, "lock": 32}
# A disk may fill up although there was room when it was asked: another program writes, too.
_RIVAL = 12


def cases() -> Cases:
    for place, sizes in _SIZES.items():
        for size in sizes:
            yield Case(STAGE, f"{place.replace(' ', '-')}-{size}", functools.partial(_full, place, size))
    for number in range(_RIVAL):
        place = ("output", "cache")[number % 2]
        yield Case(STAGE, f"rival-{place}-{number}", functools.partial(_rival, place))
    for limit in (4_096, 30_000, 100_000, 1_000_000, 8_000_000, 20_000_000, 32_000_000):
        yield Case(STAGE, f"largest-file-{limit}", functools.partial(_limited, limit))


def _full(place: str, size: int, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    scene = make_scene(folder, good.upstream, good.sha256)
    target = _target(scene, place)
    with _disk(target, size) as there:
        if place == "lock":
            _copy_definition(scene, there, good)
        with lie(good.upstream.files, honest):
            done = build(scene) if place != "lock" else build(scene, cwd=there)
        enough = size >= _ENOUGH[place]
        _judge(scene, place, done_codes={7} | ({0} if enough else set()), done=done, report=report)
        if place == "cache":
            # With room again, what has come already is still good.
            subprocess.run(["mount", "-o", "remount,size=200m", there], check=True)
            _again(scene, good, report, force=done.code == 0)
    if place != "cache":
        _again(scene, good, report, force=done.code == 0)


def _rival(place: str, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    """There is room when the build begins, and then somebody else takes it."""
    scene = make_scene(folder, good.upstream, good.sha256)
    left = rng.randrange(1_000, 22_000 if place == "cache" else 31_000)
    with _disk(_target(scene, place), 60_000) as there:
        begun = scene.cache / ("part" if place == "cache" else "sha256")

        def during(process: "subprocess.Popen[bytes]") -> None:
            while not begun.exists() and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                pass
            subprocess.run(["fallocate", "-l", f"{60_000 - left}KiB", there / ".rival"], check=False)

        with lie(good.upstream.files, honest):
            done = build(scene, during=during)
        (there / ".rival").unlink(missing_ok=True)
        _judge(scene, place, done_codes={0, 7}, done=done, report=report)
        _again(scene, good, report, force=done.code == 0)


def _limited(limit: int, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    """No file may be larger than that: what a quota or an old file system does."""
    scene = make_scene(folder, good.upstream, good.sha256)
    with lie(good.upstream.files, honest):
        done = build(scene, wrapper=("prlimit", f"--fsize={limit}"))
    _judge(scene, "files too large", done_codes={7}, done=done, report=report)
    _again(scene, good, report)


def _judge(scene: Scene, place: str, *, done_codes: set[int], done: object, report: Report) -> None:
    report.figures[f"full disks: {place}"] += 1
    report.broken += broken_rules(scene, done, done_codes)  # type: ignore[arg-type]


def _again(scene: Scene, good: Reference, report: Report, *, force: bool = False) -> None:
    with lie(good.upstream.files, honest):
        again = build(scene, *(["--force"] if force else []))
    report.broken += [f"afterwards: {line}" for line in broken_rules(scene, again, {0})]


def _target(scene: Scene, place: str) -> Path:
    if place == "lock":
        target = scene.folder / "definition"
    else:
        target = {"cache": scene.cache, "output": scene.output, "temporary files": scene.temporary}[place]
    target.mkdir(exist_ok=True)
    return target


def _copy_definition(scene: Scene, there: Path, good: Reference) -> None:
    """The lock lies beside the definition: here, on the small disk."""
    for name in ("media.toml", "tiny.toml", "tiny.ks.j2"):
        shutil.copyfile(scene.home / name, there / name)
    scene.own_too.append(there)


@contextmanager
def _disk(target: Path, kib: int) -> Iterator[Path]:
    """A file system of so many KiB at `target`, in the worker's own mounts."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=755", "tortured", target], check=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", target], check=True)
