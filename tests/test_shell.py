"""What shells and man(1) are told: completion in real shells, and a man page with the text of `--help`."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.conftest import isobuilder, loopback_environ
from tests.test_cli import commands

# Where the program that is tested lies.
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
ASKED = [
    ("isobuilder bui", ["build"]),
    ("isobuilder answers ", ["check", "key", "new"]),
    ("isobuilder lab up --nod", ["--node", "--nodes"]),
    ("isobuilder verify --release 9", ["9-stream"]),
    ("isobuilder boot x.iso --firmware u", ["uefi"]),
    # The shell's own files come then.
    ("isobuilder verify cam", []),
]


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    for shell in ("bash", "zsh", "fish"):
        (tmp_path / f"_isobuilder.{shell}").write_text(isobuilder("completion", shell).stdout)
    return tmp_path


def said(*command: str | Path, cwd: Path) -> list[str]:
    environ = {**loopback_environ(), "PATH": PATH, "HOME": str(cwd), "LANG": "C.UTF-8"}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=True, timeout=60)
    assert not done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(("line", "words"), ASKED)
def test_bash_completes(scripts: Path, line: str, words: list[str]) -> None:
    typed = line.split(" ")
    ask = f"source _isobuilder.bash; COMP_WORDS=({' '.join(map(shlex.quote, typed))}); COMP_CWORD={len(typed) - 1}; "
    ask += '_isobuilder_completion isobuilder; printf "%s\\n" "${COMPREPLY[@]}"; complete -p isobuilder'
    *found, how = said("bash", "--norc", "-c", ask, cwd=scripts)
    assert sorted(filter(None, found)) == words
    assert how == "complete -o default -F _isobuilder_completion isobuilder"


@pytest.mark.parametrize(("line", "words"), ASKED)
def test_fish_completes(scripts: Path, line: str, words: list[str]) -> None:
    (scripts / "campus.iso").touch()
    ask = f"source _isobuilder.fish; complete --do-complete {shlex.quote(line)}"
    found = [row.partition("\t")[0] for row in said("fish", "--no-config", "-c", ask, cwd=scripts)]
    assert sorted(found) == (words or ["campus.iso"])


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("bui", "build "), ("verify --rele", "verify --release "), ("verify --release 9", "verify --release 9-stream ")],
)
def test_zsh_completes(scripts: Path, typed: str, completed: str) -> None:
    environ = {**os.environ, "PATH": PATH, "HOME": str(scripts), "TERM": "dumb", "ZDOTDIR": str(scripts)}
    zsh = pexpect.spawn("zsh", ["-f", "-i"], cwd=str(scripts), env=environ, encoding="utf-8", timeout=60)
    zsh.sendline("unsetopt prompt_sp; autoload -Uz compinit; compinit -u; source _isobuilder.zsh")
    # Ctrl-X shows what stands on the line, after what was typed before it has been dealt with.
    zsh.sendline(
        "show() { zle -I; print -r -- \"line <$BUFFER>\"; BUFFER= }; zle -N show; bindkey '^X' show; PS1='re''ady'"
    )
    zsh.expect("ready")
    zsh.send(f"isobuilder {typed}\t\x18")
    zsh.expect(r"line <(.*?)>")
    assert zsh.match[1] == f"isobuilder {completed}"
    zsh.close(force=True)


def test_another_shell_is_wrong_usage() -> None:
    assert isobuilder("completion", "csh").returncode == 2


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("man") / "isobuilder.1"
    path.write_text(isobuilder("manual").stdout)
    return path


def test_man_page_is_well_formed(page: Path) -> None:
    done = subprocess.run(["mandoc", "-Tlint", page], capture_output=True, text=True, check=False)
    # A day would differ from one installation to the next.
    assert [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line] == []


def test_man_page_has_the_help_of_every_command(page: Path) -> None:
    shown = subprocess.run(["mandoc", "-Tutf8", "-Owidth=80", page], capture_output=True, text=True, check=True).stdout
    plain = re.sub(".\b", "", shown)
    assert all(len(line) <= 80 for line in plain.splitlines())
    text = " ".join(plain.split())
    for name, command in commands().items():
        assert text.count(name) >= 2, name
        for paragraph in re.split(r"\n\s*\n", command.help):
            assert " ".join(paragraph.split()) in text, name
        for parameter in command.params:
            assert all(option in text for option in parameter.opts if option.startswith("-")), name
            assert " ".join((parameter.help or "").split()) in text, name
    helped = isobuilder("build", "--help", COLUMNS="200").stdout
    assert "Replace an ISO that is there." in helped
    assert "Replace an ISO that is there." in text
    for code in (*range(9), 130):
        assert re.search(rf"(?m)^ +{code} +[a-z]", plain)


def test_what_roff_would_read_is_escaped() -> None:
    from isobuilder.manual import _filled

    assert _filled(r".SH is \fBno-request") == r"\&.SH is \efBno\-request"
    assert _filled("'quoted") == "\\&'quoted"
    assert _filled("word " * 14 + ".TH") == "word " * 13 + "word\n\\&.TH"


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["biuld"], "Did you mean 'build'?"),
        (["answers", "chek"], "Did you mean 'check'?"),
        (["lab", "lisst"], "Did you mean 'list'?"),
        (["build", "--forse"], "--force"),
        (["lab", "up", "--nodse", "2"], "--nodes"),
        (["verify", "--formt", "json", "x.iso"], "--format"),
    ],
)
def test_a_slip_in_a_command_or_an_option_is_told_what_is_near(arguments: list[str], suggestion: str) -> None:
    done = isobuilder(*arguments)
    assert done.returncode == 2
    assert suggestion in done.stderr
