"""The files of an EFI image as mtools sees them: an independent reader."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from isobuilder.verify.medium import Unreadable


@dataclass(frozen=True)
class MtoolsEsp:
    image: Path

    @property
    def files(self) -> tuple[str, ...]:
        done = subprocess.run(
            ["mdir", "-/", "-b", "-i", self.image, "::"], capture_output=True, text=True, check=True, timeout=60
        )
        return tuple(line.removeprefix("::/") for line in done.stdout.splitlines() if not line.endswith("/"))

    def read(self, path: str, *, limit: int) -> bytes:
        done = subprocess.run(["mtype", "-i", self.image, f"::/{path}"], capture_output=True, check=False, timeout=60)
        if done.returncode or len(done.stdout) > limit:
            raise Unreadable("it cannot be read")
        return done.stdout
