"""The command line as scripts see it: exit codes, streams, and how fast help is there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from isobuilder import errors
from tests.conftest import isobuilder


def test_help_lists_the_commands_and_loads_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['isobuilder', '--help']\n"
    code += "import isobuilder.cli\ntry: isobuilder.cli.main()\nexcept SystemExit: pass\n"
    code += "print(sorted(set(sys.modules) & {'pydantic', 'rich', 'requests', 'solv', 'pycdlib', 'jinja2', 'asyncio'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("build", "lock", "kickstart", "boot", "schema"):
        assert f"\n  {command} " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_and_schema_are_results() -> None:
    assert isobuilder("--version").stdout.startswith("isobuilder ")
    schema = json.loads(isobuilder("schema").stdout)
    assert schema["properties"]["volume-id"]
    assert schema["additionalProperties"] is False


def test_a_bios_has_no_secure_boot(tmp_path: Path) -> None:
    done = isobuilder("boot", "x.iso", "--entry", "minimal", "--firmware", "bios", "--secure-boot", cwd=tmp_path)
    assert done.returncode == 2
    assert "a BIOS has no Secure Boot" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["nosuch"], ["build", "--nosuch"], ["boot"], ["boot", "x.iso", "--entry", "a", "--as", "floppy"]]
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    done = isobuilder(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert not done.stdout


def test_a_wrong_definition_is_3_with_everything_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "media.toml").write_text('version = 1\nnam = "x"\nrelease = "9-stream"\n')
    done = isobuilder("build", cwd=tmp_path)
    assert done.returncode == 3
    assert not done.stdout
    assert "media.toml: 2 mistakes in the definition" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["media.toml"]


def test_results_that_cannot_be_written_are_7() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "isobuilder", "schema"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 7
    assert b"Traceback" not in done.stderr


def test_a_role_can_be_looked_at_even_when_it_would_be_refused(tmp_path: Path) -> None:
    text = 'version = 1\nname = "x"\nrelease = "9-stream"\n[role.own]\nkickstart = "own.ks"\n'
    (tmp_path / "media.toml").write_text(text)
    (tmp_path / "own.ks").write_text("nosuchcommand {{ medium.volume_id }}\n")
    done = isobuilder("kickstart", "own", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "nosuchcommand X-9-STREAM\n")
    done = isobuilder("kickstart", "owm", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'own'?" in done.stderr


@pytest.mark.parametrize("content", [b"[" * 10_000, b"\xef\xbb\xbfversion = 1\n", b'release = "\\u0000.toml"\n'])
def test_odd_definitions_are_3(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "media.toml").write_bytes(content)
    done = isobuilder("build", cwd=tmp_path)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "byte" not in done.stderr


def test_a_folder_is_no_definition(tmp_path: Path) -> None:
    done = isobuilder("build", str(tmp_path))
    assert (done.returncode, "not a plain file" in done.stderr) == (3, True)


def test_a_definition_that_is_not_there_is_3(tmp_path: Path) -> None:
    done = isobuilder("build", "media.toml", cwd=tmp_path)
    assert (done.returncode, "media.toml: no such definition" in done.stderr) == (3, True)


def test_without_any_definition_the_shipped_one_is_built_in_the_current_folder(tmp_path: Path) -> None:
    nowhere = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}
    done = isobuilder("lock", "--cache-dir", "cache", cwd=tmp_path, **nowhere)
    assert done.returncode == 4, done.stderr
    assert "there is no media.toml; this is the definition that ships with isobuilder" in done.stderr
    shown = isobuilder("kickstart", "frontend", cwd=tmp_path)
    assert "eucalyptus-cloud" in shown.stdout


def test_a_repository_that_is_not_there_is_4_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "media.toml").write_text('version = 1\nname = "x"\nrelease = "9-stream"\n')
    nowhere = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}
    done = isobuilder("build", "--cache-dir", "cache", cwd=tmp_path, **nowhere)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.lock"))
    assert not list(tmp_path.glob("*.iso*"))


def test_exit_codes_are_the_published_ones() -> None:
    codes = {name: cls.exit_code for name, cls in vars(errors).items() if name.endswith("Error")}
    assert codes == {
        "IsobuilderError": 1,
        "UsageError": 2,
        "AnswersError": 3,
        "DefinitionError": 3,
        "KickstartError": 3,
        "LockError": 3,
        "FetchError": 4,
        "TrustError": 5,
        "ResolveError": 6,
        "HostError": 7,
        "MediumError": 8,
        "BootError": 8,
    }
