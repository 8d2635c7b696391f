"""The scripts of a kickstart: run in the installer's system or in the installed one, each with its log."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .tools import FailureError, Tools

# Where Anaconda has the output of a script that names no log.
LOGS = Path("/tmp")
_TAIL = 20


def run_scripts(tools: Tools, scripts: Iterable[Any], name: str, root: Path, logs: Path = LOGS) -> None:
    """Run these sections one after the other. Raises FailureError for one that fails and has --erroronfail."""
    chosen = list(scripts)
    for number, script in enumerate(chosen, 1):
        inside = root if script.inChroot else Path("/")
        where = " in the installed system" if script.inChroot else ""
        tools.say(f"{name} {number} of {len(chosen)}{where}")
        log = Path(f"{inside}{script.logfile}") if script.logfile else logs / f"ks-script-{name[1:]}-{number}.log"
        status = _run(script, inside, log)
        if status:
            what = f"{name} of line {script.lineno} ended with status {status}"
            if script.errorOnFail:
                raise FailureError(what, log.read_text(encoding="utf-8", errors="replace"))
            tools.say(f"{what}, and has no --erroronfail: going on")
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]:
                tools.say(f"  {line}")


def _run(script: Any, inside: Path, log: Path) -> int:
    file = inside / "tmp" / f"ks-script-{script.lineno}"
    file.write_text(script.script, encoding="utf-8")
    file.chmod(0o700)
    log.parent.mkdir(parents=True, exist_ok=True)
    change = ["chroot", str(inside)] if inside != Path("/") else []
    command = [*change, *script.interp.split(), f"/tmp/{file.name}"]
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False, cwd="/"
            )
        except OSError as error:
            raise FailureError(f"{script.interp} of line {script.lineno}: {error.strerror}") from error
    file.unlink()
    return done.returncode
