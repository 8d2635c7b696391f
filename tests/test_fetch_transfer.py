"""Small files, redirects, proxies and TLS, against a mirror on loopback."""

import datetime as dt
import gzip
import hashlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from isobuilder.errors import FetchError, HostError, UsageError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.fetch.failover import Place
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.fetch.transfer import Patience, patience, shown
from isobuilder.progress import Silent
from tests.serving import Fault, Mirror, Slept, serve


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve() as mirror:
        yield mirror


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def slept() -> Slept:
    return Slept()


@pytest.fixture
def fetcher(cache: Cache, slept: Slept) -> Iterator[Fetcher]:
    with Fetcher(cache, progress=Silent(), sleep=slept) as fetcher:
        yield fetcher


def test_patience_goes_by_the_environment() -> None:
    usual = Patience()
    assert patience({}) == patience({"ISOBUILDER_TIMEOUT": ""}) == patience({"ISOBUILDER_TIMEOUT": "30"}) == usual
    short, long = patience({"ISOBUILDER_TIMEOUT": "3"}), patience({"ISOBUILDER_TIMEOUT": "300"})
    assert (short.connect, short.silence, short.slow_bytes, short.longest_pause) == (1.0, 3.0, 3 << 10, 0.8)
    # A drip of the same rate is a stall; nobody waits longer between attempts.
    assert (long.connect, long.silence, long.slow_bytes, long.longest_pause) == (100.0, 300.0, 300 << 10, 8.0)
    assert short.attempts == long.attempts == usual.attempts
    for text in ("0", "-1", "1.5", "many", "3601", "99999", "٣"):
        with pytest.raises(UsageError, match=r"ISOBUILDER_TIMEOUT: .* from 1 to 3600"):
            patience({"ISOBUILDER_TIMEOUT": text})


def test_small_files_are_read(mirror: Mirror, fetcher: Fetcher, slept: Slept) -> None:
    mirror.files["/repomd.xml"] = b"<repomd/>"
    mirror.faults["/repomd.xml"].extend([Fault(status=502), Fault(cut=3)])
    assert fetcher.read(mirror.url + "/repomd.xml", limit=9) == b"<repomd/>"
    assert slept.pauses == [1, 2]


@pytest.mark.parametrize("headers", [{}, {"Content-Length": ""}])
def test_a_small_file_that_is_large_is_refused(mirror: Mirror, fetcher: Fetcher, headers: dict[str, str]) -> None:
    mirror.files["/a"] = bytes(1_000_000)
    mirror.faults["/a"].append(Fault(headers=headers))
    with pytest.raises(FetchError, match="larger than the 100 bytes"):
        fetcher.read(mirror.url + "/a", limit=100)


@pytest.mark.parametrize("status", [404, 410])
def test_only_absence_is_optional(mirror: Mirror, fetcher: Fetcher, status: int) -> None:
    mirror.faults["/a"].append(Fault(status=status))
    assert read_optional(fetcher, mirror.url + "/a") is None
    mirror.faults["/a"].append(Fault(status=403))
    with pytest.raises(FetchError, match="403"):
        read_optional(fetcher, mirror.url + "/a")
    mirror.faults["/a"].extend([Fault(status=500)] * 5)
    with pytest.raises(FetchError, match="500"):
        read_optional(fetcher, mirror.url + "/a")


def read_optional(fetcher: Fetcher, url: str) -> bytes | None:
    return fetcher.first_good(Place((url,)), lambda once, here: once.read_optional(here, limit=9))


def test_a_body_that_is_packed_unasked(mirror: Mirror, cache: Cache, fetcher: Fetcher) -> None:
    packed = gzip.compress(b"<metadata/>")
    mirror.files["/primary.xml.gz"] = packed
    mirror.faults["/primary.xml.gz"].append(Fault(headers={"Content-Encoding": "x-gzip"}))
    file = Wanted(Place((mirror.url + "/primary.xml.gz",)), hashlib.sha256(packed).hexdigest(), len(packed))
    fetcher.fetch_all([file], title="Metadata")
    assert cache.path(file.sha256).read_bytes() == packed
    mirror.files["/repomd.xml"] = b"<repomd/>"
    mirror.faults["/repomd.xml"].append(Fault(headers={"Content-Encoding": "gzip"}))
    with pytest.raises(FetchError, match="gzip"):
        fetcher.read(mirror.url + "/repomd.xml", limit=99)


def test_redirects_are_followed_so_far(mirror: Mirror, fetcher: Fetcher) -> None:
    mirror.files["/there/a"] = b"here"
    mirror.faults["/a"].append(Fault(status=302, headers={"Location": "there/a"}))
    assert fetcher.read(mirror.url + "/a", limit=9) == b"here"
    mirror.faults["/round"].extend([Fault(status=301, headers={"Location": "/round"})] * 99)
    with pytest.raises(FetchError, match="more than 10 redirects"):
        fetcher.read(mirror.url + "/round", limit=9)
    assert [path for path, _ in mirror.requests].count("/round") == 11
    for there in ("file:///etc/passwd", "ftp://127.0.0.1/a", "http://[", "http:///"):
        mirror.faults["/a"].append(Fault(status=307, headers={"Location": there}))
        with pytest.raises(FetchError):
            fetcher.read(mirror.url + "/a", limit=9)


def test_a_redirect_is_not_read_for_ever(mirror: Mirror, fetcher: Fetcher) -> None:
    mirror.files["/there"] = b"here"
    head = b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n"
    mirror.faults["/a"].append(Fault(raw=head, again=bytes(10_000)))
    assert fetcher.read(mirror.url + "/a", limit=9) == b"here"
    assert mirror.repeated.get(timeout=60) < 10_000


_PACKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"


@pytest.mark.parametrize(
    ("raw", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        (_PACKED + b"0\r\n", b"X: y\r\n" * 10_000),
    ],
    ids=["head", "trailer"],
)
@pytest.mark.parametrize("kind", ["mirror", "secure"])
def test_a_server_that_never_comes_to_an_end_is_left(
    request: pytest.FixtureRequest, cache: Cache, certificate: Path, monkeypatch: pytest.MonkeyPatch,
    kind: str, raw: bytes, again: bytes,
) -> None:  # fmt: skip
    """Every byte of it comes in time; only a watch over the whole ends it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(certificate))
    server: Mirror = request.getfixturevalue(kind)
    server.files["/a"] = b"abc"
    server.faults["/a"].append(Fault(raw=raw, again=again))
    with Fetcher(cache, progress=Silent(), patience=Patience(silence=0.5, attempts=1), sleep=Slept()) as fetcher:
        with pytest.raises(FetchError, match="keeps talking"):
            fetcher.read(server.url + "/a", limit=9)
        assert server.repeated.get(timeout=60) < 100_000
        assert fetcher.read(server.url + "/a", limit=9) == b"abc"


def test_a_header_that_contradicts_itself_is_the_servers_fault(mirror: Mirror, fetcher: Fetcher) -> None:
    mirror.files["/a"] = b"here"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nhere"
    mirror.faults["/a"].append(Fault(raw=head))
    assert fetcher.read(mirror.url + "/a", limit=9) == b"here"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "nonsense", "http://", "http://[::1", "http://a b/"])
def test_only_addresses_of_the_web_are_fetched(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(FetchError):
        fetcher.read(url, limit=9)


def test_passwords_are_not_shown(mirror: Mirror, fetcher: Fetcher) -> None:
    url = mirror.url.replace("http://", "http://user:secret@")
    mirror.faults["/a"].extend([Fault(status=500)] * 9)
    for path in ("/a", "/gone"):
        with pytest.raises(FetchError) as caught:
            fetcher.read(url + path, limit=9)
        assert "secret" not in str(caught.value)
    assert mirror.requests[0][1]["Authorization"].startswith("Basic ")
    assert shown("https://me:pw@example.org:8/x?y") == "https://example.org:8/x?y"


def test_a_password_comes_from_netrc_and_goes_to_its_server_alone(
    mirror: Mirror, fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.files["/a"] = b"here"
    mirror.faults["/a"].append(Fault(status=401))
    with pytest.raises(FetchError, match="401") as caught:
        fetcher.read(mirror.url + "/a", limit=9)
    assert "netrc" in caught.value.hint
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", os.fspath(netrc))
    elsewhere = mirror.url.replace("127.0.0.1", "localhost")
    mirror.faults["/b"].append(Fault(status=302, headers={"Location": f"{elsewhere}/a"}))
    for path in ("/a", "/b"):
        assert fetcher.read(mirror.url + path, limit=9) == b"here"
    sent = [(path, headers["Host"][:3], headers.get("Authorization", "")[:5]) for path, headers in mirror.requests]
    assert sent == [("/a", "127", ""), ("/a", "127", "Basic"), ("/b", "127", "Basic"), ("/a", "loc", "")]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority of our own, which is the server's certificate too; with its key, as one PEM file."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


def make_certificate(path: Path, *, host: str = "127.0.0.1", first_day: int = -1, last_day: int = 1) -> Path:
    """Days are counted from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=first_day))
        .not_valid_after(now + dt.timedelta(days=last_day))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Mirror]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(context) as mirror:
        yield mirror


def test_a_private_authority_is_honoured(
    secure: Mirror, fetcher: Fetcher, slept: Slept, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure.files["/a"] = b"secure"
    with pytest.raises(FetchError, match="not trusted") as caught:
        fetcher.read(secure.url + "/a", limit=9)
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint
    assert slept.pauses == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(certificate))
    assert fetcher.read(secure.url + "/a", limit=9) == b"secure"


@pytest.mark.parametrize("last", ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_authorities_are_those_of_the_first_variable_that_is_set(
    secure: Mirror, fetcher: Fetcher, certificate: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    secure.files["/a"] = b"secure"
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    for name in names:
        monkeypatch.setenv(name, "/nonexistent.pem" if names.index(name) > names.index(last) else "")
    monkeypatch.setenv(last, os.fspath(certificate))
    assert fetcher.read(secure.url + "/a", limit=9) == b"secure"


@pytest.mark.parametrize(
    ("made", "words", "hint"),
    [
        ({"first_day": -9, "last_day": -1}, "expired", "clock of this machine"),
        ({"first_day": 1, "last_day": 9}, "not yet valid", "clock of this machine"),
        ({"host": "127.0.0.2"}, "mismatch", "REQUESTS_CA_BUNDLE"),
    ],
)
def test_a_certificate_of_another_time_or_host_is_refused(
    fetcher: Fetcher, slept: Slept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    made: dict[str, Any], words: str, hint: str,
) -> None:  # fmt: skip
    certificate = make_certificate(tmp_path / "server.pem", **made)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(context) as mirror:
        mirror.files["/a"] = b"secure"
        with pytest.raises(FetchError, match=f"not trusted: .*{words}") as caught:
            fetcher.read(mirror.url + "/a", limit=9)
        assert mirror.requests == []
    assert hint in caught.value.hint
    assert slept.pauses == []


def test_a_server_that_speaks_no_tls_where_it_should_is_asked_again_and_left(
    mirror: Mirror, fetcher: Fetcher, slept: Slept
) -> None:
    with pytest.raises(FetchError, match=r"/a: .*SSL.*attempt 5, the last"):
        fetcher.read(mirror.url.replace("http:", "https:") + "/a", limit=9)
    assert len(slept.pauses) == 4


def test_a_bundle_that_is_not_there(secure: Mirror, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent.pem")
    with pytest.raises(HostError, match="nonexistent"):
        fetcher.read(secure.url + "/a", limit=9)


def test_https_is_not_left(
    secure: Mirror, mirror: Mirror, fetcher: Fetcher, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.files["/a"] = b"anybody's"
    secure.faults["/a"].append(Fault(status=302, headers={"Location": mirror.url + "/a"}))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(certificate))
    with pytest.raises(FetchError, match="not as safe"):
        fetcher.read(secure.url + "/a", limit=99)
    assert mirror.requests == []


def test_small_files_come_over_one_connection_which_ends_with_the_fetcher(mirror: Mirror, cache: Cache) -> None:
    mirror.files |= {"/a": b"abc", "/b": b"", "/c": bytes(100_000)}
    with Fetcher(cache, progress=Silent()) as fetcher:
        assert fetcher.read(mirror.url + "/a", limit=9) == b"abc"
        assert read_optional(fetcher, mirror.url + "/b") == b""
        assert fetcher.size(mirror.url + "/c") == 100_000
        assert len(fetcher.read(mirror.url + "/c", limit=100_000)) == 100_000
        assert mirror.came.qsize() == 1
        assert mirror.left.empty()
    mirror.left.get(timeout=5)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=407), "407"),
        (Fault(status=502), "502"),
        (Fault(raw=b"\0\1\2 no proxy\r\n\r\n"), "attempt 5, the last"),
        (Fault(raw=b""), "attempt 5, the last"),
    ],
)
def test_a_proxy_that_does_not_let_us_through(
    mirror: Mirror, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, fault: Fault, words: str
) -> None:
    monkeypatch.setenv("https_proxy", mirror.url)
    mirror.faults["mirror.example:443"] += [fault] * 9
    with pytest.raises(FetchError, match=words) as caught:
        fetcher.read("https://mirror.example/a", limit=9)
    assert "mirror.example/a: the proxy of the environment (http_proxy, https_proxy): " in caught.value.message


def test_a_proxy_of_the_environment_is_used(mirror: Mirror, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", mirror.url)
    mirror.files["http://mirror.example/a"] = b"by proxy"
    assert fetcher.read("http://mirror.example/a", limit=9) == b"by proxy"


def test_a_proxy_that_is_not_there_is_named(
    mirror: Mirror, cache: Cache, monkeypatch: pytest.MonkeyPatch, secure: Mirror
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for variable, server in (("http_proxy", mirror), ("https_proxy", secure)):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
        with (
            Fetcher(cache, progress=Silent(), patience=Patience(attempts=1), sleep=Slept()) as fetcher,
            pytest.raises(FetchError, match="the proxy of the environment"),
        ):
            fetcher.read(server.url + "/a", limit=9)
