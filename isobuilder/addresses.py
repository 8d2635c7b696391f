"""Where files lie: on servers, in folders, and inside ISOs. How people write it, and the one form that the lock has.

An ISO is written as a folder is: `CentOS-7.iso/Packages/` lies inside. Which parts of a path are folders and which an
ISO is not known here.
"""

import re
from typing import Annotated, Final
from urllib.parse import quote

from isobuilder.schema import Matching

FILE: Final = "file://"
# No user name or password: an address stands in the lock, which is kept in version control.
_HTTP: Final = r"https?://[^@/?# ]+(?:[/?#][!-~]*)?"
_NO_SCHEME: Final = r"(?![A-Za-z][A-Za-z0-9+.-]*:)"

Url = Annotated[str, Matching(_HTTP, "an http:// or https:// address without a user name")]
# As people write it in a definition, and in a release or product file: paths are below the definition's folder.
Source = Annotated[
    str,
    Matching(
        rf"{_HTTP}|file:///[!-~]+|{_NO_SCHEME}[^\x00-\x1f\x7f\\?#]{{1,400}}",
        "an http:// or https:// address without a user name, a file:/// address, or a path",
    ),
]
# A `Source` that paths are put behind.
Folder = Annotated[Source, Matching(r"[^?#]*", "an address of a folder: no path could be put behind its ? or #")]
# As it stands in the lock: paths are quoted, and absolute ones are file:/// addresses.
Address = Annotated[str, Matching(rf"{_HTTP}|file:///[!-~]+|{_NO_SCHEME}(?!/)[!-~]+", "an address")]


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
