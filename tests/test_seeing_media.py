"""`inspect` and `diff` on media that mkksiso's and lorax's ways made, on damaged ones, and on the demo's."""

import json
import random
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from isobuilder.lock import required_lock
from isobuilder.seeing.comparison import without_place
from isobuilder.seeing.facts import role_ids
from tests.conftest import Demo, isobuilder
from tests.stock_media import KICKSTART, STOCK_9, StockMedium, describe, make_packages, make_repodata

SECRET = "Tr0ub4dor"


def with_roles(tree: Path) -> None:
    """Two roles besides ks.cfg, one of them with packages of its own and a secret; and a package for nobody."""
    make_packages(tree / "Packages", ["rack", "rack-libs", "spare"], {"rack": ["rack-libs"]})
    (tree / "ks").mkdir()
    (tree / "ks/rack.cfg").write_text(
        KICKSTART.replace("bash\n", "rack\n").replace("rootpw --lock", f"rootpw --iscrypted $6$a${SECRET}")
    )
    (tree / "ks/bad.cfg").write_text(KICKSTART.replace("bash\n", "nosuch\n"))
    make_repodata(tree)
    describe(tree, STOCK_9)


@pytest.fixture
def roles(stock_media: dict[str, StockMedium], tmp_path: Path) -> Path:
    return stock_media["9"].changed(tmp_path, with_roles)


def test_a_stock_medium_is_described(stock_media: dict[str, StockMedium]) -> None:
    for name, stock in stock_media.items():
        done = isobuilder("inspect", "--json", str(stock.iso))
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["release"], found["arch"]) == ("CentOS Stream", "x86_64")
        assert found["label"] == stock.stock.label
        [role] = found["roles"]
        assert (role["id"], role["kickstart"]) == ("ks", "ks.cfg")
        assert role["title"] == "Install a rack node", name
        assert {entry["kickstart"] for entry in found["entries"]} == {None, "ks.cfg"}
        assert found["errors"] == []


def test_packages_are_counted_by_repository_and_role_as_rpm_counts_them(roles: Path) -> None:
    found = json.loads(isobuilder("inspect", "--json", str(roles)).stdout)
    of_role = {role["id"]: role for role in found["roles"]}
    assert of_role["bad"]["total"] is None
    assert of_role["rack"]["alone"]["packages"] == 2
    held = {package["nevra"]: package for package in found["packages"]}
    assert held["rack-libs-0:1.0.0-1.noarch"]["roles"] == ["rack"]
    assert held["spare-0:1.0.0-1.noarch"]["roles"] == []
    assert found["no-role"]["packages"] == sum(not package["roles"] for package in held.values())
    listed = subprocess.run(["isoinfo", "-R", "-l", "-i", roles], capture_output=True, text=True, check=True).stdout
    sizes = {m[2]: int(m[1]) for m in re.finditer(r"\s(\d+) \w{3} +\d+ \d+ \[.*\]  (\S+\.rpm)", listed)}
    assert len(sizes) == len(held)
    assert {package["path"].removeprefix("Packages/"): package["size"] for package in held.values()} == sizes
    [repository] = found["repositories"]
    assert repository["total"] == {"packages": len(sizes), "size": sum(sizes.values())}


def test_the_text_has_roles_and_lines_and_no_secret(roles: Path) -> None:
    done = isobuilder("inspect", str(roles))
    assert done.returncode == 0
    assert re.search(r"\n  rack  no menu entry\n +\d+ packages, .*, of which only here 2 packages, ", done.stdout)
    assert "packages unknown; ks/bad.cfg" in done.stdout
    assert "    Install a rack node  [isolinux/isolinux.cfg, " in done.stdout
    assert "on the medium; isobuilder verify says which" in done.stdout
    for arguments in ((), ("--json",), ("--kickstart", "rack"), ("--kickstart", "ks/rack.cfg")):
        done = isobuilder("inspect", str(roles), *arguments)
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout
    assert "rootpw --iscrypted REDACTED\n" in done.stdout
    assert isobuilder("inspect", str(roles), "--kickstart", "rak").returncode == 2
    assert "did you mean 'rack'" in isobuilder("inspect", str(roles), "--kickstart", "rak").stderr


def test_roles_are_called_by_their_files_unless_those_are_alike() -> None:
    assert role_ids(["ks.cfg", "ks/a.cfg", "ks/b.ks"]) == {"ks.cfg": "ks", "ks/a.cfg": "a", "ks/b.ks": "b"}
    assert role_ids(["ks/a.cfg", "a.ks"]) == {"ks/a.cfg": "ks/a.cfg", "a.ks": "a.ks"}


def test_a_medium_of_no_known_release_has_kickstarts_and_no_packages_by_role(
    stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    def change(tree: Path) -> None:
        for name in (".treeinfo", ".discinfo"):
            (tree / name).unlink()

    iso = stock_media["9"].changed(tmp_path, change)
    found = json.loads(isobuilder("inspect", "--json", str(iso)).stdout)
    assert found["roles"][0]["total"] is None
    assert "lang en_US.UTF-8" in found["kickstarts"]["ks.cfg"]
    found = json.loads(isobuilder("inspect", "--json", "--release", "9-stream", str(iso)).stdout)
    assert found["roles"][0]["total"] is None  # nothing says the architecture


def test_damage_is_one_error_or_something_unknown(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    good = stock_media["9"].iso.read_bytes()
    iso = tmp_path / "damaged.iso"
    chance = random.Random(11)
    for number in range(12):
        data = bytearray(good)
        for _ in range(chance.choice((1, 30))):
            data[chance.choice((chance.randrange(34_000, 400_000), chance.randrange(32_768, 33_600)))] ^= 0x55
        iso.write_bytes(data[: chance.randrange(40_000, len(data))] if number % 4 == 0 else data)
        for command in (["inspect", str(iso)], ["diff", str(iso), str(stock_media["9"].iso)]):
            done = isobuilder(*command)
            assert "Traceback" not in done.stderr
            assert done.returncode in {0, 1, 8}
            assert (done.returncode == 8) == (not done.stdout)
    (tmp_path / "text.iso").write_text("not an image")
    assert isobuilder("inspect", str(tmp_path / "text.iso")).returncode == 8
    assert isobuilder("inspect", str(tmp_path / "missing.iso")).returncode == 2
    assert isobuilder("diff", str(iso), str(tmp_path / "missing.lock")).returncode == 3


def test_what_stands_on_a_medium_cannot_speak_to_a_terminal(
    stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    def change(tree: Path) -> None:
        (tree / "ks.cfg").write_text(f"{KICKSTART}# \x1b[2J\n")
        path = tree / "isolinux/isolinux.cfg"
        path.write_text(path.read_text().replace("Install a rack node", "Install \x1b[31m a rack node"))

    iso = stock_media["9"].changed(tmp_path, change)
    for command in (["inspect"], ["inspect", "--json"], ["inspect", "--kickstart", "ks"], ["diff"]):
        other = [str(stock_media["9"].iso)] if command == ["diff"] else []
        done = isobuilder(*command, str(iso), *other)
        assert done.returncode == len(other)
        assert "\x1b" not in done.stdout


def test_a_medium_is_the_same_as_itself_and_as_one_made_again(
    stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    stock = stock_media["9"]
    again = stock.changed(tmp_path, lambda _tree: None)
    done = isobuilder("diff", str(stock.iso), str(again))
    assert (done.returncode, done.stdout) == (0, "they are the same\n")


def test_loaders_that_mastering_told_another_place_are_the_same() -> None:
    def loader(block: int, told: int) -> bytes | None:
        data = bytearray(b"GRUB" * 1000)
        struct.pack_into("<IIII", data, 8, 16, told, len(data), block * 77)
        struct.pack_into("<Q", data, 2548, told * 4 + 5)
        return without_place(bytes(data), block)

    assert loader(40, 40) == loader(900, 900)
    assert loader(40, 40) is not None
    assert loader(40, 41) is None
    assert without_place(b"short", 40) is None


def test_everything_that_differs_is_told(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    def change(tree: Path) -> None:
        (tree / "Packages/bash-1.0-1.noarch.rpm").unlink()
        make_packages(tree / "Packages", ["tmux"])
        (tree / "ks.cfg").write_text(KICKSTART.replace("bash\n", "tmux\n").replace("keyboard us", "keyboard de"))
        path = tree / "isolinux/isolinux.cfg"
        path.write_text(path.read_text().replace("nomodeset quiet", "nomodeset").replace("^Rescue", "^Save"))
        (tree / "images/install.img").write_bytes(b"hsqs" + bytes(5000))
        make_repodata(tree)
        describe(tree, STOCK_9)

    iso = stock_media["9"].changed(tmp_path, change)
    done = isobuilder("diff", str(stock_media["9"].iso), str(iso))
    assert done.returncode == 1, done.stderr
    told = done.stdout.splitlines()
    menu = "isolinux/isolinux.cfg"
    for line in (
        "boot images/install.img: one -> another",
        f"menu {menu}: Rescue a CentOS system: removed",
        f"menu {menu}: Save a CentOS system: added",
        "kickstart ks.cfg: keyboard us, removed",
        "kickstart ks.cfg: keyboard de, added",
        "package bash.noarch: 0:1.0.0-1, removed (ks)",
        "package tmux.noarch: 0:1.0.0-1, added (ks)",
        "packages: 1 added, 1 removed",
        "  ks: 1 added, 1 removed",
    ):
        assert line in told, done.stdout
    assert any(re.match(rf"kernel {menu}: Install .* graphics mode: .* nomodeset quiet -> .* nomodeset$", line)
               for line in told)  # fmt: skip
    found = json.loads(isobuilder("diff", "--json", str(stock_media["9"].iso), str(iso)).stdout)
    assert len(found["changes"]) == len(told) - 3
    assert not found["same"]


def test_secrets_that_changed_are_told_and_not_shown(roles: Path, tmp_path: Path) -> None:
    data = roles.read_bytes()
    assert data.count(SECRET.encode()) == 1
    other = tmp_path / "other.iso"
    other.write_bytes(data.replace(SECRET.encode(), SECRET[::-1].encode()))
    done = isobuilder("diff", str(roles), str(other))
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "kickstart ks/rack.cfg: one -> another"
    assert SECRET not in done.stdout
    assert SECRET[::-1] not in done.stdout


@pytest.mark.practice
def test_the_demo_is_what_its_lock_says(demo: Demo, tmp_path: Path) -> None:
    release = str(demo.folder / "practice.toml")
    done = isobuilder("diff", "--release", release, str(demo.iso), str(demo.lock))
    assert done.stdout.startswith("they are the same\na lock or a manifest has no kickstarts"), done.stdout
    assert done.returncode == 0
    found = json.loads(isobuilder("inspect", "--json", "--release", release, str(demo.iso)).stdout)
    lock = required_lock(demo.lock)
    assert {package["nevra"]: set(package["roles"]) for package in found["packages"]} == {
        package.nevra: set(package.roles) for package in lock.packages if package.roles
    }
    shutil.copy(demo.lock, tmp_path / "a.lock")
    assert isobuilder("diff", str(tmp_path / "a.lock"), str(demo.lock)).stdout == "the locks are the same\n"
