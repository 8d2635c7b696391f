"""A run of the command line, and the rules that every run is judged by, whatever was done to it."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import loopback_environ
from tests.torture.upstream import ISO, LOCK, Upstream, write_definition

ROOT = Path(__file__).resolve().parents[2]
# A whole mirror is to be handled in half a gigabyte; what is tortured is tiny.
MOST_MEMORY = 512 << 20
# Longer than any chain of faults may hold a run with a timeout of a second.
LONGEST = 120.0
TIMEOUT = "1"
_CEILING = 6 << 30
_DOCUMENTED = {0, 2, 3, 4, 5, 6, 7, 8, 130}


@dataclass(frozen=True)
class Run:
    """What came of a run: its exit code (negative: the signal that ended it), words, seconds, and bytes at most."""

    code: int
    said: str
    seconds: float
    memory: int


@dataclass
class Scene:
    """A folder with a definition, a cache and an output, and what must not change beside them."""

    folder: Path
    good: str = ""
    outside: dict[str, str] = field(default_factory=dict)
    own_too: list[Path] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "a/b/home"

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    @property
    def output(self) -> Path:
        return self.home / "output"

    @property
    def temporary(self) -> Path:
        return self.home / "tmp"

    @property
    def lock(self) -> Path:
        return self.home / LOCK

    @property
    def iso(self) -> Path:
        return self.output / ISO


def make_scene(folder: Path, upstream: Upstream, good: str = "", *, mirrors: bool = False) -> Scene:
    """A new scene in `folder`. `good` is the sha256 that a finished ISO must have, where that is known."""
    scene = Scene(folder, good)
    for place in (scene.home, scene.output, scene.temporary):
        place.mkdir(parents=True)
    write_definition(scene.home, upstream, mirrors=mirrors)
    look_around(scene)
    return scene


def look_around(scene: Scene) -> None:
    """What there is now beside cache, output and lock is what has to be there afterwards."""
    scene.outside = dict(_outside(scene))


def run(
    scene: Scene,
    *words: str,
    environ: Mapping[str, str] | None = None,
    wrapper: Sequence[str] = (),
    during: Callable[["subprocess.Popen[bytes]"], None] | None = None,
    cwd: Path | None = None,
) -> Run:
    """`isobuilder` with `words`, `--cache-dir` among them; `during` is shown the process while it runs."""
    # What grows without end is to be found, and not to take the whole machine along.
    command = ["prlimit", f"--as={_CEILING}", *wrapper, sys.executable, "-m", "isobuilder", *words]
    log = scene.folder / "said"
    began = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=cwd or scene.home,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**_environ(scene), **(environ or {})},
            start_new_session=True,
        )
        try:
            if during:
                during(process)
            status, memory = _waited(process, began)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    seconds = time.monotonic() - began
    said = log.read_text(encoding="utf-8", errors="replace")
    log.unlink()
    return Run(status, said, seconds, memory)


def build(scene: Scene, *words: str, **more: object) -> Run:
    """`isobuilder build` into the scene's output; the page about the medium is left out for speed."""
    options = ("--cache-dir", os.fspath(scene.cache), "--output-dir", os.fspath(scene.output), "--no-report")
    return run(scene, "build", *options, *words, **more)  # type: ignore[arg-type]


def broken_rules(
    scene: Scene, done: Run, codes: set[int], *, left_open: bool = False, builds: bool = True
) -> list[str]:
    """What is wrong with a run that may end with one of `codes`, a line each; `left_open` after a kill.

    With `builds`, an ISO has to come of exit 0.
    """
    broken = list(_of_the_run(done, codes))
    broken += _of_the_output(scene, done, builds=builds)
    broken += _of_the_surroundings(scene, left_open=left_open)
    return [*broken, *(f"the cache has a wrong file: {path.name}" for path in wrong_entries(scene.cache))]


def wrong_entries(cache: Path) -> list[Path]:
    """Files of the cache that are not what their names say."""
    return [path for path in cache.glob("sha256/??/*") if path.is_file() and sha256_of(path) != path.name]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_the_run(done: Run, codes: set[int]) -> Iterator[str]:
    if done.code not in codes | ({-signal.SIGKILL} & codes):
        yield f"exit {done.code}, and not one of {sorted(codes)}"
    # `diff` and `reproduce` alone have a good exit 1: it is among their codes.
    if done.code >= 0 and done.code not in _DOCUMENTED | (codes & {1}):
        yield f"exit {done.code} is not documented"
    if "Traceback" in done.said or "a bug." in done.said:
        yield "a traceback"
    if done.code > 0 and done.code != 130 and not re.search(r"^(?:error: \S+ .{10}|Usage: )", done.said, re.MULTILINE):
        yield "no line that says what is wrong"
    if done.code == 130 and "interrupted; run it again to go on" not in done.said:
        yield "an interrupt without a word on how to go on"
    if done.seconds > LONGEST:
        yield f"it took {done.seconds:.0f} seconds"
    if done.memory > MOST_MEMORY:
        yield f"it took {done.memory >> 20} MiB of memory"


def _of_the_output(scene: Scene, done: Run, *, builds: bool) -> Iterator[str]:
    names = (
        {path.name for path in scene.output.iterdir() if not path.name.startswith(".")}
        if scene.output.is_dir()
        else set()
    )
    if builds and done.code == 0 and scene.good and ISO not in names:
        yield "exit 0, and no ISO"
    if ISO in names:
        sha256 = sha256_of(scene.iso)
        if scene.good and sha256 != scene.good:
            yield f"an ISO of sha256 {sha256} has the final name, and not {scene.good}"
        if done.code == 0 and f"{ISO}.sha256" not in names:
            yield "the ISO has no .sha256 beside it"
    elif names:
        yield f"without an ISO there are {', '.join(sorted(names))}"


def _of_the_surroundings(scene: Scene, *, left_open: bool) -> Iterator[str]:
    now = dict(_outside(scene))
    for path in sorted(now.keys() | scene.outside.keys()):
        if now.get(path) != scene.outside.get(path):
            yield f"beside cache and output, {path} is not what it was"
    left = [path.name for path in scene.temporary.iterdir()] if scene.temporary.is_dir() else []
    if left and not left_open:
        yield f"temporary files are left: {', '.join(left)}"
    parts = [path.name for path in scene.output.glob(".*")] if scene.output.is_dir() else []
    if parts and not left_open:
        yield f"parts are left in the output: {', '.join(parts)}"


def _outside(scene: Scene) -> Iterator[tuple[str, str]]:
    """Every file of the scene that no run may touch, and what it holds."""
    own = (*scene.own_too, scene.cache, scene.output, scene.temporary, scene.lock, scene.folder / "said")
    waiting = [scene.folder]
    while waiting:
        for path in waiting.pop().iterdir():
            if path in own or (path.parent == scene.home and re.fullmatch(rf"\.{LOCK}\.part", path.name)):
                continue
            if path.is_dir() and not path.is_symlink():
                waiting.append(path)
                yield f"{path}/", ""
            elif path.is_file():
                yield str(path), sha256_of(path)
            else:
                yield str(path), "special"


def _environ(scene: Scene) -> dict[str, str]:
    own = {
        "PYTHONPATH": os.fspath(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "HOME": os.fspath(scene.home), "COLUMNS": "100",
        "TMPDIR": os.fspath(scene.temporary), "ISOBUILDER_TIMEOUT": TIMEOUT, "NETRC": os.fspath(scene.home / "netrc"),
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    return {**loopback_environ(), **own}


def _memory(pid: int) -> int:
    """What it took at most so far, in bytes. What wait4 says is as much as its parent's, from before it was itself."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+([0-9]+) kB$", text, re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def _waited(process: "subprocess.Popen[bytes]", began: float) -> tuple[int, int]:
    """Once it has ended by itself or for its lateness: its exit code, and the most bytes of memory."""
    most = 0
    while True:
        pid, status = os.waitpid(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, most
        most = max(most, _memory(process.pid))
        if time.monotonic() - began > LONGEST + 30:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.01)
