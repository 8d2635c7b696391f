"""The practice mirror: real packages that real tools take, and a server that downloads can rely on."""

import hashlib
import http.client
import subprocess
import tomllib
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from productmd.treeinfo import TreeInfo

from isobuilder.definition import load_definition
from isobuilder.errors import HostError
from isobuilder.products import load_product
from isobuilder.releases import load_release
from tests.dnf_oracle import Scenario, ask_dnf
from tests.practice import host, packages
from tests.practice.mirror import cache_folder, ensure_mirror, write_demo
from tests.practice.server import serve

pytestmark = pytest.mark.practice

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def mirror() -> Path:
    return ensure_mirror()


@pytest.fixture(scope="module")
def fingerprint(mirror: Path) -> str:
    return (mirror / "fingerprint").read_text(encoding="ascii").strip()


def run(*command: str | Path, status: int = 0) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_every_package_is_signed_by_the_key(mirror: Path, tmp_path: Path) -> None:
    run("rpmkeys", "--root", tmp_path, "--import", mirror / "os/RPM-GPG-KEY-practice")
    rpms = sorted(mirror.rglob("*.rpm"))
    said = run("rpmkeys", "--root", tmp_path, "--checksig", *rpms).splitlines()
    assert len(rpms) > 190
    assert [line for line in said if not line.endswith(": digests signatures OK")] == []


@pytest.mark.parametrize("place", [0x200, -100], ids=["header", "payload"])
def test_a_changed_byte_is_noticed(mirror: Path, tmp_path: Path, place: int) -> None:
    run("rpmkeys", "--root", tmp_path, "--import", mirror / "os/RPM-GPG-KEY-practice")
    [rpm] = (mirror / "extras/Packages").glob("rack-tools-2*.rpm")
    data = bytearray(rpm.read_bytes())
    data[place] ^= 1
    changed = tmp_path / "changed.rpm"
    changed.write_bytes(data)
    said = run("rpmkeys", "--root", tmp_path, "--checksig", changed, status=1)
    assert "NOT OK" in said


def test_all_packages_of_the_system_install_together(mirror: Path, tmp_path: Path) -> None:
    run("rpm", "--root", tmp_path, "--dbpath", "/rpm", "--initdb")
    everything = sorted((mirror / "os/Packages").glob("*.rpm"))
    run("rpm", "--root", tmp_path, "--dbpath", "/rpm", "--nosignature", "--test", "--install", *everything)


def test_dnf_resolves_what_kickstarts_ask_for(mirror: Path, tmp_path: Path) -> None:
    repositories = {name: (mirror / name, 99) for name in ("os", "extras")}
    asked = [
        Scenario(["@core", "rack-tools", "kernel"]),
        Scenario(["@core", "@standard", "grub2-efi-x64"]),
        Scenario(["@minimal-environment"], weak=False),
        Scenario(["rack-legacy"]),
        Scenario(["member-of-no-repository"]),
    ]
    node, standard, environment, legacy, nowhere = ask_dnf(repositories, asked, tmp_path)
    names = {nevra.rsplit("-", 2)[0]: nevra for nevra in node.packages}
    assert {"bash", "kernel-core", "rack-doc", "system-state", "openssh-server"} <= names.keys()
    assert (names["rack-tools"], names["rack-common"]) == ("rack-tools-0:2.1-1.noarch", "rack-common-1:2.1-1.noarch")
    assert not {"syslinux", "rack-legacy", "efibootmgr"} & names.keys()
    assert [nevra for nevra in standard.packages if nevra.startswith("efibootmgr-")]
    assert [nevra for nevra in environment.packages if nevra.startswith("systemd-")]
    assert legacy.error is None
    assert "rack-tools-0:0.9-1.noarch" in legacy.packages
    assert nowhere.error is not None


@pytest.mark.parametrize("role", ["frontend", "nc", "image"])
def test_dnf_resolves_what_eucalyptus_asks_for(mirror: Path, tmp_path: Path, role: str) -> None:
    shipped = tomllib.loads((ROOT / "kickstarts/eucalyptus/product.toml").read_text(encoding="utf-8"))
    ours = tomllib.loads((ROOT / "tests/practice/demo/eucalyptus/product.toml").read_text(encoding="utf-8"))
    facts = shipped["release"]["7"]["facts"]
    wanted = [facts["time_package"], *facts[f"{role}_packages"]]
    assert ours["release"]["practice"]["facts"][f"{role}_packages"] == facts[f"{role}_packages"]
    repositories = {name: (mirror / name, 99) for name in ("os", "eucalyptus")}
    [answer] = ask_dnf(repositories, [Scenario(["@core", *wanted])], tmp_path)
    assert answer.error is None
    assert set(wanted) <= {nevra.rsplit("-", 2)[0] for nevra in answer.packages}


def test_nothing_of_one_machine_is_in_the_packages(mirror: Path) -> None:
    listing = run("rpm", "--nosignature", "-qpl", *sorted((mirror / "os/Packages").glob("*.rpm"))).splitlines()
    assert {"/usr/bin/bash", "/etc/passwd", "/bin", "/usr/bin/["} <= set(listing)
    private = ("/etc/ssh/ssh_host", "/etc/resolv.conf", "/etc/hostname", "/etc/apt", "/var/lib/dpkg", "/var/cache/")
    assert [path for path in listing if path.startswith(private)] == []


def test_boot_code_comes_in_a_package(mirror: Path) -> None:
    [rpm] = (mirror / "os/Packages").glob("syslinux-6*.rpm")
    unpacked = subprocess.run(
        ["bsdtar", "-xOf", rpm, "./usr/share/syslinux/isohdpfx.bin"], capture_output=True, check=True
    )
    assert unpacked.stdout == Path("/usr/lib/ISOLINUX/isohdpfx.bin").read_bytes()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" libc6 (>= 2.34)", ("libc6", " >= 2.34")),
        ("python3:any (<< 3.12)", ("python3", " < 3.12-0")),
        ("passwd (= 1:4.13+dfsg1-1)", ("passwd", " = 1:4.13+dfsg1-1")),
        ("libc6 (>> 2.36)", ("libc6", " > 2.36-0")),
        ("awk", ("awk", "")),
    ],
)
def test_relations_in_the_words_of_rpm(text: str, words: tuple[str, str]) -> None:
    assert packages._relation(text) == words


def test_treeinfo_has_the_right_checksums(mirror: Path) -> None:
    treeinfo = TreeInfo()
    treeinfo.load(str(mirror / "os/.treeinfo"))
    checksums = treeinfo.checksums.checksums
    found = {path: hashlib.sha256((mirror / "os" / path).read_bytes()).hexdigest() for path in checksums}
    assert {path: value for path, (_, value) in checksums.items()} == found
    assert set(found) == {
        "images/boot.iso",
        "images/install.img",
        "images/pxeboot/initrd.img",
        "images/pxeboot/vmlinuz",
        "repodata/repomd.xml",
    }
    assert treeinfo.variants["BaseOS"].paths.repository == "."
    assert (mirror / "os/.discinfo").read_text().split("\n")[2] == "x86_64"


def test_metadata_of_the_base_is_signed_and_of_extras_is_not(mirror: Path, fingerprint: str, tmp_path: Path) -> None:
    key = tmp_path / "key.gpg"
    run("gpg", "--homedir", tmp_path, "--batch", "--dearmor", "-o", key, mirror / "os/RPM-GPG-KEY-practice")
    repomd = mirror / "os/repodata/repomd.xml"
    said = run("gpgv", "--status-fd", "1", "--keyring", key, repomd.with_suffix(".xml.asc"), repomd)
    assert f"VALIDSIG {fingerprint}" in said
    assert not (mirror / "extras/repodata/repomd.xml.asc").exists()


def test_the_demo_is_a_definition_that_loads(mirror: Path, fingerprint: str, tmp_path: Path) -> None:
    definition = load_definition(write_demo(tmp_path / "demo", "http://127.0.0.1:8642", mirror))
    release = load_release(definition)
    assert [repository.fingerprint for repository in release.repository] == [(fingerprint,)] * 2
    assert set(definition.role) == {"rack-node"}
    boot = release.arch["x86_64"].boot
    for path in boot.tree_files:
        assert (mirror / "os" / path).is_file(), path


def test_the_demo_has_eucalyptus_for_the_practice_release(mirror: Path, fingerprint: str, tmp_path: Path) -> None:
    definition = load_definition(write_demo(tmp_path / "demo", "http://127.0.0.1:8642", mirror))
    product = load_product(definition, load_release(definition))
    assert product is not None
    assert [role.id for role in product.role] == ["nc", "frontend", "ciab", "image"]
    [repository] = product.release["practice"].repository
    assert (repository.fingerprint, repository.baseurl) == ((fingerprint,), "http://127.0.0.1:8642/eucalyptus/")


def test_a_mirror_that_is_there_is_not_made_again(mirror: Path) -> None:
    def refuse(part: str) -> None:
        raise AssertionError(part)

    assert ensure_mirror(listener=refuse) == mirror


def test_an_interrupted_making_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(part: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_mirror(tmp_path, interrupt)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_the_cache_is_where_xdg_says() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/isobuilder-practice")
    assert cache_folder({"XDG_CACHE_HOME": ""}).parent == Path.home() / ".cache"


def test_missing_packages_are_named() -> None:
    with pytest.raises(HostError) as caught:
        host.installed_versions(["dpkg", "no-such-package", "nor-this"])
    assert caught.value.details == ("no-such-package", "nor-this")
    assert "apt-get install" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", "# ours\ndeb http://debian.example.org/debian stable main\n"),
        ("sources.list.d/0000debian.sources", "Types: deb\nURIs: http://debian.example.org/debian\n"),
    ],
)
def test_debian_sources_in_either_format(tmp_path: Path, name: str, text: str) -> None:
    folder = tmp_path / "apt/sources.list.d"
    folder.mkdir(parents=True)
    (folder / "vendor.sources").write_text("Types: deb\nURIs: http://vendor.example.org\n")
    (tmp_path / "apt/sources.list").write_text("# empty\n")
    (tmp_path / "apt" / name).write_text(text)
    assert host.debian_sources(tmp_path) == tmp_path / "apt" / name


def test_no_debian_sources(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no apt sources"):
        host.debian_sources(tmp_path)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[http.client.HTTPConnection]:
    (tmp_path / "served/folder").mkdir(parents=True)
    (tmp_path / "served/digits").write_bytes(b"0123456789")
    (tmp_path / "secret").write_text("not served")
    with serve(tmp_path / "served") as base_url:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(base_url).netloc, timeout=10)
        yield connection
        connection.close()


def ask(
    connection: http.client.HTTPConnection, path: str = "/digits", method: str = "GET", **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response.status, response.read(), response.headers


@pytest.mark.parametrize(
    ("wanted", "status", "body", "place"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=5-2", 416, b"", "bytes */10"),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("pages=1", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
    ],
)
def test_ranges(
    connection: http.client.HTTPConnection, wanted: str, status: int, body: bytes, place: str | None
) -> None:
    answer = ask(connection, Range=wanted)
    assert answer[:2] == (status, body)
    assert answer[2]["Content-Range"] == place


def test_a_head_and_an_etag(connection: http.client.HTTPConnection) -> None:
    status, body, headers = ask(connection, method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "10")
    etag = headers["ETag"]
    assert ask(connection, If_None_Match=etag)[:2] == (304, b"")
    assert ask(connection, If_None_Match='"other"')[:2] == (200, b"0123456789")
    assert ask(connection, Range="bytes=5-", If_Range=etag)[:2] == (206, b"56789")
    assert ask(connection, Range="bytes=5-", If_Range='"other"')[:2] == (200, b"0123456789")


@pytest.mark.parametrize("path", ["/none", "/folder", "/../secret", "/%2e%2e/secret", "/"])
def test_what_is_not_a_file_of_the_folder(connection: http.client.HTTPConnection, path: str) -> None:
    assert ask(connection, path)[0] == 404
