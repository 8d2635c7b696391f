"""Builds are killed at random moments, and run again: the same sha256 each time, and nothing under a final name before."""

import functools
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.torture.cases import Case, Cases, Reference, Report
from tests.torture.judge import broken_rules, build, make_scene, sha256_of, wrong_entries
from tests.torture.lyingserver import honest, lie, sometimes

STAGE = "kills"
KILLS = 50
SIGNALS = 10
# An interrupt ends a build within so many seconds, whatever it is at.
_QUICK = 8.0


def cases() -> Cases:
    for number in range(KILLS):
        yield Case(STAGE, f"kill-{number}", functools.partial(_kill, number))
    for number in range(SIGNALS):
        kind = signal.SIGTERM if number % 2 else signal.SIGINT
        yield Case(STAGE, f"{kind.name.lower()}-{number}", functools.partial(_interrupt, kind))


def _kill(number: int, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    """Half of the moments are spread over a whole build, and half over its last third, where files get their names."""
    scene = make_scene(folder, good.upstream, good.sha256)
    if number % 5 == 0:
        # Nothing to fetch: all of the time is for building.
        shutil.copytree(good.plain / "cache", scene.cache)
        shutil.copyfile(good.plain / scene.lock.name, scene.lock)
    # Some answers are slow, so that transfers are under way when it is killed.
    slow = sometimes(rng.getrandbits(32), 0.1, ("stall_in_the_body",))
    with lie(good.upstream.files, slow if number % 3 == 0 else honest):
        moment = _Moment(rng, late=number % 2 == 0, output=scene.output)
        done = build(scene, during=moment)
    if done.code >= 0:
        # It was done before its time had come: what it made has to be right, and to be made again.
        report.figures["kills that came too late"] += 1
    report.figures["kills"] += 1
    report.broken += broken_rules(scene, done, {0, 4, 5, -signal.SIGKILL}, left_open=True)
    kept = {path: path.stat().st_size for path in scene.cache.glob("sha256/??/*")}
    with lie(good.upstream.files, honest):
        again = build(scene, "--force")
    report.broken += [f"afterwards: {line}" for line in broken_rules(scene, again, {0}, left_open=True)]
    if scene.iso.exists() and sha256_of(scene.iso) == good.sha256:
        report.figures["of them ended in the same sha256"] += 1
    lost = sum(size for path, size in kept.items() if not path.exists()) + len(wrong_entries(scene.cache))
    report.figures["bytes lost"] += lost
    if lost:
        report.broken.append(f"{lost} bytes of the cache were lost")
    if parts := list(scene.output.glob(".*")):
        report.broken.append(f"afterwards: parts are left in the output: {parts}")


class _Moment:
    """Kills a process some time after it has started, or once it writes its image."""

    def __init__(self, rng: random.Random, *, late: bool, output: Path) -> None:
        self._wait = rng.uniform(0.0, 0.7 if late else 2.5)
        self._late = late
        self._output = output

    def __call__(self, process: "subprocess.Popen[bytes]") -> None:
        if self._late:
            while not list(self._output.glob(".*")) and _is_running(process):
                time.sleep(0.002)
        end = time.monotonic() + self._wait
        while time.monotonic() < end and _is_running(process):
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)


def _is_running(process: "subprocess.Popen[bytes]") -> bool:
    """Without waiting for it, which the judge does."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _interrupt(kind: signal.Signals, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    scene = make_scene(folder, good.upstream, good.sha256)
    told: list[float] = []

    def during(process: "subprocess.Popen[bytes]") -> None:
        # Not before Python has come to where it handles signals: until then, their usual effect is as quick.
        while not (scene.cache / "lock").exists() and _is_running(process):
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 2.0))
        told.append(time.monotonic())
        process.send_signal(kind)

    slow = sometimes(rng.getrandbits(32), 0.2, ("stall_in_the_body", "drip_of_a_body"))
    with lie(good.upstream.files, slow):
        began = time.monotonic()
        done = build(scene, during=during)
    report.figures["signals"] += 1
    report.broken += broken_rules(scene, done, {0, 4, 5, 130})
    if (took := began + done.seconds - told[0]) > _QUICK:
        report.broken.append(f"it ended {took:.0f} seconds after {kind.name}")
    if done.code:
        with lie(good.upstream.files, honest):
            again = build(scene)
        report.broken += [f"afterwards: {line}" for line in broken_rules(scene, again, {0})]
