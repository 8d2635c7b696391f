"""The way to a file by its address: the disk, a server, or without a network what servers said before."""

from collections.abc import Iterator
from contextlib import contextmanager

from isobuilder.addresses import is_local
from isobuilder.fetch.transfer import Reply, Transfers


class Routes:
    """Transfers of files here by `local`, and of all others by `remote`, which is closed with it."""

    def __init__(self, local: Transfers, remote: Transfers) -> None:
        self._local = local
        self._remote = remote

    def close(self) -> None:
        self._remote.close()

    @contextmanager
    def get(self, url: str, start: int = 0) -> Iterator[Reply]:
        with self._to(url).get(url, start) as reply:
            yield reply

    def size(self, url: str) -> int | None:
        return self._to(url).size(url)

    def _to(self, url: str) -> Transfers:
        return self._local if is_local(url) else self._remote
