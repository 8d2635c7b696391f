"""How an answer of a server can go wrong, by name. Each fault writes what it likes, and says whether to go on (True).

A fault that is honest in an unusual way (an informational answer before the real one, chunks) is here too: a client has
to understand it.
"""

import gzip
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

Fault = Callable[["Answer"], bool | None]

FAULTS: Final[dict[str, Fault]] = {}
# After these a build may do nothing but succeed: a client that cannot take them is too strict for real servers.
HARMLESS: Final[set[str]] = set()

_LOGIN = b"<!DOCTYPE html>\n<html><head><title>Login</title></head><body><form>Accept the terms</form></body></html>\n"
_DRIP = 0.05
_BLOB = 1 << 16
# An endless answer ends some time, so that a client that reads all of it is found by its memory, not by its time.
_ENDLESS = 1 << 30


@dataclass(frozen=True)
class Answer:
    """A request and the means to answer it: `body` is the file, None where there is none; `range` as it was asked."""

    socket: socket.socket
    method: str
    path: str
    body: bytes | None
    range: str | None
    ended: threading.Event

    @cached_property
    def start(self) -> int:
        found = re.fullmatch(r"bytes=([0-9]+)-", self.range or "")
        return int(found[1]) if found and self.body is not None and int(found[1]) < len(self.body) else 0

    @cached_property
    def rest(self) -> bytes:
        """The bytes that were asked for."""
        return (self.body or b"")[self.start :]

    def honestly(self) -> None:
        """As it should be."""
        if self.body is None:
            self.send(404, {}, b"not here\n")
        elif self.start:
            self.send(206, {"Content-Range": self.extent()}, self.rest)
        else:
            self.send(200, {}, self.body)

    def extent(self, shift: int = 0, total: int | None = None) -> str:
        size = len(self.body or b"")
        return f"bytes {self.start + shift}-{size - 1}/{size if total is None else total}"

    def send(
        self, status: int, headers: Mapping[str, str | None], body: bytes, *, cut: int | None = None, reason: str = "As"
    ) -> None:
        """An answer with the true length, unless `headers` have another, or None for no such header at all."""
        lines = {"Content-Length": str(len(body)), "Content-Type": "application/octet-stream", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
        self.raw(f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode("latin-1"))
        if self.method != "HEAD":
            self.raw(body[:cut])

    def raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> bool:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def hang(self) -> bool:
        """Say nothing more until the client has left, or the server ends."""
        self.socket.settimeout(0.2)
        while not self.ended.is_set():
            try:
                if not self.socket.recv(1024):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        return False

    def drip(self, data: bytes) -> bool:
        """A byte now and then, until the client has left."""
        for byte in data:
            if self.ended.wait(_DRIP):
                break
            self.raw(bytes([byte]))
        return False

    def endless(self, piece: bytes) -> bool:
        sent = 0
        while sent < _ENDLESS and not self.ended.is_set():
            self.raw(piece)
            sent += len(piece)
        return False

    def head(self, *lines: str, status: str = "200 OK") -> None:
        self.raw("\r\n".join((f"HTTP/1.1 {status}", *lines, "", "")).encode("latin-1"))

    def body_of(self, data: bytes) -> None:
        if self.method != "HEAD":
            self.raw(data)


def fault(function: Fault) -> Fault:
    FAULTS[function.__name__] = function
    return function


def harmless(function: Fault) -> Fault:
    HARMLESS.add(function.__name__)
    return fault(function)


def _row(name: str, send: Callable[[Answer], object], *, close: bool = False) -> None:
    """A fault that is one call."""

    def function(answer: Answer) -> bool:
        send(answer)
        return not close

    function.__name__ = name
    fault(function)


@fault
def reset_at_once(answer: Answer) -> bool:
    return answer.reset()


@fault
def close_at_once(answer: Answer) -> bool:
    return False


@fault
def reset_in_the_body(answer: Answer) -> bool:
    answer.head(f"Content-Length: {len(answer.rest)}")
    answer.body_of(answer.rest[: len(answer.rest) // 2])
    return answer.reset()


@fault
def close_in_the_body(answer: Answer) -> bool:
    answer.head(f"Content-Length: {len(answer.rest)}")
    answer.body_of(answer.rest[: len(answer.rest) // 2])
    return False


@fault
def close_before_the_last_byte(answer: Answer) -> bool:
    answer.head(f"Content-Length: {len(answer.rest)}")
    answer.body_of(answer.rest[:-1])
    return False


@fault
def close_in_the_header(answer: Answer) -> bool:
    answer.raw(b"HTTP/1.1 200 OK\r\nContent-Le")
    return False


@fault
def stall_before_the_header(answer: Answer) -> bool:
    return answer.hang()


@fault
def stall_in_the_header(answer: Answer) -> bool:
    answer.raw(b"HTTP/1.1 200 OK\r\nContent-")
    return answer.hang()


@fault
def stall_in_the_body(answer: Answer) -> bool:
    answer.head(f"Content-Length: {len(answer.rest)}")
    answer.body_of(answer.rest[: len(answer.rest) // 2])
    return answer.hang()


@fault
def drip_of_a_header(answer: Answer) -> bool:
    return answer.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 1000)


@fault
def drip_of_a_body(answer: Answer) -> bool:
    answer.head(f"Content-Length: {len(answer.rest)}")
    return answer.drip(answer.rest or b"x")


@fault
def header_without_end(answer: Answer) -> bool:
    answer.raw(b"HTTP/1.1 200 OK\r\n")
    return answer.endless(b"X-Junk: " + b"j" * 1000 + b"\r\n")


@fault
def header_line_without_end(answer: Answer) -> bool:
    answer.raw(b"HTTP/1.1 200 OK\r\nX-Junk: ")
    return answer.endless(b"j" * _BLOB)


@fault
def interim_answers_without_end(answer: Answer) -> bool:
    return answer.endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


@harmless
def early_hints(answer: Answer) -> bool:
    answer.raw(b"HTTP/1.1 100 Continue\r\n\r\n")
    answer.honestly()
    return True


@fault
def body_without_end(answer: Answer) -> bool:
    answer.head("Connection: close")
    return answer.endless(b"\0" * _BLOB)


@fault
def body_longer_than_said_and_endless(answer: Answer) -> bool:
    answer.head(f"Content-Length: {len(answer.rest)}")
    answer.body_of(answer.rest)
    return answer.endless(b"\0" * _BLOB)


@fault
def another_protocol(answer: Answer) -> bool:
    answer.raw(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    return False


@fault
def tls_on_a_plain_port(answer: Answer) -> bool:
    answer.raw(b"\x15\x03\x01\x00\x02\x02\x0a" * 20)
    return False


@fault
def body_without_a_header(answer: Answer) -> bool:
    answer.raw(answer.rest[:100_000])
    return False


@fault
def noise(answer: Answer) -> bool:
    answer.raw(bytes(range(256)) * 40)
    return False


for _name, _line in {
    "a_word_for_a_status": "HTTP/1.1 fine OK", "a_version_of_the_future": "HTTP/9.9 200 OK",
    "no_status": "HTTP/1.1", "status_0": "HTTP/1.1 0 No", "status_negative": "HTTP/1.1 -200 OK",
    "status_999": "HTTP/1.1 999 No", "status_of_a_million": "HTTP/1.1 1000000 No", "status_200_in_arabic":
    "HTTP/1.1 \xb2\xb2\xb2 OK",
}.items():  # fmt: skip
    _row(
        _name,
        lambda answer, line=_line: answer.raw(  # type: ignore[misc]
            f"{line}\r\nContent-Length: {len(answer.rest)}\r\n\r\n".encode("latin-1") + answer.rest
        ),
        close=True,
    )

for _status in (201, 202, 203, 204, 205, 206, 226, 300, 304, 400, 401, 403, 404, 405, 406, 407, 408, 409, 410, 412, 413,
                414, 416, 417, 418, 421, 422, 423, 425, 426, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 508, 511,
                520, 522, 599):  # fmt: skip
    _row(f"answer_{_status}", lambda answer, status=_status: answer.send(status, {}, b"no\n"), close=True)  # type: ignore[misc]

for _status in (101, 204, 304, 416, 503):
    # A body where there can be none: what follows on the connection is out of step.
    _row(f"answer_{_status}_and_a_body", lambda answer, status=_status: answer.send(status, {}, answer.rest or b"x"))  # type: ignore[misc]

for _name, _advice in {
    "now": "0",
    "never": "999999999",
    "nan": "nan",
    "negative": "-1",
    "a_date": "Fri, 31 Dec 9999",
}.items():
    _row(
        f"come_back_{_name}",
        lambda answer, advice=_advice: answer.send(429, {"Retry-After": advice if advice != "999999999" else "3"}, b""),  # type: ignore[misc]
    )

for _name, _headers in {
    "unknown_way": 'Made-Up realm="x"', "no_way": "", "basic": 'Basic realm="\xff"', "negotiate": "Negotiate AAAA",
    "digest": 'Digest realm="x", nonce="y", algorithm=ROT13, qop="auth-int"',
}.items():  # fmt: skip
    _row(
        f"who_are_you_{_name}",
        lambda answer, header=_headers: answer.send(401, {"WWW-Authenticate": header}, b"who?"),  # type: ignore[misc]
    )

for _name, _length in {
    "smaller": "7", "larger": None, "negative": "-1", "words": "many", "huge": "9" * 40, "a_plus": "+5", "hexadecimal":
    "0x10", "twice": "5\r\nContent-Length: 6", "with_a_comma": "5, 5", "empty": "",
}.items():  # fmt: skip
    _row(
        f"length_{_name}",
        lambda answer, length=_length: answer.send(  # type: ignore[misc]
            200, {"Content-Length": length or str(len(answer.rest) + 1000)}, answer.rest
        ),
        close=True,
    )


@fault
def cut_short_without_a_length(answer: Answer) -> bool:
    answer.send(200, {"Content-Length": None, "Connection": "close"}, answer.rest, cut=len(answer.rest) // 2)
    return False


@fault
def one_byte_more_without_a_length(answer: Answer) -> bool:
    answer.send(200, {"Content-Length": None, "Connection": "close"}, answer.rest + b"x")
    return False


@fault
def nothing_at_all(answer: Answer) -> bool:
    answer.send(200, {}, b"")
    return True


@fault
def login_page(answer: Answer) -> bool:
    answer.send(200, {"Content-Type": "text/html"}, _LOGIN)
    return True


@fault
def one_bit_changed(answer: Answer) -> bool:
    data = bytearray(answer.rest)
    if data:
        data[len(data) // 3] ^= 0x10
    answer.send(200 if not answer.start else 206, {"Content-Range": answer.extent()}, bytes(data))
    return True


@fault
def zeros(answer: Answer) -> bool:
    answer.send(200, {}, bytes(len(answer.body or b"")))
    return True


@fault
def another_file(answer: Answer) -> bool:
    answer.send(200, {}, (b"another file entirely " * 1_000_000)[: len(answer.body or b"")])
    return True


@harmless
def in_chunks(answer: Answer) -> bool:
    if answer.body is None:
        answer.honestly()
        return True
    answer.head("Transfer-Encoding: chunked")
    for at in range(0, len(answer.body), 50_000):
        piece = answer.body[at : at + 50_000]
        answer.body_of(f"{len(piece):X};why=not\r\n".encode() + piece + b"\r\n")
    answer.body_of(b"0\r\nX-Trailer: yes\r\n\r\n")
    return answer.method != "HEAD" or False


for _name, _chunks in {
    "of_no_size": b"zz\r\nabc\r\n", "of_a_huge_size": b"FFFFFFFFFFFFFFFF\r\nabc", "of_a_negative_size": b"-5\r\nabc\r\n",
    "that_end_at_once": b"", "without_line_ends": b"3abc0", "longer_than_said": b"3\r\nabcdefgh\r\n0\r\n\r\n",
    "with_an_endless_size": b"0" * 200_000,
}.items():  # fmt: skip
    _row(
        f"chunks_{_name}",
        lambda answer, chunks=_chunks: (answer.head("Transfer-Encoding: chunked"), answer.body_of(chunks)),  # type: ignore[misc]
        close=True,
    )


@fault
def chunks_and_a_length(answer: Answer) -> bool:
    answer.head("Transfer-Encoding: chunked", f"Content-Length: {len(answer.rest)}")
    answer.body_of(answer.rest)
    return False


@fault
def trailers_without_end(answer: Answer) -> bool:
    answer.head("Transfer-Encoding: chunked")
    answer.body_of(f"{len(answer.rest):X}\r\n".encode() + answer.rest + b"\r\n0\r\n")
    return answer.endless(b"X-Trailer: on and on\r\n" * 100)


for _coding in ("gzip", "identity", "x-unknown", "chunked, chunked"):
    _row(
        f"transfer_coding_{_coding}",
        lambda answer, coding=_coding: answer.send(  # type: ignore[misc]
            200, {"Transfer-Encoding": coding, "Content-Length": None}, answer.rest
        ),
        close=True,
    )


@fault
def packed_unasked(answer: Answer) -> bool:
    answer.send(200, {"Content-Encoding": "gzip"}, gzip.compress(answer.body or b"", 1))
    return True


@harmless
def called_packed(answer: Answer) -> bool:
    """Servers label a .gz file so; what is no .gz file is none that they would."""
    answer.send(
        200 if not answer.start else 206,
        {"Content-Range": answer.extent(), **({"Content-Encoding": "gzip"} if answer.path.endswith(".gz") else {})},
        answer.rest,
    ) if answer.body is not None else answer.honestly()
    return True


@fault
def packed_bomb(answer: Answer) -> bool:
    answer.send(200, {"Content-Encoding": "gzip"}, _BOMB)
    return True


_BOMB: Final = gzip.compress(bytes(64 << 20), 9)


_RANGES: Final[dict[str, Callable[[Answer], str | None]]] = {
    "shifted": lambda answer: answer.extent(7), "of_another_size": lambda answer: answer.extent(total=5),
    "without_an_extent": lambda answer: None, "of_words": lambda answer: "bytes all/of it", "backwards":
    lambda answer: "bytes 9-3/10", "of_lines": lambda answer: f"lines 1-2/{len(answer.body or b'')}", "huge":
    lambda answer: f"bytes {'9' * 30}-{'9' * 31}/{'9' * 32}", "of_an_unknown_size":
    lambda answer: f"bytes {answer.start}-{len(answer.body or b'') - 1}/*",
}  # fmt: skip
for _name, _range in _RANGES.items():
    _row(
        f"range_{_name}",
        lambda answer, extent=_range: answer.send(206, {"Content-Range": extent(answer)}, answer.rest),  # type: ignore[misc]
    )


@fault
def range_of_several_parts(answer: Answer) -> bool:
    part = b"--b\r\nContent-Range: bytes 0-1/2\r\n\r\nab\r\n--b--\r\n"
    answer.send(206, {"Content-Type": "multipart/byteranges; boundary=b"}, part)
    return True


@harmless
def range_ignored(answer: Answer) -> bool:
    answer.send(200, {}, answer.body) if answer.body is not None else answer.honestly()
    return True


@fault
def range_of_a_stale_file(answer: Answer) -> bool:
    answer.send(206, {"Content-Range": answer.extent()}, bytes(len(answer.rest)))
    return True


for _name, _location in {
    "to_itself": None, "to_a_file": "file:///etc/passwd", "to_ftp": "ftp://127.0.0.1/x", "to_nowhere": "",
    "to_nonsense": "http://[", "to_a_bad_port": "http://127.0.0.1:99999999/", "to_javascript": "javascript:alert(1)",
    "to_a_closed_port": "http://127.0.0.1:1/x", "with_a_password": "http://joe:word@127.0.0.1:1/x",
    "to_a_name_without_address": "http://no-such-host.invalid/x", "to_a_long_place": "/" + "x" * 60_000,
    "to_bytes": "/\xff\xfe\x80", "to_data": "data:text/plain,hello", "to_a_unix_socket": "unix:///run/x",
    "to_many_slashes": "////etc/passwd", "to_a_host_of_dots": "http://..../", "to_an_empty_host": "http:///x",
}.items():  # fmt: skip
    _row(
        f"redirect_{_name}",
        lambda answer, there=_location: answer.send(  # type: ignore[misc]
            302, {"Location": answer.path if there is None else there}, b"moved"
        ),
    )


@fault
def redirect_without_a_place(answer: Answer) -> bool:
    answer.send(302, {}, b"moved")
    return True


@fault
def redirect_further_and_further(answer: Answer) -> bool:
    answer.send(307, {"Location": f"{answer.path}?{answer.path.count('x') * 'x'}x"}, b"")
    return True


@fault
def redirect_with_a_body_without_end(answer: Answer) -> bool:
    answer.head(f"Location: {answer.path}", status="301 Moved")
    return answer.endless(b"\0" * _BLOB)


@harmless
def redirect_that_is_fine(answer: Answer) -> bool:
    if answer.body is None or "?" in answer.path:
        answer.honestly()
    else:
        answer.send(308, {"Location": f"{answer.path}?again=1"}, b"over there")
    return True


@fault
def header_without_a_colon(answer: Answer) -> bool:
    answer.head("this is no header", f"Content-Length: {len(answer.rest)}")
    answer.body_of(answer.rest)
    return False


@fault
def header_with_zero_bytes(answer: Answer) -> bool:
    answer.head("X-\0: \0\0", f"Content-Length: {len(answer.rest)}")
    answer.body_of(answer.rest)
    return False


@fault
def header_that_is_folded(answer: Answer) -> bool:
    answer.head("X-Long: one", "  two", f"Content-Length: {len(answer.rest)}")
    answer.body_of(answer.rest)
    return False


@fault
def thousand_headers(answer: Answer) -> bool:
    answer.head(*(f"X-{n}: {n}" for n in range(1000)), f"Content-Length: {len(answer.rest)}")
    answer.body_of(answer.rest)
    return False


@fault
def cookies_of_a_megabyte(answer: Answer) -> bool:
    answer.head(f"Set-Cookie: a={'b' * 60_000}", f"Content-Length: {len(answer.rest)}")
    answer.body_of(answer.rest)
    return False


@fault
def bare_line_feeds(answer: Answer) -> bool:
    answer.raw(f"HTTP/1.1 200 OK\nContent-Length: {len(answer.rest)}\n\n".encode())
    answer.body_of(answer.rest)
    return False


@fault
def two_answers_to_one_question(answer: Answer) -> bool:
    answer.send(200, {}, answer.rest)
    answer.send(200, {}, _LOGIN)
    return True


@fault
def a_body_for_a_head(answer: Answer) -> bool:
    answer.head(f"Content-Length: {len(answer.rest)}")
    answer.raw(answer.rest)
    return True


@harmless
def closed_after_it_promised_to_stay(answer: Answer) -> bool:
    answer.send(200, {"Connection": "keep-alive", "Keep-Alive": "timeout=100"}, answer.body or b"") if (
        answer.body is not None
    ) else answer.honestly()
    return False


@harmless
def http_1_0(answer: Answer) -> bool:
    status = "200 OK" if answer.body is not None else "404 Not Found"
    answer.raw(f"HTTP/1.0 {status}\r\nContent-Length: {len(answer.body or b'')}\r\n\r\n".encode())
    answer.body_of(answer.body or b"")
    return False
