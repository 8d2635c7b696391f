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
    "dbus",
    "dosfstools",
    "e2fsprogs",
    "efibootmgr",
    "fdisk",
    "grub-efi-amd64-bin",
    "grub-pc-bin",
    "grub2-common",
    "initramfs-tools",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "libpam-systemd",
    "linux-image-amd64",
    "login",
    "openssh-server",
    "passwd",
    "procps",
    "python3",
    "rpm",
    "systemd",
    "systemd-sysv",
    "udev",
    "util-linux",
)

# What the small system does without: documentation, and drivers of hardware that no virtual machine has.
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
    """`NAME VERSION` of every package that the small system is made of, from apt's lists; nothing is downloaded.

    Raises HostError when apt has no lists, or cannot satisfy the names.
    """
    command = ["apt-get", "--simulate", "--quiet=2", "--option=APT::Install-Recommends=false"]
    command += ["--option=Dir::State::status=/dev/null", "--option=Dir::Etc::sourceparts=-"]
    command += [f"--option=Dir::Etc::sourcelist={debian_sources(etc)}"]
    try:
        plan = run([*command, "install", *PAYLOAD])
    except HostError as error:
        error.hint = "apt's package lists may be missing or old: apt-get update"
        raise
    return sorted(" ".join(found) for found in re.findall(r"^Inst (\S+) \((\S+)", plan, re.MULTILINE))


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


def make_tree(tree: Path) -> None:
    """Make a configured small Debian system in the new folder `tree`, out of what apt's lists name (about a minute).

    Raises HostError without root, whose powers it takes to give files their owners.
    """
    if os.geteuid() != 0:
        raise HostError("making the practice mirror takes root", hint="sudo, or a container where one is root")
    lists = "/var/lib/apt/lists"
    options = [f"--aptopt={line}" for line in _download_settings()] + [f"--dpkgopt=path-exclude={p}" for p in _UNUSED]
    run(
        [
            *("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(PAYLOAD)}"),
            *("--aptopt=APT::Install-Recommends false", *options),
            # The host's lists, so that what is installed is what `payload_versions` tells.
            *("--skip=update", f'--setup-hook=cp {lists}/*_* "$1{lists}"'),
            *(platform.freedesktop_os_release()["VERSION_CODENAME"], tree, debian_sources()),
        ]
    )


def _download_settings() -> list[str]:
    # Proxies and certificates of the host, which mmdebstrap does not take over by itself.
    dump = run(["apt-config", "dump"]).splitlines()
    return [line for line in dump if re.match(r"Acquire::(?:https?(?:::[^ ]+)?|Check-[^ ]+|Retries) \"[^\"]+\"", line)]


def _install_hint(packages: Iterable[str]) -> str:
    return f"apt-get install --no-install-recommends {' '.join(packages)}"
