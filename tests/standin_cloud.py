"""A machine of a cloud in a folder: its commands keep state on disk, and fail as real ones do, or as a test wants.

What they know is in `tests.practice.euca`. Python 3.6 runs this as well.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

from isobuilder.firstlogin.effects import Effects, Result
from tests.practice.euca.knowledge import CLOUD, CONF, NO_KEYS, STYLESHEET, Answer, Cloud
from tests.scratch_machine import Scratch

HOST_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ=="
_CLOUD_COMMANDS = ("clcadmin-initialize-cloud", "euserv-register-service", "clusteradmin-register-nodes")
# Programs that are what they are: paths among their words are led below the root.
_PLAIN = ("test", "cmp", "cp", "find", "rm", "grep")


def role(parts: str, style: str) -> str:
    """What the kickstart of a role writes down for the wizard."""
    bridge = "BRIDGE=br0\n" if "nc" in parts else ""
    return f'ID=role\nTITLE="A role"\n{bridge}CPU_FLAGS="vmx svm"\nCLOUD={CLOUD[style]}\nPARTS="{parts}"\n'


class Clock:
    """Time that passes when somebody sleeps, and that a process which is cut off does not take along."""

    def __init__(self, path: str) -> None:
        self._path = path

    def now(self) -> float:
        try:
            return float(Path(self._path).read_text())
        except FileNotFoundError:
            return 1800000000.0

    def sleep(self, seconds: float) -> None:
        Path(self._path).write_text(str(self.now() + seconds))


class CloudMachine(Scratch, Cloud):
    """A machine with the packages of a cloud's `parts` on it; `style` 6 is version 4.2, 7 is version 5."""

    def __init__(self, root: str, style: str) -> None:
        super().__init__(root, style)
        self.clock = Clock(root + ".clock")

    def make_part(self, parts: str, ports: int = 1, stylesheet: str = "") -> "CloudMachine":
        self.make(ports=ports, role=role(parts, self.style))
        self.write("etc/eucalyptus/eucalyptus.conf", CONF[self.style])
        self.write("usr/sbin/dhcpd", "", 0o755)
        self.write("etc/motd", "Authorized people only.\n")
        self.write("dev/kvm", "")
        self.write("etc/eucalyptus/libvirt.xsl", stylesheet or STYLESHEET)
        for folder in ("db", "keys", "bukkits", "volumes", "instances/cache"):
            os.makedirs(self.path(f"var/lib/eucalyptus/{folder}"))
        if "frontend" in parts:
            for name in _CLOUD_COMMANDS:
                self.write(f"usr/sbin/{name}", "", 0o755)
        self.save_cloud({"services": {}, "properties": {}, "users": {}, "nodes": {}, "fail": {}, "started": None})
        return self

    # State.

    def cloud(self) -> Dict[str, Any]:
        table: Dict[str, Any] = json.loads(Path(self.root + ".cloud").read_text())
        return table

    def save_cloud(self, table: Dict[str, Any]) -> None:
        Path(self.root + ".cloud").write_text(json.dumps(table, sort_keys=True))

    def now(self) -> float:
        return self.clock.now()

    def new_key(self) -> str:
        # Machines of tests are compared with each other.
        return "a key"

    def started(self) -> Optional[float]:
        started: Optional[float] = self.cloud()["started"]
        return started

    def is_running(self, service: str) -> bool:
        return service in self.state()["running"]

    def own_addresses(self) -> List[str]:
        return [address.partition("/")[0] for one in self.state()["addresses"].values() for address in one]

    def node_answers(self, address: str) -> bool:
        node = self.cloud()["nodes"].get(address, {})
        return bool(node.get("up") and node.get("keys"))

    def fail(self, command: str, times: int = 1, said: str = "it will not") -> None:
        """The next `times` calls of a command fail."""
        self.change(fail={**self.cloud()["fail"], command: [times, said]})

    def add_node(self, address: str, **more: Any) -> None:
        """A node on the wire: `up`, `trusts` the front end's key, or takes this `password`."""
        node = {"up": True, "trusts": True, "password": "", "keys": False, **more}
        self.change(nodes={**self.cloud()["nodes"], address: node})

    def effects(self, **more: Any) -> Effects:
        values: Dict[str, Any] = {"now": self.clock.now, "sleep": self.clock.sleep, **more}
        return super().effects(**values)

    # Commands.

    def run(self, argv: Sequence[str], given: str, timeout: int) -> Result:
        return Result(*self._answer(list(argv), given, timeout))

    def _answer(self, words: List[str], given: str, timeout: int) -> Answer:
        if words[0] == "cloud-admin":
            return self._as_admin(words[1:], given)
        if words[0] in _PLAIN:
            return self._plain(words)
        if words[0] == "sh":
            return self._same_document(words[4], words[5])
        handler = self._handler(words[0])
        if handler is None:
            return Answer(*super().run(words, given, timeout))
        if words[0] != "ssh-keyscan":
            self._record(words)
        return self._failing(words[0]) or handler(words, given)

    def _handler(self, name: str) -> Optional[Callable[[List[str], str], Answer]]:
        return {
            "clcadmin-initialize-cloud": self._initialise,
            "clusteradmin-register-nodes": self._register_nodes,
            "clusteradmin-deregister-nodes": self._deregister_nodes,
            "clusteradmin-copy-keys": self._copy_keys,
            "ssh-keygen": self._ssh_keygen,
            "ssh-keyscan": self._ssh_keyscan,
            "ssh": self._ssh,
            "env": self._ssh_with_password,
        }.get(name)

    def _failing(self, name: str) -> Optional[Answer]:
        table = self.cloud()
        times, said = table["fail"].get(name, (0, ""))
        if times <= 0:
            return None
        table["fail"][name] = [times - 1, said]
        self.save_cloud(table)
        return Answer(1, f"{name}: {said}\n")

    def _plain(self, words: List[str]) -> Answer:
        if words[0] in ("cp", "rm"):
            self._record(words)
        mapped = [words[0], *(self.path(word) if word.startswith("/") else word for word in words[1:])]
        done = subprocess.run(mapped, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return Answer(done.returncode, done.stdout.decode().replace(self.root, ""))

    def _service(self, words: List[str]) -> Result:
        """Starting a service of the cloud: it looks at its files first."""
        action, name = (words[1], words[2]) if words[0] == "systemctl" else (words[2], words[1])
        refused = self._failing(f"start {name}") if action == "start" else None
        said = self._refuses(name) if action == "start" else ""
        if refused or said:
            return Result(*(refused or Answer(1, said + "\n")))
        if name == "eucalyptus-cloud" and action in ("start", "stop"):
            self.change(started=self.clock.now() if action == "start" else None)
        return super()._service(words)

    # What the administrator's keys are for.

    def _as_admin(self, words: List[str], given: str) -> Answer:
        helper = Path(self.path("usr/sbin/cloud-admin"))
        if not helper.exists() or not helper.stat().st_mode & 0o100:
            return Answer(127, "cloud-admin: No such file or directory")
        into = ""
        if words[0] == "--into":
            into, words = words[1], words[2:]
        if not words[0].startswith(("euserv-describe", "euca-describe")) and not (
            words[0] == "euctl" and "=" not in words[-1]
        ):
            self._record(["cloud-admin", *(["--into", into] if into else []), *words])
        if not self.is_up():
            return NO_KEYS
        result = self._failing(words[0]) or self._administration(words, given)
        if into and result.code == 0:
            self.write(into, result.output, 0o600)
            return Answer(0, "")
        return result

    def _same_document(self, name: str, path: str) -> Answer:
        result = self._as_admin(["euctl", "--dump", "--format=raw", name], "")
        same = result.code == 0 and result.output.rstrip("\n") == self.read(path).rstrip("\n")
        return Answer(0 if same else 1, "")

    # Nodes.

    def _copy_keys(self, words: List[str], _given: str) -> Answer:
        table = self.cloud()
        node = table["nodes"].get(words[1])
        name = "clusteradmin-copy-keys"
        if not os.path.exists(self.path("var/lib/eucalyptus/keys/node-pk.pem")):
            return Answer(1, f"{name}: cannot access /var/lib/eucalyptus/keys/node-pk.pem: No such file or directory\n")
        if node is None or not node["up"] or not node["trusts"]:
            said = "rsync error: unexplained error (code 255)\n"
            return Answer(1, f"{said}{name}: failed to copy /var/lib/eucalyptus/keys/cloud-cert.pem to {words[1]}\n")
        node["keys"] = True
        self.save_cloud(table)
        return Answer(0, "")

    def _ssh_keygen(self, words: List[str], _given: str) -> Answer:
        if "-R" in words:
            path = self.path("root/.ssh/known_hosts")
            lines = Path(path).read_text().splitlines(keepends=True) if os.path.exists(path) else []
            Path(path).write_text("".join(line for line in lines if not line.startswith(words[-1] + " ")))
            return Answer(0, "")
        if os.path.exists(self.path(words[-1])):
            return Answer(1, f"{words[-1]} already exists.\nOverwrite (y/n)? ")
        self.write(words[-1], "PRIVATE\n", 0o600)
        self.write(words[-1] + ".pub", "ssh-rsa " + "AAAAB3NzaC1yc2E" * 8 + " front end\n")
        return Answer(0, "")

    def _ssh_keyscan(self, words: List[str], _given: str) -> Answer:
        node = self.cloud()["nodes"].get(words[-1])
        return Answer(0, f"{words[-1]} {HOST_KEY}\n" if node and node["up"] else "")

    def _ssh(self, words: List[str], _given: str) -> Answer:
        address = next(word for word in words if word.startswith("root@"))[5:]
        node = self.cloud()["nodes"].get(address)
        if node is None or not node["up"]:
            return Answer(255, f"ssh: connect to host {address} port 22: No route to host\n")
        known = self.read("root/.ssh/known_hosts") if os.path.exists(self.path("root/.ssh/known_hosts")) else ""
        if f"{address} {HOST_KEY}" not in known:
            return Answer(255, "Host key verification failed.\n")
        if not node["trusts"]:
            return Answer(255, "Permission denied (publickey,gssapi-keyex,gssapi-with-mic,password).\n")
        return Answer(0, "")

    def _ssh_with_password(self, words: List[str], given: str) -> Answer:
        address = next(word for word in words if word.startswith("root@"))[5:]
        table = self.cloud()
        askpass = next(word for word in words if word.startswith("SSH_ASKPASS=")).partition("=")[2]
        done = subprocess.run(
            [askpass, "Password:"], input=given.encode(), stdout=subprocess.PIPE, check=True, cwd=self.root
        )
        password = done.stdout.decode().rstrip("\n")
        if password != table["nodes"][address]["password"]:
            return Answer(255, "Permission denied, please try again.\n")
        table["nodes"][address]["trusts"] = True
        table["nodes"][address]["authorized"] = given.partition("\n")[2]
        self.save_cloud(table)
        return Answer(0, "")


if __name__ == "__main__":
    # As a program: ROOT STYLE COMMAND WORDS..., for whoever wants to try it by hand.
    machine = CloudMachine(sys.argv[1], sys.argv[2])
    machine.effects()
    outcome = machine.run(shlex.split(" ".join(sys.argv[3:])), "", 0)
    sys.stdout.write(outcome.output)
    sys.exit(outcome.code)
