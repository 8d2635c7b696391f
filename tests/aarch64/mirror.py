"""The mirror for aarch64: a signed repository of empty packages, a tree that boots, a definition that names them."""

import hashlib
import shutil
import string
import sys
from pathlib import Path

from productmd.treeinfo import TreeInfo, Variant

from tests.practice import installer, loaders
from tests.practice.host import run
from tests.practice.mirror import DEMO
from tests.practice.rpms import Rpm, build_rpms
from tests.practice.signing import new_signer

KEY_NAME = "RPM-GPG-KEY-practice"
PACKAGES = (
    *(Rpm(name, "1", "Nothing", arch="aarch64") for name in ("kernel", "grub2-efi-aa64", "shim-aa64", "rack-tools")),
    Rpm("basesystem", "1", "Nothing", arch="noarch"),
)
_SIGNED_EFI = {
    "BOOTAA64.EFI": "usr/lib/shim/shimaa64.efi.signed",
    "grubaa64.efi": "usr/lib/grub/arm64-efi-signed/gcdaa64.efi.signed",
}
_KERNEL = "images/pxeboot/vmlinuz"
_INITRD = "images/pxeboot/initrd.img"
_STAGE2 = "images/install.img"
_COMPS = """\
<comps><group><id>core</id><name>Core</name>
<packagelist><packagereq type="mandatory">basesystem</packagereq></packagelist></group></comps>
"""
_ARCH = """\
[arch.aarch64]
tree = "$base_url/os/"
always = ["kernel", "grub2-efi-aa64", "shim-aa64"]

[arch.aarch64.boot]
kernel = "images/pxeboot/vmlinuz"
initrd = "images/pxeboot/initrd.img"
stage2 = "images/install.img"

[arch.aarch64.boot.efi]
files = ["EFI/BOOT/BOOTAA64.EFI", "EFI/BOOT/grubaa64.efi", "EFI/BOOT/fonts/unicode.pf2"]
linux = "linux"
initrd = "initrd"
local-loaders = ["/EFI/practice/shimaa64.efi", "/EFI/practice/grubaa64.efi"]
"""
_DEFINITION = """\
version = 1
name    = "arm"
release = "practice.toml"
arch    = "aarch64"

[install]
console = "ttyAMA0"

[menu]
title = "Practice for aarch64"

[role.rack-node]
kickstart = "rack-node.ks.j2"
title     = "Install a rack node"
"""
_RACK_NODE = """\
{% extends "base.ks.j2" %}
{% block packages %}
@core
rack-tools
{% endblock %}
"""


def make_mirror(system: Path, mirror: Path, scratch: Path) -> None:
    """Make the mirror in the empty folder `mirror`, out of `system`; `scratch` is an empty folder to work in."""
    os_tree = mirror / "os"
    work = {name: scratch / name for name in ("empty", "initrd", "rpms", "stage2")}
    for folder in (os_tree / "images/pxeboot", os_tree / "Packages", *work.values()):
        folder.mkdir(parents=True)
    kernel = system / "boot" / f"vmlinuz-{installer.kernel_version(system)}"
    epoch = int(kernel.stat().st_mtime)
    busybox = system / "bin/busybox"
    shutil.copyfile(kernel, os_tree / _KERNEL)
    installer.make_initrd(system, os_tree / _INITRD, work["initrd"], busybox)
    installer.make_stage2(os_tree / _STAGE2, work["stage2"], epoch, busybox=busybox)
    loaders.add_shim_and_grub(os_tree, {name: system / path for name, path in _SIGNED_EFI.items()})
    build_rpms(PACKAGES, work["empty"], os_tree / "Packages", work["rpms"], epoch, arch="aarch64")
    (scratch / "comps.xml").write_text(_COMPS, encoding="utf-8")
    with new_signer() as signer:
        signer.sign_rpms(sorted((os_tree / "Packages").iterdir()))
        program = Path(sys.executable).with_name("createrepo_c")
        run([program, "--quiet", "--revision", str(epoch), "--groupfile", scratch / "comps.xml", os_tree])
        signer.sign_detached(os_tree / "repodata/repomd.xml")
        (os_tree / KEY_NAME).write_text(signer.public_key, encoding="ascii")
        (mirror / "fingerprint").write_text(f"{signer.fingerprint}\n", encoding="ascii")
    _write_treeinfo(os_tree, epoch)


def write_definition(folder: Path, base_url: str, mirror: Path) -> None:
    """Write a definition for the mirror, which is served at `base_url`, with its release file and a role."""
    facts = {"base_url": base_url, "fingerprint": (mirror / "fingerprint").read_text(encoding="ascii").strip()}
    # The demo's release but for its second repository and its architecture.
    release = (DEMO / "practice.toml").read_text(encoding="utf-8")
    before, _, after = release.partition('[[repository]]\nid = "extras"')
    assert after
    (folder / "practice.toml").write_text(string.Template(before + _ARCH).substitute(facts), encoding="utf-8")
    (folder / "media.toml").write_text(_DEFINITION, encoding="utf-8")
    (folder / "rack-node.ks.j2").write_text(_RACK_NODE, encoding="utf-8")


def _write_treeinfo(os_tree: Path, epoch: int) -> None:
    treeinfo = TreeInfo()
    treeinfo.release.name, treeinfo.release.short, treeinfo.release.version = "Practice Linux", "Practice", "9"
    treeinfo.tree.arch, treeinfo.tree.build_timestamp = "aarch64", epoch
    treeinfo.tree.platforms.add("aarch64")
    variant = Variant(treeinfo)
    variant.id = variant.uid = variant.name = "BaseOS"
    variant.type = "variant"
    variant.paths.packages, variant.paths.repository = "Packages", "."
    treeinfo.variants.add(variant)
    treeinfo.images.images = {"aarch64": {"kernel": _KERNEL, "initrd": _INITRD}}
    treeinfo.stage2.mainimage = _STAGE2
    for path in (_KERNEL, _INITRD, _STAGE2, "repodata/repomd.xml"):
        treeinfo.checksums.checksums[path] = ("sha256", hashlib.sha256((os_tree / path).read_bytes()).hexdigest())
    treeinfo.dump(str(os_tree / ".treeinfo"))
