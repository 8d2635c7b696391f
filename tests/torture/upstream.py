"""A mirror so small that a medium is built from it in two seconds: real boot files, few packages, a key of its own."""

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.practice.rpms import Rpm, build_rpms
from tests.practice.signing import new_signer

# Every worker has a network of its own, so that each can have this address: it stands in locks, and on media.
PORT = 8080
URL = f"http://127.0.0.1:{PORT}"
ISO = "tortured-tiny-x86_64.iso"
LOCK = "tortured.lock"
EPOCH = 1_700_000_000
KEY = "RPM-GPG-KEY-tiny"
_BOOT_FILES = (
    "images/pxeboot/vmlinuz",
    "EFI/BOOT/BOOTX64.EFI",
    "EFI/BOOT/grubx64.efi",
    "EFI/BOOT/mmx64.efi",
    "EFI/BOOT/fonts/unicode.pf2",
    "isolinux/isolinux.bin",
    "isolinux/ldlinux.c32",
    "isolinux/libcom32.c32",
    "isolinux/libutil.c32",
    "isolinux/vesamenu.c32",
)
_SIZES = (100, 3_000, 70_000, 400_000, 1_500_000)
_COMPS = """<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>core</id><name>Core</name><packagelist>
<packagereq type="mandatory">tiny-0</packagereq><packagereq type="mandatory">tiny-1</packagereq>
</packagelist></group></comps>
"""

_DEFINITION = """\
version = 1
name    = "tortured"
release = "tiny.toml"

[role.minimal]
kickstart = "tiny.ks.j2"
title     = "Install something tiny"
"""
_KICKSTART = """\
{% extends "base.ks.j2" %}
{% block packages %}
@core
tiny-2
tiny-6
extra
{% endblock %}
"""


@dataclass(frozen=True)
class Upstream:
    """The mirror: its `files` by path from the address's root, and the fingerprint of its key."""

    files: dict[str, bytes]
    fingerprint: str


def make_upstream(folder: Path, mirror: Path) -> Upstream:
    """Make the mirror in the empty `folder`, with boot files of the practice `mirror`."""
    system, built, scratch = (_made(folder / name) for name in ("system", "built", "scratch"))
    os_tree, extra = _made(folder / "os"), _made(folder / "extra")
    rng = random.Random(20)
    for number in range(12):
        file = system / f"usr/share/tiny/{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(rng.randbytes(_SIZES[number % len(_SIZES)]))
    shutil.copytree(_unpacked(next((mirror / "os/Packages").glob("syslinux-[0-9]*.rpm")), folder / "syslinux"), system,
                    dirs_exist_ok=True)  # fmt: skip
    boot_code = tuple(f"/usr/share/syslinux/{name}" for name in ("isohdpfx.bin", "chain.c32"))
    rpms = [
        Rpm(f"tiny-{number}", f"1.{number}", "Something tiny", arch="noarch", files=(f"/usr/share/tiny/{number}",),
            requires=(f"tiny-{number + 5}",) if number < 6 else ())
        for number in range(11)
    ]  # fmt: skip
    rpms.append(Rpm("syslinux", "6.04", "Boot code", files=boot_code))
    rpms.append(Rpm("kernel", "6.1", "None at all", requires=("tiny-3",)))
    rpms.append(Rpm("extra", "2", "Something else", arch="noarch", files=("/usr/share/tiny/11",)))
    build_rpms(rpms, system, built, scratch, EPOCH)
    with new_signer() as signer:
        signer.sign_rpms(sorted(built.glob("*.rpm")))
        for rpm in sorted(built.glob("*.rpm")):
            target = _made((extra if rpm.name.startswith("extra") else os_tree) / "Packages", there=True)
            rpm.rename(target / rpm.name)
        (folder / "comps.xml").write_text(_COMPS)
        _createrepo(os_tree, "--groupfile", os.fspath(folder / "comps.xml"), "--general-compress-type=gz")
        _createrepo(extra, "--general-compress-type=zstd")
        signer.sign_detached(os_tree / "repodata/repomd.xml")
        (os_tree / KEY).write_text(signer.public_key)
        fingerprint = signer.fingerprint
    for path in _BOOT_FILES:
        (os_tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(mirror / "os" / path, os_tree / path)
    (os_tree / "images/pxeboot/initrd.img").write_bytes(b"\x1f\x8b" + rng.randbytes(50_000))
    (os_tree / "images/install.img").write_bytes(b"hsqs" + rng.randbytes(2_500_000))
    _write_treeinfo(os_tree, (mirror / "os/.treeinfo").read_text())
    files = {
        f"/{path.relative_to(folder)}": path.read_bytes()
        for tree in (os_tree, extra)
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    }
    repomd = files["/os/repodata/repomd.xml"]
    # The same repository on three mirrors, for what asks the next one.
    files |= {
        f"{at}{path[3:]}": data for at in ("/m1", "/m2") for path, data in files.items() if path.startswith("/os/")
    }
    files["/metalink"] = metalink(repomd, [f"{URL}/{at}/" for at in ("os", "m1", "m2")])
    files["/mirrorlist"] = f"# mirrors\n{URL}/extra/\n{URL}/e1/\n".encode()
    files |= {f"/e1{path[6:]}": data for path, data in files.items() if path.startswith("/extra/")}
    return Upstream(files, fingerprint)


def metalink(repomd: bytes, mirrors: list[str]) -> bytes:
    """MirrorManager's words about a repomd.xml on mirrors."""
    urls = "".join(f'<url preference="{100 - n}">{url}repodata/repomd.xml</url>' for n, url in enumerate(mirrors))
    return (
        '<?xml version="1.0" encoding="utf-8"?><metalink version="3.0" xmlns="http://www.metalinker.org/" '
        'xmlns:mm0="http://fedorahosted.org/mirrormanager"><files><file name="repomd.xml">'
        f"<mm0:timestamp>{EPOCH}</mm0:timestamp><size>{len(repomd)}</size><verification>"
        f'<hash type="sha256">{hashlib.sha256(repomd).hexdigest()}</hash></verification>'
        f"<resources>{urls}</resources></file></files></metalink>"
    ).encode()


def write_definition(folder: Path, upstream: Upstream, *, mirrors: bool = False) -> None:
    """The definition of the tiny medium and all that it names; with `mirrors`, its repositories have several."""
    release = _RELEASE.format(
        url=URL,
        fingerprint=upstream.fingerprint,
        key=KEY,
        base=f'metalink = "{URL}/metalink"' if mirrors else f'baseurl = "{URL}/os/"',
        extra=f'mirrorlist = "{URL}/mirrorlist"' if mirrors else f'baseurl = "{URL}/extra/"',
    )
    for name, text in (("media.toml", _DEFINITION), ("tiny.toml", release), ("tiny.ks.j2", _KICKSTART)):
        (folder / name).write_text(text)


_RELEASE = """\
id = "tiny"
title = "Tiny Linux 9"
family = "Tiny Linux"
short = "Tiny"
version = "9"
variant = "BaseOS"

[kickstart]
syntax = "RHEL9"

[kernel-arguments]
stage2 = "inst.stage2=hd:LABEL={{label}}"
kickstart = "inst.ks=hd:LABEL={{label}}:{{path}}"
rescue = "inst.rescue"
check = "rd.live.check"

[[repository]]
id = "base"
{base}
gpgkey = "{url}/os/{key}"
fingerprint = ["{fingerprint}"]
repomd-signature = "required"

[[repository]]
id = "extra"
{extra}
gpgkey = "{url}/os/{key}"
fingerprint = ["{fingerprint}"]
repomd-signature = "off"

[arch.x86_64]
tree = "{url}/os/"
always = ["kernel"]
may = ["tiny-4"]

[arch.x86_64.boot]
kernel = "images/pxeboot/vmlinuz"
initrd = "images/pxeboot/initrd.img"
stage2 = "images/install.img"

[arch.x86_64.boot.bios]
loader = "isolinux"
image = "isolinux/isolinux.bin"
files = [
    "isolinux/isolinux.bin",
    "isolinux/ldlinux.c32",
    "isolinux/libcom32.c32",
    "isolinux/libutil.c32",
    "isolinux/vesamenu.c32",
]
mbr = {{ package = "syslinux", file = "/usr/share/syslinux/isohdpfx.bin" }}
chain = {{ package = "syslinux", file = "/usr/share/syslinux/chain.c32" }}

[arch.x86_64.boot.efi]
files = ["EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/grubx64.efi", "EFI/BOOT/mmx64.efi", "EFI/BOOT/fonts/unicode.pf2"]
linux = "linux"
initrd = "initrd"
local-loaders = ["/EFI/tiny/grubx64.efi"]
"""


def _write_treeinfo(os_tree: Path, text: str) -> None:
    """The practice mirror's, with the sums of what is here."""
    text = re.sub(r"^.*(?:boot\.iso|repomd\.xml).*\n", "", text, flags=re.MULTILINE)
    for path in ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "images/install.img"):
        digest = hashlib.sha256((os_tree / path).read_bytes()).hexdigest()
        text, count = re.subn(rf"^{path} = sha256:.*$", f"{path} = sha256:{digest}", text, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"the practice mirror's .treeinfo has no sum of {path}")
    text = re.sub(r"timestamp = [0-9]+", f"timestamp = {EPOCH}", text)
    (os_tree / ".treeinfo").write_text(text)


def _unpacked(package: Path, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["bsdtar", "-x", "-f", package, "-C", folder], check=True)
    return folder


def _createrepo(folder: Path, *options: str) -> None:
    program = Path(sys.executable).with_name("createrepo_c")
    dated = ("--revision", str(EPOCH), "--set-timestamp-to-revision")
    subprocess.run([program, "--quiet", *dated, *options, folder], check=True, capture_output=True)


def _made(folder: Path, *, there: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=there)
    return folder
