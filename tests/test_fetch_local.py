"""Files that lie here, in folders and in ISOs, come into the cache by the same rules as from servers."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from isobuilder.errors import FetchError, TrustError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.fetch.failover import Place
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.fetch.transfer import RefusedError
from isobuilder.progress import Silent
from tests.serving import Mirror, serve
from tests.test_iso_reader import make_iso

BODY = os.urandom(3_000_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with one file in a folder and in an ISO, and a name that has to be quoted."""
    make_iso(tmp_path, {"os/a.rpm": BODY, "os/sp ace+.rpm": b"space"})
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/a.rpm").write_bytes(BODY)
    (tmp_path / "mirror/sp ace+.rpm").write_bytes(b"space")
    return tmp_path


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def fetcher(site: Path, cache: Cache) -> Iterator[Fetcher]:
    with Fetcher(cache, progress=Silent(), folder=site) as fetcher:
        yield fetcher


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve() as mirror:
        yield mirror


def wanted(*mirrors: str, sha256: str = SHA256, size: int = len(BODY)) -> Wanted:
    return Wanted(Place(mirrors, "a.rpm"), sha256, size)


@pytest.mark.parametrize("base", ["mirror/", "medium.iso/os/", "file://{site}/mirror/", "file://{site}/medium.iso/os/"])
def test_folders_and_isos_are_addresses_like_others(site: Path, cache: Cache, fetcher: Fetcher, base: str) -> None:
    base = base.format(site=site)
    assert fetcher.read(f"{base}sp%20ace%2B.rpm", limit=5) == b"space"
    assert fetcher.size(f"{base}a.rpm") == len(BODY)
    fetcher.fetch_all([wanted(base)], title="Packages")
    assert cache.check(SHA256).read_bytes() == BODY
    assert fetcher.first_good(Place((base,), "x.asc"), lambda once, url: once.read_optional(url, limit=9)) is None
    with pytest.raises(RefusedError, match="there is no such file"):
        fetcher.read(f"{base}absent", limit=5)
    with pytest.raises(FetchError, match="larger than the 4 bytes"):
        fetcher.read(f"{base}sp%20ace%2B.rpm", limit=4)


def test_what_a_disk_has_is_believed_no_more_than_what_a_server_has(cache: Cache, fetcher: Fetcher) -> None:
    with pytest.raises(TrustError, match="promised were 3000000 bytes of sha256 0000"):
        fetcher.fetch_all([wanted("medium.iso/os/", sha256="0" * 64)], title="Packages")
    assert not list(cache.root.rglob("*.part"))


@pytest.mark.parametrize("base", ["mirror/", "medium.iso/os/"])
def test_a_part_is_gone_on_with_and_a_server_takes_over(
    cache: Cache, fetcher: Fetcher, mirror: Mirror, base: str
) -> None:
    with cache.claim(SHA256, lambda: None) as part:
        part.write(BODY[:1_000_000])
    mirror.files["/a.rpm"] = BODY
    fetcher.fetch_all([wanted("absent.iso/", base, f"{mirror.url}/")], title="Packages")
    assert cache.check(SHA256).read_bytes() == BODY
    assert mirror.requests == []


@pytest.mark.parametrize("path", ["%2e%2e/secret", "%2E./secret", "x%2f..%2fsecret", "a%00b"])
def test_an_escaped_way_out_is_refused(site: Path, fetcher: Fetcher, path: str) -> None:
    (site / "secret").write_bytes(b"secret")
    with pytest.raises(FetchError, match="escapes a dot or a slash"):
        fetcher.read(f"mirror/{path}", limit=10)


@pytest.mark.parametrize(
    ("path", "words"), [("mirror", "no plain file"), ("fifo", "no plain file"), ("fifo/x", "no such")]
)
def test_what_is_no_file_is_not_opened(site: Path, fetcher: Fetcher, path: str, words: str) -> None:
    os.mkfifo(site / "fifo")
    with pytest.raises(FetchError, match=words):
        fetcher.read(path, limit=10)


def test_a_damaged_image_is_an_error_that_names_it(site: Path, fetcher: Fetcher) -> None:
    os.truncate(site / "medium.iso", 1_000_000)
    with pytest.raises(FetchError, match=r"medium\.iso/os/a\.rpm: .*cut short"):
        fetcher.fetch_all([wanted("medium.iso/os/")], title="Packages")


def test_offline_what_servers_said_before_is_known_and_nothing_else(cache: Cache, mirror: Mirror) -> None:
    mirror.files["/repomd.xml"] = b"<repomd/>"
    known, absent = f"{mirror.url}/repomd.xml", f"{mirror.url}/repomd.xml.asc"

    def read_all(fetcher: Fetcher) -> tuple[bytes, bytes | None, int]:
        optional = fetcher.first_good(Place((absent,)), lambda once, url: once.read_optional(url, limit=9))
        return fetcher.read(known, limit=9), optional, fetcher.size(f"{mirror.url}/kernel")

    mirror.files["/kernel"] = b"kernel"
    with Fetcher(cache, progress=Silent()) as fetcher:
        answers = read_all(fetcher)
    asked = len(mirror.requests)
    with Fetcher(cache, progress=Silent(), offline=True) as fetcher:
        assert read_all(fetcher) == answers == (b"<repomd/>", None, 6)
        fetcher.require([known, absent, "relative/path"])
        with pytest.raises(FetchError, match="offline, and 2 needed files are not here") as error:
            fetcher.require([known, f"{mirror.url}/one", f"{mirror.url}/two"])
        assert error.value.details == (f"{mirror.url}/one", f"{mirror.url}/two")
        with pytest.raises(FetchError, match="offline"):
            fetcher.read(f"{mirror.url}/one", limit=9)
        cache.path(hashlib.sha256(b"<repomd/>").hexdigest()).unlink()
        with pytest.raises(FetchError, match="offline"):
            fetcher.read(known, limit=9)
    assert len(mirror.requests) == asked


def test_offline_all_that_is_missing_is_said_at_once(cache: Cache, site: Path) -> None:
    files = [Wanted(Place(("https://repo.example.org/",), f"{n}.rpm"), f"{n}" * 64, 1_500_000) for n in range(3)]
    with Fetcher(cache, progress=Silent(), folder=site, offline=True) as fetcher:
        fetcher.fetch_all([wanted("mirror/")], title="Packages")
        with pytest.raises(FetchError, match=r"offline, and 3 needed files are not here: 4\.5 MB") as error:
            fetcher.fetch_all([wanted("mirror/"), *files], title="Packages")
    assert error.value.details[0] == "https://repo.example.org/0.rpm: 1.5 MB"


def test_offline_python_itself_refuses_the_network_and_nothing_else() -> None:
    program = """
import asyncio, socket
from isobuilder.fetch.offline import refuse_network
refuse_network()
near, far = socket.socketpair()
near.sendall(b"here")
assert far.recv(4) == b"here"
asyncio.run(asyncio.sleep(0))
for far_away in (
    lambda: socket.socket(socket.AF_INET),
    lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    lambda: socket.create_connection(("127.0.0.1", 9)),
    lambda: socket.getaddrinfo("localhost", 80),
    lambda: socket.gethostbyname("localhost"),
):
    try:
        far_away()
    except RuntimeError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.count("offline, and yet socket.") == 5
