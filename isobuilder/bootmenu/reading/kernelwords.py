r"""What a kernel line tells the installer: its words, and the places that they name (`hd:LABEL=X:/ks.cfg`).

Facts: Anaconda's dracut scripts (parse-anaconda-options.sh, anaconda-lib.sh) of 7 to 10 and loader.c of 6; udev writes
what is no plain character of a label as \xNN.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

_MOST_BEHIND: Final = 8
_NETWORK: Final = re.compile(r"(?:https?|ftp|nfs[0-9]*|nfsiso|bd|ssl|tftp|auto)(?::|$)", re.IGNORECASE)
_LABEL: Final = re.compile(r"(?:CDLABEL=|LABEL=|/dev/disk/by-label/)(.*)", re.DOTALL)
_UUID: Final = re.compile(r"(?:UUID=|/dev/disk/by-uuid/)(.*)", re.DOTALL)


@dataclass(frozen=True)
class KernelWord:
    """One word of a kernel line; `name` is without "inst.", `prefixed` whether it had that.

    `behind` are some words that follow it, up to the next one with an equals sign.
    """

    text: str
    name: str
    value: str
    prefixed: bool
    behind: tuple[str, ...] = ()


@dataclass(frozen=True)
class Location:
    """Where something is: a device by its label or UUID, an optical drive, another disk, the network, the initrd.

    `label` is as it stands there, escapes and all; `path` is without a slash in front, None when there is none.
    """

    label: str | None = None
    uuid: str | None = None
    kind: Literal["labelled", "optical", "disk", "network", "initrd", "other"] = "other"
    path: str | None = None


def kernel_words(arguments: str) -> Iterator[KernelWord]:
    """The words of a line; blanks between double quotes part none."""
    texts = [word.replace('"', "") for word in re.findall(r'(?:"[^"]*"?|[^\s"])+', arguments)]
    for number, text in enumerate(texts):
        name, _, value = text.partition("=")
        behind: list[str] = []
        for other in texts[number + 1 : number + 1 + _MOST_BEHIND]:
            if "=" in other or other.startswith("inst."):
                break
            behind.append(other)
        yield KernelWord(text, name.removeprefix("inst."), value, name.startswith("inst."), tuple(behind))


def locate(value: str, label: str) -> Location:
    """The place that the value of a word names; `label` is the medium's, escaped, since one may hold a colon."""
    if value.startswith(("live:", "hd:")):
        return _on_device(value.partition(":")[2], label)
    if _LABEL.match(value) or _UUID.match(value):
        return _on_device(value, label)
    if value == "cdrom" or value.startswith("cdrom:"):
        device, _, path = value.removeprefix("cdrom").removeprefix(":").rpartition(":")
        del device
        return Location(kind="optical", path=path.lstrip("/") or None)
    if value.startswith(("file:", "path:")):
        path = re.sub(r"^/*", "", value.partition(":")[2])
        return Location(kind="initrd", path=path)
    return Location(kind="network" if _NETWORK.match(value) else "other")


def _on_device(text: str, label: str) -> Location:
    if found := _LABEL.match(text):
        rest = found[1]
        if rest == label or rest.startswith(f"{label}:"):
            return Location(label=label, kind="labelled", path=rest[len(label) + 1 :].lstrip("/") or None)
        named, _, path = rest.partition(":")
        return Location(label=named, kind="labelled", path=path.lstrip("/") or None)
    if found := _UUID.match(text):
        named, _, path = found[1].partition(":")
        return Location(uuid=named, kind="labelled", path=path.lstrip("/") or None)
    return Location(kind="disk", path=text.partition(":")[2].lstrip("/") or None)
