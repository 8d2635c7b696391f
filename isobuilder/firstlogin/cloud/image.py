"""Machine images: made from the medium, and brought to the cloud.

A disk that is finished is kept until the cloud has it, so that only the last part is done again.
"""

import re
from typing import Callable, Dict, List

from ..effects import Effects, Result
from ..exits import SetupError
from ..model import FAIL, PASS, WARN, Line, Machine
from . import imagefacts
from .admin import LOCAL, as_admin
from .editions import KEYS
from .heartbeat import Heartbeat
from .imagedisk import Builder
from .imagefacts import DISK
from .imagetree import FailedError

_FINISHED = DISK + ".name"
_ARCH = "x86_64"
_BUCKET = "machine-images"
# As they come from the labels of media.
_NAME = r"[a-z0-9_][a-z0-9_-]*\Z"
_UPLOAD_SECONDS = 7200
_AGAIN = "To try it again, run: cloud-setup image make {}"


class Maker:
    """Makes and registers images on one machine; `tell` is given a line about what goes on."""

    def __init__(self, machine: Machine, effects: Effects, tell: Callable[[str], None]) -> None:
        self._medium = machine.role.medium
        self._effects = effects
        self._tell = tell
        self._builder = Builder(machine, effects, tell)

    def make(self, size: str, medium: str = "") -> List[Line]:
        """Make an image of this size and register it, unless the cloud has it; what came of it, a line each.

        `medium` is a folder, an ISO or a device; without one the medium is looked for by its label.
        """
        name = f"{self._medium.lower()}-{size}"
        left: List[str] = []
        try:
            number = self.registered().get(name)
            already = " already" if number else ""
            if number is None:
                if not self._is_finished(name):
                    self._effects.remove(_FINISHED)
                    left = self._builder.build(imagefacts.SIZES[size], medium)
                    self._effects.write(_FINISHED, f"{name}\n".encode("ascii"), 0o600)
                number = self._register(name)
            # Again where it was registered before: that may have been as far as it came.
            self._publish(name, number)
        except FailedError as failed:
            return [Line(FAIL, f"image {name}: {failed.in_a_line}", failed.remedy or _AGAIN.format(size))]
        except SetupError as refused:
            return [Line(FAIL, "image {}: {}".format(name, " ".join(refused.lines)), _AGAIN.format(size))]
        return [
            *(Line(WARN, f"image {name}: {one}") for one in left),
            Line(PASS, f"image {name}: {number}, registered{already}"),
        ]

    def registered(self) -> Dict[str, str]:
        """The numbers of our images that the cloud has, by their names. Raises FailedError when it does not say."""
        said = self._ask("the cloud does not say which images it has", "euca-describe-images").output
        return images(said)

    def remove(self, name: str) -> Line:
        """Take an image out of the cloud, and what it was brought there as."""
        none = Line(FAIL, f"image {name}: there is none", "See: cloud-setup image list")
        if not re.match(_NAME, name):
            return none
        try:
            number = self.registered().get(name)
            if number:
                self._ask(f"{number} cannot be taken out", "euca-deregister", number)
        except FailedError as failed:
            return Line(FAIL, f"image {name}: {failed.in_a_line}")
        try:
            self._ask("its parts cannot be deleted", "euca-delete-bundle", "-b", _BUCKET, "-p", name, timeout=1800)
        except FailedError as failed:
            if number is None:
                return none
            again = f"To try it again, run: cloud-setup image remove {name}"
            return Line(FAIL, f"image {name}: {number} is gone, but {failed.in_a_line}", again)
        return Line(PASS, f"image {name}: {number or 'what was left of it'} is gone")

    def _is_finished(self, name: str) -> bool:
        """Whether this disk was made before, and only the cloud does not have it."""
        return (self._effects.read(_FINISHED) or "").strip() == name and self._effects.exists(DISK)

    def _register(self, name: str) -> str:
        """Bring the disk to the cloud; the number that it gets."""
        said = self._ask("the cloud does not say its account", "euare-accountlist").output
        account = re.search(r"(?m)^eucalyptus\s+(\d+)\s*$", said)
        if account is None:
            raise FailedError("the cloud does not say its account", said)
        self._tell("  the image is brought to the cloud; this takes some minutes")
        what = ("-i", self._effects.path(DISK), "-n", name, "-r", _ARCH, "--virtualization-type", "hvm")
        where = ("-b", _BUCKET, "-p", name, "--user", account.group(1))
        certificate = ("--ec2cert", self._effects.path(f"{KEYS}/cloud-cert.pem"))
        command = ("euca-install-image", *what, *where, *certificate)
        with Heartbeat(self._tell):
            said = self._ask("the cloud does not take it", *command, timeout=_UPLOAD_SECONDS).output
        found = re.search(r"(?m)^IMAGE\s+(emi-[0-9a-f]+)", said)
        if found is None:
            raise FailedError("the cloud does not say its number", said)
        return found.group(1)

    def _publish(self, name: str, number: str) -> None:
        """Let everybody start it; then its disk is not needed any more."""
        self._ask(f"{number} cannot be given to everybody", "euca-modify-image-attribute", "-l", "-a", "all", number)
        if self._is_finished(name):
            self._effects.remove(_FINISHED)
            self._effects.remove(DISK)

    def _ask(self, what: str, *argv: str, timeout: int = 300) -> Result:
        """Have the cloud do something. Raises FailedError, with `what`, when it fails."""
        result = self._effects.run(*as_admin(*argv, *LOCAL), timeout=timeout)
        if result.code:
            raise FailedError(what, result.output)
        return result


def images(said: str) -> Dict[str, str]:
    """Our images in what euca-describe-images says: their numbers, by the names that we gave them.

    Those that were taken out stay on that list for ten minutes (Images.cleanDeregistered), and their names are free.
    """
    state = r"[^\t\n]*\t(?:available|pending)\b"
    found = re.finditer(rf"(?m)^IMAGE\t(emi-[0-9a-f]+)\t{_BUCKET}/(\S+?)\.manifest\.xml\t{state}", said)
    return {match.group(2): match.group(1) for match in found}


def is_offered(machine: Machine) -> bool:
    """Whether the machine knows of a medium that an image can be made from."""
    role = machine.role
    return bool(role.image and role.medium and role.medium_path and role.root_path)
