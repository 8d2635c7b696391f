"""The installation, step by step: python3 -m standin KICKSTART MEDIUM.

Exit status: 0 when a person would be asked, 10 when it failed, 11 to start the machine again, 12 to switch it off.
"""

import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pykickstart.constants import KS_MISSING_IGNORE, KS_REBOOT, KS_SCRIPT_POST, KS_SCRIPT_PREINSTALL, KS_SHUTDOWN

from . import bootloader, network, payload, plan, reading, scripts, settings, storage
from .tools import FailureError, Tools, say_on

ROOT = Path("/mnt/sysroot")
_LOG = Path("/tmp/program.log")
_EFI = Path("/sys/firmware/efi")
_EFI_VARIABLES = _EFI / "efivars"
ASKED, FAILED, RESTART, OFF = 0, 10, 11, 12


def main(kickstart: Path, medium: Path) -> int:
    consoles = Path("/sys/class/tty/console/active").read_text(encoding="ascii").split()
    tools = Tools(say_on(Path("/dev") / name for name in consoles), _LOG)
    step = _Step()
    try:
        return _install(tools, step, kickstart, medium)
    except FailureError as failure:
        cause, said = failure.cause, failure.said
    except Exception as error:  # noqa: BLE001 - whatever it is, the console says so
        cause, said = f"the installer itself broke: {error!r}", traceback.format_exc().splitlines()
    tools.say(f"FAILED {step.name}: {cause}")
    for line in said:
        tools.say(f"  {line}")
    return FAILED


class _Step:
    name = "start"


def _install(tools: Tools, step: _Step, path: Path, medium: Path) -> int:
    os.environ.update(HOME="/root", PATH="/usr/sbin:/usr/bin", TERM="linux")
    uefi = _EFI.is_dir()
    step.name = "kickstart"
    release = reading.release_of(medium)
    syntax = reading.syntax_of(release)
    before = reading.read_pre(path, syntax)
    network.load_drivers(tools)
    network.name_interfaces(tools)
    step.name = "%pre"
    scripts.run_scripts(tools, before, "%pre", Path("/"))
    step.name = "kickstart"
    kickstart = reading.read(path, syntax)
    handler = kickstart.handler
    tools.say(f"kickstart read as {syntax}")
    if questions := _questions(kickstart):
        tools.say(f"the installer would ask here for {' and '.join(questions)}")
        return ASKED
    step.name = "storage"
    layout = plan.make_layout(handler, storage.find_disks(tools), uefi=uefi, memory=_memory())
    for line in _described(layout):
        tools.say(f"storage: {line}")
    storage.make_storage(tools, layout)
    ROOT.mkdir(parents=True, exist_ok=True)
    if uefi:
        tools.attempt(["mount", "-t", "efivarfs", "efivarfs", _EFI_VARIABLES])
    storage.mount(tools, layout, ROOT)
    Path("/mnt/sysimage").symlink_to(ROOT)
    step.name = "%pre-install"
    scripts.run_scripts(tools, _of_kind(kickstart, KS_SCRIPT_PREINSTALL), "%pre-install", ROOT)
    step.name = "packages"
    _install_packages(tools, handler, layout, (medium, release), uefi=uefi)
    storage.write_fstab(tools, layout, ROOT)
    step.name = "settings"
    for name, apply in settings.SETTINGS.items():
        if name in kickstart.commands:
            apply(handler, tools, ROOT)
    tools.say("settings: done")
    step.name = "boot loader"
    append = handler.bootloader.appendLine or ""
    bootloader.install_loader(tools, layout, ROOT, append, uefi=uefi)
    tools.say(f"boot loader: installed for {'UEFI' if uefi else 'BIOS'}")
    step.name = "%post"
    scripts.run_scripts(tools, _of_kind(kickstart, KS_SCRIPT_POST), "%post", ROOT)
    step.name = "end"
    _keep_logs(path)
    storage.unmount(tools, ROOT)
    tools.say("installed")
    return _what_next(tools, handler.reboot.action if {"reboot", "poweroff", "shutdown"} & kickstart.commands else None)


def _questions(kickstart: reading.Kickstart) -> list[str]:
    asked = [] if plan.is_asked_for(kickstart.commands) else ["disks"]
    has_account = "rootpw" in kickstart.commands or any(
        "wheel" in user.groups for user in kickstart.handler.user.userList
    )
    return asked if has_account else [*asked, "the root password"]


def _described(layout: plan.Layout) -> Iterator[str]:
    for disk, table in layout.tables.items():
        yield f"{disk} gets a partition table, {table}"
    for one in (*layout.partitions, *layout.logical):
        yield f"{one.device} {one.kind} {one.size} MiB {one.mountpoint}".rstrip()


def _install_packages(tools: Tools, handler: Any, layout: plan.Layout, source: tuple[Path, str], *, uefi: bool) -> None:
    medium, release = source
    packages = handler.packages
    asked, excluded = payload.wanted(packages)
    asked += [*bootloader.packages_for(uefi=uefi), *storage.packages_for(layout)]
    if handler.timezone.timezone and not handler.timezone.nontp:
        asked.append("chrony")
    count = payload.install(
        tools,
        ROOT,
        medium,
        release,
        asked,
        excluded,
        weak=not packages.excludeWeakdeps,
        docs=not packages.excludeDocs,
        strict=packages.handleMissing != KS_MISSING_IGNORE,
    )
    tools.say(f"packages: all {count} installed")


def _of_kind(kickstart: reading.Kickstart, kind: int) -> list[Any]:
    return [script for script in kickstart.scripts if script.type == kind]


def _keep_logs(kickstart: Path) -> None:
    """As Anaconda: its logs, and the kickstart that it read, which only root reads."""
    folder = ROOT / "var/log/anaconda"
    folder.mkdir(parents=True, exist_ok=True)
    for log in sorted([*Path("/tmp").glob("*.log"), *(ROOT / "tmp").glob("ks-script-*.log")]):
        shutil.copyfile(log, folder / log.name)
        (folder / log.name).chmod(0o600)
    for name in ("anaconda-ks.cfg", "original-ks.cfg"):
        shutil.copyfile(kickstart, ROOT / "root" / name)
        (ROOT / "root" / name).chmod(0o600)


def _what_next(tools: Tools, action: int | None) -> int:
    if action == KS_REBOOT:
        tools.say("restarting")
        return RESTART
    if action == KS_SHUTDOWN:
        tools.say("switching off")
        return OFF
    # Anaconda would wait for a person to press a key here.
    return ASKED


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
