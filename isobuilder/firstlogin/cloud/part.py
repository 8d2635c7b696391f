"""The cloud as a part of the wizard: what the engine asks of it, put together from the rooms of this package."""

from typing import Callable, Iterator, List

from ..effects import Effects
from ..model import FAIL, WARN, Absent, Answers, File, Line, Machine, Part, Problem
from . import (
    access,
    actions,
    admin,
    checks,
    documents,
    editions,
    hypervisor,
    image,
    motd,
    network,
    nodes,
    proposals,
    questions,
    rack,
    rules,
    services,
    smoke,
)
from .editions import FRONT_END, NODE, Edition, Mode


def fits(answers: Answers) -> Iterator[Problem]:
    """What does not fit together in the answers themselves."""
    yield from network.fits(answers)
    yield from access.fits(answers)


def _configuration(answers: Answers, machine: Machine, mode: Mode, effects: Effects) -> File:
    parts = machine.role.parts
    values = documents.network_variables(mode, parts, answers)
    absent = [name for name in editions.OPTIONAL if name not in values]
    if NODE in parts:
        values.update(hypervisor.variables(answers))
        absent += hypervisor.absent(answers)
    text = documents.configuration(effects.read(editions.CONF) or "", values, absent)
    there = effects.exists(editions.CONF)
    return File(editions.CONF, text, effects.mode(editions.CONF) if there else 0o644)


def wanted(answers: Answers, machine: Machine, effects: Effects) -> List[object]:
    """What makes the machine its part of a cloud; nothing for a machine that is of none."""
    edition, mode = editions.of_machine(machine), proposals.mode_of(machine, answers)
    if edition is None or mode is None:
        return []
    parts = machine.role.parts
    conf = (editions.CONF,)
    reading = services.readers(edition, mode, parts)
    rows: List[object] = [
        *services.stops(reading, conf, machine, effects),
        _configuration(answers, machine, mode, effects),
    ]
    if FRONT_END in parts:
        rows.append(admin.helper())
        document = File(editions.DOCUMENT, documents.document(mode, answers)) if mode.document else None
        rows.append(document or Absent(editions.DOCUMENT))
        rows += services.front_end(answers, machine, edition, mode, effects)
    if NODE in parts:
        rows += hypervisor.wanted(answers, effects)
        rows += access.wanted(answers, effects)
        for name in edition.node_services:
            rows += services.start(name, machine, effects, conf)
    if edition.daemon in reading:
        rows += services.start(edition.daemon, machine, effects, conf)
    if FRONT_END in parts:
        rows += services.own_node(answers, machine) if NODE in parts else []
        rows += services.console(machine, edition, effects)
    rows.append(_message(answers, machine, edition, effects))
    return rows + ([services.all_enabled()] if FRONT_END in parts else [])


def _message(answers: Answers, machine: Machine, edition: Edition, effects: Effects) -> File:
    address, domain = services.own_address(answers, machine), answers.get("cloud-domain", "")
    text = motd.message(effects.read(motd.PATH) or "", edition, machine.role.parts, address, domain)
    return File(motd.PATH, text)


def finish(answers: Answers, machine: Machine, effects: Effects, tell: Callable[[str], None]) -> Iterator[Line]:
    """The nodes of a front end, which may be there or not, and its first image."""
    if editions.of_machine(machine) is None or FRONT_END not in machine.role.parts:
        return
    listed = answers.get(questions.NODES, rules.NONE)
    of_a_rack = listed != rules.NONE and answers.get(questions.PRIVATE_KEY, rules.NONE) != rules.NONE
    if of_a_rack:
        nodes.wait_for(listed, effects, tell)
    for line in nodes.add(listed, effects):
        # Nobody is there who would read a warning and add it later.
        yield line._replace(verdict=FAIL) if of_a_rack and line.verdict == WARN else line
    size = answers.get(questions.IMAGE, rules.NONE)
    if size != rules.NONE:
        yield from image.Maker(machine, effects, tell).make(size)


PART = Part(
    question=questions.question,
    documented=questions.documented,
    questions=questions.for_machine,
    fits=fits,
    suits=network.suits,
    wire=network.wire,
    preflight=checks.preflight,
    wanted=wanted,
    proofs=checks.proofs,
    finish=finish,
    status=checks.status,
    thorough=smoke.thorough,
    across=rack.across,
    actions=(actions.NODES, actions.IMAGE),
)
