"""From a role's template to the text of the kickstart that lies on the medium.

Templates see validated values only, in a sandbox, and nothing here touches the network. What the text says to an
installer is not known here; `readback` asks.
"""

import functools
import re
import shlex
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import jinja2.utils

from isobuilder.blueprint import Blueprint, key_names
from isobuilder.definition import DiskMatch, Repository, size_bytes
from isobuilder.errors import KickstartError
from isobuilder.kept import Kept
from isobuilder.kickstart.blocks import check_blocks
from isobuilder.kickstart.bounds import TemplateEnvironment, bounded_memory, bounded_text
from isobuilder.kickstart.disks import STORAGE_INCLUDE
from isobuilder.kickstart.readback import acceptance
from isobuilder.kickstart.roles import Role
from isobuilder.kickstart.sections import sections
from isobuilder.resources import data_folder
from isobuilder.schema import Table, did_you_mean

INCLUDE_DEPTH = 8
# Where the installed system keeps the keys of its repositories.
KEY_FOLDER = "/etc/pki/rpm-gpg"


@dataclass(frozen=True)
class Rendered:
    """The text of a kickstart, and the files that it was made of: templates and what they include, ours too."""

    text: str
    files: frozenset[Path]


def rendered(role: Role, blueprint: Blueprint, kept: Kept | None = None) -> Rendered:
    """What lies on the medium for a role: its template rendered, with the files of the definition's folder inlined.

    The installer reads what %pre wrote under /tmp/ in its second pass; it fetches nothing that we have not seen. `kept`
    has what was found out before. Raises KickstartError.
    """
    loader = _Noting((*role.folders, data_folder("kickstarts")))
    text = _render(role, blueprint, loader, kept)
    mistakes: list[str] = []
    lines = _inlined(text, f"{role.template} as rendered", role, mistakes, loader.noted)
    inlined = "".join(f"{line}\n" for line in lines)
    mistakes += _unanswered_includes(inlined, f"ks/{role.id}.cfg")
    if mistakes:
        raise KickstartError(f"role {role.id}: {len(mistakes)} of its includes cannot be", details=mistakes)
    return Rendered(inlined, frozenset(loader.noted))


def rendered_text(role: Role, blueprint: Blueprint, kept: Kept | None = None) -> str:
    """The text alone. Raises as `rendered`."""
    return rendered(role, blueprint, kept).text


def template_values(role: Role, blueprint: Blueprint, kept: Kept | None) -> dict[str, object]:
    """What a template can ask for, as docs/roles.md lists it.

    Sizes in `disk` are in bytes; `repositories` are those that the installed system gets besides the stock ones, or
    instead of them.
    """
    definition, release = blueprint.definition, blueprint.release
    product = blueprint.product
    return {
        "role": {"id": role.id, "title": role.title, "group": role.group},
        "install": _plain(definition.install),
        "disk": _disk(definition.install.disk),
        "storage_include": STORAGE_INCLUDE,
        "release": _plain(release),
        "medium": {"name": definition.name, "volume_id": blueprint.volume_id, "mark": blueprint.mark},
        "product": product and {"id": product.id, "title": product.title, **vars(_plain(blueprint.edition))},
        "repositories": _installed_repositories(blueprint),
        "answers": definition.answers_text,
        "accepts": acceptance(release.kickstart.syntax, kept).accepts,
    }


def _plain(value: Any) -> Any:
    """`value` without a method that a template could call: pydantic's models read files, and run what a pickle says."""
    if isinstance(value, Table):
        return SimpleNamespace(**{name: _plain(inner) for name, inner in value})
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value if value is None or isinstance(value, str | int) else str(value)


def _disk(match: DiskMatch | None) -> dict[str, object] | None:
    """The match of an unattended install; None where the installer asks."""
    if match is None:
        return None
    sizes = {"min_size": match.min_size, "max_size": match.max_size}
    return {
        "model": match.model,
        "serial": match.serial,
        **{name: size and size_bytes(size) for name, size in sizes.items()},
    }


def _installed_repositories(blueprint: Blueprint) -> list[dict[str, object]]:
    installed = blueprint.release.installed
    names = key_names(key for repository in blueprint.repositories for key in repository.gpgkey)

    def reachable(address: str | None, repository: Repository) -> str | None:
        # Without signatures the way is all that protects what comes.
        if address is None or installed.https or not repository.gpgkey:
            return address
        return re.sub(r"^https:", "http:", address)

    return [
        {
            "id": repository.id,
            "name": f"{repository.id} for {blueprint.release.title}",
            "baseurl": reachable(repository.baseurl, repository),
            "mirrorlist": reachable(repository.mirrorlist, repository),
            "metalink": reachable(repository.metalink, repository),
            "gpgkeys": [f"file://{KEY_FOLDER}/{names[key]}" for key in repository.gpgkey],
            "priority": repository.priority,
            "excludes": repository.excludes,
            "includes": repository.includes,
            "module_hotfixes": repository.module_hotfixes,
        }
        for repository in blueprint.installed_repositories
    ]


class _Noting(jinja2.FileSystemLoader):
    """Notes each file that a template was read from."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        super().__init__(folders)
        self.noted: set[Path] = set()

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, filename, is_fresh = super().get_source(environment, template)
        self.noted.add(Path(filename))
        return source, filename, is_fresh


class _Compiled(jinja2.BytecodeCache):
    """Templates that were compiled for one role, for the next one; by name, file and text."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if code := self._code.get((bucket.key, bucket.checksum)):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._code[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


@functools.cache
def _compiled() -> _Compiled:
    return _Compiled()


def _render(role: Role, blueprint: Blueprint, loader: _Noting, kept: Kept | None) -> str:
    environment = TemplateEnvironment(
        loader=loader,
        undefined=_Missing,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        bytecode_cache=_compiled(),
    )
    try:
        with bounded_memory():
            check_blocks(environment, role.template)
            template = environment.get_template(role.template)
            return bounded_text(template.generate(template_values(role, blueprint, kept)))
    except jinja2.TemplateNotFound as error:
        where = ", ".join(map(str, loader.searchpath))
        raise KickstartError(f"role {role.id}: there is no template {error.name!r} in {where}") from error
    except jinja2.TemplateSyntaxError as error:
        raise KickstartError(f"{error.name or role.template}, line {error.lineno}: {error.message}") from error
    except (
        jinja2.TemplateError,
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        OSError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        # An expression in a template can fail in any of these ways; jinja2 puts the template's line in the traceback.
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
        where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else role.template
        raise KickstartError(f"role {role.id}: {where}: {str(error) or type(error).__name__}") from error


class _Missing(jinja2.StrictUndefined):
    """A name that a template asks for and does not get, with what it may have meant."""

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name = str(self._undefined_name)
        if self._undefined_obj is jinja2.utils.missing:
            return f"there is no {name!r} for templates"
        if self._undefined_obj is None:
            return f"{name!r} is asked of what is not there (no product, or no unattended disk)"
        asked = self._undefined_obj
        known = vars(asked) if isinstance(asked, SimpleNamespace) else asked if isinstance(asked, Mapping) else {}
        return f"there is no {name!r} here{did_you_mean(name, map(str, known))}"


def _inlined(text: str, name: str, role: Role, mistakes: list[str], noted: set[Path], depth: int = 0) -> Iterator[str]:
    """The lines of `text`, with those of the files that it includes (`noted`); what cannot be goes to `mistakes`."""
    for number, line in enumerate(text.splitlines(), start=1):
        argument = _include(line)
        if argument is None or argument.startswith("/tmp/"):  # noqa: S108 - the installer's /tmp, not ours
            yield line
            continue
        try:
            included = _read_include(argument, role, depth)
        except KickstartError as error:
            mistakes.append(f"{name}, line {number}: {line.strip()}: {error.message}")
        else:
            noted.add(role.folders[0] / argument)
            yield from _inlined(included, argument, role, mistakes, noted, depth + 1)


def _include(line: str) -> str | None:
    """The argument of an %include, "" where it has none; None for any other line."""
    words = line.split(maxsplit=1)
    if not words or words[0] not in ("%include", "%ksappend"):
        return None
    try:
        arguments = shlex.split(line, comments=True)[1:]
    except ValueError:
        return ""
    return arguments[0] if len(arguments) == 1 and words[0] == "%include" else ""


def _read_include(name: str, role: Role, depth: int) -> str:
    if not name:
        raise KickstartError("takes one file; %ksappend is not taken at all")
    if "://" in name or name.startswith("/") or not role.inlines:
        raise KickstartError("only files below the definition's folder, and /tmp/ files that %pre writes, are included")
    if depth >= INCLUDE_DEPTH:
        raise KickstartError(f"includes go deeper than {INCLUDE_DEPTH}")
    path = (role.folders[0] / name).resolve()
    if not path.is_relative_to(role.folders[0].resolve()):
        raise KickstartError("that file lies outside of the definition's folder")
    if path.exists() and not path.is_file():
        raise KickstartError("that is no plain file")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KickstartError(f"that file cannot be read: {error}") from error


def _unanswered_includes(text: str, where: str) -> Iterator[str]:
    """What is wrong with the includes that are left for the installer: all of them name files under /tmp/."""
    scripts = "\n".join(line for section, _, line in sections(text) if section == "%pre")
    for section, number, line in sections(text):
        argument = _include(line)
        if argument and section == "%packages":
            yield f"{where}, line {number}: {line.strip()}: packages known at install time only are not on the medium"
        elif argument and not re.search(rf"{re.escape(argument)}(?![\w.-])", scripts):
            yield f"{where}, line {number}: {line.strip()}: no %pre of this kickstart writes that file"
