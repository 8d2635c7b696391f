"""Recipes for CI and containers: well formed, as their own schemas say, and their commands run."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import loopback_environ
from tests.practice.mirror import write_demo

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "recipes"
CHECK = Path(sys.executable).with_name("check-jsonschema")
BIN = Path(sys.executable).parent
CONTAINERFILE = (RECIPES / "Containerfile").read_text(encoding="utf-8")


def recipe(name: str) -> Any:
    return yaml.safe_load((RECIPES / name).read_text(encoding="utf-8"))


def gitlab_script(job: str) -> str:
    return "\n".join(recipe("gitlab-ci.yml")[job]["script"])


def github_script() -> str:
    steps = recipe("github-actions.yml")["jobs"]["iso"]["steps"]
    (found,) = (step["run"] for step in steps if step.get("name") == "Build")
    return str(found)


@pytest.mark.parametrize(
    ("name", "schema"),
    [("gitlab-ci.yml", "vendor.gitlab-ci"), ("github-actions.yml", "vendor.github-workflows")],
)
def test_a_pipeline_is_what_its_host_takes(tmp_path: Path, name: str, schema: str) -> None:
    check: list[str | Path] = [CHECK, "--builtin-schema", schema]
    done = subprocess.run([*check, RECIPES / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    text = (RECIPES / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(
        text.replace("script:\n    - isobuilder doctor", "script:\n    - {}").replace("runs-on", "run-on")
    )
    assert subprocess.run([*check, tmp_path / name], capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("script", [gitlab_script("iso"), gitlab_script("upload"), github_script()])
def test_scripts_are_sound(tmp_path: Path, script: str) -> None:
    (tmp_path / "script").write_text(script)
    # The folder "dist" is there, and files in it are ours.
    subprocess.run(["shellcheck", "--shell=bash", "--exclude=SC2164", tmp_path / "script"], check=True)


@pytest.mark.practice
@pytest.mark.parametrize("script", [gitlab_script("iso"), github_script()])
def test_the_commands_of_a_pipeline_build_and_keep_the_cache(
    script: str, mirror_url: str, mirror: Path, tmp_path: Path
) -> None:
    write_demo(tmp_path, mirror_url, mirror)
    environ = {
        **loopback_environ(),
        "PATH": f"{BIN}:/usr/bin:/bin",
        "ISOBUILDER_CACHE": str(tmp_path / ".cache/isobuilder"),
    }
    for said in ("to fetch: 2", "to fetch: 0"):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stderr
        suffixes = sorted(path.suffix for path in (tmp_path / "dist").iterdir())
        assert suffixes == [".html", ".iso", ".json", ".json", ".sha256"]
        uploaded = gitlab_script("upload").partition("\n")[0]
        subprocess.run(["bash", "-euc", uploaded], cwd=tmp_path, check=True, capture_output=True)
        for path in (tmp_path / "dist").iterdir():
            path.unlink()


def test_the_containerfile_copies_what_the_wheel_is_made_of() -> None:
    copied = {
        source for words in re.findall(r"(?m)^COPY (?!--from)(.*)$", CONTAINERFILE) for source in words.split()[:-1]
    }
    assert copied == {"isobuilder", "kickstarts", "menus", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"}
    assert all((ROOT / source).exists() for source in copied)


def test_the_containerfiles_commands_are_sound(tmp_path: Path) -> None:
    joined = CONTAINERFILE.replace("\\\n", " ")
    instructions = {line.split(" ")[0] for line in joined.splitlines() if line and not line.startswith("#")}
    assert instructions == {"FROM", "RUN", "COPY", "ENV", "WORKDIR", "ENTRYPOINT", "CMD"}
    commands = re.findall(r"(?m)^RUN (.*)$", joined)
    (tmp_path / "script").write_text("\n".join(commands))
    subprocess.run(["shellcheck", "--shell=sh", tmp_path / "script"], check=True)
