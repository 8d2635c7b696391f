"""Menus to test with: kinds of releases, made up for what their loaders are, and roles of every kind."""

from typing import Any

from isobuilder.blueprint import Blueprint
from isobuilder.bootmenu.entries import Menu, make_menu
from isobuilder.bootmenu.render import menu_files
from isobuilder.definition import Definition, Group
from isobuilder.kickstart.rendering import Kickstart
from isobuilder.kickstart.request import PackageRequest
from isobuilder.releases import Release

VOLUME_ID = "CAMPUS-CENTER"
OLD_ARGUMENTS = {"kickstart": "ks=hd:LABEL={label}:{path}", "rescue": "rescue", "check": "mediacheck"}
ARGUMENTS = {
    "stage2": "inst.stage2=hd:LABEL={label}",
    "kickstart": "inst.ks=hd:LABEL={label}:{path}",
    "rescue": "inst.rescue",
    "check": "rd.live.check",
}
ISOLINUX = {
    "loader": "isolinux",
    "image": "isolinux/isolinux.bin",
    "files": ["isolinux/isolinux.bin", "isolinux/vesamenu.c32"],
    "mbr": {"package": "syslinux", "file": "/usr/share/syslinux/isohdpfx.bin"},
}
CHAINING = ISOLINUX | {"chain": {"package": "syslinux", "file": "/usr/share/syslinux/chain.c32"}}
GRUB_BIOS = {
    "loader": "grub",
    "image": "images/eltorito.img",
    "files": ["images/eltorito.img", "boot/grub2/i386-pc/"],
    "inside": "images/boot.iso",
    "mbr": {"package": "grub2-pc-modules", "file": "/usr/lib/grub/i386-pc/boot_hybrid.img"},
}
GRUB_EFI = {
    "files": ["EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/grubx64.efi", "EFI/BOOT/fonts/unicode.pf2"],
    "linux": "linuxefi",
    "initrd": "initrdefi",
    "local-loaders": ["/EFI/centos/shimx64.efi", "/EFI/centos/grubx64.efi"],
}
LEGACY_EFI = {"loader": "grub-legacy", "files": ["EFI/BOOT/BOOTX64.efi"], "local-loaders": ["/EFI/redhat/grub.efi"]}
ARM_EFI = {
    "files": ["EFI/BOOT/BOOTAA64.EFI", "EFI/BOOT/grubaa64.efi", "EFI/BOOT/fonts/unicode.pf2"],
    "local-loaders": ["/EFI/centos/shimaa64.efi", "/EFI/centos/grubaa64.efi"],
}
# How the loaders of a release go together, by a name: its architecture, kernel arguments and loaders.
KINDS: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "isolinux-legacy": ("x86_64", OLD_ARGUMENTS, {"bios": ISOLINUX, "efi": LEGACY_EFI}),
    "isolinux-grub": ("x86_64", ARGUMENTS, {"bios": ISOLINUX, "efi": GRUB_EFI}),
    "grub-grub": ("x86_64", ARGUMENTS, {"bios": GRUB_BIOS, "efi": GRUB_EFI}),
    "chain-grub": ("x86_64", ARGUMENTS, {"bios": CHAINING, "efi": GRUB_EFI}),
    "aarch64": ("aarch64", ARGUMENTS, {"efi": ARM_EFI}),
}


def role(name: str, title: str, *, group: Group = "other", **more: Any) -> Kickstart:
    request = PackageRequest(packages=(), groups=(), environment=None, excluded_packages=(), excluded_groups=())
    fields: dict[str, Any] = {"menu": True, "path": f"ks/{name}.cfg", "text": "", "request": request}
    return Kickstart(role=name, title=title, group=group, **(fields | more))


ROLES = (
    role("minimal", "Install a minimal system"),
    role("image", "Machine image", menu=False),
    role("rack-node", "Install a rack node", chooses_disks=True),
)
CLOUD = (
    role("nc", "Install a node controller", group="several", chooses_disks=True, disk="model X, 100GB to 2TB"),
    role("frontend", "Install the front end", group="several"),
    role("ciab", "Install a cloud in a box", group="one"),
    *ROLES,
)


def blueprint(kind: str = "isolinux-grub", **tables: Any) -> Blueprint:
    """What a medium of a made-up release is made from; `tables` are those of its definition."""
    arch, arguments, loaders = KINDS[kind]
    boot = {"kernel": "images/pxeboot/vmlinuz", "initrd": "images/pxeboot/initrd.img", "stage2": "images/install.img"}
    release = {
        "id": "center",
        "title": "Center 9",
        "family": "Center",
        "short": "Center",
        "version": "9",
        "kickstart": {"syntax": "RHEL9"},
        "kernel-arguments": arguments,
        "arch": {arch: {"tree": "https://center.example/os/", "always": ["kernel"], "boot": boot | loaders}},
    }
    definition = {"version": 1, "name": "campus", "release": "center.toml", "arch": arch} | tables
    return Blueprint(Definition.model_validate(definition), Release.model_validate(release), None)


def menu(*roles: Kickstart, kind: str = "isolinux-grub", **tables: Any) -> Menu:
    return make_menu(roles or ROLES, blueprint(kind, **tables))


def menu_texts(*roles: Kickstart, kind: str = "isolinux-grub", **tables: Any) -> dict[str, str]:
    """The texts that a medium has as its menus, by path."""
    made = blueprint(kind, **tables)
    files = menu_files(make_menu(roles or ROLES, made), made)
    return {path: data.decode() for path, data in files.items() if not path.endswith(".png")}


def menus(*roles: Kickstart, **tables: Any) -> tuple[str, str]:
    """isolinux.cfg and the grub.cfg of UEFI."""
    texts = menu_texts(*roles, **tables)
    return texts["isolinux/isolinux.cfg"], texts["EFI/BOOT/grub.cfg"]
