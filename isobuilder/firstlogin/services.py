"""Services of the release's init: its commands, by what they do."""

from typing import Dict, List, Tuple

from .effects import Effects
from .model import Command

_COMMANDS: Dict[str, Dict[str, Tuple[str, ...]]] = {
    "systemd": {
        "start": ("systemctl", "start", "{name}"),
        "stop": ("systemctl", "stop", "{name}"),
        "running": ("systemctl", "is-active", "{name}"),
        "enable": ("systemctl", "enable", "{name}"),
        "disable": ("systemctl", "disable", "{name}"),
        "enabled": ("systemctl", "is-enabled", "{name}"),
    },
    "sysv": {
        "start": ("service", "{name}", "start"),
        "stop": ("service", "{name}", "stop"),
        "running": ("service", "{name}", "status"),
        "enable": ("chkconfig", "{name}", "on"),
        "disable": ("chkconfig", "{name}", "off"),
        "enabled": ("chkconfig", "{name}"),
    },
}


def command(init: str, action: str, name: str) -> Tuple[str, ...]:
    """The command that does `action` (start, stop, running, enable, disable, enabled) to a service."""
    return tuple(word.format(name=name) for word in _COMMANDS[init][action])


def is_so(init: str, state: str, name: str, effects: Effects) -> bool:
    """Whether a service is `running`, or `enabled`."""
    return effects.run(*command(init, state, name)).code == 0


def enabled(init: str, name: str, effects: Effects) -> List[Command]:
    """What makes a service start with the machine, if it does not yet."""
    if is_so(init, "enabled", name, effects):
        return []
    undo = (command(init, "disable", name),)
    return [Command(command(init, "enable", name), f"{name} starts with the machine", needed=True, undo=undo)]
