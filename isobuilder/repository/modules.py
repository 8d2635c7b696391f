"""Module metadata (modulemd): the streams and defaults of a repository, and what a medium keeps of them.

The format is libmodulemd's (its yaml_specs): modulemd version 2 and modulemd-defaults version 1. Which streams are
active is not decided here. Obsoletes are kept and not acted on: dnf applies them to streams that are enabled already,
and in a new system none is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from isobuilder.errors import TrustError
from isobuilder.repository.rpmmd import unpack
from isobuilder.repository.yamldocs import Document, documents

_NEVRA = re.compile(r"([^:(/=<> ]+)-(?:([0-9]{1,9}):)?([^-:(/=<> ]+)-([^-:(/=<> ]+)\.([^-:.(/=<> ]+)")
_NUMBER = re.compile(r"[0-9]{1,20}")
# What libdnf takes in the names of its form NAME:STREAM:VERSION:CONTEXT:ARCH, besides a glob's.
_NAME = re.compile(r"[A-Za-z0-9+._-]{1,200}")
_SOURCE = ("src", "nosrc")


@dataclass(frozen=True)
class Artifact:
    """A package that belongs to a stream. `key` is what libsolv prints for it: NAME-[EPOCH:]VERSION-RELEASE.ARCH."""

    name: str
    key: str
    source: bool


@dataclass(frozen=True)
class ModuleStream:
    """One build of a stream: a document of modulemd.

    `requires` has the streams of each required module: any of those listed; without one, any but those that begin with
    `-`. `demodularized` are names that the module gave up. `static` says that `context` is part of its identity.
    """

    repository: str
    name: str
    stream: str
    version: int
    context: str
    arch: str
    static: bool
    requires: tuple[tuple[str, tuple[str, ...]], ...]
    profiles: Mapping[str, tuple[str, ...]] = field(hash=False)
    artifacts: tuple[Artifact, ...] = field(hash=False)
    demodularized: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """NAME:STREAM, by which kickstarts and locks name it."""
        return f"{self.name}:{self.stream}"

    @property
    def full_id(self) -> str:
        """NAME:STREAM:VERSION:CONTEXT:ARCH."""
        return f"{self.id}:{self.version}:{self.context}:{self.arch}"


@dataclass(frozen=True)
class ModuleDefaults:
    """What is taken of a module where nobody says: `stream` ("" for none) and the profiles by stream.

    `modified` is the number by which the later of two repositories' wins.
    """

    module: str
    modified: int
    stream: str
    profiles: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class ModuleIndex:
    """The modules of a repository. `notes` say what was left out of it."""

    streams: tuple[ModuleStream, ...]
    defaults: Mapping[str, ModuleDefaults]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """A repository's modules with the documents' texts: of streams by full id, and what else is said of a module."""

    index: ModuleIndex
    texts: Mapping[str, str]
    others: tuple[tuple[str, str], ...]


def parse_modules(data: bytes, repository: str) -> ModuleIndex:
    """Read the modules of a repository, compressed or not. Raises TrustError for what is not modulemd."""
    return read_modules(data, repository).index


def read_modules(data: bytes, repository: str) -> Published:
    """Read the modules of a repository like parse_modules, and keep the texts of their documents.

    Of two builds of one identity the later one in the file counts, and of two defaults of one module.
    """
    streams: dict[str, ModuleStream] = {}
    texts: dict[str, str] = {}
    defaults: dict[str, ModuleDefaults] = {}
    others: list[tuple[str, str]] = []
    notes: dict[str, None] = {}
    for reader in _read(data, repository):
        match reader.kind:
            case "modulemd", "2":
                stream = _stream(reader, repository)
                streams[stream.full_id], texts[stream.full_id] = stream, reader.document.text
            case "modulemd-defaults", "1":
                found = _defaults(reader)
                defaults[found.module] = found
            case "modulemd-obsoletes" | "modulemd-translations", "1":
                others.append((reader.text("module"), reader.document.text))
            case kind, version:
                notes[f"repository {repository}: modules: {kind} of version {version} is left out"] = None
    index = ModuleIndex(tuple(sorted(streams.values(), key=lambda stream: stream.name)), defaults, tuple(notes))
    return Published(index, texts, tuple(others))


def merge_defaults(indexes: Iterable[ModuleIndex]) -> dict[str, ModuleDefaults] | None:
    """The defaults of several repositories as one, by libmodulemd's rules; None where they contradict each other.

    Of two streams the later modified one wins; of two that are equally old neither is the default. Two that are equally
    old and name other profiles for one stream leave libdnf without any defaults.
    """
    merged: dict[str, ModuleDefaults] = {}
    contested: set[str] = set()
    for defaults in (defaults for index in indexes for defaults in index.defaults.values()):
        ours = merged.setdefault(defaults.module, defaults)
        later = defaults.modified > ours.modified
        stream = ours.stream or defaults.stream
        if ours.stream and defaults.stream and ours.stream != defaults.stream:
            stream = defaults.stream if later else ours.stream
            if defaults.modified == ours.modified:
                contested.add(defaults.module)
        profiles = dict(ours.profiles)
        for name, wanted in defaults.profiles.items():
            if later or name not in profiles:
                profiles[name] = wanted
            elif defaults.modified == ours.modified and set(wanted) != set(profiles[name]):
                return None
        merged[defaults.module] = ModuleDefaults(
            defaults.module, max(ours.modified, defaults.modified), stream, profiles
        )
    for module in contested:
        merged[module] = ModuleDefaults(module, merged[module].modified, "", merged[module].profiles)
    return merged


def _read(data: bytes, repository: str) -> Iterator["_Reader"]:
    where = f"repository {repository}: modules"
    for number, document in enumerate(documents(unpack(data, "modules", where), where), 1):
        root = document.node
        if root == "":
            continue
        place = f"{where}: document {number}"
        if not isinstance(root, dict) or not isinstance(root.get("data"), dict) or "document" not in root:
            raise TrustError(f"{place}: not modulemd")
        reader = _Reader(place, root, document)
        yield _Reader(place, root["data"], document, (reader.text("document"), reader.text("version")))


@dataclass(frozen=True)
class _Reader:
    """A mapping in a document, whose values are asked for by type. `kind`: the document's own and its version."""

    where: str
    node: Mapping[str, Any]
    document: Document
    kind: tuple[str, str] = ("", "")

    def text(self, key: str, *, default: str | None = None) -> str:
        value = self.node.get(key, default)
        if not isinstance(value, str):
            raise self.error(key, "is no text" if key in self.node else "is not there")
        return value

    def name(self, key: str, *, default: str | None = None) -> str:
        value = self.text(key, default=default)
        if value != default and not _NAME.fullmatch(value):
            raise self.error(key, f"{value[:80]!r} is no name")
        return value

    def number(self, key: str) -> int:
        value = self.text(key, default="0")
        if not _NUMBER.fullmatch(value):
            raise self.error(key, f"{value[:80]!r} is no number")
        return int(value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.node.get(key) or ()
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "is no list of texts")
        return tuple(value)

    def within(self, key: str) -> "_Reader":
        value = self.node.get(key) or {}
        if not isinstance(value, dict):
            raise self.error(key, "is no mapping")
        return _Reader(f"{self.where}: {key}", value, self.document)

    def each(self, key: str) -> Iterator["_Reader"]:
        value = self.node.get(key) or ()
        if not isinstance(value, list | tuple) or not all(isinstance(item, dict) for item in value):
            raise self.error(key, "is no list of mappings")
        for item in value:
            yield _Reader(f"{self.where}: {key}", item, self.document)

    def error(self, key: str, why: str) -> TrustError:
        return TrustError(f"{self.where}: {key} {why}")


def _stream(reader: _Reader, repository: str) -> ModuleStream:
    profiles, requires = reader.within("profiles"), [each.within("requires") for each in reader.each("dependencies")]
    return ModuleStream(
        repository=repository,
        name=reader.name("name"),
        stream=reader.name("stream"),
        version=reader.number("version"),
        context=reader.name("context", default=""),
        arch=reader.name("arch", default="noarch"),
        static=reader.text("static_context", default="false").lower() == "true",
        requires=tuple((module, _streams(each, module)) for each in requires for module in sorted(each.node)),
        profiles={name: profiles.within(name).texts("rpms") for name in profiles.node},
        artifacts=tuple(_artifacts(reader.within("artifacts").texts("rpms"))),
        demodularized=frozenset(reader.within("demodularized").texts("rpms")),
    )


def _streams(requires: _Reader, module: str) -> tuple[str, ...]:
    streams = requires.texts(module)
    for name in (module, *streams):
        if not _NAME.fullmatch(name):
            raise requires.error(module, f"{name[:80]!r} is no name")
    return streams


def _artifacts(rpms: Iterable[str]) -> Iterator[Artifact]:
    """What is no NEVRA is left out, as libdnf does."""
    for rpm in rpms:
        if found := _NEVRA.fullmatch(rpm):
            name, epoch, version, release, arch = found.groups()
            evr = f"{epoch}:{version}-{release}" if int(epoch or 0) else f"{version}-{release}"
            yield Artifact(name, f"{name}-{evr}.{arch}", source=arch in _SOURCE)


def _defaults(reader: _Reader) -> ModuleDefaults:
    profiles = reader.within("profiles")
    return ModuleDefaults(
        module=reader.name("module"),
        modified=reader.number("modified"),
        stream=reader.name("stream", default=""),
        profiles={stream: profiles.texts(stream) for stream in profiles.node},
    )
