"""The torture harness: that it runs, and that each of its rules finds what breaks it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.torture.faults import FAULTS
from tests.torture.judge import MOST_MEMORY, ROOT, Run, Scene, broken_rules, make_scene
from tests.torture.lyingserver import once_each, sometimes
from tests.torture.upstream import ISO, Upstream

GOOD = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c"
DONE = Run(0, "", 1.0, 50 << 20)


@pytest.mark.practice
@pytest.mark.skipif(os.geteuid() != 0, reason="it makes networks and disks of its own, and that takes root")
def test_a_case_of_each_stage(mirror: Path) -> None:
    words = [sys.executable, "-m", "tests.torture", "--seed", "1", "--few", "1"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 cases" in done.stderr
    figures = {line[:40].strip(): line[40:].strip() for line in done.stdout.splitlines()}
    for name in ("tracebacks", "bytes lost", "rules broken", "sockets opened offline"):
        assert figures[name] == "0"
    for name in ("requests mangled", "kills", "of them ended in the same sha256", "hostile inputs", "offline runs"):
        assert figures[name] != "0", name


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return make_scene(tmp_path, Upstream({}, "0" * 40), GOOD)


def finish(scene: Scene, data: bytes = b"good") -> None:
    scene.iso.write_bytes(data)
    (scene.output / f"{ISO}.sha256").touch()


def entry(scene: Scene) -> Path:
    path = scene.cache / "sha256/ab" / ("ab" * 32)
    path.parent.mkdir(parents=True)
    return path


def finish_and(act: Callable[[Scene], object]) -> Callable[[Scene], None]:
    def do(scene: Scene) -> None:
        finish(scene)
        act(scene)

    return do


BREAKS: dict[str, tuple[Callable[[Scene], object], Run]] = {
    "exit 1, and not one of": (lambda scene: None, Run(1, "error: nothing of the kind\n", 1.0, 0)),
    "exit 77 is not documented": (lambda scene: None, Run(77, "error: nothing of the kind\n", 1.0, 0)),
    "a traceback": (finish, Run(0, "Traceback (most recent call last)", 1.0, 0)),
    "no line that says": (lambda scene: None, Run(4, "no.\n", 1.0, 0)),
    "without a word on how to go on": (lambda scene: None, Run(130, "", 1.0, 0)),
    "it took 1000 seconds": (finish, Run(0, "", 1000.0, 0)),
    "MiB of memory": (finish, Run(0, "", 1.0, MOST_MEMORY + 1)),
    "exit 0, and no ISO": (lambda scene: None, DONE),
    "has the final name, and not": (lambda scene: finish(scene, b"bad"), DONE),
    "no .sha256 beside": (lambda scene: scene.iso.write_bytes(b"good"), DONE),
    "without an ISO there are": (
        lambda scene: (scene.output / "x").touch(),
        Run(4, "error: x: far too little", 1.0, 0),
    ),
    "escaped is not what it was": (finish_and(lambda scene: (scene.folder / "escaped").touch()), DONE),
    "media.toml is not what it was": (finish_and(lambda scene: (scene.home / "media.toml").write_text("")), DONE),
    "temporary files are left": (finish_and(lambda scene: (scene.temporary / "x").touch()), DONE),
    "parts are left": (finish_and(lambda scene: (scene.output / ".x.part").touch()), DONE),
    "the cache has a wrong file": (finish_and(lambda scene: entry(scene).write_bytes(b"x")), DONE),
}


@pytest.mark.parametrize("words", BREAKS)
def test_what_breaks_a_rule_is_found(words: str, scene: Scene) -> None:
    act, done = BREAKS[words]
    act(scene)
    broken = broken_rules(scene, done, {0, 4, 130})
    assert [line for line in broken if words in line], broken


def test_what_breaks_no_rule_is_not_found(scene: Scene) -> None:
    finish(scene)
    assert broken_rules(scene, DONE, {0}) == []
    scene.iso.unlink()
    (scene.output / f"{ISO}.sha256").unlink()
    assert broken_rules(scene, Run(4, "error: far: too little came\n", 1.0, 0), {4}) == []


def test_faults_are_dealt_out_by_seed_path_and_time_alone() -> None:
    asked = [(f"/{path}", times) for path in range(50) for times in (1, 2, 3)]
    one, again, other = ([sometimes(seed, 0.3)(path, times) for path, times in asked] for seed in (1, 1, 2))
    assert one == again != other
    assert 0.15 < sum(name is not None for name in one) / len(one) < 0.45
    assert set(one) - {None} <= FAULTS.keys()


def test_each_file_has_its_fault_once_and_no_fault_is_left_out() -> None:
    paths, names = ("/b", "/a", "/c"), ("zeros", "noise")
    once = once_each(paths, names, 1)
    assert [once(path, 1) for path in ("/a", "/b", "/c", "/d")] == ["noise", "zeros", "noise", None]
    assert [once("/a", times) for times in (2, 3)] == [None, None]
    after = once_each(paths, names, 0, before="reset_at_once")
    assert [after("/a", times) for times in (1, 2, 3)] == ["reset_at_once", "zeros", None]
