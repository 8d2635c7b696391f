"""What a medium says it is: .treeinfo, .discinfo and media.repo, against each other and against what lies there.

Read directly, and not by productmd: that refuses what stock media of 6 and 7 have, and tells the first mistake alone.
"""

import configparser
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium, Unreadable
from isobuilder.verify.sums import ALGORITHMS, Expected

_LIMIT: Final = 1 << 20
# What is in a tree and not on its media: pungi takes it out of .treeinfo, and 7 did not.
_NOT_ON_MEDIA: Final = "boot.iso"
# What a machine cannot start the installer without.
_NEEDED_IMAGES: Final = frozenset({"kernel", "initrd"})
_ARCHES: Final = {"i386": "i386", "i486": "i386", "i586": "i386", "i686": "i386", "amd64": "x86_64"}

TREEINFO_MISSING = Kind(
    "treeinfo-missing",
    "warning",
    "there is no .treeinfo, so that the installer has to guess what is on the medium",
    "Put the .treeinfo of the tree on the medium.",
)
TREEINFO_MALFORMED = Kind(
    "treeinfo-malformed",
    "error",
    ".treeinfo cannot be read, or lacks what an installer reads in it",
    "Take it from the release's tree, and change only what is other on this medium.",
)
TREEINFO_FILE = Kind(
    "treeinfo-file-missing",
    "error",
    ".treeinfo names a kernel, an initrd or a second stage that is not on the medium",
    "Put the file there, or correct .treeinfo.",
)
TREEINFO_IMAGE = Kind(
    "treeinfo-image-missing",
    "warning",
    ".treeinfo names a file that is not on the medium",
    "Put the file there, or take it out of .treeinfo.",
)
TREEINFO_SUM = Kind(
    "treeinfo-sum-differs",
    "error",
    "a file is not what .treeinfo says",
    "Take the file from the release's tree again; if it was changed on purpose, correct .treeinfo.",
)
TREEINFO_OTHER_SUM = Kind(
    "treeinfo-image-differs",
    "note",
    "a file that the installer does not need is not what .treeinfo says",
    "If it was changed on purpose (mkksiso changes efiboot.img), correct .treeinfo.",
)
TREEINFO_SUM_MALFORMED = Kind(
    "treeinfo-sum-malformed",
    "warning",
    ".treeinfo has a checksum that nobody can compare",
    "Write it as ALGORITHM:HEXADECIMAL, such as sha256:...",
)
TREEINFO_REPOSITORY = Kind(
    "treeinfo-repository-missing",
    "error",
    ".treeinfo names a repository that is not on the medium",
    "Correct its path in .treeinfo, or put the repository there.",
)
TREEINFO_VARIANT = Kind(
    "treeinfo-variant-missing",
    "warning",
    ".treeinfo names another repository besides, which is not on the medium",
    "Correct its path in .treeinfo, or take the variant out.",
)
DISCINFO_MISSING = Kind(
    "discinfo-missing",
    "error",
    "there is no .discinfo, so that the installer does not take the disc for one of its own",
    "Put a .discinfo on the medium: time, name, architecture, a line each.",
)
DISCINFO_MALFORMED = Kind(
    "discinfo-malformed",
    "error",
    ".discinfo is not three or four lines: time, name, architecture, discs",
    "Write it as the release's own media have it; the third line must be the architecture.",
)
ARCH_DIFFERS = Kind(
    "arch-differs",
    "error",
    "the medium says two things about its architecture",
    "The third line of .discinfo, .treeinfo and the loaders must be of one architecture.",
)
VERSION_DIFFERS = Kind(
    "version-differs",
    "warning",
    "the medium says two things about its release",
    "Take .treeinfo and .discinfo from the same tree.",
)
MEDIA_REPO = Kind(
    "media-repo-differs",
    "warning",
    "media.repo is not of this disc",
    "Its mediaid is the first line of .discinfo.",
)
MEDIA_REPO_MALFORMED = Kind(
    "media-repo-malformed",
    "warning",
    "media.repo cannot be read",
    "Write it as the release's own media have it: a section [InstallMedia] with name and mediaid.",
)
KINDS = (
    TREEINFO_MISSING,
    TREEINFO_MALFORMED,
    TREEINFO_FILE,
    TREEINFO_IMAGE,
    TREEINFO_SUM,
    TREEINFO_OTHER_SUM,
    TREEINFO_SUM_MALFORMED,
    TREEINFO_REPOSITORY,
    TREEINFO_VARIANT,
    DISCINFO_MISSING,
    DISCINFO_MALFORMED,
    ARCH_DIFFERS,
    VERSION_DIFFERS,
    MEDIA_REPO,
    MEDIA_REPO_MALFORMED,
)


@dataclass(frozen=True)
class Description:
    """What the medium says of itself: each "" where nothing does.

    `arch` is as loaders and packages call it ("x86_64"); `stage2` a path on the medium; `expected` are the checksums
    of .treeinfo.
    """

    findings: tuple[Finding, ...]
    family: str = ""
    version: str = ""
    arch: str = ""
    stage2: str = ""
    expected: tuple[Expected, ...] = ()


def describe(medium: Medium, repositories: frozenset[str]) -> Description:
    """Read what the medium says of itself; `repositories` are the folders ("" for the root) that hold one."""
    findings: list[Finding] = []
    disc = _discinfo(medium, findings)
    tree = _treeinfo(medium, findings, expected=bool(repositories))
    expected: list[Expected] = []
    if tree:
        findings += _missing_files(medium, tree)
        findings += _missing_repositories(tree, repositories)
        for found in _sums(medium, tree):
            if isinstance(found, Finding):
                findings.append(found)
            else:
                expected.append(found)
    arches = {said: arch for said, arch in ((".discinfo, line 3", disc.arch), (".treeinfo", _tree_arch(tree))) if arch}
    if len(set(arches.values())) > 1:
        findings.append(
            ARCH_DIFFERS.at(".discinfo, line 3", f"it says {disc.arch}, and .treeinfo {arches['.treeinfo']}")
        )
    findings += _media_repo(medium, disc)
    family = _first(tree, ("release", "name"), ("product", "name"), ("general", "family"))
    version = _first(tree, ("release", "version"), ("product", "version"), ("general", "version"))
    findings += _versions(family, version, disc.name)
    return Description(
        tuple(findings),
        family=family or disc.name,
        version=version or _version(disc.name),
        arch=next(iter(arches.values()), ""),
        stage2=_first(tree, ("stage2", "mainimage")),
        expected=tuple(expected),
    )


@dataclass(frozen=True)
class _Disc:
    time: str = ""
    name: str = ""
    arch: str = ""


_Tree = Mapping[str, Mapping[str, str]]


def _discinfo(medium: Medium, findings: list[Finding]) -> _Disc:
    if medium.find(".discinfo") is None:
        findings.append(DISCINFO_MISSING.at(".discinfo", "it is not on the medium"))
        return _Disc()
    text = _text(medium, ".discinfo", DISCINFO_MALFORMED, findings)
    if text is None:
        return _Disc()
    lines = text.splitlines()
    if len(lines) < 3:
        findings.append(DISCINFO_MALFORMED.at(".discinfo", f"it has {len(lines)} lines"))
        return _Disc()
    time, name, arch = (line.strip() for line in lines[:3])
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", time):
        findings.append(DISCINFO_MALFORMED.at(".discinfo, line 1", f"{time[:40]!r} is not a time in seconds"))
        time = ""
    if not re.fullmatch(r"[a-z0-9_]{3,16}", arch):
        findings.append(DISCINFO_MALFORMED.at(".discinfo, line 3", f"{arch[:40]!r} is not an architecture"))
        arch = ""
    return _Disc(time, name, _ARCHES.get(arch, arch))


def _treeinfo(medium: Medium, findings: list[Finding], *, expected: bool) -> _Tree | None:
    if medium.find(".treeinfo") is None:
        # A network installer has neither repository nor .treeinfo.
        if expected:
            findings.append(TREEINFO_MISSING.at(".treeinfo", "it is not on the medium"))
        return None
    text = _text(medium, ".treeinfo", TREEINFO_MALFORMED, findings)
    if text is None:
        return None
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # paths keep their case
    try:
        parser.read_string(text)
    except configparser.Error as error:
        findings.append(TREEINFO_MALFORMED.at(".treeinfo", " ".join(str(error).split())))
        return None
    tree = {name: dict(parser[name]) for name in parser.sections()}
    lacking = [name for name, keys in (("architecture", ("arch",)), ("version", ("version",))) if not _any(tree, keys)]
    findings += [TREEINFO_MALFORMED.at(".treeinfo", f"it has no {name}") for name in lacking]
    return tree


def _any(tree: _Tree, keys: tuple[str, ...]) -> bool:
    return any(tree.get(section, {}).get(key) for section in ("tree", "release", "product", "general") for key in keys)


def _tree_arch(tree: _Tree | None) -> str:
    arch = _first(tree, ("tree", "arch"), ("general", "arch"))
    return _ARCHES.get(arch, arch)


def _missing_files(medium: Medium, tree: _Tree) -> Iterator[Finding]:
    for section, values in tree.items():
        if section.startswith("images-"):
            for key, path in values.items():
                if key == _NOT_ON_MEDIA or medium.find(path):
                    continue
                kind = TREEINFO_FILE if key in _NEEDED_IMAGES else TREEINFO_IMAGE
                yield kind.at(".treeinfo", f"[{section}] {key}: {path} is not on the medium")
    for key, path in tree.get("stage2", {}).items():
        if path and not medium.find(path):
            kind = TREEINFO_FILE if key == "mainimage" else TREEINFO_IMAGE
            yield kind.at(".treeinfo", f"[stage2] {key}: {path} is not on the medium")


def _missing_repositories(tree: _Tree, there: frozenset[str]) -> Iterator[Finding]:
    """Those that .treeinfo names: where none of them is there, the installer finds no packages."""
    named = {
        f"[{section}] repository": _folder(values["repository"])
        for section, values in tree.items()
        if (section == "general" or section.startswith(("variant-", "addon-"))) and values.get("repository")
    }
    kind = TREEINFO_VARIANT if there.intersection(named.values()) else TREEINFO_REPOSITORY
    for place, folder in named.items():
        if folder not in there:
            yield kind.at(".treeinfo", f"{place}: {folder or '.'} holds no repodata/repomd.xml")


def _folder(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in {"", "."})


def _sums(medium: Medium, tree: _Tree) -> Iterator[Finding | Expected]:
    others = {
        path
        for section, values in tree.items()
        if section.startswith("images-")
        for key, path in values.items()
        if key not in _NEEDED_IMAGES
    }
    for path, said in tree.get("checksums", {}).items():
        algorithm, _, digest = said.rpartition(":")
        node = medium.find(path)
        if algorithm not in ALGORITHMS or not re.fullmatch(r"[0-9a-fA-F]{32,128}", digest):
            yield TREEINFO_SUM_MALFORMED.at(".treeinfo", f"[checksums] {path}: {said[:100]!r}")
        elif node is not None:
            kind = TREEINFO_OTHER_SUM if path in others else TREEINFO_SUM
            yield Expected(path, node, algorithm, digest, kind, ".treeinfo")
        elif not path.endswith(_NOT_ON_MEDIA):
            yield TREEINFO_IMAGE.at(".treeinfo", f"[checksums] {path} is not on the medium")


def _media_repo(medium: Medium, disc: _Disc) -> Iterator[Finding]:
    if medium.find("media.repo") is None:
        return
    findings: list[Finding] = []
    text = _text(medium, "media.repo", MEDIA_REPO_MALFORMED, findings)
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text or "")
    except configparser.Error as error:
        findings.append(MEDIA_REPO_MALFORMED.at("media.repo", " ".join(str(error).split())))
    if findings:
        yield from findings
        return
    if "InstallMedia" not in parser:
        yield MEDIA_REPO_MALFORMED.at("media.repo", "it has no section [InstallMedia]")
        return
    said = parser["InstallMedia"].get("mediaid", "")
    # Stock media of 8 say "None", and are taken all the same.
    if disc.time and re.fullmatch(r"[0-9.]+", said) and not _same_time(said, disc.time):
        yield MEDIA_REPO.at("media.repo", f"its mediaid is {said}, and .discinfo says {disc.time}")


def _versions(family: str, version: str, disc: str) -> Iterator[Finding]:
    """The numbers before the dot, where both are of one product: a vendor's disc may count as the vendor does."""
    is_same = bool(family) and disc.lower().startswith(family.lower())
    said = _version(disc) if is_same or re.fullmatch(r"[0-9.]+", disc) else ""
    if version and said and version.partition(".")[0] != said.partition(".")[0]:
        yield VERSION_DIFFERS.at(".discinfo, line 2", f"it says {disc}, and .treeinfo {version}")


def _same_time(one: str, other: str) -> bool:
    """Whether two texts are one number: some tools drop zeros at the end."""
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def _first(tree: _Tree | None, *keys: tuple[str, str]) -> str:
    return next((value for section, key in keys if tree and (value := tree.get(section, {}).get(key, ""))), "")


def _version(name: str) -> str:
    """The version at the end of a disc's name: "CentOS Stream 9", "7.3"."""
    match = re.search(r"([0-9]+(?:\.[0-9]+)*)(?:-stream)?$", name)
    return match[1] if match else ""


def _text(medium: Medium, path: str, kind: Kind, findings: list[Finding]) -> str | None:
    try:
        return medium.read(path, limit=_LIMIT).decode("utf-8")
    except (Unreadable, UnicodeDecodeError) as error:
        findings.append(kind.at(path, f"it cannot be read: {error}"))
        return None
