"""The kickstarts on a medium: taken by the installer of its release, fit to be booted, and resolved from it alone."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from isobuilder.bootmenu.kernelline import escape_label
from isobuilder.kickstart.readback import Reading, examine, place
from isobuilder.kickstart.sections import sections
from isobuilder.resolve.selection import RoleRequest
from isobuilder.verify.damage import guarded, tried
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.judge import Judge
from isobuilder.verify.medium import Medium, Unreadable
from isobuilder.verify.repositories import OnMedium

_LIMIT: Final = 1 << 20
_FOLDER: Final = "ks/"
# Where installers of 6 to 10 mount the medium that they were started from.
_MOUNTED: Final = ("/run/install/repo/", "/run/install/isodir/", "/mnt/install/repo/", "/mnt/install/source/",
                   "/mnt/source/", "/mnt/stage2/", "/mnt/isodir/")  # fmt: skip
_MOST_INCLUDES: Final = 50
# Of all kickstarts on a medium together: pykickstart compares each line of %packages with each.
_MOST_PACKAGES: Final = 10_000
# What takes lines apart needs the square of their length.
_LONGEST_LINE: Final = 64 << 10
_FILE_ADDRESS: Final = re.compile(r"(?:baseurl=|url=|url\s)\s*[\"']?file://(/[^\s\"']*)")
_MARK: Final = b"\xef\xbb\xbf"
_SCRIPTS: Final = frozenset({"%pre", "%pre-install", "%post", "%onerror", "%traceback"})

UNREADABLE = Kind(
    "kickstart-unreadable",
    "error",
    "a kickstart cannot be read",
    "Put it on the medium as plain text in UTF-8.",
)
REFUSED = Kind(
    "kickstart-refused",
    "error",
    "the installer of this release does not take a line of a kickstart",
    "Correct the line: ksvalidator -v VERSION tells what pykickstart takes.",
)
LINE_ENDS = Kind(
    "kickstart-line-ends",
    "error",
    "a script of a kickstart has the line ends of Windows, which its shell takes for a part of each line",
    "Write the file with line ends of Linux: dos2unix.",
)
UNSAFE = Kind(
    "kickstart-unsafe",
    "warning",
    "a kickstart has something that should not be on a medium",
    "Give a hash (rootpw --iscrypted), and write commands as they are, without quotes.",
)
DEPRECATED = Kind(
    "kickstart-deprecated",
    "note",
    "the installer of this release takes a line of a kickstart, and complains of it",
    "Use what the release's documentation names instead.",
)
NOTED = Kind(
    "kickstart-note",
    "note",
    "a kickstart does what whoever boots it should know",
    "Nothing, when it is meant.",
)
INCLUDE_MISSING = Kind(
    "kickstart-include-missing",
    "error",
    "a kickstart includes a file that is not on the medium",
    "Put the file there, or take the line out.",
)
REPOSITORY_MISSING = Kind(
    "kickstart-repository-missing",
    "error",
    "a kickstart names a repository or an image on the medium that is not there",
    "Correct the path, or put there what it names.",
)
RELEASE_UNKNOWN = Kind(
    "release-unknown",
    "note",
    "the medium is of no release that isobuilder knows, so that its kickstarts were not looked at",
    "Name the release, or a release file of your own: --release.",
)
KINDS = (
    UNREADABLE,
    REFUSED,
    LINE_ENDS,
    UNSAFE,
    DEPRECATED,
    NOTED,
    INCLUDE_MISSING,
    REPOSITORY_MISSING,
    RELEASE_UNKNOWN,
)


def kickstart_paths(medium: Medium, named: Iterable[str]) -> tuple[str, ...]:
    """The kickstarts on the medium: those that menus have `named`, and all where media of isobuilder keep them."""
    found = (node.path for path in named if (node := medium.find(path)))
    kept = (path for path in medium.files if path.startswith(_FOLDER) and path.endswith((".cfg", ".ks")))
    return tuple(sorted({*found, *kept}))


@dataclass(frozen=True)
class Kickstarts:
    """Those that could be read, and what is wrong with all of them; their packages are looked at elsewhere."""

    found: tuple["Kickstart", ...]
    findings: tuple[Finding, ...]


def read_kickstarts(
    medium: Medium, paths: Sequence[str], judged_by: Judge | None, repositories: Sequence[OnMedium]
) -> Kickstarts:
    """Everything about `paths` as the installer would take them; none is read without a release to judge by."""
    if judged_by is None:
        said = "neither .treeinfo nor .discinfo names a release that is known"
        return Kickstarts((), (RELEASE_UNKNOWN.at(", ".join(paths), said),) if paths else ())
    found: list[Kickstart] = []
    findings: list[Finding] = []
    room = _MOST_PACKAGES
    for path in paths:
        # Damage that nobody thought of ends the reading of this one, and what is known of the others stays.
        kickstart = tried(path, partial(_opened, medium, path, judged_by, room, findings), None, findings)
        if kickstart:
            room -= kickstart.package_lines
            findings += guarded(path, kickstart.check(repositories))
            found.append(kickstart)
    return Kickstarts(tuple(found), tuple(findings))


def _opened(medium: Medium, path: str, judged_by: Judge, room: int, findings: list[Finding]) -> "Kickstart | None":
    try:
        return Kickstart(medium, path, judged_by, room)
    except (Unreadable, UnicodeDecodeError) as error:
        findings.append(UNREADABLE.at(path, str(error)))
        return None


class Kickstart:
    """One kickstart, with what it includes of the medium in its place; `reading` is the installer's.

    Raises Unreadable or UnicodeDecodeError for what is no kickstart, or too much of one: `room` is how many lines of
    packages it may have.
    """

    def __init__(self, medium: Medium, path: str, judged_by: Judge, room: int) -> None:
        self._medium = medium
        self.path = path
        self._judged_by = judged_by
        self._includes: list[Finding] = []
        text = self._read(path)
        if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
            raise Unreadable("there is nothing in it")
        self._carried = [
            number
            for section, number, line in sections(text, keepends=True)
            if section in _SCRIPTS and line.endswith("\r\n")
        ]
        self._text = self._inlined(text)
        self.package_lines = self._measured(room)
        self.reading: Reading = examine(self._text, judged_by.release.kickstart)

    @property
    def request(self) -> RoleRequest:
        """What it asks for, as a role of the name of its path."""
        return RoleRequest(self.path, self.reading.request, self.path)

    def check(self, repositories: Sequence[OnMedium]) -> Iterator[Finding]:
        yield from self._includes
        if self._carried:
            yield LINE_ENDS.at(f"{self.path}, line {self._carried[0]}", f"{len(self._carried)} lines end in CR LF")
        # What pykickstart and our lint both refuse is one mistake.
        lines = {number: why for number, why in reversed(self.reading.refused) if number}
        unplaced = [(None, why) for number, why in self.reading.refused if not number]
        for number, why in [*unplaced, *sorted(lines.items())]:
            yield REFUSED.at(place(self._text, number, self.path), " ".join(why.split()))
        for number, why in self.reading.unsafe:
            yield UNSAFE.at(place(self._text, number, self.path), why)
        for warning in self.reading.warnings:
            yield DEPRECATED.at(self.path, warning)
        for note in self.reading.notes:
            yield NOTED.at(self.path, note)
        yield from self._repositories({repository.folder for repository in repositories})

    def _read(self, path: str) -> str:
        data = self._medium.read(path, limit=_LIMIT)
        if data.startswith(_MARK):
            raise Unreadable(
                "it begins with the bytes EF BB BF, which the installer takes for a part of its first line"
            )
        return data.decode("utf-8" if self._judged_by.release.kickstart.utf8 or _is_utf8(data) else "latin-1")

    def _measured(self, room: int) -> int:
        """How many lines of packages there are. Raises Unreadable when they or something else are too many."""
        if len(self._text) > _LIMIT:
            raise Unreadable(f"it has {len(self._text)} characters with what it includes, and {_LIMIT} is the most")
        for number, line in enumerate(self._text.splitlines(), start=1):
            if len(line) > _LONGEST_LINE:
                raise Unreadable(f"its line {number} has {len(line)} characters, and {_LONGEST_LINE} is the most")
        count = sum(section == "%packages" for section, _, _ in sections(self._text))
        if count > room:
            raise Unreadable(f"it has {count} lines of packages, and {_MOST_PACKAGES} are the most on one medium")
        return count

    def _inlined(self, text: str) -> str:
        """`text` with the files of the medium that it includes; line numbers behind them are those of the whole."""
        lines = []
        included = 0
        for section, number, line in sections(text):
            words = line.split()
            path = self._on_medium(words[1]) if len(words) > 1 and words[0] == "%include" else None
            if path is None or section not in ("", "%packages") or included >= _MOST_INCLUDES:
                lines.append(line)
                continue
            included += 1
            try:
                lines.append(self._read(path))
            except (Unreadable, UnicodeDecodeError) as error:
                self._includes.append(INCLUDE_MISSING.at(f"{self.path}, line {number}", f"{words[1]}: {error}"))
        return "\n".join(lines) + "\n"

    def _on_medium(self, path: str) -> str | None:
        """The path on the medium of what an installer sees at `path`; None for what lies elsewhere."""
        mounted = (f"{self._judged_by.release.kickstart.medium}/", *_MOUNTED)
        return next((path.removeprefix(start) for start in mounted if path.startswith(start)), None)

    def _repositories(self, there: set[str]) -> Iterator[Finding]:
        for section, number, line in sections(self._text):
            command = line.partition(" ")[0] if not section else ""
            where = f"{self.path}, line {number}"
            for address in re.findall(_FILE_ADDRESS, line) if not section else ():
                path = self._on_medium(f"{address.rstrip('/')}/")
                if path is None:
                    continue
                if command == "liveimg":
                    if self._medium.find(path) is None:
                        yield REPOSITORY_MISSING.at(where, f"{path.rstrip('/')} is not on the medium")
                elif _folder(path) not in there:
                    yield REPOSITORY_MISSING.at(where, f"there is no repository in {path}")
            if command == "harddrive":
                yield from self._hard_drive(where, line, there)

    def _hard_drive(self, where: str, line: str, there: set[str]) -> Iterator[Finding]:
        """The command that names a disk by its label, which is this medium where the label is its own."""
        options = dict(re.findall(r"--(partition|dir)[=\s]\s*[\"']?([^\s\"']*)", line))
        if options.get("partition") != f"LABEL={escape_label(self._medium.label)}":
            return
        folder = _folder(options.get("dir", ""))
        above = f"{folder}/" if folder else ""
        has_image = any(path.startswith(above) and path.endswith(".iso") for path in self._medium.files)
        if not has_image and not any(f"{each}/".startswith(above) for each in there):
            yield REPOSITORY_MISSING.at(where, f"there is no repository in {folder or 'the medium'}")


def _folder(path: str) -> str:
    """A folder as the medium has it, "" for the root."""
    folder = posixpath.normpath(path).strip("/")
    return "" if folder == "." else folder


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
