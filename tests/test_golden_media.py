"""Every kickstart and every menu of every release and product: as approved, and as other people's programs want it.

A change to a template shows here as a difference of what machines will do.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import isobuilder.releases
from isobuilder.plan import Plan, make_plan
from isobuilder.releases import Release
from isobuilder.schema import load_toml
from tests.kickstart_scripts import complaints

GOLDEN = Path(__file__).parent / "golden/media"
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


@dataclass(frozen=True)
class Case:
    """One medium: what its definition says."""

    release: str
    arch: str
    product: str
    install: str

    @property
    def name(self) -> str:
        return f"{self.release}/{self.arch}-{self.product}-{self.install}"


def cases() -> Iterator[Case]:
    for path in sorted(Path(isobuilder.releases.__file__).parent.glob("*.toml")):
        for arch in load_toml(path, Release, "release file").arch:
            products = [name for name, releases in SERVED.items() if path.stem in releases and arch == "x86_64"]
            for product in ("plain", *products):
                yield from (Case(path.stem, arch, product, install) for install in INSTALLS)


CASES = tuple(cases())
each = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@cache
def plan(case: Case, folder: Path) -> Plan:
    path = folder / f"{case.name.replace('/', '-')}.toml"
    named = "" if case.product == "plain" else f'product = "{case.product}"\n'
    wanted = f'version = 1\nname = "campus"\nrelease = "{case.release}"\narch = "{case.arch}"\n{named}'
    path.write_text(wanted + INSTALLS[case.install])
    return make_plan(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("definitions")


def test_a_product_is_tried_on_every_release_that_it_serves() -> None:
    files = {path.parent.name: path.read_text() for path in (ROOT / "kickstarts").glob("*/product.toml")}
    served = {name: tuple(re.findall(r"^\[release\.([^.\]]+)\]$", text, re.MULTILINE)) for name, text in files.items()}
    assert served == SERVED


@each
def test_kickstarts_and_menus_are_as_they_were_approved(
    case: Case, folder: Path, request: pytest.FixtureRequest
) -> None:
    home = GOLDEN / case.name
    made = plan(case, folder)
    menus = {path: data.decode() for path, data in made.menus.items() if path.endswith((".cfg", ".conf"))}
    texts = {kickstart.path: kickstart.text for kickstart in made.kickstarts} | menus
    if request.config.getoption("--regenerate"):
        shutil.rmtree(home, ignore_errors=True)
        for name, text in texts.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(text)
    approved = {str(path.relative_to(home)): path.read_text() for path in home.rglob("*") if path.is_file()}
    assert texts == approved


def test_no_golden_file_is_left_of_what_is_gone() -> None:
    kept = {f"{path.parent.name}/{path.name}" for path in GOLDEN.glob("*/*")}
    assert kept == {case.name for case in CASES}


@each
def test_ksvalidator_takes_every_kickstart(case: Case, folder: Path) -> None:
    ksvalidator = Path(sys.executable).with_name("ksvalidator")
    for kickstart in plan(case, folder).kickstarts:
        path = folder / f"{case.name.replace('/', '-')}-{kickstart.role}.cfg"
        path.write_text(kickstart.text)
        version = f"RHEL{case.release.removesuffix('-stream')}"
        done = subprocess.run(
            [ksvalidator, "--version", version, "--firsterror", path], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_every_script_is_sound(folder: Path) -> None:
    # Sections repeat from file to file: each is judged once.
    sections = {
        section
        for case in CASES
        for kickstart in plan(case, folder).kickstarts
        for section in re.findall(r"^%(?:pre|post)\b.*?^%end\n", kickstart.text, re.MULTILINE | re.DOTALL)
    }
    assert len(sections) > 20
    assert complaints("".join(sorted(sections))) == []


@each
def test_no_secret_is_in_a_script_and_no_password_is_ours(case: Case, folder: Path) -> None:
    for kickstart in plan(case, folder).kickstarts:
        commands, _, scripts = kickstart.text.partition("\n%packages")
        assert PASSWORD not in scripts
        assert "set -x" not in scripts
        given = re.findall(r"^rootpw (.*)$", commands, re.MULTILINE)
        locked = kickstart.role == "image"
        wanted = ["--lock", "--iscrypted *"] if locked else [f"--iscrypted {PASSWORD}"] * (case.install == "unattended")
        assert len(given) == bool(wanted)
        assert set(given) <= set(wanted)
