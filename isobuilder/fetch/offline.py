"""The promise of --offline, kept by Python itself: from then on, this process reaches no network.

Sockets between processes of this machine stay: by those QEMU is told to take the pictures of a report.
"""

import socket
import sys
from collections.abc import Sequence


def refuse_network() -> None:
    """Refuse sockets of every family but that of unix, and name lookups, until the process ends.

    That also stops urllib3's look for IPv6, which opens one whenever it is imported; pykickstart imports it.
    """
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: Sequence[object]) -> None:
    if event.startswith("socket.") and not _stays_here(event, arguments):
        raise RuntimeError(f"offline, and yet {event} was called")


def _stays_here(event: str, arguments: Sequence[object]) -> bool:
    """Whether a use of sockets, as Python's audit events tell it, is of one between processes of this machine."""
    if event == "socket.__new__":
        return arguments[1] == socket.AF_UNIX
    used = arguments[0] if arguments else None
    return isinstance(used, socket.socket) and used.family == socket.AF_UNIX
