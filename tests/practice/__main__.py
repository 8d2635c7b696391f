"""The practice mirror at the command line: python -m tests.practice --help."""

import argparse
import os
import sys
import threading
import time
from pathlib import Path

from isobuilder.errors import IsobuilderError
from tests.practice.making import Listener
from tests.practice.mirror import build_demo, ensure_mirror
from tests.practice.server import serve

_HOW_TO_BOOT = """
It boots on BIOS and UEFI, as a CD and as a USB stick. To have that checked and a picture of the menu taken:
  {program} boot {iso} --entry rack-node --firmware uefi --as usb --marker "practice: done" --output-dir build/boot
To choose an entry yourself, with the menu in this terminal (Ctrl-A X leaves it; -bios /usr/share/ovmf/OVMF.fd: UEFI):
  qemu-system-x86_64 -machine q35 -m 1024 -smp 2 -cdrom {iso} -nographic
Or copy it to a USB stick, which loses all that it holds: dd if={iso} of=/dev/sdX bs=4M conv=fsync"""


def main(arguments: list[str]) -> int:
    """Run one command; gives the exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        mirror = ensure_mirror(listener=_listener())
        if parsed.command == "make":
            print(mirror)
            return 0
        with serve(mirror, parsed.port) as base_url:
            return _demo(parsed.folder, base_url, mirror) if parsed.command == "demo" else _wait(base_url)
    except IsobuilderError as error:
        print(f"error: {error.message}", *error.details, error.hint, sep="\n  ", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 7
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.practice", description="A small mirror of CentOS's shape.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make", help="make the mirror when it is missing, and print its folder")
    port = int(os.environ.get("PRACTICE_PORT", "0"))
    for name, text in (
        ("serve", "serve the mirror on loopback until interrupted"),
        ("demo", "write the demo's definition into FOLDER and build its ISO there"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--port", type=int, default=port, help="0, or no PRACTICE_PORT, for a free one")
        if name == "demo":
            command.add_argument("folder", type=Path, metavar="FOLDER")
    return parser


def _demo(folder: Path, base_url: str, mirror: Path) -> int:
    code = build_demo(folder, base_url, mirror)
    if code == 0:
        program = os.path.relpath(Path(sys.executable).with_name("isobuilder"))
        print(_HOW_TO_BOOT.format(iso=next(folder.glob("*.iso")), program=program))
    return code


def _wait(base_url: str) -> int:
    print(base_url, flush=True)
    threading.Event().wait()
    return 0


def _listener() -> Listener:
    began = time.monotonic()

    def listen(part: str) -> None:
        print(f"practice mirror: {time.monotonic() - began:4.0f} s: {part}", file=sys.stderr, flush=True)

    return listen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
