"""A mirror on loopback for tests: serves bytes from memory, with ranges, and misbehaves as told."""

import re
import ssl
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Final

_TIMES: Final = 100_000


@dataclass(frozen=True)
class Fault:
    """How one answer goes wrong.

    `status` answers that instead; `cut` closes the connection after so many bytes of the body; `headers` are added to
    the answer (a "Content-Length" or "Content-Range" replaces the true one, an empty one leaves it out); `whole`
    ignores the Range; `hang` sends nothing (after `cut` bytes) until the server ends; `body` is sent instead of the
    file's; `raw` is sent instead of all of that, and then `again` a hundred thousand times, or until nobody listens.
    """

    status: int = 0
    cut: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False
    hang: bool = False
    body: bytes | None = None
    raw: bytes | None = None
    again: bytes = b""


@dataclass
class Mirror:
    """Set `files` (path to bytes) and `faults` (path to what happens to the next answers, in turn); read `requests`.

    `came` and `left` have an entry for each connection, once it is made and once it has ended, and `repeated` for each
    `Fault.again`: how often it was sent.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    faults: defaultdict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    came: "SimpleQueue[None]" = field(default_factory=SimpleQueue)
    left: "SimpleQueue[None]" = field(default_factory=SimpleQueue)
    repeated: "SimpleQueue[int]" = field(default_factory=SimpleQueue)
    ended: threading.Event = field(default_factory=threading.Event)

    def ranges(self, path: str) -> list[str | None]:
        """The Range of each request for `path` so far."""
        return [headers.get("Range") for asked, headers in self.requests if asked == path]


class Slept:
    """A sleep that takes no time."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)


@contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[Mirror]:
    """A mirror that listens for as long as the context lasts."""

    class Handler(_Handler):
        pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        port = server.server_address[1]
        mirror = Handler.mirror = Mirror(f"{'https' if tls else 'http'}://127.0.0.1:{port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield mirror
        finally:
            mirror.ended.set()
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that leaves early, or does not trust the certificate, is what some tests are about.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    mirror: Mirror
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.mirror.came.put(None)
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.mirror.left.put(None)

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        """Asked for as a proxy; the path is the server's name and port."""
        self.do_GET()

    def do_GET(self) -> None:
        mirror = self.mirror
        mirror.requests.append((self.path, dict(self.headers)))
        faults = mirror.faults[self.path]
        fault = faults.popleft() if faults else Fault()
        if fault.hang and fault.cut is None:
            mirror.ended.wait()
            self.close_connection = True
            return
        if fault.raw is not None:
            self._repeat(fault.raw, fault.again)
            return
        body = mirror.files.get(self.path) if fault.body is None else fault.body
        if fault.status or body is None:
            self._answer(fault.status or 404, {}, b"", fault)
            return
        asked = re.fullmatch(r"bytes=([0-9]+)-", self.headers.get("Range") or "")
        if not asked or fault.whole:
            self._answer(200, {}, body, fault)
        elif (start := int(asked[1])) >= len(body):
            self._answer(416, {"Content-Range": f"bytes */{len(body)}"}, b"", fault)
        else:
            extent = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
            self._answer(206, extent, body[start:], fault)

    def _repeat(self, raw: bytes, again: bytes) -> None:
        self.close_connection = True
        times = 0
        try:
            self.wfile.write(raw)
            while times < _TIMES:
                self.wfile.write(again)
                times += 1
        except OSError:
            # The client has had enough; TLS says so in an error of its own.
            pass
        self.mirror.repeated.put(times)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes, fault: Fault) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers, **fault.headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if fault.cut is not None or ("Content-Length" in fault.headers and self.command != "HEAD"):
            self.close_connection = True
        try:
            self.wfile.write(b"" if self.command == "HEAD" else body[: fault.cut])
            if fault.hang:
                self.mirror.ended.wait()
        except ConnectionError:
            # The client has had enough; some tests are about that.
            self.close_connection = True
