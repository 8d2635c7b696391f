"""What a kickstart asks the installer to install."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """One line of %packages: its word (a name, `name.arch`, glob or path) and its number in the kickstart."""

    text: str
    line: int


@dataclass(frozen=True)
class WantedGroup:
    """A comps group or environment that %packages names. `depth`: mandatory, default, or optional (which holds all)."""

    id: str
    line: int
    depth: str = "default"


@dataclass(frozen=True)
class ModuleCommand:
    """The command `module`, which enables a stream of a module ("" for its default), or disables the module."""

    name: str
    stream: str
    line: int
    enable: bool = True

    @property
    def word(self) -> str:
        """NAME or NAME:STREAM."""
        return f"{self.name}:{self.stream}" if self.stream else self.name


@dataclass(frozen=True)
class PackageRequest:
    """What a kickstart asks the installer to install, as pykickstart understood it.

    `environment` is the `@^` group, if any. `groups` includes core where the installer adds it by itself (line 0), and
    the modules of %packages, which look like groups. `weak` is false with --excludeWeakdeps.
    """

    packages: tuple[Wanted, ...]
    groups: tuple[WantedGroup, ...]
    environment: WantedGroup | None
    excluded_packages: tuple[Wanted, ...]
    excluded_groups: tuple[WantedGroup, ...]
    weak: bool = True
    modules: tuple[ModuleCommand, ...] = ()
