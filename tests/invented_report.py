"""Reports of media that nobody has made: as many packages as wanted, called as unpleasantly as wanted."""

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from isobuilder.manifest import ManifestBeside
from isobuilder.progress import Timing
from isobuilder.resolve.solve import Needs
from isobuilder.seeing.difference import Change, Difference
from isobuilder.seeing.facts import Entry, Held, Kickstart, MediumFacts, MenuLine, Role, ShownMenu
from isobuilder.seeing.picture import Picture
from isobuilder.seeing.report import Compared, Report
from isobuilder.verify.finding import Kind
from isobuilder.verify.repositories import Listing
from isobuilder.verify.verdict import Verdict

KEYS = ("24C6A8A7F4A80EB5", "99DB70FAE1D7CE22", "05B555B38483C65D")
ROLES = ("nc", "frontend", "ciab", "minimal", "rack-node")
WORDS = ("lib", "python3", "perl", "devel", "common", "tools", "core", "utils", "cloud", "data")
LICENSES = ("GPL-2.0-or-later", "MIT", "LGPL-2.1-or-later AND MIT", "BSD-3-Clause", "Apache-2.0", "Zlib")
ODD = Kind("invented", "warning", "something is odd", "Look at it.")


def png(width: int, height: int) -> bytes:
    """A picture of one dark colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\x10\x23\x3a" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def invented(packages: int = 1000, *, named: Callable[[str], str] = str, changes: int = 300) -> Report:
    """A report with everything in it; `named` has the last word on each name, title and text."""
    chance = random.Random(packages)
    held = tuple(_held(number, chance, named) for number in range(packages))
    found = _facts(held, named)
    what = [
        Change("package", named(f"package-{n}.x86_64"), "upgraded", "0:1-1", "0:2-1", ROLES) for n in range(changes)
    ]
    what += [Change("kickstart", "ks/nc.cfg", "added", new=named("firewall --enabled"))]
    # Long words, which no browser breaks by itself.
    what += [Change("package", "package-0.x86_64 bytes", "changed", f"sha256 {'a' * 64}", f"sha256 {'b' * 64}", ROLES)]
    findings = tuple(ODD.at(named(f"Packages/{n}.rpm"), named("it is odd")) for n in range(5))
    return Report(
        found=found,
        verdict=Verdict(found.path, found.size, found.said, findings, ((ODD, 3),)),
        manifest=_manifest(held),
        sha256="ab" * 32,
        pictures={"bios": Picture("bios", png(640, 480), "tcg"), "uefi": named("there is no firmware")},
        compared=Compared(named("campus-cloud-9-stream-x86_64.iso"), Difference(tuple(what), 10**9, 11 * 10**8)),
        timings=(Timing("Lock", 12.5), Timing("Writing", 3.25, 10**9)),
        seconds=20.0,
        checksums="Checksums were made as the image was written.",
        notes=(named("a note"),),
    )


def _held(number: int, chance: random.Random, named: Callable[[str], str]) -> Held:
    name = named(f"{'-'.join(chance.sample(WORDS, 2))}-{number}")
    digest = f"sha256 {number:064x}"
    size = int(chance.paretovariate(0.9) * 20_000) % 400_000_000
    words = (named(chance.choice(LICENSES)), named(f"A summary of some length for package {number}"))
    listing = Listing(name, f"0:{number}.1-{number % 9}.el9", "x86_64", f"Packages/{number}.rpm", size, digest, *words)
    return Held(listing, "the medium", chance.choice([ROLES, ROLES, ROLES, ("nc", "ciab"), ("frontend",), ()]))


def _facts(held: tuple[Held, ...], named: Callable[[str], str]) -> MediumFacts:
    titles = [named(f"Install {role}") for role in ROLES]
    behind = named("Use the serial console")
    lines = (
        *(MenuLine(title, (), is_list=False, is_marked=False) for title in titles),
        MenuLine(named("Boot from the local disk"), (), is_list=False, is_marked=True),
        MenuLine(behind, (), is_list=True, is_marked=False),
        *(MenuLine(title, (behind,), is_list=False, is_marked=False) for title in titles),
    )
    entries = tuple(
        Entry("isolinux/isolinux.cfg", title, (), "images/pxeboot/vmlinuz", (), named(f"inst.ks=/ks/{role}.cfg"),
              f"ks/{role}.cfg", default=False) for role, title in zip(ROLES, titles, strict=True)
    )  # fmt: skip
    said = {"is": (named("CentOS Stream 9 x86_64"),), "starts": ("BIOS from CD", "UEFI x86_64 from CD"),
            "signed": (named("images/efiboot.img: shim"),)}  # fmt: skip
    nevras = [each.listing.nevra for each in held]
    needs = {"nc": Needs({named("group core"): frozenset(nevras[:3])}, {nevras[0]: frozenset(nevras[3:9])})}
    return MediumFacts(
        path=Path("campus-cloud-9-stream-x86_64.iso"),
        size=sum(each.listing.size for each in held) + 10**9,
        said=said,
        release="CentOS Stream",
        version="9",
        arch="x86_64",
        label=named("CAMPUS"),
        made=named("ISOBUILDER, 2026-11-16"),
        starts=("BIOS from CD",),
        repositories=("the medium",),
        packages=held,
        roles=tuple(
            Role(role, title, f"ks/{role}.cfg", is_resolved=True) for role, title in zip(ROLES, titles, strict=True)
        ),
        entries=entries,
        defaults={},
        kickstarts=tuple(Kickstart(f"ks/{role}.cfg", "", "") for role in ROLES),
        needs=needs,
        findings=(),
        is_listed=True,
        menus=(
            ShownMenu("isolinux/isolinux.cfg", "bios", lines, 60),
            ShownMenu("EFI/BOOT/grub.cfg in the EFI image", "uefi", lines, 60),
            ShownMenu("EFI/BOOT/grub.cfg", "uefi", lines, 60),
        ),
        others={"images/install.img": 9 * 10**8, named("images/pxeboot/initrd.img"): 9 * 10**7, ".treeinfo": 900},
    )


def _manifest(held: tuple[Held, ...]) -> ManifestBeside:
    packages = [
        {
            "nevra": f"p{number}-0:1-1.x86_64",
            "path": each.listing.path,
            "sha256": f"{number:064x}",
            "size": each.listing.size,
            "repository": ("baseos", "appstream", "extras")[number % 3 if number % 2 else 0],
            "signature": {
                "fingerprint": 24 * "0" + KEYS[number % 3],
                "key": "",
                "algorithm": "rsa",
                "digest": "sha256",
            },
        }
        for number, each in enumerate(held)
    ]
    return ManifestBeside.model_validate(
        {
            "version": 1,
            "release": "9-stream",
            "epoch": 0,
            "name": "campus-cloud",
            "arch": "x86_64",
            "volume-id": "CAMPUS",
            "iso": {
                "file": "campus-cloud-9-stream-x86_64.iso",
                "size": 1,
                "sha256": "ab" * 32,
                "media-checksum-md5": "ef" * 16,
            },
            "lock": {"sha256": "cd" * 32},
            "made-with": {"isobuilder": "0.1.0"},
            "repositories": tuple(
                {"id": name, "trust": "signed", "repomd-sha256": None, "repomd-signer": None}
                for name in ("baseos", "appstream", "extras")
            ),
            "packages": tuple(packages),
            "boot": (),
            "other-files": {},
        }
    )
