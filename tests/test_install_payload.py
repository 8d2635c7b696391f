"""The packages that the stand-in for Anaconda installs: by dnf, out of the practice mirror, into a folder."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.practice import host
from tests.practice.signing import new_signer

pytestmark = pytest.mark.practice

# As in stage 2: the system's own Python, which has dnf.
_SCRIPT = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from standin import payload
from standin.tools import FailureError, Tools
asked = json.load(sys.stdin)
root, medium = Path(asked["root"]), Path(asked["medium"])
said = []
answer = {"said": said, "cause": None, "detail": []}
try:
    tools = Tools(said.append, Path(asked["log"]))
    payload.install(tools, root, medium, "9", asked["install"], asked["exclude"], weak=False)
except FailureError as error:
    answer["cause"], answer["detail"] = error.cause, error.said
print(json.dumps(answer))
"""


@dataclass(frozen=True)
class Answer:
    """What it said on the consoles; the cause of its failure, or None, and the last words of a tool about it."""

    said: list[str]
    cause: str | None
    detail: list[str]


def install(medium: Path, root: Path, asked: Sequence[str], exclude: Sequence[str] = ()) -> Answer:
    root.mkdir()
    question = {
        "root": str(root),
        "medium": str(medium),
        "install": list(asked),
        "exclude": list(exclude),
        "log": f"{root}.log",
    }
    done = subprocess.run(
        ["/usr/bin/python3", "-B", "-c", _SCRIPT, str(Path(host.__file__).parent)],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return Answer(**json.loads(done.stdout.splitlines()[-1]))


def installed(root: Path) -> set[str]:
    """What rpm has in its database there."""
    [database] = root.rglob("rpmdb.sqlite")
    command = ["rpm", "--root", str(root), "--dbpath", f"/{database.parent.relative_to(root)}"]
    done = subprocess.run([*command, "-qa", "--qf", "%{NAME}\\n"], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) - {"gpg-pubkey"}


def test_groups_globs_and_exclusions(mirror: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    asked = ["@core", "grub2-*", "syslinux"]
    assert install(mirror / "os", root, asked, exclude=["iputils", "grub2-efi-x64"]).cause is None
    found = installed(root)
    assert {"NetworkManager", "openssh-server", "grub2-tools", "grub2-pc", "syslinux"} <= found
    assert {"iputils", "grub2-efi-x64", "less", "chrony"} & found == set()
    assert (root / "usr/bin/bash").exists()
    assert (root / "etc/systemd/system/multi-user.target.wants/NetworkManager.service").is_symlink()


def test_a_package_that_the_medium_lacks_is_named(mirror: Path, tmp_path: Path) -> None:
    answer = install(mirror / "os", tmp_path / "root", ["basesystem", "rack-tools"])
    assert "rack-tools" in "\n".join([str(answer.cause), *answer.detail])
    assert not (tmp_path / "root/usr").exists()


@pytest.fixture
def medium(mirror: Path, tmp_path: Path) -> Path:
    """A medium of two packages, with the key that they are signed with."""
    medium = tmp_path / "medium"
    (medium / "Packages").mkdir(parents=True)
    shutil.copy(mirror / "os/RPM-GPG-KEY-practice", medium)
    for name in ("rack-common", "rack-doc"):
        [rpm] = (mirror / "extras/Packages").glob(f"{name}-*.rpm")
        shutil.copy(rpm, medium / "Packages" / f"{name}.rpm")
    return medium


def index(medium: Path) -> None:
    program = Path(sys.executable).with_name("createrepo_c")
    subprocess.run([program, "--quiet", medium], check=True, capture_output=True)


def test_what_nobody_signed_is_named_and_taken(medium: Path, tmp_path: Path) -> None:
    subprocess.run(["rpmsign", "--delsign", medium / "Packages/rack-doc.rpm"], check=True, capture_output=True)
    index(medium)
    answer = install(medium, tmp_path / "root", ["rack-common", "rack-doc"])
    assert (answer.cause, answer.detail) == (None, [])
    assert "packages: not signed by anybody: rack-doc.rpm" in answer.said
    assert installed(tmp_path / "root") == {"rack-common", "rack-doc"}


def test_what_another_key_signed_is_refused_before_anything_is_installed(medium: Path, tmp_path: Path) -> None:
    with new_signer() as stranger:
        stranger.sign_rpms([medium / "Packages/rack-doc.rpm"])
    index(medium)
    answer = install(medium, tmp_path / "root", ["rack-common", "rack-doc"])
    assert answer.cause == "packages are not as a key on the medium signed them"
    assert [line.rpartition("/")[2] for line in answer.detail] == ["rack-doc.rpm: digests SIGNATURES NOT OK"]
    assert installed(tmp_path / "root") == set()


def test_a_medium_without_a_key(mirror: Path, tmp_path: Path) -> None:
    answer = install(mirror / "extras", tmp_path / "root", ["rack-common"])
    assert answer.cause == "there is no RPM-GPG-KEY-* on the medium"
