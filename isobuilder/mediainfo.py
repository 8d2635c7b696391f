"""The small files by which an installer knows a medium as its own: .treeinfo, .discinfo, media.repo."""

import configparser
import io
from collections.abc import Mapping

import productmd.discinfo
import productmd.treeinfo

from isobuilder.releases import Boot, Release


def treeinfo(release: Release, boot: Boot, arch: str, *, epoch: int, checksums: Mapping[str, str]) -> bytes:
    """A description of the tree, whose repository is the medium's root; `checksums` maps a path to its sha256.

    With a variant it is productmd 1.2, and the [general] section that older installers read is productmd's doing.
    Without one it is what CentOS 6 and 7 have, which productmd reads and does not write.
    """
    if release.variant is None:
        return _plain_treeinfo(release, boot, arch, epoch=epoch, checksums=checksums)
    info = productmd.treeinfo.TreeInfo()
    info.header.version = "1.2"
    info.release.name, info.release.short, info.release.version = release.family, release.short, release.version
    info.tree.arch, info.tree.build_timestamp = arch, epoch
    info.tree.platforms.add(arch)
    variant = productmd.treeinfo.Variant(info)
    variant.id = variant.uid = variant.name = release.variant
    variant.type = "variant"
    variant.paths.packages, variant.paths.repository = "Packages", "."
    info.variants.add(variant)
    info.images.images[arch] = {"kernel": boot.kernel, "initrd": boot.initrd}
    info.stage2.mainimage = boot.stage2
    info.media.discnum, info.media.totaldiscs = 1, 1
    for path, sha256 in sorted(checksums.items()):
        info.checksums.add(path, "sha256", sha256)
    text: str = info.dumps()
    return text.encode()


def _plain_treeinfo(release: Release, boot: Boot, arch: str, *, epoch: int, checksums: Mapping[str, str]) -> bytes:
    info = configparser.ConfigParser(interpolation=None)
    # Paths are keys here, and keep their case.
    info.optionxform = str  # type: ignore[assignment,method-assign]
    info["general"] = {
        "name": f"{release.family}-{release.version}",
        "family": release.family,
        "timestamp": f"{float(epoch)}",
        "variant": "",
        "version": release.version,
        "packagedir": "",
        "arch": arch,
        "discnum": "1",
        "totaldiscs": "1",
    }
    info["stage2"] = {"mainimage": boot.stage2}
    for platform in (arch, "xen"):
        info[f"images-{platform}"] = {"kernel": boot.kernel, "initrd": boot.initrd}
    info["checksums"] = {path: f"sha256:{sha256}" for path, sha256 in sorted(checksums.items())}
    text = io.StringIO()
    info.write(text)
    return text.getvalue().encode()


def discinfo(release: Release, arch: str, *, epoch: int) -> bytes:
    """Four lines; the third must be the installer's architecture, or it does not take the disc for its own."""
    info = productmd.discinfo.DiscInfo()
    info.timestamp, info.description, info.arch = float(epoch), release.title, arch
    info.disc_numbers = ["ALL"]
    text: str = info.dumps()
    return f"{text}\n".encode()


def media_repo(release: Release, *, epoch: int) -> bytes:
    """The repository file for the medium, as stock media carry it; the id is the timestamp of .discinfo.

    Signatures are checked: everything on the medium that has one was checked when it was made.
    """
    lines = [
        "[InstallMedia]",
        f"name={release.title}",
        f"mediaid={float(epoch)}",
        "metadata_expire=-1",
        "gpgcheck=1",
        "cost=500",
    ]
    return ("\n".join(lines) + "\n").encode()
