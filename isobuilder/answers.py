"""Answers for the wizard, looked at where the ISO is built: with the wizard's own rules, and across machines.

It knows no machine. What only a machine can tell (its ports, who else is on its wire), the wizard says there.
"""

import base64
import ipaddress
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from isobuilder.errors import AnswersError
from isobuilder.firstlogin import answers as files
from isobuilder.firstlogin import rules
from isobuilder.firstlogin.answers import HOST, KINDS, MAC, SERIAL, Section
from isobuilder.firstlogin.cloud import sshkeys
from isobuilder.firstlogin.cloud.questions import PRIVATE_KEY
from isobuilder.firstlogin.model import Question
from isobuilder.firstlogin.parts import Parts
from isobuilder.schema import did_you_mean

PARTS: Final = Parts()
_KEY_BITS: Final = 3072


@dataclass(frozen=True)
class Machine:
    """A machine that answers files speak of: where, what it is called there, and all that they say of it."""

    file: str
    line: int
    title: str
    answers: Mapping[str, str]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}: [{self.title}]"

    @property
    def addresses(self) -> dict[str, str]:
        """Static addresses (ADDRESS/PREFIX) by their keys."""
        keys = (key for key in self.answers if key == "address" or key.startswith("address."))
        return {key: self.answers[key] for key in keys if "/" in self.answers[key]}


@dataclass(frozen=True)
class Findings:
    """What is wrong with answers files, and what is worth a word, a line each; and the machines that they are for."""

    mistakes: tuple[str, ...]
    notes: tuple[str, ...]
    machines: tuple[Machine, ...]


def check_files(paths: Sequence[Path]) -> Findings:
    """Everything that is wrong with these files, each alone, and all machines of all files together.

    Raises AnswersError for a file that cannot be read.
    """
    mistakes: list[str] = []
    notes: list[str] = []
    machines: list[Machine] = []
    for path in paths:
        file = files.parse(_read(path), PARTS.rule_of, PARTS.known_keys())
        found = file.mistakes
        if not found:
            own, found = _machines(str(path), file.sections)
            machines += own
        if not file.sections and not found:
            found = (files.Mistake(0, "no section is in it, and so no answer. isobuilder answers new shows some."),)
        mistakes += [mistake.at(str(path)) for mistake in found]
    for machine in machines:
        for problem in PARTS.fits(dict(machine.answers)):
            said = f"{machine.place} {problem.key}: {problem.what}. {problem.instead}"
            (notes if problem.warning else mistakes).append(said)
        if missing := [row.key for row in PARTS.documented() if _is_missing(row, machine.answers)]:
            notes.append(f"{machine.place} the wizard would ask for: {', '.join(missing)}")
    mistakes += _across(machines)
    return Findings(tuple(dict.fromkeys(mistakes)), tuple(notes), tuple(machines))


def check_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """A definition's table `answers` in canonical form: answers for all machines, and tables mac, serial and host.

    Raises ValueError with all that is wrong in it.
    """
    mistakes: list[str] = []
    result: dict[str, Any] = {}
    for key, value in table.items():
        if key in KINDS[1:] and isinstance(value, Mapping):
            result[key] = _tables(key, value, mistakes)
        else:
            _take(result, key, value, key, mistakes)
    if not mistakes:
        text = table_as_text(result)
        mistakes = [mistake.what for mistake in files.parse(text.encode(), PARTS.rule_of, PARTS.known_keys()).mistakes]
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return result


def table_as_text(table: Mapping[str, Any]) -> str:
    """A checked table as an answers file."""
    shared = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    sections = [("all", shared)] if shared else []
    sections += [(f"{kind} {name}", own) for kind in KINDS[1:] for name, own in table.get(kind, {}).items()]
    lines = ["# Answers for cloud-setup, from the definition of the medium."]
    for title, own in sections:
        lines += [f"[{title}]", *(f"{key} = {value}" for key, value in own.items())]
    return "\n".join(lines) + "\n"


def table_schema() -> dict[str, Any]:
    """The JSON Schema of such a table."""
    value = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    rows = {row.key: {**value, "description": row.help} for row in PARTS.documented() if row.key in _plain_keys()}
    own = {"type": "object", "properties": rows, "patternProperties": {r"^address\.": value}}
    groups = {kind: {"type": "object", "additionalProperties": own} for kind in KINDS[1:]}
    return {**own, "properties": {**rows, **groups}, "additionalProperties": False}


def commented_file() -> str:
    """An answers file that says nothing yet, with every question explained."""
    shared = [_explained(row) for row in PARTS.documented() if row.shared]
    own = [_explained(row) for row in PARTS.documented() if not row.shared]
    return "\n".join([_HEAD, "[all]\n", *shared, _FOR_ONE, *own])


_HEAD = """\
# Answers for cloud-setup. One file serves many machines: what stands in a section for one machine outdoes what stands
# in [all]. Take away the # in front of an answer to give it. Check the file before it travels:
#     isobuilder answers check FILE
"""
_FOR_ONE = """\
# Sections for one machine: [mac ADDRESS] of any of its ports, [serial NUMBER] of its firmware, or [host NAME].
# [mac 52:54:00:12:34:56]
"""


def _explained(row: Question) -> str:
    example, _, more = row.example.partition(" (")
    lines = [f"# {line}" for line in textwrap.wrap(row.help, 116, break_on_hyphens=False)]
    lines += [f"# Example: {row.example}"] if more else []
    lines += ["# Without it, somebody has to be asked."] if row.needed else []
    return "\n".join([*lines, f"# {row.key} = {example.partition(', ')[0]}\n"])


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(files.SIZE_LIMIT + 1)
    except OSError as error:
        raise AnswersError(f"{path}: the answers file cannot be read: {error.strerror}") from error


def _plain_keys() -> set[str]:
    """The keys that are the same on every machine: without those that name a port."""
    return {key for key in PARTS.known_keys() if "." not in key}


def _tables(kind: str, value: Mapping[str, Any], mistakes: list[str]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for name, own in value.items():
        where = f"{kind}.{name}"
        if not isinstance(own, Mapping):
            mistakes.append(f"{where}: is no table")
            continue
        tables[name] = {}
        for key, said in own.items():
            _take(tables[name], key, said, f"{where}.{key}", mistakes)
    return tables


def _take(result: dict[str, Any], key: str, value: object, where: str, mistakes: list[str]) -> None:
    rule = PARTS.rule_of(key)
    given: list[object] = value if isinstance(value, list) else [value]
    words = [word for word in given if isinstance(word, str)]
    if rule is None:
        known = PARTS.known_keys()
        suggestion = did_you_mean(key, known) or f"; it has {', '.join(known)}"
        mistakes.append(f"{where}: the wizard has no such question{suggestion}")
    elif len(words) < len(given):
        mistakes.append(f"{where}: is neither text nor an array of it")
    else:
        try:
            result[key] = rule(" ".join(words))
        except rules.AnswerError as refused:
            mistakes.append(f"{where}: {refused}")


def _machines(name: str, sections: Sequence[Section]) -> tuple[list[Machine], tuple[files.Mistake, ...]]:
    """The machines that a file speaks of. Without a section for one, all of it is for a single machine."""
    found: list[Machine] = []
    mistakes: tuple[files.Mistake, ...] = ()
    for section in sections:
        if section.kind in (MAC, SERIAL):
            macs = [section.name] if section.kind == MAC else []
            serial = section.name if section.kind == SERIAL else ""
            answers, wrong = files.merged(sections, macs, serial, "")
            mistakes += wrong
            found.append(Machine(name, section.line, section.title, answers))
    named = {machine.answers.get("hostname", "") for machine in found}
    for section in (one for one in sections if one.kind == HOST):
        if not any(section.name in (full, full.partition(".")[0]) for full in named):
            answers, wrong = files.merged(sections, [], "", section.name)
            mistakes += wrong
            found.append(Machine(name, section.line, section.title, answers))
    if not found and sections:
        found.append(Machine(name, sections[0].line, "all", sections[0].answers))
    return found, mistakes


def _is_missing(row: Question, answers: Mapping[str, str]) -> bool:
    return row.needed and row.asked(dict(answers)) and row.key not in answers


def _across(machines: Sequence[Machine]) -> Iterator[str]:
    yield from _twice(machines)
    yield from _overlaps(machines)
    yield from _unreachable(machines)
    yield from PARTS.across([(machine.place, dict(machine.answers)) for machine in machines])


def _twice(machines: Sequence[Machine]) -> Iterator[str]:
    """Names, addresses and sections that two machines have."""
    seen: dict[tuple[str, str], Machine] = {}
    for machine in machines:
        values = [("section", machine.title), ("host name", machine.answers.get("hostname", ""))]
        values += [("address", address.partition("/")[0]) for address in machine.addresses.values()]
        for what, value in values:
            other = seen.setdefault((what, value), machine) if value else machine
            if other is not machine:
                yield f"{machine.place} has the {what} {value} of {other.place.rstrip(':')}"


def _overlaps(machines: Sequence[Machine]) -> Iterator[str]:
    """Networks that hold one another: machines in them disagree on who is near."""
    networks: dict[ipaddress.IPv4Network, Machine] = {}
    for machine in machines:
        for address in machine.addresses.values():
            networks.setdefault(rules.split(address)[1], machine)
    known = list(networks.items())
    for number, (network, machine) in enumerate(known):
        for other, other_machine in known[:number]:
            if network.overlaps(other):
                yield f"{machine.place} is in {network}, which overlaps {other} of {other_machine.place}; mend a prefix"


def _unreachable(machines: Sequence[Machine]) -> Iterator[str]:
    """Gateways in no machine's network. Of a machine with an address of its own, `fits` says so."""
    networks = [rules.split(address)[1] for machine in machines for address in machine.addresses.values()]
    for machine in machines:
        gateway = machine.answers.get("gateway", rules.NONE)
        if gateway == rules.NONE or "address" in machine.answers:
            continue
        if networks and not any(ipaddress.IPv4Address(gateway) in network for network in networks):
            yield f"{machine.place} gateway: no machine is in the network of {gateway}"


def new_key_lines() -> tuple[str, str]:
    """The two halves of a new key, as lines of an answers file: that of a front end, and that of its nodes."""
    # Whoever reads a definition reads answers too, and seldom makes a key.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    encoding, form = serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL
    der = key.private_bytes(encoding, form, serialization.NoEncryption())
    word = base64.b64encode(der).decode("ascii")
    return f"{PRIVATE_KEY} = {word}", f"front-end-key = {sshkeys.public_key(word)}"
