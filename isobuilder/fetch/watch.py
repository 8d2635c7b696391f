"""An end to waiting for servers that say something all the time and never finish it.

Timeouts of sockets begin anew with every byte: a header that comes in drops, or a trailer without end, would hold a
transfer for ever. Here the wait itself is timed, and ended by shutting the socket down.
"""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPException
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ProxyError

from isobuilder.fetch.transfer import BrokenTransferError


class Watch:
    """Watches over one wait at a time, in a thread of its own: each may last `seconds`, or twice that."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._waits = 0
        self._goes_on = False
        self._ended = 0
        self._socket: socket.socket | None = None

    def close(self) -> None:
        self._closed.set()

    def answer_on(self, connection: socket.socket | None) -> None:
        """The answer that is awaited comes over `connection`."""
        self._socket = connection

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A wait, for as long as the context lasts. Raises BrokenTransferError when it had to be ended."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
            self._thread.start()
        self._waits += 1
        self._goes_on = True
        try:
            yield
        except Exception as error:
            if self._ended == self._waits:
                raise self._broken() from error
            raise
        finally:
            self._goes_on = False
        if self._ended == self._waits:
            raise self._broken()

    def _broken(self) -> BrokenTransferError:
        return BrokenTransferError(f"the server keeps talking, and nothing was complete in {self._seconds:.0f} seconds")

    def _run(self) -> None:
        seen = 0
        while not self._closed.wait(self._seconds):
            current = self._waits if self._goes_on else 0
            if current and current == seen and self._socket is not None:
                self._ended = current
                _shut_down(self._socket)
            seen = current


class WatchedAdapter(HTTPAdapter):
    """Connections that tell `watch` where an answer is awaited."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        super().__init__()

    def get_connection_with_tls_context(self, *arguments: Any, **named: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*arguments, **named)
        pool.ConnectionCls = partial(_Https if pool.scheme == "https" else _Http, self._watch)
        return pool


class _Http(HTTPConnection):
    def __init__(self, watch: Watch, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._watch = watch

    def getresponse(self) -> Any:
        self._watch.answer_on(self.sock)
        return super().getresponse()


class _Https(HTTPSConnection):
    def __init__(self, watch: Watch, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._watch = watch

    def getresponse(self) -> Any:
        self._watch.answer_on(self.sock)
        return super().getresponse()

    def _tunnel(self) -> None:
        self._watch.answer_on(self.sock)
        try:
            super()._tunnel()
        except (HTTPException, ConnectionError, TimeoutError) as error:
            # Else nothing would tell whether the proxy or the server talks nonsense.
            raise ProxyError("no tunnel", error) from error


def _shut_down(connection: socket.socket) -> None:
    """End the connection for whoever reads from it, and for the server at once, without waiting for what it still says.

    It may be closed meanwhile, or be TLS inside TLS: hence the copy.
    """
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        copy.shutdown(socket.SHUT_RDWR)
