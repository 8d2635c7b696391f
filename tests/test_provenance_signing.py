"""A signature over the checksum file, made by gpg when asked for, and judged by gpgv."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Demo, isobuilder

pytestmark = pytest.mark.practice

ISO_NAME = "practice-cloud-practice-x86_64.iso"
KEY = "builder@example.org"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A GNUPGHOME with a key of its own, without a passphrase, and its public half in `public.gpg`."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    gpg = ["gpg", "--batch", "--quiet", "--homedir", str(home)]
    subprocess.run([*gpg, "--passphrase", "", "--quick-generate-key", KEY, "ed25519", "sign"], check=True)
    subprocess.run([*gpg, "--output", str(home / "public.gpg"), "--export", KEY], check=True)
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)


@pytest.fixture
def folder(demo: Demo, tmp_path: Path) -> Path:
    for name in ("media.toml", "practice.toml", "rack-node.ks.j2", demo.lock.name):
        shutil.copy(demo.folder / name, tmp_path)
    shutil.copytree(demo.folder / "eucalyptus", tmp_path / "eucalyptus")
    return tmp_path


def gpgv(keys: Path, folder: Path) -> int:
    sums = folder / f"{ISO_NAME}.sha256"
    command = ["gpgv", "--keyring", str(keys / "public.gpg"), f"{sums}.asc", str(sums)]
    return subprocess.run(command, check=False, capture_output=True).returncode


def test_gpgv_takes_it_and_no_other_file(demo: Demo, folder: Path, keys: Path) -> None:
    build = ["build", "--cache-dir", str(demo.cache)]
    done = isobuilder(*build, "--sign", KEY, "--offline", cwd=folder, GNUPGHOME=str(keys))
    assert done.returncode == 0, done.stderr
    assert gpgv(keys, folder) == 0
    # What is signed is the demo's own medium: a signature changes no bit of it.
    sums = folder / f"{ISO_NAME}.sha256"
    assert sums.read_text() == (demo.folder / f"{ISO_NAME}.sha256").read_text()
    sums.write_text(sums.read_text().replace("  ", " *"))
    assert gpgv(keys, folder) != 0
    # Built again without it, no older signature stays beside another checksum.
    assert isobuilder(*build, "--force", cwd=folder, GNUPGHOME=str(keys)).returncode == 0
    assert not (folder / f"{ISO_NAME}.sha256.asc").exists()


def test_nothing_is_signed_unless_asked(demo: Demo) -> None:
    assert not list(demo.folder.glob("*.asc"))


@pytest.mark.parametrize("key", ["nobody@example.org", "--help"])
def test_a_key_that_is_not_there_is_an_error_before_any_work(demo: Demo, folder: Path, keys: Path, key: str) -> None:
    before = sorted(folder.iterdir())
    done = isobuilder("build", "--cache-dir", str(demo.cache), f"--sign={key}", cwd=folder, GNUPGHOME=str(keys))
    assert done.returncode == 7
    assert f"--sign: gpg has no secret key '{key}'" in done.stderr
    assert sorted(folder.iterdir()) == before


def test_without_gpg_it_says_so(demo: Demo, folder: Path, tmp_path: Path) -> None:
    done = isobuilder("build", "--cache-dir", str(demo.cache), "--sign", KEY, cwd=folder, PATH=str(tmp_path))
    assert done.returncode == 7
    assert "gpg cannot be run" in done.stderr
