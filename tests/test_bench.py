"""The bench itself: that its rows run and say what they should. How fast anything is, `make bench` measures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import main
from tests.bench.measuring import Children, Cost, Figure, in_turns

_ROWS = ("mastering", "fetching")


def test_a_quick_run_prints_and_writes_its_table(tmp_path: Path) -> None:
    words = [word for name in _ROWS for word in ("--only", name)]
    table = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick", *words, "--json", table, "--work", tmp_path / "work"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(table.read_text())
    rows = {row["name"]: row for row in found["rows"]}
    assert {"mastering, 1,200 files, 1.5 GB", "mastering, 6,000 files, 6 GB: floor"} <= rows.keys()
    assert {row["met"] for row in rows.values()} == {None}
    assert all(row["ours"] and row["theirs"] and min(row["ours"] + row["theirs"]) > 0 for row in rows.values())
    assert found["seconds"].keys() == set(_ROWS)
    assert all(name in done.stdout for name in rows)
    # What it made is gone again.
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize(("ours", "code"), [(6.0, 0), (7.0, 1)])
def test_a_row_that_misses_is_named_and_fails(
    ours: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    figure = Figure("a row", (1.0, ours, 99.0), (9.0, 10.0, 11.0), 0.65, "of something")
    monkeypatch.setattr("tests.bench.mastering.figures", lambda bench: [bench.folder("mastering") and figure])
    monkeypatch.setattr("tests.bench.__main__._SPACE", 0)
    assert main(["--only", "mastering", "--work", str(tmp_path)]) == code
    said = capsys.readouterr()
    assert ("MISSED" in said.out, "missed: a row: 0.700, and 0.65 is the limit" in said.err) == (code == 1, code == 1)


def test_runs_take_turns_and_the_first_of_each_does_not_count() -> None:
    order: list[str] = []

    def measure(name: str) -> Cost:
        order.append(name)
        return Cost(float(len(order)), 0.0)

    one, two = in_turns(2, lambda: measure("one"), lambda: measure("two"))
    assert order == ["one", "two"] * 3
    assert [cost.wall for cost in (*one, *two)] == [3.0, 5.0, 4.0, 6.0]


def test_a_process_that_fails_is_no_figure(tmp_path: Path) -> None:
    children = Children()
    with pytest.raises(RuntimeError, match="ended with 3: no good"):
        children.run([sys.executable, "-c", "print('no good'); raise SystemExit(3)"], log=tmp_path / "log")
    cost = children.run([sys.executable, "-c", "import time; a = bytearray(200 << 20); time.sleep(0.3)"])
    assert cost.wall > 0
    assert children.peak > 200 << 20
