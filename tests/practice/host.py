"""The edge to the host: its commands, its Debian packages, its apt.

Everything here reads the host; only `make_tree` writes, and only where it is told to.
"""

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from isobuilder.errors import HostError

PACKAGES_FILE = Path(__file__).with_name("debian-packages.txt")

# Packages of the small system, besides the ones that Debian calls essential or required.
PAYLOAD = (
    "chrony",
    "dbus",
    "dosfstools",
    "e2fsprogs",
    "efibootmgr",
    "fdisk",
    "grub-pc-bin",
    "grub2-common",
    "initramfs-tools",
    "iproute2",
    "iputils-arping",
    "iputils-ping",
    "kmod",
    "less",
    "libpam-systemd",
    "linux-image-amd64",
    "login",
    "lvm2",
    "network-manager",
    "openssh-server",
    "passwd",
    "procps",
    "python3",
    "rpm",
    "systemd",
    "systemd-sysv",
    "tzdata",
    "udev",
    "util-linux",
    "xfsprogs",
)

# What the installed system may be started from. Debian would take all drivers that there are, which takes long to
# unpack on an emulated processor; dracut takes those of the machine.
_STARTING = (
    *("ahci", "ata_piix", "nvme", "sd_mod", "virtio_blk", "virtio_pci", "virtio_scsi"),
    *("ehci_pci", "uas", "uhci_hcd", "usb_storage", "xhci_pci"),
    *("crc32c_generic", "crc32c_intel", "dm_mod", "ext4", "xfs"),
)
_RAM_DISK = "$1/etc/initramfs-tools"
# Before the packages of the initial RAM disk are configured, which make one.
PAYLOAD_HOOKS = (
    f'mkdir -p "{_RAM_DISK}/conf.d"',
    f'printf "MODULES=list\\nRESUME=none\\n" >"{_RAM_DISK}/conf.d/practice"',
    f'printf "%s\\n" {" ".join(_STARTING)} >"{_RAM_DISK}/modules"',
)

# Packages of the installer's stage 2, besides the ones that Debian calls essential or required.
INSTALLER = (
    "dnf",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "iproute2",
    "isomd5sum",
    "kmod",
    "lvm2",
    "python3",
    "python3-requests",
    "rpm",
    "udev",
    "util-linux",
    "xfsprogs",
)

# What both do without: documentation, and drivers of hardware that no virtual machine has.
_UNUSED = (
    *(f"/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")),
    *(f"/lib/modules/*/kernel/net/{name}/*" for name in ("bluetooth", "mac80211", "wireless")),
    *(f"/lib/modules/*/kernel/fs/{name}/*" for name in ("ceph", "gfs2", "nfs", "ocfs2")),
    *(
        f"/lib/modules/*/kernel/drivers/{name}/*"
        for name in (
            "bluetooth",
            "comedi",
            "edac",
            "gpu",
            "hwmon",
            "iio",
            "infiniband",
            "isdn",
            "media",
            "mtd",
            "net/can",
            "net/ethernet",
            "net/wireless",
            "platform",
            "staging",
        )
    ),
    "/lib/modules/*/kernel/sound/*",
)


def run(command: Iterable[str | Path], *, env: Mapping[str, str] | None = None, stdin: str = "") -> str:
    """Run a command in the C locale, `env` added to the environment, and return its standard output.

    Raises HostError, with the end of what it said, when it cannot be started or does not end well.
    """
    words = [os.fspath(word) for word in command]
    surroundings = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
    try:
        result = subprocess.run(words, env=surroundings, input=stdin, capture_output=True, text=True, check=False)
    except OSError as error:
        raise HostError(f"{words[0]} cannot be started: {error}", hint=_install_hint(required_packages())) from error
    if result.returncode:
        said = (result.stderr or result.stdout).splitlines()
        raise HostError(f"{words[0]} ended with status {result.returncode}", details=said[-20:])
    return result.stdout


def required_packages() -> list[str]:
    """The host's Debian packages that making the mirror takes."""
    lines = PACKAGES_FILE.read_text(encoding="utf-8").splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """The version of each of the host's packages. Raises HostError that names the ones that are missing."""
    wanted = list(names)
    try:
        result = subprocess.run(
            ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package} ${Version}\n", *wanted],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise HostError("the practice mirror is made out of Debian packages, and this host has no dpkg") from error
    rows = (line.split(" ") for line in result.stdout.splitlines())
    versions = {row[1]: row[2] for row in rows if row[0] == "installed"}
    missing = sorted(set(wanted) - versions.keys())
    if missing:
        raise HostError("Debian packages are missing on this host", details=missing, hint=_install_hint(missing))
    return versions


def payload_versions(etc: Path = Path("/etc")) -> list[str]:
    """`NAME VERSION` of every package that the two systems are made of, from apt's lists; nothing is downloaded.

    Raises HostError when apt has no lists, or cannot satisfy the names.
    """
    command = ["apt-get", "--simulate", "--quiet=2", "--option=APT::Install-Recommends=false"]
    command += ["--option=Dir::State::status=/dev/null", "--option=Dir::Etc::sourceparts=-"]
    command += [f"--option=Dir::Etc::sourcelist={debian_sources(etc)}"]
    try:
        plans = [run([*command, "install", *names]) for names in (PAYLOAD, INSTALLER)]
    except HostError as error:
        error.hint = "apt's package lists may be missing or old: apt-get update"
        raise
    found = {" ".join(one) for plan in plans for one in re.findall(r"^Inst (\S+) \((\S+)", plan, re.MULTILINE)}
    return sorted(found)


def debian_sources(etc: Path = Path("/etc")) -> Path:
    """The host's own description of Debian's archive, in either of apt's formats; other vendors' lists are left alone.

    Raises HostError when there is none.
    """
    candidates = [etc / "apt/sources.list", *sorted((etc / "apt/sources.list.d").glob("*debian.sources"))]
    for path in candidates:
        if path.is_file() and re.search(r"^(?:deb |Types:)", path.read_text(encoding="utf-8"), re.MULTILINE):
            return path
    raise HostError(
        "no apt sources of Debian were found", details=[str(candidates[0]), "/etc/apt/sources.list.d/*debian.sources"]
    )


def make_tree(tree: Path, packages: Iterable[str], hooks: Iterable[str] = ()) -> None:
    """Make a configured Debian system of `packages` in the new folder `tree`, as apt's lists name them (a minute).

    `hooks` are shell commands to run before what is not essential is unpacked; the tree is `$1` there.
    Raises HostError without root, whose powers it takes to give files their owners.
    """
    if os.geteuid() != 0:
        raise HostError("making the practice mirror takes root", hint="sudo, or a container where one is root")
    lists = "/var/lib/apt/lists"
    options = [f"--aptopt={line}" for line in _download_settings()] + [f"--dpkgopt=path-exclude={p}" for p in _UNUSED]
    run(
        [
            *("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}"),
            *("--aptopt=APT::Install-Recommends false", *options),
            # The host's lists, so that what is installed is what `payload_versions` tells.
            *("--skip=update", f'--setup-hook=cp {lists}/*_* "$1{lists}"'),
            *(f"--essential-hook={hook}" for hook in hooks),
            *(platform.freedesktop_os_release()["VERSION_CODENAME"], tree, debian_sources()),
        ]
    )


def _download_settings() -> list[str]:
    # Proxies and certificates of the host, which mmdebstrap does not take over by itself.
    dump = run(["apt-config", "dump"]).splitlines()
    return [line for line in dump if re.match(r"Acquire::(?:https?(?:::[^ ]+)?|Check-[^ ]+|Retries) \"[^\"]+\"", line)]


def _install_hint(packages: Iterable[str]) -> str:
    return f"apt-get install --no-install-recommends {' '.join(packages)}"
