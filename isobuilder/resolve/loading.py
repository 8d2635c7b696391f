"""Metadata becomes libsolv's repositories: read as XML once, and from then on in libsolv's own format.

Filelists are read as far as somebody's words and the packages' own requirements of files need them: loaded whole, those
of a distribution take more memory than everything else, and left out they shrink what is selected without an error.
"""

import fnmatch
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import solv

from isobuilder.errors import HostError, TrustError
from isobuilder.hosterrors import scratch_errors
from isobuilder.kept import Kept, key_of
from isobuilder.repository import rpmmd
from isobuilder.repository.filelists import find_owners

if TYPE_CHECKING:
    from isobuilder.resolve.pool import Source

# createrepo_c lists these in primary; every other file is in filelists only.
_PRIMARY_FILES: Final = ("/etc/*", "*bin/*", "/usr/lib/sendmail")
# Counted up when what is kept is made in another way.
_FORMAT: Final = 1
_EXACTLY: Final = solv.Selection.SELECTION_NAME | solv.Selection.SELECTION_WITH_ALL


class Loader:
    """Fills libsolv's empty repositories, each given with its source; `kept` None keeps nothing.

    `key` tells their metadata from any other where its checksums are known (`is_known`).
    """

    def __init__(self, pool: Any, repositories: Sequence[tuple[Any, "Source"]], kept: Kept | None) -> None:
        self._pool = pool
        self._repositories = repositories
        digests = [(source.sha256.get("primary"), source.sha256.get("filelists")) for _, source in repositories]
        # Without a checksum nobody can say whether they are the same.
        self.is_known = all(map(all, digests))
        self._kept = kept if self.is_known else None
        # What packages require of each other's files counts, so that it is all of them or none.
        self.key = key_of(_FORMAT, metadata.version("solv"), digests)

    def load(self) -> None:
        """Fill the repositories, and make what they provide. Raises TrustError for metadata that is not to be read."""
        if not self._take_kept():
            for repo, source in self._repositories:
                self._parse(repo, source)
            self._add_files()
            self._keep()
        self._pool.addfileprovides()
        self._pool.createwhatprovides()

    def owners(self, paths: Collection[str]) -> dict[str, list[Any]]:
        """The packages that have each of `paths`, after `load`: libsolv's solvables."""
        if not paths:
            return {}
        known = dict(self._kept.facts(self.key)) if self._kept else {}
        if not known.keys() >= set(paths):
            found = {path: list[int]() for path in paths}
            for solvable, path in self._find(paths):
                found[path].append(solvable.id)
            known |= found
            if self._kept:
                self._kept.keep_facts(self.key, known)
        return {path: [self._pool.id2solvable(number) for number in known[path]] for path in paths}

    def _take_kept(self) -> bool:
        if self._kept is None:
            return False
        with self._kept.opened(self.key, len(self._repositories)) as files:
            if files is None:
                return False
            for file, (repo, _) in zip(files, self._repositories, strict=True):
                self._read_back(repo, file)
        return True

    def _parse(self, repo: Any, source: "Source") -> None:
        with rpmmd.unpacked_xml(source.files["primary"], "primary", source.sha256.get("primary")) as plain:
            loaded = _handed_over(plain, lambda handle: repo.add_rpmmd(handle, None, 0))
        if not loaded:
            raise TrustError(
                f"repository {source.id}: its primary metadata is not as it should be: {self._pool.errstr}"
            )

    def _add_files(self) -> None:
        """Make the files that packages need into what their owners provide.

        What packages need of primary's files, libsolv finds by itself, where primary has them.
        """
        added = self._pool.addfileprovides_queue()
        for repo, _ in self._repositories:
            data = repo.first_repodata()
            if added and data:
                # So that libsolv, when all of it is read back, knows that there is nothing to look for.
                for number in added:
                    data.add_idarray(solv.SOLVID_META, solv.REPOSITORY_ADDEDFILEPROVIDES, number)
                data.internalize()
        required = {self._pool.id2str(number) for number in added}
        self._pool.createwhatprovides()
        missing = {
            path for path in required if not (_in_primary(path) and self._pool.whatprovides(self._pool.Dep(path)))
        }
        for solvable, path in self._find(missing):
            solvable.add_provides(self._pool.Dep(path))

    def _find(self, paths: Collection[str]) -> Iterator[tuple[Any, str]]:
        """Who has the `paths`, by filelists."""
        for repo, source in self._repositories if paths else ():
            place = f"repository {source.id}"
            for owner in find_owners(source.files["filelists"], paths, place, source.sha256.get("filelists")):
                for solvable in self._pool.select(owner.name, _EXACTLY).solvables() if owner.name else ():
                    checksum = solvable.lookup_checksum(solv.SOLVABLE_CHECKSUM)
                    if solvable.repo.id == repo.id and checksum and checksum.hex() == owner.pkgid:
                        yield from ((solvable, path) for path in owner.paths)

    def _keep(self) -> None:
        """Write the repositories in libsolv's own format and read them back, as dnf does, which sorts what is needed.

        Among several packages of equal right, libsolv's choice depends on that order. It takes less memory, too.
        """
        with scratch_errors(), ExitStack() as stack:
            written = [stack.enter_context(tempfile.TemporaryFile()) for _ in self._repositories]
            for file, (repo, _) in zip(written, self._repositories, strict=True):
                self._check(_handed_over(file, repo.write))
            if self._kept:
                self._kept.keep(self.key, [partial(_copy, file) for file in written])
            # From the last to the first, so that the numbers of packages are those of repositories that are read anew.
            for repo, _ in reversed(self._repositories):
                repo.empty(True)  # noqa: FBT003 - no keywords
            for file, (repo, _) in zip(written, self._repositories, strict=True):
                file.seek(0)
                self._read_back(repo, file)

    def _read_back(self, repo: Any, file: BinaryIO) -> None:
        self._check(_handed_over(file, repo.add_solv))

    def _check(self, is_done: Any) -> None:
        if not is_done:
            raise HostError(f"libsolv cannot write or read its own format: {self._pool.errstr}")


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    source.seek(0)
    shutil.copyfileobj(source, target)


def _handed_over(file: BinaryIO, use: Callable[[Any], Any]) -> Any:
    """What `use` does with an open file as libsolv has it, which has a descriptor of its own."""
    handle = solv.xfopen_fd("", file.fileno())
    try:
        return use(handle)
    finally:
        handle.close()


def _in_primary(path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, known) for known in _PRIMARY_FILES)
