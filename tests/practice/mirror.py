"""The practice mirror as others use it: made when it is missing, kept in a cache, described by a demo definition."""

import fcntl
import hashlib
import json
import os
import shutil
import string
import tempfile
from collections.abc import Iterator, Mapping
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


def write_demo(folder: Path, base_url: str, mirror: Path | None = None) -> Path:
    """Write the demo's definition, release file, product and role into `folder`; gives the path of the definition.

    `base_url` is where the mirror's folder is served, without a slash at the end.
    """
    made = mirror or ensure_mirror()
    facts = {"base_url": base_url, "fingerprint": (made / "fingerprint").read_text(encoding="ascii").strip()}
    for source in sorted(path for path in DEMO.rglob("*") if path.is_file()):
        text = source.read_text(encoding="utf-8")
        if source.name in _ADDRESSED:
            text = string.Template(text).substitute(facts)
        target = folder / source.relative_to(DEMO)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return folder / "media.toml"


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
