"""The bill of materials: the official validator takes it, and it says what rpm and the lock say."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from isobuilder.lock import Lock, read_lock
from isobuilder.plan import make_plan
from isobuilder.provenance.bill import Told, bill_of_materials, package_url
from tests.conftest import Demo

pytestmark = pytest.mark.practice


@pytest.fixture(scope="module")
def path(demo: Demo) -> Path:
    return demo.folder / "practice-cloud-practice-x86_64.spdx.json"


@pytest.fixture(scope="module")
def bill(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def lock(demo: Demo) -> Lock:
    lock = read_lock(demo.lock)
    assert lock
    return lock


def complaints(path: Path) -> list[str]:
    return [message.validation_message for message in validate_full_spdx_document(parse_file(str(path)))]


def test_the_official_validator_takes_it(path: Path) -> None:
    assert complaints(path) == []


def test_the_validator_is_no_friend(path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "x.spdx.json"
    broken.write_text(path.read_text().replace("SPDXRef-Medium", "SPDXRef-Other", 1))
    assert complaints(broken)


def test_the_one_on_the_medium_is_the_one_beside_it(demo: Demo, path: Path) -> None:
    command = ["bsdtar", "-xOf", str(demo.iso), "isobuilder/sbom.spdx.json"]
    assert subprocess.run(command, check=True, capture_output=True).stdout == path.read_bytes()


def test_every_package_is_in_it_as_rpm_names_it(demo: Demo, bill: Any, lock: Lock) -> None:
    packages = {each["packageFileName"]: each for each in bill["packages"] if each["name"] and "externalRefs" in each}
    wanted = [package for package in lock.packages if package.roles]
    assert packages.keys() == {package.path for package in wanted}
    form = "%{name} %{epochnum}:%{version}-%{release} %{arch} %{license}\n"
    paths = [str(demo.cache / "sha256" / one.file.sha256[:2] / one.file.sha256) for one in wanted]
    said = subprocess.run(["rpm", "-qp", "--nosignature", "--qf", form, *paths], check=True, capture_output=True)
    texts = {each["licenseId"]: each["extractedText"] for each in bill["hasExtractedLicensingInfos"]}
    for package, line in zip(wanted, said.stdout.decode().splitlines(), strict=True):
        each = packages[package.path]
        name, evr, arch, licence = line.split(" ", 3)
        assert (each["name"], each["versionInfo"]) == (name, evr)
        assert texts.get(each["licenseDeclared"], each["licenseDeclared"]) == licence
        (sums,) = each["checksums"]
        data = (demo.cache / "sha256" / package.file.sha256[:2] / package.file.sha256).read_bytes()
        assert sums == {"algorithm": "SHA256", "checksumValue": hashlib.sha256(data).hexdigest()}
        assert f"from the repository {package.repository}, signed by " in each["sourceInfo"]
        (purl,) = [each["referenceLocator"] for each in each["externalRefs"]]
        assert purl.startswith("pkg:rpm/")
        assert f"arch={arch}" in purl


def test_signers_are_those_of_the_manifest(demo: Demo, bill: Any) -> None:
    manifest = json.loads((demo.folder / "practice-cloud-practice-x86_64.manifest.json").read_text())
    said = {each.get("packageFileName"): each.get("sourceInfo", "") for each in bill["packages"]}
    for package in (package for package in manifest["packages"] if package["path"]):
        signature = package["signature"]
        wanted = f"signed by the key {signature['fingerprint']}" if signature else "signed by nobody"
        assert said[package["path"]].endswith(wanted)


def test_what_metadata_says_becomes_valid_whatever_it_is(demo: Demo, lock: Lock, tmp_path: Path) -> None:
    plan = make_plan(demo.folder / "media.toml")
    words = [
        "GPLv2+ and (BSD or MIT)",
        "GPL-2.0-or-later AND MIT",
        "Public Domain",
        "",
        "AND",
        "LicenseRef-x",
        "mit",
        "(((",
    ]
    wanted = [package for package in lock.packages if package.roles]
    told = {
        package.file.sha256: Told(words[number % len(words)], "A vendor (x) <a@b> [é]", "javascript:alert(1)")
        for number, package in enumerate(wanted)
    }
    public = tuple(
        one.model_copy(update={"baseurl": ("https://mirror.example.org/9/os/",)}) if one.baseurl else one
        for one in lock.repositories
    )
    changed = lock.model_copy(update={"repositories": public})
    path = tmp_path / "x.spdx.json"
    path.write_bytes(bill_of_materials(changed, plan.release, {}, told, name="x"))
    assert complaints(path) == []
    bill = json.loads(path.read_text())
    declared = {each["licenseDeclared"] for each in bill["packages"]}
    assert "GPL-2.0-or-later AND MIT" in declared
    assert "NOASSERTION" in declared
    assert {each["extractedText"] for each in bill["hasExtractedLicensingInfos"]} == {
        word for word in words if word and word != "GPL-2.0-or-later AND MIT"
    }
    some = next(each for each in bill["packages"] if each["name"] == "bash")
    assert some["downloadLocation"].startswith("https://mirror.example.org/9/os/Packages/bash-")
    # Another content has another namespace, the same has the same.
    again = json.loads(bill_of_materials(changed, plan.release, {}, told, name="x"))
    assert again == bill
    other = json.loads(bill_of_materials(lock, plan.release, {}, told, name="x"))
    assert other["documentNamespace"] != bill["documentNamespace"]


def test_a_purl_has_its_escapes(demo: Demo, lock: Lock) -> None:
    release = make_plan(demo.folder / "media.toml").release
    some = lock.packages[0].model_copy(update={"nevra": "libstdc++-2:12~rc1^git-3.el9.x86_64"})
    wanted = "libstdc%2B%2B@12~rc1%5Egit-3.el9?arch=x86_64&distro=practice&epoch=2"
    assert package_url(some, release, is_of_release=True) == f"pkg:rpm/practice/{wanted}"
    assert package_url(some, release, is_of_release=False) == f"pkg:rpm/{wanted}"
