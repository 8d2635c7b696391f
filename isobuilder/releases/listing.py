"""The releases that ship with isobuilder, told to people and scripts: until when they have updates, and warnings."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from isobuilder.definition import Repository
from isobuilder.releases import Release, end_of_life_warning, shipped_releases

# Less is too short a life for a machine that is installed today.
SOON_DAYS = 365


def listed() -> list[Release]:
    """All shipped releases, the newest first."""
    return sorted(shipped_releases(), key=lambda release: [-int(part) for part in release.version.split(".")])


def current(today: dt.date) -> Release:
    """The newest shipped release that has updates; where none has any more, the newest."""
    releases = listed()
    return next((release for release in releases if not end_of_life_warning(release, today)), releases[0])


def warnings(release: Release, today: dt.date) -> Iterator[str]:
    """What to know before a release is chosen, a line each."""
    if ended := end_of_life_warning(release, today):
        yield ended
    elif release.end_of_life and (left := (release.end_of_life - today).days) <= SOON_DAYS:
        yield f"updates end in {left} day{'' if left == 1 else 's'}"
    if any(repository.sha1 for repository in _repositories(release)):
        yield "signatures over SHA-1, which prove little, are accepted"


def lines(today: dt.date) -> Iterator[str]:
    """For people, 80 columns wide."""
    yield f"{'ID':<10} {'RELEASE':<18} {'UPDATES UNTIL':<14} ARCHITECTURES"
    for release in listed():
        until = str(release.end_of_life or "not known")
        yield f"{release.id:<10} {release.title:<18} {until:<14} {', '.join(release.arch)}"
        yield from (f"{'':<10} warning: {line}" for line in warnings(release, today))


def table(today: dt.date) -> list[dict[str, Any]]:
    """For scripts."""
    return [
        {
            "id": release.id,
            "title": release.title,
            "version": release.version,
            "end-of-life": release.end_of_life and release.end_of_life.isoformat(),
            "end-of-life-source": release.end_of_life_source,
            "architectures": list(release.arch),
            "repositories": list(dict.fromkeys(repository.id for repository in _repositories(release))),
            "warnings": list(warnings(release, today)),
        }
        for release in listed()
    ]


def _repositories(release: Release) -> Iterator[Repository]:
    yield from release.repository
    for facts in release.arch.values():
        yield from facts.repository
