"""Labels and UUIDs in menus: whether they are the medium's own, and written as their reader wants them."""

import re

from isobuilder.bootmenu.kernelline import escape_label
from isobuilder.bootmenu.reading.kernelwords import KernelWord, Location
from isobuilder.bootmenu.reading.model import Menu, Place, Search
from isobuilder.verify.finding import Kind
from isobuilder.verify.medium import Medium
from isobuilder.verify.menus.devices import volume_uuids
from isobuilder.verify.menus.gathering import Gathered

LABEL = Kind(
    "menu-label-other",
    "error",
    "a kernel line names a label that is not the medium's",
    "Make the label in the menu and the volume id the same: the installer finds the medium by it.",
)
ESCAPE = Kind(
    "menu-label-escape",
    "error",
    "a kernel line has the medium's label in another spelling than udev's",
    r"Write each blank or special character of the label as \xNN, two small hexadecimal digits.",
)
UUID = Kind(
    "menu-uuid-other",
    "error",
    "a menu names a UUID that is not the volume's",
    "Name the medium by its label: its UUID is the time when it was made.",
)
SEARCH = Kind(
    "menu-search-fails",
    "error",
    "GRUB searches for a label or a file that the medium does not have",
    "Search for the medium's own volume id, as it is: without escapes and in quotes.",
)
KINDS = (LABEL, ESCAPE, UUID, SEARCH)

_ISO_UUID = re.compile(r"[0-9]{4}(-[0-9]{2}){6}")
# The label by which the installer looks for a kickstart of the machine's maker.
_OTHER_DISKS = frozenset({"OEMDRV"})


def check_searches(menu: Menu, medium: Medium, gathered: Gathered) -> None:
    """Searches that find nothing, though the menu counts on them."""
    searches = [*menu.searches]
    for entry in menu.entries:
        if entry.action == "linux":
            searches += entry.searches
    for search in searches:
        if search.found is None and not search.guarded:
            gathered.add(UUID if search.by == "uuid" else SEARCH, search.place, _search_message(search, medium))


def _search_message(search: Search, medium: Medium) -> str:
    volume_id = medium.volume.volume_id
    if search.by == "file":
        return f"it searches for a disk with the file {search.key}, which is not on the medium"
    if search.by == "uuid":
        return f"it searches for the UUID {search.key}, and the volume's is {_own_uuid(medium)}"
    escaped = search.key == escape_label(volume_id)
    hint = "; a search takes the label as it is, without escapes" if escaped else ""
    return f"it searches for the label {search.key!r}, and the volume id is {volume_id!r}{hint}"


def check_location(word: KernelWord, location: Location, place: Place, medium: Medium, gathered: Gathered) -> None:
    """The label or the UUID by which a word names a device."""
    is_known = location.uuid is None or not _ISO_UUID.fullmatch(location.uuid) or location.uuid in volume_uuids(medium)
    if not is_known:
        gathered.add(UUID, place, f"{word.text} names a UUID, and the volume's is {_own_uuid(medium)}")
    volume_id = medium.label
    wanted = escape_label(volume_id)
    if location.kind == "disk" and re.fullmatch(
        rf"(?:hd|live):(?:{re.escape(wanted)}|{re.escape(volume_id)})(?::.*)?", word.value
    ):
        gathered.add(LABEL, place, f"{word.value} names a device of that name; a label is written LABEL={wanted}")
    if location.label is None or location.label in _OTHER_DISKS:
        return
    if location.label == wanted:
        return
    if volume_id.startswith(f"{location.label} ") and word.behind:
        message = f"the label ends at its first blank, {location.label!r}; it is written {wanted}"
        gathered.add(ESCAPE, place, message)
    elif _unescaped(location.label) == _unescaped(volume_id):
        gathered.add(ESCAPE, place, f"{location.label} is not how udev spells the label; it is written {wanted}")
    else:
        gathered.add(
            LABEL, place, f"the label is {location.label}, and the volume id is {volume_id!r}, written {wanted}"
        )


def _own_uuid(medium: Medium) -> str:
    return next(iter(volume_uuids(medium)), "not set")


def _unescaped(label: str) -> str:
    r"""The characters of a label, however it was escaped: doubled backslashes, bare xNN for \xNN, %20, underscores."""
    text = re.sub(r"\\+x([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), label)
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), text).replace("\\", "")
