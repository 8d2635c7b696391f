"""A mirror with a repository of the size of a distribution's, 1,200 packages of it real, and a definition for it.

Beside it lie the practice mirror's own repositories and its installer's tree.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.bench.content import sizes
from tests.bench.measuring import Size
from tests.bench.metadata import Written, make_repository
from tests.practice.mirror import ensure_mirror, write_demo
from tests.practice.rpms import Rpm, build_rpms
from tests.practice.signing import new_signer

_PACKAGES = 1_200
_BYTES = 1_300_000_000
_LISTED = 18_000
_EPOCH = 1_700_000_000
_KICKSTART = """\
{% extends "base.ks.j2" %}
{% block commands %}
rootpw --lock
{% endblock %}
{% block packages %}
@core
NAMES
{% endblock %}
"""


@dataclass(frozen=True)
class World:
    """`mirror` is what a server serves, `names` the real packages of its repository `bench`."""

    mirror: Path
    names: tuple[str, ...]
    fingerprint: str

    def define(self, folder: Path, address: str) -> Path:
        """Write a definition into `folder` for the mirror at `address`: the demo's, and a role that has it all."""
        definition = write_demo(folder, address, ensure_mirror())
        (folder / "bench.ks.j2").write_text(_KICKSTART.replace("NAMES", "\n".join(self.names)))
        text = definition.read_text() + (
            '\n[role.bench]\nkickstart = "bench.ks.j2"\ntitle = "Bench"\n'
            f'\n[[repository]]\nid = "bench"\nbaseurl = "{address}/bench/"\ngpgkey = "{address}/bench/KEY"\n'
            f'fingerprint = ["{self.fingerprint}"]\n'
        )
        definition.write_text(text)
        return definition


@dataclass
class Bench:
    """What a row works with: a folder of its own below `root`, how much to measure, and a world, made when needed."""

    root: Path
    size: Size

    def folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir()
        return folder

    @cached_property
    def world(self) -> World:
        """The mirror, made once for all rows (two minutes at the full size)."""
        return make_world(self.folder("world"), self.size)


def make_world(folder: Path, size: Size) -> World:
    """Make the mirror in the empty `folder`."""
    mirror = folder / "mirror"
    mirror.mkdir()
    for name in ("os", "extras", "eucalyptus"):
        (mirror / name).symlink_to(ensure_mirror() / name)
    bench = mirror / "bench"
    packages = bench / "Packages"
    packages.mkdir(parents=True)
    count = size.of(_PACKAGES, 12)
    names = tuple(f"bench-real{number:04}" for number in range(count))
    with new_signer() as signer:
        _make_rpms(names, sizes(count, size.of(_BYTES, 3_000_000)), folder, packages)
        for some in _slices(sorted(packages.iterdir()), 200):
            signer.sign_rpms(some)
        (bench / "KEY").write_text(signer.public_key)
        fingerprint = signer.fingerprint
    make_repository(bench, "bench", size.of(_LISTED - _PACKAGES, 350), real=_dumped(packages))
    return World(mirror, names, fingerprint)


def _make_rpms(names: Sequence[str], wanted: Sequence[int], folder: Path, output: Path) -> None:
    tree, scratch = folder / "tree", folder / "scratch"
    scratch.mkdir()
    rpms = []
    for name, size in zip(names, wanted, strict=True):
        path = f"/opt/bench/{name}/data"
        target = tree / path[1:]
        target.parent.mkdir(parents=True)
        with target.open("wb") as file:
            for start in range(0, size, 1 << 20):
                file.write(os.urandom(min(1 << 20, size - start)))
        (target.parent / "notes").write_text(f"{name}\n")
        os.utime(target, (_EPOCH, _EPOCH))
        rpms.append(Rpm(name, "1", f"A package of the bench, {name}", files=(path, f"/opt/bench/{name}/notes")))
    (tree / "etc").mkdir()
    build_rpms(rpms, tree, output, scratch, _EPOCH)
    shutil.rmtree(tree)
    shutil.rmtree(scratch)


def _dumped(packages: Path) -> Iterator[Written]:
    """What metadata says of real packages."""
    import createrepo_c

    for path in sorted(packages.iterdir()):
        package = createrepo_c.package_from_rpm(
            str(path), checksum_type=createrepo_c.SHA256, location_href=f"Packages/{path.name}", changelog_limit=10
        )
        package.time_file = _EPOCH
        yield Written(createrepo_c.xml_dump_primary(package), createrepo_c.xml_dump_filelists(package))


def _slices(paths: Sequence[Path], count: int) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), count):
        yield paths[start : start + count]


def isobuilder(*words: str | Path) -> list[str | Path]:
    """The command line of the product."""
    return [sys.executable, "-m", "isobuilder", *words]
