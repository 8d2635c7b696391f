"""Where the time of a build went."""

import time
from pathlib import Path

import pytest

from isobuilder.progress import Silent, Timed, Timing, since_start, timing_lines
from tests.conftest import Demo, isobuilder


def test_parts_stand_below_what_they_are_of_and_nothing_counts_twice() -> None:
    clock = [0.0]
    timed = Timed(Silent(), clock=lambda: clock[0])
    with timed.stretch("Lock"):
        clock[0] += 1
        with timed.task("Metadata", 4_000_000):
            clock[0] += 2
    with timed.task("Writing", 10_000_000):
        clock[0] += 4
    with timed.task("Writing", 10_000_000):
        clock[0] += 1
    clock[0] += 1
    assert timed.timings == (
        Timing("Lock", 3.0),
        Timing("Metadata", 2.0, 4_000_000, inside="Lock"),
        Timing("Writing", 5.0, 20_000_000),
    )
    assert list(timing_lines(timed.timings, timed.seconds, 1.0)) == [
        "Start and definition        1.00 s   10%",
        "Lock                        3.00 s   30%",
        "  Metadata                  2.00 s   20%  4.0 MB, 2.0 MB/s",
        "Writing                     5.00 s   50%  20.0 MB, 4.0 MB/s",
        "Between them                1.00 s   10%",
        "All                        10.00 s  100%",
    ]


def test_a_process_knows_when_it_began() -> None:
    before = since_start()
    time.sleep(0.05)
    assert 0 < before < since_start()


@pytest.mark.practice
def test_a_build_says_where_its_time_went(demo: Demo, tmp_path: Path) -> None:
    done = isobuilder(
        "build",
        "--timings",
        "--force",
        "--no-report",
        "--cache-dir",
        str(demo.cache),
        "-o",
        str(tmp_path),
        cwd=demo.folder,
    )
    assert done.returncode == 0, done.stderr
    rows = dict(line.rsplit(" s ", 1)[0].rsplit(maxsplit=1) for line in done.stderr.splitlines() if "%" in line)
    parts = {name: float(seconds) for name, seconds in rows.items() if not name.startswith(" ")}
    assert next(iter(parts)) == "Start and definition"
    assert {"Writing", "Checksum", "Proof of the image"} <= parts.keys()
    assert "Report" not in parts
    whole = parts.pop("All")
    assert sum(parts.values()) == pytest.approx(whole, abs=0.1)
    # One line for each stage, in a log.
    said = [line.partition(":")[0] for line in done.stderr.splitlines()]
    for stage in ("Lock, checked or made", "Packages", "Tree, laid out", "Writing", "Checksum", "Proof of the image"):
        assert said.count(stage) == 1
