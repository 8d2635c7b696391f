"""What the workers of the torture do, each in a process with a network and mounts of its own."""

import ctypes
import functools
import hashlib
import random
import shutil
import subprocess
import traceback
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.practice.mirror import ensure_mirror
from tests.torture.cases import Case, Reference, Report
from tests.torture.judge import broken_rules, build, make_scene
from tests.torture.lyingserver import lie
from tests.torture.stages import disks, hostile, hosts, kills, network, offline
from tests.torture.upstream import make_upstream

_CLONE_NEWNET = 0x40000000
_CLONE_NEWNS = 0x00020000
STAGES = {module.STAGE: module.cases for module in (network, kills, disks, hosts, hostile, offline)}
_good: Reference


def run_case(name: str, folder: Path, seed: int) -> Report:
    """What comes of the case of that name."""
    case = all_cases()[name]
    report = Report()
    number = int.from_bytes(hashlib.sha256(f"{seed} {case}".encode()).digest()[:8], "big")
    folder.mkdir()
    try:
        case.act(_good, folder, random.Random(number), report)
    except Exception:  # noqa: BLE001 - a fault of the torture itself is told like any other
        report.broken.append(f"the torture itself failed: {traceback.format_exc()}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report


@functools.cache
def all_cases() -> Mapping[str, Case]:
    """Every case by its name, STAGE/CASE."""
    return {str(case): case for cases in STAGES.values() for case in cases()}


def isolate(good: Reference) -> None:
    """Get a worker ready, which keeps what is `good` from then on."""
    global _good  # noqa: PLW0603 - what a worker of a pool has to know
    _good = good
    _unshare()


def _unshare() -> None:
    """From now on this process has a network and mounts of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET | _CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def make_reference(folder: Path) -> Reference:
    """The mirror, and what is built from it when nothing goes wrong."""
    with ProcessPoolExecutor(1, get_context("spawn"), _unshare) as worker:
        return worker.submit(_made_reference, folder).result()


def _made_reference(folder: Path) -> Reference:
    (folder / "upstream").mkdir(parents=True)
    upstream = make_upstream(folder / "upstream", ensure_mirror())
    shutil.rmtree(folder / "upstream")
    made = {}
    for name in ("plain", "mirrored"):
        scene = make_scene(folder / name, upstream, mirrors=name == "mirrored")
        with lie(upstream.files) as lies:
            done = build(scene)
        if done.code:
            raise RuntimeError(done.said)
        scene.good = done.said.split()[-1]
        if rules := broken_rules(scene, done, {0}):
            raise RuntimeError(f"{rules}")
        made[name] = scene.home, scene.good
        del lies
    return Reference(upstream, made["plain"][0], made["mirrored"][0], made["plain"][1], made["mirrored"][1])
