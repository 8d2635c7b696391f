"""What was done, step by step, so that whatever stops the wizard, the next run knows where it stood.

Each run has a folder of its own: the journal, a line of JSON for each thing that happened, on disk before the next one
begins; and what files were before they were changed. A last line that is cut short is as if it were not there.
"""

import json
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .effects import Effects
from .model import Answers
from .plan import Step, from_data

HOME = "/var/lib/cloud-setup"
LOCK = HOME + "/lock"
# What parts have noted as done once and for all.
MARKS = HOME + "/marks"
# Nothing is left to be set up; and: a run is on trial. (The profile snippet looks for them, and has `offered` itself.)
DONE, ON_TRIAL = HOME + "/done", HOME + "/trial"

UNFINISHED, TRIAL, ROLLING, FINISHED, ROLLED_BACK = "unfinished", "trial", "rolling back", "finished", "rolled back"


class Run(NamedTuple):
    """A run as its journal tells it.

    `done` are numbers of steps from 0, and of those `skipped` are the ones that there was nothing to do for; `begun` is
    the step that was under way (None: none); `failure` what was said of one that failed. `until` is when a trial ends,
    in seconds since 1970. `unattended`: nobody was there to ask. `set_up`: nothing was left to be set up before it
    began.
    """

    folder: str
    state: str
    steps: Tuple[Step, ...]
    answers: Answers
    done: Tuple[int, ...]
    begun: Optional[int]
    failure: str
    until: float
    unattended: bool
    set_up: bool
    skipped: Tuple[int, ...] = ()

    @property
    def pending(self) -> List[int]:
        return [number for number in range(len(self.steps)) if number not in self.done]


class Journal:
    """The journals of this machine."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    def last(self) -> Optional[Run]:
        """The newest run, or None."""
        return next(iter(self.runs()), None)

    def runs(self) -> List[Run]:
        """All runs, the newest first."""
        found = [self._read(f"{HOME}/runs/{name}") for name in reversed(self._effects.names(HOME + "/runs"))]
        return [run for run in found if run]

    def begin(self, steps: Sequence[Step], answers: Answers, *, unattended: bool) -> str:
        """Open a journal for these steps; its folder. `answers` are without secrets."""
        names = self._effects.names(HOME + "/runs")
        folder = f"{HOME}/runs/{int(names[-1]) + 1 if names else 1:04}"
        table = {"steps": [step.as_data() for step in steps], "answers": answers, "unattended": unattended}
        self.note(folder, "begin", set_up=self._effects.exists(DONE), **table)
        return folder

    def note(self, folder: str, what: str, **more: Any) -> None:
        """Write down that something happened."""
        table = dict(more, what=what, time=int(self._effects.now()))
        path = folder + "/journal"
        self._cut_half_a_line(path)
        self._effects.append(path, (json.dumps(table, sort_keys=True) + "\n").encode("ascii"))

    def keep(self, folder: str, number: int, path: str) -> None:
        """Keep what is at `path` before step `number` changes it, once: a second try must not keep our own work."""
        place = self._backup(folder, number)
        if self._effects.exists(place + ".what"):
            return
        self._effects.make_folder(f"{folder}/backup")
        kept: Dict[str, Any] = {"kind": "absent"}
        target = self._effects.target(path)
        if target is not None:
            kept = {"kind": "link", "target": target}
        elif self._effects.exists(path):
            data = self._effects.read_bytes(path) or b""
            self._effects.write(place, data, 0o600)
            kept = {"kind": "file", "mode": self._effects.mode(path)}
        self._effects.write(place + ".what", json.dumps(kept).encode("ascii"), 0o600)

    def restore(self, folder: str, number: int, path: str) -> None:
        """Bring back what was at `path` before step `number`."""
        place = self._backup(folder, number)
        text = self._effects.read(place + ".what")
        if text is None:
            # The step did not come to change anything.
            return
        kept = json.loads(text)
        if kept["kind"] == "absent":
            self._effects.remove(path)
        elif kept["kind"] == "link":
            self._effects.link(path, kept["target"])
        else:
            if self._effects.target(path) is not None:
                self._effects.remove(path)
            self._effects.write(path, self._effects.read_bytes(place) or b"", kept["mode"])

    def _backup(self, folder: str, number: int) -> str:
        return f"{folder}/backup/{number}"

    def _cut_half_a_line(self, path: str) -> None:
        data = self._effects.read_bytes(path, limit=1 << 30) or b""
        if data and not data.endswith(b"\n"):
            self._effects.truncate(path, data.rfind(b"\n") + 1)

    def _read(self, folder: str) -> Optional[Run]:
        data = self._effects.read_bytes(folder + "/journal", limit=1 << 30) or b""
        lines = [json.loads(line.decode("ascii")) for line in data.split(b"\n")[:-1]]
        if not lines:
            return None
        return _told(folder, lines)


def _told(folder: str, lines: Sequence[Dict[str, Any]]) -> Run:
    first = lines[0]
    state, failure, until = UNFINISHED, "", 0.0
    done: List[int] = []
    skipped: List[int] = []
    begun: Optional[int] = None
    for line in lines[1:]:
        what = line["what"]
        if what == "start":
            begun, failure = line["step"], ""
        elif what == "done":
            done.append(line["step"])
            skipped += [line["step"]] if line.get("skipped") else []
            begun = None
        elif what == "failed":
            failure = line["said"]
        elif what == "trial":
            state, until = TRIAL, line["until"]
        elif what in _STATES:
            state = _STATES[what]
    return Run(
        folder,
        state,
        tuple(from_data(table) for table in first["steps"]),
        first["answers"],
        tuple(done),
        begun,
        failure,
        until,
        first["unattended"],
        first["set_up"],
        tuple(skipped),
    )


_STATES = {"finished": FINISHED, "rolling-back": ROLLING, "rolled-back": ROLLED_BACK}
