"""The definition: what the user asks for, read from one TOML file into a frozen value.

Everything in it is checked here, so that what reaches a template, a path or a kernel line further on is known to be
harmless. It reads no other file: release, kickstarts and keys that it names are read by their own rooms.
"""

import os
import re
import zoneinfo
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from isobuilder.addresses import Folder, Source, Url, as_address
from isobuilder.answers import check_table, table_as_text, table_schema
from isobuilder.errors import DefinitionError
from isobuilder.resources import data_folder
from isobuilder.schema import Many, Matching, OneOrMany, Table, did_you_mean, load_toml

Arch = Literal["x86_64", "aarch64"]

# Where a definition is when nothing else is said, and our own where there is none.
USUAL_PLACE = Path("media.toml")
SHIPPED = "default.toml"

# Entries that every menu has; a role cannot take their names.
BUILT_IN_ENTRIES = ("check", "rescue", "local")

Identifier = Annotated[
    str, Matching(r"[a-z][a-z0-9-]{0,30}", "a name of a-z 0-9 - that starts with a letter (31 characters at most)")
]
Title = Annotated[str, Matching(r"[!-~](?:[ -~]{0,62}[!-~])?", "a line of 1 to 64 printable ASCII characters")]
VolumeId = Annotated[str, Matching(r"[A-Za-z0-9_-]{1,32}", "a volume id of 1 to 32 characters of A-Z a-z 0-9 _ -")]
SerialLine = Annotated[
    str, Matching(r"(?:ttyS|ttyAMA|hvc)[0-9]{1,2}(?:,[0-9]{3,7})?", "a serial console such as ttyS0,115200")
]

HardwareName = Annotated[
    str,
    Matching(r"[A-Za-z0-9*._+:/()-](?:[A-Za-z0-9 *._+:/()-]{0,62}[A-Za-z0-9*._+:/()-])?", "a disk's model or serial"),
]
Size = Annotated[str, Matching(r"[0-9]{1,6}(?:\.[0-9]{1,3})?(?:[MGT]i?B)", "a size such as 100GB or 1.8TiB")]
Group = Literal["several", "one", "other"]


def size_bytes(size: str) -> int:
    """A `Size` in bytes: GB counts in thousands, GiB in 1024s."""
    number, unit = re.fullmatch(r"([0-9.]+)([MGT]i?)B", size).groups()  # type: ignore[union-attr]
    return int(Decimal(number) * (1024 if unit.endswith("i") else 1000) ** (" MGT".index(unit[0]) + 1))


def _time_zone(value: str) -> str:
    # Empty on a host without tzdata, which then cannot tell.
    zones = zoneinfo.available_timezones()
    if zones and value not in zones:
        raise ValueError(f"{value!r} is not a time zone{did_you_mean(value, zones)}")
    return value


TimeZone = Annotated[
    str,
    Matching(r"[A-Za-z][A-Za-z0-9+_-]*(?:/[A-Za-z0-9+_-]+){0,2}", "a time zone such as Europe/Rome"),
    AfterValidator(_time_zone),
]


def _crypt_hash(value: str) -> str:
    if not re.fullmatch(r"\$(?:5|6|y)\$[./A-Za-z0-9=$]{20,200}", value, re.ASCII):
        # The value is not repeated: it may be somebody's password.
        raise ValueError("not a crypt hash ($5$, $6$ or $y$); make one with: openssl passwd -6")
    return value


def _public_key(value: str) -> str:
    if not re.fullmatch(
        r"(?:ssh|ecdsa|sk-ssh|sk-ecdsa)[a-z0-9@.-]* [A-Za-z0-9+/=]{32,}(?: [A-Za-z0-9 @._+:/-]*)?", value, re.ASCII
    ):
        raise ValueError(
            "not one line of an OpenSSH public key, as in id_ed25519.pub (its comment: letters, digits and @._+:/-)"
        )
    return value


def _free_name(value: str) -> str:
    if value in BUILT_IN_ENTRIES:
        raise ValueError(f"the menu has an entry {value!r} already")
    return value


class _WithId(Protocol):
    @property
    def id(self) -> str: ...


def unlike_ids(tables: tuple[_WithId, ...]) -> tuple[_WithId, ...]:
    """The tables as they are, checked: each has an id of its own."""
    ids = [table.id for table in tables]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise ValueError(f"two have the id {', '.join(map(repr, twice))}")
    return tables


def _fingerprint(value: str) -> str:
    digits = value.replace(" ", "").upper()
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", digits):
        raise ValueError(f"{value!r} is not an OpenPGP fingerprint of 40 (or 64) hexadecimal digits")
    return digits


Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
RoleName = Annotated[Identifier, AfterValidator(_free_name)]


def _variables(value: str) -> str:
    if other := set(re.findall(r"\$\{?(\w+)", value)) - {"basearch"}:
        raise ValueError(f"${min(other)} is not filled in here, only $basearch is: write out what it stands for")
    return value


PackagePattern = Annotated[str, Matching(r"[A-Za-z0-9._+:~^*?-]{1,200}", "a package's name or NEVRA, with * and ?")]
RepositoryUrl = Annotated[Url, AfterValidator(_variables)]
RepositorySource = Annotated[Source, AfterValidator(_variables)]


class Repository(Table):
    """Where packages come from, and who must have signed them.

    One of `baseurl` (which may be a folder or an ISO), `mirrorlist` (an address of a list of such addresses) and
    `metalink` (the same, with checksums of repomd.xml) is there; in these and in `gpgkey`, `$basearch` stands for the
    architecture. `priority` is in yum's sense: lower wins. With `sha1`, signatures over SHA-1 are accepted, because the
    release has nothing better. `excludes` are packages that are not taken from here, `includes` the only ones that are:
    dnf's excludepkgs and includepkgs. With `module_hotfixes`, no stream of a module hides the repository's packages, as
    with dnf's option of that name.
    """

    id: Identifier
    baseurl: Annotated[Folder, AfterValidator(_variables)] | None = None
    mirrorlist: RepositoryUrl | None = None
    metalink: RepositoryUrl | None = None
    gpgkey: OneOrMany[RepositorySource] = ()
    fingerprint: Many[Fingerprint] = ()
    sha1: bool = False
    priority: Annotated[int, Field(ge=1, le=99)] = 99
    trust: Literal["signed", "unsigned"] = "signed"
    repomd_signature: Literal["required", "if-present", "off"] = "if-present"
    excludes: Many[PackagePattern] = ()
    includes: Many[PackagePattern] = ()
    module_hotfixes: bool = False

    @property
    def listing(self) -> str | None:
        """The address of what names the mirrors, or None where `baseurl` is the only one."""
        return self.metalink or self.mirrorlist

    def for_arch(self, arch: str) -> Self:
        """This repository with `$basearch` filled in, paths as addresses, and one slash at the end of `baseurl`."""

        def filled(url: str | None) -> str | None:
            return url and fill_in(url, arch)

        return self.model_copy(
            update={
                "baseurl": self.baseurl and f"{as_address(fill_in(self.baseurl, arch)).rstrip('/')}/",
                "mirrorlist": filled(self.mirrorlist),
                "metalink": filled(self.metalink),
                "gpgkey": tuple(as_address(fill_in(url, arch)) for url in self.gpgkey),
            }
        )

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if sum(address is not None for address in (self.baseurl, self.mirrorlist, self.metalink)) != 1:
            raise ValueError("exactly one of baseurl, mirrorlist and metalink is required")
        return self

    @model_validator(mode="after")
    def _is_not_ours(self) -> Self:
        if self.id == "isobuilder":
            raise ValueError("the packages that isobuilder makes itself have the id 'isobuilder'; take another")
        return self

    @model_validator(mode="after")
    def _keys_are_pinned(self) -> Self:
        if self.trust == "signed" and not (self.gpgkey and self.fingerprint):
            raise ValueError('gpgkey and fingerprint are required, or trust = "unsigned" to take packages from anyone')
        if self.trust == "unsigned" and (self.gpgkey or self.fingerprint):
            raise ValueError('trust = "unsigned" contradicts gpgkey and fingerprint')
        if self.trust == "unsigned" and self.sha1:
            raise ValueError('sha1 = true is about signatures, and trust = "unsigned" asks for none')
        if self.trust == "unsigned" and self.repomd_signature == "required":
            raise ValueError('repomd-signature = "required" needs gpgkey and fingerprint')
        return self


class DiskMatch(Table):
    """The one disk of a machine that an unattended install may take; every key that is given must hold.

    `model` and `serial` are as the machine names them (`lsblk -o NAME,MODEL,SERIAL`); `*` in a model stands for
    anything. Sizes are inclusive.
    """

    model: HardwareName | None = None
    serial: HardwareName | None = None
    min_size: Size | None = None
    max_size: Size | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.model or self.serial or self.min_size or self.max_size):
            raise ValueError('says nothing; give model, serial, min-size or max-size, or "ask"')
        if self.min_size and self.max_size and size_bytes(self.min_size) > size_bytes(self.max_size):
            raise ValueError(f"min-size {self.min_size} is more than max-size {self.max_size}")
        return self


class _AskOr:
    """Reads "ask" as None."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        table, _ = handler(schema)["anyOf"]
        return {"anyOf": [{"const": "ask"}, table]}

    @staticmethod
    def _read(value: object) -> object:
        if isinstance(value, str) and value != "ask":
            raise ValueError(f'{value!r} is neither "ask" nor a table such as {{ model = "...", min-size = "100GB" }}')
        return None if value == "ask" else value


class Install(Table):
    """What every role's kickstart shares.

    `disk`: None ("ask") leaves storage to the installer's screens; a match makes the install unattended. `reinstall`
    lets it take a disk that this definition's medium has installed before; any other disk must be empty.
    """

    language: Annotated[str, Matching(r"[a-z]{2,3}_[A-Z]{2}(?:\.UTF-8)?", "a language such as en_US.UTF-8")] = (
        "en_US.UTF-8"
    )
    keyboard: Annotated[str, Matching(r"[a-z][a-z0-9_-]{0,30}", "a keyboard layout such as us")] = "us"
    timezone: TimeZone = "UTC"
    root_password: Annotated[str, AfterValidator(_crypt_hash)] | None = None
    ssh_keys: Many[Annotated[str, AfterValidator(_public_key)]] = ()
    console: SerialLine | None = None
    disk: Annotated[DiskMatch | None, _AskOr()] = None
    reinstall: bool = False

    @model_validator(mode="after")
    def _reinstalls_unattended(self) -> Self:
        if self.reinstall and self.disk is None:
            raise ValueError("reinstall: true without a disk; the installer asks anyway")
        return self


class Menu(Table):
    """The boot menu. `timeout` is in seconds, 0 to wait for ever; `default` a role, check, rescue or local."""

    title: Title | None = None
    default: Identifier = "local"
    timeout: Annotated[int, Field(ge=0, le=3600)] = 60


class RoleDefinition(Table):
    """A role of the user's own, or changes to one of ours, which then needs no `kickstart`.

    `kickstart` is a template's path, relative to the definition. `group` is where the menu shows it: with what a cloud
    of several machines needs, with what makes one on one machine, or with the rest.
    """

    kickstart: (
        Annotated[str, Matching(r"(?!/)(?!.*\.\.)[A-Za-z0-9._/-]{1,200}", "a path below the definition's folder")]
        | None
    ) = None
    title: Title | None = None
    group: Group | None = None
    menu: bool | None = None


class Definition(Table):
    """A whole definition file; `path` is where it was read, `folder` what its own paths are relative to.

    A medium larger than `max_size` is not made. `source` is an installer DVD of the release, as an ISO or a folder,
    which takes the place of the installer's tree and of the release's own repositories. `keys` is a folder (or an ISO)
    that has all key files, by the names that they are published under. `answers` are for the wizard of the first login,
    in its canonical form.
    """

    version: Literal[1]
    name: Annotated[str, Matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", "a file name of A-Z a-z 0-9 . _ -")]
    release: Annotated[str, Field(min_length=1)]
    arch: Arch = "x86_64"
    product: (
        Annotated[str, Matching(r"[A-Za-z0-9._/-]{1,200}", "a product's name, or the path of its folder")] | None
    ) = None
    volume_id: VolumeId | None = None
    max_size: Size | None = None
    source: RepositorySource | None = None
    keys: RepositorySource | None = None
    install: Install = Install()
    menu: Menu = Menu()
    repository: Annotated[Many[Repository], AfterValidator(unlike_ids)] = ()
    role: dict[RoleName, RoleDefinition] = Field(default_factory=dict)
    answers: Annotated[dict[str, Any], AfterValidator(check_table), WithJsonSchema(table_schema())] | None = None

    _path: Path = PrivateAttr(default=Path())
    _read_from: Path = PrivateAttr(default=Path())
    _within: Path | None = PrivateAttr(default=None)

    @property
    def path(self) -> Path:
        return self._path

    @property
    def read_from(self) -> Path:
        """The file whose text this is: another than `path` for the definition that ships with isobuilder."""
        return self._read_from

    @property
    def folder(self) -> Path:
        return self._path.parent

    def named(self, folder: Path, wanted: str) -> Path:
        """The path of what is called `wanted` in a file of `folder`.

        Raises DefinitionError when this definition came with a medium, and that is none of the files which came too.
        """
        path = folder / wanted
        if self._within and not Path(os.path.normpath(path)).is_relative_to(self._within):
            raise DefinitionError(
                f"{wanted!r} is not among the files that came with the medium",
                hint="Name it by a path from the folder of what names it, and build the medium again; "
                "it then carries that file.",
            )
        return path

    @property
    def answers_text(self) -> str | None:
        """The answers as the file that the wizard reads, if there are any."""
        return table_as_text(self.answers) if self.answers else None


def fill_in(url: str, arch: str) -> str:
    """`url` with `$basearch`, or `${basearch}`, filled in."""
    return re.sub(r"\$(?:basearch\b|\{basearch\})", arch, url)


def find_definition(path: Path | None) -> Definition:
    """The definition at `path`; without one, that of the current folder, or else the one that ships with isobuilder.

    That one behaves as if it lay in the current folder. Raises DefinitionError that lists every mistake with its key.
    """
    place = path or USUAL_PLACE
    # A link that leads nowhere is somebody's definition all the same, and not ours.
    shipped = path is None and not os.path.lexists(place)
    return load_definition(data_folder("kickstarts") / SHIPPED if shipped else place, place=place)


def load_definition(path: Path, *, place: Path | None = None, within: Path | None = None) -> Definition:
    """Read the definition at `path`, as one that lies at `place`. Raises DefinitionError like `find_definition`.

    No file that it names is taken from outside of the folder `within`.
    """
    definition = load_toml(path, Definition, "definition")
    # Values of the file's place, not of its text.
    definition._path, definition._read_from, definition._within = place or path, path, within  # noqa: SLF001
    return definition
