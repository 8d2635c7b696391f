"""What a release's installer takes as a kickstart, asked of pykickstart: sections of a text, and single lines."""

import functools
import warnings
from collections.abc import Iterator

import pykickstart.errors
import pykickstart.parser
import pykickstart.version

from isobuilder.errors import KickstartError


def sections(text: str, *, keepends: bool = False) -> Iterator[tuple[str, int, str]]:
    """Each line with the section that it stands in ("" outside, "%post") and its number from 1."""
    section = ""
    for number, line in enumerate(text.splitlines(keepends), start=1):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if word == "%end":
            yield section, number, line
            section = ""
        elif not section and word.startswith("%") and word not in ("%include", "%ksappend"):
            section = word
            yield "", number, line
        else:
            yield section, number, line


def handler(syntax: str) -> object:
    """pykickstart's handler for a syntax by its name ("RHEL9"). Raises KickstartError for one that it does not know."""
    try:
        return pykickstart.version.makeVersion(pykickstart.version.stringToVersion(syntax))
    except (pykickstart.errors.KickstartVersionError, KeyError) as error:
        raise KickstartError(f"pykickstart knows no syntax {syntax!r}") from error


@functools.cache
def accepts(line: str, syntax: str) -> bool:
    """Whether the installer takes `line` as a command, deprecated or not.

    Templates ask this instead of which release they are for: `accepts("sshkey --username=root key")`.
    """
    parser = pykickstart.parser.KickstartParser(handler(syntax), followIncludes=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pykickstart.errors.KickstartWarning)
        try:
            parser.readKickstartFromString(f"{line}\n")
        except (pykickstart.errors.KickstartError, ValueError, LookupError, TypeError, AttributeError):
            return False
    return True
