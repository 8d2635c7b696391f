"""Examinations of media for tests: what is found, as ids and places."""

from pathlib import Path

from isobuilder.progress import Silent
from isobuilder.releases import Release
from isobuilder.verify.examine import examine
from isobuilder.verify.verdict import Verdict


def verdict(iso: Path, release: Release | None = None) -> Verdict:
    return examine(iso, progress=Silent(), release=release)


def found(iso: Path, release: Release | None = None) -> set[tuple[str, str]]:
    """The id and place of everything that is found."""
    return {(finding.kind.id, finding.place) for finding in verdict(iso, release).findings}


def message(iso: Path, kind: str) -> str:
    """The one finding of that kind, in full."""
    [finding] = [finding for finding in verdict(iso).findings if finding.kind.id == kind]
    return f"{finding.place}: {finding.message}"
