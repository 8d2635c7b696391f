"""What a kickstart says about the installed system besides disks and packages. One function for each command."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .network import set_network
from .tools import FailureError, Tools


def set_language(handler: Any, tools: Tools, root: Path) -> None:
    # There are no locales but those of the C library itself.
    _write(root / "etc/locale.conf", f"LANG={handler.lang.lang}\n")


def set_keyboard(handler: Any, tools: Tools, root: Path) -> None:
    layout = handler.keyboard.vc_keymap or handler.keyboard.keyboard
    _write(root / "etc/vconsole.conf", f"KEYMAP={layout}\n")


def set_timezone(handler: Any, tools: Tools, root: Path) -> None:
    zone = handler.timezone.timezone
    if not (root / "usr/share/zoneinfo" / zone).is_file():
        raise FailureError(f"the installed system knows no time zone {zone}")
    link = root / "etc/localtime"
    link.unlink(missing_ok=True)
    link.symlink_to(f"../usr/share/zoneinfo/{zone}")
    _write(root / "etc/timezone", f"{zone}\n")
    if not handler.timezone.nontp:
        # Its package was asked for, so it is there.
        tools.run("chroot", root, "systemctl", "--root=/", "--quiet", "enable", "chronyd.service")
    _write(root / "etc/adjtime", f"0.0 0 0.0\n0\n{'UTC' if handler.timezone.isUtc else 'LOCAL'}\n")


def set_root_password(handler: Any, tools: Tools, root: Path) -> None:
    data = handler.rootpw
    if data.password:
        _set_password(tools, root, "root", data.password, hashed=data.isCrypted)
    if data.lock:
        tools.run("chroot", root, "passwd", "--quiet", "--lock", "root")


def add_users(handler: Any, tools: Tools, root: Path) -> None:
    for data in handler.user.userList:
        options = ["--create-home", "--shell", data.shell or "/bin/bash", "--comment", data.gecos or ""]
        options += ["--home-dir", data.homedir] if data.homedir else []
        options += ["--uid", str(data.uid)] if data.uid is not None else []
        options += ["--groups", ",".join(data.groups)] if data.groups else []
        tools.run("chroot", root, "useradd", *options, data.name)
        if data.password:
            _set_password(tools, root, data.name, data.password, hashed=data.isCrypted)
        if data.lock:
            tools.run("chroot", root, "passwd", "--quiet", "--lock", data.name)


def add_keys(handler: Any, tools: Tools, root: Path) -> None:
    for data in handler.sshkey.sshUserList:
        owners = {row.split(":")[0]: row.split(":") for row in (root / "etc/passwd").read_text().splitlines()}
        if data.username not in owners:
            raise FailureError(f"line {data.lineno}: there is no user {data.username}")
        _, _, user, group, _, home, _ = owners[data.username]
        folder = Path(f"{root}{home}/.ssh")
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / "authorized_keys"
        with file.open("a", encoding="utf-8") as keys:
            keys.write(f"{data.key}\n")
        file.chmod(0o600)
        for path in (folder, file):
            os.chown(path, int(user), int(group))


def set_networks(handler: Any, tools: Tools, root: Path) -> None:
    for line in set_network(handler, root):
        tools.say(line)


def set_services(handler: Any, tools: Tools, root: Path) -> None:
    for verb, names in (("enable", handler.services.enabled), ("disable", handler.services.disabled)):
        for name in names:
            unit = name if "." in name else f"{name}.service"
            places = ("etc/systemd/system", "usr/lib/systemd/system")
            if verb == "disable" and not any(os.path.lexists(root / place / unit) for place in places):
                # As with Anaconda: what is not there need not be switched off.
                tools.say(f"services: there is no {name} to disable")
                continue
            tools.run("chroot", root, "systemctl", "--root=/", "--quiet", verb, unit)


def say_no_firewall(handler: Any, tools: Tools, root: Path) -> None:
    tools.say("firewall: this system has none, so nothing is set")


def say_no_selinux(handler: Any, tools: Tools, root: Path) -> None:
    tools.say("selinux: this system has none, so nothing is set")


SETTINGS: Mapping[str, Callable[[Any, Tools, Path], None]] = {
    "lang": set_language,
    "keyboard": set_keyboard,
    "timezone": set_timezone,
    "rootpw": set_root_password,
    "user": add_users,
    "sshkey": add_keys,
    "network": set_networks,
    "services": set_services,
    "firewall": say_no_firewall,
    "selinux": say_no_selinux,
}


def _set_password(tools: Tools, root: Path, name: str, password: str, *, hashed: bool) -> None:
    # On standard input: a command's words are in its log.
    encrypted = ["--encrypted"] if hashed else []
    tools.run("chroot", root, "chpasswd", *encrypted, stdin=f"{name}:{password}\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
