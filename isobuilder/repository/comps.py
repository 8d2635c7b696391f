"""Comps: the groups and environments that a repository publishes, from bytes to values, and several as one."""

import fnmatch
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from xml.etree import ElementTree as ET

from isobuilder.errors import TrustError
from isobuilder.repository.rpmmd import parse_xml, unpack

_DOCTYPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE comps PUBLIC "-//CentOS//DTD Comps info//EN" "comps.dtd">\n'
)
# In the order of the DTD; what has no id (langpacks, blacklist) is one list for all.
_WITH_ID = ("group", "category", "environment")
_LISTS = ("packagelist", "grouplist", "optionlist")
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

    def matching(self, word: str) -> tuple[tuple[Group, ...], tuple[Environment, ...]]:
        """The groups and environments that `word` means, as dnf takes it: their id or name, or else a glob of it."""
        return _matching(word, self.groups.values()), _matching(word, self.environments.values())

    def environment(self, word: str) -> tuple[Environment, ...]:
        """The environment of that id or name, as the installer takes it; none where there is no such one."""
        exact = (each for each in self.environments.values() if each.name == word)
        found = self.environments.get(word) or next(exact, None)
        return (found,) if found else ()


_Named = TypeVar("_Named", Group, Environment)


def parse_comps(data: bytes, *, where: str = "comps") -> Comps:
    """Read comps, compressed or not. Raises TrustError for what is not comps."""
    root = _root(data, where)
    groups = [_group(element) for element in root.iterfind("group")]
    environments = [_environment(element) for element in root.iterfind("environment")]
    return Comps({group.id: group for group in groups}, {each.id: each for each in environments})


def merge_comps(files: Sequence[bytes]) -> bytes:
    """Several comps, compressed or not, as one plain comps.xml for a medium: the same for the same files in that order.

    Two of one id become one, with the members of both; where they differ about a member or a name, the later one
    counts, as in dnf. What has no id, langpacks and the like, is joined. Raises TrustError for what is not comps.
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


def _matching(word: str, known: Collection[_Named]) -> tuple[_Named, ...]:
    exact = tuple(each for each in known if word in (each.id, each.name))
    pattern = re.compile(fnmatch.translate(word), re.IGNORECASE)
    return exact or tuple(each for each in known if pattern.match(each.id) or pattern.match(each.name))


def _join(first: ET.Element, second: ET.Element) -> None:
    """Make `first` say what both say, and `second` where they differ."""
    if first.tag not in _WITH_ID:
        _add_new(first, second)
        return
    for theirs in second:
        ours = next((each for each in first if (each.tag, each.attrib) == (theirs.tag, theirs.attrib)), None)
        if ours is None:
            first.append(theirs)
        elif theirs.tag in _LISTS:
            _replace(ours, theirs)
        else:
            ours.text = theirs.text


def _replace(ours: ET.Element, theirs: ET.Element) -> None:
    """Add the entries of another list, each in the place of those of the same name."""
    named: dict[str, list[ET.Element]] = {}
    replaced = {(entry.text or "").strip() for entry in theirs}
    for entry in ours:
        name = (entry.text or "").strip()
        named.setdefault(name, []).extend([] if name in replaced else [entry])
    for entry in theirs:
        named.setdefault((entry.text or "").strip(), []).append(entry)
    ours[:] = [entry for entries in named.values() for entry in entries]


def _add_new(ours: ET.Element, theirs: ET.Element) -> None:
    known = {_key(entry) for entry in ours}
    ours.extend(entry for entry in theirs if _key(entry) not in known)


def _key(entry: ET.Element) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """What makes an entry of a list without an id the same: the name in it, or, where it is all attributes, those."""
    return entry.tag, (entry.text or "").strip(), tuple(sorted(entry.attrib.items()))
