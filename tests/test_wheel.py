"""What pip installs is whole: templates and release files are in it, and it works away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    # A copy, since setuptools leaves its build folder in the place that it builds from.
    tracked = ["isobuilder", "kickstarts", "menus", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"]
    subprocess.run(["cp", "-r", *(str(ROOT / name) for name in tracked), str(source)], check=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(source)], check=True)
    (made,) = folder.glob("isobuilder-*.whl")
    return made


def test_every_module_template_and_release_file_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "isobuilder").rglob("*.py")}
    wanted |= {str(path.relative_to(ROOT)) for path in (ROOT / "isobuilder/releases").glob("*.toml")}
    system = [str(path.relative_to(ROOT)) for path in (ROOT / "isobuilder/firstlogin/system").iterdir()]
    assert len(system) == 5
    wanted |= set(system)
    for name in ("kickstarts", "menus"):
        templates = {f"isobuilder/{path.relative_to(ROOT)}" for path in (ROOT / name).rglob("*") if path.is_file()}
        assert templates
        wanted |= templates
    assert wanted <= packed
    assert not any(name.startswith(("tests/", "kickstarts/", "menus/")) for name in packed)


def test_an_installed_wheel_finds_its_own_data(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "media.toml").write_text('version = 1\nname = "x"\nrelease = "9-stream"\n')
    code = "from pathlib import Path; from isobuilder.plan import make_plan; import isobuilder\n"
    code += "plan = make_plan(Path('media.toml')); print(isobuilder.__file__); print(plan.kickstarts[0].text)"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(tmp_path / "site"))
    assert "@core" in done.stdout
