"""A web server for a mirror: loopback only, with what downloads rely on (HEAD, one Range, ETag)."""

import functools
import http.server
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

# One range; anything else is answered with the whole file, as the standard allows.
_RANGE = re.compile(r"bytes=(?=[0-9-]*[0-9])([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        pass

    def _answer(self, *, with_body: bool) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with path.open("rb") as file:
            self._send(file, with_body=with_body)

    def _send(self, file: BinaryIO, *, with_body: bool) -> None:
        status = Path(file.name).stat()
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        if self.headers.get("If-None-Match") == etag:
            self._headers(HTTPStatus.NOT_MODIFIED, {"ETag": etag})
            return
        wanted = self.headers.get("Range") if self.headers.get("If-Range", etag) == etag else None
        found = wanted and _RANGE.fullmatch(wanted.strip())
        start, end = _bounds(found[1], found[2], status.st_size) if found else (0, status.st_size)
        if found and start >= end:
            nothing = {"Content-Range": f"bytes */{status.st_size}", "Content-Length": "0"}
            self._headers(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, nothing)
            return
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Length": str(end - start),
            "Content-Type": self.guess_type(file.name),
            "ETag": etag,
            "Last-Modified": self.date_time_string(int(status.st_mtime)),
        }
        if found:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{status.st_size}"
        self._headers(HTTPStatus.PARTIAL_CONTENT if found else HTTPStatus.OK, headers)
        if with_body:
            file.seek(start)
            self._copy(file, end - start)

    def _headers(self, code: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _copy(self, file: BinaryIO, size: int) -> None:
        while size and (chunk := file.read(min(size, 1 << 16))):
            try:
                self.wfile.write(chunk)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
                return
            size -= len(chunk)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """The first byte of a range, and the one after its last; without a first, `last` counts from the end."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1 if last else size)


@contextmanager
def serve(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve `folder` on 127.0.0.1 while the context lasts; gives its address, without a slash at the end.

    Port 0 takes a free one. Raises OSError when the port is taken.
    """
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
