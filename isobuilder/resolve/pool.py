"""The packages of several repositories in one libsolv pool: loaded, and found by the words that kickstarts use.

What shall be installed is not decided here.
"""

import fnmatch
import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import solv

from isobuilder.errors import TrustError
from isobuilder.lock import RepositoryFile
from isobuilder.repository import rpmmd
from isobuilder.resolve.excludes import Filter, unseen

# createrepo_c lists these in primary; every other file is in filelists only.
_PRIMARY_FILES = ("/etc/*", "*bin/*", "/usr/lib/sendmail")
_NAMES = solv.Selection.SELECTION_NAME | solv.Selection.SELECTION_CANON | solv.Selection.SELECTION_DOTARCH
_FLAGS = (
    # glibc.i686 goes beside glibc.x86_64, as in dnf; libsolv alone would not have it so.
    solv.Pool.POOL_FLAG_IMPLICITOBSOLETEUSESCOLORS,
    # Packages that are left out stay known, so that a problem with one says so.
    solv.Pool.POOL_FLAG_WHATPROVIDESWITHDISABLED,
)


@dataclass(frozen=True)
class Source:
    """A repository whose metadata lies on disk: `files` by kind (primary, filelists, group, ...), compressed or not.

    `priority` is in yum's sense: lower wins. `excludes` and `includes` are patterns in dnf's sense. No stream of a
    module hides the packages of a repository of `hotfixes`.
    """

    id: str
    priority: int
    files: Mapping[str, Path]
    excludes: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    hotfixes: bool = False


class PackagePool:
    """All packages of `sources`, as libsolv's solvables of an empty system of `arch`.

    Filelists are read as far as `paths` and the packages' own requirements of files need them: loaded whole, those of
    a distribution take more memory than everything else, and left out they shrink what is selected without an error.
    """

    def __init__(self, sources: Sequence[Source], *, arch: str, paths: Iterable[str] = ()) -> None:
        self.arch = arch
        self._sources = {source.id: source for source in sources}
        self.solv = solv.Pool()
        self.solv.setdisttype(solv.Pool.DISTTYPE_RPM)
        self.solv.setarch(arch)
        for flag in _FLAGS:
            self.solv.set_flag(flag, 1)
        # libsolv's objects of a repository do not keep it alive.
        self._repos = [self._load(source) for source in sources]
        self._add_files(paths)
        self.solv.createwhatprovides()
        self._by_name: dict[str, list[Any]] = {}
        for solvable in (solvable for repo in self._repos for solvable in repo.solvables):
            self._by_name.setdefault(solvable.name, []).append(solvable)
        filters = [Filter(source.id, source.excludes, source.includes) for source in sources]
        self._excluded = unseen(filters, (solvable for repo in self._repos for solvable in repo.solvables))
        self._hidden: frozenset[int] = self._excluded

    def names(self) -> Iterable[str]:
        """The name of every package, hidden ones too."""
        return self._by_name.keys()

    def is_excluded(self, word: str) -> bool:
        """Whether there are packages called `word`, and their repositories' filters leave all of them out."""
        found = {solvable.id for solvable in self.solv.select(word, _NAMES).solvables()}
        return bool(found) and found <= self._excluded

    def every(self, name: str) -> Sequence[Any]:
        """Every package of that name, hidden ones too."""
        return self._by_name.get(name, ())

    @functools.cached_property
    def by_nevra(self) -> Mapping[str, Sequence[Any]]:
        """Every package by NAME-[EPOCH:]VERSION-RELEASE.ARCH, hidden ones too; repositories may have the same."""
        found: dict[str, list[Any]] = {}
        for solvable in (solvable for solvables in self._by_name.values() for solvable in solvables):
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
        self.leave_out(())

    def leave_out(self, numbers: Iterable[int]) -> None:
        """Solve from now on without these packages and those that are hidden."""
        self.solv.set_disabled_list(sorted({*numbers, *self._hidden}))
        self.solv.createwhatprovides()

    def named(self, word: str) -> list[list[Any]]:
        """What a word of a kickstart means: a name, `name.arch`, a glob of them, something provided, or a path.

        There is one list for each package that must be installed, with all the versions and builds that would do. A
        package that replaces (obsoletes) one of them would do as well. No list at all: nothing is called that.
        """
        if word.startswith("/"):
            found = self._providers(word)
            return [found] if found else []
        found = self._select(word, _NAMES | solv.Selection.SELECTION_GLOB)
        if not found and (provided := self._providers(word)):
            return [provided]
        by_name: dict[str, list[Any]] = {}
        for solvable in found:
            by_name.setdefault(solvable.name, []).append(solvable)
        return [
            solvables + (self._replacements(solvables) if fnmatch.fnmatchcase(name, word) else [])
            for name, solvables in sorted(by_name.items())
        ]

    def member(self, name: str) -> list[Any]:
        """What a group means by the name of a member: a package of that name (or name.arch), or what replaces it."""
        plain = name.removesuffix(f".{self.arch}")
        found = [solvable for solvable in self._seen(plain) if plain == name or solvable.arch == self.arch]
        return found + self._replacements(found)

    def called(self, word: str) -> list[Any]:
        """The packages whose names `word` matches, which may be a glob."""
        return [solvable for name in fnmatch.filter(self._by_name, word) for solvable in self._seen(name)]

    def best(self, word: str) -> Any | None:
        """The one package that `word` names: by repository, then own architecture, then version."""
        found = self._select(word, _NAMES)
        best: Any = None
        for solvable in found:
            if best is None or self._better(solvable, best):
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
                hint="A repository with weaker checksums has to be made anew: createrepo_c --checksum sha256",
            )
        if solvable.lookup_str(solv.SOLVABLE_MEDIABASE):
            raise TrustError(f"{where}: the metadata sends it to another server (xml:base), which is not supported")
        size = solvable.lookup_num(solv.SOLVABLE_DOWNLOADSIZE)
        if not size:
            raise TrustError(f"{where}: the metadata has no size for it")
        href, _ = solvable.lookup_location()
        return RepositoryFile(path=rpmmd.location(href or "", where), sha256=checksum.hex(), size=size)

    def _load(self, source: Source) -> Any:
        repo = self.solv.add_repo(source.id)
        repo.priority = -source.priority
        with rpmmd.unpacked_xml(source.files["primary"], "primary") as plain:
            # libsolv closes what it is given.
            handle = solv.xfopen_fd("", os.dup(plain.fileno()))
            loaded = repo.add_rpmmd(handle, None, 0)
            handle.close()
        if not loaded:
            raise TrustError(f"repository {source.id}: its primary metadata is not as it should be: {self.solv.errstr}")
        return repo

    def _add_files(self, paths: Iterable[str]) -> None:
        """Make the files that somebody needs into things their packages provide."""
        # What packages need of primary's files, libsolv finds by itself.
        required = {self.solv.id2str(number) for number in self.solv.addfileprovides_queue()}
        unknown = {path for path in required if not any(fnmatch.fnmatchcase(path, known) for known in _PRIMARY_FILES)}
        unknown.update(paths)
        if not unknown:
            return
        for repo in self._repos:
            owners = _owners(self._sources[repo.name], unknown)
            for solvable in repo.solvables if owners else ():
                checksum = solvable.lookup_checksum(solv.SOLVABLE_CHECKSUM)
                for path in owners.get(checksum.hex() if checksum else "", ()):
                    solvable.add_provides(self.solv.Dep(path))

    def _seen(self, name: str) -> list[Any]:
        return [solvable for solvable in self._by_name.get(name, ()) if solvable.id not in self._hidden]

    def _select(self, word: str, flags: int) -> list[Any]:
        found: list[Any] = self.solv.select(word, flags).solvables()
        return [solvable for solvable in found if solvable.id not in self._hidden]

    def _providers(self, word: str) -> list[Any]:
        dependency = self.solv.Dep(word, 0)
        found = self.solv.whatprovides(dependency) if dependency else ()
        return [s for s in found if s.installable() and s.id not in self._hidden]

    def _replacements(self, solvables: list[Any]) -> list[Any]:
        found = {
            replacement.id: replacement
            for solvable in solvables
            for replacement in self.solv.whatmatchessolvable(solv.SOLVABLE_OBSOLETES, solvable)
        }
        known = {solvable.id for solvable in solvables}
        shown = sorted(found.keys() - known - self._hidden)
        return [found[number] for number in shown if found[number].installable()]

    def _better(self, one: Any, other: Any) -> bool:
        if one.repo.priority != other.repo.priority:
            return bool(one.repo.priority > other.repo.priority)
        if one.arch != other.arch and self.arch in (one.arch, other.arch):
            return bool(one.arch == self.arch)
        return bool(one.evrcmp(other) > 0)


def _owners(source: Source, wanted: set[str]) -> dict[str, list[str]]:
    """Which of the `wanted` paths the packages of a repository have, by the packages' sha256."""
    path = source.files["filelists"]
    rpmmd.check_xml(path, "filelists")
    owners: dict[str, list[str]] = {}

    def package(entry: Any) -> None:
        found = [folder + name for _, folder, name, *_ in entry.files if folder + name in wanted]
        if found:
            owners[entry.pkgId] = found

    module = rpmmd.createrepo_c()
    try:
        module.xml_parse_filelists(os.fspath(path), None, package)
    except module.CreaterepoCError as error:
        raise TrustError(f"repository {source.id}: its filelists are not as they should be: {error}") from error
    return owners
