"""Persistence: what is asked for is asked again, of the next mirror where there are several, until it has come.

A mirror that fails is avoided from then on, as long as there is a better one. It knows nothing of files: what counts as
having come is for the attempt to say.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from isobuilder.errors import FetchError, IsobuilderError, TrustError
from isobuilder.fetch.standing import Pace, Standing
from isobuilder.fetch.transfer import BrokenTransferError, Patience, RefusedError, SlowError, shown
from isobuilder.progress import Progress

T = TypeVar("T")

# An attempt that brought this much was worth it: attempts are counted anew.
_WORTH: Final = 1 << 20
_LATER: Final = "Run it again when the network is better: what has come is kept. Is the address right?"


@dataclass(frozen=True)
class Place:
    """Where a file lies: at `path` below each of `mirrors`, addresses that end in a slash, best first.

    A file at one address has that for its only mirror, and no path.
    """

    mirrors: tuple[str, ...]
    path: str = ""


class Persistence:
    """Repeats attempts as `patience` says, and tells `progress`; `clock` and `sleep` count seconds."""

    def __init__(
        self, patience: Patience, progress: Progress, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._patience = patience
        self._progress = progress
        self._clock = clock
        self._sleep = sleep
        self._standing = Standing(patience.budget)

    def persist(self, place: Place, attempt: Callable[[str, Pace], T], furthest: Callable[[], int] = lambda: 0) -> T:
        """What `attempt` makes of the place at one mirror, an address; it may tell the pace what comes.

        A transfer that breaks is repeated; a mirror that refuses the file, or has another one, is not asked for it
        again. `furthest` says how far any attempt came: it only grows, so that attempts end even with servers that lie.

        Raises what the only mirror came to, or one error that names all of them: TrustError when any of them has
        something else than was promised, RefusedError when all refuse, else FetchError.
        """
        broke: Counter[str] = Counter()
        said: dict[str, IsobuilderError] = {}
        left = list(place.mirrors)
        failures = 0
        # However speeds change, a file is not handed round for ever.
        moves = 2 * len(left)
        while True:
            mirror = self._standing.choose(left, broke)
            before = furthest()
            # What is slow and comes is not left for what broke.
            others = [other for other in left if other != mirror and not broke[other]] if moves else []
            try:
                found = attempt(mirror + place.path, Pace(self._standing, self._patience, self._clock, mirror, others))
            except SlowError as error:
                moves -= 1
                failures = 0
                self._progress.note(f"{shown(mirror + place.path)}: {error}; trying another mirror")
            except BrokenTransferError as error:
                broke[mirror] += 1
                was_worth = furthest() - before >= _WORTH
                failures = 1 if was_worth else failures + 1
                ending = self._ending(failures, len(place.mirrors), may_repeat=was_worth or self._standing.spend())
                said[mirror] = FetchError(f"{shown(mirror + place.path)}: {error}{ending}", hint=_LATER)
                if ending:
                    raise _all(said, place) from error
                self._standing.blame(mirror)
                self._pause(mirror + place.path, error, failures, alone=len(left) == 1)
            except (FetchError, TrustError) as error:
                said[mirror] = error
                left.remove(mirror)
                self._standing.blame(mirror)
                if not left:
                    raise _all(said, place) from error
                self._tell(error)
            else:
                self._standing.earn(mirror)
                return found

    def _ending(self, failures: int, mirrors: int, *, may_repeat: bool) -> str:
        """Why so many failures in a row are the last, or nothing."""
        if failures >= max(self._patience.attempts, mirrors):
            return f" (attempt {failures}, the last)"
        if not may_repeat:
            return f" (attempt {failures}; too many transfers broke to repeat any)"
        return ""

    def _pause(self, url: str, error: BrokenTransferError, failures: int, *, alone: bool) -> None:
        """Wait for the only mirror; ask another at once, but no third one: then the trouble may be on our side."""
        if alone:
            pause = max(self._patience.pause(failures), error.after)
        else:
            pause = self._patience.pause(failures - 1) if failures > 1 else 0.0
        when = f" in {pause:.0f} s" if pause else ""
        again = (
            f"trying again{when} ({failures} of {self._patience.attempts})" if alone else f"trying another mirror{when}"
        )
        self._progress.note(f"{shown(url)}: {error}; {again}")
        if pause:
            self._sleep(pause)

    def _tell(self, error: IsobuilderError) -> None:
        # A mirror whose bytes are wrong is worth a warning, even when the next one's are right.
        tell = self._progress.warning if isinstance(error, TrustError) else self._progress.note
        tell(f"{_line(error)}; trying another mirror")


def _all(said: Mapping[str, IsobuilderError], place: Place) -> IsobuilderError:
    """What all mirrors came to, as one error."""
    errors = list(said.values())
    if len(place.mirrors) == 1:
        return errors[0]
    message = f"{place.path}: no mirror has it as it should be, of {len(place.mirrors)}"
    refusals = [error.status for error in errors if isinstance(error, RefusedError)]
    together: IsobuilderError
    if any(isinstance(error, TrustError) for error in errors):
        together = TrustError(message)
    elif len(refusals) == len(errors):
        together = RefusedError(message, max(refusals))
    else:
        together = FetchError(message)
    together.details = tuple(map(_line, errors))
    together.hint = " ".join(dict.fromkeys(error.hint for error in errors if error.hint))
    return together


def _line(error: IsobuilderError) -> str:
    return f"{error.message}: {'; '.join(error.details)}" if error.details else error.message
