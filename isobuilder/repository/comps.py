"""Comps: the groups and environments that a repository publishes, from bytes to values, and several as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from isobuilder.errors import TrustError
from isobuilder.repository.rpmmd import parse_xml, unpack

_DOCTYPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE comps PUBLIC "-//CentOS//DTD Comps info//EN" "comps.dtd">\n'
)
# In the order of the DTD; what has no id (langpacks, blacklist) is one list for all.
_WITH_ID = ("group", "category", "environment")
_DEPTHS = ("mandatory", "default", "optional")


@dataclass(frozen=True)
class Member:
    """A package of a group. `kind`: mandatory, default, optional or conditional.

    A conditional one is wanted where the package `requires` is installed. With `native`, no other architecture's will
    do (comps calls it basearchonly).
    """

    name: str
    kind: str
    requires: str = ""
    native: bool = False


@dataclass(frozen=True)
class Group:
    """A group of packages, in the order of the file."""

    id: str
    name: str
    members: tuple[Member, ...]

    def wanted(self, depth: str) -> tuple[Member, ...]:
        """The members that come with the group at `depth` (mandatory, default, optional: each holds those before)."""
        kinds = {*_DEPTHS[: _DEPTHS.index(depth) + 1], "conditional"}
        return tuple(member for member in self.members if member.kind in kinds)


@dataclass(frozen=True)
class Environment:
    """A list of groups that an installer offers as one choice; `options` are the groups offered beside it."""

    id: str
    name: str
    groups: tuple[str, ...]
    options: tuple[str, ...]


@dataclass(frozen=True)
class Comps:
    """The groups and environments by id."""

    groups: Mapping[str, Group]
    environments: Mapping[str, Environment]

    def group(self, word: str) -> Group | None:
        """The group of that id or, as installers take it too, of that name."""
        return self.groups.get(word) or next((each for each in self.groups.values() if each.name == word), None)

    def environment(self, word: str) -> Environment | None:
        """The environment of that id or name."""
        named = (each for each in self.environments.values() if each.name == word)
        return self.environments.get(word) or next(named, None)


def parse_comps(data: bytes, *, where: str = "comps") -> Comps:
    """Read comps, compressed or not. Raises TrustError for what is not comps."""
    root = _root(data, where)
    groups = [_group(element) for element in root.iterfind("group")]
    environments = [_environment(element) for element in root.iterfind("environment")]
    return Comps({group.id: group for group in groups}, {each.id: each for each in environments})


def merge_comps(files: Sequence[bytes]) -> bytes:
    """Several comps, compressed or not, as one plain comps.xml for a medium: the same for the same files in that order.

    Two of one id become one: the first's names and description, the members of both. What has no id, langpacks and the
    like, is joined. Raises TrustError for what is not comps.
    """
    merged = ET.Element("comps")
    known: dict[tuple[str, str], ET.Element] = {}
    for number, data in enumerate(files, 1):
        for element in _root(data, f"comps file {number}"):
            identity = element.tag, _text(element, "id") if element.tag in _WITH_ID else ""
            same = known.setdefault(identity, element)
            if same is element:
                merged.append(element)
            else:
                _join(same, element)
    ET.indent(merged)
    text: str = ET.tostring(merged, encoding="unicode")
    return f"{_DOCTYPE}{text}\n".encode()


def _root(data: bytes, where: str) -> ET.Element:
    root = parse_xml(unpack(data, "group", where), where)
    if root.tag != "comps":
        raise TrustError(f"{where}: not comps but {root.tag!r}")
    return root


def _group(element: ET.Element) -> Group:
    members = tuple(
        Member(
            name=(member.text or "").strip(),
            kind=member.get("type", "mandatory"),
            requires=member.get("requires", ""),
            native=member.get("basearchonly") == "true",
        )
        for member in element.iterfind("packagelist/packagereq")
    )
    return Group(_text(element, "id"), _text(element, "name"), members)


def _environment(element: ET.Element) -> Environment:
    lists = (
        tuple((group.text or "").strip() for group in element.iterfind(f"{name}/groupid"))
        for name in ("grouplist", "optionlist")
    )
    return Environment(_text(element, "id"), _text(element, "name"), *lists)


def _text(element: ET.Element, name: str) -> str:
    """The text of the child `name`, in the language that has no xml:lang."""
    return next(((child.text or "").strip() for child in element.iterfind(name) if not child.attrib), "")


def _join(first: ET.Element, second: ET.Element) -> None:
    """Add to `first` the entries of lists that only `second` has."""
    if first.tag not in _WITH_ID:
        _add_new(first, second)
        return
    for name in ("packagelist", "grouplist", "optionlist"):
        ours, theirs = first.find(name), second.find(name)
        if theirs is None:
            continue
        if ours is None:
            first.append(theirs)
        else:
            _add_new(ours, theirs)


def _add_new(ours: ET.Element, theirs: ET.Element) -> None:
    known = {_key(entry) for entry in ours}
    ours.extend(entry for entry in theirs if _key(entry) not in known)


def _key(entry: ET.Element) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """What makes an entry of a list the same: the name in it, or, where it is all attributes (langpacks), those.

    A package that two comps ask for in two ways (mandatory, optional) stays in both.
    """
    return entry.tag, (entry.text or "").strip(), tuple(sorted(entry.attrib.items()))
