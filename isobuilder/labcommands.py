"""`isobuilder lab`: a cloud of virtual machines on one computer. Heavy libraries are imported when a command runs."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from isobuilder.errors import UsageError
from isobuilder.options import Quiet

if TYPE_CHECKING:
    from isobuilder.console import Console

lab_app = typer.Typer(help="A cloud of virtual machines on one computer.", no_args_is_help=True, rich_markup_mode=None)

Iso = Annotated[Path, typer.Argument(metavar="ISO", help="The medium that all machines start from.", readable=False)]
Name = Annotated[
    str | None, typer.Option("--name", help="Which lab; without it, the one that there is.", show_default=False)
]
NewName = Annotated[
    str | None, typer.Option("--name", help="The lab's name; without it, made of the ISO's.", show_default=False)
]
Folder = Annotated[
    Path | None,
    typer.Option("--dir", help="The lab's folder; without it one below $XDG_STATE_HOME.", show_default=False),
]
Nodes = Annotated[
    int | None,
    typer.Option("--nodes", min=0, max=32, help="How many machines beside the front end; 1.", show_default=False),
]
Memory = Annotated[
    int | None,
    typer.Option("--memory", metavar="MIB", min=64, help="Of each machine; 4096.", show_default=False),
]
DiskSize = Annotated[
    int | None,
    typer.Option("--disk-size", metavar="GIB", min=1, help="Of each machine; 100, taken as used.", show_default=False),
]
FirmwareName = Annotated[
    Literal["bios", "uefi"] | None,
    typer.Option("--firmware", help="How the machines start; uefi.", show_default=False),
]
NetworkOut = Annotated[
    bool | None,
    typer.Option("--network-out", help="A second network card that leads out, with ssh let in.", show_default=False),
]
Grace = Annotated[
    float, typer.Option("--grace", min=0, help="Seconds until a machine is ended that does not switch itself off.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@lab_app.command(short_help="Make a lab, or start it again.")
def up(
    iso: Annotated[
        Path | None,
        typer.Argument(
            metavar="ISO",
            help="The medium that all machines start from; not needed for a lab that is there.",
            readable=False,
            show_default=False,
        ),
    ] = None,
    *,
    nodes: Nodes = None,
    memory: Memory = None,
    disk_size: DiskSize = None,
    firmware: FirmwareName = None,
    network_out: NetworkOut = None,
    name: NewName = None,
    folder: Folder = None,
    unattended: Annotated[
        bool,
        typer.Option(
            "--unattended", help="Choose each machine's role in the menu; the medium must install without asking."
        ),
    ] = False,
    front_end: Annotated[
        str | None,
        typer.Option("--front-end", metavar="ROLE", help="The front end's role.", show_default=False),
    ] = None,
    node: Annotated[
        str | None, typer.Option("--node", metavar="ROLE", help="The nodes' role.", show_default=False)
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Start a front end and nodes that go on running when this command has ended, on a private network of their own.

    Each starts the medium, whose menu starts the local disk unless somebody chooses a role. Disks are kept: a lab that
    is there is started again, with what was installed.
    """
    from isobuilder.console import Console
    from isobuilder.lab.running import up as run
    from isobuilder.lab.wish import Wish

    wish = Wish(iso, name, nodes, memory, disk_size, firmware, network_out, unattended, front_end, node)
    console = Console(quiet=quiet)
    if iso or folder or name is not None:
        chosen = _chosen_name(name, iso, folder)
        place = folder.absolute() if folder else _root() / chosen
    else:
        place = _place(None, None)
        chosen = place.name
    run(place, chosen, wish, console)
    _show([place], console)


@lab_app.command("list", short_help="Say which labs there are, and how their machines are doing.")
def list_labs(*, folder: Folder = None, as_json: Json = False) -> None:
    """Say which labs there are, and of each machine its state, process, console, way in by ssh, and use of the disk."""
    from isobuilder.console import Console
    from isobuilder.lab.state import find_labs

    folders = [folder.absolute()] if folder else find_labs(_root())
    _show(folders, Console(), as_json=as_json)


@lab_app.command(short_help="Attach this terminal to a machine's serial console.")
def console(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="front, node1, node2 and so on.")],
    *,
    name: Name = None,
    folder: Folder = None,
) -> None:
    """Attach this terminal to a machine's serial console, until Ctrl-] or until the machine is off."""
    from isobuilder.lab.ending import required_lab
    from isobuilder.lab.terminal import attach

    place = _place(name, folder)
    lab = required_lab(place)
    found = lab.machine(machine)
    greeting = f"{lab.name}: the console of {found.name}; Ctrl-] leaves it"
    if not attach(place / found.name, sys.stdin.fileno(), sys.stdout.fileno(), greeting):
        typer.echo(f"{found.name}: the machine is off", err=True)


@lab_app.command(short_help="Switch machines off.")
def stop(
    machines: Annotated[
        list[str] | None,
        typer.Argument(metavar="MACHINE", help="Which; without any, all of them.", show_default=False),
    ] = None,
    *,
    name: Name = None,
    folder: Folder = None,
    grace: Grace = 60.0,
    quiet: Quiet = False,
) -> None:
    """Switch machines off as their power button does. Disks are kept, and `lab up` starts them again."""
    from isobuilder.console import Console
    from isobuilder.lab.ending import stop as run

    place = _place(name, folder)
    console = Console(quiet=quiet)
    run(place, machines or (), grace, console)
    _show([place], console)


@lab_app.command(short_help="Take a lab down, and remove it when told to.")
def down(
    *,
    name: Name = None,
    folder: Folder = None,
    remove_disks: Annotated[
        bool, typer.Option("--remove-disks", help="Remove the lab, with the disks and all that is on them.")
    ] = False,
    grace: Grace = 60.0,
    quiet: Quiet = False,
) -> None:
    """Switch all machines of a lab off, and its network. Disks are kept unless --remove-disks says otherwise."""
    from isobuilder.console import Console
    from isobuilder.lab.ending import remove
    from isobuilder.lab.ending import stop as run

    place = _place(name, folder)
    console = Console(quiet=quiet)
    if remove_disks:
        remove(place, grace, console)
        console.result(f"{place}: removed, with its disks")
        return
    run(place, (), grace, console)
    _show([place], console)


@lab_app.command(short_help="Write the same lab as XML for libvirt.")
def libvirt(
    iso: Iso,
    *,
    nodes: Nodes = None,
    memory: Memory = None,
    disk_size: DiskSize = None,
    firmware: FirmwareName = None,
    network_out: NetworkOut = None,
    name: NewName = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the files go.")] = Path(),
) -> None:
    """Write the XML of a network and of one domain for each machine, and print the commands that use them."""
    from isobuilder.lab.libvirt import commands, libvirt_files, write_files
    from isobuilder.lab.wish import Wish, new_lab

    chosen = _chosen_name(name, iso, None)
    lab, medium = new_lab(chosen, Wish(iso, name, nodes, memory, disk_size, firmware, network_out))
    files = libvirt_files(lab, medium.hardware)
    write_files(files, output)
    for file in files:
        typer.echo(f"{output / file}: written", err=True)
    typer.echo("libvirt's own user must be able to read the ISO. To have the lab:", err=True)
    for line in commands(lab, output):
        typer.echo(line)


def _show(folders: list[Path], console: "Console", *, as_json: bool = False) -> None:
    from isobuilder.lab.ending import required_lab
    from isobuilder.lab.listing import as_json as table
    from isobuilder.lab.listing import as_lines, look

    labs = [look(folder, required_lab(folder)) for folder in folders]
    if as_json:
        typer.echo(table(labs))
        return
    for line in as_lines(labs):
        typer.echo(line)
    if not labs:
        console.note("there is no lab; isobuilder lab up ISO makes one")


def _chosen_name(name: str | None, iso: Path | None, folder: Path | None) -> str:
    """A new lab's name: the one that is given, or one made of the ISO's or the folder's."""
    import re

    from isobuilder.lab.state import NAME, NAME_LIMIT

    if name is None:
        origin = iso.stem if iso else folder.name if folder else ""
        name = re.sub(r"[^a-z0-9]+", "-", origin.lower()).strip("-")[:NAME_LIMIT].strip("-")
    if not NAME.fullmatch(name):
        raise UsageError(
            f"--name: {name!r} cannot be a lab's name",
            hint=f"Letters a to z, digits and hyphens, {NAME_LIMIT} of them at most; no hyphen at an end.",
        )
    return name


def _root() -> Path:
    from isobuilder.lab.state import labs_root

    return labs_root(os.environ)


def _place(name: str | None, folder: Path | None) -> Path:
    """The folder of the lab that is meant."""
    from isobuilder.lab.state import find_labs

    if folder:
        return folder.absolute()
    root = _root()
    labs = {place.name: place for place in find_labs(root)}
    if name is None and len(labs) == 1:
        return next(iter(labs.values()))
    if name in labs:
        return labs[name]
    if not labs:
        raise UsageError(f"there is no lab in {root}", hint="isobuilder lab up ISO makes one; --dir names a folder.")
    what = "there are several labs" if name is None else f"there is no lab {name!r}"
    raise UsageError(f"--name: {what}", details=sorted(labs), hint="Name one of these.")
