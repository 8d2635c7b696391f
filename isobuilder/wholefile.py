"""Small files that are written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from isobuilder.hosterrors import host_errors

_SUFFIX = ".part"


def write_whole(path: Path, text: str, *, mode: int | None = None, hint: str = "") -> None:
    """Write `text` to a temporary file beside `path`, and give it that name when it is on the disk.

    Any number may write to `path` at the same time: one of them is the last. `mode` are the file's permissions; without
    it they are as the umask has it. Raises HostError with `hint`, and leaves nothing then.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_SUFFIX}")
    with host_errors(f"{path}: cannot be written", hint=hint):
        try:
            with part.open("x", encoding="utf-8") as file:
                if mode is not None:
                    os.fchmod(file.fileno(), mode)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def leftovers(path: Path) -> Iterator[Path]:
    """Temporary files for `path` whose writers were killed, or are at work."""
    start = f".{path.name}."
    return (each for each in path.parent.iterdir() if each.name.startswith(start) and each.suffix == _SUFFIX)
