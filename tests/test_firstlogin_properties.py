"""Whatever is typed or stands in an answers file: only valid values are written, and nothing of it is executed."""

import os
import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from isobuilder.firstlogin.parts import Parts
from tests.firstlogin_helpers import NODE_ROLE, STATIC, STYLES, at_keyboard, configuration, configure
from tests.scratch_machine import Scratch
from tests.test_firstlogin_rules import near_misses

PARTS = Parts()
KEYS = [*STATIC, "bridge", "interface", "address.eth1", "address.eth9", "nonsense"]
PROGRAMS = {"hostname", "systemctl", "service", "chkconfig", "nmcli", "ip", "brctl"}
# All that stands in files that the wizard writes, whatever the answers.
_LINES = re.compile(r"[A-Za-z0-9 \t._:/=;#,\[\]\"*+-]*")


def check_harmless(machine: Scratch, before: dict[str, str]) -> None:
    for words in machine.commands():
        assert words[0] in PROGRAMS
        assert all(re.fullmatch(r"[A-Za-z0-9 ._:/-]+", word) for word in words)
    for name, text in configuration(machine).items():
        if before.get(name) == text:
            continue
        assert re.fullmatch(r"[A-Za-z0-9._/-]+", name)
        for line in text.replace("-> ", "").splitlines():
            assert _LINES.fullmatch(line), (name, line)
    # Whoever ran something as a command would have left this.
    assert not [path for path in Path(machine.root).rglob("*") if path.name.startswith("PWNED")]


hostile = st.one_of(
    near_misses,
    st.sampled_from(
        [
            "$(touch PWNED)", "`touch PWNED`", "'; touch PWNED; '", '"; touch PWNED; "', "| touch PWNED", "a\nb", "\\",
            "x=$(touch PWNED).example.org", "%(x)s", "{x}", "[all]", "../../../etc/passwd", "-rf", "\x1b[2J", "\u202e",
        ]
    ),
)  # fmt: skip
values = st.one_of(st.sampled_from(sorted(set(STATIC.values()))), hostile)


@settings(max_examples=60)
@given(st.sampled_from(STYLES), st.dictionaries(st.sampled_from(KEYS), values, max_size=9))
def test_answers_files(style: str, changes: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = Scratch(os.path.join(folder, "root"), style).make(ports=2, role=NODE_ROLE)  # noqa: PTH118
        before = configuration(machine)
        code, said = configure(machine, {**STATIC, **changes})
        assert code in (0, 3, 4), said
        assert all(one.isprintable() and one.isascii() for one in said.replace("\n", ""))
        check_harmless(machine, before)
        if code:
            assert configuration(machine) == before
            assert machine.commands() == []


@settings(max_examples=60)
@given(st.sampled_from(STYLES), st.lists(values, max_size=30))
def test_whatever_is_typed(style: str, typed: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = Scratch(os.path.join(folder, "root"), style).make(ports=2, role=NODE_ROLE)  # noqa: PTH118
        before = configuration(machine)
        # Answers that are good come in between, so that it gets somewhere.
        good = ["a.example.org", "eth0", "192.168.1.10/24", "", "keep", "", "br0", "keep", "UTC", "s", "yes"]
        lines = [line for pair in zip(typed, good * 3, strict=False) for line in pair]
        code, said = at_keyboard(machine, *lines, *good)
        assert code in (0, 130), said
        check_harmless(machine, before)


@settings(max_examples=60)
@given(st.sampled_from(STYLES), st.binary(max_size=200), st.text(max_size=100))
def test_files_of_the_machine_that_somebody_else_wrote(style: str, data: bytes, name: str) -> None:
    """What stands in the machine's own files is data too, however broken."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Scratch(os.path.join(folder, "root"), style).make(role=NODE_ROLE)  # noqa: PTH118
        for place in ("etc/hosts", "etc/resolv.conf", "etc/cloud-setup/role", "proc/net/route", "proc/cmdline"):
            Path(machine.path(place)).write_bytes(data)
        machine.write("proc/sys/kernel/hostname", name.encode("utf-8", "replace").decode() + "\n")
        code, said = configure(machine, STATIC)
        assert code in (0, 3, 4, 5), said
        assert all(one.isprintable() and one.isascii() for one in said.replace("\n", ""))
        for words in machine.commands():
            assert words[0] in PROGRAMS
