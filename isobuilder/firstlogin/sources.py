"""Where answers come from without anybody typing them: a file, the definition, the kernel command line, a stick.

In this order of strength. What two of them say differently, the stronger one says.
"""

import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from .answers import SIZE_LIMIT, Mistake, merged, parse
from .effects import Effects
from .machine import LABELS
from .model import Answers, Machine
from .parts import Parts
from .text import shown

# What the kickstart wrote down: the definition's answers, and the argument that the installer's kernel was given.
DEFINITION = "/etc/cloud-setup/answers"
REMEMBERED_ARGUMENT = "/etc/cloud-setup/kernel-argument"
ARGUMENT = "cloud.answers="
# A medium of this label, as long as FAT allows, is read without being named.
STICK_LABEL = "CLOUD-SETUP"
STICK_FILE = "/answers"
_MOUNT_POINT = "/var/lib/cloud-setup/medium"
_FETCH_TIMEOUT = 20.0


class Found(NamedTuple):
    """The answers for this machine, where each came from, and what was wrong; `failures` are places without a file."""

    answers: Answers
    origins: Dict[str, str]
    mistakes: Tuple[str, ...]
    failures: Tuple[str, ...]


def find(effects: Effects, machine: Machine, parts: Parts, path: Optional[str] = None) -> Found:
    """All answers that there are for this machine; `path` is the file that somebody named."""
    answers: Answers = {}
    origins: Dict[str, str] = {}
    mistakes: List[str] = []
    failures: List[str] = []
    definition = DEFINITION if effects.exists(DEFINITION) else None
    for place in (_stick(effects), kernel_argument(effects), definition, path):
        if place is None:
            continue
        try:
            data = _read(place, effects)
        except OSError as error:
            failures.append(f"{place}: {error.strerror or error}")
            continue
        own, wrong = _own(data, machine, parts)
        mistakes += [mistake.at(place) for mistake in wrong]
        answers.update(own)
        origins.update(dict.fromkeys(own, place))
    return Found(answers, origins, tuple(mistakes), tuple(failures))


def _own(data: bytes, machine: Machine, parts: Parts) -> Tuple[Answers, Tuple[Mistake, ...]]:
    file = parse(data, parts.rule_of, parts.known_keys())
    if file.mistakes:
        return {}, file.mistakes
    return merged(file.sections, [port.mac for port in machine.ports], machine.serial, machine.hostname)


def kernel_argument(effects: Effects) -> Optional[str]:
    """What the kernel command line names: that of this start, or that of the installation."""
    for path in ("/proc/cmdline", REMEMBERED_ARGUMENT):
        for word in (effects.read(path) or "").split():
            if word.startswith(ARGUMENT) and len(word) > len(ARGUMENT):
                return word[len(ARGUMENT) :]
    return None


def _stick(effects: Effects) -> Optional[str]:
    return f"hd:LABEL={STICK_LABEL}:{STICK_FILE}" if effects.exists(_device(STICK_LABEL)) else None


def _device(label: str) -> str:
    return f"{LABELS}/{label}"


def _read(place: str, effects: Effects) -> bytes:
    """The bytes at a place: a path, an http:// or https:// address, or hd:LABEL=NAME:/PATH. Raises OSError."""
    if re.match(r"https?://[!-~]+\Z", place):
        return effects.fetch(place, SIZE_LIMIT, _FETCH_TIMEOUT)
    medium = re.match(r"hd:LABEL=([A-Za-z0-9_.-]{1,64}):(/[A-Za-z0-9_./-]{1,200})\Z", place)
    if medium:
        return _on_medium(medium.group(1), medium.group(2), effects)
    if not place.startswith("/"):
        raise OSError(f"{shown(place)} is neither a path, nor an http(s) address, nor hd:LABEL=NAME:/PATH")
    return _file(place, effects)


def _file(place: str, effects: Effects) -> bytes:
    if not os.path.isfile(effects.path(place)):
        raise OSError("there is no such file")
    data = effects.read_bytes(place, SIZE_LIMIT)
    if data is None:
        raise OSError("it cannot be read")
    return data


def _on_medium(label: str, path: str, effects: Effects) -> bytes:
    """A file on a medium, which is mounted for the moment of reading it."""
    device = _device(label)
    if not effects.exists(device):
        raise OSError(f"no medium is labelled {label}")
    effects.make_folder(_MOUNT_POINT)
    options = "ro,nosuid,nodev,noexec"
    mounted = effects.run("mount", "-o", options, device, _MOUNT_POINT, timeout=60)
    if mounted.code:
        raise OSError(f"it cannot be mounted: {shown(mounted.output.strip())}")
    try:
        place = os.path.realpath(effects.path(_MOUNT_POINT + path))
        if not place.startswith(os.path.realpath(effects.path(_MOUNT_POINT)) + "/"):
            raise OSError(f"{path} leads out of the medium")
        return _file(_MOUNT_POINT + path, effects)
    finally:
        effects.run("umount", _MOUNT_POINT, timeout=60)
