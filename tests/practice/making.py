"""Making the practice mirror: the parts in their order, from an empty folder to three signed repositories."""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from productmd.treeinfo import TreeInfo, Variant

from tests.practice import centos, cloud, host, installer, loaders, own, packages
from tests.practice.rpms import Rpm, build_rpms
from tests.practice.signing import Signer, new_signer

KEY_NAME = Path(own.KEY_FILE).name
_COMPS = Path(__file__).with_name("comps.xml")
_IMAGES = {"kernel": "images/pxeboot/vmlinuz", "initrd": "images/pxeboot/initrd.img"}
_STAGE2 = "images/install.img"
_BOOT_ISO = "images/boot.iso"

# Told the name of each part as it begins.
Listener = Callable[[str], None]


def unheard(part: str) -> None:
    """Nobody listens."""


def make_mirror(mirror: Path, listener: Listener = unheard) -> None:
    """Make the mirror in the empty folder `mirror`. Raises HostError without root, or a package of the host."""
    host.installed_versions(host.required_packages())
    with tempfile.TemporaryDirectory(dir=mirror, prefix="work-") as work, new_signer() as signer:
        _make(mirror, Path(work), signer, listener)


def _make(mirror: Path, work: Path, signer: Signer, listener: Listener) -> None:
    listener("system out of Debian packages")
    tree, os_tree = work / "system", mirror / "os"
    extras, eucalyptus = mirror / "extras", mirror / "eucalyptus"
    host.make_tree(tree, host.PAYLOAD, host.PAYLOAD_HOOKS)
    centos.rename(tree)
    centos.set_rpm_database(tree)
    # One date for everything that is made: it changes when the kernel does.
    epoch = int(_kernel(tree).stat().st_mtime)
    listener("installer's system")
    stage2 = work / "stage2"
    host.make_tree(stage2, host.INSTALLER)
    listener("packages")
    own_tree = _folder(work / "own")
    own.write_files(own_tree, signer.public_key)
    cloud.write_files(own_tree)
    _rpms([*packages.split(tree), own.GRUB], tree, os_tree, work, epoch)
    _rpms(own.BASE, own_tree, os_tree, work, epoch)
    _rpms(own.EXTRAS, own_tree, extras, work, epoch)
    _rpms(own.OLD_EXTRAS, own_tree, extras, work, epoch)
    _rpms(cloud.EUCALYPTUS, own_tree, eucalyptus, work, epoch)
    listener("signatures")
    signer.sign_rpms(rpm for folder in (os_tree, extras, eucalyptus) for rpm in sorted(folder.rglob("*.rpm")))
    listener("installer and boot loaders")
    (os_tree / "images/pxeboot").mkdir(parents=True)
    shutil.copyfile(_kernel(tree), os_tree / _IMAGES["kernel"])
    installer.make_initrd(tree, os_tree / _IMAGES["initrd"], _folder(work / "initrd"))
    centos.set_rpm_database(stage2)
    installer.add_standin(stage2, tree)
    installer.make_stage2(os_tree / _STAGE2, stage2, epoch)
    loaders.add_isolinux(os_tree)
    loaders.add_shim_and_grub(os_tree)
    loaders.make_boot_iso(tree, os_tree / _BOOT_ISO, _folder(work / "boot-iso"), epoch)
    listener("repositories")
    (os_tree / KEY_NAME).write_text(signer.public_key, encoding="ascii")
    (mirror / "fingerprint").write_text(f"{signer.fingerprint}\n", encoding="ascii")
    _createrepo(os_tree, epoch, ("--groupfile", _COMPS))
    _createrepo(extras, epoch)
    _createrepo(eucalyptus, epoch)
    signer.sign_detached(os_tree / "repodata/repomd.xml")
    (os_tree / ".discinfo").write_text(f"{epoch}.000000\nPractice Linux 9\nx86_64\nALL\n", encoding="ascii")
    _treeinfo(os_tree, epoch)


def _rpms(rpms: Iterable[Rpm], tree: Path, repository: Path, work: Path, epoch: int) -> None:
    folder = repository / "Packages"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as scratch, tempfile.TemporaryDirectory(dir=work) as output:
        build_rpms(rpms, tree, Path(output), Path(scratch), epoch)
        for rpm in Path(output).iterdir():
            rpm.rename(folder / rpm.name)


def _createrepo(repository: Path, epoch: int, options: Sequence[str | Path] = ()) -> None:
    program = Path(sys.executable).with_name("createrepo_c")
    dated = ("--revision", str(epoch), "--set-timestamp-to-revision")
    host.run([program, "--quiet", "--general-compress-type=gz", *dated, *options, repository])


def _treeinfo(os_tree: Path, epoch: int) -> None:
    treeinfo = TreeInfo()
    treeinfo.release.name, treeinfo.release.short, treeinfo.release.version = "Practice Linux", "Practice", "9"
    treeinfo.tree.arch, treeinfo.tree.build_timestamp = "x86_64", epoch
    treeinfo.tree.platforms.update(("x86_64", "xen"))
    variant = Variant(treeinfo)
    variant.id = variant.uid = variant.name = "BaseOS"
    variant.type = "variant"
    variant.paths.packages, variant.paths.repository = "Packages", "."
    treeinfo.variants.add(variant)
    treeinfo.images.images = {"x86_64": {**_IMAGES, "boot.iso": _BOOT_ISO}, "xen": dict(_IMAGES)}
    treeinfo.stage2.mainimage = _STAGE2
    for path in (*_IMAGES.values(), _STAGE2, _BOOT_ISO, "repodata/repomd.xml"):
        treeinfo.checksums.checksums[path] = ("sha256", hashlib.sha256((os_tree / path).read_bytes()).hexdigest())
    treeinfo.dump(str(os_tree / ".treeinfo"))


def _kernel(tree: Path) -> Path:
    return tree / "boot" / f"vmlinuz-{installer.kernel_version(tree)}"


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
