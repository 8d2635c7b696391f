"""GRUB of the installed system, for the firmware that the installer was started by."""

import re
from pathlib import Path

from .plan import Layout
from .storage import uuid_of
from .tools import FailureError, Tools

_FOLDER = "EFI/practice"
_SERIAL = re.compile(r"console=ttyS(\d)(?:,(\d+))?")
_TIMEOUT = 1


def packages_for(*, uefi: bool) -> list[str]:
    names = ["grub2-efi-x64", "shim-x64", "efibootmgr"] if uefi else ["grub2-pc"]
    return ["grub2-tools", "kernel", *names]


def install_loader(tools: Tools, layout: Layout, root: Path, append: str, *, uefi: bool) -> None:
    """Write GRUB's menu, and put GRUB where the firmware looks for it."""
    boot = layout.at("/boot") or layout.at("/")
    slash = layout.at("/")
    if boot is None or slash is None:
        raise FailureError("nothing is mounted at /")
    folder = root / "boot/grub"
    folder.mkdir(parents=True, exist_ok=True)
    uuid = uuid_of(tools, boot.device)
    inside = "" if layout.at("/boot") else "/boot"
    text = menu(root / "boot", uuid, inside, _source(tools, layout), append)
    (folder / "grub.cfg").write_text(text, encoding="utf-8")
    if uefi:
        _install_uefi(tools, layout, root, uuid, inside)
    else:
        disk = f"/dev/{boot.disk or layout.partitions[0].disk}"
        tools.run("chroot", root, "grub-install", "--target=i386-pc", "--no-floppy", disk)


def _source(tools: Tools, layout: Layout) -> str:
    slash = layout.at("/")
    if slash is None:
        raise FailureError("nothing is mounted at /")
    return slash.device if slash.group else f"UUID={uuid_of(tools, slash.device)}"


def menu(boot: Path, uuid: str, inside: str, source: str, append: str) -> str:
    """GRUB's menu for the kernels in the folder `boot`, which GRUB finds in `inside` of the file system `uuid`.

    `source` is the root that the kernel is told, `append` what else it is; GRUB itself talks to the serial port there.
    """
    kernels = sorted(path.name.removeprefix("vmlinuz-") for path in boot.glob("vmlinuz-*"))
    if not kernels:
        raise FailureError("no package has put a kernel into /boot")
    lines = ["# Written by the installer."]
    if serial := _SERIAL.search(append):
        lines += [
            f"serial --unit={serial[1]} --speed={serial[2] or 9600}",
            "terminal_input serial console",
            "terminal_output serial console",
        ]
    lines += [f"set timeout={_TIMEOUT}", f"search --no-floppy --fs-uuid --set=root {uuid}"]
    for version in reversed(kernels):
        lines += [
            f"menuentry 'Practice Linux ({version})' {{",
            f"    linux {inside}/vmlinuz-{version} root={source} ro {append}".rstrip(),
            f"    initrd {inside}/initrd.img-{version}",
            "}",
        ]
    return "\n".join(lines) + "\n"


def _install_uefi(tools: Tools, layout: Layout, root: Path, uuid: str, inside: str) -> None:
    esp = layout.at("/boot/efi")
    if esp is None:
        raise FailureError("nothing is mounted at /boot/efi")
    folder = root / "boot/efi" / _FOLDER
    missing = [name for name in ("shimx64.efi", "grubx64.efi") if not (folder / name).is_file()]
    if missing:
        raise FailureError(f"no package has put {missing[0]} into /boot/efi/{_FOLDER}")
    lines = [f"search --no-floppy --fs-uuid --set=root {uuid}", f"configfile ($root){inside}/grub/grub.cfg"]
    (folder / "grub.cfg").write_text("\n".join(lines) + "\n", encoding="utf-8")
    loader = "\\" + _FOLDER.replace("/", "\\") + "\\shimx64.efi"
    place = ("--disk", f"/dev/{esp.disk}", "--part", str(esp.number))
    tools.run(
        "chroot", root, "efibootmgr", "--quiet", "--create", *place, "--label", "Practice Linux", "--loader", loader
    )
