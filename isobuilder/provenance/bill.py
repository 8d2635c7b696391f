"""The bill of materials of a medium, as SPDX 2.3 in JSON: what is on it, from where, by whom, under which licence.

Where a fact is not known it says NOASSERTION. Nothing is of the moment: the document's time is that of the medium, and
its namespace comes from what it says, so that equal media have equal bills. See the SPDX specification 2.3 for the
fields, and the package-url specification for the type rpm.
"""

import datetime as dt
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import quote, urljoin

from license_expression import ExpressionError, get_spdx_licensing
from pydantic_core import to_json

from isobuilder import __version__
from isobuilder.lock import BootFile, File, Lock, LockedRepository, Package
from isobuilder.releases import Release
from isobuilder.repository.pieces import Piece
from isobuilder.trust.signatures import Signer

UNKNOWN: Final = "NOASSERTION"
_PUBLIC: Final = re.compile(r"https?://[a-z0-9]+(?:[.-][a-z0-9]+)*\.[a-z]{2,5}(?::[0-9]{1,5})?/[!-~]*", re.IGNORECASE)
_MEDIUM: Final = "SPDXRef-Medium"
# A fixed name for what namespaces are made from.
_FAMILY: Final = uuid.UUID("6f0b0a52-6d1c-5f6e-9a55-2b8a4f0d7c11")


@dataclass(frozen=True)
class Told:
    """What the metadata of a repository says of a package, "" where it says nothing: none of it is believed."""

    licence: str
    vendor: str
    home: str

    @classmethod
    def of(cls, piece: Piece) -> Self:
        return cls(*map(_plain, (piece.licence, piece.vendor, piece.home)))


def bill_of_materials(
    lock: Lock, release: Release, signers: Mapping[str, Signer], told: Mapping[str, Told], *, name: str
) -> bytes:
    """The bill of the medium `name` (NAME-RELEASE-ARCH); `signers` and `told` are of packages, by their sha256."""
    licences = _Licences()
    repositories = {repository.id: repository for repository in lock.repositories}
    own = {
        repository.id
        for repository in (*release.repository, *(r for arch in release.arch.values() for r in arch.repository))
    }
    packages = [
        _package(
            package,
            repositories[package.repository],
            release,
            signers,
            told,
            licences,
            is_of_release=package.repository in own,
        )
        for package in lock.packages
        if package.roles
    ]
    boot = [_boot(boot, lock) for boot in lock.boot]
    created = dt.datetime.fromtimestamp(lock.epoch, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "creationInfo": {"created": created, "creators": [f"Tool: isobuilder-{__version__}"]},
        "packages": [_medium(lock, name), *packages, *boot],
        "hasExtractedLicensingInfos": licences.extracted(),
        "relationships": [
            _relationship("SPDXRef-DOCUMENT", "DESCRIBES", _MEDIUM),
            *(_relationship(_MEDIUM, "CONTAINS", each["SPDXID"]) for each in (*packages, *boot)),
        ],
    }
    said = json.dumps(document, sort_keys=True).encode()
    document["documentNamespace"] = f"urn:uuid:{uuid.uuid5(_FAMILY, hashlib.sha256(said).hexdigest())}"
    return to_json(document, indent=1) + b"\n"


class _Licences:
    """Licences as SPDX wants them: what is an expression of its own list as it stands, all else by reference."""

    def __init__(self) -> None:
        self._spdx = get_spdx_licensing()
        self._references: dict[str, str] = {}
        self._expressions = {""}

    def said(self, declared: str) -> str:
        if declared not in self._references and declared not in self._expressions:
            if self._is_expression(declared):
                self._expressions.add(declared)
            else:
                self._references[declared] = f"LicenseRef-{hashlib.sha256(declared.encode()).hexdigest()[:16]}"
        return self._references.get(declared, declared) or UNKNOWN

    def extracted(self) -> list[dict[str, str]]:
        return [
            {"licenseId": reference, "name": declared, "extractedText": declared}
            for declared, reference in sorted(self._references.items(), key=lambda pair: pair[1])
        ]

    def _is_expression(self, declared: str) -> bool:
        try:
            # Its own spelling, too: validators know no other.
            return str(self._spdx.parse(declared, validate=True, strict=True)) == declared
        except ExpressionError:
            return False


def _medium(lock: Lock, name: str) -> dict[str, Any]:
    return {
        "SPDXID": _MEDIUM,
        "name": name,
        "packageFileName": f"{name}.iso",
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "primaryPackagePurpose": "INSTALL",
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "comment": f"An installer of {lock.release} for {lock.arch}, volume id {lock.volume_id}.",
    }


def _package(
    package: Package,
    repository: LockedRepository,
    release: Release,
    signers: Mapping[str, Signer],
    told: Mapping[str, Told],
    licences: _Licences,
    *,
    is_of_release: bool,
) -> dict[str, Any]:
    said = told.get(package.file.sha256, Told("", "", ""))
    signer = signers.get(package.file.sha256)
    signed = f"signed by the key {signer.fingerprint}" if signer else "signed by nobody"
    return {
        "SPDXID": f"SPDXRef-Package-{_id(package.name)}-{package.file.sha256[:16]}",
        "name": package.name,
        "versionInfo": package.evr,
        "packageFileName": package.path,
        "supplier": f"Organization: {said.vendor}" if said.vendor else UNKNOWN,
        "downloadLocation": _address(repository, package),
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": package.file.sha256}],
        **({"homepage": said.home} if re.fullmatch(r"https?://[!-~]+", said.home) else {}),
        "sourceInfo": f"{package.nevra}, from the repository {repository.id}, {signed}",
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": licences.said(said.licence),
        "copyrightText": UNKNOWN,
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package_url(package, release, is_of_release=is_of_release),
            }
        ],
    }


def package_url(package: Package, release: Release, *, is_of_release: bool) -> str:
    """The package's purl; its namespace, a vendor's, is known for packages of the release's own repositories."""
    epoch, _, version = package.evr.partition(":")
    namespace = f"{quote(release.short.lower(), safe='')}/" if is_of_release else ""
    qualifiers = {"arch": package.arch, "distro": release.id, **({"epoch": epoch} if epoch != "0" else {})}
    told = "&".join(f"{key}={quote(value, safe=':')}" for key, value in qualifiers.items())
    return f"pkg:rpm/{namespace}{quote(package.name, safe='')}@{quote(version, safe=':')}?{told}"


def _boot(boot: BootFile, lock: Lock) -> dict[str, Any]:
    """A file that boots, or what it is taken out of: a package, or an ISO of the tree."""
    source = next((p.nevra for p in lock.packages if p.file.sha256 == boot.file.sha256), "the installer's tree")
    taken = f"{boot.member} out of " if boot.member else ""
    digest = hashlib.sha256(f"{boot.path} {boot.member} {boot.file.sha256}".encode()).hexdigest()
    # The checksum is that of what it is taken out of.
    sums = [] if boot.member else [{"algorithm": "SHA256", "checksumValue": boot.file.sha256}]
    return {
        "SPDXID": f"SPDXRef-Boot-{_id(boot.path)}-{digest[:16]}",
        "name": boot.path,
        "packageFileName": boot.path,
        "downloadLocation": _public(boot.file.url) if isinstance(boot.file, File) else UNKNOWN,
        "filesAnalyzed": False,
        **({"checksums": sums} if sums else {}),
        "primaryPackagePurpose": "FILE",
        "sourceInfo": f"{taken}{source}, sha256 {boot.file.sha256}, vouched for by: {boot.vouched_by}",
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
    }


def _address(repository: LockedRepository, package: Package) -> str:
    """Where it comes from, the best mirror's address."""
    return _public(urljoin(repository.baseurl[0], package.file.path)) if repository.baseurl else UNKNOWN


def _public(address: str) -> str:
    """An address that is one everywhere: no path of some machine, and no bare number or name of a site's network.

    The official validator takes no others.
    """
    return address if _PUBLIC.fullmatch(address) else UNKNOWN


def _relationship(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _id(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", name)


def _plain(text: str | None) -> str:
    """One line of what metadata says."""
    return " ".join((text or "").split())
