"""What the operating system refuses, in our words."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from isobuilder.errors import HostError


@contextmanager
def host_errors(about: Path | str, *, hint: str = "") -> Iterator[None]:
    """Every OSError meanwhile becomes a HostError: what it is `about`, what the system says, and the hint."""
    try:
        yield
    except OSError as error:
        raise HostError(f"{about}: {error.strerror or error}", hint=hint) from error


def scratch_errors() -> AbstractContextManager[None]:
    """As host_errors, while temporary files are made and written."""
    return host_errors("temporary files", hint="TMPDIR names another folder for them, with space and permission.")
