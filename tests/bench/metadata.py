"""Repositories in metadata only, of the shape that those of a distribution have: written as XML, the same every time.

A core that much requires, libraries by their sonames, clusters that require each other, files that only filelists have,
rich dependencies, and older versions of some packages.
"""

import gzip
import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_CORE = 300
_CLUSTER = 40
_FILES = 110
_COMMON = "http://linux.duke.edu/metadata"


@dataclass(frozen=True)
class Made:
    """A repository's folder, its files by kind, and the names of its packages, the core's first."""

    folder: Path
    files: Mapping[str, Path]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """What primary and filelists say of a package that is there, as XML."""

    primary: str
    filelists: str


@dataclass(frozen=True)
class _Package:
    name: str
    version: str
    arch: str
    requires: tuple[str, ...]
    provides: tuple[str, ...]
    obsoletes: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def pkgid(self) -> str:
        return hashlib.sha256(f"{self.name}-{self.version}.{self.arch}".encode()).hexdigest()


def make_repository(
    folder: Path,
    prefix: str,
    count: int,
    *,
    core: Sequence[str] = (),
    files: int = _FILES,
    seed: int = 1,
    real: Iterable[Written] = (),
) -> Made:
    """`count` packages whose names begin with `prefix`, each with some `files`, and those of `real`.

    They may require packages of `core`, which another repository has.
    """
    (folder / "repodata").mkdir(parents=True)
    there = list(real)
    made = list(_packages(prefix, count, core, files, random.Random(seed)))
    paths = {
        "primary": _write(folder, "primary", _primary(made, there)),
        "filelists": _write(folder, "filelists", _filelists(made, there)),
        "group": _write(folder, "comps", _comps(prefix, made)),
    }
    (folder / "repodata/repomd.xml").write_text(_repomd(paths))
    return Made(folder, paths, tuple(dict.fromkeys(package.name for package in made)))


def _packages(prefix: str, count: int, core: Sequence[str], files: int, generator: random.Random) -> Iterator[_Package]:
    names = [f"{prefix}-{'lib' if number % 3 == 0 else 'tool'}{number:05}" for number in range(count)]
    for number, name in enumerate(names):
        requires = {f"{names[int(number * generator.random() ** 3) % _CORE]}" for _ in range(4) if number}
        if number > _CORE:
            first = number - number % _CLUSTER
            requires |= {names[generator.randrange(first, number)] for _ in range(2) if number > first}
            library = names[3 * generator.randrange(_CORE // 3)]
            requires.add(f"{library}.so.1()(64bit)")
        if core and generator.random() < 0.5:
            requires.add(core[int(len(core) * generator.random() ** 2)])
        if number > _CORE and generator.random() < 0.05:
            # Of these, primary says nothing.
            requires.add(_data(names[generator.randrange(_CORE)], 3))
        if number > _CORE and generator.random() < 0.3:
            requires.add(f"/usr/bin/{names[generator.randrange(_CORE)]}")
        if number > 2 * _CORE and generator.random() < 0.01:
            one, other = names[generator.randrange(_CORE)], names[generator.randrange(_CORE)]
            requires.add(f"({one} if {other})")
        own = (f"/usr/bin/{name}", f"/etc/{name}.conf")
        listed = own + tuple(_data(name, index) for index in range(generator.randrange(5, 2 * files)))
        obsoletes = (f"{name}-old",) if generator.random() < 0.1 else ()
        provides = (f"{name}.so.1()(64bit)",) if number % 3 == 0 else ()
        versions = ("1.0", "1.1") if generator.random() < 0.1 else ("1.1",)
        for version in versions:
            yield _Package(name, version, "x86_64", tuple(sorted(requires - {name})), provides, obsoletes, listed)


def _data(name: str, index: int) -> str:
    """A path as long as those of packages are, which only filelists have."""
    return f"/usr/share/{name}/locale/l{index % 40:02}/LC_MESSAGES/{name}-data{index:04}.mo"


def _primary(packages: Sequence[_Package], real: Sequence[Written]) -> Iterator[str]:
    yield (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="{_COMMON}/common" xmlns:rpm="{_COMMON}/rpm" '
        f'packages="{len(packages) + len(real)}">\n'
    )
    for package in packages:
        version = f'epoch="0" ver="{package.version}" rel="1.el9"'
        own = f'<rpm:entry name="{package.name}" flags="EQ" {version}/>'
        provides = "".join(f'    <rpm:entry name="{one}"/>\n' for one in package.provides)
        requires = "".join(f'    <rpm:entry name="{one}"/>\n' for one in package.requires)
        obsoletes = "".join(f'    <rpm:entry name="{one}" flags="LT" {version}/>\n' for one in package.obsoletes)
        files = "".join(f"    <file>{one}</file>\n" for one in package.files[:2])
        size = 20_000 + int(package.pkgid[:5], 16)
        yield f"""<package type="rpm">
  <name>{package.name}</name>
  <arch>{package.arch}</arch>
  <version {version}/>
  <checksum type="sha256" pkgid="YES">{package.pkgid}</checksum>
  <summary>A package of the bench, {package.name}</summary>
  <description>It is in metadata only, and says as much about itself as packages do, so that this text has some length.
Twice as long, rather, since many packages say a good deal about what they are and what they are for.</description>
  <packager>Nobody &lt;nobody@example.org&gt;</packager>
  <url>https://example.org/{package.name}</url>
  <time file="1700000000" build="1700000000"/>
  <size package="{size}" installed="{3 * size}" archive="{3 * size + 100}"/>
  <location href="Packages/{package.name}-{package.version}-1.el9.{package.arch}.rpm"/>
  <format>
    <rpm:license>GPL-2.0-or-later</rpm:license>
    <rpm:vendor>Nobody</rpm:vendor>
    <rpm:group>Unspecified</rpm:group>
    <rpm:buildhost>localhost</rpm:buildhost>
    <rpm:sourcerpm>{package.name}-{package.version}-1.el9.src.rpm</rpm:sourcerpm>
    <rpm:header-range start="4504" end="{4504 + size // 10}"/>
    <rpm:provides>
    {own}
{provides}    </rpm:provides>
    <rpm:requires>
{requires}    </rpm:requires>
    <rpm:obsoletes>
{obsoletes}    </rpm:obsoletes>
{files}  </format>
</package>
"""
    yield from (package.primary for package in real)
    yield "</metadata>\n"


def _filelists(packages: Sequence[_Package], real: Sequence[Written]) -> Iterator[str]:
    yield (
        f'<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<filelists xmlns="{_COMMON}/filelists" packages="{len(packages) + len(real)}">\n'
    )
    for package in packages:
        files = "".join(f"  <file>{one}</file>\n" for one in package.files)
        yield (
            f'<package pkgid="{package.pkgid}" name="{package.name}" arch="{package.arch}">\n'
            f'  <version epoch="0" ver="{package.version}" rel="1.el9"/>\n{files}</package>\n'
        )
    yield from (package.filelists for package in real)
    yield "</filelists>\n"


def _comps(prefix: str, packages: Sequence[_Package]) -> Iterator[str]:
    members = "".join(
        f'<packagereq type="mandatory">{name}</packagereq>\n'
        for name in dict.fromkeys(package.name for package in packages[:40])
    )
    yield (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<comps><group><id>{prefix}-core</id><name>{prefix} core</name>'
        f"<description/><default>false</default><uservisible>true</uservisible>\n<packagelist>\n{members}"
        "</packagelist></group></comps>\n"
    )


def _write(folder: Path, name: str, texts: Iterator[str]) -> Path:
    path = folder / "repodata" / f"{name}.xml.gz"
    with gzip.GzipFile(path, "wb", compresslevel=4, mtime=0) as file:
        for text in texts:
            file.write(text.encode())
    return path


def _repomd(paths: Mapping[str, Path]) -> str:
    records = "".join(_record(kind, path) for kind, path in paths.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="{_COMMON}/repo">\n'
        f"<revision>1700000000</revision>\n{records}</repomd>\n"
    )


def _record(kind: str, path: Path) -> str:
    plain = hashlib.sha256()
    size = 0
    with gzip.open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            plain.update(chunk)
            size += len(chunk)
    return (
        f'<data type="{kind}"><checksum type="sha256">{hashlib.sha256(path.read_bytes()).hexdigest()}</checksum>'
        f'<open-checksum type="sha256">{plain.hexdigest()}</open-checksum>'
        f'<location href="repodata/{path.name}"/><timestamp>1700000000</timestamp>'
        f"<size>{path.stat().st_size}</size><open-size>{size}</open-size></data>\n"
    )
