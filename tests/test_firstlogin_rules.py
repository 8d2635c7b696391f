"""What a single answer may be: examples, and whatever else there is."""

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobuilder.firstlogin import questions, rules
from isobuilder.firstlogin.model import Question
from isobuilder.firstlogin.rules import AnswerError
from isobuilder.firstlogin.text import shown

ROWS = {row.key: row.rule for row in questions.documented()} | {
    "mac": rules.mac,
    "serial": rules.serial,
    "machine_name": rules.machine_name,
}
# What a value may consist of, wherever it is written: nothing that a shell, an ifcfg file or a keyfile would take for
# anything but itself. A serial number, which is written nowhere but into a section's title, has spaces.
HARMLESS = re.compile(r"[A-Za-z0-9 ./:+_-]+")

TAKEN = [
    ("hostname", "Front.Example.ORG", "front.example.org"),
    ("hostname", " node1.example.org. ", "node1.example.org"),
    ("hostname", "a-1.b.c2", "a-1.b.c2"),
    ("interface", "enp3s0f1", "enp3s0f1"),
    ("address", "DHCP", "dhcp"),
    ("address", "192.168.1.10/24", "192.168.1.10/24"),
    ("address", "192.168.1.10/255.255.255.0", "192.168.1.10/24"),
    ("address", "192.168.1.10   255.255.254.0", "192.168.1.10/23"),
    ("address", "10.0.0.2 / 8", "10.0.0.2/8"),
    ("address", "192.168.1.1/30", "192.168.1.1/30"),
    ("address.PORT", "Keep", "keep"),
    ("address.PORT", "off", "off"),
    ("gateway", "none", "none"),
    ("gateway", "192.168.1.254", "192.168.1.254"),
    ("dns", "192.168.1.1,192.168.1.2", "192.168.1.1 192.168.1.2"),
    ("dns", "auto", "auto"),
    ("ntp", "NTP1.example.org  192.168.1.1", "ntp1.example.org 192.168.1.1"),
    ("ntp", "keep", "keep"),
    ("timezone", "America/Argentina/Ushuaia", "America/Argentina/Ushuaia"),
    ("timezone", "Etc/GMT+3", "Etc/GMT+3"),
    ("bridge", "none", "none"),
    ("bridge", "br0", "br0"),
    ("mac", "52-54-00-AB-CD-EF", "52:54:00:ab:cd:ef"),
    ("serial", "VMware-42 1c", "VMware-42 1c"),
]
REFUSED = [
    ("hostname", "", "Nothing was given"),
    ("hostname", "node1", "has no domain"),
    ("hostname", "-a.example.org", "not a host name"),
    ("hostname", "a_b.example.org", "not a host name"),
    ("hostname", "a..example.org", "not a host name"),
    ("hostname", "x" * 64 + ".example.org", "longer than 64"),
    ("hostname", "x" * 64 + ".b", "longer than 64"),
    ("hostname", "192.168.1.10", "ends in digits"),
    ("hostname", "localhost.localdomain", "what every machine calls itself"),
    ("hostname", "localhost.example.org", "what every machine calls itself"),
    ("hostname", "n\N{LATIN SMALL LETTER E WITH ACUTE}.example.org", "not plain ASCII"),
    ("hostname", "a.example.org\nb", "not plain ASCII"),
    ("hostname", "a.example.org; reboot", "not a host name"),
    ("interface", "lo", "not the name of a network port"),
    ("interface", "eth0/../x", "not the name of a network port"),
    ("interface", "a234567890123456", "not the name of a network port"),
    ("address", "192.168.1.10", "has no prefix"),
    ("address", "192.168.1.300/24", "not an IPv4 address"),
    ("address", "192.168.01.10/24", "not an IPv4 address"),
    ("address", "127.0.0.5/24", "never leaves a machine"),
    ("address", "169.254.3.4/16", "link-local"),
    ("address", "239.1.2.3/24", "multicast"),
    ("address", "0.1.2.3/24", "0.0.0.0/8"),
    ("address", "255.255.255.255/24", "240.0.0.0/4"),
    ("address", "192.168.1.0/24", "the network 192.168.1.0/24 itself"),
    ("address", "192.168.1.255/24", "broadcast address"),
    ("address", "192.168.1.3/30", "broadcast address"),
    ("address", "192.168.1.10/31", "/31 cannot be"),
    ("address", "192.168.1.10/0", "/0 cannot be"),
    ("address", "192.168.1.10/255.0.255.0", "not a netmask"),
    ("address", "192.168.1.10/24/24", "not an address with a prefix"),
    ("address", "fe80::1/64", "IPv6"),
    ("address", "\N{ARABIC-INDIC DIGIT ONE}92.168.1.10/24", "not plain ASCII"),
    ("address", "keep", "not an IPv4 address"),
    ("gateway", "192.168.1", "not an IPv4 address"),
    ("dns", "192.168.1.1 192.168.1.2 192.168.1.3 192.168.1.4", "These are 4"),
    ("dns", "192.168.1.1 192.168.1.1", "twice"),
    ("dns", "ns.example.org", "not an IPv4 address"),
    ("dns", "127.0.0.1", "never leaves a machine"),
    ("ntp", "$(reboot)", "neither a name nor an address"),
    ("ntp", "999.1.1.1", "not an IPv4 address"),
    ("timezone", "../../etc/passwd", "not the name of a time zone"),
    ("timezone", "Europe/", "not the name of a time zone"),
    ("bridge", "br0.5", "not the name of a bridge"),
    ("bridge", "yes", "no bridge is called so"),
    ("bridge", "No", "no bridge is called so"),
    ("bridge", "dhcp", "no bridge is called so"),
    ("mac", "01:00:5e:00:00:01", "no address of one port"),
    ("mac", "52:54:00", "not an Ethernet address"),
    ("serial", "a'b", "not a serial number"),
]


@pytest.mark.parametrize(("key", "said", "value"), TAKEN)
def test_a_good_answer_gets_its_canonical_form(key: str, said: str, value: str) -> None:
    assert ROWS[key](said) == value


@pytest.mark.parametrize(("key", "said", "why"), REFUSED)
def test_a_bad_answer_is_refused_with_the_reason_and_what_to_give_instead(key: str, said: str, why: str) -> None:
    with pytest.raises(AnswerError, match=re.escape(why)) as caught:
        ROWS[key](said)
    assert caught.value.instead.endswith(".")
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


near_misses = st.one_of(
    st.text(),
    st.text(alphabet="0123456789./ ,", max_size=40),
    st.from_regex(r"[a-z0-9.$'\"`;|&\n\\ {}()<>*?!~#%=-]{0,30}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.tuples(st.ip_addresses(v=4), st.integers(-1, 40)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    st.sampled_from([said for _, said, _ in TAKEN]).flatmap(
        lambda good: st.tuples(st.integers(0, len(good)), st.text(max_size=3)).map(
            lambda cut: good[: cut[0]] + cut[1] + good[cut[0] :]
        )
    ),
    st.text(min_size=5000, max_size=6000),
)


@given(st.sampled_from(sorted(ROWS)), near_misses)
def test_whatever_is_said_nothing_but_a_harmless_value_comes_out(key: str, said: str) -> None:
    try:
        value = ROWS[key](said)
    except AnswerError as refused:
        message = str(refused)
        assert len(message) < 500
        assert message.isascii()
        assert message.isprintable()
        return
    assert HARMLESS.fullmatch(value)
    assert value == value.strip()
    assert len(value) <= 1000
    assert ROWS[key](value) == value


@given(near_misses)
def test_an_address_that_is_taken_is_one_that_a_machine_can_have(said: str) -> None:
    try:
        value = rules.interface_address(said)
    except AnswerError:
        return
    found = ipaddress.ip_interface(value)
    assert found.ip not in (found.network.network_address, found.network.broadcast_address)
    kinds = (found.ip.is_multicast, found.ip.is_loopback, found.ip.is_link_local, found.ip.is_reserved)
    assert not any(kinds)


@given(st.text())
def test_what_is_shown_of_a_strangers_text_fits_any_terminal(text: str) -> None:
    assert shown(text).isascii()
    assert shown(text).isprintable()
    assert len(shown(text)) <= 60


@pytest.mark.parametrize("row", questions.documented(), ids=lambda row: row.key)
def test_the_example_of_a_question_is_an_answer_to_it(row: Question) -> None:
    first = row.example.partition(" (")[0]
    for example in first.split(", ") if row.key == "timezone" else [first]:
        assert row.rule(example) == example
