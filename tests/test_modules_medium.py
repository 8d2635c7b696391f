"""Modules on a medium: dnf takes from it alone what it takes from upstream."""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from isobuilder.errors import MediumError
from isobuilder.repository.comps import merge_comps
from isobuilder.repository.modulesfile import HOTFIXES
from tests.dnf_oracle import Scenario, ask_dnf
from tests.modular import Build, defaults
from tests.module_cases import MAIN, SITE, Repo, mod, run
from tests.repositories import Fake, write_repodata

EPOCH = 1_700_000_000
ROLES = [
    Scenario(["@core", "needs-node"]),
    Scenario(["@nodejs:18/s2i", "@both"]),
    Scenario(["@core", "needs-node", "needs-perl"], enable=["nodejs:18", "perl:5.30"]),
    Scenario(["nodejs", "other-node"], disable=["nodejs"]),
    Scenario(["@perl:5.30", "@perl-App"]),
    Scenario(["@perl-App"]),
    Scenario(["@app:both", "@app:both/x"]),
    Scenario(["@app:notb"]),
    Scenario(["@app:nota"]),
    Scenario(["@db"]),
    Scenario(["mysql", "runtime"], disable=["db"]),
    Scenario(["old-tool", "new-tool"]),
]
SITE_ROLES = [
    Scenario(["tool", "stat", "user"]),
    Scenario(["tool", "lib"], disable=["m"]),
    Scenario(["@m:2/p"]),
    Scenario(["@m", "@n:1/p"]),
    Scenario(["stat"], disable=["s"]),
    Scenario(["@m:1/p", "user"]),
]


def make_medium(repositories: Mapping[str, Repo], roles: Sequence[Scenario], folder: Path) -> dict[str, bytes]:
    """The repodata of a medium with these roles, written below `folder`/medium."""
    sources = {name: repo.make(folder / name, name) for name, repo in repositories.items()}
    resolution = run(list(sources.values()), *roles, platform="el9")
    files = write_repodata(
        resolution.packages,
        {name: source.files for name, source in sources.items()},
        merge_comps([source.files["group"].read_bytes() for source in sources.values() if "group" in source.files]),
        epoch=EPOCH,
        streams=[active.stream for active in resolution.modules],
        hotfixes=[name for name, repo in repositories.items() if repo.hotfixes],
    )
    (folder / "medium" / "repodata").mkdir(parents=True)
    for path, data in files.items():
        (folder / "medium" / path).write_bytes(data)
    return files


def modules_of(files: Mapping[str, bytes]) -> str:
    return next(gzip.decompress(data).decode() for path, data in files.items() if path.endswith("modules.yaml.gz"))


@pytest.mark.parametrize(("repositories", "roles"), [({"main": MAIN}, ROLES), (SITE, SITE_ROLES)])
def test_dnf_takes_from_the_medium_what_it_takes_from_upstream(
    repositories: Mapping[str, Repo], roles: Sequence[Scenario], tmp_path: Path
) -> None:
    make_medium(repositories, roles, tmp_path)
    upstream = ask_dnf(
        {name: (tmp_path / name, repo.priority) for name, repo in repositories.items()},
        roles,
        tmp_path / "1",
        hotfixes=[name for name, repo in repositories.items() if repo.hotfixes],
        platform="platform:el9",
    )
    medium = ask_dnf({"medium": (tmp_path / "medium", 99)}, roles, tmp_path / "2", platform="platform:el9")
    for scenario, one, other in zip(roles, upstream, medium, strict=True):
        assert not one.error, scenario
        assert one.packages == other.packages, (scenario, other.error)
        own = [module for module in other.modules if not module.startswith(HOTFIXES)]
        assert {module.rsplit(":", 2)[0] for module in own} == {module.rsplit(":", 2)[0] for module in one.modules}


def test_documents_are_kept_as_they_were_written(tmp_path: Path) -> None:
    text = modules_of(make_medium({"main": MAIN}, ROLES[:1], tmp_path))
    kept = [build for build in MAIN.builds if build.text in text]
    # The default streams, all builds of them, and what dnf never took is not there.
    assert {f"{build.name}:{build.stream}" for build in kept} == {
        "both:1",
        "broken:1",
        "db:1",
        "nodejs:10",
        "perl:5.26",
        "perl-App:1",
        "tool:1",
    }
    assert len(kept) == 10
    assert "nodejs-0:18" not in text
    assert "document: modulemd-obsoletes" in text


def test_a_build_that_two_repositories_have_differently_is_refused(tmp_path: Path) -> None:
    one = Repo([Fake("x")], [Build("m", "1", [mod("a", "1")])], [defaults("m", "1")])
    two = Repo(builds=[Build("m", "1", [mod("a", "2")])])
    with pytest.raises(MediumError, match="two repositories have different builds of one module: m:1:1:c0ffee:x86_64"):
        make_medium({"one": one, "two": two}, [Scenario(["x"])], tmp_path)
