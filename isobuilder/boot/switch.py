"""A network switch for machines in QEMU: Ethernet frames between unix sockets, without root and without an address.

Each machine has a port: `-netdev dgram` with a datagram socket of its own, and the switch's as its remote. A datagram
is a frame. Nothing is connected, so machines and the switch can come and go in any order, and what is sent to one that
is away is lost, as on a wire. Who may enter the folder of the sockets may join the network: nobody else can.

Names of sockets are relative to the working folder that QEMU and the switch share, since the path of a unix socket has
room for 107 bytes. Run as a program, `python -m isobuilder.boot.switch SOCKET PORT...`, it serves until a signal.
"""

import contextlib
import errno
import json
import select
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

# An Ethernet frame's head: two addresses of 6 bytes each, and the kind. The lowest bit of the first byte is for groups.
HEAD = 14
GROUP = 1
# Larger than any frame that a guest's network card hands over in one piece.
FRAME_LIMIT = 1 << 17
# Addresses that are remembered; a guest may invent as many as it likes.
KNOWN_LIMIT = 4096
# Bytes that may wait in a socket.
BUFFER = 1 << 20


def port_arguments(name: str, port: str, switch: str, mac: str) -> list[str]:
    """QEMU's options for a network card `name` with the address `mac`, from the socket `port` to that of `switch`.

    It takes QEMU 7.2, where `-netdev dgram` came to be.
    """
    netdev = {
        "type": "dgram",
        "id": name,
        "local": {"type": "unix", "path": port},
        "remote": {"type": "unix", "path": switch},
    }
    return ["-netdev", json.dumps(netdev), "-device", f"virtio-net-pci,netdev={name},mac={mac}"]


class Switch:
    """A switch at the socket `path`, which a context takes and leaves; it knows no other ports than `ports`."""

    def __init__(self, path: str, ports: Sequence[str]) -> None:
        self._path = path
        self._ports = frozenset(ports)
        self._known: dict[bytes, str] = {}

    def __enter__(self) -> Self:
        """Raises OSError when there is no such folder, or its path is too long."""
        with contextlib.ExitStack() as ending:
            self._socket = ending.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self._socket.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            Path(self._path).unlink(missing_ok=True)
            self._socket.bind(self._path)
            ending.callback(Path(self._path).unlink, missing_ok=True)
            self._socket.settimeout(0)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._ending.close()

    def serve(self, stop: int | None = None) -> None:
        """Carry frames until the file descriptor `stop` has something to read, or hangs up; without one, for ever."""
        while True:
            ready, _, _ = select.select([self._socket.fileno(), *([] if stop is None else [stop])], [], [])
            if stop in ready:
                return
            with contextlib.suppress(BlockingIOError):
                self._carry(*self._socket.recvfrom(FRAME_LIMIT))

    def _carry(self, frame: bytes, sender: str | None) -> None:
        if sender not in self._ports or len(frame) < HEAD:
            return
        to, origin = frame[:6], frame[6:12]
        if not origin[0] & GROUP:
            if len(self._known) >= KNOWN_LIMIT and origin not in self._known:
                self._known.clear()
            self._known[origin] = sender
        known = None if to[0] & GROUP else self._known.get(to)
        for port in [known] if known else self._ports:
            if port != sender:
                self._send(frame, port)

    def _send(self, frame: bytes, port: str) -> None:
        """Send `frame`; it is lost where nobody listens, or whoever listens is behind."""
        try:
            self._socket.sendto(frame, port)
        except OSError as error:
            if error.errno not in _LOST:
                raise


_LOST = (errno.EAGAIN, errno.ENOENT, errno.ECONNREFUSED, errno.ENOBUFS, errno.EMSGSIZE)


def main(arguments: Sequence[str]) -> None:
    """Serve a switch at the first of `arguments` for the ports that the others name."""
    path, *ports = arguments
    with Switch(path, ports) as switch:
        # Whoever waits for this line knows that frames are carried from now on.
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        switch.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
