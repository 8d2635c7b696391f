"""The system in a machine image: installed from the medium, set up by its kickstart, rid of what is one machine's.

It works below `root`, where the image is mounted, and on the medium, which is mounted beside it.
"""

import fnmatch
import os
import re
from typing import Callable, List, NamedTuple, Optional, Sequence

from .. import services
from ..effects import Effects, Result
from . import imagefacts
from .heartbeat import Heartbeat
from .imagekickstart import ImageKickstart, Script

_INSTALL_SECONDS, _SCRIPT_SECONDS, _TOOL_SECONDS = 3600, 1800, 600
_CONF = imagefacts.WORK + "/packages.conf"
_SCRIPT = imagefacts.WORK + "/script"
_CONF_TEXT = """\
[main]
cachedir={work}/cache
logfile=/dev/null
reposdir={work}/none
pluginpath={work}/none
plugins=0
keepcache=0
obsoletes=1
gpgcheck=1
assumeyes=1
installonly_limit=0
[medium]
name=medium
baseurl=file://{medium}
enabled=1
gpgcheck=1
gpgkey={keys}
"""


class FailedError(Exception):
    """An image cannot be made: what did not work, the last that was said about it, and what to do."""

    def __init__(self, what: str, said: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.said = [line.rstrip() for line in said.splitlines() if line.strip()][-8:]
        self.remedy = remedy

    @property
    def in_a_line(self) -> str:
        """What did not work, with the very last that was said."""
        return f"{self} ({self.said[-1]})" if self.said else str(self)


class Place(NamedTuple):
    """Where the image's system and the medium are mounted, as the scripts of kickstarts know them."""

    root: str
    medium: str


class Tree:
    """The system of an image. Its methods raise FailedError."""

    def __init__(self, place: Place, init: str, effects: Effects, tell: Callable[[str], None]) -> None:
        self._place = place
        self._init = init
        self._effects = effects
        self._tell = tell

    def install(self, kickstart: ImageKickstart) -> None:
        """Install its packages: from the medium alone, and only what is signed by a key that is on it."""
        tool = next((name for name in imagefacts.PACKAGERS if self._effects.has_command(name)), None)
        if tool is None:
            raise FailedError("neither yum nor dnf is there", remedy="Install one of them: rpm -i, from the medium.")
        medium = self._place.medium
        names = [name for name in self._effects.names(medium) if name.startswith("RPM-GPG-KEY-")]
        text = _CONF_TEXT.format(
            work=self._effects.path(imagefacts.WORK),
            medium=self._effects.path(medium),
            keys=" ".join(f"file://{self._effects.path(medium)}/{name}" for name in names),
        )
        self._effects.write(_CONF, text.encode("ascii"), 0o600)
        options = (f"--installroot={self._effects.path(self._place.root)}", *(f"-x{one}" for one in kickstart.excluded))
        release = f"--releasever={self._release()}"
        command = (tool, "-y", "-c", self._effects.path(_CONF), release, *options, "install", *kickstart.packages)
        with Heartbeat(self._tell):
            result = self._effects.run(*command, timeout=_INSTALL_SECONDS)
        # A word that nothing is called by is passed over by yum, which says so and ends well.
        lost = re.findall(r"(?m)^(?:No package (\S+) available|Warning: [Gg]roup (\S+) does not exist)", result.output)
        if lost:
            words = ", ".join(first or second for first, second in lost)
            raise FailedError(f"the medium does not have {words}", result.output, "It is not whole: isobuilder verify.")
        self._refuse(result, "the packages cannot be installed")

    def set_up(self, kickstart: ImageKickstart) -> None:
        """What its installer would do after the packages."""
        ifcfg = "DEVICE=eth0\nTYPE=Ethernet\nBOOTPROTO=dhcp\nONBOOT=yes\nNM_CONTROLLED=no\n"
        self.write("/etc/fstab", imagefacts.FSTABS[self._init])
        self.write("/etc/sysconfig/kernel", imagefacts.KERNEL_UPDATES)
        # The metadata service is at a link-local address that the gateway answers for.
        self.write("/etc/sysconfig/network", "NETWORKING=yes\nNOZEROCONF=yes\n")
        self.write("/etc/sysconfig/network-scripts/ifcfg-eth0", ifcfg)
        systemd = self._init == "systemd"
        if kickstart.language:
            self.write("/etc/locale.conf" if systemd else "/etc/sysconfig/i18n", f"LANG={kickstart.language}\n")
        if kickstart.keyboard:
            path, name = ("/etc/vconsole.conf", "KEYMAP") if systemd else ("/etc/sysconfig/keyboard", "KEYTABLE")
            self.write(path, f"{name}={kickstart.keyboard}\n")
        if kickstart.timezone:
            self._zone(kickstart.timezone)
        if kickstart.selinux and self.exists("/etc/selinux/config"):
            before = self._effects.read(self._place.root + "/etc/selinux/config") or ""
            self.write("/etc/selinux/config", re.sub(r"(?m)^SELINUX=.*$", f"SELINUX={kickstart.selinux}", before))
        self._firewall(kickstart.firewall)
        for action, names in (("enable", kickstart.enabled), ("disable", kickstart.disabled)):
            for name in names:
                self.inside(f"the service {name} cannot be {action}d", *services.command(self._init, action, name))
        # Whatever the kickstart says, nobody has a password.
        self.inside("root cannot be locked", "usermod", "--lock", "root")

    def run_scripts(self, scripts: Sequence[Script]) -> List[str]:
        """The scripts of its kickstart; what failed and may, a line each."""
        left = []
        for script in scripts:
            result = self._script(script)
            if result.code and script.stops:
                raise FailedError(f"the script in line {script.line} of its kickstart failed", result.output)
            if result.code:
                said = [line.strip() for line in result.output.splitlines() if line.strip()][-1:]
                what = f"the script in line {script.line} of its kickstart ended with {result.code}"
                left.append(what + (f": {said[0][:120]}" if said else ""))
        return left

    def clean(self) -> None:
        """Take away what belongs to one machine or to whoever made the image, and label what is left for SELinux."""
        for path in imagefacts.EMPTIED:
            if self.exists(path):
                self._on_files(path, "-exec", "truncate", "-s", "0", "{}", "+")
        for path in imagefacts.CLEARED:
            if self.exists(path):
                self._on_files(path, "-mindepth", "1", "-delete", every=True)
        for pattern in imagefacts.REMOVED:
            folder, name = os.path.split(pattern)
            for found in fnmatch.filter(self._effects.names(self._place.root + folder), name):
                place = self._contained(f"{folder}/{found}")
                self._refuse(self._effects.run("rm", "-rf", "--", place), f"{pattern} cannot be removed")
        self._refuse_passwords()
        self._label()

    def kernel(self) -> str:
        """The version of the newest kernel, by the time it was installed. There must be an initial RAM disk for it."""
        boot = self._place.root + "/boot"
        names = [name for name in self._effects.names(boot) if name.startswith(imagefacts.KERNEL)]
        versions = [name[len(imagefacts.KERNEL) :] for name in names if "rescue" not in name]
        usable = [one for one in versions if self.initrd(one)]
        if not usable:
            raise FailedError("no kernel with an initial RAM disk was installed", ", ".join(names))
        return max(usable, key=lambda one: os.stat(self._effects.path(f"{boot}/{imagefacts.KERNEL}{one}")).st_mtime)

    def initrd(self, version: str) -> Optional[str]:
        """The name of the initial RAM disk of a kernel."""
        names = (name.format(version) for name in imagefacts.INITRDS)
        return next((name for name in names if self.exists(f"/boot/{name}")), None)

    def exists(self, path: str) -> bool:
        return self._effects.exists(self._place.root + path)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the image, in place of a link too: it would lead out of the image."""
        self._contained(path)
        self._effects.remove(self._place.root + path)
        self._effects.write(self._place.root + path, text.encode("utf-8", "surrogateescape"), mode)

    def inside(self, what: str, *argv: str, timeout: int = _TOOL_SECONDS) -> Result:
        """Run a command in the image. Raises FailedError, with `what`, when it fails."""
        return self._refuse(self._chroot(*argv, timeout=timeout), what)

    def _chroot(self, *argv: str, timeout: int = _TOOL_SECONDS) -> Result:
        return self._effects.run("chroot", self._effects.path(self._place.root), *argv, timeout=timeout)

    def _refuse(self, result: Result, what: str) -> Result:
        if result.code:
            raise FailedError(what, result.output)
        return result

    def _contained(self, path: str) -> str:
        """Where a path of the image lies on this machine. The folders on the way may be links, but not out of it."""
        place = self._effects.path(self._place.root + path)
        folder, root = os.path.realpath(os.path.dirname(place)), os.path.realpath(self._effects.path(self._place.root))
        if folder != root and not folder.startswith(root + "/"):
            raise FailedError(f"{path} leads out of the image")
        return place

    def _release(self) -> str:
        """What $releasever stands for; a medium names no address that has it."""
        said = self._effects.read(self._place.medium + "/.treeinfo") or ""
        found = re.search(r"(?m)^version\s*=\s*([0-9]+)", said)
        return found.group(1) if found else "1"

    def _zone(self, zone: str) -> None:
        if not self.exists(f"/usr/share/zoneinfo/{zone}"):
            self._tell(f"note: the image has no time zone {zone}, and stays in its own")
            return
        self._refuse(
            self._effects.run(
                *("ln", "-sfn", f"../usr/share/zoneinfo/{zone}"),
                self._effects.path(self._place.root + "/etc/localtime"),
            ),
            "the time zone cannot be set",
        )
        if self._init == "sysv":
            self.write("/etc/sysconfig/clock", f'ZONE="{zone}"\n')

    def _firewall(self, options: Sequence[str]) -> None:
        """As Anaconda does it: by whichever tool the release has."""
        if not options:
            return
        if self.exists("/usr/bin/firewall-offline-cmd"):
            self.inside("the firewall cannot be set", "firewall-offline-cmd", *options)
        elif self.exists("/usr/sbin/lokkit"):
            self.inside("the firewall cannot be set", "lokkit", "--quiet", "--nostart", *options)
        else:
            self._tell("note: the image has no firewall; the cloud's security groups are in front of it")

    def _script(self, script: Script) -> Result:
        if script.inside:
            self.write(_SCRIPT, script.text, 0o700)
            return self._chroot(script.interpreter, _SCRIPT, timeout=_SCRIPT_SECONDS)
        self._effects.write(_SCRIPT, script.text.encode("utf-8", "surrogateescape"), 0o700)
        try:
            return self._effects.run(script.interpreter, self._effects.path(_SCRIPT), timeout=_SCRIPT_SECONDS)
        finally:
            self._effects.remove(_SCRIPT)

    def _on_files(self, path: str, *what: str, every: bool = False) -> None:
        place = self._contained(path)
        kind = () if every else ("-type", "f")
        self._refuse(self._effects.run("find", place, "-xdev", *kind, *what), f"{path} cannot be cleaned")

    def _refuse_passwords(self) -> None:
        """Nobody may log in with a password. Raises FailedError with the names of who could."""
        open_to: List[str] = []
        for path, closed in (("/etc/passwd", ("x", "!", "*")), ("/etc/shadow", ("!", "*"))):
            text = self._effects.read(self._place.root + path)
            if text is None:
                raise FailedError(f"the image has no {path}")
            rows = (line.split(":") for line in text.splitlines() if line.count(":") > 1)
            open_to += [row[0] for row in rows if not row[1].startswith(closed)]
        if open_to:
            raise FailedError(
                "accounts of the image have passwords: {}".format(", ".join(open_to)),
                remedy="No script of its kickstart may give one.",
            )

    def _label(self) -> None:
        contexts = "/etc/selinux/targeted/contexts/files/file_contexts"
        if not self.exists(contexts):
            return
        labelled = self._chroot("setfiles", "-F", "-e", "/proc", "-e", "/sys", "-e", "/dev", contexts, "/")
        if labelled.code:
            # Then the first start does it, and takes longer.
            self.write("/.autorelabel", "")
