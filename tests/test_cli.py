"""The command line as scripts see it: exit codes, streams, and how fast help is there."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from isobuilder import errors
from isobuilder.cli import app
from tests.conftest import isobuilder, loopback_environ


def test_help_lists_the_commands_and_loads_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['isobuilder', '--help']\n"
    code += "import isobuilder.cli\ntry: isobuilder.cli.main()\nexcept SystemExit: pass\n"
    code += "print(sorted(set(sys.modules) & {'pydantic', 'rich', 'requests', 'solv', 'pycdlib', 'jinja2', 'asyncio'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("build", "lock", "kickstart", "boot", "verify", "inspect", "diff", "schema"):
        assert f"\n  {command} " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


DOCS = Path(__file__).parent.parent / "docs"


def commands() -> dict[str, Any]:
    """All commands by how they are called, as the program itself has them."""
    found: dict[str, Any] = {}

    def walk(name: str, command: Any) -> None:
        for each, under in getattr(command, "commands", {}).items():
            walk(f"{name} {each}", under)
        if not hasattr(command, "commands"):
            found[name] = command

    walk("isobuilder", get_command(app))
    return found


def test_the_documentation_has_every_command_and_no_other() -> None:
    told = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("commands.md", "machines.md"))
    rows = re.findall(r"^\| `(isobuilder [a-z ]*[a-z])\b", told, re.MULTILINE)
    assert set(rows) == set(commands())


def test_the_documentation_has_every_option_of_labs() -> None:
    section = (DOCS / "machines.md").read_text(encoding="utf-8").partition("\n## A lab\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"--[a-z][a-z-]+", section))
    there = {
        option
        for name, command in commands().items()
        if name.startswith("isobuilder lab ")
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    assert told == there - {"--help", "--quiet"}


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
        "DamagedError": 5,
        "ResolveError": 6,
        "HostError": 7,
        "MediumError": 8,
        "BootError": 8,
    }


@pytest.mark.parametrize(
    ("words", "code"), [(("build", "nothing.toml"), 3), (("build", "--offline", "--cache-dir", "cache"), 4)]
)
def test_an_error_that_cannot_be_told_has_its_exit_code(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    (tmp_path / "media.toml").write_text('version = 1\nname = "x"\nrelease = "9-stream"\n')
    command = [sys.executable, "-m", "isobuilder", *words, "--quiet"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=full, check=False, env=loopback_environ())
    assert done.returncode == code


def test_too_little_memory_is_no_bug(tmp_path: Path) -> None:
    (tmp_path / "media.toml").write_text('version = 1\nname = "x"\nrelease = "9-stream"\n')
    script = "import isobuilder.cli as cli\ndef fail(*_, **__): raise MemoryError\ncli._Session = fail\ncli.main()"
    command = [sys.executable, "-c", script, "build"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=loopback_environ())
    assert done.returncode == 7
    assert "too little memory" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_definition_that_is_a_link_to_nowhere_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "media.toml").symlink_to("nowhere.toml")
    done = isobuilder("build", "--offline", "--cache-dir", "cache", cwd=tmp_path)
    assert done.returncode == 3
    assert "media.toml: no such definition" in done.stderr
