"""Every kickstart of every release, product and role: as approved, and as other people's programs want it.

A change to a template shows here as a difference of what machines will do.
"""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import isobuilder.releases
from isobuilder.blueprint import read_blueprint
from isobuilder.kickstart import Kickstart, render_roles
from tests.kickstart_scripts import complaints

GOLDEN = Path(__file__).parent / "golden/kickstarts"
ROOT = Path(__file__).parent.parent
PASSWORD = "$6$salt$" + "x" * 86
# Like the least that a definition says, and like the most.
INSTALLS = {
    "ask": "",
    "unattended": f"""
[install]
language = "it_IT.UTF-8"
keyboard = "it"
timezone = "Europe/Rome"
root-password = "{PASSWORD}"
ssh-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA admin@example.org"]
console = "ttyS0,115200"
disk = {{ model = "ST*NM*", min-size = "100GB", max-size = "2TB" }}
reinstall = true
""",
}
SERVED = {"eucalyptus": ("6", "7")}
RELEASES = sorted(path.stem for path in Path(isobuilder.releases.__file__).parent.glob("*.toml"))
CASES = [
    (release, product, install)
    for release in RELEASES
    for product in ("plain", *(name for name, releases in SERVED.items() if release in releases))
    for install in INSTALLS
]
IDS = ["-".join(case) for case in CASES]


@cache
def rendered(release: str, product: str, install: str, folder: Path) -> tuple[Kickstart, ...]:
    path = folder / f"{release}-{product}-{install}.toml"
    named = "" if product == "plain" else f'product = "{product}"\n'
    path.write_text(f'version = 1\nname = "campus"\nrelease = "{release}"\n{named}{INSTALLS[install]}')
    return render_roles(read_blueprint(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("definitions")


def test_a_product_is_tried_on_every_release_that_it_serves() -> None:
    files = {path.parent.name: path.read_text() for path in (ROOT / "kickstarts").glob("*/product.toml")}
    served = {name: tuple(re.findall(r"^\[release\.([^.\]]+)\]$", text, re.MULTILINE)) for name, text in files.items()}
    assert served == SERVED


@pytest.mark.parametrize(("release", "product", "install"), CASES, ids=IDS)
def test_kickstarts_are_as_they_were_approved(
    release: str, product: str, install: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    home = GOLDEN / release / f"{product}-{install}"
    texts = {f"{kickstart.role}.cfg": kickstart.text for kickstart in rendered(release, product, install, folder)}
    if request.config.getoption("--regenerate"):
        home.mkdir(parents=True, exist_ok=True)
        for old in home.iterdir():
            old.unlink()
        for name, text in texts.items():
            (home / name).write_text(text)
    assert texts == {path.name: path.read_text() for path in home.iterdir()}


def test_no_golden_file_is_left_of_what_is_gone() -> None:
    kept = {f"{path.parent.name}/{path.name}" for path in GOLDEN.glob("*/*")}
    assert kept == {f"{release}/{product}-{install}" for release, product, install in CASES}


@pytest.mark.parametrize(("release", "product", "install"), CASES, ids=IDS)
def test_ksvalidator_takes_every_kickstart(release: str, product: str, install: str, folder: Path) -> None:
    ksvalidator = Path(sys.executable).with_name("ksvalidator")
    for kickstart in rendered(release, product, install, folder):
        path = folder / f"{release}-{product}-{install}-{kickstart.role}.cfg"
        path.write_text(kickstart.text)
        version = f"RHEL{release.removesuffix('-stream')}"
        done = subprocess.run(
            [ksvalidator, "--version", version, "--firsterror", path], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_every_script_is_sound(folder: Path) -> None:
    # Sections repeat from file to file: each is judged once.
    sections = {
        section
        for case in CASES
        for kickstart in rendered(*case, folder)
        for section in re.findall(r"^%(?:pre|post)\b.*?^%end\n", kickstart.text, re.MULTILINE | re.DOTALL)
    }
    assert len(sections) > 20
    assert complaints("".join(sorted(sections))) == []


@pytest.mark.parametrize(("release", "product", "install"), CASES, ids=IDS)
def test_no_secret_is_in_a_script_and_no_password_is_ours(
    release: str, product: str, install: str, folder: Path
) -> None:
    for kickstart in rendered(release, product, install, folder):
        commands, _, scripts = kickstart.text.partition("\n%packages")
        assert "$6$" not in scripts
        assert "set -x" not in scripts
        given = re.findall(r"^rootpw (.*)$", commands, re.MULTILINE)
        locked = kickstart.role == "image"
        wanted = (
            ["--lock", "--iscrypted *"] if locked else [f"--iscrypted {PASSWORD}"] if install == "unattended" else []
        )
        assert len(given) == bool(wanted)
        assert set(given) <= set(wanted)
