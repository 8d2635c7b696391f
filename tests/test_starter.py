"""The first minutes: a definition that builds as it was written, for the newest release, known to an editor."""

import datetime as dt
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from isobuilder.definition import load_definition
from isobuilder.errors import HostError
from isobuilder.plan import make_plan
from isobuilder.releases.listing import current, listed, warnings
from isobuilder.starter import name_of, starter_files, write_new
from tests.conftest import isobuilder
from tests.practice.mirror import write_demo
from tests.test_definition import HASH, KEY

FILES = ["media.schema.json", "media.toml"]
NEWEST = listed()[0]
TAPLO = Path(sys.executable).with_name("taplo")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_definition_is_for_the_newest_release_with_updates_and_would_build(tmp_path: Path) -> None:
    done = isobuilder("init", "web farm", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "web farm") == FILES
    assert done.stdout.splitlines()[-1].endswith("cd 'web farm' && isobuilder build")
    plan = make_plan(tmp_path / "web farm/media.toml")
    assert plan.definition.name == "web-farm"
    assert plan.release.id == current(dt.datetime.now(tz=dt.UTC).date()).id
    assert [kickstart.role for kickstart in plan.kickstarts] == ["minimal"]


def test_the_current_folder_and_another_release(tmp_path: Path) -> None:
    done = isobuilder("init", "--release", "9-stream", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("to build an ISO of CentOS Stream 9: isobuilder build\n")
    assert make_plan(tmp_path / "media.toml").release.id == "9-stream"
    wrong = isobuilder("init", "--release", "9-strem", "other", cwd=tmp_path)
    assert (wrong.returncode, "did you mean '9-stream'?" in wrong.stderr) == (3, True)
    assert isobuilder("init", "--release", "mine.toml", "other", cwd=tmp_path).returncode == 2
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("there", FILES)
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).symlink_to("nowhere")
    done = isobuilder("init", cwd=tmp_path)
    assert done.returncode == 2
    assert f"{there}: there already" in done.stderr
    assert not done.stdout
    assert names(tmp_path) == [there]


def test_what_was_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    class Meanwhile(dict[str, str]):
        # Asked for in the last moment before the names are taken.
        def values(self):  # type: ignore[no-untyped-def]
            (tmp_path / "b").write_text("somebody else's")
            return super().values()

    with pytest.raises(HostError, match="b: cannot be written: File exists"):
        write_new(tmp_path, Meanwhile(a="1", b="2"))
    assert names(tmp_path) == ["b"]
    assert (tmp_path / "b").read_text() == "somebody else's"


def test_a_place_that_cannot_be_written_is_7(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = isobuilder("init", "file/inside", cwd=tmp_path)
    assert done.returncode == 7
    assert "file/inside: cannot be written: Not a directory" in done.stderr
    with pytest.raises(HostError, match="cannot be written"):
        write_new(Path("/proc"), {"media.toml": ""})


@pytest.mark.parametrize(
    ("folder", "name"),
    [("cloud", "cloud"), ("/", "medium"), ("a b/ü c", "c"), ("x" * 80, "x" * 61), ("..", None), ("-.-", "medium")],
)
def test_a_name_is_made_of_the_folder(tmp_path: Path, folder: str, name: str | None) -> None:
    made = name_of(tmp_path / "sub" / folder)
    assert made == (name or name_of(tmp_path))
    (tmp_path / "media.toml").write_text(starter_files(made, NEWEST)["media.toml"])
    assert load_definition(tmp_path / "media.toml").name == made


def test_what_is_commented_out_can_be_taken_in(tmp_path: Path) -> None:
    text = starter_files("x", NEWEST)["media.toml"]
    assert max(map(len, text.splitlines())) <= 80
    keys = re.findall(r"(?m)^# ([a-z-]+ *= |\[)", text)
    assert len(keys) == 18
    told = re.sub(r"(?m)^# (?=[a-z-]+ *= |\[)", "", text)
    told = told.replace("$6$...", HASH).replace("ssh-ed25519 AAAA...", KEY)
    (tmp_path / "media.toml").write_text(told)
    definition = load_definition(tmp_path / "media.toml")
    assert definition.install.disk is not None
    assert (definition.max_size, definition.repository[0].id, set(definition.role)) == ("4.7GB", "site", {"web"})


def test_its_example_of_a_role_is_one(tmp_path: Path) -> None:
    text = starter_files("x", NEWEST)["media.toml"]
    (tmp_path / "web.ks.j2").write_text("".join(re.findall(r"(?m)^#     (.*\n)", text)))
    (tmp_path / "media.toml").write_text(text + '[role.web]\nkickstart = "web.ks.j2"\n')
    roles = {kickstart.role: kickstart.text for kickstart in make_plan(tmp_path / "media.toml").kickstarts}
    assert "\nhttpd\n" in roles["web"]


def test_an_editor_knows_its_keys_by_the_schema_beside_it(tmp_path: Path) -> None:
    write_new(tmp_path, starter_files("x", NEWEST))
    assert (tmp_path / "media.schema.json").read_text() == isobuilder("schema").stdout
    lint: list[str | Path] = [TAPLO, "lint", "--no-auto-config", "media.toml"]
    good = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    text = (tmp_path / "media.toml").read_text()
    for right, wrong, said in (
        ("timeout = 60", 'timeout = "60"', "is not of type"),
        ("language", "langage", "'langage' was unexpected"),
        ("# max-size  =", "maxsize =", "'maxsize' was unexpected"),
        ("# arch      = ", "arch = 5 #", "5 is not"),
    ):
        assert right in text
        (tmp_path / "media.toml").write_text(text.replace(right, wrong, 1))
        bad = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (bad.returncode, said in bad.stderr) == (1, True), bad.stderr


@pytest.mark.practice
def test_it_builds_from_the_practice_mirror(mirror_url: str, mirror: Path, tmp_path: Path) -> None:
    write_demo(tmp_path / "demo", mirror_url, mirror)
    assert isobuilder("init", "first", cwd=tmp_path).returncode == 0
    shutil.copy(tmp_path / "demo/practice.toml", tmp_path / "first")
    definition = tmp_path / "first/media.toml"
    text, count = re.subn(r'(?m)^release = "[a-z0-9-]+"', 'release = "practice.toml"', definition.read_text())
    assert count == 1
    definition.write_text(text)
    done = isobuilder("build", "--cache-dir", "../cache", cwd=tmp_path / "first")
    assert done.returncode == 0, done.stderr
    iso = tmp_path / "first/first-practice-x86_64.iso"
    subprocess.run(["checkisomd5", iso], check=True, capture_output=True)
    assert isobuilder("verify", "--release", str(tmp_path / "first/practice.toml"), str(iso)).returncode == 0


def test_releases_are_listed_with_their_dates_and_warnings() -> None:
    today = dt.datetime.now(tz=dt.UTC).date()
    done = isobuilder("releases")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:] if not line.startswith(" ")]
    assert [row[0] for row in rows] == ["10-stream", "9-stream", "8-stream", "7", "6"]
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert re.search(r"^6 +CentOS 6 +2020-11-30 +x86_64$", done.stdout, re.MULTILINE)
    assert "CentOS 6 has had no updates since 2020-11-30" in done.stdout
    table = json.loads(isobuilder("releases", "--json").stdout)
    assert [row["id"] for row in table] == [row[0] for row in rows]
    for row in table:
        assert row["end-of-life-source"]
        assert row["repositories"]
        assert all(f"warning: {warning}\n" in done.stdout for warning in row["warnings"])
        assert bool(row["warnings"]) == (dt.date.fromisoformat(row["end-of-life"]) - today <= dt.timedelta(365))


@pytest.mark.parametrize(
    ("today", "release", "warned"),
    [
        (dt.date(2020, 1, 1), "10-stream", []),
        (dt.date(2029, 5, 31), "10-stream", ["updates end in 365 days"]),
        (dt.date(2030, 5, 30), "10-stream", ["updates end in 1 day"]),
        (dt.date(2030, 6, 1), "10-stream", ["CentOS Stream 10 has had no updates since 2030-05-31"]),
    ],
)
def test_the_release_to_begin_with(today: dt.date, release: str, warned: list[str]) -> None:
    assert current(today).id == release
    assert list(warnings(current(today), today)) == warned
