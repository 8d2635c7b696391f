"""The whole way, from the demo's definition to its ISO, judged by other people's programs."""

import hashlib
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from isobuilder.lock import LockedRepository, dump_lock, read_lock
from tests.conftest import Demo, isobuilder
from tests.practice.mirror import write_demo
from tests.practice.server import serve

pytestmark = pytest.mark.practice

ISO_NAME = "practice-cloud-practice-x86_64.iso"


def output(*command: str | Path, cwd: Path | None = None) -> str:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.fixture(scope="module")
def extracted(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The medium as bsdtar reads it, by Rock Ridge."""
    folder = tmp_path_factory.mktemp("extracted")
    output("bsdtar", "-xf", demo.iso, "-C", folder)
    return folder


@pytest.fixture
def again(demo: Demo, tmp_path: Path) -> Demo:
    """The demo's definition and lock in another folder, with the cache that is there."""
    for name in ("media.toml", "practice.toml", "rack-node.ks.j2", demo.lock.name):
        shutil.copy(demo.folder / name, tmp_path)
    shutil.copytree(demo.folder / "eucalyptus", tmp_path / "eucalyptus")
    return Demo(tmp_path, demo.cache, tmp_path / ISO_NAME, tmp_path / demo.lock.name, "")


def test_the_checksum_beside_it_is_for_sha256sum(demo: Demo) -> None:
    assert output("sha256sum", "--check", "--strict", f"{ISO_NAME}.sha256", cwd=demo.folder) == f"{ISO_NAME}: OK\n"


def test_it_boots_from_bios_and_uefi_by_its_records(demo: Demo) -> None:
    report = output("xorriso", "-indev", demo.iso, "-report_el_torito", "plain", "-report_system_area", "plain")
    images = [line for line in report.splitlines() if line.startswith("El Torito boot img :")]
    assert [line.split()[6] for line in images] == ["BIOS", "UEFI"]
    assert "GPT disk GUID" in report
    output("checkisomd5", demo.iso)


def test_every_file_reads_back_as_its_source(demo: Demo, extracted: Path, mirror: Path) -> None:
    lock = json.loads(demo.lock.read_text())
    packages = {Path(package["file"]["path"]).name: package for package in lock["packages"] if package["roles"]}
    assert {path.name for path in (extracted / "Packages").iterdir()} == set(packages)
    for name, package in packages.items():
        repository = {"baseos": "os"}.get(package["repository"], package["repository"])
        if repository == "isobuilder":
            # Made here; what it is made from, and that it is always the same, tests/test_package.py shows.
            continue
        source = (mirror / repository / "Packages" / name).read_bytes()
        assert (extracted / "Packages" / name).read_bytes() == source
        assert hashlib.sha256(source).hexdigest() == package["file"]["sha256"]
    for boot in lock["boot"]:
        if boot["member"] is None and boot["path"] != "isolinux/isolinux.bin":
            assert (extracted / boot["path"]).read_bytes() == (mirror / "os" / boot["path"]).read_bytes()
    loader = (mirror / "os/isolinux/isolinux.bin").read_bytes()
    patched = (extracted / "isolinux/isolinux.bin").read_bytes()
    assert (patched[:8], patched[64:]) == (loader[:8], loader[64:])


def test_all_menus_have_the_same_kernel_lines(demo: Demo, extracted: Path, tmp_path: Path) -> None:
    output("mcopy", "-i", extracted / "images/efiboot.img", "::/EFI/BOOT/grub.cfg", tmp_path)
    grub = (extracted / "EFI/BOOT/grub.cfg").read_text()
    assert (tmp_path / "grub.cfg").read_text() == grub
    isolinux = (extracted / "isolinux/isolinux.cfg").read_text()

    def arguments(text: str, command: str) -> set[str]:
        lines = (line.split() for line in text.splitlines())
        return {
            " ".join(word for word in words[1:] if "initrd" not in word and "vmlinuz" not in word)
            for words in lines
            if words and words[0] == command
        }

    found = arguments(isolinux, "append")
    # Only isolinux has a module that starts another disk.
    assert found == arguments(grub, "linux") | {"hd1 swap"}
    assert (
        "inst.stage2=hd:LABEL=PRACTICE-CLOUD-PRACTICE inst.ks=hd:LABEL=PRACTICE-CLOUD-PRACTICE:/ks/minimal.cfg"
        in str(found)
    )


@pytest.mark.parametrize("role", ["minimal", "rack-node"])
def test_dnf_installs_each_role_from_the_medium_alone(extracted: Path, tmp_path: Path, role: str) -> None:
    kickstart = (extracted / f"ks/{role}.cfg").read_text()
    section = kickstart.partition("%packages\n")[2].partition("%end")[0]
    names = [line for line in section.splitlines() if line and not line.startswith("#")]
    dnf = ["dnf", "--quiet", "--assumeyes", "--installroot", str(tmp_path / "root"), "--releasever=9", "--downloadonly"]
    dnf += [f"--repofrompath=medium,file://{extracted}", "--repo=medium", "--nogpgcheck"]
    output(*dnf, f"--setopt=cachedir={tmp_path}/cache", "install", *names, "kernel")


def test_the_installer_finds_the_medium_consistent(extracted: Path) -> None:
    treeinfo = (extracted / ".treeinfo").read_text()
    section = treeinfo.partition("[checksums]\n")[2].partition("\n\n")[0]
    sums = dict(line.split(" = sha256:") for line in section.splitlines())
    assert {"images/pxeboot/vmlinuz", "images/install.img", "images/efiboot.img", "repodata/repomd.xml"} <= set(sums)
    for path, sha256 in sums.items():
        assert hashlib.sha256((extracted / path).read_bytes()).hexdigest() == sha256
    assert (extracted / ".discinfo").read_text().splitlines()[2] == "x86_64"


def test_the_lock_says_why_each_package_is_there(demo: Demo) -> None:
    packages = {p["nevra"].rsplit("-", 2)[0]: p for p in json.loads(demo.lock.read_text())["packages"]}
    assert packages["rack-tools"]["roles"] == ["rack-node"]
    assert any("ks/rack-node.cfg" in reason for reason in packages["rack-tools"]["reasons"])
    assert packages["kernel"]["roles"] == ["nc", "frontend", "ciab", "image", "minimal", "rack-node"]
    assert packages["eucalyptus-nc"]["roles"] == ["nc", "ciab"]
    assert all(package["reasons"] for package in packages.values() if package["roles"])
    # Boot code is taken out of it, and the image asks for what requires it.
    assert packages["syslinux"]["roles"] == ["image"]


def test_the_same_lock_gives_the_same_bits_elsewhere_and_offline(again: Demo, demo: Demo) -> None:
    elsewhere = {"TZ": "Asia/Kolkata", "PYTHONHASHSEED": "7", "LC_ALL": "C", "http_proxy": "http://127.0.0.1:9"}
    done = isobuilder("build", "--cache-dir", str(again.cache), cwd=again.folder, **elsewhere)
    assert done.returncode == 0, done.stderr
    # Nothing was fetched: the proxy leads nowhere.
    assert "to fetch: 0 files, 0 bytes; in the cache: " in done.stderr
    assert again.iso.read_bytes() == demo.iso.read_bytes()


def test_making_the_lock_again_changes_nothing(again: Demo, demo: Demo) -> None:
    done = isobuilder("lock", "--update", "--cache-dir", str(again.cache), cwd=again.folder, TZ="America/Lima")
    assert done.returncode == 0, done.stderr
    assert again.lock.read_text() == demo.lock.read_text()
    assert "matches" in isobuilder("lock", cwd=again.folder).stdout


def test_another_definition_does_not_match_the_lock(again: Demo) -> None:
    (again.folder / "rack-node.ks.j2").write_text('{% extends "base.ks.j2" %}\n')
    with (again.folder / "media.toml").open("a") as file:
        file.write('[[repository]]\nid = "more"\nbaseurl = "http://127.0.0.1:9/"\ntrust = "unsigned"\n')
    done = isobuilder("build", "--cache-dir", str(again.cache), cwd=again.folder)
    assert done.returncode == 3
    assert "kickstart.rack-node: changed" in done.stderr
    assert "definition.repository: changed" in done.stderr
    assert "isobuilder lock --update media.toml" in done.stderr
    assert not list(again.folder.glob("*.iso*"))


def test_an_output_that_is_there_is_refused_before_any_work(again: Demo) -> None:
    again.iso.write_text("precious")
    done = isobuilder("build", "--cache-dir", "nowhere", cwd=again.folder)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert again.iso.read_text() == "precious"
    assert not (again.folder / "nowhere").exists()


@pytest.mark.parametrize("kept", [False, True])
def test_damaged_cache_entries_are_noticed_and_fetched_again(
    kept: bool,  # noqa: FBT001
    again: Demo,
    demo: Demo,
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    output("cp", "-r", demo.cache, cache)
    lock = json.loads(demo.lock.read_text())
    package = next(p for p in lock["packages"] if p["roles"])
    kernel = next(boot for boot in lock["boot"] if boot["path"].endswith("vmlinuz"))
    primary = lock["repositories"][0]["metadata"]["primary"]
    damaged = [package["file"]["sha256"], kernel["file"]["sha256"], primary["sha256"]]
    if not kept:
        shutil.rmtree(cache / "kept")
    entries = [cache / "sha256" / sha256[:2] / sha256 for sha256 in damaged]
    for entry in entries:
        data = bytearray(entry.read_bytes())
        data[-100] ^= 1
        entry.write_bytes(data)
    words = ("build", "--cache-dir", str(cache))
    done = isobuilder(*words, "--offline", cwd=again.folder)
    assert done.returncode == 4, done.stderr
    assert "offline, and" in done.stderr
    said = done.stderr
    assert not list(again.folder.glob("*.iso*"))
    done = isobuilder(*words, cwd=again.folder)
    assert done.returncode == 0, done.stderr
    assert (said + done.stderr).count("it is fetched again") == len(damaged), said + done.stderr
    assert (again.folder / demo.iso.name).read_bytes() == demo.iso.read_bytes()
    assert [hashlib.sha256(entry.read_bytes()).hexdigest() for entry in entries] == damaged


def test_a_changed_line_of_a_kickstart_fetches_nothing_and_makes_no_repodata_anew(again: Demo, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    output("cp", "-r", again.cache, cache)
    template = again.folder / "rack-node.ks.j2"
    template.write_text(template.read_text().replace("rack-info >/etc/motd", "rack-info >/etc/issue"))
    repodata = {path: path.stat().st_ino for path in (cache / "kept").glob("*-data-0")}
    assert repodata
    # Without a network: what was changed is no reason to ask anybody for anything.
    for words in (("lock", "--update"), ("build", "--force")):
        done = isobuilder(*words, "--offline", "--cache-dir", str(cache), cwd=again.folder)
        assert done.returncode == 0, done.stderr
    assert "to fetch: 0 files" in done.stderr
    assert "Signatures" not in done.stderr
    assert {path: path.stat().st_ino for path in (cache / "kept").glob("*-data-0")} == repodata


def rewrite(again: Demo, **changes: object) -> None:
    """Change the lock as somebody would who knows how it is sealed."""
    lock = read_lock(again.lock)
    assert lock
    again.lock.write_text(dump_lock(lock.model_copy(update=changes)))


def unsigned(lock: Path) -> tuple[LockedRepository, ...]:
    read = read_lock(lock)
    assert read
    change = {"trust": "unsigned", "fingerprints": ()}
    return tuple(one.model_copy(update=change) if one.baseurl else one for one in read.repositories)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("volume_id", "OTHER", "volume-id: the lock says 'OTHER'"),
        ("packages", (), "boot: mbr is not out of one of the packages"),
        ("arch", "aarch64", "arch: the lock says"),
        ("repositories", None, "repository baseos: address, trust, fingerprints, sha1 or module-hotfixes"),
    ],
)
def test_a_lock_cannot_overrule_the_definition(again: Demo, key: str, value: object, words: str) -> None:
    rewrite(again, **{key: unsigned(again.lock) if key == "repositories" else value})
    done = isobuilder("build", "--cache-dir", str(again.cache), cwd=again.folder)
    assert done.returncode == 3, done.stderr
    assert words in done.stderr
    assert not list(again.folder.glob("*.iso*"))


def test_a_lock_without_packages_for_roles_or_without_a_required_signature_is_refused(again: Demo) -> None:
    lock = read_lock(again.lock)
    assert lock
    rewrite(
        again,
        packages=tuple(package.model_copy(update={"roles": (), "reasons": ()}) for package in lock.packages),
        repositories=tuple(one.model_copy(update={"repomd_signer": None}) for one in lock.repositories),
    )
    done = isobuilder("build", "--cache-dir", str(again.cache), cwd=again.folder)
    assert done.returncode == 3, done.stderr
    assert "packages: none is for any role" in done.stderr
    assert "repository baseos: its metadata must be signed, and was not" in done.stderr


def test_an_unsigned_repository_is_taken_only_when_the_definition_says_so_and_then_loudly(
    mirror_url: str, mirror: Path, tmp_path: Path
) -> None:
    write_demo(tmp_path, mirror_url, mirror)
    with (tmp_path / "media.toml").open("a") as file:
        file.write(f'[[repository]]\nid = "extras"\nbaseurl = "{mirror_url}/extras"\ntrust = "unsigned"\n')
    done = isobuilder("build", "--quiet", "--cache-dir", str(tmp_path / "cache"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning: repository extras: its packages are unsigned, as the definition says" in done.stderr
    packages = json.loads((tmp_path / "practice-cloud-practice-x86_64.manifest.json").read_text())["packages"]
    unsigned_ones = {p["repository"] for p in packages if p["signature"] is None}
    assert unsigned_ones == {"extras", "isobuilder"}
    assert {p["signature"] is None for p in packages if p["repository"] in unsigned_ones} == {True}


def test_the_medium_is_written_while_its_packages_come(demo: Demo, mirror: Path, tmp_path: Path) -> None:
    """The last package on it is held back until much of the image is there: the others do not wait for it."""
    lock = read_lock(demo.lock)
    assert lock
    last = max(package.path.rpartition("/")[2] for package in lock.packages if package.repository == "baseos")
    part = tmp_path / f"out/.{ISO_NAME}.part"
    there: list[int] = []

    class Holding(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            deadline = time.monotonic() + 60
            while self.path.endswith(last) and time.monotonic() < deadline:
                there.append(part.stat().st_size if part.exists() else 0)
                if there[-1] > 150_000_000:
                    break
                time.sleep(0.05)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Holding, directory=str(mirror))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        write_demo(tmp_path / "site", f"http://127.0.0.1:{server.server_address[1]}", mirror)
        words = ("--no-report", "--cache-dir", str(tmp_path / "cache"), "-o", str(tmp_path / "out"))
        done = isobuilder("build", *words, cwd=tmp_path / "site")
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert max(there) > 150_000_000
    output("checkisomd5", tmp_path / "out" / ISO_NAME)


def test_keys_of_one_name_at_two_addresses(copied_mirror: tuple[Path, str], mirror: Path, tmp_path: Path) -> None:
    copy, url = copied_mirror
    (copy / "extras/RPM-GPG-KEY-practice").write_bytes((mirror / "os/RPM-GPG-KEY-practice").read_bytes() + b"\n")
    write_demo(tmp_path / "site", url, mirror)
    release = tmp_path / "site/practice.toml"
    old = f'baseurl = "{url}/extras/"\ngpgkey = "{url}/os/'
    assert old in release.read_text()
    release.write_text(release.read_text().replace(old, old.replace("/os/", "/extras/")))
    done = isobuilder("build", "--cache-dir", str(tmp_path / "cache"), cwd=tmp_path / "site")
    assert done.returncode == 0, done.stderr
    listed = output("bsdtar", "-tf", tmp_path / "site" / ISO_NAME).splitlines()
    keys = [name for name in listed if name.startswith("RPM-GPG-KEY-")]
    assert len(keys) == 2
    assert keys[0] == "RPM-GPG-KEY-practice"


def test_what_is_taken_on_trust_is_said(demo: Demo) -> None:
    assert (
        "warning: the installer's tree is unsigned: 3 boot files are as its .treeinfo says, 9 as they came" in demo.said
    )
    assert "warning: repository extras: its metadata is unsigned; its packages are checked one by one" in demo.said


def test_an_update_says_what_changed(again: Demo) -> None:
    (again.folder / "rack-node.ks.j2").write_text('{% extends "base.ks.j2" %}\n')
    done = isobuilder("lock", "--update", "--cache-dir", str(again.cache), cwd=again.folder)
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"^package rack-tools\.[a-z0-9_]+: 0:[0-9.]+-[0-9]+, removed \(rack-node\)$", done.stdout, re.MULTILINE
    )


@pytest.mark.parametrize(
    ("epoch", "code"),
    [("1", 0), ("1000000000", 0), ("0", 2), ("4294967296", 2), ("-1", 2), ("1e9", 2), ("9" * 5000, 2)],
)
def test_source_date_epoch_is_taken_or_refused_before_any_work(again: Demo, epoch: str, code: int) -> None:
    done = isobuilder("lock", "--update", "--cache-dir", str(again.cache), cwd=again.folder, SOURCE_DATE_EPOCH=epoch)
    assert done.returncode == code, done.stderr
    if code == 0:
        assert json.loads(again.lock.read_text())["epoch"] == int(epoch)
        done = isobuilder("build", "--cache-dir", str(again.cache), cwd=again.folder)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def copied_mirror(mirror: Path, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A mirror that a test may spoil, and where it is served. Hard links: replace files, do not edit them."""
    copy = tmp_path / "mirror"
    output("cp", "-rl", mirror, copy)
    with serve(copy) as url:
        yield copy, url.rstrip("/")


def spoil(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.unlink()
    path.write_bytes(data.replace(old, new, 1))


def test_metadata_that_nobody_signed_is_refused(copied_mirror: tuple[Path, str], mirror: Path, tmp_path: Path) -> None:
    copy, url = copied_mirror
    write_demo(tmp_path / "site", url, mirror)
    spoil(copy / "os/repodata/repomd.xml", b"<revision>", b"<revision>9")
    done = isobuilder("build", "--cache-dir", str(tmp_path / "cache"), cwd=tmp_path / "site")
    assert done.returncode == 5, done.stderr
    assert not list((tmp_path / "site").glob("*.iso*"))
    assert not list((tmp_path / "site").glob("*.lock"))


def test_a_key_that_is_not_the_pinned_one_is_refused(
    copied_mirror: tuple[Path, str], mirror: Path, tmp_path: Path
) -> None:
    _, url = copied_mirror
    write_demo(tmp_path / "site", url, mirror)
    release = tmp_path / "site/practice.toml"
    pinned = (mirror / "fingerprint").read_text().strip()
    release.write_text(release.read_text().replace(pinned, "0" * 40))
    done = isobuilder("build", "--cache-dir", str(tmp_path / "cache"), cwd=tmp_path / "site")
    assert done.returncode == 5, done.stderr
    assert "0" * 40 in done.stderr.replace(" ", "")


def test_unknown_names_are_reported_with_their_lines(mirror_url: str, mirror: Path, tmp_path: Path) -> None:
    write_demo(tmp_path, mirror_url, mirror)
    (tmp_path / "rack-node.ks.j2").write_text(
        '{% extends "base.ks.j2" %}\n{% block packages %}\n@core\n@nosuchgroup\nrack-tool\n{% endblock %}\n'
    )
    done = isobuilder("lock", "--cache-dir", str(tmp_path / "cache"), cwd=tmp_path)
    assert done.returncode == 6, done.stderr
    assert "nosuchgroup" in done.stderr
    assert "'rack-tool'" in done.stderr
    assert "did you mean 'rack-tools'" in done.stderr
    assert "ks/rack-node.cfg" in done.stderr
    assert not list(tmp_path.glob("*.lock"))
