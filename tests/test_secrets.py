"""Secrets of a build: where they come from, and that they go nowhere. Every output of whole builds is searched."""

import base64
import functools
import hashlib
import subprocess
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from isobuilder.definition import load_definition
from isobuilder.errors import DefinitionError, UsageError
from isobuilder.fetch.credentials import credentials
from isobuilder.provenance.secrets import put_back, take_out
from tests.conftest import isobuilder
from tests.kickstart_scripts import SHELLS, render_part
from tests.practice.mirror import write_demo
from tests.practice.server import _Handler

WORD = "Tr0ub4dor/3@pi"
PROXY_WORD = "pr0xyW0rd"
ROOT_HASH = "$6$saltsalt$" + "R" * 86
# What a secret may look like where it should not be.
FORMS = (
    WORD,
    quote(WORD, safe=""),
    PROXY_WORD,
    base64.b64encode(f"joe:{WORD}".encode()).decode(),
    hashlib.sha256(WORD.encode()).hexdigest(),
)


class _Guarded(_Handler):
    """Asks everybody who they are."""

    def _answer(self, *, with_body: bool) -> None:
        wanted = base64.b64encode(f"joe:{WORD}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {wanted}":
            super()._answer(with_body=with_body)
            return
        self.send_response(HTTPStatus.UNAUTHORIZED)
        self.send_header("WWW-Authenticate", 'Basic realm="site"')
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def guarded(mirror: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Guarded, directory=str(mirror)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def found_in(path: Path) -> list[str]:
    data = path.read_bytes()
    return [f"{path.name}: {form}" for form in FORMS if form.encode() in data]


@pytest.mark.practice
@pytest.mark.parametrize("way", ["environment", "netrc"])
def test_no_output_of_a_build_has_a_planted_secret(guarded: str, mirror: Path, tmp_path: Path, way: str) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    write_demo(folder, guarded, mirror, tables={"install": f'root-password = "{ROOT_HASH}"\n'})
    environ = {"https_proxy": f"http://joe:{PROXY_WORD}@127.0.0.1:9", "HOME": str(tmp_path)}
    cache = tmp_path / "cache"
    refused = isobuilder("build", "--cache-dir", str(cache), cwd=folder, **environ)
    assert refused.returncode == 4
    assert "401" in refused.stderr
    if way == "environment":
        environ["ISOBUILDER_CREDENTIALS"] = guarded.replace("//", f"//joe:{quote(WORD, safe='')}@") + "/"
    else:
        (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login joe password {WORD}\n")
        (tmp_path / ".netrc").chmod(0o600)
    built = isobuilder("build", "--cache-dir", str(cache), cwd=folder, **environ)
    assert built.returncode == 0, built.stderr
    (iso,) = folder.glob("*.iso")
    said = [refused.stdout, refused.stderr, built.stdout, built.stderr]
    for command in ("verify", "inspect", "reproduce"):
        more = ["--cache-dir", str(cache)] if command == "reproduce" else []
        done = isobuilder(command, *more, str(iso), cwd=folder, **environ)
        assert done.returncode == 0, done.stderr
        said += [done.stdout, done.stderr]
    assert not [form for form in (*FORMS, ROOT_HASH) for text in said if form in text]
    made = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in made} >= {".iso", ".sha256", ".json", ".lock"}
    kept = [path for path in cache.rglob("*") if path.is_file()]
    assert len(kept) > 200
    assert not [found for path in (*made, *kept) for found in found_in(path)]
    # The hash of the definition is in kickstarts of the ISO, and in no file beside it.
    assert {path.suffix for path in made if ROOT_HASH.encode() in path.read_bytes()} == {".toml", ".iso"}
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["bsdtar", "-xf", iso, "-C", tree], check=True)
    having = {
        path.parent.name for path in tree.rglob("*") if path.is_file() and ROOT_HASH.encode() in path.read_bytes()
    }
    assert having == {"ks"}


@pytest.mark.parametrize(
    "address",
    [
        "https://joe:Tr0ub4dor@example.org/os/",
        "https://Tr0ub4dor@example.org/os/",
        "https://joe:Tr0ub/4dor@example.org/os/",
        "http://joe:Tr0ub4dor@example.org",
        "HTTPS://joe:Tr0ub4dor@example.org/",
        "ftp://joe:Tr0ub4dor@example.org/",
    ],
)
@pytest.mark.parametrize("key", ["baseurl", "mirrorlist", "metalink", "gpgkey", "source"])
def test_an_address_with_a_password_is_refused_and_not_repeated(tmp_path: Path, address: str, key: str) -> None:
    text = 'version = 1\nname = "x"\nrelease = "9-stream"\n{}[[repository]]\nid = "site"\ntrust = "unsigned"\n'
    line = f'{key} = "{address}"\n'
    (tmp_path / "media.toml").write_text(text.format(line) if key == "source" else text.format("") + line)
    done = isobuilder("build", cwd=tmp_path)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 3
    assert "Put these into ~/.netrc" in said
    assert "ISOBUILDER_CREDENTIALS" in said
    assert not {"Tr0ub", "4dor", "joe"} & set(said.replace("/", " ").replace(":", " ").replace("@", " ").split())
    assert "4dor" not in said


@pytest.mark.parametrize(
    "query",
    [
        "?token=4dor", "?arch=x86_64&access_token=4dor", "?X-Amz-Signature=4dor", "?apiKey=4dor", "?sig=4dor&sv=2019",
        "?user=x;PASSWORD=4dor", "#secret=4dor", "?to%6ben=4dor", "?X-Amz-Credential=4dor", "?private-key=4dor",
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["mirrorlist", "metalink", "gpgkey"])
def test_an_address_with_a_secret_in_its_query_is_refused_and_not_repeated(
    tmp_path: Path, query: str, key: str
) -> None:
    text = 'version = 1\nname = "x"\nrelease = "9-stream"\n[[repository]]\nid = "site"\ntrust = "unsigned"\n'
    (tmp_path / "media.toml").write_text(f'{text}{key} = "https://example.org/os/list{query}"\n')
    with pytest.raises(DefinitionError) as caught:
        load_definition(tmp_path / "media.toml")
    [finding] = [line for line in caught.value.details if key in line]
    assert "no secret in its query" in finding
    assert "ISOBUILDER_CREDENTIALS" in finding
    assert "4dor" not in f"{caught.value} {caught.value.details} {caught.value.hint}"


@pytest.mark.parametrize(
    "address",
    [
        "https://mirrors.example.org/metalink?repo=centos-baseos-9-stream&arch=$basearch&protocol=https,http",
        "https://example.org/list?token=", "https://example.org/list?keys=all&passage=1&design=2&sigma=3",
    ],
)  # fmt: skip
def test_an_address_with_a_harmless_query_is_taken(tmp_path: Path, address: str) -> None:
    text = 'version = 1\nname = "x"\nrelease = "9-stream"\n[[repository]]\nid = "site"\ntrust = "unsigned"\n'
    (tmp_path / "media.toml").write_text(f'{text}metalink = "{address}"\n')
    assert load_definition(tmp_path / "media.toml").repository[0].metalink == address


def test_credentials_are_for_one_server_by_scheme_host_and_port() -> None:
    variable = "https://joe:a%40b%2F@One.example.org/ http://x:y@two.example.org:8080"
    assert credentials({"ISOBUILDER_CREDENTIALS": variable}) == {
        ("https", "one.example.org", 443): ("joe", "a@b/"),
        ("http", "two.example.org", 8080): ("x", "y"),
    }
    assert credentials({}) == {}


@pytest.mark.parametrize(
    "address", ["https://example.org/", "https://joe@x/", "joe:Tr0ub@x", "ftp://joe:Tr0ub@x/", "x:["]
)
def test_credentials_that_cannot_be_are_not_repeated(address: str) -> None:
    with pytest.raises(UsageError, match="address 2 is not") as caught:
        credentials({"ISOBUILDER_CREDENTIALS": f"https://a:b@c/ {address}"})
    assert "Tr0ub" not in f"{caught.value} {caught.value.details} {caught.value.hint}"


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("init", ["systemd", "sysv"])
def test_the_installed_system_keeps_no_kickstart(tmp_path: Path, shell: tuple[str, ...], init: str) -> None:
    (tmp_path / "root").mkdir()
    copies = [tmp_path / "root" / name for name in ("anaconda-ks.cfg", "original-ks.cfg")]
    other = tmp_path / "root/mine.cfg"
    for path in (*copies, other):
        path.write_text("rootpw")
    script = render_part("no-kickstart", init=init)
    environ = {"ISOBUILDER_ROOT": str(tmp_path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    for _ in range(2):
        subprocess.run([*shell, "-c", script], check=True, env=environ)
    assert not any(path.exists() for path in copies)
    # The installer comes once more, behind the script; then the system starts.
    copies[0].write_text("rootpw")
    copies[1].write_text("rootpw")
    remove = ["systemd-tmpfiles", f"--root={tmp_path}", "--remove"]
    subprocess.run(remove, check=True)
    assert all(path.exists() for path in copies)
    subprocess.run([*remove, "--boot"], check=True)
    assert [path.exists() for path in copies] == [init == "sysv"] * 2
    assert other.exists()


def test_a_private_key_in_one_line_comes_back() -> None:
    text = 'front-end-private-key = "c2VjcmV0"\n'
    shown, redacted = take_out("isobuilder/inputs/x", text, {"ks/a.cfg": "front-end-private-key = c2VjcmV0\n"})
    assert "c2VjcmV0" not in shown
    assert put_back("isobuilder/inputs/x", shown, redacted, {"ks/a.cfg": "front-end-private-key = c2VjcmV0\n"}) == text
