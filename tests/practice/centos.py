"""What a configured Debian system calls otherwise than CentOS, renamed: kickstarts and the wizard know those names."""

import re
from pathlib import Path

_UNITS = "usr/lib/systemd/system"
# Debian package, and where its files go.
_MOVED = {
    "chrony": {
        "etc/chrony/chrony.conf": "etc/chrony.conf",
        f"{_UNITS}/chrony.service": f"{_UNITS}/chronyd.service",
    },
    "openssh-server": {f"{_UNITS}/ssh.service": f"{_UNITS}/sshd.service"},
}
# Without a unit of the same name systemd would start these as well.
_DROPPED = {"chrony": "etc/init.d/chrony", "openssh-server": "etc/init.d/ssh"}
# Links by which a unit had another name, or was started; what CentOS starts by itself is in the list below.
_LINKS = re.compile(r"(?:ssh|sshd|chrony|chronyd|nm-.*|NetworkManager.*)\.service")
_STARTED = {"multi-user.target.wants": ("NetworkManager.service", "sshd.service")}
# Accounts of services that no package of the system has, by number: none has a script that could make one.
_ACCOUNTS = {"eucalyptus": 598}
_KEYS = f"{_UNITS}/sshd.service.d/keys.conf"


def rename(tree: Path) -> None:
    """Rename files of the configured tree, in dpkg's lists too."""
    for package, files in _MOVED.items():
        [listing] = (tree / "var/lib/dpkg/info").glob(f"{package}*.list")
        text = listing.read_text(encoding="utf-8")
        for old, new in files.items():
            (tree / old).rename(tree / new)
            # In dpkg's lists the folders of a merged /usr are what they were before.
            text = re.sub(rf"(?m)^/(?:usr/)?{re.escape(old.removeprefix('usr/'))}$", f"/{new}", text)
            if f"/{new}\n" not in text:
                text += f"/{new}\n"
        (tree / _DROPPED[package]).unlink()
        listing.write_text(text.replace(f"/{_DROPPED[package]}\n", ""), encoding="utf-8")
    _set(tree / f"{_UNITS}/chronyd.service", r"(?m)^Alias=.*\n", "")
    _set(tree / f"{_UNITS}/sshd.service", r"(?m)^Alias=.*\n", "")
    _set(tree / "etc/default/chrony", r"(?m)^DAEMON_OPTS=.*$", 'DAEMON_OPTS="-F 1 -f /etc/chrony.conf"')
    # As CentOS: the first start makes the keys of a host, and Debian's unit looks first whether there are some.
    (tree / _KEYS).parent.mkdir()
    steps = ("", "/usr/bin/ssh-keygen -A", "/usr/sbin/sshd -t")
    lines = "".join(f"ExecStartPre={step}\n" for step in steps)
    (tree / _KEYS).write_text(f"[Service]\n{lines}", encoding="ascii")
    _start(tree / "etc/systemd/system")
    for name, number in _ACCOUNTS.items():
        _add_account(tree / "etc", name, number)


def set_rpm_database(tree: Path) -> None:
    """Let rpm in `tree` have its database where CentOS has it, and not in the home folder of who calls it."""
    (tree / "etc/rpm").mkdir(exist_ok=True)
    (tree / "etc/rpm/macros.practice").write_text("%_dbpath /var/lib/rpm\n", encoding="ascii")


def _add_account(etc: Path, name: str, number: int) -> None:
    rows = {
        "passwd": f"{name}:x:{number}:{number}::/:/usr/sbin/nologin",
        "group": f"{name}:x:{number}:",
        "shadow": f"{name}:!:19000::::::",
        "gshadow": f"{name}:!::",
    }
    for file, row in rows.items():
        with (etc / file).open("a", encoding="utf-8") as table:
            table.write(f"{row}\n")


def _set(path: Path, pattern: str, text: str) -> None:
    before = path.read_text(encoding="utf-8")
    after = re.sub(pattern, text, before)
    if after == before:
        raise ValueError(f"{path}: there is no {pattern}")
    path.write_text(after, encoding="utf-8")


def _start(folder: Path) -> None:
    for link in [path for path in folder.rglob("*") if path.is_symlink() and _LINKS.fullmatch(path.name)]:
        link.unlink()
    for target, names in _STARTED.items():
        (folder / target).mkdir(exist_ok=True)
        for name in names:
            (folder / target / name).symlink_to(f"/{_UNITS}/{name}")
