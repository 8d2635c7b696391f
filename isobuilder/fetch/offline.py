"""The promise of --offline, kept by Python itself: from then on, this process can open no socket."""

import sys


def refuse_sockets() -> None:
    """Refuse every use of sockets, name lookups included, until the process ends.

    That also stops urllib3's look for IPv6, which opens one whenever it is imported; pykickstart imports it.
    """
    sys.addaudithook(_refuse)


def _refuse(event: str, _arguments: object) -> None:
    if event.startswith("socket."):
        raise RuntimeError(f"offline, and yet {event} was called")
