"""A web server for a mirror: loopback only, with what downloads rely on (HEAD, one Range, ETag)."""

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO


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
        try:
            file = Path(self.translate_path(self.path)).open("rb")
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            self._send(file, with_body=with_body)

    def _send(self, file: BinaryIO, *, with_body: bool) -> None:
        status = Path(file.name).stat()
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        if self.headers.get("If-None-Match") == etag:
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self.send_header("ETag", etag)
            self.end_headers()
            return
        start, end = 0, status.st_size
        code = HTTPStatus.OK
        if self.headers.get("If-Range", etag) == etag and "Range" in self.headers:
            wanted = _range(self.headers["Range"], status.st_size)
            if wanted is None:
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.send_header("Content-Range", f"bytes */{status.st_size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start, end = wanted
            code = HTTPStatus.PARTIAL_CONTENT
        self.send_response(code)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Type", self.guess_type(file.name))
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", self.date_time_string(int(status.st_mtime)))
        if code == HTTPStatus.PARTIAL_CONTENT:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{status.st_size}")
        self.end_headers()
        if with_body:
            file.seek(start)
            self._copy(file, end - start)

    def _copy(self, file: BinaryIO, size: int) -> None:
        while size and (chunk := file.read(min(size, 1 << 16))):
            try:
                self.wfile.write(chunk)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
                return
            size -= len(chunk)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """First byte, and the one after the last, of a Range header for one range; None when nothing satisfies it."""
    found = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", header.strip(), re.ASCII)
    if not found or found[0].endswith("=-"):
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)
    return (start, end) if start < end else None


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
