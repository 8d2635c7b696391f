"""A mirror that lies, on loopback: a fault out of `faults.py` for as many of its answers as it is told.

Which request gets which fault is decided by the seed, the path and how often it was asked for, and not by the order in
which threads come: a case can be run again alone.
"""

import hashlib
import random
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from tests.torture.faults import FAULTS, Answer
from tests.torture.upstream import PORT

# The name of a fault for the request of a path, the how-manieth of it; None for an honest answer.
Choice = Callable[[str, int], str | None]

_LONGEST_LINE = 1 << 16


def honest(_path: str, _times: int) -> None:
    """Every answer is as it should be."""


def sometimes(seed: int, share: float, names: Sequence[str] = tuple(FAULTS)) -> Choice:
    """Of all requests `share` (0 to 1) get a fault, any of `names`, for ever the same one by `seed`."""

    def choose(path: str, times: int) -> str | None:
        said = hashlib.sha256(f"{seed} {path} {times}".encode()).digest()
        rng = random.Random(said)
        return rng.choice(names) if rng.random() < share else None

    return choose


def once_each(paths: Iterable[str], names: Sequence[str], shift: int, before: str | None = None) -> Choice:
    """One request for each of `paths` gets a fault, each of `names` in turn; the first, or the second after `before`."""
    faults = {path: names[(number + shift) % len(names)] for number, path in enumerate(sorted(paths))}

    def choose(path: str, times: int) -> str | None:
        if path not in faults:
            return None
        turns = [before, faults[path]] if before else [faults[path]]
        return turns[times - 1] if times <= len(turns) else None

    return choose


@dataclass
class Lies:
    """What is served, and what happened: how many `requests` came, and which faults were dealt out."""

    files: Mapping[str, bytes]
    choose: Choice
    requests: int = 0
    dealt: Counter[str] = field(default_factory=Counter)
    authorized: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault_for(self, path: str) -> str | None:
        with self.lock:
            self.requests += 1
            self.asked[path] += 1
            name = self.choose(path, self.asked[path])
            if name:
                self.dealt[name] += 1
            return name


@contextmanager
def lie(files: Mapping[str, bytes], choose: Choice = honest, port: int = PORT) -> Iterator[Lies]:
    """Serve `files` on 127.0.0.1:`port` while the context lasts."""
    lies = Lies(files, choose)
    with _Server(("127.0.0.1", port), partial(_Handler, lies)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield lies
        finally:
            lies.ended.set()
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        # Clients leave lying servers, which is what this is about.
        pass


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def __init__(self, lies: Lies, *arguments: object) -> None:
        self._lies = lies
        super().__init__(*arguments)  # type: ignore[arg-type]

    def handle(self) -> None:
        with suppress(OSError):
            while self._one():
                pass

    def _one(self) -> bool:
        """One request and its answer; whether another may come on this connection."""
        words = self.rfile.readline(_LONGEST_LINE).decode("latin-1").split()
        if len(words) != 3:
            return False
        method, path = words[0], words[1]
        headers = dict(self._headers())
        if "authorization" in headers:
            self._lies.authorized.append(path)
        answer = Answer(
            socket=self.connection,
            method=method,
            path=path,
            body=self._lies.files.get(path.partition("?")[0]),
            range=headers.get("range"),
            ended=self._lies.ended,
        )
        name = self._lies.fault_for(path)
        if name is None:
            answer.honestly()
            return "close" not in headers.get("connection", "")
        return FAULTS[name](answer) is not False

    def _headers(self) -> Iterator[tuple[str, str]]:
        while line := self.rfile.readline(_LONGEST_LINE).strip():
            name, _, value = line.decode("latin-1").partition(":")
            yield name.lower(), value.strip()

    def finish(self) -> None:
        with suppress(OSError, socket.error):
            super().finish()
