"""The %post scripts of our kickstarts, run on invented installed systems; and the judges of scripts, judged."""

import configparser
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kickstart_scripts import SHELLS, Script, complaints, render_part, run_script, scripts_of

PATH = "/usr/bin:/bin:/usr/sbin:/sbin"

STOCK = """# The stock file.
[base]
name=CentOS-$releasever - Base
mirrorlist=http://mirrorlist.example.org/?release=$releasever&arch=$basearch
gpgcheck=1

[updates]
name=Updates
Enabled = 1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-a
       file:///etc/pki/rpm-gpg/RPM-GPG-KEY-b
#enabled=1
[old]
enabled=0
enabled_metadata=1"""

SIGNED = {
    "id": "base",
    "name": "CentOS 7 - os",
    "baseurl": "http://vault.example.org/7.9.2009/os/$basearch/",
    "mirrorlist": None,
    "metalink": None,
    "gpgkeys": ["file:///etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-7", "file:///etc/pki/rpm-gpg/RPM-GPG-KEY-site"],
    "priority": 99,
    "excludes": (),
    "includes": (),
    "module_hotfixes": False,
}
UNSIGNED = {
    **SIGNED,
    "id": "site",
    "name": "$(touch PWNED) `touch PWNED` %s",
    "baseurl": None,
    "metalink": "https://mirrors.example.org/metalink?repo=site&arch=$basearch",
    "gpgkeys": [],
    "priority": 10,
    "excludes": ("kernel-debug*", "site-1:2-3.noarch"),
    "includes": ("site-*",),
    "module_hotfixes": True,
}


@pytest.fixture(params=SHELLS, ids=lambda shell: Path(shell[0]).name)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param)


def run(name: str, shell: tuple[str, ...], root: Path, path: str = PATH, **values: Any) -> str:
    text = render_part(name, **values)
    assert complaints(f"%post\n{text}%end\n") == []
    done = run_script(text, shell, root, path)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def repository_file(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(path.read_text())
    return parser


@pytest.fixture
def yum_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "etc/yum.repos.d"
    folder.mkdir(parents=True)
    (folder / "CentOS-Base.repo").write_text(STOCK)
    (folder / "CentOS-Base.repo").chmod(0o640)
    (folder / "a b.repo").write_text("[c]\nname=c\n")
    (folder / "notes.txt").write_text("[base]\nenabled=1\n")
    return folder


def test_dead_repositories_are_switched_off_and_ours_written(
    yum_folder: Path, shell: tuple[str, ...], tmp_path: Path
) -> None:
    assert (
        run("installed-repositories", shell, tmp_path, stock_repositories=False, repositories=[SIGNED, UNSIGNED]) == ""
    )
    assert sorted(path.name for path in yum_folder.iterdir()) == [
        "CentOS-Base.repo",
        "a b.repo",
        "isobuilder.repo",
        "notes.txt",
    ]
    before, after = configparser.ConfigParser(interpolation=None), repository_file(yum_folder / "CentOS-Base.repo")
    before.read_string(STOCK)
    for section in before.sections():
        assert dict(after[section]) == {**before[section], "enabled": "0"}
    assert "#enabled=1" in (yum_folder / "CentOS-Base.repo").read_text()
    assert mode(yum_folder / "CentOS-Base.repo") == 0o640
    assert repository_file(yum_folder / "a b.repo")["c"]["enabled"] == "0"
    assert (yum_folder / "notes.txt").read_text() == "[base]\nenabled=1\n"

    ours = repository_file(yum_folder / "isobuilder.repo")
    assert dict(ours["isobuilder-base"]) == {
        "name": "CentOS 7 - os",
        "baseurl": "http://vault.example.org/7.9.2009/os/$basearch/",
        "enabled": "1",
        "gpgcheck": "1",
        "gpgkey": "file:///etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-7 file:///etc/pki/rpm-gpg/RPM-GPG-KEY-site",
    }
    assert dict(ours["isobuilder-site"]) == {
        "name": UNSIGNED["name"],
        "metalink": UNSIGNED["metalink"],
        "enabled": "1",
        "gpgcheck": "0",
        "priority": "10",
        "exclude": "kernel-debug* site-1:2-3.noarch",
        "includepkgs": "site-*",
        "module_hotfixes": "1",
    }
    assert "unsigned" in (yum_folder / "isobuilder.repo").read_text()
    assert mode(yum_folder / "isobuilder.repo") == 0o644


def test_a_second_run_changes_no_repository_file(yum_folder: Path, shell: tuple[str, ...], tmp_path: Path) -> None:
    def state() -> dict[str, str]:
        return {path.name: path.read_text() for path in yum_folder.iterdir()}

    run("installed-repositories", shell, tmp_path, stock_repositories=False, repositories=[SIGNED])
    once = state()
    run("installed-repositories", shell, tmp_path, stock_repositories=False, repositories=[SIGNED])
    assert state() == once


def test_stock_repositories_that_work_are_left_alone(yum_folder: Path, shell: tuple[str, ...], tmp_path: Path) -> None:
    run("installed-repositories", shell, tmp_path, stock_repositories=True, repositories=[UNSIGNED])
    assert (yum_folder / "CentOS-Base.repo").read_text() == STOCK
    assert repository_file(yum_folder / "isobuilder.repo").sections() == ["isobuilder-site"]


def test_a_system_without_repository_files_gets_ours(shell: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "etc/yum.repos.d").mkdir(parents=True)
    run("installed-repositories", shell, tmp_path, stock_repositories=False, repositories=[SIGNED])
    assert [path.name for path in (tmp_path / "etc/yum.repos.d").iterdir()] == ["isobuilder.repo"]


def test_dnf_reads_what_is_written(yum_folder: Path, tmp_path: Path) -> None:
    run("installed-repositories", ("dash",), tmp_path, stock_repositories=False, repositories=[SIGNED, UNSIGNED])
    (tmp_path / "dnf.conf").touch()
    folders = {"reposdir": yum_folder, "cachedir": tmp_path, "persistdir": tmp_path, "logdir": tmp_path}
    enabled = subprocess.run(
        [
            *("dnf", "--noplugins", f"--config={tmp_path}/dnf.conf", "--releasever=7", "--quiet"),
            *(f"--setopt={key}={folder}" for key, folder in folders.items()),
            *("repolist", "--enabled"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert [line.split()[0] for line in enabled.stdout.splitlines()[1:]] == ["isobuilder-base", "isobuilder-site"]


def test_keys_of_the_medium_and_nothing_else_reach_the_system(shell: tuple[str, ...], tmp_path: Path) -> None:
    medium, folder = tmp_path / "run/install/repo", tmp_path / "mnt/sysimage/etc/pki/rpm-gpg"
    medium.mkdir(parents=True)
    folder.mkdir(parents=True)
    (medium / "RPM-GPG-KEY-site").write_text("site")
    (medium / "RPM-GPG-KEY-site").chmod(0o400)
    (medium / "RPM-GPG-KEY-old").write_text("the medium's")
    (medium / "RPM-GPG-KEY-same").write_text("same")
    (medium / "RPM-GPG-KEY-folder").mkdir()
    (medium / "RPM-GPG-KEY-link").symlink_to("/etc/hostname")
    (medium / "EULA").write_text("no key")
    (folder / "RPM-GPG-KEY-old").write_text("the system's")
    (folder / "RPM-GPG-KEY-same").write_text("same")
    said = run("keys", shell, tmp_path, medium_path="/run/install/repo", root_path="/mnt/sysimage")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "RPM-GPG-KEY-site": "site",
        "RPM-GPG-KEY-old": "the system's",
        "RPM-GPG-KEY-same": "same",
    }
    assert mode(folder / "RPM-GPG-KEY-site") == 0o644
    assert said.count("\n") == 1
    assert "RPM-GPG-KEY-old" in said


def test_a_medium_without_keys_copies_none(shell: tuple[str, ...], tmp_path: Path) -> None:
    run("keys", shell, tmp_path, medium_path="/run/install/repo", root_path="/mnt/sysimage")
    assert list((tmp_path / "mnt/sysimage/etc/pki/rpm-gpg").iterdir()) == []


def test_a_key_is_not_written_through_a_link(shell: tuple[str, ...], tmp_path: Path) -> None:
    medium, folder = tmp_path / "medium", tmp_path / "root/etc/pki/rpm-gpg"
    medium.mkdir()
    folder.mkdir(parents=True)
    (medium / "RPM-GPG-KEY-site").write_text("site")
    (folder / "RPM-GPG-KEY-site").symlink_to(tmp_path / "victim")
    done = run_script(render_part("keys", medium_path="/medium", root_path="/root"), shell, tmp_path, PATH)
    assert not (tmp_path / "victim").exists()
    assert "stays" in done.stdout


def test_root_s_ssh_keys(shell: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/restorecon").write_text('#!/bin/sh\necho "restorecon $*"\n')
    (tmp_path / "bin/restorecon").chmod(0o755)
    keys = ["ssh-ed25519 AAAA me@$(touch PWNED)", "ssh-rsa BBBB `id` $HOME 'quoted\\' \\$x"]
    umask = os.umask(0)
    try:
        said = run("ssh-keys", shell, tmp_path, f"{tmp_path}/bin:{PATH}", ssh_keys=keys)
    finally:
        os.umask(umask)
    folder = tmp_path / "root/.ssh"
    assert said == f"restorecon -R {folder}\n"
    assert (folder / "authorized_keys").read_text().splitlines() == keys
    assert (mode(folder), mode(folder / "authorized_keys")) == (0o700, 0o600)


def test_ssh_keys_where_selinux_is_not_there(shell: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for command in ("mkdir", "chmod", "cat"):
        (tmp_path / "bin" / command).symlink_to(f"/bin/{command}")
    (tmp_path / "root/.ssh").mkdir(parents=True, mode=0o755)
    (tmp_path / "root/.ssh/authorized_keys").touch(0o644)
    assert run("ssh-keys", shell, tmp_path, str(tmp_path / "bin"), ssh_keys=["ssh-ed25519 AAAA"]) == ""
    assert (mode(tmp_path / "root/.ssh"), mode(tmp_path / "root/.ssh/authorized_keys")) == (0o700, 0o600)


def test_logs_are_kept_for_root_only(shell: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "mnt/sysimage/var/log/isobuilder"
    folder.mkdir(parents=True, mode=0o755)
    (folder / "post.log").write_text("post")
    (folder / "post.log").chmod(0o644)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp/isobuilder-medium.log").write_text("keys")
    (tmp_path / "tmp/isobuilder-pre.log").write_text("pre")
    (tmp_path / "tmp/isobuilder-pre.log").chmod(0o644)
    assert run("logs", shell, tmp_path, root_path="/mnt/sysimage") == ""
    assert {path.name: (path.read_text(), mode(path)) for path in folder.iterdir()} == {
        "pre.log": ("pre", 0o600),
        "medium.log": ("keys", 0o600),
        "post.log": ("post", 0o600),
    }
    assert mode(folder) == 0o700


def test_an_installation_without_a_log_of_pre(shell: tuple[str, ...], tmp_path: Path) -> None:
    run("logs", shell, tmp_path, root_path="/mnt/sysimage")
    assert list((tmp_path / "mnt/sysimage/var/log/isobuilder").iterdir()) == []


KICKSTART = """lang en_US.UTF-8
%pre --erroronfail --log=/tmp/x
echo one
%end
%packages
@core
%end
%post --interpreter=/usr/bin/python3
print("not for a shell: (((")
%end

%onerror
echo "%end of it"
  %end
%post --nochroot
echo four
%end
"""


def test_scripts_are_cut_out_of_a_kickstart() -> None:
    assert scripts_of(KICKSTART) == (
        Script("%pre --erroronfail --log=/tmp/x", 2, "echo one\n"),
        Script("%onerror", 12, 'echo "%end of it"\n'),
        Script("%post --nochroot", 15, "echo four\n"),
    )
    assert complaints(KICKSTART) == []


@pytest.mark.parametrize(
    "mistake", ["echo $1 $2", "if true; then", "[[ -n x ]]", "local x", "echo {a,b}", "diff <(ls) x"]
)
def test_mistakes_in_scripts_are_found(mistake: str) -> None:
    found = complaints(KICKSTART.replace("echo four", mistake))
    assert found
    assert all(said.startswith("line 15: %post --nochroot\n") for said in found)


def test_no_script_of_ours_shows_every_command_it_runs() -> None:
    for name in ("choose-disk", "installed-repositories", "keys", "logs", "ssh-keys"):
        text = (Path(__file__).parent.parent / f"kickstarts/parts/{name}.sh.j2").read_text()
        assert "set -x" not in text
        assert "xtrace" not in text
