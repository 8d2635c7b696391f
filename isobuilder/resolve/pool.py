"""The packages of several repositories in one libsolv pool: loaded, and found by the words that kickstarts use.

What shall be installed is not decided here.
"""

import fnmatch
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import solv

from isobuilder.errors import TrustError
from isobuilder.hosterrors import host_errors
from isobuilder.kept import Kept
from isobuilder.lock import RepositoryFile
from isobuilder.repository import rpmmd
from isobuilder.resolve.excludes import Filter, unseen
from isobuilder.resolve.loading import Loader
from isobuilder.resolve.subjects import Subjects, is_glob

# The largest that are known, of firmware and games, have some GB.
_LARGEST = 32 << 30
_PROVIDED = solv.Selection.SELECTION_PROVIDES | solv.Selection.SELECTION_GLOB | solv.Selection.SELECTION_WITH_DISABLED
_FLAGS = (
    # glibc.i686 goes beside glibc.x86_64, as in dnf; libsolv alone would not have it so.
    solv.Pool.POOL_FLAG_IMPLICITOBSOLETEUSESCOLORS,
    # Packages that are left out stay known, so that a problem with one says so.
    solv.Pool.POOL_FLAG_WHATPROVIDESWITHDISABLED,
)


@dataclass(frozen=True)
class Source:
    """A repository whose metadata lies on disk: `files` by kind (primary, filelists, group, ...), compressed or not.

    `sha256` has what each of them must be, by kind, where that is known: they are compared as they are read.
    `priority` is in yum's sense: lower wins. `excludes` and `includes` are patterns in dnf's sense. No stream of a
    module hides the packages of a repository of `hotfixes`.
    """

    id: str
    priority: int
    files: Mapping[str, Path]
    excludes: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    hotfixes: bool = False
    sha256: Mapping[str, str] = field(default_factory=dict)

    def read(self, kind: str) -> bytes:
        """The bytes of a small file, as they lie there. Raises TrustError where they are not what they must be."""
        path = self.files[kind]
        with host_errors(path), path.open("rb") as file:
            if kind in self.sha256:
                rpmmd.check_sha256(file, self.sha256[kind], path)
            return file.read()


class PackagePool:
    """All packages of `sources`, as libsolv's solvables of an empty system of `arch`.

    Who has `paths` is found, too. What was read once is kept in `kept`, and taken from there. Pools of equal `content`
    have the same packages under the same numbers; it is None where nobody knows the checksums of the metadata.
    """

    def __init__(
        self, sources: Sequence[Source], *, arch: str, paths: Iterable[str] = (), kept: Kept | None = None
    ) -> None:
        self.arch = arch
        self._sources = {source.id: source for source in sources}
        self.solv = solv.Pool()
        self.solv.setdisttype(solv.Pool.DISTTYPE_RPM)
        self.solv.setarch(arch)
        for flag in _FLAGS:
            self.solv.set_flag(flag, 1)
        # libsolv's objects of a repository do not keep it alive.
        self._repos = [self._added(source) for source in sources]
        loader = Loader(self.solv, list(zip(self._repos, sources, strict=True)), kept)
        loader.load()
        self._files = loader.owners(frozenset(paths))
        self._subjects = Subjects(self.solv)
        filters = [Filter(source.id, source.excludes, source.includes) for source in sources]
        self._excluded = unseen(filters, self._subjects)
        repositories = [[source.id, source.priority] for source in sources]
        self.content = [loader.key, arch, repositories] if loader.is_known else None
        self._hidden: frozenset[int] = self._excluded

    def names(self) -> Iterable[str]:
        """The name of every package, hidden ones too."""
        return self._subjects.by_name.keys()

    def is_excluded(self, word: str) -> bool:
        """Whether there are packages called `word`, and their repositories' filters leave all of them out."""
        found = {solvable.id for solvable in self.every(word)}
        return bool(found) and found <= self._excluded

    def every(self, word: str) -> Sequence[Any]:
        """Every package that is called so, hidden ones too."""
        return self._subjects.of(word).packages

    @functools.cached_property
    def by_nevra(self) -> Mapping[str, Sequence[Any]]:
        """Every package by NAME-[EPOCH:]VERSION-RELEASE.ARCH, hidden ones too; repositories may have the same."""
        found: dict[str, list[Any]] = {}
        for solvable in (solvable for solvables in self._subjects.by_name.values() for solvable in solvables):
            found.setdefault(str(solvable), []).append(solvable)
        return found

    def providers(self, name: str) -> list[Any]:
        """Every package that provides something of that name, in whatever version, those too that modules hide."""
        dependency = self.solv.Dep(name, 0)
        found = self.solv.whatprovides(dependency) if dependency else ()
        return [solvable for solvable in found if solvable.id not in self._excluded]

    def hotfix(self, solvable: Any) -> bool:
        """Whether a package is out of a repository of hotfixes."""
        return self._sources[solvable.repo.name].hotfixes

    def hide(self, numbers: frozenset[int]) -> None:
        """Look up from now on as if exactly these packages, by libsolv's number, and those filtered were nowhere."""
        self._hidden = numbers | self._excluded

    def leave_out(self, numbers: Iterable[int]) -> list[int]:
        """Solve from now on without these packages and those that are hidden: all that libsolv does not see then."""
        disabled = sorted({*numbers, *self._hidden})
        self.solv.set_disabled_list(disabled)
        return disabled

    def named(self, word: str) -> list[list[Any]]:
        """What a word of a kickstart means: a name in any of dnf's forms, something provided, or a path.

        There is one list for each package that must be installed, with all the versions and builds that would do. A
        package that replaces (obsoletes) one of them would do as well. No list at all: nothing is called that.
        """
        subject = self._subjects.of(word, self._is_seen)
        if not subject.packages:
            provided = self._providers(word)
            if is_glob(word) and not word.startswith("/"):
                return list(_by(provided, lambda solvable: (solvable.name,)))
            return [provided] if provided else []
        # A glob of architectures asks for every one of them, a glob of anything else for every name.
        if is_glob(subject.said.get("arch", "")):
            return [self._with_replacements(each) for each in _by(subject.packages, lambda s: (s.name, s.arch))]
        if is_glob(word):
            each_name = list(_by(subject.packages, lambda solvable: (solvable.name,)))
            return [self._with_replacements(each) for each in each_name] if subject.is_name else each_name
        return [self._with_replacements(subject.packages) if subject.is_name else list(subject.packages)]

    def member(self, name: str, *, native: bool) -> list[Any]:
        """What a group means by a member: packages of that name (native: of the own architecture) and replacements."""
        found = [each for each in self.called(name) if not native or each.arch == self.arch]
        return self._with_replacements(found) if found else []

    def called(self, name: str) -> list[Any]:
        """The packages of exactly that name."""
        return [solvable for solvable in self._subjects.called(name) if self._is_seen(solvable)]

    def names_like(self, word: str) -> list[Any]:
        """The packages whose names `word` matches: only there is it a glob, or else the whole name."""
        names = fnmatch.filter(self.names(), word) if is_glob(word) else [word]
        return [solvable for name in names for solvable in self.called(name)]

    def best(self, word: str) -> Any | None:
        """The one package that `word` names: by repository, then own architecture, then version."""
        best: Any = None
        for solvable in self._subjects.of(word, self._is_seen).packages:
            if solvable.installable() and (best is None or self._better(solvable, best)):
                best = solvable
        return best

    def file(self, solvable: Any) -> RepositoryFile:
        """Where a package lies, and what its bytes must be, by its repository's metadata.

        Raises TrustError where that has no sha256, no size, or a location outside of the repository.
        """
        source = self._sources[solvable.repo.name]
        where = f"repository {source.id}: {solvable}"
        checksum = solvable.lookup_checksum(solv.SOLVABLE_CHECKSUM)
        if checksum is None or checksum.typestr() != "sha256":
            raise TrustError(
                f"{where}: its checksum in the metadata is not sha256 but {checksum.typestr() if checksum else 'none'}",
                hint="A repository with other checksums has to be made anew: createrepo_c --checksum sha256",
            )
        if solvable.lookup_str(solv.SOLVABLE_MEDIABASE):
            raise TrustError(f"{where}: the metadata sends it to another server (xml:base), which is not supported")
        size = solvable.lookup_num(solv.SOLVABLE_DOWNLOADSIZE)
        if not size:
            raise TrustError(f"{where}: the metadata has no size for it")
        if size > _LARGEST:
            raise TrustError(f"{where}: the metadata gives it {size} bytes; no package is that large")
        href, _ = solvable.lookup_location()
        return RepositoryFile(path=rpmmd.location(href or "", where), sha256=checksum.hex(), size=size)

    def _added(self, source: Source) -> Any:
        repo = self.solv.add_repo(source.id)
        repo.priority = -source.priority
        return repo

    def _is_seen(self, solvable: Any) -> bool:
        return solvable.id not in self._hidden

    def _providers(self, word: str) -> list[Any]:
        provided, has_file = self.solv.select(word, _PROVIDED).solvables(), self._files.get(word, ())
        return [each for each in provided if self._is_seen(each)] or [each for each in has_file if self._is_seen(each)]

    def _with_replacements(self, solvables: Sequence[Any]) -> list[Any]:
        """`solvables` and what obsoletes one of them, by its name and no other that it provides, as dnf has it."""
        found = {solvable.id: solvable for solvable in solvables}
        for solvable in solvables:
            for dependency, replacement in self._obsoleting.get(solvable.name, ()):
                if self._is_seen(replacement) and solvable.matchesdep(solv.SOLVABLE_NAME, dependency):
                    found[replacement.id] = replacement
        return [found[number] for number in sorted(found)]

    @functools.cached_property
    def _obsoleting(self) -> Mapping[str, Sequence[tuple[Any, Any]]]:
        """What obsoletes something of a name, each with the dependency that says so."""
        found: dict[str, list[tuple[Any, Any]]] = {}
        for said in self.solv.Dataiterator(solv.SOLVABLE_OBSOLETES):
            name, _, _ = str(said.dep).partition(" ")
            found.setdefault(name, []).append((said.dep, said.solvable))
        return found

    def _better(self, one: Any, other: Any) -> bool:
        if one.repo.priority != other.repo.priority:
            return bool(one.repo.priority > other.repo.priority)
        if one.arch != other.arch and self.arch in (one.arch, other.arch):
            return bool(one.arch == self.arch)
        return bool(one.evrcmp(other) > 0)


def _by(solvables: Iterable[Any], key: Callable[[Any], tuple[str, ...]]) -> Iterable[list[Any]]:
    """`solvables` apart by `key`, in its order."""
    found: dict[tuple[str, ...], list[Any]] = {}
    for solvable in solvables:
        found.setdefault(key(solvable), []).append(solvable)
    return [found[each] for each in sorted(found)]
