"""What became of the machines of a rehearsal: a table, JSON and JUnit of the same, bound to the medium's sha256."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from isobuilder.boot.firmware import Firmware
from isobuilder.boot.hardware import Accelerator
from isobuilder.rehearsal.milestones import MILESTONES, Milestone


@dataclass(frozen=True)
class Way:
    """One machine's way: the milestones that it was to reach, and when it did, in seconds since it was switched on.

    `failed` is the milestone that it did not pass, None when all was well; then `cause` is empty. `last_lines` are the
    last of its console, `console_log` and `screen` (None when there is none) files of it.
    """

    name: str
    role: str
    firmware: Firmware
    wanted: tuple[Milestone, ...]
    reached: dict[Milestone, float]
    failed: Milestone | None = None
    cause: str = ""
    last_lines: tuple[str, ...] = ()
    console_log: Path | None = None
    screen: Path | None = None

    def state(self, milestone: Milestone) -> str:
        """passed, failed, skipped (it did not come so far), or - (nobody asked for it)."""
        if milestone == self.failed:
            return "failed"
        if milestone in self.reached:
            return "passed"
        return "skipped" if milestone in self.wanted else "-"


@dataclass(frozen=True)
class Rehearsal:
    """All ways of a medium's rehearsal."""

    iso: Path
    sha256: str
    accelerator: Accelerator
    ways: tuple[Way, ...]

    @property
    def failures(self) -> tuple[Way, ...]:
        """The ways that did not end where they should."""
        return tuple(way for way in self.ways if way.failed)

    def lines(self) -> Iterator[str]:
        """A table: a row for each machine, with seconds since it was switched on."""
        yield f"{self.iso}: sha256 {self.sha256}, {self.accelerator}"
        rows = [("machine", "role", "firmware", *MILESTONES)]
        rows += [(way.name, way.role, way.firmware, *(_cell(way, each) for each in MILESTONES)) for way in self.ways]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    def json(self) -> str:
        """The same for programs; seconds are null where a milestone was not reached."""
        value: dict[str, object] = {
            "iso": str(self.iso),
            "sha256": self.sha256,
            "accelerator": self.accelerator,
            "passed": not self.failures,
            "machines": [_plain(way) for way in self.ways],
        }
        return json.dumps(value, indent=2) + "\n"

    def junit(self) -> str:
        """The same in the form that continuous integration reads: a suite for each machine, a case per milestone."""
        top = ET.Element("testsuites", name="rehearsal")
        for way in self.ways:
            suite = ET.SubElement(top, "testsuite", {"name": way.name, **_counts(way)})
            properties = ET.SubElement(suite, "properties")
            for name, value in (("iso.sha256", self.sha256), ("accelerator", self.accelerator)):
                ET.SubElement(properties, "property", name=name, value=value)
            before = 0.0
            for milestone in way.wanted:
                at = way.reached.get(milestone, before)
                seconds = f"{max(0.0, at - before):.3f}"
                case = ET.SubElement(suite, "testcase", classname=way.name, name=milestone, time=seconds)
                before = max(before, at)
                match way.state(milestone):
                    case "failed":
                        failed = ET.SubElement(case, "failure", message=_xml(way.cause), type="BootError")
                        failed.text = _xml("\n".join(way.last_lines))
                    case "skipped":
                        ET.SubElement(case, "skipped")
        ET.indent(top)
        return ET.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _cell(way: Way, milestone: Milestone) -> str:
    state = way.state(milestone)
    return f"{way.reached[milestone]:.0f} s" if state == "passed" else state


def _plain(way: Way) -> dict[str, object]:
    return {
        "name": way.name,
        "role": way.role,
        "firmware": way.firmware,
        "passed": way.failed is None,
        "failed": way.failed,
        "cause": way.cause,
        "milestones": [
            {
                "name": each,
                "state": way.state(each),
                "seconds": round(way.reached[each], 3) if each in way.reached else None,
            }
            for each in way.wanted
        ],
        "last-lines": list(way.last_lines),
        "console-log": str(way.console_log) if way.console_log else None,
        "screen": str(way.screen) if way.screen else None,
    }


def _counts(way: Way) -> dict[str, str]:
    states = [way.state(each) for each in way.wanted]
    return {
        "tests": str(len(states)),
        "failures": str(states.count("failed")),
        "errors": "0",
        "skipped": str(states.count("skipped")),
        "time": f"{max(way.reached.values(), default=0.0):.3f}",
    }


def _xml(text: str) -> str:
    """`text` without what XML cannot hold."""
    return "".join(character if character.isprintable() or character in "\t\n" else "\ufffd" for character in text)
