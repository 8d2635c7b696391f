"""All that the wizard does to the world, and all that it sees of it: files, commands, packets, the clock.

Nothing else in the wizard opens a file or starts a process. Tests give another `root` for the files, and a `run`,
`spawn`, `exchange`, `fetch` and clock of their own.
"""

import errno
import fcntl
import itertools
import os
import signal
import socket
import stat
import subprocess
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

# Commands see this and nothing of the caller's environment: no locale to read output in, no library path.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "LC_ALL": "C", "HOME": "/root"}
CONSOLE = "/dev/console"
NOT_FOUND = 127
_TIMED_OUT = 124
# What nobody needs more of: a command's last words.
_OUTPUT_LIMIT = 64 << 10
# Linux from 5.8 on refuses to read more than 4 MiB at once of a file below /proc/sys (proc_sysctl.c).
_PIECE = 64 << 10


class Result(NamedTuple):
    """What a command left: its exit code (127: there is no such command, 124: it took too long) and its output."""

    code: int
    output: str


def run_command(argv: Sequence[str], given: str, timeout: int) -> Result:
    """Run a command, a list of arguments, with `given` on its standard input; both of its outputs come together."""
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            cwd="/",
            # Ctrl-C is for us: a command that it reached would be left half done.
            start_new_session=True,
        )
    except OSError as error:
        code = NOT_FOUND if error.errno in (errno.ENOENT, errno.ENOTDIR) else 126
        return Result(code, f"{argv[0]}: {error.strerror}")
    try:
        output, _ = process.communicate(given.encode(), timeout=timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        output, _ = process.communicate()
        text = output[-_OUTPUT_LIMIT:].decode("utf-8", "replace")
        return Result(_TIMED_OUT, f"{text}\nstopped: it took more than {timeout} seconds")
    except BaseException:
        # We are being stopped. The step is done again, so nothing of it should go on meanwhile.
        _kill(process)
        process.wait()
        raise
    return Result(process.returncode, output[-_OUTPUT_LIMIT:].decode("utf-8", "replace"))


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Stop a command and all that it started: a script's children would go on, and hold its output open."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        # It has ended just now.
        pass


def spawn_command(argv: Sequence[str]) -> None:
    """Start a command that outlives this process and the session that it belongs to."""
    with open(os.devnull, "r+b") as null:
        subprocess.Popen(list(argv), stdin=null, stdout=null, stderr=null, cwd="/", start_new_session=True)


def exchange_packets(server: str, port: int, packet: bytes, timeout: float) -> Optional[bytes]:
    """What a server answers to one UDP packet, or None."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect((server, port))
            sock.send(packet)
            return sock.recv(4096)
    except OSError:
        return None


def fetch_address(url: str, limit: int, timeout: float) -> bytes:
    """At most `limit` + 1 bytes of what lies at an http:// or https:// address. Raises OSError."""
    import http.client
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=timeout) as reply:  # noqa: S310 - http and https only, as sources asks
            return bytes(reply.read(limit + 1))
    except (ValueError, http.client.HTTPException) as error:
        raise OSError(str(error)) from error


class Effects:
    """The machine whose files lie below `root`."""

    def __init__(
        self,
        root: str = "/",
        *,
        run: Callable[[Sequence[str], str, int], Result] = run_command,
        spawn: Callable[[Sequence[str]], None] = spawn_command,
        exchange: Callable[[str, int, bytes, float], Optional[bytes]] = exchange_packets,
        fetch: Callable[[str, int, float], bytes] = fetch_address,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        environ: Optional[Dict[str, str]] = None,
        pid: Optional[int] = None,
        is_root: Optional[bool] = None,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        self._root = root
        self._run = run
        self.spawn = spawn
        self.exchange = exchange
        self.fetch = fetch
        self.now = now
        self.sleep = sleep
        self._sync = sync
        self.environ = dict(os.environ) if environ is None else environ
        self.pid = os.getpid() if pid is None else pid
        self.is_root = os.geteuid() == 0 if is_root is None else is_root

    def run(self, *argv: str, given: str = "", timeout: int = 120) -> Result:
        """Run a command; argv[0] is looked for where the system keeps its programs."""
        return self._run(argv, given, timeout)

    def path(self, path: str) -> str:
        """Where a file of the machine really lies."""
        return os.path.join(self._root, path.lstrip("/")) if self._root != "/" else path

    def read_bytes(self, path: str, limit: int = 16 << 20) -> Optional[bytes]:
        """The bytes of a file, or None where there is none that can be read; no more than `limit` + 1 of them."""
        try:
            with open(self.path(path), "rb") as file:
                pieces = iter(lambda: file.read(_PIECE), b"")
                return b"".join(itertools.islice(pieces, limit // _PIECE + 1))[: limit + 1]
        except OSError:
            return None

    def read(self, path: str) -> Optional[str]:
        """The text of a file, or None; bytes that are no UTF-8 survive a writing back."""
        data = self.read_bytes(path)
        return None if data is None else data.decode("utf-8", "surrogateescape")

    def target(self, path: str) -> Optional[str]:
        """Where a symbolic link leads, or None for what is none."""
        try:
            return os.readlink(self.path(path))
        except OSError:
            return None

    def names(self, path: str) -> List[str]:
        """The names in a folder, sorted; none where there is no folder."""
        try:
            return sorted(os.listdir(self.path(path)))
        except OSError:
            return []

    def exists(self, path: str) -> bool:
        """Whether there is anything, a link that leads nowhere too."""
        return os.path.lexists(self.path(path))

    def mode(self, path: str) -> int:
        """The permissions of a file that is there."""
        return stat.S_IMODE(os.lstat(self.path(path)).st_mode)

    def has_command(self, name: str) -> bool:
        return any(self.exists(os.path.join(folder, name)) for folder in ENVIRONMENT["PATH"].split(":"))

    def free_mib(self, path: str) -> int:
        """Free space at a path, in MiB."""
        try:
            found = os.statvfs(self.path(path))
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize >> 20

    def write(self, path: str, data: bytes, mode: int) -> None:
        """Give a file new content, whole or not at all, on disk before it has its name.

        A file that is there keeps its owner and its SELinux label; a new one gets the label of its place.
        """
        place = self._resolved(path)
        folder = os.path.dirname(place)
        os.makedirs(folder, exist_ok=True)
        there = os.path.exists(place)
        part = _part(place)
        _remove(part)
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(number, "wb") as file:
                os.fchmod(number, mode)
                if there:
                    _keep_owner_and_label(place, number)
                file.write(data)
                file.flush()
                self._sync(number)
            os.rename(part, place)
        except BaseException:
            _remove(part)
            raise
        self._sync_folder(folder)
        if not there:
            self._label(path)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, in place of whatever file is there."""
        place = self.path(path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        part = _part(place)
        _remove(part)
        os.symlink(target, part)
        os.rename(part, place)
        self._sync_folder(os.path.dirname(place))
        self._label(path)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        _remove(self.path(path))
        # What a writing of it that was cut off may have left.
        _remove(_part(self.path(path)))
        if os.path.isdir(os.path.dirname(self.path(path))):
            self._sync_folder(os.path.dirname(self.path(path)))

    def append(self, path: str, data: bytes) -> None:
        """Add to a file that nobody but root may read; on disk when this returns."""
        place = self.path(path)
        _private_folder(os.path.dirname(place))
        number = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(number, "ab") as file:
            file.write(data)
            file.flush()
            self._sync(number)
        self._sync_folder(os.path.dirname(place))

    def make_folder(self, path: str) -> None:
        """Make a folder that only root can look into, unless it is there."""
        _private_folder(self.path(path))

    def announce(self, line: str) -> None:
        """Say a line on the system's console, for whoever follows it from outside; without one, nobody hears it."""
        try:
            number = os.open(self.path(CONSOLE), os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return
        try:
            os.write(number, f"\r\n{line}\r\n".encode("ascii", "replace"))
        except OSError:
            # A console that takes nothing must not stop what is going on.
            pass
        finally:
            os.close(number)

    def truncate(self, path: str, size: int) -> None:
        """Cut a file that `append` made."""
        os.truncate(self.path(path), size)

    def lock(self, path: str) -> Optional[int]:
        """Take the lock at a path for as long as this process lives; None when another process has it."""
        _private_folder(os.path.dirname(self.path(path)))
        number = os.open(self.path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(number)
            return None
        return number

    def unlock(self, number: int) -> None:
        os.close(number)

    def _sync_folder(self, folder: str) -> None:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._sync(number)
        finally:
            os.close(number)

    def _resolved(self, path: str) -> str:
        """The file itself where the path is a link to one below the root: a link stays a link."""
        place = self.path(path)
        target = self.target(path)
        if target is None:
            return place
        if target.startswith("/"):
            return self.path(target)
        return os.path.normpath(os.path.join(os.path.dirname(place), target))

    def _label(self, path: str) -> None:
        # Without SELinux it does nothing.
        if self.has_command("restorecon"):
            self.run("restorecon", path)


def _keep_owner_and_label(place: str, number: int) -> None:
    found = os.stat(place)
    try:
        os.fchown(number, found.st_uid, found.st_gid)
    except PermissionError:
        # Only root can give a file away, and only tests are not root.
        pass
    try:
        os.setxattr(number, "security.selinux", os.getxattr(place, "security.selinux"))
    except OSError:
        # There is no SELinux.
        pass


def _part(place: str) -> str:
    """Where the new content of a file comes together.

    Always at the same name, so that what a power failure leaves is used up; readers of such folders skip dots.
    """
    return os.path.join(os.path.dirname(place), f".{os.path.basename(place)}.cloud-setup")


def _remove(place: str) -> None:
    try:
        os.unlink(place)
    except FileNotFoundError:
        pass


def _private_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        # Folders above it too: a mode that is given to makedirs is for the last one.
        _private_folder(os.path.dirname(folder))
        os.mkdir(folder, 0o700)
