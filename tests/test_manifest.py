"""The manifest beside the demo's ISO, held against the medium, the lock, and what rpm says of the packages."""

import hashlib
import json
import subprocess
from typing import Any

import pytest

from isobuilder.errors import MediumError
from isobuilder.lock import read_lock
from isobuilder.manifest import Manifest, ManifestBeside
from isobuilder.provenance.carried import MANIFEST
from tests.conftest import Demo

pytestmark = pytest.mark.practice


@pytest.fixture(scope="module")
def manifest(demo: Demo) -> Any:
    return json.loads((demo.folder / "practice-cloud-practice-x86_64.manifest.json").read_text())


def on_medium(demo: Demo, *paths: str) -> dict[str, str]:
    """The sha256 of files on the medium, as bsdtar reads them."""
    found = {}
    for path in paths:
        data = subprocess.run(["bsdtar", "-xOf", demo.iso, path], check=True, capture_output=True).stdout
        found[path] = hashlib.sha256(data).hexdigest()
    return found


def test_it_is_of_this_image_and_this_lock(demo: Demo, manifest: Any) -> None:
    assert manifest["iso"]["file"] == demo.iso.name
    assert manifest["iso"]["size"] == demo.iso.stat().st_size
    assert manifest["iso"]["sha256"] == hashlib.sha256(demo.iso.read_bytes()).hexdigest()
    assert manifest["lock"]["sha256"] == hashlib.sha256(demo.lock.read_bytes()).hexdigest()
    assert manifest["made-with"] == json.loads(demo.lock.read_text())["made-with"]
    assert str(demo.folder) not in json.dumps(manifest)


def test_every_package_has_the_key_that_rpm_says_signed_it(demo: Demo, manifest: Any) -> None:
    lock = read_lock(demo.lock)
    assert lock
    assert [package["nevra"] for package in manifest["packages"]] == [package.nevra for package in lock.packages]
    paths = [demo.cache / "sha256" / one["sha256"][:2] / one["sha256"] for one in manifest["packages"]]
    form = "%{name}-%{epochnum}:%{version}-%{release}.%{arch} %{RSAHEADER:pgpsig}\n"
    said = subprocess.run(["rpm", "-qp", "--nosignature", "--qf", form, *paths], check=True, capture_output=True)
    lines = dict(line.split(" ", 1) for line in said.stdout.decode().splitlines())
    for package in manifest["packages"]:
        words = lines[package["nevra"]]
        signature = package["signature"]
        if package["repository"] == "isobuilder":
            # Made here, and signed by nobody: so says rpm, and so does the manifest.
            assert (signature, words) == (None, "(none)")
            continue
        assert words.startswith(f"{signature['algorithm'].upper()}/{signature['digest'].upper()}, ")
        assert words.endswith(f"Key ID {signature['key'][-16:].lower()}")
        assert signature["fingerprint"] in lock.repositories[0].fingerprints


def test_every_file_of_the_medium_is_in_it(demo: Demo, manifest: Any) -> None:
    boot = {path: sha256 for one in manifest["boot"] for path, sha256 in one["files"].items()}
    packages = {one["path"]: one["sha256"] for one in manifest["packages"] if one["path"]}
    named = boot | packages | manifest["other-files"]
    done = subprocess.run(["bsdtar", "-tvf", demo.iso], check=True, capture_output=True, text=True)
    listed = {line.split()[-1] for line in done.stdout.splitlines() if not line.startswith("d")}
    # The boot catalog and the master boot record are made by the image's writer; the manifest there cannot name itself.
    assert listed - named.keys() == {"isolinux/boot.cat", "isobuilder/manifest.json"}
    assert named.keys() - listed == {"mbr"}
    some = ["images/pxeboot/vmlinuz", ".treeinfo", "ks/minimal.cfg", min(packages)]
    assert on_medium(demo, *some) == {path: named[path] for path in some}


def test_what_is_written_is_read_and_nothing_is_lost(demo: Demo) -> None:
    beside = (demo.folder / "practice-cloud-practice-x86_64.manifest.json").read_bytes()
    carried = subprocess.run(["bsdtar", "-xOf", demo.iso, MANIFEST], check=True, capture_output=True).stdout
    assert ManifestBeside.parse(beside, where="beside").dump() == beside
    on_it = Manifest.parse(carried, where="on it")
    # Behind it there are blanks: how long it will be must be known before who signed the packages is.
    assert on_it.dump() == carried.rstrip() + b"\n"
    some = ["images/pxeboot/vmlinuz", "ks/minimal.cfg", on_it.packages[0].path or ""]
    assert on_medium(demo, *some) == {path: on_it.digests[path] for path in some}
    # That on the medium does not name the image.
    with pytest.raises(MediumError, match="this is no manifest of a medium"):
        ManifestBeside.parse(carried, where="on it")


def test_who_vouches_for_what_boots(manifest: Any) -> None:
    boot = {one["path"]: one for one in manifest["boot"]}
    assert boot["images/pxeboot/vmlinuz"]["vouched-by"] == "treeinfo"
    assert boot["EFI/BOOT/BOOTX64.EFI"]["vouched-by"] == "nobody"
    assert (boot["mbr"]["vouched-by"], boot["mbr"]["member"]) == ("package", "/usr/share/syslinux/isohdpfx.bin")
    assert boot["mbr"]["package"].startswith("syslinux-0:")
    trust = {one["id"]: (one["trust"], one["repomd-sha256"]) for one in manifest["repositories"]}
    assert trust["isobuilder"] == ("built-in", None)
    assert trust["baseos"][0] == "signed"
    signers = {one["id"]: one["repomd-signer"] for one in manifest["repositories"]}
    assert signers["extras"] is None
    assert signers["baseos"] == manifest["packages"][0]["signature"]["fingerprint"]
