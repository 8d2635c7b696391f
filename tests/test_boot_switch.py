"""The switch carries frames where they belong, and QEMU speaks to it."""

import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from isobuilder.boot.switch import KNOWN_LIMIT, Switch, port_arguments

SECONDS = 60.0
A, B, C = (bytes.fromhex(f"52540000000{number}") for number in (1, 2, 3))
EVERYBODY = b"\xff" * 6


def frame(to: bytes, origin: bytes, text: bytes = b"") -> bytes:
    return to + origin + b"\x88\xb5" + text.ljust(46, b"\0")


class Wire:
    """The ports of a switch, held by the test instead of by machines."""

    def __init__(self, ports: dict[str, socket.socket]) -> None:
        self.ports = ports

    def send(self, port: str, data: bytes) -> None:
        self.ports[port].sendto(data, "switch")

    def heard(self, port: str) -> bytes | None:
        """What comes to `port` before the frame that the test itself then sends to everybody, if anything."""
        self.ports[port].settimeout(SECONDS)
        received = self.ports[port].recv(1 << 17)
        return None if received.startswith(EVERYBODY + b"\x02") else received

    def mark(self, port: str) -> None:
        """Something to everybody from `port`, so that the others need not wait for what never comes."""
        self.send(port, frame(EVERYBODY, b"\x02" + b"\0" * 5))


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    monkeypatch.chdir(tmp_path)
    with ExitStack() as ending:
        stop, stopper = os.pipe()
        ending.callback(os.close, stop)
        switch = ending.enter_context(Switch("switch", ["a", "b", "c", "nobody"]))
        serving = threading.Thread(target=switch.serve, args=(stop,))
        ports = {}
        for name in ("a", "b", "c", "stranger"):
            ports[name] = ending.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            ports[name].bind(name)
        serving.start()
        ending.callback(serving.join)
        ending.callback(os.close, stopper)
        yield Wire(ports)


def test_a_frame_to_everybody_comes_to_all_others_and_never_back(wire: Wire) -> None:
    sent = frame(EVERYBODY, A, b"who is there")
    wire.send("a", sent)
    assert wire.heard("b") == sent
    assert wire.heard("c") == sent
    wire.mark("b")
    assert wire.heard("a") is None


def test_a_frame_to_an_address_that_was_seen_comes_there_alone(wire: Wire) -> None:
    wire.send("b", frame(EVERYBODY, B))
    assert wire.heard("a")
    assert wire.heard("c")
    sent = frame(B, A, b"for b")
    wire.send("a", sent)
    wire.mark("a")
    assert wire.heard("b") == sent
    assert wire.heard("c") is None


def test_a_frame_to_an_unknown_address_comes_to_all_others(wire: Wire) -> None:
    sent = frame(C, A)
    wire.send("a", sent)
    assert wire.heard("b") == sent
    assert wire.heard("c") == sent


def test_an_address_may_move(wire: Wire) -> None:
    wire.send("b", frame(EVERYBODY, B))
    wire.send("c", frame(EVERYBODY, B))
    assert wire.heard("a")
    assert wire.heard("a")
    assert wire.heard("c")
    assert wire.heard("b")
    sent = frame(B, A)
    wire.send("a", sent)
    wire.mark("a")
    assert wire.heard("c") == sent
    assert wire.heard("b") is None


def test_strangers_and_stumps_are_not_carried(wire: Wire) -> None:
    wire.send("stranger", frame(EVERYBODY, C))
    wire.send("a", b"\xff" * 13)
    wire.mark("a")
    assert wire.heard("b") is None


def test_a_guest_that_invents_addresses_fills_no_memory(wire: Wire) -> None:
    for number in range(KNOWN_LIMIT + 10):
        wire.send("a", frame(B, b"\x06" + number.to_bytes(5, "big")))
        assert wire.heard("b")
    sent = frame(A, B)
    wire.send("b", sent)
    assert wire.heard("a") == sent


def test_who_does_not_listen_holds_up_nobody(wire: Wire) -> None:
    # More than the sockets of c, which nobody reads, can hold.
    for number in range(3000):
        sent = frame(EVERYBODY, A, str(number).encode() + b"x" * 1400)
        wire.send("a", sent)
        assert wire.heard("b") == sent


@pytest.mark.vm
def test_qemu_sends_and_the_switch_may_start_anew(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "isobuilder.boot.switch", "switch", "machine", "test"]
    with ExitStack() as ending:

        def start_switch() -> subprocess.Popen[bytes]:
            switch = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE)
            ending.enter_context(switch)
            ending.callback(switch.kill)
            assert switch.stdout
            assert switch.stdout.readline() == b"serving\n"
            return switch

        switch = start_switch()
        listening = ending.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        listening.bind(os.fspath(tmp_path / "test"))
        # Firmware that finds no disk asks for an address over the network, again and again.
        network = port_arguments("lan", "machine", "switch", "52:54:00:00:00:01")
        qemu = ["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-m", "128", "-display", "none"]
        machine = ending.enter_context(subprocess.Popen([*qemu, "-nodefaults", *network], cwd=tmp_path))
        ending.callback(machine.kill)
        for _again in range(2):
            assert select.select([listening], [], [], SECONDS)[0]
            assert listening.recv(1 << 17)[6:12] == A
            switch.kill()
            switch.wait()
            while select.select([listening], [], [], 0)[0]:
                listening.recv(1 << 17)
            switch = start_switch()
