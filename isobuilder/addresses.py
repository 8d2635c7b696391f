"""Where files lie: on servers, in folders, and inside ISOs. How people write it, and the one form that the lock has.

An ISO is written as a folder is: `CentOS-7.iso/Packages/` lies inside. Which parts of a path are folders and which an
ISO is not known here.
"""

import re
from typing import Annotated, Final
from urllib.parse import quote, unquote

from pydantic import AfterValidator

from isobuilder.schema import Matching

FILE: Final = "file://"
# No user name or password: an address stands in the lock, which is kept in version control.
_HTTP: Final = r"https?://[^@/?# ]+(?:[/?#][!-~]*)?"
_NO_SCHEME: Final = r"(?![A-Za-z][A-Za-z0-9+.-]*:)"
# What servers call a secret in an address that they give to one customer alone.
_SECRET: Final = re.compile(
    r".*(?:token|secret|passw(?:or)?d|passphrase|signature|credentials?|jwt)"
    r"|(?:.*[-_.])?(?:auth|authorization|sig|pwd|pass|session(?:id)?)"
    r"|.*(?:api|access|private|secret|auth)[-_.]?key(?:[-_.]?id)?",
    re.IGNORECASE,
)


def _without_credentials(value: str) -> str:
    """The address as it is. Raises ValueError, which does not repeat it, for one with a name or a secret in it."""
    found = re.match(r"[a-z][a-z0-9+.-]*://([^/?#]*)(.*)", value, re.IGNORECASE | re.DOTALL)
    # A password with a slash ends what looks like the server.
    if found and ("@" in found[1] or ("@" in found[2] and re.search(r":(?![0-9]*$)", found[1]))):
        raise ValueError(
            "an address may have no user name or password, since it stands in the lock. Put these into ~/.netrc "
            "(machine HOST login NAME password WORD), or into ISOBUILDER_CREDENTIALS (https://NAME:WORD@HOST/)"
        )
    for parameter in re.split(r"[?#&;]", value)[1:]:
        name, equals, secret = parameter.partition("=")
        if equals and secret and _SECRET.fullmatch(unquote(name)):
            raise ValueError(
                f"an address may have no secret in its query, as {name[:40]!r} seems to be: it stands in the lock, on "
                "the medium and in what is told. Where the server takes a name and a password too, put these into "
                "~/.netrc or ISOBUILDER_CREDENTIALS (https://NAME:WORD@HOST/); else fetch the file, and name its path"
            )
    return value


_Clean = Annotated[str, AfterValidator(_without_credentials)]

Url = Annotated[_Clean, Matching(_HTTP, "an http:// or https:// address without a user name")]
# As people write it in a definition, and in a release or product file: paths are below the definition's folder.
Source = Annotated[
    _Clean,
    Matching(
        rf"{_HTTP}|file:///[!-~]+|{_NO_SCHEME}[^\x00-\x1f\x7f\\?#]{{1,400}}",
        "an http:// or https:// address without a user name, a file:/// address, or a path",
    ),
]
# A `Source` that paths are put behind.
Folder = Annotated[Source, Matching(r"[^?#]*", "an address of a folder: no path could be put behind its ? or #")]
# As it stands in the lock: paths are quoted, and absolute ones are file:/// addresses.
Address = Annotated[_Clean, Matching(rf"{_HTTP}|file:///[!-~]+|{_NO_SCHEME}(?!/)[!-~]+", "an address")]


def is_local(address: str) -> bool:
    """Whether `address` leads to a file of this machine."""
    return not re.match(r"https?://", address)


def as_address(source: str) -> str:
    """A `Source` as an `Address`."""
    if re.match(r"https?://|file://", source):
        return source
    path = quote(source, safe="/~+^:=@,()!$&'*;")
    if path.startswith("/"):
        return f"{FILE}{path}"
    return re.sub(r"^(?:\./+)+", "", path) or "."


def below(folder: str, path: str) -> str:
    """The address of what lies at `path`, which is quoted, below the address `folder`."""
    return f"{folder.rstrip('/')}/{path}"
