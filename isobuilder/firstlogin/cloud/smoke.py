"""`cloud-setup check --full`: an instance runs and is reached, a volume attached, an object comes back; all goes again.

Whatever fails or stops it, what it made is taken away, last things first.
"""

import re
from typing import Callable, Iterator, List, Optional, Tuple

from ..effects import Effects, Result
from ..model import FAIL, PASS, WARN, Answers, Line, Machine
from . import editions
from .admin import LOCAL, as_admin
from .editions import FRONT_END

_NAME = "cloud-setup-check"
_KEY = f"/var/lib/cloud-setup/{_NAME}.key"
_DEVICE = "/dev/sdf"
_PAUSE = 5
# Seconds: an image that is used for the first time is brought to a node.
_BOOT, _VOLUME, _LOGIN, _OBJECT = 900, 300, 300, 300
# With the boto of the administration tools; keys come from the environment. Nothing of it is put together from answers.
_OBJECTS = """
import os, boto.s3.connection as s3
c = s3.S3Connection(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], host="127.0.0.1", port=8773,
                    path="/services/objectstorage", is_secure=False, calling_format=s3.OrdinaryCallingFormat())
b = c.create_bucket("cloud-setup-check")
try:
    k = b.new_key("object")
    k.set_contents_from_string("there and back")
    assert b.get_key("object").get_contents_as_string() == "there and back"
    k.delete()
finally:
    c.delete_bucket("cloud-setup-check")
"""


class _FailedError(Exception):
    """A step did not work: what it was, and what was said."""

    def __init__(self, what: str, result: Result) -> None:
        lines = [line.strip() for line in result.output.splitlines() if line.strip()]
        said = lines[-1][:100] if lines else f"exit code {result.code}"
        super().__init__(f"{what} ({said})")


class _Trial:
    """One trial, and what has to be taken away after it."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._left: List[Tuple[str, Callable[[], Result]]] = []

    def ask(self, what: str, *argv: str, timeout: int = 120) -> str:
        """What a command says. Raises _FailedError."""
        result = self._effects.run(*as_admin(*argv, *LOCAL), timeout=timeout)
        if result.code:
            raise _FailedError(what, result)
        return result.output

    def made(self, what: str, pattern: str, *argv: str) -> str:
        """What a command made, as it says in a line. Raises _FailedError."""
        said = self.ask(what, *argv)
        found = re.search(pattern, said, re.MULTILINE)
        if found is None:
            raise _FailedError(what, Result(0, said))
        return found.group(1)

    def wait(self, what: str, pattern: str, seconds: int, *argv: str) -> str:
        """What a command says as soon as it says something that fits. Raises _FailedError."""
        until = self._effects.now() + seconds
        while True:
            result = self._effects.run(*argv, timeout=120)
            found = re.search(pattern, result.output, re.MULTILINE) if result.code == 0 else None
            if found:
                return found.group(found.lastindex or 0)
            if self._effects.now() >= until:
                raise _FailedError(what, result)
            self._effects.sleep(_PAUSE)

    def later(self, what: str, *argv: str) -> None:
        """Something to be taken away in the end."""
        self._left.append((what, lambda: self._effects.run(*as_admin(*argv, *LOCAL), timeout=120)))

    def clean(self) -> List[str]:
        """Take all away, the last things first, and what hangs on others when those are gone; what could not be."""
        left = self._left[::-1]
        until = self._effects.now() + _VOLUME
        while True:
            left = [(what, take) for what, take in left if take().code]
            if not left or self._effects.now() >= until:
                break
            self._effects.sleep(_PAUSE)
        self._left.clear()
        self._effects.remove(_KEY)
        return [what for what, _ in left]


def thorough(answers: Answers, machine: Machine, effects: Effects) -> Iterator[Line]:
    """Try the cloud out: a line for each thing that works, and for the first that does not."""
    edition = editions.of_machine(machine)
    if edition is None or FRONT_END not in machine.role.parts:
        return
    trial = _Trial(effects)
    try:
        image = _image(trial)
        if image is None:
            yield Line(WARN, "trial: there is no machine image yet", "Make one: cloud-setup image make small")
        else:
            yield from _instance(trial, image, edition.sizes[0].name, answers["zone"])
        trial.wait("an object does not come back", "", _OBJECT, *as_admin("python", "-c", _OBJECTS))
        yield Line(PASS, "trial: an object was put and came back")
    except _FailedError as failed:
        yield Line(FAIL, f"trial: {failed}", "Its log is in /var/log/eucalyptus.")
    finally:
        left = trial.clean()
    if left:
        yield Line(WARN, "trial: still there: {}".format(", ".join(left)), "Take it away by hand.")
    else:
        yield Line(PASS, "trial: all that was made for it is gone")


def _image(trial: _Trial) -> Optional[str]:
    said = trial.ask("images cannot be listed", "euca-describe-images")
    lines = [line.split("\t") for line in said.splitlines() if line.startswith("IMAGE\temi-")]
    return next((words[1] for words in lines if "available" in words), None)


def _instance(trial: _Trial, image: str, size: str, zone: str) -> Iterator[Line]:
    trial.later("the key pair", "euca-delete-keypair", _NAME)
    trial.ask("no key pair is made", "euca-create-keypair", "-f", _KEY, _NAME)
    trial.later("the security group", "euca-delete-group", _NAME)
    trial.ask("no security group is made", "euca-create-group", "-d", "for a trial", _NAME)
    trial.ask("ssh cannot be let in", "euca-authorize", "-P", "tcp", "-p", "22", _NAME)
    run = ("euca-run-instances", "-k", _NAME, "-g", _NAME, "-t", size, "-z", zone, image)
    instance = trial.made("no instance starts", r"^INSTANCE\t(i-[0-9a-f]+)\t", *run)
    trial.later(f"the instance {instance}", "euca-terminate-instances", instance)
    describe = as_admin("euca-describe-instances", instance, *LOCAL)
    address = r"^INSTANCE\ti-[0-9a-f]+\temi-\S+\t([0-9.]+)\t.*\brunning\b"
    public = trial.wait(f"the instance {instance} does not run", address, _BOOT, *describe)
    yield Line(PASS, f"trial: the instance {instance} runs")
    options = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
    login = ("ssh", "-i", _KEY, *options, "-o", "ConnectTimeout=10", f"root@{public}", "true")
    trial.wait(f"nobody can log in at {public}", "", _LOGIN, *login)
    yield Line(PASS, f"trial: it is reached by ssh at {public}")
    yield from _volume(trial, instance, zone)


def _volume(trial: _Trial, instance: str, zone: str) -> Iterator[Line]:
    volume = trial.made("no volume is made", r"^VOLUME\t(vol-[0-9a-f]+)\t", "euca-create-volume", "-s", "1", "-z", zone)
    trial.later(f"the volume {volume}", "euca-delete-volume", volume)
    describe = as_admin("euca-describe-volumes", volume, *LOCAL)
    trial.wait(f"the volume {volume} does not become available", r"^VOLUME\t.*\bavailable\b", _VOLUME, *describe)
    trial.ask("the volume is not attached", "euca-attach-volume", "-i", instance, "-d", _DEVICE, volume)
    trial.wait(f"the volume {volume} is not attached", r"^ATTACHMENT\t.*\battached\b", _VOLUME, *describe)
    yield Line(PASS, f"trial: the volume {volume} was attached")
    trial.ask("the volume is not detached", "euca-detach-volume", volume)
    trial.wait(f"the volume {volume} is not detached", r"^VOLUME\t.*\bavailable\b", _VOLUME, *describe)
