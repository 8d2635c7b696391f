"""What starts the wizard: the profile snippet in real shells at a real terminal, the unit, the init script."""

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

import isobuilder.firstlogin

SYSTEM = Path(isobuilder.firstlogin.__file__).parent / "system"
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-i", "-l"], "dash": ["dash", "-i"]}
STARTED = "THE WIZARD IS HERE"


class Machine:
    """A folder that stands for the machine, with a snippet that looks there, and a wizard that says that it started."""

    def __init__(self, folder: Path, uid: int = 0) -> None:
        self.home = folder / "var/lib/cloud-setup"
        self.home.mkdir(parents=True)
        wizard = folder / "usr/sbin/cloud-setup"
        wizard.parent.mkdir(parents=True)
        lines = ["#!/bin/sh", "trap 'exit 130' INT", f"echo '{STARTED}'", 'read answer && echo "got $answer"']
        wizard.write_text("\n".join([*lines, "exit ${CODE:-0}"]) + "\n")
        wizard.chmod(0o755)
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.program("id", f"echo {uid}")
        self.program("runlevel", "echo N 3")
        self.program("systemctl", "exit 3")
        text = (SYSTEM / "profile.sh").read_text()
        for path in ("/usr/sbin/cloud-setup", "/var/lib/cloud-setup"):
            text = text.replace(path, f"{folder}{path}")
        self.snippet = folder / "cloud-setup.sh"
        self.snippet.write_text(text)

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def environ(self, **more: str) -> dict[str, str]:
        return {"PATH": f"{self.bin}:/usr/bin:/bin", "TERM": "dumb", "PS1": "prompt> ", "HOME": "/", **more}

    def login(self, shell: str, *typed: str, **environ: str) -> str:
        """Log in at a terminal: the shell reads the snippet, as /etc/profile has it; all that was on the terminal."""
        words = SHELLS[shell]
        child = pexpect.spawn(
            words[0], words[1:], env=self.environ(**environ), encoding="utf-8", timeout=30, echo=False
        )
        child.delaybeforesend = None
        child.expect_exact("prompt> ")
        child.sendline(f". {self.snippet}; echo after-$?-$-")
        for line in typed:
            child.expect_exact(STARTED)
            if line == "^C":
                child.sendintr()
            else:
                child.sendline(line)
        child.expect(r"after-\d")
        paper = str(child.before) + str(child.after)
        child.sendline("exit")
        child.expect(pexpect.EOF)
        return paper + str(child.before)


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_first_login_of_root_starts_it_and_no_other_does(shell: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert "got yes" in machine.login(shell, "yes")
    second = machine.login(shell)
    assert STARTED not in second
    assert "This machine is not set up yet. To do it, run: cloud-setup" in second
    (machine.home / "done").touch()
    third = machine.login(shell)
    assert STARTED not in third
    assert "not set up" not in third


@pytest.mark.parametrize("there", [("offered", "trial"), ("trial", "done")], ids=["first run", "later run"])
def test_who_logs_in_again_in_time_is_told_how_to_keep_the_network(
    shell: str, there: tuple[str, ...], tmp_path: Path
) -> None:
    machine = Machine(tmp_path)
    for name in there:
        (machine.home / name).touch()
    paper = machine.login(shell)
    assert "To keep it, run: cloud-setup confirm" in paper
    assert "not set up" not in paper
    assert STARTED not in paper


def test_a_login_goes_on_whatever_becomes_of_the_wizard(shell: str, tmp_path: Path) -> None:
    for name, environ, typed in (("fails", {"CODE": "5"}, "x"), ("left", {}, "^C")):
        machine = Machine(tmp_path / name)
        paper = machine.login(shell, typed, **environ)
        assert "after-" in paper
    gone = Machine(tmp_path / "gone")
    (tmp_path / "gone/usr/sbin/cloud-setup").unlink()
    assert STARTED not in gone.login(shell)
    assert not (gone.home / "offered").exists()


@pytest.mark.parametrize(("name", "words"), [("bash", ["--login", "-i"]), ("dash", ["-l", "-i"])])
def test_ctrl_c_in_the_middle_of_a_login_ends_in_the_shell(name: str, words: list[str], tmp_path: Path) -> None:
    """While it starts, a shell has the wizard in its own group of processes: Ctrl-C is sent to both."""
    machine = Machine(tmp_path)
    for profile in (".bash_profile", ".profile"):
        (tmp_path / profile).write_text(f". {machine.snippet}\necho goes-on\nPS1='ready> '\n")
    child = pexpect.spawn(
        name, words, env=machine.environ(HOME=str(tmp_path)), encoding="utf-8", echo=False, timeout=30
    )
    child.delaybeforesend = None
    child.expect_exact(STARTED)
    child.sendintr()
    child.expect_exact("goes-on")
    child.expect_exact("ready> ")
    child.sendline("echo still-$((1 + 1))-here")
    child.expect_exact("still-2-here")
    child.sendline("exit")
    child.expect(pexpect.EOF)


def test_it_leaves_nothing_in_the_shell(shell: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (machine.home / "done").touch()
    child = pexpect.spawn(SHELLS[shell][0], SHELLS[shell][1:], env=machine.environ(), encoding="utf-8", echo=False)
    child.delaybeforesend = None
    child.expect_exact("prompt> ")
    child.sendline(f"set >{tmp_path}/before; . {machine.snippet}; set >{tmp_path}/after; echo all-done")
    child.expect_exact("all-done")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    names = [
        {line.partition("=")[0] for line in (tmp_path / name).read_text().splitlines() if "=" in line}
        for name in ("before", "after")
    ]
    assert names[1] - names[0] <= {"_", "BASH_LINENO", "PIPESTATUS"}
    assert "cloud_setup" not in (tmp_path / "after").read_text()


def test_other_people_and_single_user_mode_are_not_asked(shell: str, tmp_path: Path) -> None:
    assert STARTED not in Machine(tmp_path / "user", uid=1000).login(shell)
    repaired = Machine(tmp_path / "single")
    repaired.program("runlevel", "echo 1 S")
    assert STARTED not in repaired.login(shell)
    assert not (repaired.home / "offered").exists()


def test_two_logins_at_a_time_start_one(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    first = pexpect.spawn(SHELLS["bash"][0], SHELLS["bash"][1:], env=machine.environ(), encoding="utf-8", echo=False)
    first.delaybeforesend = None
    first.expect_exact("prompt> ")
    first.sendline(f". {machine.snippet}")
    first.expect_exact(STARTED)
    assert STARTED not in machine.login("dash")
    first.sendline("yes")
    first.expect_exact("got yes")
    first.sendline("exit")
    first.expect(pexpect.EOF)


@pytest.mark.parametrize(
    "command",
    [
        ["bash", "-c", ". {snippet}"],
        ["bash", "-l", "-c", ". {snippet}"],
        ["dash", "-c", ". {snippet}"],
        ["bash", "-i", "-c", ". {snippet}"],
        ["dash", "-i", "-c", ". {snippet}"],
    ],
    ids=" ".join,
)
def test_nothing_without_a_terminal_starts_it(command: list[str], tmp_path: Path) -> None:
    """As scp, rsync, sftp and commands over ssh do: what they send and get goes through untouched."""
    machine = Machine(tmp_path)
    words = [word.format(snippet=f"{machine.snippet}; cat") for word in command]
    done = subprocess.run(
        words,
        input=b"\0data\n",
        capture_output=True,
        env=machine.environ(),
        timeout=30,
        check=False,
        start_new_session=True,
    )
    assert done.stdout == b"\0data\n"
    assert not (machine.home / "offered").exists()


def test_a_bash_that_is_no_login_does_not_start_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    child = pexpect.spawn("bash", ["--norc", "-i"], env=machine.environ(), encoding="utf-8", echo=False)
    child.delaybeforesend = None
    child.expect_exact("prompt> ")
    child.sendline(f". {machine.snippet}; echo after-it")
    child.expect_exact("after-it")
    assert STARTED not in str(child.before)
    child.sendline("exit")
    child.expect(pexpect.EOF)


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    unit = tmp_path / "cloud-setup.service"
    program = tmp_path / "cloud-setup"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit.write_text((SYSTEM / "cloud-setup.service").read_text().replace("/usr/sbin/cloud-setup", os.fspath(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False, timeout=60
    )
    assert "cloud-setup.service" not in done.stderr, done.stderr
    assert done.returncode == 0


def test_scripts_are_sound(tmp_path: Path) -> None:
    for name in ("profile.sh", "cloud-setup.init"):
        text = (SYSTEM / name).read_text()
        for judge in (
            ["shellcheck", "--shell=sh", "-"],
            ["dash", "-n"],
            ["bash", "--posix", "-n"],
            ["busybox", "sh", "-n"],
        ):
            done = subprocess.run(judge, input=text, capture_output=True, text=True, check=False, timeout=60)
            assert (done.returncode, done.stdout + done.stderr) == (0, ""), (name, judge)


def test_the_init_script_starts_it_with_nobody_at_the_keyboard(tmp_path: Path) -> None:
    text = (SYSTEM / "cloud-setup.init").read_text()
    assert "# chkconfig: 2345 98 02" in text
    wizard = tmp_path / "usr/sbin/cloud-setup"
    wizard.parent.mkdir(parents=True)
    wizard.write_text('#!/bin/sh\necho "$@"; cat; exit 3\n')
    wizard.chmod(0o755)
    script = tmp_path / "init"
    script.write_text(text.replace("/usr/sbin", f"{tmp_path}/usr/sbin").replace("/var/lib", f"{tmp_path}/var/lib"))

    def init(action: str) -> tuple[int, str]:
        done = subprocess.run(["sh", script, action], input="typed\n", capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert init("start") == (3, "boot\n")
    assert init("stop") == (0, "")
    assert init("status") == (3, "cloud-setup: this machine is not set up\n")
    assert init("what")[0] == 2


def test_a_session_that_ends_stops_no_step_and_what_steps_start_can_be_hung_up(tmp_path: Path) -> None:
    """A service that was started with SIGHUP ignored would not read its configuration again when told so."""
    code = (
        "import os, signal, sys\n"
        "from isobuilder.firstlogin import cli\n"
        "from isobuilder.firstlogin.effects import Effects, run_command\n"
        "cli.main(['confirm'], Effects(sys.argv[1], is_root=True))\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "print(run_command(['sh', '-c', 'kill -HUP $$; echo ignored'], '', 30))\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "There is nothing to confirm.\nResult(code=-1, output='')\n"
