"""The folder of a lab: made, filled, and removed again with nothing in it that is somebody else's."""

from collections.abc import Callable
from pathlib import Path

from rich import filesize

from isobuilder.boot.drives import make_disk
from isobuilder.errors import HostError, UsageError
from isobuilder.hosterrors import host_errors
from isobuilder.lab import machines
from isobuilder.lab.state import LOCK, STATE, SWITCH, SWITCH_LOG, Lab, write_state
from isobuilder.progress import Progress
from isobuilder.wholefile import leftovers

# What an installation writes to a disk at the very least.
LEAST_SPACE = 1 << 30
GIB = 1 << 30


def make_folder(folder: Path) -> bool:
    """Make the folder of a lab unless it is there; whether it was made. Raises HostError when that cannot be."""
    made = not folder.exists()
    with host_errors(folder, hint="Choose another folder with --dir."):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    return made


def refuse_a_strangers(folder: Path) -> None:
    found = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
    if found:
        raise UsageError(
            f"{folder}: this folder has files and no lab",
            details=found[:10],
            hint="Name an empty folder with --dir, or one that is not there.",
        )


def _files(folder: Path, lab: Lab) -> list[Path]:
    """All that a lab consists of, whether it is there or not, but for its lock; folders after what is in them."""
    own = [folder / name for name in (SWITCH, SWITCH_LOG)]
    for machine in lab.machines:
        own += [folder / machine.name / name for name in (*machines.KEPT, *machines.PASSING)]
        own.append(folder / machine.name)
    with host_errors(folder):
        return [*own, *leftovers(folder / STATE), folder / STATE]


def refuse_more(folder: Path, lab: Lab) -> None:
    known = {*_files(folder, lab), folder / LOCK}
    with host_errors(folder):
        more = sorted(str(path) for path in folder.rglob("*") if path not in known)
    if more:
        raise UsageError(
            f"{folder}: there are files that isobuilder has not made, so nothing was removed",
            details=more[:10],
            hint="Move them elsewhere, and try again.",
        )


def remove_files(folder: Path, lab: Lab) -> None:
    for path in _files(folder, lab):
        with host_errors(path):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)


def check_space(folder: Path, lab: Lab, progress: Progress, free: Callable[[Path], int]) -> None:
    with host_errors(folder):
        there = free(folder)
    least, most = LEAST_SPACE * len(lab.machines), lab.disk_gib * GIB * len(lab.machines)
    if there < least:
        raise HostError(
            "there is not enough space for the disks",
            details=[f"{folder}: {filesize.decimal(least)} needed at least, {filesize.decimal(there)} free"],
            hint="Make room, or choose another folder with --dir.",
        )
    if there < most:
        progress.warning(
            f"{folder}: {filesize.decimal(there)} free, and the disks can grow to {filesize.decimal(most)} together; "
            "a machine stands still when there is no room for what it writes"
        )


def make_machines(folder: Path, lab: Lab) -> None:
    for machine in lab.machines:
        place = folder / machine.name
        with host_errors(place):
            place.mkdir(mode=0o700)
        make_disk(place / machines.DISK, lab.disk_gib)
    write_state(folder, lab)
