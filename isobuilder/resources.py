"""Where the data folders that ship with isobuilder lie, in a checkout and in an installed package alike."""

from pathlib import Path
from typing import Literal

from isobuilder.errors import HostError


def data_folder(name: Literal["kickstarts", "menus"], *, package: Path = Path(__file__).parent) -> Path:
    """The folder `name`: inside the package when that was built, beside it in a checkout or an editable install.

    Raises HostError when it is in neither place: the installation is damaged.
    """
    for folder in (package / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise HostError(f"isobuilder's own folder {name} is missing beside {package}", hint="Install isobuilder again.")
