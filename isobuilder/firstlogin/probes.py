"""Questions to the network: who has an address, does a name server answer, what time is it."""

import struct
from typing import Optional

from .effects import Effects

_ARPING = "arping"
# Seconds from 1900, where NTP begins, to 1970.
_NTP_EPOCH = 2208988800
ANSWERED, SILENT, UNKNOWN = "answered", "silent", "unknown"


def someone_has(effects: Effects, interface: str, address: str) -> str:
    """Whether a machine on the wire of `interface` has the address: answered, silent, or unknown.

    It asks as RFC 5227 wants it, from no address, so that nobody takes the asker for the owner.
    """
    if not effects.has_command(_ARPING):
        return UNKNOWN
    code = effects.run(_ARPING, "-D", "-q", "-c", "2", "-w", "3", "-I", interface, address, timeout=15).code
    return {0: SILENT, 1: ANSWERED}.get(code, UNKNOWN)


def name_server_answers(effects: Effects, server: str, name: str) -> bool:
    """Whether a name server answers a question for `name`, whatever it answers."""
    question = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    packet = struct.pack(">HHHHHH", 0x6373, 0x0100, 1, 0, 0, 0) + question + b"\0" + struct.pack(">HH", 1, 1)
    reply = effects.exchange(server, 53, packet, 2.0)
    return reply is not None and len(reply) >= 12 and reply[:2] == packet[:2] and bool(reply[2] & 0x80)


def clock_offset(effects: Effects, server: str) -> Optional[float]:
    """How many seconds the server's clock is ahead of ours, to half a second or so; None when it does not say."""
    reply = effects.exchange(server, 123, b"\x23" + b"\0" * 47, 2.0)
    # A server (mode 4) that has the time itself (stratum 1 to 15).
    if reply is None or len(reply) < 48 or reply[0] & 7 != 4 or not 0 < reply[1] < 16:
        return None
    seconds, fraction = struct.unpack(">II", reply[40:48])
    return float(seconds + fraction / (1 << 32) - _NTP_EPOCH - effects.now())
