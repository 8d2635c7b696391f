"""Answers files: read with every mistake at once, and put together for one machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobuilder.firstlogin import answers
from isobuilder.firstlogin.answers import AnswersFile, merged, parse
from isobuilder.firstlogin.parts import Parts
from tests.test_firstlogin_rules import HARMLESS

PARTS = Parts()
RACK = """\ufeff# A rack.
[all]
ntp = ntp.example.org
dns = 192.168.1.1
; of all
gateway=192.168.1.1
[mac 52:54:00:12:34:56]\r
hostname = front.example.org\r
address = 192.168.1.10/24\r
[serial SN 42]
hostname = NODE1.example.org
address = 192.168.1.11/24
ntp = ntp1.example.org
[host node1]
timezone = Europe/Rome
ntp = ntp2.example.org
bridge = br0
[mac 52-54-00-00-00-01]
address.eth1 = 10.0.0.5/24
ntp = ntp3.example.org
"""


def read(text: str | bytes) -> AnswersFile:
    data = text if isinstance(text, bytes) else text.encode()
    return parse(data, PARTS.rule_of, PARTS.known_keys())


def test_one_file_serves_a_rack() -> None:
    file = read(RACK)
    assert file.mistakes == ()
    shared = {"dns": "192.168.1.1", "gateway": "192.168.1.1"}
    front = merged(file.sections, ["52:54:00:12:34:56"], "", "localhost.localdomain")
    assert front == (
        {**shared, "ntp": "ntp.example.org", "hostname": "front.example.org", "address": "192.168.1.10/24"},
        (),
    )
    # Stronger from all over host and serial to mac; its name is the one that the file gives it.
    node, mistakes = merged(file.sections, ["52:54:00:00:00:01"], "SN 42", "localhost.localdomain")
    assert mistakes == ()
    assert node == {
        **shared,
        "hostname": "node1.example.org",
        "address": "192.168.1.11/24",
        "address.eth1": "10.0.0.5/24",
        "timezone": "Europe/Rome",
        "bridge": "br0",
        "ntp": "ntp3.example.org",
    }
    assert merged(file.sections, ["52:54:00:99:99:99"], "", "other.example.org")[0] == {
        **shared,
        "ntp": "ntp.example.org",
    }
    assert merged(file.sections, [], "", "node1.example.org")[0]["bridge"] == "br0"


def test_every_mistake_is_reported_with_its_line() -> None:
    file = read(
        "ntp = ntp.example.org\n[all]\nhostnam = a.example.org\naddress = 192.168.1.10\naddress = 192.168.1.11/24\n"
        "what is this\n[all]\n[mac 52:54]\nhostname = lost.example.org\n[rack 7]\n[mac]\n[host a b]\n"
        "[all x]\naddress.lo = dhcp\n"
    )
    assert [(mistake.line, mistake.what.partition(".")[0]) for mistake in file.mistakes] == [
        (1, "ntp stands before any section"),
        (3, "'hostnam' is no question"),
        (4, "address: 192"),
        (5, "address is there already, in line 4"),
        (6, "'what is this' is neither a section nor KEY = VALUE"),
        (7, "[all] is there already, in line 2"),
        (8, "'52:54' is not an Ethernet address"),
        (10, "'[rack 7]' is not the title of a section"),
        (11, "'[mac]' is not the title of a section"),
        (12, "'a b' is not a host name"),
        (13, "'[all x]' is not the title of a section"),
        (14, "'address"),
    ]
    assert file.mistakes[1].what == "'hostnam' is no question. Mend or remove it; did you mean hostname?"
    assert file.mistakes[0].at("rack.ini") == "rack.ini:1: " + file.mistakes[0].what


def test_what_stands_below_a_title_that_is_none_is_not_said_to_stand_nowhere() -> None:
    file = read("[ALL]\nntp = ntp.example.org\ndns = 1.2.3\n")
    assert [(mistake.line, mistake.what.partition(".")[0]) for mistake in file.mistakes] == [
        (1, "'[ALL]' is not the title of a section"),
    ]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ('"front.example.org"', "Values stand without quotes."),
        ("'front.example.org'", "Values stand without quotes."),
        ("\u201cfront.example.org\u201d", "Values stand without quotes."),
        ("front.example.org # the first", "A comment is a line of its own."),
        ("front.example.org ; the first", "A comment is a line of its own."),
        ("front_1.example.org", ""),
    ],
)
def test_what_other_files_have_around_a_value_is_said_to_be_it(value: str, hint: str) -> None:
    [mistake] = read(f"[all]\nhostname = {value}\n").mistakes
    assert mistake.what.startswith("hostname: ")
    assert mistake.what.endswith(hint or "as in front.example.org.")


def test_two_sections_for_one_machine_that_differ_are_a_mistake() -> None:
    file = read("[mac 52:54:00:00:00:01]\nbridge = br0\n[mac 52:54:00:00:00:02]\nbridge = br1\n[all]\nbridge=none\n")
    _, mistakes = merged(file.sections, ["52:54:00:00:00:01", "52:54:00:00:00:02"], "", "")
    assert [mistake.line for mistake in mistakes] == [4]
    assert "both [mac 52:54:00:00:00:01] and [mac 52:54:00:00:00:02]" in mistakes[0].what


@pytest.mark.parametrize(
    ("data", "what"),
    [(b"\xff\xfe[all]", "not text in UTF-8"), (b"#" * (answers.SIZE_LIMIT + 1), "no answers file")],
    ids=["not text", "large"],
)
def test_what_is_no_answers_file_is_said_so(data: bytes, what: str) -> None:
    [mistake] = read(data).mistakes
    assert mistake.line == 0
    assert what in mistake.what


def test_lines_end_where_editors_end_them() -> None:
    # These end lines for str.splitlines alone; a value that holds one is refused as a whole.
    file = read("[all]\nhostname = a.example.org\u2028bridge = br0\nntp = a\x0bb\n")
    assert [mistake.line for mistake in file.mistakes] == [2, 3]


words = st.one_of(
    st.sampled_from(["[all]", "[mac 52:54:00:12:34:56]", "[host a]", "hostname = ", "ntp=", "dns = ", "= ", "\n", "["]),
    st.text(max_size=20),
    st.sampled_from(["$(id)", "`id`", "'", '"', "\\", "\x00", "\x1b[31m", "\u202e", "a.example.org", "10.0.0.1"]),
)


@given(st.lists(words, max_size=30).map("".join))
def test_whatever_a_file_says_only_harmless_values_come_out(text: str) -> None:
    file = read(text.encode("utf-8", "surrogatepass"))
    for section in file.sections:
        for key, value in section.answers.items():
            assert PARTS.rule_of(key)
            assert HARMLESS.fullmatch(value)
    for mistake in file.mistakes:
        assert mistake.what.isascii()
        assert mistake.what.isprintable()


@given(st.binary(max_size=300))
def test_whatever_bytes_there_are_reading_ends_well(data: bytes) -> None:
    read(data)


def test_what_is_written_is_read_again() -> None:
    values = {"hostname": "a.example.org", "address": "10.0.0.5/24", "gateway": "10.0.0.1", "ntp": "keep"}
    file = read(answers.dump("mac 52:54:00:12:34:56", values.items(), "A comment."))
    assert file.mistakes == ()
    assert file.sections[0].answers == values
