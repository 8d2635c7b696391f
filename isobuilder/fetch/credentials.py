"""Names and passwords for servers out of the environment, for where no file may lie: ISOBUILDER_CREDENTIALS."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from isobuilder.errors import UsageError

VARIABLE: Final = "ISOBUILDER_CREDENTIALS"
_PORTS: Final = {"http": 80, "https": 443}

# Scheme, host and port: who is asked, exactly.
Origin = tuple[str, str, int]


def credentials(environ: Mapping[str, str]) -> dict[Origin, tuple[str, str]]:
    """Name and password for each server: the variable has addresses https://NAME:PASSWORD@HOST/, parted by spaces.

    In a name or a password, what has a meaning in an address is written %XX. Raises UsageError, which repeats nothing.
    """
    found: dict[Origin, tuple[str, str]] = {}
    for number, address in enumerate(environ.get(VARIABLE, "").split(), start=1):
        try:
            parts = urlsplit(address)
            whom = origin(address)
        except ValueError:
            whom, parts = None, urlsplit("")
        if whom is None or parts.username is None or parts.password is None or parts.path not in {"", "/"}:
            raise UsageError(
                f"{VARIABLE}: its address {number} is not one of the form https://NAME:PASSWORD@HOST/",
                hint="Write / @ : and the like in a name or a password as %2F, %40, %3A.",
            )
        found[whom] = unquote(parts.username), unquote(parts.password)
    return found


def origin(address: str) -> Origin | None:
    """Who is asked at an address; None for what is no address of a server. Raises ValueError for nonsense."""
    parts = urlsplit(address)
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]
