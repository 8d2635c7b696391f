"""The one module that touches the world: commands, files that are whole or not at all, packets, addresses."""

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from isobuilder.firstlogin.effects import Effects, exchange_packets, fetch_address, run_command


def test_a_command_is_a_list_of_words_in_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LD_LIBRARY_PATH", "PYTHONPATH", "http_proxy", "LANG", "BASH_ENV"):
        monkeypatch.setenv(name, "/evil")
    done = run_command(["env"], "", 10)
    names = {line.partition("=")[0]: line.partition("=")[2] for line in done.output.splitlines()}
    assert set(names) == {"PATH", "LANG", "LC_ALL", "HOME"}
    assert "/evil" not in names.values()
    assert run_command(["printf", "%s|", "a b", "$(id)", ";", "*"], "", 10).output == "a b|$(id)|;|*|"
    assert run_command(["cat"], "given", 10).output == "given"
    both = run_command(["sh", "-c", "echo out; echo err >&2; pwd; exit 7"], "", 10)
    assert both == (7, "out\nerr\n/\n")


def test_what_the_kernel_says_is_read() -> None:
    said = run_command(["uname", "-n"], "", 10).output
    assert Effects().read("/proc/sys/kernel/hostname") == said


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072, 200_000])
def test_no_more_of_a_file_is_read_than_was_asked_for(size: int, tmp_path: Path) -> None:
    data = bytes(range(256)) * 782
    (tmp_path / "file").write_bytes(data[:size])
    effects = Effects(str(tmp_path))
    assert effects.read_bytes("/file") == data[:size]
    for limit in (0, 4, 65535, 65536, 131071, 131072):
        assert effects.read_bytes("/file", limit) == data[: min(size, limit + 1)]


def test_a_command_that_is_not_there_or_hangs() -> None:
    missing = run_command(["no-such-program"], "", 10)
    assert missing.code == 127
    assert "no-such-program" in missing.output
    assert run_command(["/etc/hostname"], "", 10).code == 126
    hung = run_command(["sh", "-c", "echo before; exec sleep 600"], "", 1)
    assert hung.code == 124
    assert hung.output.startswith("before\n")
    assert "stopped: it took more than 1 seconds" in hung.output
    # What it started hangs as well, and holds the output: it is stopped too, and not waited for.
    hung = run_command(["sh", "-c", "(sleep 20; echo late) & wait"], "", 1)
    assert hung.code == 124
    assert "late" not in hung.output


def test_a_file_is_replaced_whole_and_is_on_disk_before_it_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "etc/file"
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o640)
    seen: list[tuple[str, str]] = []

    def sync(number: int) -> None:
        name = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115 - no file has this name
        seen.append((Path(name).name, path.read_text()))

    effects = Effects(str(tmp_path), sync=sync)
    effects.write("/etc/file", b"new", 0o600)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o7777 == 0o600
    # First its content, while the old one is still in place; then the folder that has its name.
    assert seen == [(".file.cloud-setup", "old"), ("etc", "new")]
    assert os.listdir(path.parent) == ["file"]  # noqa: PTH208

    def fail(_number: int) -> None:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        Effects(str(tmp_path), sync=fail).write("/etc/file", b"newer", 0o600)
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["file"]  # noqa: PTH208


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    effects = Effects(str(tmp_path))
    effects.write("/run/resolv.conf", b"old", 0o644)
    (tmp_path / "etc").mkdir()
    for target in ("../run/resolv.conf", "/run/resolv.conf"):
        effects.link("/etc/resolv.conf", target)
        effects.write("/etc/resolv.conf", target.encode(), 0o644)
        assert (tmp_path / "etc/resolv.conf").readlink() == Path(target)
        assert (tmp_path / "run/resolv.conf").read_text() == target


def test_a_part_that_somebody_else_put_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "etc/.hosts.cloud-setup").symlink_to(tmp_path / "victim")
    Effects(str(tmp_path)).write("/etc/hosts", b"new", 0o644)
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "etc/hosts").read_text() == "new"
    (tmp_path / "log").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        Effects(str(tmp_path)).append("/log", b"x")
    assert (tmp_path / "victim").read_text() == "precious"


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    effects = Effects(str(tmp_path))
    (tmp_path / "hosts").write_bytes(b"\xff\xfe caf\xc3\xa9\n")
    text = effects.read("/hosts")
    assert text is not None
    effects.write("/hosts", text.encode("utf-8", "surrogateescape"), 0o644)
    assert (tmp_path / "hosts").read_bytes() == b"\xff\xfe caf\xc3\xa9\n"


def test_a_lock_is_one_process_at_a_time(tmp_path: Path) -> None:
    effects = Effects(str(tmp_path))
    first = effects.lock("/lib/lock")
    assert first is not None
    assert effects.lock("/lib/lock") is None
    effects.unlock(first)
    again = effects.lock("/lib/lock")
    assert again is not None
    effects.unlock(again)


@contextmanager
def served(status: int, body: bytes, location: str = "") -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                # The other side has enough.
                pass

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/rack.ini"
        finally:
            server.shutdown()
            thread.join()


def test_what_lies_at_an_address_is_read_up_to_a_limit(tmp_path: Path) -> None:
    with served(200, b"x" * 1000) as url:
        assert fetch_address(url, 2000, 10) == b"x" * 1000
        assert fetch_address(url, 10, 10) == b"x" * 11
    with served(404, b"") as url, pytest.raises(OSError, match="404"):
        fetch_address(url, 10, 10)
    (tmp_path / "secret").write_text("secret")
    with served(302, b"", f"file://{tmp_path}/secret") as url, pytest.raises(OSError, match="not allowed"):
        fetch_address(url, 100, 10)


def test_a_packet_is_answered_or_not() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]

        def answer() -> None:
            packet, sender = server.recvfrom(100)
            server.sendto(packet[::-1], sender)

        thread = threading.Thread(target=answer)
        thread.start()
        assert exchange_packets("127.0.0.1", port, b"abc", 10) == b"cba"
        thread.join()
    assert exchange_packets("127.0.0.1", port, b"abc", 0.2) is None
