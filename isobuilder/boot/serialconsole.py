"""What a machine says on its serial line: a log on disk, and plain text to look for patterns in."""

import codecs
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

# A guest may talk without end; the log and what is searched are bounded.
LOG_LIMIT = 64 << 20
WINDOW = 1 << 18

_ESCAPES = re.compile(
    rb"\x1b\[[0-9;?]*[ -/]*[@-~]"  # control sequences: colours, places
    rb"|\x1b[()][0-9A-Za-z]"  # character sets
    rb"|\x1b[=>78cDEHMNOZ]"
    rb"|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]|\r"
)
_LONGEST_ESCAPE = 32


@dataclass(frozen=True)
class Heard:
    """What was found: which of the patterns (its index), and the match."""

    index: int
    match: re.Match[str]


class SerialConsole:
    """Takes bytes as they come, and keeps them in `log` if there is one.

    `text` is what they say without colours and cursor movements.
    """

    def __init__(self, log: BinaryIO | None) -> None:
        self._log = log
        self._logged = 0
        self._pending = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._text = ""
        self._position = 0

    @property
    def text(self) -> str:
        """The last that was said, at most WINDOW characters."""
        return self._text

    def feed(self, data: bytes) -> None:
        if self._log and self._logged < LOG_LIMIT:
            self._logged += self._log.write(data[: LOG_LIMIT - self._logged])
            self._log.flush()
        data = _ESCAPES.sub(b"", self._pending + data)
        # An escape whose end has not come yet waits for it.
        start = data.rfind(b"\x1b")
        complete = start < 0 or len(data) - start > _LONGEST_ESCAPE
        data, self._pending = (data, b"") if complete else (data[:start], data[start:])
        self._text += self._decoder.decode(data)
        surplus = max(0, len(self._text) - WINDOW)
        self._text = self._text[surplus:]
        self._position = max(0, self._position - surplus)

    def find(self, patterns: Sequence[re.Pattern[str]]) -> Heard | None:
        """The earliest match of any pattern in what was not matched before; what lies before it counts as read."""
        found = [
            Heard(index, match)
            for index, pattern in enumerate(patterns)
            if (match := pattern.search(self._text, self._position))
        ]
        heard = min(found, key=lambda one: one.match.start(), default=None)
        if heard:
            self._position = heard.match.end()
        return heard


class SerialLine:
    """A serial line that is listened to, until whoever talks on it hangs up.

    `receive` gives what it says within so many seconds: None when that is nothing, no bytes when it has hung up. Bytes
    are kept in `log` if there is one.
    """

    def __init__(
        self,
        receive: Callable[[float], bytes | None],
        log: BinaryIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receive = receive
        self._console = SerialConsole(log)
        self._clock = clock
        self.hung_up = False

    @property
    def lines(self) -> list[str]:
        """The last that was said, without empty lines and blanks at ends."""
        return [line.rstrip() for line in self._console.text.splitlines() if line.strip()]

    def expect(self, patterns: Sequence[re.Pattern[str]], seconds: float) -> Heard | None:
        """Wait for one of `patterns`; None when `seconds` pass or the line hangs up."""
        deadline = self._clock() + seconds
        while not (heard := self._console.find(patterns)):
            if not self._listen(deadline - self._clock()):
                return None
        return heard

    def rest(self, seconds: float) -> None:
        """Listen for so long."""
        deadline = self._clock() + seconds
        while self._listen(deadline - self._clock()):
            pass

    def _listen(self, seconds: float) -> bool:
        """Take what comes within `seconds`; False when nothing came, or never will."""
        data = self._receive(seconds) if seconds > 0 else None
        if data is None:
            return False
        self._console.feed(data)
        self.hung_up = not data
        return bool(data)
