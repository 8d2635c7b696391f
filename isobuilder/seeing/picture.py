"""What a picture of a boot menu is. How it is taken, `pictures.py` knows, which needs all that starts machines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Firmware = Literal["bios", "uefi"]


@dataclass(frozen=True)
class Picture:
    """The screen of a machine with `firmware`, as a PNG; `accelerator` is kvm or tcg."""

    firmware: Firmware
    png: bytes
    accelerator: Literal["kvm", "tcg"]


# A picture for each firmware, or the reason that there is none.
Pictures = Mapping[Firmware, Picture | str]
