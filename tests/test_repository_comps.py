"""Comps: what is read, and several as one."""

import gzip
from pathlib import Path

import pytest

from isobuilder.errors import TrustError
from isobuilder.repository.comps import Member, merge_comps, parse_comps

BASE = b"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//CentOS//DTD Comps info//EN" "comps.dtd">
<comps>
  <group><id>core</id><name>Core</name><name xml:lang="it">Nucleo</name><uservisible>false</uservisible><packagelist>
    <packagereq type="mandatory">bash</packagereq>
    <packagereq type="default">chrony</packagereq>
    <packagereq type="optional">tmux</packagereq>
    <packagereq type="conditional" requires="gnome-shell">fonts</packagereq>
    <packagereq type="mandatory" basearchonly="true">glibc</packagereq>
  </packagelist></group>
  <environment><id>minimal</id><name>Minimal Install</name>
    <grouplist><groupid>core</groupid></grouplist>
    <optionlist><groupid>standard</groupid><groupid default="true">debugging</groupid></optionlist>
  </environment>
  <langpacks><match name="hunspell" install="hunspell-%s"/></langpacks>
</comps>
"""
MORE = b"""<comps>
  <group><id>core</id><name>Other core</name><packagelist>
    <packagereq type="mandatory">bash</packagereq>
    <packagereq type="mandatory">site-tools</packagereq>
  </packagelist></group>
  <group><id>cloud</id><name>Cloud</name><packagelist/></group>
  <environment><id>minimal</id><name>Minimal</name><grouplist><groupid>cloud</groupid></grouplist></environment>
  <langpacks>
    <match name="hunspell" install="hunspell-%s"/>
    <match name="aspell" install="aspell-%s"/>
  </langpacks>
</comps>
"""


def test_groups_and_environments_are_read() -> None:
    comps = parse_comps(BASE)
    assert comps.groups["core"].name == "Core"
    assert comps.groups["core"].members == (
        Member("bash", "mandatory"),
        Member("chrony", "default"),
        Member("tmux", "optional"),
        Member("fonts", "conditional", "gnome-shell"),
        Member("glibc", "mandatory", native=True),
    )
    assert comps.environments["minimal"].groups == ("core",)
    assert comps.environments["minimal"].options == ("standard", "debugging")


def test_each_depth_holds_those_before() -> None:
    group = parse_comps(BASE).groups["core"]
    assert [member.name for member in group.wanted("mandatory")] == ["bash", "fonts", "glibc"]
    assert [member.name for member in group.wanted("default")] == ["bash", "chrony", "fonts", "glibc"]
    assert [member.name for member in group.wanted("optional")] == ["bash", "chrony", "tmux", "fonts", "glibc"]


def test_a_name_or_a_glob_finds_what_an_id_does() -> None:
    comps = parse_comps(BASE)
    core, minimal = comps.groups["core"], comps.environments["minimal"]
    for word in ("Core", "core", "CORE", "c?r*"):
        assert comps.matching(word) == ((core,), ())
    assert comps.matching("*i*") == ((), (minimal,))
    assert comps.matching("nothing") == ((), ())
    assert comps.environment("Minimal Install") == comps.environment("minimal") == (minimal,)
    assert comps.environment("Min*") == comps.environment("core") == ()


def test_several_become_one() -> None:
    merged = merge_comps([BASE, gzip.compress(MORE)])
    comps = parse_comps(merged)
    assert [member.name for member in comps.groups["core"].members] == [
        *("bash", "chrony", "tmux", "fonts", "glibc", "site-tools")
    ]
    assert comps.groups["core"].name == "Other core"
    assert comps.groups.keys() == {"core", "cloud"}
    assert comps.environments["minimal"].groups == ("core", "cloud")
    assert comps.environments["minimal"].options == ("standard", "debugging")
    assert merged.count(b"<langpacks>") == 1
    assert merged.count(b"<match ") == 2
    assert b'<name xml:lang="it">Nucleo</name>' in merged
    assert b"<uservisible>false</uservisible>" in merged


def test_merging_is_stable() -> None:
    once = merge_comps([BASE, MORE])
    assert merge_comps([BASE, MORE]) == once == merge_comps([once]) == merge_comps([once, MORE])


def test_no_comps_at_all_is_an_empty_one() -> None:
    assert parse_comps(merge_comps([])).groups == {}


@pytest.mark.parametrize("data", [b"", b"<html/>", b"<comps>", b'<!DOCTYPE comps [<!ENTITY a "b">]><comps>&a;</comps>'])
def test_what_is_not_comps_is_refused(data: bytes) -> None:
    with pytest.raises(TrustError, match="site: "):
        parse_comps(data, where="site")


@pytest.mark.parametrize("depth", [100, 100_000])
def test_comps_without_a_bottom_are_refused(depth: int) -> None:
    deep = b"<comps>" + b"<group>" * depth + b"</group>" * depth + b"</comps>"
    with pytest.raises(TrustError, match=r"site: .* elements within each other"):
        parse_comps(deep, where="site")
    with pytest.raises(TrustError, match=r"comps file 2: .* elements within each other"):
        merge_comps([BASE, deep])


def test_real_comps_are_kept_whole(real_metadata: Path) -> None:
    files = {path.stem: path.read_bytes() for path in real_metadata.glob("comps/*.xml")}
    assert len(files) == 3
    for data in files.values():
        assert parse_comps(merge_comps([data])) == parse_comps(data)
    merged = parse_comps(merge_comps(list(files.values())))
    for data in files.values():
        one = parse_comps(data)
        for name, group in one.groups.items():
            members = {member.name for member in merged.groups[name].members}
            assert {member.name for member in group.members} <= members
        assert one.environments.keys() <= merged.environments.keys()
