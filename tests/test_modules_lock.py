"""Modules from the definition to the lock: a repository of the user's with streams, one of hotfixes, and a role."""

from pathlib import Path

import pytest

from isobuilder.lock import read_lock
from tests.conftest import isobuilder
from tests.modular import Build, defaults
from tests.module_cases import Repo, mod
from tests.practice.mirror import write_demo
from tests.practice.server import serve
from tests.repositories import Fake

pytestmark = pytest.mark.practice

ROLE = """{% extends "base.ks.j2" %}
{% block commands %}
{{ super() }}
module --name=web --stream=1.10
{% endblock %}
{% block packages %}
@core
@db:2/server
webserver
fixed
{% endblock %}
"""


def test_streams_of_a_role_stand_in_the_lock(mirror_url: str, mirror: Path, tmp_path: Path) -> None:
    builds = [
        Build("web", "1.10", [mod("webserver", "1")], requires={}),
        Build("web", "1.9", [mod("webserver", "9")], requires={}),
        Build("db", "2", [mod("mysql", "2"), mod("fixed", "2")], requires={"lib": []}, profiles={"server": ["mysql"]}),
        Build("lib", "1", [mod("some-lib", "1")], requires={}),
    ]
    Repo([Fake("webserver", "99-1")], builds, [defaults("web", "1.9")]).make(tmp_path / "served/streams", "streams")
    Repo([Fake("fixed", "3-1")]).make(tmp_path / "served/hot", "hot")
    definition = write_demo(tmp_path / "site", mirror_url, mirror)
    (definition.parent / "own.ks.j2").write_text(ROLE)
    with serve(tmp_path / "served") as url:
        repositories = "".join(
            f'\n[[repository]]\nid = "{name}"\nbaseurl = "{url}/{name}/"\ntrust = "unsigned"\n{more}'
            for name, more in (("streams", ""), ("hot", "module-hotfixes = true\n"))
        )
        definition.write_text(definition.read_text() + repositories + '\n[role.own]\nkickstart = "own.ks.j2"\n')
        done = isobuilder("lock", "--cache-dir", str(tmp_path / "cache"), cwd=definition.parent)
    assert done.returncode == 0, done.stderr
    lock = read_lock(definition.parent / "practice-cloud.lock")
    assert lock
    streams = {active.stream: dict(zip(active.roles, active.reasons, strict=True)) for active in lock.modules}
    assert set(streams) == {"db:2", "lib:1", "web:1.10", "web:1.9"}
    assert set(streams["web:1.10"]) == {"own"}
    assert "own" not in streams["web:1.9"]
    assert streams["lib:1"] == {"own": "required by module db:2"}
    assert streams["db:2"]["own"].startswith("enabled at ks/own.cfg:")
    found = {package.name: package for package in lock.packages}
    assert found["webserver"].nevra == "webserver-0:1-1.module.x86_64"
    assert found["mysql"].reasons == ("module db:2/server",)
    assert (found["fixed"].nevra, found["fixed"].repository) == ("fixed-0:3-1.noarch", "hot")
    assert [repository.id for repository in lock.repositories if repository.module_hotfixes] == ["hot"]
