"""A mirror in a process of its own, as quick as the kernel sends files, or as slow as a far one.

As a program: python -m tests.bench.serving FOLDER SECONDS serves on loopback and prints its address; every answer is
held back for SECONDS, the time to a server and back.
"""

import http.server
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, folder: Path, delay: float, *arguments: object) -> None:
        self._folder = folder
        self._delay = delay
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        time.sleep(self._delay)
        try:
            descriptor = os.open(self._folder / unquote(self.path).lstrip("/"), os.O_RDONLY)
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            size = os.fstat(descriptor).st_size
            self.send_response_only(HTTPStatus.OK)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.flush()
            sent = 0
            while with_body and sent < size:
                sent += os.sendfile(self.connection.fileno(), descriptor, sent, size - sent)
        except ConnectionError:
            self.close_connection = True
        finally:
            os.close(descriptor)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def served(folder: Path, delay: float = 0.0) -> Iterator[str]:
    """The address of `folder` while the context lasts, without a slash at its end."""
    words = [sys.executable, "-m", "tests.bench.serving", os.fspath(folder.absolute()), str(delay)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main(folder: str, delay: str) -> None:
    with _Server(("127.0.0.1", 0), partial(_Handler, Path(folder), float(delay))) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
