"""The stand-in for a cloud on a machine of the practice release: its commands, and its services behind real ports.

A command is named by how the program is called: each of them is a link to it. `serve NAME` is a service, for its unit.
State lies where that of the real one does, and goes with it.
"""

import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from typing import Any, Callable, Dict, List, Optional

from .knowledge import NO_KEYS, SECRET_KEY, Answer, Cloud

BANNER = "A stand-in for Eucalyptus 5, for rehearsals: it runs no instance."
KEYS = "/var/lib/eucalyptus/keys"
# What the real ones listen on; the cloud controller does the rest of the front end's.
PORTS = {
    "eucalyptus-cloud": (8773,),
    "eucalyptus-node": (8775,),
    "eucaconsole": (443,),
    "tgtd": (3260,),
    "eucanetd": (),
}
# What clusteradmin-copy-keys brings to a node.
_FOR_NODES = ("cloud-cert.pem", "cluster-cert.pem", "node-cert.pem", "node-pk.pem")
_TABLE = "/var/lib/eucalyptus/db/cloud.json"
_STARTED = "/run/eucalyptus/started"
_NODE_SECONDS = 3.0
# The one command that reads its input: a password.
_READER = "euare-useraddloginprofile"


class Machine(Cloud):
    """This machine, or one whose files lie below `root`."""

    def __init__(self, root: str = "/") -> None:
        self._root = root

    def cloud(self) -> Dict[str, Any]:
        try:
            table: Dict[str, Any] = json.loads(self.read(_TABLE))
        except FileNotFoundError:
            table = {"services": {}, "properties": {}, "users": {}, "images": {}}
        return table

    def save_cloud(self, table: Dict[str, Any]) -> None:
        self.write(_TABLE, json.dumps(table, sort_keys=True), 0o600)

    def now(self) -> float:
        return time.time()

    def path(self, name: str) -> str:
        return os.path.join(self._root, name.lstrip("/"))

    def read(self, name: str) -> str:
        with open(self.path(name)) as file:
            return file.read()

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        place = self.path(name)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place + ".new", "w") as file:
            file.write(text)
        os.chmod(place + ".new", mode)
        os.rename(place + ".new", place)

    def is_running(self, service: str) -> bool:
        return all(_listens("127.0.0.1", port) for port in PORTS.get(service, (0,)))

    def started(self) -> Optional[float]:
        # One that was killed leaves its file behind.
        if not self.is_running("eucalyptus-cloud"):
            return None
        try:
            return float(self.read(_STARTED))
        except (FileNotFoundError, ValueError):
            return None

    def own_addresses(self) -> List[str]:
        said = subprocess.run(["ip", "-o", "-4", "address"], stdout=subprocess.PIPE, check=True).stdout.decode()
        return [line.split()[3].partition("/")[0] for line in said.splitlines()]

    def node_answers(self, address: str) -> bool:
        try:
            with socket.create_connection((address, 8775), _NODE_SECONDS) as line:
                line.settimeout(_NODE_SECONDS)
                return line.recv(64).decode("ascii").strip() == self.digest_of_keys()
        except (OSError, ValueError):
            return False

    def digest_of_keys(self) -> str:
        """What shows that a node has the keys of a cloud; "none" without them."""
        try:
            return hashlib.sha256(self.read(f"{KEYS}/node-pk.pem").encode()).hexdigest()
        except FileNotFoundError:
            return "none"

    # Commands.

    def copy_keys(self, words: List[str], _given: str) -> Answer:
        """As the real one: over ssh, as root, without asking anybody."""
        name = "clusteradmin-copy-keys"
        for key in _FOR_NODES:
            try:
                data = self.read(f"{KEYS}/{key}")
            except FileNotFoundError:
                return Answer(1, f"{name}: cannot access {KEYS}/{key}: No such file or directory\n")
            command = ["ssh", "-o", "BatchMode=yes", f"root@{words[-1]}", f"umask 077; cat >{KEYS}/{key}"]
            done = subprocess.run(
                command, input=data.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
            )
            if done.returncode:
                return Answer(1, f"{done.stdout.decode()}{name}: failed to copy {KEYS}/{key} to {words[-1]}\n")
        return Answer(0, "")

    def assume(self, _words: List[str], _given: str) -> Answer:
        """The keys of the cloud's own administrator, for a shell."""
        if not self.is_up():
            return NO_KEYS
        return Answer(0, f"export AWS_ACCESS_KEY_ID=AKIPRACTICE;\nexport AWS_SECRET_ACCESS_KEY={SECRET_KEY};\n")

    def administrate(self, words: List[str], given: str) -> Answer:
        if os.environ.get("AWS_SECRET_ACCESS_KEY") != SECRET_KEY:
            return Answer(1, f"{words[0]}: error: missing access key ID; please supply one with -I\n")
        if not self.is_up():
            return Answer(1, f"{words[0]}: error: connection to 127.0.0.1:8773 refused\n")
        return self._administration(words, given)

    def run(self, words: List[str], given: str) -> Answer:
        own: Dict[str, Callable[[List[str], str], Answer]] = {
            "clcadmin-initialize-cloud": self._initialise,
            "clcadmin-assume-system-credentials": self.assume,
            "clusteradmin-register-nodes": self._register_nodes,
            "clusteradmin-deregister-nodes": self._deregister_nodes,
            "clusteradmin-copy-keys": self.copy_keys,
        }
        return own.get(words[0], self.administrate)(words, given)

    # Services.

    def serve(self, name: str) -> int:
        """Be the service `name` until it is told to stop; the exit code."""
        refused = self._refuses(name)
        if refused:
            sys.stderr.write(f"{name}: {refused}\n")
            return 1
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        listening = [socket.create_server(("", port)) for port in PORTS[name]]
        if name == "eucalyptus-cloud":
            self.write(_STARTED, str(self.now()))
        _ready()
        try:
            while True:
                for line in select.select(listening, [], [])[0]:
                    with line.accept()[0] as caller:
                        caller.settimeout(_NODE_SECONDS)
                        try:
                            caller.sendall(f"{self.digest_of_keys()}\n".encode("ascii"))
                        except OSError:
                            # Whoever it was has left.
                            pass
        finally:
            if name == "eucalyptus-cloud":
                os.unlink(self.path(_STARTED))


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), _NODE_SECONDS):
            return True
    except OSError:
        return False


def _ready() -> None:
    """Tell systemd that the service is there (sd_notify)."""
    place = os.environ.get("NOTIFY_SOCKET")
    if place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.sendto(b"READY=1", place.replace("@", "\0", 1))


def main() -> int:
    """Be the command or the service that the program is called by; the exit code."""
    name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
    if words[:1] == ["--version"]:
        sys.stdout.write(f"{name}: {BANNER}\n")
        return 0
    if name == "serve":
        return Machine().serve(words[0])
    # Whoever has nothing to say may keep our input open for ever.
    given = sys.stdin.read() if name == _READER else ""
    answer = Machine().run([name, *words], given)
    (sys.stdout if answer.code == 0 else sys.stderr).write(answer.output)
    return answer.code
