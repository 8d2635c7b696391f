"""Without a network: no socket is opened, and what is missing is said exactly."""

import functools
import json
import os
import random
import re
import shutil
from pathlib import Path

from tests.torture.cases import Case, Cases, Reference, Report
from tests.torture.judge import Run, Scene, broken_rules, build, make_scene

STAGE = "offline"
_MISSING = 6


def cases() -> Cases:
    for mirrors in (False, True):
        yield Case(STAGE, f"everything-{mirrors}", functools.partial(_everything, mirrors))
        yield Case(STAGE, f"lock-{mirrors}", functools.partial(_lock, mirrors))
    yield Case(STAGE, "nothing", _nothing)
    for number in range(_MISSING):
        yield Case(STAGE, f"missing-{number}", functools.partial(_missing, number))


def _scene(good: Reference, folder: Path, *, mirrors: bool = False) -> Scene:
    scene = make_scene(folder, good.upstream, good.mirrored_sha256 if mirrors else good.sha256, mirrors=mirrors)
    source = good.mirrored if mirrors else good.plain
    shutil.copytree(source / "cache", scene.cache)
    shutil.copyfile(source / scene.lock.name, scene.lock)
    return scene


def _denied(scene: Scene) -> tuple[str, ...]:
    """A wrapper under which every call for a socket is refused, and written down; there is no network either."""
    trace = os.fspath(scene.folder / "sockets")
    scene.own_too.append(Path(trace))
    return ("unshare", "-n", "strace", "-f", "-qq", "-o", trace, "-e", "trace=socket,connect,bind,socketpair",
            "-e", "inject=socket,connect,bind:error=EACCES")  # fmt: skip


def _judge(scene: Scene, done: Run, codes: set[int], report: Report) -> None:
    calls = re.findall(r"\b(?:socket|connect|bind)\(.*", (scene.folder / "sockets").read_text())
    # libc asks nscd, here, for the name of a user; createrepo_c's librpm has it do so.
    calls = [call for call in calls if "(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0)" not in call]
    report.figures["offline runs"] += 1
    report.figures["sockets opened offline"] += len(calls)
    report.broken += [f"a socket: {call}" for call in calls]
    report.broken += broken_rules(scene, done, codes)


def _everything(mirrors: bool, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:  # noqa: FBT001
    scene = _scene(good, folder, mirrors=mirrors)
    _judge(scene, build(scene, "--offline", wrapper=_denied(scene)), {0}, report)


def _lock(mirrors: bool, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:  # noqa: FBT001
    """The lock is made anew of what servers said before, and is the same."""
    scene = _scene(good, folder, mirrors=mirrors)
    before = scene.lock.read_bytes()
    scene.lock.unlink()
    _judge(scene, build(scene, "--offline", wrapper=_denied(scene)), {0}, report)
    if not scene.lock.exists() or scene.lock.read_bytes() != before:
        report.broken.append("the lock is another one")


def _nothing(good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    scene = make_scene(folder, good.upstream, good.sha256)
    done = build(scene, "--offline", wrapper=_denied(scene))
    _judge(scene, done, {4}, report)
    for path in ("/os/.treeinfo", "/os/repodata/repomd.xml", "/extra/repodata/repomd.xml", "/os/RPM-GPG-KEY-tiny"):
        if path not in done.said:
            report.broken.append(f"it does not say that {path} is missing")


def _missing(number: int, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    """Some of the packages are not there: these are named, with their size, and no others."""
    scene = _scene(good, folder)
    packages = json.loads(scene.lock.read_text())["packages"]
    gone = rng.sample(packages, 1 + number % 4)
    for package in gone:
        sha256 = package["file"]["sha256"]
        (scene.cache / "sha256" / sha256[:2] / sha256).unlink()
    done = build(scene, "--offline", wrapper=_denied(scene))
    _judge(scene, done, {4}, report)
    named = {package["file"]["path"] for package in packages if package["file"]["path"] in done.said}
    if named != {package["file"]["path"] for package in gone}:
        report.broken.append(f"missing are {gone}, and it says {named}")
