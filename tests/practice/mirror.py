"""The practice mirror as others use it: made when it is missing, kept in a cache, described by a demo definition."""

import fcntl
import hashlib
import json
import os
import shutil
import string
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.practice import host
from tests.practice.making import Listener, make_mirror, unheard

_HERE = Path(__file__).parent
DEMO = _HERE / "demo"
# Files of the demo that name the mirror's address and key.
_ADDRESSED = frozenset({"practice.toml", "product.toml"})
# What changes no byte of a mirror.
_NOT_IN_RECIPE = frozenset({"README.md", "__main__.py", "mirror.py", "server.py"})


def ensure_mirror(cache: Path | None = None, listener: Listener = unheard) -> Path:
    """The folder of the mirror (`os/`, `extras/`, `eucalyptus/`), made first when it is missing (about two minutes).

    It is named after everything that it is made from: this recipe, and the versions of the Debian packages. Processes
    that want it at once get one, made once. Raises HostError when this host cannot make it.
    """
    root = cache or cache_folder(os.environ)
    root.mkdir(parents=True, exist_ok=True)
    key = _key()
    mirror = root / key
    if mirror.exists():
        return mirror
    with locked(root / f"{key}.lock"):
        if not mirror.exists():
            # A process that was killed left these, and nobody else makes this mirror now.
            for part in root.glob(f"{key}.part-*"):
                shutil.rmtree(part)
            with tempfile.TemporaryDirectory(dir=root, prefix=f"{key}.part-") as folder:
                part = Path(folder) / "mirror"
                part.mkdir()
                make_mirror(part, listener)
                part.rename(mirror)
    return mirror


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where mirrors are kept, by the rules of the XDG base directories."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isobuilder-practice"


def unattended(password_hash: str, ssh_keys: Sequence[str] = (), *, reinstall: bool = False) -> str:
    """What the demo's table [install] needs besides, so that nobody is asked: any disk that a system fits on.

    `password_hash` is root's, as crypt writes it; `ssh_keys` are lines of authorized_keys.
    """
    # JSON's text and lists are TOML's too.
    lines = {
        "root-password": json.dumps(password_hash),
        "ssh-keys": json.dumps(list(ssh_keys)),
        "disk": '{ min-size = "10GB" }',
        "reinstall": json.dumps(reinstall),
    }
    return "".join(f"{key} = {value}\n" for key, value in lines.items())


def write_demo(
    folder: Path, base_url: str, mirror: Path | None = None, *, tables: Mapping[str, str] | None = None
) -> Path:
    """Write the demo's definition, release file, product and role into `folder`; gives the path of the definition.

    `base_url` is where the mirror's folder is served, without a slash at the end. `tables` has lines of TOML to add to
    the definition's tables, by their names: {"install": unattended(...), "answers": "ntp = ..."}.
    """
    made = mirror or ensure_mirror()
    facts = {"base_url": base_url, "fingerprint": (made / "fingerprint").read_text(encoding="ascii").strip()}
    for source in sorted(path for path in DEMO.rglob("*") if path.is_file()):
        text = source.read_text(encoding="utf-8")
        if source.name in _ADDRESSED:
            text = string.Template(text).substitute(facts)
        if source.name == "media.toml":
            for name, lines in (tables or {}).items():
                text = _added(text, name, lines)
        target = folder / source.relative_to(DEMO)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return folder / "media.toml"


def build_demo(
    folder: Path, base_url: str, mirror: Path, *options: str, tables: Mapping[str, str] | None = None
) -> int:
    """Write the demo into `folder` and build its ISO there, with more options; gives the command's exit code.

    It takes what the mirror has now: a lock of an earlier mirror, or of one at another port, is of no use.
    """
    definition = write_demo(folder, base_url, mirror, tables=tables)
    for lock in folder.glob("*.lock"):
        lock.unlink()
    build = [sys.executable, "-m", "isobuilder", "build", str(definition), "--output-dir", str(folder), "--force"]
    return subprocess.run([*build, *options], check=False).returncode


def _added(text: str, table: str, lines: str) -> str:
    """The TOML `text` with `lines` in its table of that name, which comes last when it is not there."""
    header = f"[{table}]\n"
    before, found, after = text.partition(f"\n{header}")
    return f"{before}{found}{lines}{after}" if found else f"{text}\n{header}{lines}"


def _key() -> str:
    parts = {
        "recipe": {
            str(path.relative_to(_HERE)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(_HERE.rglob("*"))
            if path.is_file() and path.suffix != ".pyc" and path.name not in _NOT_IN_RECIPE and DEMO not in path.parents
        },
        "host": host.installed_versions(host.required_packages()),
        "system": host.payload_versions(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for every other process that has `path` locked, and keep others waiting while the context lasts."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
