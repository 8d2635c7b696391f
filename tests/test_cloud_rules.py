"""What a single answer about a cloud may be, and what answers mean together: examples, and whatever else there is."""

import ipaddress
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobuilder.firstlogin.cloud import documents, editions, network, questions, rules, sizes
from isobuilder.firstlogin.model import Question
from isobuilder.firstlogin.rules import AnswerError
from tests.cloud_cases import CASES, answers
from tests.practice.euca.knowledge import document_mistake

ROWS = {row.key: row.rule for row in questions.documented()}
# As for the machine part; base64 of a public key has = as well. A password is written nowhere.
HARMLESS = re.compile(r"[A-Za-z0-9 ./:+_=-]+")

TAKEN = [
    ("network-mode", "managed_novlan", "MANAGED-NOVLAN"),
    ("public-addresses", "192.168.1.50, 192.168.1.60-192.168.1.80", "192.168.1.50 192.168.1.60-192.168.1.80"),
    ("public-addresses", "192.168.1.60 - 80", "192.168.1.60-192.168.1.80"),
    ("public-addresses", "10.0.0.1-10.0.8.0", "10.0.0.1-10.0.8.0"),
    ("public-addresses", "10.0.0.7-10.0.0.7", "10.0.0.7"),
    ("private-subnet", "172.16.0.0 255.255.0.0", "172.16.0.0/16"),
    ("private-subnet", "10.0.0.0/8", "10.0.0.0/8"),
    ("addresses-per-net", "16", "16"),
    ("addresses-per-net", "2048", "2048"),
    ("addresses-per-net", "0032", "32"),
    ("mac-prefix", "D0:0D", "d0:0d"),
    ("zone", "Zone-1", "zone-1"),
    ("nodes", "None", "none"),
    ("nodes", "192.168.1.11-14", "192.168.1.11-192.168.1.14"),
    ("instance-disk", "50G", "51200"),
    ("instance-disk", "2 TiB", "2097152"),
    ("image-cache", "auto", "auto"),
    ("virtio", "Y", "yes"),
    ("mido-asn", "4294967295", "4294967295"),
    ("mido-routes", "10.1.0.0/24,10.2.0.0/24", "10.1.0.0/24 10.2.0.0/24"),
    ("front-end-key", "ssh-ed25519 " + "A" * 68 + " root@front", "ssh-ed25519 " + "A" * 68),
]
REFUSED = [
    ("network-mode", "STATIC", "no networking mode"),
    ("public-addresses", "", "Nothing was given"),
    ("public-addresses", "192.168.1.80-192.168.1.60", "ends before it begins"),
    ("public-addresses", "192.168.1.50 192.168.1.40-192.168.1.60", "overlap"),
    ("public-addresses", "10.0.0.1-10.0.8.1", "2048 is the most"),
    ("public-addresses", "192.168.1.50-", "not an IPv4 address"),
    ("public-addresses", "127.0.0.1", "never leaves a machine"),
    ("public-addresses", "224.0.0.1-224.0.0.9", "multicast"),
    ("public-addresses", "192.168.1.0/24", "not an IPv4 address"),
    ("private-subnet", "192.168.1.0/16", "begins as 192.168.0.0/16"),
    ("private-subnet", "172.16.0.0", "not a network with a prefix"),
    ("private-subnet", "172.16.0.0/31", "/31 cannot be"),
    ("addresses-per-net", "15", "cannot be"),
    ("addresses-per-net", "48", "cannot be"),
    ("addresses-per-net", "8", "cannot be"),
    ("addresses-per-net", "4096", "cannot be"),
    ("addresses-per-net", "2^5", "not a number"),
    ("mac-prefix", "d1:0d", "multicast"),
    ("mac-prefix", "d0:0d:1", "not the beginning"),
    ("zone", "zone 1", "not a name for a zone"),
    ("zone", "$(reboot)", "not a name for a zone"),
    ("cloud-domain", "cloud", "has no domain"),
    ("instance-dns", "auto", "cannot find out"),
    ("instance-disk", "5", "no size"),
    ("instance-disk", "50X", "not a size"),
    ("virtio", "maybe", "neither yes nor no"),
    ("mido-asn", "0", "not the number"),
    ("mido-asn", "4294967296", "not the number"),
    ("mido-routes", "10.1.0.0/24 10.1.0.0/25", "overlaps"),
    ("front-end-key", 'ssh-rsa AAAA" ; reboot', "not a public SSH key"),
    ("front-end-key", "-----BEGIN RSA PRIVATE KEY-----", "not a public SSH key"),
    ("admin-password", "short", "cannot be the password"),
    ("admin-password", "password", "anybody would try"),
    ("admin-password", "with\nnewline", "cannot be the password"),
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


near_misses = st.one_of(
    st.text(),
    st.text(alphabet="0123456789./ ,-", max_size=60),
    st.from_regex(r"[a-z0-9.$'\"`;|&\n\\ {}()<>*?!~#%=-]{0,30}", fullmatch=True),
    st.lists(st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)), max_size=4).map(
        lambda pairs: " ".join(f"{one}-{other}" for one, other in pairs)
    ),
    st.tuples(st.ip_addresses(v=4), st.integers(-1, 40)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    st.sampled_from([said for _, said, _ in TAKEN]).flatmap(
        lambda good: st.tuples(st.integers(0, len(good)), st.text(max_size=3)).map(
            lambda cut: good[: cut[0]] + cut[1] + good[cut[0] :]
        )
    ),
    st.text(min_size=5000, max_size=6000),
)


@given(st.sampled_from(sorted(set(ROWS) - {"admin-password"})), near_misses)
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
    assert ROWS[key](value) == value


@given(near_misses)
def test_a_password_that_is_refused_is_not_repeated(said: str) -> None:
    message = ""
    try:
        said = rules.password(said)
    except AnswerError as refused:
        message = str(refused)
    assert len(said) < 8 or said not in message


def test_made_passwords_differ_and_are_good() -> None:
    made = {rules.made_password() for _ in range(50)}
    assert len(made) == 50
    assert all(rules.password(one) == one for one in made)


@given(near_misses)
def test_a_subnet_that_is_taken_begins_where_a_network_begins(said: str) -> None:
    try:
        value = rules.subnet(said)
    except AnswerError:
        return
    assert str(ipaddress.ip_network(value, strict=True)) == value


@given(st.lists(st.tuples(st.integers(1, 250), st.integers(0, 5)), min_size=1, max_size=8))
def test_ranges_that_are_taken_have_each_address_once(pairs: list[tuple[int, int]]) -> None:
    said = " ".join(f"10.0.0.{first}-10.0.0.{min(first + more, 254)}" for first, more in pairs)
    every = [number for first, more in pairs for number in range(first, min(first + more, 254) + 1)]
    if len(set(every)) < len(every):
        with pytest.raises(AnswerError):
            rules.public_addresses(said)
        return
    ranges = rules.ranges_of(rules.public_addresses(said))
    assert rules.count(ranges) == len(every)


@pytest.mark.parametrize("row", questions.documented(), ids=lambda row: row.key)
def test_the_example_of_a_question_is_an_answer_to_it(row: Question) -> None:
    assert row.rule(row.example) == row.example


@pytest.mark.parametrize(("number", "instances"), [(16, 6), (32, 22), (64, 54), (2048, 2038)])
def test_what_a_security_group_gets(number: int, instances: int) -> None:
    assert sizes.per_group(number) == instances


@given(st.integers(8, 28), st.sampled_from([16 << power for power in range(8)]))
def test_groups_are_those_that_the_cluster_controller_would_count(prefix: int, number: int) -> None:
    """net/vnetwork.c: (0xFFFFFFFF - netmask) / addresses, below 4096, of which 2 to the last but one are used."""
    subnet = ipaddress.ip_network(f"10.0.0.0/{prefix}")
    most = min((0xFFFFFFFF - int(subnet.netmask)) // number, 4096)
    assert sizes.groups(str(subnet), number) == len(range(2, most))


@given(st.integers(8, 30))
def test_the_recommended_size_is_one_that_is_taken_and_leaves_groups(prefix: int) -> None:
    number = sizes.recommended_per_net(f"10.0.0.0/{prefix}")
    assert rules.addresses_per_net(str(number)) == str(number)
    if prefix <= 25:
        assert sizes.groups(f"10.0.0.0/{prefix}", number) >= 1


@pytest.mark.parametrize(("style", "mode", "part"), CASES)
def test_the_answers_of_every_case_fit(style: str, mode: str, part: str) -> None:
    assert list(network.fits({"mac-prefix": "d0:0d", **answers(mode, part)})) == []


PROBLEMS = [
    ("EDGE", {"private-addresses": "192.168.2.5"}, "private-addresses", "is not in 192.168.1.0/24"),
    ("EDGE", {"private-addresses": "192.168.1.200-192.168.1.255"}, "private-addresses", "an end of"),
    ("EDGE", {"private-addresses": "192.168.1.70-192.168.1.90"}, "private-addresses", "among the public addresses"),
    ("EDGE", {"private-addresses": "192.168.1.5-192.168.1.20"}, "private-addresses", "this machine's own"),
    ("EDGE", {"instance-gateway": "192.168.2.1"}, "instance-gateway", "is not in"),
    ("EDGE", {"instance-gateway": "192.168.1.0"}, "instance-gateway", "no machine"),
    ("EDGE", {"instance-gateway": "192.168.1.110"}, "private-addresses", "the gateway of instances"),
    ("EDGE", {"public-addresses": "192.168.1.1-192.168.1.5"}, "public-addresses", "the gateway"),
    ("EDGE", {"nodes": "192.168.1.45-192.168.1.55"}, "nodes", "among the public addresses"),
    ("EDGE", {"nodes": "192.168.1.9-192.168.1.12"}, "nodes", "this machine's own"),
    ("MANAGED", {"private-subnet": "192.168.0.0/16"}, "private-subnet", "overlaps 192.168.1.0/24"),
    ("MANAGED", {"private-subnet": "192.168.1.0/26"}, "private-subnet", "overlaps 192.168.1.0/24"),
    ("MANAGED", {"private-subnet": "172.16.0.0/28", "addresses-per-net": "16"}, "addresses-per-net", "no room"),
    ("MANAGED", {"public-addresses": "172.16.3.1-172.16.3.9"}, "public-addresses", "in the private subnet"),
    ("MANAGED", {"instance-dns": "192.168.1.1 192.168.1.2"}, "instance-dns", "one DNS server"),
    ("MANAGED-NOVLAN", {"private-subnet": "8.8.0.0/16"}, "private-subnet", "not for private use"),
    ("VPCMIDO", {"mido-external-address": "10.117.0.1"}, "mido-external-address", "not an address in"),
    ("VPCMIDO", {"mido-external-address": "10.116.255.255"}, "mido-external-address", "not an address in"),
    ("VPCMIDO", {"mido-peer": "10.116.133.11"}, "mido-peer", "the gateway's own"),
    ("VPCMIDO", {"mido-peer-asn": "none"}, "mido-peer-asn", "has a number"),
    ("VPCMIDO", {"public-addresses": "10.116.151.9"}, "mido-routes", "in none of the networks"),
    ("VPCMIDO", {"public-addresses": "10.116.150.0-10.116.150.9"}, "public-addresses", "an end of"),
]


@pytest.mark.parametrize(("mode", "changed", "key", "why"), PROBLEMS)
def test_answers_that_do_not_fit_together(mode: str, changed: dict[str, str], key: str, why: str) -> None:
    found = list(network.fits({**answers(mode, "front-end"), **changed}))
    assert any(one.key == key and why in one.what for one in found), found
    assert all(one.instead.endswith(".") for one in found)


@given(
    st.sampled_from(["EDGE", "VPCMIDO"]),
    st.dictionaries(
        st.sampled_from(["public-addresses", "private-addresses", "instance-dns", "mac-prefix", "zone", "mido-asn"]),
        near_misses,
    ),
)
def test_a_document_is_one_that_a_cloud_takes_whatever_was_said(mode: str, said: dict[str, str]) -> None:
    values = {"mac-prefix": "d0:0d", **answers(mode, "front-end")}
    for key, text in said.items():
        try:
            values[key] = ROWS[key](text)
        except AnswerError:
            continue
    if values.get("mido-asn") == "none":
        values["mido-router"] = values["mido-peer"]
    if any(not one.warning for one in network.fits(values)):
        return
    text = documents.document(editions.EVERY_MODE[mode], values)
    assert document_mistake(text, {}) == ""
    assert json.loads(text)["PublicIps"] == values["public-addresses"].split()


@given(st.dictionaries(st.sampled_from(sorted(ROWS)), near_misses, max_size=6), st.sampled_from(CASES))
def test_no_answers_at_all_make_the_checks_fail(said: dict[str, str], case: tuple[str, str, str]) -> None:
    values = answers(case[1], case[2])
    for key, text in said.items():
        try:
            values[key] = ROWS[key](text)
        except AnswerError:
            values.pop(key, None)
    assert all(one.what and one.instead for one in network.fits(values))


def test_variables_of_another_mode_go_and_what_is_not_ours_stays() -> None:
    before = 'NODES="10.0.0.1"\nVNET_SUBNET="1.2.3.0"\n#VNET_DNS="comment"\nVNET_MODE="MANAGED"\nMINE=1\n'
    text = documents.configuration(before, {"VNET_MODE": "EDGE"}, editions.OPTIONAL)
    assert text == 'NODES="10.0.0.1"\n#VNET_DNS="comment"\nVNET_MODE="EDGE"\nMINE=1\n'
    assert documents.configuration(text, {"VNET_MODE": "EDGE"}, editions.OPTIONAL) == text


@pytest.mark.parametrize("style", ["6", "7"])
def test_every_mode_has_questions_that_exist_and_variables_with_values(style: str) -> None:
    edition = editions.EDITIONS[0 if style == "6" else 1]
    for mode in edition.modes:
        assert set(mode.questions) | set(mode.node_questions) <= set(ROWS)
        for parts in (["frontend"], ["nc"], ["frontend", "nc"]):
            names = documents.needed_variables(mode, parts)
            values = {"public-interface": "a", "private-interface": "b", "bridge": "c", "mac-prefix": "d0:0d"}
            got = documents.network_variables(mode, parts, {**answers(mode.name, "box"), **values})
            assert list(got) == names
            assert all(got.values())


def test_goldens_name_no_path_of_this_machine() -> None:
    for path in (Path(__file__).parent / "golden/cloud").rglob("*.txt"):
        assert "/tmp/" not in path.read_text()
