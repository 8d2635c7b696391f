"""Groups as dnf takes them: by id, name or glob, out of several comps, and for one architecture."""

from pathlib import Path

from tests.dnf_oracle import Scenario, ask_dnf
from tests.repositories import Fake, make_repository
from tests.test_resolve import assert_same

SITE = """
<group><id>core</id><name>Core</name><name xml:lang="de">Kern</name><uservisible>false</uservisible><packagelist>
  <packagereq type="mandatory">a</packagereq>
  <packagereq type="optional">b</packagereq>
  <packagereq type="default" arch="x86_64,aarch64">here</packagereq>
  <packagereq type="default" arch="s390x">there</packagereq>
  <packagereq>untyped</packagereq>
</packagelist></group>
<group><id>empty</id><name>Empty</name></group>
<group><id>nothing</id><name>Nothing</name><packagelist/></group>
<group><id>twice</id><name>Core</name><packagelist><packagereq type="mandatory">c</packagereq></packagelist></group>
<group><id>both</id><name>As group</name><packagelist><packagereq type="mandatory">d</packagereq></packagelist></group>
<environment><id>both</id><name>As environment</name><grouplist><groupid>core</groupid></grouplist></environment>
<environment><id>env</id><name>All</name><grouplist><groupid>core</groupid><groupid>both</groupid></grouplist></environment>
<langpacks><match name="a" install="a-%s"/></langpacks>
<category><id>all</id><name>All</name><grouplist><groupid>core</groupid></grouplist></category>
"""
EXTRA = """
<group><id>core</id><name>Other core</name><packagelist>
  <packagereq type="mandatory">b</packagereq>
  <packagereq type="optional">a</packagereq>
  <packagereq type="mandatory">e</packagereq>
</packagelist></group>
<environment><id>env</id><name>All</name><grouplist><groupid>twice</groupid></grouplist></environment>
"""
SCENARIOS = [
    *(Scenario([f"@{word}"]) for word in ("core", "Core", "CORE", "Kern", "Other core", "twice", "empty", "nothing")),
    *(Scenario([f"@{word}"]) for word in ("both", "As group", "as environment", "env", "All", "c?re", "*", "zzz*")),
    Scenario(["@env"], ["@core"]),
    Scenario(["@env"], ["@Core"]),
    Scenario(["@env"], ["@both"]),
    Scenario(["@env", "@twice"], ["@CORE"]),
    Scenario(["@core"], ["a"]),
]


def test_the_same_packages_as_dnf(tmp_path: Path) -> None:
    packages = [Fake(name) for name in ("a", "b", "c", "d", "e", "here", "there", "untyped")]
    for priorities in ((99, 99), (99, 50)):
        folder = tmp_path / str(priorities[1])
        sources = [
            make_repository(folder / "site", packages, comps=SITE, id="site", priority=priorities[0]),
            make_repository(folder / "extra", [Fake("z")], comps=EXTRA, id="extra", priority=priorities[1]),
        ]
        folders = {source.id: (folder / source.id, source.priority) for source in sources}
        answers = ask_dnf(folders, SCENARIOS, folder / "dnf")
        for scenario, answer in zip(SCENARIOS, answers, strict=True):
            assert_same(scenario, answer.packages, sources)
