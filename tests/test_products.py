"""Products: folders of kickstarts and a file of facts, shipped or the user's own."""

from pathlib import Path

import pytest

from isobuilder.blueprint import Blueprint, read_blueprint
from isobuilder.errors import DefinitionError, KickstartError
from isobuilder.kickstart import render_roles
from isobuilder.roles import roles

ROLE = """\
[[role]]
id = "head"
kickstart = "head.ks.j2"
title = "Install the head"
group = "several"
"""
PRODUCT = f"""\
id = "rack"
title = "Rack"
{ROLE}[release.9-stream]
version = "2.1"
selinux = "permissive"
facts = {{ packages = ["rack-head", "rack-tools"], port = 8000 }}
[[release.9-stream.repository]]
id = "rack"
baseurl = "https://rack.example.org/9/$basearch/"
trust = "unsigned"
"""
HEAD = """\
{% extends "base.ks.j2" %}
{% block packages %}
{{ product.facts.packages | join("\n") }}
# {{ product.title }} {{ product.version }} listens on {{ product.facts.port }}
{% endblock %}
"""


def blueprint(folder: Path, product: str, *, release: str = "9-stream", extra: str = "") -> Blueprint:
    path = folder / "media.toml"
    path.write_text(f'version = 1\nname = "s"\nrelease = "{release}"\nproduct = "{product}"\n{extra}')
    return read_blueprint(path)


@pytest.fixture
def rack(tmp_path: Path) -> Path:
    folder = tmp_path / "rack"
    folder.mkdir()
    (folder / "product.toml").write_text(PRODUCT)
    (folder / "head.ks.j2").write_text(HEAD)
    return folder


@pytest.mark.usefixtures("rack")
def test_a_product_brings_roles_repositories_and_facts(tmp_path: Path) -> None:
    made = blueprint(tmp_path, "./rack")
    assert [(role.id, role.group) for role in roles(made)] == [("head", "several"), ("minimal", "other")]
    assert made.repositories[-1].baseurl == "https://rack.example.org/9/x86_64/"
    assert [repository.id for repository in made.installed_repositories] == ["rack"]
    head = render_roles(made)[0]
    assert [wanted.text for wanted in head.request.packages] == ["rack-head", "rack-tools"]
    assert "# Rack 2.1 listens on 8000" in head.text


@pytest.mark.usefixtures("rack")
def test_the_definition_has_the_last_word_on_repositories_and_roles(tmp_path: Path) -> None:
    extra = """
[[repository]]
id = "rack"
baseurl = "https://mirror.example.org/rack"
trust = "unsigned"
[role.head]
title = "Our head"
group = "one"
menu = false
"""
    made = blueprint(tmp_path, "./rack", extra=extra)
    assert made.repositories[-1].baseurl == "https://mirror.example.org/rack/"
    head = roles(made)[0]
    assert (head.title, head.group, head.menu, head.template) == ("Our head", "one", False, "head.ks.j2")


def test_a_role_of_the_users_own_builds_on_the_templates_of_the_product(rack: Path, tmp_path: Path) -> None:
    assert (rack / "head.ks.j2").is_file()
    (tmp_path / "mine.ks.j2").write_text(
        '{% extends "head.ks.j2" %}\n{% block packages %}\n{{ super() }}\nmine\n{% endblock %}\n'
    )
    made = blueprint(tmp_path, "./rack", extra='[role.mine]\nkickstart = "mine.ks.j2"\n')
    mine = render_roles(made)[-1]
    assert {wanted.text for wanted in mine.request.packages} == {"rack-head", "rack-tools", "mine"}


@pytest.mark.usefixtures("rack")
def test_a_template_may_fill_blocks_of_all_that_it_extends(tmp_path: Path) -> None:
    (tmp_path / "mine.ks.j2").write_text(
        '{% extends "head.ks.j2" %}\n{% block commands %}\nfirstboot --disabled\n{% endblock %}\n'
    )
    made = blueprint(tmp_path, "./rack", extra='[role.mine]\nkickstart = "mine.ks.j2"\n')
    assert "firstboot --disabled" in render_roles(made)[-1].text
    (tmp_path / "mine.ks.j2").write_text('{% extends "head.ks.j2" %}\n{% block comands %}\nx\n{% endblock %}\n')
    with pytest.raises(KickstartError) as caught:
        render_roles(made)
    assert any("has no block 'comands'; did you mean 'commands'?" in detail for detail in caught.value.details)


@pytest.mark.usefixtures("rack")
def test_a_fact_that_is_not_there_is_told_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "rack/head.ks.j2").write_text(HEAD.replace("facts.port", "facts.prt"))
    (tmp_path / "mine.ks.j2").write_text('{% extends "head.ks.j2" %}\n')
    made = blueprint(tmp_path, "./rack", extra='[role.mine]\nkickstart = "mine.ks.j2"\n')
    with pytest.raises(KickstartError) as caught:
        render_roles(made)
    assert caught.value.details == (
        "role head: head.ks.j2, line 5: there is no 'prt' here; did you mean 'port'?",
        "role mine: head.ks.j2, line 5: there is no 'prt' here; did you mean 'port'?",
    )


@pytest.mark.usefixtures("rack")
def test_the_selinux_mode_of_a_product_is_that_of_its_roles(tmp_path: Path) -> None:
    assert "\nselinux --permissive\n" in render_roles(blueprint(tmp_path, "./rack"))[0].text


@pytest.mark.usefixtures("rack")
def test_a_product_that_extends_another_adds_to_it(tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "product.toml").write_text(
        'id = "ours"\ntitle = "Ours"\nextends = "../rack"\n[[role]]\nid = "store"\nkickstart = "store.ks.j2"\n'
        'title = "Store"\n[release.9-stream]\nversion = "3"\nfacts = { packages = ["ours-head"], port = 1 }\n'
    )
    (ours / "store.ks.j2").write_text('{% extends "head.ks.j2" %}\n')
    made = blueprint(tmp_path, "./ours")
    kickstarts = {one.role: one for one in render_roles(made)}
    assert list(kickstarts) == ["head", "store", "minimal"]
    assert all(kickstarts[name].request.packages[0].text == "ours-head" for name in ("head", "store"))
    assert [repository.id for repository in made.installed_repositories] == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('id = "head"', 'id = "local"', "role[1].id: the menu has an entry 'local' already"),
        ('kickstart = "head.ks.j2"', 'kickstart = "../head.ks.j2"', "role[1].kickstart: "),
        ('group = "several"', 'group = "many"', "role[1].group: "),
        (
            "[release.9-stream]",
            '[[role]]\nid = "head"\nkickstart = "x.ks.j2"\ntitle = "X"\n[release.9-stream]',
            "role: two",
        ),
        ('selinux = "permissive"', 'selinux = "off"', "release.9-stream.selinux: "),
        ('"rack-head"', '"rack\\nhead"', "release.9-stream.facts.packages"),
        ("[[release.9-stream.repository]]", "[[release.9-stream.repo]]", "release.9-stream.repo: unknown key"),
    ],
)
def test_mistakes_in_a_product_file_are_told_by_their_key(
    rack: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in PRODUCT
    (rack / "product.toml").write_text(PRODUCT.replace(old, new))
    with pytest.raises(DefinitionError) as caught:
        blueprint(tmp_path, "./rack")
    assert any(detail.startswith(words) for detail in caught.value.details), caught.value.details


@pytest.mark.usefixtures("rack")
def test_a_release_that_a_product_does_not_serve_is_told_with_those_that_it_does(tmp_path: Path) -> None:
    (tmp_path / "rack/product.toml").write_text(PRODUCT.replace("9-stream", "7"))
    with pytest.raises(DefinitionError, match=r"Rack has nothing for CentOS Stream 9; .*: 7 \(version 2.1\)"):
        blueprint(tmp_path, "./rack")


@pytest.mark.usefixtures("rack")
def test_an_architecture_that_a_product_lacks_is_told(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="arch: Rack for CentOS Stream 9 is there for x86_64 only"):
        blueprint(tmp_path, "./rack", extra='arch = "aarch64"\n')


def test_unknown_products_and_products_in_a_circle_are_refused(rack: Path, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"'rack' is not a product") as caught:
        blueprint(tmp_path, "rack")
    assert "./rack" in caught.value.hint
    with pytest.raises(DefinitionError, match=r"product.toml: no such product file"):
        blueprint(tmp_path, "./rock")
    (rack / "product.toml").write_text(PRODUCT.replace('title = "Rack"', 'title = "Rack"\nextends = "../rack"'))
    with pytest.raises(DefinitionError, match="extend each other"):
        blueprint(tmp_path, "./rack")
