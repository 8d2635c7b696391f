"""What `inspect` prints: the facts of a medium as text and as JSON."""

import json
from collections.abc import Iterator
from typing import Any

from rich import filesize

from isobuilder.provenance.carried import FOLDER, INPUTS
from isobuilder.seeing.facts import Entry, MediumFacts, Role, Total
from isobuilder.verify.verdict import harmless


def lines(found: MediumFacts) -> Iterator[str]:
    """For people."""
    yield from map(harmless, _lines(found))


def dump(found: MediumFacts) -> str:
    """For scripts. What could not be found out is null."""
    return json.dumps(
        {
            "iso": harmless(found.path.name),
            "size": found.size,
            "release": found.release,
            "version": found.version,
            "arch": found.arch,
            "label": found.label,
            "made": found.made,
            "carried": list(found.carried),
            "starts": list(found.starts),
            "signed": list(found.said["signed"]),
            "roles": [_role(found, role) for role in found.roles],
            "repositories": [_repository(found, repository) for repository in found.repositories],
            "no-role": _total(found.total(role="")),
            "defaults": dict(found.defaults),
            "entries": [_entry(entry) for entry in found.entries],
            "kickstarts": {kickstart.path: kickstart.text for kickstart in found.kickstarts},
            "packages": [
                {
                    "nevra": held.listing.nevra,
                    "path": held.listing.path,
                    "repository": held.repository,
                    "size": held.listing.size,
                    "roles": list(held.roles),
                }
                for held in found.packages
            ],
            "errors": [f"{f.place}: {f.message}" for f in found.findings if f.kind.severity == "error"],
        },
        indent=1,
    )


def _lines(found: MediumFacts) -> Iterator[str]:
    yield f"{found.path}  {filesize.decimal(found.size)}"
    carries = {"carries": _carried(found)} if found.carried else {}
    yield from _pairs({**found.said, "label": (found.label,), "made": (found.made or "it does not say",), **carries})
    yield ""
    yield "roles"
    width = max((len(role.id) for role in found.roles), default=0)
    for role in found.roles:
        yield f"  {role.id:{width}}  {role.title or 'no menu entry'}"
        yield f"  {'':{width}}  {_said(found, role)}"
    if not found.roles:
        yield "  none: no kickstart is on it"
    yield ""
    yield "repositories"
    for repository in found.repositories:
        yield f"  {repository}: {_counted(found.total(repository=repository))}"
        for role in (role for role in found.roles if role.is_resolved):
            yield f"    {role.id}: {_counted(found.total(repository=repository, role=role.id))}"
        if any(role.is_resolved for role in found.roles):
            yield f"    no role: {_counted(found.total(repository=repository, role=''))}"
    if not found.is_listed:
        yield "  and more: metadata cannot be read"
    yield ""
    yield "what starts by itself"
    yield from (f"  {menu}: {default}" for menu, default in found.defaults.items())
    yield ""
    yield "kernel lines"
    for arguments, titles in by_line(found.entries).items():
        yield f"  {arguments or 'nothing'}"
        yield from (f"    {title}  [{', '.join(menus)}]" for title, menus in titles.items())
    if errors := sum(finding.kind.severity == "error" for finding in found.findings):
        yield ""
        yield f"{errors} error{'s' if errors > 1 else ''} on the medium; isobuilder verify says which"


def _pairs(said: dict[str, tuple[str, ...]]) -> Iterator[str]:
    width = max(map(len, said))
    for name, values in said.items():
        yield from (f"  {'' if number else name:{width}}  {value}" for number, value in enumerate(values))


def _carried(found: MediumFacts) -> tuple[str, ...]:
    """Files of the user's by their paths there, and what else says how it was made."""
    inputs = [path.removeprefix(f"{INPUTS}/") for path in found.carried if path.startswith(f"{INPUTS}/")]
    others = [path.removeprefix(f"{FOLDER}/") for path in found.carried if not path.startswith(f"{INPUTS}/")]
    return tuple(", ".join(names) for names in (inputs, others) if names)


def _said(found: MediumFacts, role: Role) -> str:
    if not role.is_resolved:
        return f"packages unknown; {role.kickstart}"
    alone = found.total(role=role.id, alone=True)
    return f"{_counted(found.total(role=role.id))}, of which only here {_counted(alone)}; {role.kickstart}"


def _counted(total: Total) -> str:
    return f"{total.packages} package{'' if total.packages == 1 else 's'}, {filesize.decimal(total.size)}"


def by_line(entries: tuple[Entry, ...]) -> dict[str, dict[str, list[str]]]:
    """By what the kernel is told: the titles of entries, with the lists that lead there, and the menus that do so."""
    found: dict[str, dict[str, list[str]]] = {}
    for entry in entries:
        title = " / ".join([*entry.steps, entry.title]) + (" (default)" if entry.default else "")
        menus = found.setdefault(entry.arguments, {}).setdefault(title, [])
        if entry.menu not in menus:
            menus.append(entry.menu)
    return found


def _role(found: MediumFacts, role: Role) -> dict[str, Any]:
    return {
        "id": role.id,
        "title": role.title,
        "kickstart": role.kickstart,
        "total": _total(found.total(role=role.id)) if role.is_resolved else None,
        "alone": _total(found.total(role=role.id, alone=True)) if role.is_resolved else None,
    }


def _repository(found: MediumFacts, repository: str) -> dict[str, Any]:
    by_role = {
        role.id: _total(found.total(repository=repository, role=role.id)) for role in found.roles if role.is_resolved
    }
    return {"id": repository, "total": _total(found.total(repository=repository)), "roles": by_role}


def _total(total: Total) -> dict[str, int]:
    return {"packages": total.packages, "size": total.size}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "menu": entry.menu,
        "title": entry.title,
        "steps": list(entry.steps),
        "kernel": entry.kernel,
        "initrds": list(entry.initrds),
        "arguments": entry.arguments,
        "kickstart": entry.kickstart or None,
        "default": entry.default,
    }
