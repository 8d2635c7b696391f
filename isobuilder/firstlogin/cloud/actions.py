"""`cloud-setup nodes` and `cloud-setup image`: what somebody says on the command line, done and told."""

import os
from typing import List, Sequence

from ..dialogue import LeftError, Terminal
from ..effects import Effects
from ..exits import EXIT_DONE, EXIT_STEP, EXIT_USAGE, SetupError
from ..log import Log
from ..machine import look
from ..model import PASS, Action, Line, Machine
from ..rules import AnswerError
from . import access, editions, image, nodes, rules, services
from .editions import FRONT_END
from .imagetree import FailedError

_IMAGE_USAGE = "cloud-setup image make SIZE [PATH OF THE MEDIUM], remove NAME, or list"
_USAGE = "cloud-setup nodes add ADDRESS..., remove ADDRESS..., list, or key"


def manage(arguments: Sequence[str], effects: Effects, terminal: Terminal) -> int:
    """Add, list or remove nodes, or show this front end's public key; the exit code. Raises SetupError."""
    machine = _front_end(effects, "nodes are added at theirs")
    verb, rest = (arguments[0], list(arguments[1:])) if arguments else ("list", [])
    if verb == "key" and not rest:
        return _show_key(effects, terminal)
    if verb == "list" and not rest:
        lines = nodes.listed(effects)
        if not lines:
            terminal.say("There are no nodes yet. Add one: cloud-setup nodes add ADDRESS")
        return _told(lines, effects, terminal, EXIT_DONE)
    if verb not in ("add", "remove") or not rest:
        raise SetupError(EXIT_USAGE, f"The ways to say it: {_USAGE}.")
    value = _addresses(rest)
    _refuse_before_the_cloud(effects)
    if verb == "remove":
        return _told(nodes.remove(value, effects), effects, terminal, EXIT_STEP)
    own = services.own_address({}, machine)
    worst = EXIT_DONE
    for address in nodes.addresses(value):
        terminal.say(f"{address}:")
        ask = _asker(terminal) if terminal.interactive else None
        worst = max(worst, _told(nodes.add(address, effects, ask, own), effects, terminal, EXIT_STEP))
    return worst


def _front_end(effects: Effects, where: str) -> Machine:
    machine = look(effects)
    if editions.of_machine(machine) is None or FRONT_END not in machine.role.parts:
        raise SetupError(EXIT_USAGE, f"This machine is no front end of a cloud; {where}.")
    return machine


def _refuse_before_the_cloud(effects: Effects) -> None:
    if not services.is_initialised(effects):
        raise SetupError(EXIT_STEP, "The cloud is not set up yet. Run: cloud-setup")


def manage_images(arguments: Sequence[str], effects: Effects, terminal: Terminal) -> int:
    """Make, list or remove machine images; the exit code. Raises SetupError."""
    machine = _front_end(effects, "images are made at theirs")
    if not image.is_offered(machine):
        raise SetupError(EXIT_USAGE, "The medium that this machine was installed from has no kickstart of an image.")
    verb, rest = (arguments[0], list(arguments[1:])) if arguments else ("list", [])
    maker = image.Maker(machine, effects, terminal.line)
    if verb == "make" and len(rest) in (1, 2):
        try:
            size = rules.image(rest[0])
        except AnswerError as refused:
            raise SetupError(EXIT_USAGE, str(refused)) from None
        _refuse_before_the_cloud(effects)
        if size == rules.NONE:
            raise SetupError(EXIT_USAGE, f"The ways to say it: {_IMAGE_USAGE}.")
        return _told(maker.make(size, os.path.abspath(rest[1]) if rest[1:] else ""), effects, terminal, EXIT_STEP)
    if verb == "remove" and len(rest) == 1:
        _refuse_before_the_cloud(effects)
        return _told([maker.remove(rest[0])], effects, terminal, EXIT_STEP)
    if verb != "list" or rest:
        raise SetupError(EXIT_USAGE, f"The ways to say it: {_IMAGE_USAGE}.")
    _refuse_before_the_cloud(effects)
    try:
        found = maker.registered()
    except FailedError as failed:
        raise SetupError(EXIT_STEP, f"{str(failed).capitalize()}.", *failed.said) from None
    for name, number in sorted(found.items()):
        terminal.line(f"{number}  {name}")
    if not found:
        terminal.say("There are no images of ours yet. Make one: cloud-setup image make small")
    return EXIT_DONE


def _addresses(words: Sequence[str]) -> str:
    try:
        value = rules.nodes(" ".join(words))
    except AnswerError as refused:
        raise SetupError(EXIT_USAGE, str(refused)) from None
    if value == rules.NONE:
        raise SetupError(EXIT_USAGE, f"The ways to say it: {_USAGE}.")
    return value


def _asker(terminal: Terminal) -> nodes.Ask:
    def ask(address: str) -> str:
        try:
            return terminal.ask(f"Password of root on {address} (used once, kept nowhere): ", secret=True)
        except LeftError:
            raise SetupError(EXIT_STEP, "No more nodes are added. Those before this one stay.") from None

    return ask


def _show_key(effects: Effects, terminal: Terminal) -> int:
    key = " ".join((effects.read(access.PUBLIC_KEY) or "").split()[:2])
    if not key:
        raise SetupError(EXIT_STEP, "This front end has no key yet. Run: cloud-setup")
    terminal.plain(key)
    return EXIT_DONE


def _told(lines: List[Line], effects: Effects, terminal: Terminal, otherwise: int) -> int:
    log = Log(effects)
    for line in lines:
        terminal.verdict(line)
        log.say(f"{line.verdict} {line.what}")
    return EXIT_DONE if all(line.verdict == PASS for line in lines) else otherwise


NODES = Action("nodes", "add, list or remove nodes of this front end, or show its key", manage, changes=True)
IMAGE = Action("image", "make, list or remove machine images", manage_images, changes=True)
