"""The Pythons that the wizard is tried on: the tests' own, and 3.6 and 3.13 where this machine has them.

ISOBUILDER_PYTHONS names interpreters, with colons between them; without it they are looked for on PATH and where pyenv
keeps them. What is not there is said by the tests that want it.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

WANTED = ("3.6", "3.13")


@functools.cache
def find_python(version: str) -> str | None:
    """An interpreter of this version that works, or None."""
    named = [path for path in os.environ.get("ISOBUILDER_PYTHONS", "").split(":") if path]
    on_path = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    kept = sorted(str(path) for path in pyenv.glob(f"{version}.*/bin/python{version}"))
    candidates = [*named, *([on_path] if on_path else []), *kept]
    return next((path for path in candidates if _version(path) == version), None)


def every_python() -> dict[str, str]:
    """Interpreters by version: the tests' own, and those that were found."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {version: path for version in WANTED if (path := find_python(version))}
    return {own: sys.executable, **found}


def _version(path: str) -> str | None:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
