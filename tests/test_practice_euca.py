"""The stand-in cloud's packages, installed: a front end and two nodes, each with a network of its own.

They are RPMs, installed over this system by rpm and run there as their units say, but without systemd. Dependencies are
left out: here they are Debian's packages. Time passes by moving what was written down of it.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.practice import cloud
from tests.practice.rpms import build_rpms

_TOOLS = ("chroot", "ip", "mount", "rpm", "rpmbuild", "ssh", "/usr/sbin/sshd", "unshare")
_MOST_SECONDS = 30
_FRONT_END, _FIRST, _SECOND = "10.73.0.1", "10.73.0.11", "10.73.0.12"
_STATE = "var/lib/eucalyptus"
# Their own /sys and /proc, which go away with the command.
_INSIDE = 'mount -t sysfs none "$0/sys" && mount -t proc none "$0/proc" && exec chroot "$0" "$@"'

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes networks of its own"),
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in _TOOLS),
        reason=f"not installed: {[tool for tool in _TOOLS if shutil.which(tool) is None]}",
    ),
]


def _do(*words: str | Path) -> None:
    subprocess.run([os.fspath(word) for word in words], check=True, timeout=_MOST_SECONDS, stdout=subprocess.PIPE)


class _Machine:
    def __init__(self, folder: Path, space: str) -> None:
        self.root, self.space = folder / "m", space
        self.services: dict[str, subprocess.Popen[str]] = {}

    def _words(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.space, "sh", "-c", _INSIDE, os.fspath(self.root), *words]

    def run(self, *words: str, given: str = "", keys: bool = False) -> tuple[int, str]:
        """The exit code of a command, and what it says."""
        if keys:
            script = 'keys=$(clcadmin-assume-system-credentials) && eval "$keys" && exec "$@"'
            words = ("sh", "-c", script, "sh", *words)
        done = subprocess.run(
            self._words(*words),
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_MOST_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    def ask(self, *words: str, given: str = "", keys: bool = True) -> str:
        code, said = self.run(*words, given=given, keys=keys)
        assert code == 0, said
        return said

    def start(self, name: str, *words: str) -> str:
        """Start what a unit says, or `words`, until it is ready. What it says instead, when it ends; else ""."""
        if not words:
            unit = (self.root / f"usr/lib/systemd/system/{name}.service").read_text()
            words = tuple(next(line[10:] for line in unit.splitlines() if line.startswith("ExecStart=")).split())
        place = self.root / "run/notify"
        place.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.bind(os.fspath(place))
            line.settimeout(0.1)
            service = subprocess.Popen(
                self._words("env", "NOTIFY_SOCKET=/run/notify", *words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            self.services[name] = service
            for _ in range(10 * _MOST_SECONDS):
                with contextlib.suppress(TimeoutError):
                    if b"READY=1" in line.recv(1000):
                        return ""
                if service.poll() is not None:
                    return self.stop(name)
        raise AssertionError(f"{name} is not ready")

    def stop(self, name: str, how: int = signal.SIGTERM) -> str:
        service = self.services.pop(name)
        service.send_signal(how)
        return service.communicate(timeout=_MOST_SECONDS)[0]

    def pass_seconds(self, seconds: float) -> None:
        """Let what was started and registered be that much older."""
        started = self.root / "run/eucalyptus/started"
        started.write_text(str(float(started.read_text()) - seconds))
        path = self.root / _STATE / "db/cloud.json"
        table = json.loads(path.read_text())
        for services in table["services"].values():
            for one in services.values():
                one[2] -= seconds
        path.write_text(json.dumps(table))


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("rpms")
    for name in ("tree", "out", "scratch"):
        (folder / name).mkdir()
    cloud.write_files(folder / "tree")
    build_rpms(cloud.EUCALYPTUS, folder / "tree", folder / "out", folder / "scratch", 1700000000)
    return sorted((folder / "out").rglob("*.rpm"))


@pytest.fixture
def rack(rpms: list[Path]) -> Iterator[list[_Machine]]:
    """A front end and two nodes on one wire."""
    # Sockets have short names.
    with tempfile.TemporaryDirectory(prefix="rack-") as name, contextlib.ExitStack() as stack:
        mark = Path(name).name[-6:]
        wire = f"{mark}-wire"
        _do("ip", "netns", "add", wire)
        stack.callback(_do, "ip", "netns", "delete", wire)
        _do("ip", "-n", wire, "link", "add", "wire", "type", "bridge")
        _do("ip", "-n", wire, "link", "set", "wire", "up")
        machines = []
        for number, address in enumerate((_FRONT_END, _FIRST, _SECOND)):
            machines.append(_machine(Path(name) / str(number), f"{mark}-{number}", wire, address, rpms, stack))
        yield machines


def _machine(
    folder: Path, space: str, wire: str, address: str, rpms: list[Path], stack: contextlib.ExitStack
) -> _Machine:
    folder.mkdir()
    _do("mount", "-t", "tmpfs", "none", folder)
    stack.callback(_do, "umount", folder)
    for name in ("m", "u", "w"):
        (folder / name).mkdir()
    options = f"lowerdir=/,upperdir={folder}/u,workdir={folder}/w"
    _do("mount", "-t", "overlay", "overlay", "-o", options, folder / "m")
    stack.callback(_do, "umount", folder / "m")
    _do("ip", "netns", "add", space)
    stack.callback(_do, "ip", "netns", "delete", space)
    cable = f"w{space[-1]}"
    _do(*("ip", "-n", wire, "link", "add", cable, "type", "veth"), *("peer", "name", "eth0", "netns", space))
    _do("ip", "-n", wire, "link", "set", cable, "master", "wire", "up")
    for device in ("lo", "eth0"):
        _do("ip", "-n", space, "link", "set", device, "up")
    _do("ip", "-n", space, "address", "add", f"{address}/24", "dev", "eth0")
    machine = _Machine(folder, space)
    for path in ("run/eucalyptus", "run/sshd", "root/.ssh"):
        (machine.root / path).mkdir(parents=True, exist_ok=True)
    for path in ("authorized_keys", "id_rsa", "id_rsa.pub", "known_hosts"):
        (machine.root / "root/.ssh" / path).unlink(missing_ok=True)
    os.mknod(machine.root / "dev/null.new", 0o20666, os.makedev(1, 3))
    (machine.root / "dev/null.new").replace(machine.root / "dev/null")
    words = ("rpm", "--root", machine.root, "--dbpath", "/var/lib/practice-rpm", "--nodeps", "--nosignature")
    _do(*words, "--install", *rpms)
    stack.callback(_end, machine)
    return machine


def _end(machine: _Machine) -> None:
    for name in list(machine.services):
        machine.stop(name, signal.SIGKILL)


def _cloud(front_end: _Machine) -> None:
    """A cloud that is up, with all its services, which has been for a while."""
    front_end.ask("clcadmin-initialize-cloud", keys=False)
    assert front_end.start("eucalyptus-cloud") == ""
    front_end.pass_seconds(60)
    for kind, zone in (("user-api", ""), ("walrusbackend", ""), ("cluster", "east"), ("storage", "east")):
        where = ("-z", zone) if zone else ()
        front_end.ask("euserv-register-service", "-t", kind, "-h", _FRONT_END, *where, f"{kind}-1")
    keys = front_end.root / _STATE / "keys"
    for path in (keys / "east").iterdir():
        shutil.copy(path, keys)


def _node(machine: _Machine, key: str) -> None:
    (machine.root / "root/.ssh/authorized_keys").write_text(key)
    (machine.root / "root/.ssh/authorized_keys").chmod(0o600)
    assert machine.start("sshd", "/usr/sbin/sshd", "-D", "-e", "-o", "UsePAM=no", "-o", "PermitRootLogin=yes") == ""


def _states(front_end: _Machine) -> dict[str, str]:
    lines = front_end.ask("euserv-describe-node-controllers").splitlines()
    assert all(line.split()[1] == "east" for line in lines)
    return {line.split()[2]: line.split()[3] for line in lines}


def test_a_cloud_is_made_starts_and_is_refused_before(rack: list[_Machine]) -> None:
    front_end = rack[0]
    assert "never initialized" in front_end.start("eucalyptus-cloud")
    code, said = front_end.run("clcadmin-assume-system-credentials")
    assert code == 1
    assert "finished starting" in said
    front_end.ask("clcadmin-initialize-cloud", keys=False)
    assert "already exists" in front_end.run("clcadmin-initialize-cloud")[1]
    assert front_end.start("eucalyptus-cloud") == ""
    assert "is running" in front_end.run("clcadmin-initialize-cloud")[1]
    assert front_end.run("clcadmin-assume-system-credentials")[0] == 1
    front_end.pass_seconds(60)
    assert "AWS_SECRET_ACCESS_KEY" in front_end.ask("clcadmin-assume-system-credentials", keys=False)
    assert front_end.run("euserv-describe-services")[0] == 1
    register = ("euserv-register-service", "-t", "cluster", "-h", _FRONT_END, "-z", "east", "cc")
    front_end.ask(*register)
    assert "already exists" in front_end.run(*register, keys=True)[1]
    described = {line.split()[1]: line.split()[-1] for line in front_end.ask("euserv-describe-services").splitlines()}
    assert described == {"cluster": "notready", "eucalyptus": "enabled"}
    front_end.pass_seconds(20)
    assert "notready" not in front_end.ask("euserv-describe-services")
    assert "\teast\t" in front_end.ask("euca-describe-availability-zones", "verbose")
    front_end.stop("eucalyptus-cloud", signal.SIGKILL)
    assert front_end.run("clcadmin-assume-system-credentials")[0] == 1


def test_a_node_is_enabled_with_this_clouds_keys_while_it_answers(rack: list[_Machine]) -> None:
    front_end, first, second = rack
    _cloud(front_end)
    front_end.ask("ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", "/root/.ssh/id_rsa", keys=False)
    key = (front_end.root / "root/.ssh/id_rsa.pub").read_text()
    assert "VNET_BRIDGE" in first.start("eucalyptus-node")
    for node in (first, second):
        _node(node, key)
        _do("ip", "-n", node.space, "link", "add", "br0", "type", "bridge")
        assert node.start("eucalyptus-node") == ""
    front_end.ask("clusteradmin-register-nodes", _FIRST, _SECOND, keys=False)
    assert _states(front_end) == {_FIRST: "notready", _SECOND: "notready"}
    code, said = front_end.run("clusteradmin-copy-keys", _FIRST)
    assert code == 1
    assert "Host key verification failed" in said
    for address in (_FIRST, _SECOND):
        with (front_end.root / "root/.ssh/known_hosts").open("a") as file:
            file.write(front_end.run("sh", "-c", 'exec ssh-keyscan -T 5 "$0" 2>/dev/null', address)[1])
    front_end.ask("clusteradmin-copy-keys", _FIRST, keys=False)
    assert _states(front_end) == {_FIRST: "enabled", _SECOND: "notready"}
    pem = f"{_STATE}/keys/node-pk.pem"
    assert (first.root / pem).read_text() == (front_end.root / pem).read_text()
    assert (first.root / pem).stat().st_mode & 0o777 == 0o600
    # What another cloud has under the same names.
    _cloud(second)
    assert _states(front_end) == {_FIRST: "enabled", _SECOND: "notready"}
    front_end.ask("clusteradmin-copy-keys", _SECOND, keys=False)
    assert _states(front_end) == {_FIRST: "enabled", _SECOND: "enabled"}
    first.stop("eucalyptus-node")
    assert _states(front_end) == {_FIRST: "notready", _SECOND: "enabled"}
    front_end.ask("clusteradmin-deregister-nodes", _FIRST, keys=False)
    assert _states(front_end) == {_SECOND: "enabled"}


def test_a_commands_banner_says_that_it_stands_in(rack: list[_Machine]) -> None:
    assert "stand-in" in rack[0].ask("euctl", "--version", keys=False)
