"""What came out of an examination: findings in their order, and what the medium is; as text, JSON and SARIF."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from isobuilder import __version__
from isobuilder.verify.finding import SEVERITIES, Finding, Kind

# More of one kind tell nothing new, and a hostile image could have millions.
MOST_OF_A_KIND: Final = 200
# The text names so many of a kind, and counts the others.
_SHOWN: Final = 8
# Characters of a place or a message: what is longer is no message but a file.
_LONGEST: Final = 1000
_SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_SARIF_LEVELS: Final = {"error": "error", "warning": "warning", "note": "note"}


@dataclass(frozen=True)
class Verdict:
    """`facts` are what the medium is, by a word for each kind of them; `findings` the worst first.

    `left_out` says of which kinds there are more findings than are kept, and how many more.
    """

    iso: Path
    size: int
    facts: Mapping[str, tuple[str, ...]]
    findings: tuple[Finding, ...]
    left_out: tuple[tuple[Kind, int], ...]

    @property
    def passed(self) -> bool:
        """Whether nothing would fail."""
        return not any(finding.kind.severity == "error" for finding in self.findings)

    def summary(self) -> str:
        """How many findings of each severity there are: "2 errors, 1 warning"."""
        counts = Counter(finding.kind.severity for finding in self.findings)
        for kind, more in self.left_out:
            counts[kind.severity] += more
        said = [f"{counts[each]} {each}{'s' if counts[each] > 1 else ''}" for each in SEVERITIES if counts[each]]
        return ", ".join(said) or "nothing is wrong with it"

    def lines(self) -> Iterator[str]:
        """The whole report as plain text."""
        width = max(map(len, self.facts), default=0)
        yield harmless(str(self.iso))
        for name, values in self.facts.items():
            yield from (f"  {'' if number else name:{width}}  {value}" for number, value in enumerate(values))
        more = dict(self.left_out)
        for kind, findings in _by_kind(self.findings):
            yield ""
            yield f"{kind.severity}: {kind.title} [{kind.id}]"
            yield from (f"  {finding.place}: {finding.message}" for finding in findings[:_SHOWN])
            if (rest := len(findings) - _SHOWN + more.get(kind, 0)) > 0:
                yield f"  and {rest} more"
            yield f"  -> {kind.remedy}"
        yield ""
        yield f"{harmless(self.iso.name)}: {self.summary()}"

    def json(self) -> str:
        """The whole report as JSON: keys in the order of this class, each finding flat."""
        report = {
            "iso": harmless(self.iso.name),
            "size": self.size,
            "passed": self.passed,
            "facts": {name: list(values) for name, values in self.facts.items()},
            "findings": [
                {
                    "id": finding.kind.id,
                    "severity": finding.kind.severity,
                    "place": finding.place,
                    "message": finding.message,
                    "remedy": finding.kind.remedy,
                }
                for finding in self.findings
            ],
            "left-out": {kind.id: more for kind, more in self.left_out},
        }
        return json.dumps(report, indent=2)

    def sarif(self, kinds: Sequence[Kind]) -> str:
        """The report in the Static Analysis Results Interchange Format 2.1.0 of OASIS; `kinds` become its rules."""
        numbers = {kind.id: number for number, kind in enumerate(kinds)}
        run = {
            "tool": {
                "driver": {
                    "name": "isobuilder verify",
                    "version": __version__,
                    "rules": [_rule(kind) for kind in kinds],
                }
            },
            "results": [self._result(finding, numbers[finding.kind.id]) for finding in self.findings],
        }
        return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)

    def _result(self, finding: Finding, number: int) -> dict[str, Any]:
        # Where a finding is on the medium is its logical location: for those who show results, the image is one file.
        physical = {
            "artifactLocation": {"uri": quote(os.fsencode(self.iso.name))},
            "region": {"byteOffset": 0, "byteLength": self.size},
        }
        return {
            "ruleId": finding.kind.id,
            "ruleIndex": number,
            "level": _SARIF_LEVELS[finding.kind.severity],
            "message": {"text": f"{finding.place}: {finding.message}"},
            "locations": [{"physicalLocation": physical, "logicalLocations": [{"fullyQualifiedName": finding.place}]}],
        }


def sorted_and_bounded(findings: Iterable[Finding]) -> tuple[tuple[Finding, ...], tuple[tuple[Kind, int], ...]]:
    """Findings once each and the worst first, at most 200 of a kind; and how many more there are of which kind."""
    kept: dict[Finding, None] = {}
    counts: Counter[Kind] = Counter()
    for found in findings:
        finding = Finding(found.kind, harmless(found.place), harmless(found.message))
        if finding in kept:
            continue
        counts[finding.kind] += 1
        if counts[finding.kind] <= MOST_OF_A_KIND:
            kept[finding] = None
    ordered = sorted(kept, key=lambda finding: SEVERITIES.index(finding.kind.severity))
    more = ((kind, count - MOST_OF_A_KIND) for kind, count in counts.items() if count > MOST_OF_A_KIND)
    return tuple(ordered), tuple(more)


def harmless(text: str) -> str:
    """`text` from a medium, fit for a terminal and for one line: control characters escaped, the end of much cut off.

    Bytes of a name that are no UTF-8 are written as bytes.
    """
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text) - _LONGEST} more characters)"
    return shown if shown.isprintable() else "".join(map(_escaped, shown))


def harmless_text(text: str) -> str:
    """A text of many lines, fit for a terminal: control characters escaped, but for ends of lines and tabs."""
    return "".join(c if c in "\n\t" else _escaped(c) for c in text.replace("\r\n", "\n"))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    byte = character.encode(errors="surrogateescape") if "\udc80" <= character <= "\udcff" else b""
    return f"\\x{byte.hex()}" if byte else character.encode("unicode_escape").decode("ascii")


def _by_kind(findings: Iterable[Finding]) -> list[tuple[Kind, list[Finding]]]:
    grouped: dict[Kind, list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.kind, []).append(finding)
    return list(grouped.items())


def _rule(kind: Kind) -> dict[str, Any]:
    return {
        "id": kind.id,
        "shortDescription": {"text": kind.title},
        "help": {"text": kind.remedy},
        "defaultConfiguration": {"level": _SARIF_LEVELS[kind.severity]},
    }
