"""What tests share: flags, real metadata where it is present, and the demo medium, made once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from tests.practice.mirror import ensure_mirror, write_demo
from tests.practice.server import serve
from tests.stock_media import ALL_STOCK, PACKAGES, StockMedium, make_packages, stock_medium

# Everything that tests fetch is on loopback: a proxy or a certificate bundle of the host has no part in it.
_NETWORK_VARIABLES = frozenset(
    {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle", "ssl_cert_file"}
)


# A change is judged by the same examples each time, on any machine; `--hypothesis-profile default` searches for others.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="Write golden files anew instead of comparing.")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ.keys() - loopback_environ().keys():
        monkeypatch.delenv(name)


def loopback_environ() -> dict[str, str]:
    """The environment without what would send a request for loopback elsewhere; builds start no machine in it."""
    environ = {name: value for name, value in os.environ.items() if name.lower() not in _NETWORK_VARIABLES}
    return {**environ, "ISOBUILDER_PICTURES": "0"}


@pytest.fixture(scope="session")
def real_metadata() -> Path:
    """A folder of real CentOS metadata (`repos`, `comps`, `trees`, `keys`), never part of this project."""
    folder = os.environ.get("ISOBUILDER_REAL_METADATA")
    if not folder:
        pytest.skip("ISOBUILDER_REAL_METADATA is not set: real CentOS metadata is not tested")
    return Path(folder)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The practice mirror's folder, made when it is missing."""
    return ensure_mirror()


@pytest.fixture(scope="session")
def mirror_url(mirror: Path) -> Iterator[str]:
    """Where the practice mirror is served on loopback, without a slash at the end."""
    with serve(mirror) as url:
        yield url.rstrip("/")


@dataclass(frozen=True)
class Demo:
    """The demo as a user has it: a folder with definition, lock and ISO, and the cache that was filled for it."""

    folder: Path
    cache: Path
    iso: Path
    lock: Path
    said: str


@pytest.fixture(scope="session")
def demo(mirror_url: str, mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo medium, built by the command line."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, mirror_url, mirror)
    cache = folder / "cache"
    done = isobuilder("build", "--cache-dir", str(cache), cwd=folder)
    assert done.returncode == 0, done.stderr
    return Demo(
        folder, cache, folder / "practice-cloud-practice-x86_64.iso", folder / "practice-cloud.lock", done.stderr
    )


@pytest.fixture(scope="session")
def demo_iso(demo: Demo) -> Path:
    return demo.iso


def isobuilder(*arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a script would; whatever it exits with comes back."""
    return subprocess.run(
        [sys.executable, "-m", "isobuilder", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=600,
        check=False,
        env={**loopback_environ(), "COLUMNS": "100", **environ},
    )


@pytest.fixture(scope="session")
def stock_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the packages that every good medium of `tests.stock_media` has."""
    folder = tmp_path_factory.mktemp("packages")
    make_packages(folder, PACKAGES)
    return folder


@pytest.fixture(scope="session")
def stock_media(tmp_path_factory: pytest.TempPathFactory, stock_packages: Path) -> dict[str, StockMedium]:
    """Good media as lorax makes them, by the name of their kind: 7, 9, 10, uefi. Tests change copies."""
    folder = tmp_path_factory.mktemp("stock")
    return {stock.name: stock_medium(folder, stock, stock_packages) for stock in ALL_STOCK}
