"""`max-size`: a medium that would be larger is refused, and what could be left out of it is ranked."""

from typing import TYPE_CHECKING

from rich import filesize

from isobuilder.compose import EFI_FOLDER
from isobuilder.definition import size_bytes
from isobuilder.errors import MediumError
from isobuilder.lock import Lock
from isobuilder.plan import Plan

# What ranks packages reads media too, and is needed where one is too large.
if TYPE_CHECKING:
    from isobuilder.seeing.cost import Cost

# More than these does not help who has to choose; `isobuilder cost` has all of it.
MOST = 15


def least_size(lock: Lock) -> int:
    """The bytes of what a medium holds by its lock alone; menus, metadata and the structure of the ISO come on top."""
    packages = {package.path: package.file.size for package in lock.packages if package.roles}
    boot = {boot.path: boot.file.size for boot in lock.boot if boot.member is None}
    # The image that UEFI starts from has them once more.
    twice = sum(size for path, size in boot.items() if path.startswith(EFI_FOLDER))
    return sum(packages.values()) + sum(boot.values()) + twice


def check_size(plan: Plan, lock: Lock, size: int | None = None) -> None:
    """Raise MediumError where the medium, of `size` bytes (None: at least those of its lock), is above `max-size`."""
    wanted = plan.definition.max_size
    there = least_size(lock) if size is None else size
    if wanted is None or there <= size_bytes(wanted):
        return
    about = "at least " if size is None else ""
    packages = sum(package.file.size for package in lock.packages if package.roles)
    raise MediumError(
        f"{plan.iso_name} would have {about}{filesize.decimal(there)}, "
        f"{about}{filesize.decimal(there - size_bytes(wanted))} more than max-size, {wanted}",
        details=[
            f"packages {filesize.decimal(packages)}, all else {about}{filesize.decimal(there - packages)}",
            "what would go, at most, if one of these went:",
            *(cost.line() for cost in can_go(lock)[:MOST]),
        ],
        hint="Take something out of a kickstart's %packages (a group, a name, or -NAME for a package that is in a "
        "group or recommended), or a role out of the definition, or give a larger max-size. "
        f"All that goes with what: isobuilder cost {plan.lock_path}",
    )


def can_go(lock: Lock) -> list["Cost"]:
    """What `isobuilder cost` says of a lock, of that alone which a kickstart can leave out, most bytes first."""
    from isobuilder.resolve.selection import INSTALLER, SCREENS
    from isobuilder.seeing.cost import costs, reasons_of_lock

    stays = {
        name
        for package in lock.packages
        for reason in package.reasons
        if reason in (INSTALLER, SCREENS) or reason.startswith("required by ")
        for name in (package.nevra, reason)
    }
    return [cost for cost in costs(reasons_of_lock(lock)) if cost.name not in stays]
