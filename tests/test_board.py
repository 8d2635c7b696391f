"""How far work has come, and what is said of it: values in, lines out."""

from isobuilder.board import Board, finished, heartbeat
from isobuilder.progress import Expected


def test_stages_that_will_come_are_there_from_the_beginning_with_their_totals() -> None:
    board = Board()
    board.expect([Expected("Lock"), Expected("Packages"), Expected("Writing")])
    board.expect([Expected("Packages", 4_000_000)])
    assert list(board.rows(0.0, 80)) == [
        "1/3 Lock                  ",
        "2/3 Packages              4.0 MB",
        "3/3 Writing               ",
    ]


def test_a_part_of_a_stage_has_no_number_and_stands_below_it() -> None:
    board = Board()
    board.expect([Expected("Lock"), Expected("Writing")])
    lock = board.begin("Lock", None, 0.0)
    part = board.begin("Metadata", 1000, 1.0)
    board.advance(part, 1000)
    board.end(part, 2.0)
    board.end(lock, 3.0)
    assert list(board.rows(3.0, 80))[:2] == [
        "1/2 Lock                  3.0 s",
        "    Metadata              1.0 kB in 1.0 s, 1.0 kB/s",
    ]


def running(seconds: int, each: int, total: int) -> tuple[Board, float]:
    """A stage of which `each` bytes came in each of so many seconds, looked at every second."""
    board = Board()
    stage = board.begin("Writing", total, 0.0)
    for second in range(seconds + 1):
        board.look(float(second))
        board.advance(stage, each)
    board.advance(stage, -each)
    return board, float(seconds)


def test_no_time_left_is_said_before_it_is_more_than_a_guess() -> None:
    board, now = running(2, 10_000_000, 100_000_000)
    [stage] = board.look(now)
    assert stage.left(now) is None
    board, now = running(4, 10_000_000, 100_000_000)
    [stage] = board.look(now)
    assert stage.left(now) == 6.0


def test_the_time_left_is_that_of_what_holds_up_the_end() -> None:
    board = Board()
    stage = board.begin("Packages", 110_000_000, 0.0)
    for second in range(11):
        board.doing("small.rpm", second, 50)
        board.look(float(second))
        board.advance(stage, 10_000_000)
    # The bytes would be there in a second; of the files one comes in each, and forty are to come.
    assert stage.left(10.0) == 40.0


def test_speed_is_that_of_the_last_seconds() -> None:
    board = Board()
    stage = board.begin("Packages", 1_000_000_000, 0.0)
    for second in range(101):
        board.look(float(second))
        board.advance(stage, 10_000_000 if second < 50 else 1_000_000)
    assert stage.speed() == 1_000_000


def test_what_stands_still_says_so_and_promises_nothing() -> None:
    board, now = running(4, 10_000_000, 100_000_000)
    board.doing("kernel.rpm and 3 more", 7, 9)
    [stage] = board.look(now + 1)
    board.look(now + 20)
    assert stage.left(now + 20) is None
    assert heartbeat(stage, now + 20) == (
        "Writing: 40.0 MB of 100.0 MB; nothing came for 20 s; 7 of 9 are here; waiting for kernel.rpm and 3 more"
    )


def test_stages_that_go_on_side_by_side_each_have_their_bar() -> None:
    board = Board()
    board.expect([Expected("Packages", 4_000_000), Expected("Writing", 9_000_000)])
    packages = board.begin("Packages", 4_000_000, 0.0)
    board.begin("Writing", 9_000_000, 1.0)
    board.advance(packages, 3_000_000)
    board.doing("kernel.rpm and 3 more", 2, 6, "Packages")
    assert list(board.rows(2.0, 80)) == [
        "1/2 Packages              [#########---] 3.0/4.0 MB ",
        "2/2 Writing               [------------] 0.0/9.0 MB ",
        "    2 of 6 are here; waiting for kernel.rpm and 3 more",
    ]
    assert [stage.title for stage in board.look(2.0)] == ["Packages", "Writing"]
    # What goes on inside one of them stands for all: it is what holds them up.
    part = board.begin("Signatures", 10, 3.0)
    assert board.look(3.0) == [part]


def test_a_line_is_never_wider_than_the_terminal() -> None:
    board, now = running(9, 123_456_789, 98_765_432_100)
    board.doing("a-package-with-a-name-that-is-very-long-indeed-1.2.3-4.el9_0.x86_64.rpm and 7 more", 17, 1200)
    for width in (80, 40):
        assert {len(line) <= width for line in board.rows(now, width)} == {True}
    assert "left" in next(iter(board.rows(now, 80)))


def test_a_stage_that_goes_on_later_counts_as_one() -> None:
    board = Board()
    for began, count in ((0.0, 10), (100.0, 20)):
        stage = board.begin("Packages", count, began)
        board.advance(stage, count)
        board.end(stage, began + 2)
    assert finished(stage) == "Packages: 30 bytes in 4.0 s, 7 bytes/s"
    assert len(board.stages) == 1
