"""Every way isobuilder can fail, one class for each thing a caller would do about it.

This module imports nothing of ours. The exit codes are part of the interface: see the README.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import ClassVar, Self


class IsobuilderError(Exception):
    """A failure that says what happened, where, and what to do.

    `message` is one sentence; `details` are the single findings, one line each, all of them;
    `hint` is what the reader can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, details: Iterable[str] = (), hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        self.hint = hint


class UsageError(IsobuilderError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class DefinitionError(IsobuilderError):
    """The definition, or a file of data that it names, is wrong."""

    exit_code = 3


class AnswersError(IsobuilderError):
    """Answers for the wizard cannot be, alone or together."""

    exit_code = 3


class KickstartError(IsobuilderError):
    """A role's kickstart does not render, or the installer of the release would not take it."""

    exit_code = 3


class LockError(IsobuilderError):
    """The lock cannot be read, or was made from something else."""

    exit_code = 3


class FetchError(IsobuilderError):
    """Something could not be downloaded."""

    exit_code = 4


class TrustError(IsobuilderError):
    """A signature, a key or a checksum is not the one that was promised."""

    exit_code = 5


class DamagedError(TrustError):
    """The files at `paths` in the cache are not what they were when they came: without them, they come again."""

    def __init__(self, message: str, paths: Iterable[Path], *, details: Iterable[str] = ()) -> None:
        super().__init__(
            message,
            details=details,
            hint="isobuilder cache verify removes them; then they are fetched again. The disk may be failing.",
        )
        self.paths = tuple(paths)

    @classmethod
    def together(cls, message: str, errors: Collection["DamagedError"]) -> Self:
        """One error for all that `errors` say."""
        return cls(message, [path for each in errors for path in each.paths], details=[each.message for each in errors])


class ResolveError(IsobuilderError):
    """The packages of a role do not resolve, or a name is unknown."""

    exit_code = 6


class HostError(IsobuilderError):
    """This machine lacks space, permission or a tool."""

    exit_code = 7


class MediumError(IsobuilderError):
    """The medium cannot be made as asked, or a finished one fails a check."""

    exit_code = 8


class BootError(IsobuilderError):
    """A boot did not get where it should."""

    exit_code = 8
