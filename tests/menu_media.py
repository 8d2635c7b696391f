"""Changes to good media that break or alter their menus, and what the check then says."""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from isobuilder.verify.description import describe
from isobuilder.verify.medium import open_medium
from isobuilder.verify.menus import Menus, check_menus
from tests.esp_files import MtoolsEsp

ISOLINUX = "isolinux/isolinux.cfg"
GRUB = "EFI/BOOT/grub.cfg"
INSIDE = "EFI/BOOT/grub.cfg in the EFI image"
BIOS = "boot/grub2/grub.cfg"
ERASING = "zerombr\nclearpart --all --initlabel\nautopart\n"

Change = Callable[[Path], None]


def checked(iso: Path, esp: Path | None, limits: Mapping[str, int] | None = None) -> Menus:
    with open_medium(iso) as medium:
        return check_menus(medium, describe(medium, frozenset({""})), MtoolsEsp(esp) if esp else None, limits or {})


def seen(menus: Menus) -> list[tuple[str, str]]:
    return [(finding.kind.id, finding.place) for finding in menus.findings]


def edit(path: str, old: str, new: str, count: int = -1) -> Change:
    """Replace text in a file of the tree; one that is missing there is a mistake of the test."""

    def change(tree: Path) -> None:
        text = (tree / path).read_text()
        assert old in text
        (tree / path).write_text(text.replace(old, new, count))

    return change


def remove(*paths: str) -> Change:
    def change(tree: Path) -> None:
        for path in paths:
            (tree / path).unlink()

    return change


def write(path: str, text: str | bytes) -> Change:
    def change(tree: Path) -> None:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(text if isinstance(text, bytes) else text.encode())

    return change


def to_esp(tree: Path) -> None:
    """Copy GRUB's menu of the tree into the EFI image, as whoever changes one should."""
    image = tree.with_name(f"{tree.name}.esp")
    subprocess.run(["mcopy", "-o", "-i", image, tree / GRUB, f"::/{GRUB}"], check=True, timeout=60)
    if (tree / "images/efiboot.img").exists():
        (tree / "images/efiboot.img").unlink()
        shutil.copyfile(image, tree / "images/efiboot.img")


def remove_inside(tree: Path) -> None:
    """Take GRUB's menu out of the EFI image."""
    image = tree.with_name(f"{tree.name}.esp")
    subprocess.run(["mdel", "-i", image, f"::/{GRUB}"], check=True, timeout=60)
    (tree / "images/efiboot.img").write_bytes(image.read_bytes())


def only_esp(change: Change) -> Change:
    """Make a change to GRUB's menu in the EFI image alone."""

    def both(tree: Path) -> None:
        kept = (tree / GRUB).read_bytes()
        change(tree)
        to_esp(tree)
        (tree / GRUB).write_bytes(kept)

    return both


def every(*changes: Change) -> Change:
    def change(tree: Path) -> None:
        for one in changes:
            one(tree)

    return change


def grub(old: str, new: str, count: int = -1) -> Change:
    """A change to GRUB's menu for UEFI, in the tree and in the EFI image."""
    return every(edit(GRUB, old, new, count), to_esp)


def everywhere(old: str, new: str, count: int = -1) -> Change:
    return every(edit(ISOLINUX, old, new, count), grub(old, new, count))


def appended(path: str, text: str) -> Change:
    def change(tree: Path) -> None:
        with (tree / path).open("a") as file:
            file.write(text)

    return change


def drop_last_entry(path: Path) -> None:
    text = path.read_text()
    path.write_text(text[: text.rindex("menuentry")])


def rack_by_default() -> Change:
    """Let the kickstart's entry start by itself in every menu."""
    return every(
        edit(ISOLINUX, "  menu default\n", ""),
        edit(ISOLINUX, "label entry4\n", "label entry4\n  menu default\n"),
        grub('default="1"', 'default="3"'),
    )
