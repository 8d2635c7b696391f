"""What a machine is told that it has and lacks, on machines made up for it, and on this one."""

import configparser
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from isobuilder.doctor.booting import BootingHost, booting
from isobuilder.doctor.building import LIBRARIES, BuildingHost, building, libraries
from isobuilder.doctor.check import Check, builds, dump, lines
from isobuilder.errors import HostError
from isobuilder.progress import Silent
from tests.conftest import isobuilder

NFPM = "GitVersion:    2.48.0\nGitCommit:     x\n"


def no_such(*_: object) -> Any:
    raise AssertionError("not asked for here")


def by_title(checks: Sequence[Check]) -> dict[str, Check]:
    return {check.title: check for check in checks}


def builder(**changes: Any) -> BuildingHost:
    usual: dict[str, Any] = {
        "load": lambda _module: None,
        "nfpm": lambda: "/bin/nfpm",
        "run": lambda command: NFPM if command == ["/bin/nfpm", "--version"] else None,
        "free": lambda _folder: 50_000_000_000,
        "time_zones": lambda: {"UTC"},
    }
    return BuildingHost(**(usual | changes))


def booter(tmp_path: Path, **changes: Any) -> BootingHost:
    kvm = tmp_path / "kvm"
    kvm.touch()
    usual: dict[str, Any] = {
        "which": lambda name: f"/bin/{name}",
        "run": lambda _command: "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n",
        "arch": "x86_64",
        "kvm": kvm,
        "runs_a_guest": lambda hardware: hardware.arch == "x86_64",
        "firmware": lambda _hardware, name: (Path(f"/fw/{name}"), Path("/fw/vars")),
    }
    return BootingHost(**(usual | changes))


def test_every_library_that_the_wheel_requires_is_looked_at() -> None:
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parent.parent / "setup.cfg")
    words = setup["options"]["install_requires"].splitlines()
    required = {re.split(r"[<>=]", word.strip())[0] for word in words if word.strip() and not word.startswith("#")}
    assert {*LIBRARIES, "nfpm"} == required
    assert [check.state for check in libraries(BuildingHost())] == ["there", "there"]


def test_a_machine_with_everything_builds_and_boots(tmp_path: Path) -> None:
    checks = [
        *libraries(builder()),
        *building(builder(), tmp_path, tmp_path / "cache"),
        *booting(booter(tmp_path), Silent()),
    ]
    assert {check.state for check in checks} == {"there"}
    told = list(lines(checks))
    assert "  there  nfpm                 2.48.0" in told
    assert told[-1] == "this machine can build media"


@pytest.mark.parametrize(
    ("error", "how"),
    [
        ("libglib-2.0.so.0: cannot open shared object file: No such file", "apt install libglib2.0-0"),
        ("No module named 'createrepo_c'", "install isobuilder again, which brings it"),
    ],
)
def test_a_library_that_does_not_load_is_named_with_the_way_to_get_it(error: str, how: str) -> None:
    def load(module: str) -> object:
        if module == "createrepo_c":
            raise ImportError(error)
        return None

    checks = libraries(builder(load=load))
    lacking = by_title(checks)["createrepo_c"]
    assert (lacking.state, lacking.found) == ("lacks", error)
    assert how in lacking.get.values()
    assert not builds(checks)
    assert not list(lines(checks))[-1].startswith("this machine can")


@pytest.mark.parametrize(
    ("free", "state"), [(999_999_999, "lacks"), (1_000_000_000, "care"), (10_000_000_000, "there")]
)
def test_space_is_looked_at_where_cache_and_iso_would_go(tmp_path: Path, free: int, state: str) -> None:
    asked: list[Path] = []

    def free_at(folder: Path) -> int:
        asked.append(folder)
        return free

    (tmp_path / "out").mkdir()
    checks = list(building(builder(free=free_at), tmp_path / "out", tmp_path / "not/yet"))
    assert asked == [tmp_path, tmp_path / "out"]
    assert [by_title(checks)[title].state for title in ("cache", "this folder")] == [state, state]
    assert builds(checks) is (state != "lacks")


def test_a_folder_that_cannot_be_written_to_builds_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    checks = list(building(builder(free=no_such), tmp_path / "file", tmp_path / "file/cache"))
    assert by_title(checks)["this folder"].found == f"{tmp_path}/file cannot be written to"
    assert not builds(checks)


def missing() -> str:
    raise HostError("the program nfpm is missing")


@pytest.mark.parametrize(
    ("change", "found"),
    [({"nfpm": missing}, "the program nfpm is missing"), ({"run": lambda _command: None}, "does not run here")],
)
def test_nfpm_that_is_missing_or_does_not_run(tmp_path: Path, change: dict[str, Any], found: str) -> None:
    checks = list(building(builder(**change), tmp_path, tmp_path))
    assert (by_title(checks)["nfpm"].state, by_title(checks)["nfpm"].found) == ("lacks", found)
    assert not builds(checks)


def test_time_zones_are_only_to_be_known(tmp_path: Path) -> None:
    checks = list(building(builder(time_zones=set), tmp_path, tmp_path))
    assert by_title(checks)["time zones"].state == "care"
    assert builds(checks)


def test_what_boots_lacks_each_on_its_own(tmp_path: Path) -> None:
    host = booter(
        tmp_path,
        which=lambda name: None if name in {"qemu-system-aarch64", "setpriv"} else f"/bin/{name}",
        firmware=lambda _hardware, name: None if name == "uefi-secure" else (Path("/fw"), Path("/fw")),
    )
    checks = list(booting(host, Silent()))
    assert {check.title for check in checks if check.state == "lacks"} == {
        "QEMU, aarch64",
        "Secure Boot, x86_64",
        "setpriv",
    }
    told = "\n".join(lines(checks))
    assert "Debian, Ubuntu: apt install qemu-system-arm\n         Fedora: dnf install qemu-system-aarch64" in told
    assert "Debian, Ubuntu: apt install ovmf\n         Fedora, EL: dnf install edk2-ovmf" in told
    assert builds(checks)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("QEMU emulator version 7.1.0", "care"),
        ("QEMU emulator version 7.2.0", "there"),
        ("QEMU emulator version 10.0.2 (qemu-10.0.2-1.fc43)", "there"),
        (None, "lacks"),
    ],
)
def test_labs_take_a_newer_qemu(tmp_path: Path, said: str | None, state: str) -> None:
    checks = by_title(list(booting(booter(tmp_path, run=lambda _command: said), Silent())))
    assert checks["QEMU, x86_64"].state == state


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"arch": "riscv64", "runs_a_guest": no_such}, "not for media here, on riscv64"),
        ({"kvm": Path("/nowhere/kvm"), "runs_a_guest": no_such}, "no /nowhere/kvm"),
        ({"which": lambda _name: None, "runs_a_guest": no_such}, "not tried without QEMU"),
        ({"runs_a_guest": lambda _hardware: False}, "no guest ran with "),
    ],
)
def test_kvm_is_there_when_it_ran_a_guest(tmp_path: Path, change: dict[str, Callable[..., object]], found: str) -> None:
    kvm = by_title(list(booting(booter(tmp_path, **change), Silent())))["KVM"]
    assert (kvm.state, found in kvm.found) == ("care", True)
    assert kvm.get


def test_on_this_machine(tmp_path: Path) -> None:
    done = isobuilder("doctor", "--json", "--quiet", "--cache-dir", "cache", cwd=tmp_path, PATH="/nowhere")
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    states = {check["title"]: check["state"] for check in table["checks"]}
    assert (table["builds"], states["libraries"], states["QEMU, x86_64"]) == (True, "there", "lacks")
    assert not list(tmp_path.iterdir())


def test_a_machine_that_cannot_build_is_7(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = isobuilder("doctor", "--output-dir", "file", cwd=tmp_path, PATH="/nowhere")
    assert done.returncode == 7
    assert "  lacks  this folder" in done.stdout
    assert "error: this machine cannot build media\n  this folder: " in done.stderr
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if str(tmp_path) not in line)


def test_json_has_what_the_lines_say(tmp_path: Path) -> None:
    checks = list(booting(booter(tmp_path, which=lambda _name: None), Silent()))
    table = json.loads(dump(checks))
    assert [row["title"] for row in table["checks"]] == [check.title for check in checks]
    assert table["checks"][0]["get"]["Debian, Ubuntu"] == "apt install qemu-system-x86"
    assert table["checks"][0]["commands"] == ["boot", "rehearse", "lab"]
