"""What kernel lines tell the installer to fetch from the medium: second stage, kickstart, repositories, updates."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from isobuilder.bootmenu.kernelline import escape_label
from isobuilder.bootmenu.reading.kernelwords import KernelWord, Location, kernel_words, locate
from isobuilder.bootmenu.reading.model import Boot, Place
from isobuilder.verify.description import Description
from isobuilder.verify.finding import Kind
from isobuilder.verify.medium import Medium
from isobuilder.verify.menus.files import is_memory_test
from isobuilder.verify.menus.found import Found
from isobuilder.verify.menus.gathering import Gathered
from isobuilder.verify.menus.labels import check_location

KICKSTART = Kind(
    "menu-kickstart-missing",
    "error",
    "a menu names a kickstart that is not on the medium",
    "Put the kickstart where the menu names it, or correct the path.",
)
OPTICAL = Kind(
    "menu-kickstart-optical",
    "warning",
    "a kickstart is looked for in optical drives only, and from a USB stick the installer waits for it forever",
    "Name the medium by its label: inst.ks=hd:LABEL=...:/path.",
)
STAGE2 = Kind(
    "menu-stage2-missing",
    "error",
    "a menu names a second stage of the installer that is not on the medium",
    "Put images/install.img (7: LiveOS/squashfs.img) below the path that the menu names.",
)
REPOSITORY = Kind(
    "menu-repository-missing",
    "error",
    "a menu names a repository that is not on the medium",
    "Put the repository with its repodata where the menu names it, or correct the path.",
)
IMAGE = Kind(
    "menu-image-missing",
    "error",
    "a menu names updates or a driver disk that is not on the medium",
    "Put the file where the menu names it, or take the argument out.",
)
IGNORED = Kind(
    "menu-argument-ignored",
    "error",
    "a kernel line has an argument that the installer of this release does not know",
    "Write it with inst. in front for 7 and later, and without for 6.",
)
UNNAMED = Kind(
    "menu-stage2-unnamed",
    "warning",
    "an entry does not say where the second stage is, so that it is looked for in optical drives only",
    "Add inst.stage2=hd:LABEL=... with the volume's label.",
)
KINDS = (KICKSTART, OPTICAL, STAGE2, REPOSITORY, IMAGE, IGNORED, UNNAMED)

# Anaconda 7 was the first to know names with inst., and that of 9 the first to know no others.
_FIRST_WITH_PREFIX: Final = 7
_FIRST_WITHOUT_BARE: Final = 9
_LAST: Final = 10
_FETCHED: Final = frozenset({"ks", "stage2", "repo", "method", "updates", "addrepo", "rescue"})
_STAGE2_FILES: Final = ("images/install.img", "LiveOS/squashfs.img")
# Where the installer has the medium mounted, for repositories of file: addresses.
_MOUNTED: Final = (
    "run/install/repo/",
    "run/install/source/",
    "mnt/install/repo/",
    "mnt/install/source/",
    "mnt/source/",
)
# A path on the installer's own disk, and what 6 asks.
_ELSEWHERE: Final = ("/", "floppy")


class Sources:
    """Checks kernel lines; `kickstarts` are those on the medium that were named, with every place that does."""

    def __init__(self, medium: Medium, described: Description, gathered: Gathered) -> None:
        self._medium = medium
        self._described = described
        self._gathered = gathered
        self._label = escape_label(medium.label)
        self.release = _number(described.version)
        self.kickstarts: defaultdict[str, list[str]] = defaultdict(list)

    def check(self, found: Found) -> None:
        """Every kernel line of one menu."""
        for entry in found.menu.entries:
            for boot in entry.boots:
                if is_memory_test(boot) or entry.action != "linux":
                    continue
                words = list(kernel_words(boot.arguments))
                for word in words:
                    self._word(word, boot.place)
                self._unnamed(words, boot)

    def _word(self, word: KernelWord, place: Place) -> None:
        if word.name in _FETCHED:
            self._known(word, place)
        value = word.value
        if word.name == "addrepo":
            value = value.partition(",")[2]
        elif word.name not in {"ks", "stage2", "repo", "method", "updates", "dd", "driverdisk", "root", "askmethod"}:
            return
        location = locate(value, self._label)
        check_location(word, location, place, self._medium, self._gathered)
        match word.name:
            case "ks":
                if location.kind == "other" and value and not value.startswith(_ELSEWHERE):
                    self._gathered.add(KICKSTART, place, f"{value} is neither a path nor an address")
                self._kickstart(location, place)
            case "stage2":
                self._stage2(word, location, place)
            case "repo" | "method" | "addrepo":
                self._repository(word, location, place)
            case "updates" | "dd" | "driverdisk":
                path = location.path
                if location.kind in {"labelled", "optical"} and path and not self._medium.find(path):
                    self._gathered.add(IMAGE, place, f"{path} is not on the medium")

    def _known(self, word: KernelWord, place: Place) -> None:
        if self.release is None or self.release > _LAST:
            return
        name = word.text.partition("=")[0]
        if word.prefixed and self.release < _FIRST_WITH_PREFIX:
            self._gathered.add(IGNORED, place, f"the installer of {self.release} ignores {name}, and knows {word.name}")
        elif not word.prefixed and self.release >= _FIRST_WITHOUT_BARE:
            self._gathered.add(IGNORED, place, f"the installer of {self.release} ignores {name}, and knows inst.{name}")

    def _kickstart(self, location: Location, place: Place) -> None:
        if location.kind not in {"labelled", "optical"}:
            return
        if location.kind == "optical" and self.release and _FIRST_WITH_PREFIX <= self.release <= _LAST:
            # 6 looks for its second stage there as well, and so is never on a stick.
            self._gathered.add(OPTICAL, place, "the kickstart is named by cdrom, which is no USB stick")
        path = location.path or "ks.cfg"
        node = self._medium.find(path)
        if node is not None:
            self.kickstarts[node.path].append(str(place))
            return
        near = next((name for name in self._medium.files if name.lower() == path.lower()), None)
        more = f"; there is {near}, and capitals count" if near else ""
        self._gathered.add(KICKSTART, place, f"{path} is not on the medium{more}")

    def _stage2(self, word: KernelWord, location: Location, place: Place) -> None:
        if location.kind not in {"labelled", "optical"}:
            return
        folder = (location.path or "").strip("/")
        if folder and self._medium.find(folder):
            return
        images = [*_STAGE2_FILES, *filter(None, [self._described.stage2])]
        if not any(self._medium.find(f"{folder}/{image}") for image in images):
            below = f"below {folder}" if folder else "on the medium"
            self._gathered.add(STAGE2, place, f"{word.text.partition('=')[0]} names it, and no {images[0]} is {below}")

    def _repository(self, word: KernelWord, location: Location, place: Place) -> None:
        path = location.path or ""
        if location.kind == "initrd":
            mounted = [folder for folder in _MOUNTED if f"{path}/".startswith(folder)]
            if not mounted:
                return
            path = f"{path}/".removeprefix(mounted[0])
        elif location.kind not in {"labelled", "optical"}:
            return
        path = path.strip("/")
        if not self._has_repository(path, anywhere=word.name != "addrepo"):
            shown = f"{path} has no repodata" if path else "no folder of the medium has repodata"
            self._gathered.add(REPOSITORY, place, shown if self._exists(path) else f"{path} is not on the medium")

    def _has_repository(self, folder: str, *, anywhere: bool) -> bool:
        """Whether a folder is a repository, has an image in it, or is a tree that has repositories further down."""
        prefix = f"{folder}/" if folder else ""
        if self._medium.find(folder) or self._medium.find(f"{prefix}repodata/repomd.xml"):
            return True
        inside = [path for path in self._medium.files if path.startswith(prefix)]
        return anywhere and any(path.endswith(("/repodata/repomd.xml", ".iso")) for path in inside)

    def _exists(self, folder: str) -> bool:
        return not folder or folder in self._medium.folders

    def _unnamed(self, words: list[KernelWord], boot: Boot) -> None:
        if self.release is None or not _FIRST_WITH_PREFIX <= self.release <= _LAST or not boot.initrds:
            return
        if not any(word.name in {"stage2", "repo", "root", "method"} for word in words):
            self._gathered.add(UNNAMED, boot.place, f"no inst.stage2 for {boot.kernel.path}")


def kickstart_paths(boot: Boot, medium: Medium) -> Iterator[tuple[Location, str]]:
    """The kickstarts that a kernel line names, each with its value as written."""
    label = escape_label(medium.label)
    for word in kernel_words(boot.arguments):
        if word.name == "ks" and word.value:
            yield locate(word.value, label), word.value


def _number(version: str) -> int | None:
    """A release's number before the dot, None where the medium does not say."""
    number = version.partition(".")[0]
    return int(number) if number.isdecimal() and len(number) < 4 else None
