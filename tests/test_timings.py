"""Where the time of a build went."""

import time
from pathlib import Path

import pytest

from isobuilder.progress import Expected, Silent, Timed, Timing, since_start, timing_lines
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
    assert list(timing_lines(timed, 1.0)) == [
        "Start and definition        1.00 s   10%",
        "Lock                        3.00 s   30%",
        "  Metadata                  2.00 s   20%  4.0 MB, 2.0 MB/s",
        "Writing                     5.00 s   50%  20.0 MB, 4.0 MB/s",
        "Between them                1.00 s   10%",
        "All                        10.00 s  100%",
    ]


def test_what_goes_on_side_by_side_is_no_part_of_each_other_and_time_counts_once() -> None:
    clock = [0.0]
    timed = Timed(Silent(), clock=lambda: clock[0])
    timed.expect([Expected("Packages"), Expected("Writing")])
    with timed.task("Packages", 10) as advance:
        clock[0] += 2
        with timed.task("Writing", 10):
            clock[0] += 3
            with timed.stretch("Signatures"):
                clock[0] += 1
        advance(10)
    clock[0] += 4
    assert timed.timings == (
        Timing("Packages", 6.0, 10),
        Timing("Writing", 4.0, 10),
        Timing("Signatures", 1.0, inside="Writing"),
    )
    assert (timed.busy, timed.seconds) == (6.0, 10.0)
    assert "Between them                4.00 s   40%" in list(timing_lines(timed, 0.0))


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
    # Some of it goes on side by side: a medium is looked at while it is summed up.
    assert whole - 0.1 < sum(parts.values()) < whole + parts["Proof of the image"] + 0.1
    assert parts["Between them"] >= 0
    # One line for each stage, in a log.
    said = [line.partition(":")[0] for line in done.stderr.splitlines()]
    for stage in ("Lock, checked or made", "Packages", "Tree, laid out", "Writing", "Checksum", "Proof of the image"):
        assert said.count(stage) == 1
