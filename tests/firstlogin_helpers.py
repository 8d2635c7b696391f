"""What tests of the wizard share: a wizard with nobody at the keyboard, and what a machine's files are."""

import io
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from isobuilder.firstlogin.dialogue import LeftError, Terminal
from isobuilder.firstlogin.effects import Effects
from isobuilder.firstlogin.engine import Engine
from isobuilder.firstlogin.exits import SetupError
from isobuilder.firstlogin.parts import Parts
from tests.scratch_machine import MACS, Scratch

STYLES = ("6", "7", "8", "9")
NODE_ROLE = 'ID=nc\nTITLE="Install a node controller"\nBRIDGE=br0\nMEMORY_MIB=2048\nDISK_GIB=1\nCPU_FLAGS="vmx svm"\n'

STATIC = {
    "hostname": "node1.example.org",
    "address": "192.168.1.10/24",
    "gateway": "192.168.1.1",
    "dns": "192.168.1.1 192.168.1.2",
    "ntp": "ntp1.example.org 1.pool.ntp.org",
    "timezone": "Europe/Rome",
}
# The files of the wizard itself, and what the kernel shows, are no configuration.
_NOT_CONFIGURATION = ("var/lib/cloud-setup/", "var/log/cloud-setup.log", "proc/", "sys/", "usr/")


def silent_terminal(said: io.StringIO | None = None) -> Terminal:
    """Nobody at the keyboard; what is said goes to `said`."""
    return Terminal(io.StringIO(), said or io.StringIO(), {"TERM": "dumb"})


def answers_file(values: Mapping[str, str], title: str = f"mac {MACS['eth0']}") -> str:
    return f"[{title}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def configure(machine: Scratch, values: Mapping[str, str], effects: Effects | None = None) -> tuple[int, str]:
    """Set a machine up by an answers file; the exit code, and all that was said."""
    machine.write("root/answers.ini", answers_file(values))
    return run_engine(effects or machine.effects(), "configure", "/root/answers.ini")


def run_engine(effects: Effects, action: str, *arguments: str, parts: Parts | None = None) -> tuple[int, str]:
    """One action of the engine, as the command line calls it; the exit code, and all that was said."""
    said = io.StringIO()
    with closing(Engine(effects, silent_terminal(said), parts)) as engine:
        try:
            code = getattr(engine, action)(*arguments)
        except SetupError as refused:
            return refused.code, said.getvalue() + "\n".join(refused.lines)
    return code, said.getvalue()


def configuration(machine: Scratch) -> dict[str, str]:
    """Every file of the machine that configures it, with its mode and content, or where it leads."""
    root = Path(machine.root)
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name.startswith((*_NOT_CONFIGURATION, "root/")) or path.is_dir():
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = f"{path.stat().st_mode & 0o7777:o}\n{path.read_text()}"
    return found


def end_state(machine: Scratch) -> tuple[dict[str, str], dict[str, object], str]:
    """All that a machine is after the wizard: its files, the state of its services and network, and its name."""
    return configuration(machine), machine.state(), machine.read("proc/sys/kernel/hostname")


class Keyboard(Terminal):
    """A terminal where `typed` is typed, line after line; whoever asks for more finds that the person has left."""

    def __init__(self, *typed: str) -> None:
        self.said = io.StringIO()
        super().__init__(io.StringIO(), self.said, {"TERM": "dumb"})
        self.interactive = True
        self._typed = list(typed)

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        self.said.write(prompt)
        if not self._typed:
            raise LeftError
        typed = self._typed.pop(0)
        self.said.write("\n" if secret else f"{typed}\n")
        return typed

    def ask_within(self, prompt: str, _seconds: float) -> str | None:
        return self.ask(prompt) if self._typed else None


def at_keyboard(
    machine: Scratch,
    *typed: str,
    effects: Effects | None = None,
    path: str | None = None,
    save: str | None = None,
    dry_run: bool = False,
    parts: Parts | None = None,
) -> tuple[int, str]:
    """Run the wizard with somebody who types these lines; the exit code (130: they left), and all that was said."""
    keyboard = Keyboard(*typed)
    with closing(Engine(effects or machine.effects(), keyboard, parts)) as engine:
        try:
            code = engine.configure(path, save, dry_run=dry_run)
        except SetupError as refused:
            return refused.code, keyboard.said.getvalue() + "\n".join(refused.lines)
        except LeftError:
            return 130, keyboard.said.getvalue()
    return code, keyboard.said.getvalue()
