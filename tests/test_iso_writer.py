"""What is on the disk when an image is written, when it fails, and when something is there already."""

import errno
import hashlib
import re
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from isobuilder.errors import FetchError, HostError, MediumError, UsageError
from isobuilder.iso.writer import (
    Written,
    _publish,
    check_output,
    manifest_path,
    report_path,
    signature_path,
    write_iso,
)
from isobuilder.progress import Silent
from isobuilder.tree import Cached, Late, Tree
from tests.isotree import contents, sample_tree, with_files, write

EVERYTHING_FREE = 1 << 50


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return sample_tree(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def written(sample: Tree, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(sample, tmp_path_factory.mktemp("iso") / "sample.iso")


class Interrupting(Silent):
    """Progress that raises in the middle: what a person at the keyboard does."""

    def __init__(self, title: str, error: BaseException) -> None:
        self.title = title
        self.error = error

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if title.startswith(self.title) and done > total // 2:
                raise self.error

        yield advance

    def note(self, line: str) -> None:
        raise AssertionError(line)

    warning = note


@pytest.mark.parametrize("moment", ["Writing", "Checksum"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_an_interrupted_write_leaves_nothing(sample: Tree, moment: str, error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)):
        write_iso(sample, tmp_path / "x.iso", progress=Interrupting(moment, error))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_older_pair_as_it_was(sample: Tree, tmp_path: Path) -> None:
    (tmp_path / "x.iso").write_text("older")
    (tmp_path / "x.iso.sha256").write_text("older sum")
    with pytest.raises(KeyboardInterrupt):
        write_iso(sample, tmp_path / "x.iso", progress=Interrupting("Checksum", KeyboardInterrupt()), force=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "x.iso": "older",
        "x.iso.sha256": "older sum",
    }


def test_a_size_that_is_refused_is_not_written(sample: Tree, written: Written, tmp_path: Path) -> None:
    told: list[int] = []

    def refuse(size: int) -> None:
        told.append(size)
        raise MediumError("too large")

    with pytest.raises(MediumError):
        write_iso(sample, tmp_path / "x.iso", progress=Interrupting("Writing", AssertionError()), fits=refuse)
    assert told == [written.size]
    assert not list(tmp_path.iterdir())


def test_force_replaces_an_older_pair(sample: Tree, written: Written, tmp_path: Path) -> None:
    (tmp_path / "x.iso").write_text("older")
    (tmp_path / "x.iso.sha256").write_text("older sum")
    (tmp_path / ".x.iso.part").write_bytes(bytes(written.size + 1))
    write_iso(sample, tmp_path / "x.iso", progress=Silent(), force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.iso", "x.iso.sha256"]
    assert (tmp_path / "x.iso").read_bytes() == written.path.read_bytes()
    assert (tmp_path / "x.iso.sha256").read_text() == f"{written.sha256}  x.iso\n"


@pytest.mark.parametrize("existing", ["x.iso", "x.iso.sha256", "x.manifest.json"])
def test_without_force_nothing_is_replaced(sample: Tree, existing: str, tmp_path: Path) -> None:
    (tmp_path / existing).write_text("mine")
    with pytest.raises(UsageError) as caught:
        write(sample, tmp_path / "x.iso")
    assert "--force" in caught.value.hint
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["x.iso", "x.iso.sha256", "x.manifest.json"])
def test_what_is_no_plain_file_is_never_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to("/dev/null")
    with pytest.raises(UsageError, match="not a plain file"):
        check_output(tmp_path / "x.iso", force=True)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match="not a plain file"):
        check_output(tmp_path / "x.iso", force=True)


def test_a_name_that_was_taken_meanwhile_is_not_replaced(sample: Tree, tmp_path: Path) -> None:
    class Meanwhile(Silent):
        @contextmanager
        def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
            (tmp_path / "x.iso").write_text("somebody else's")
            yield lambda _done: None

    with pytest.raises(UsageError, match="there already"):
        write_iso(sample, tmp_path / "x.iso", progress=Meanwhile())
    assert [path.read_text() for path in tmp_path.iterdir()] == ["somebody else's"]


def test_two_builds_do_not_write_into_one_file(sample: Tree, tmp_path: Path) -> None:
    class Second(Silent):
        @contextmanager
        def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
            with pytest.raises(HostError, match="another build"):
                write(sample, tmp_path / "x.iso")
            yield lambda _done: None

    write_iso(sample, tmp_path / "x.iso", progress=Second())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.iso", "x.iso.sha256"]


def test_an_image_is_not_left_without_its_checksum(tmp_path: Path) -> None:
    (tmp_path / "part").write_text("image")
    with pytest.raises(FileNotFoundError):
        _publish(tmp_path / "part", tmp_path / "x.iso", {tmp_path / "x.iso.sha256": tmp_path / "no-such"})
    assert not list(tmp_path.iterdir())


def test_a_manifest_comes_with_the_image_or_neither_does(sample: Tree, tmp_path: Path) -> None:
    output, said = tmp_path / "x.iso", tmp_path / "x.manifest.json"

    def describe(image: Path, finished: Callable[[], Written]) -> dict[Path, bytes]:
        written = finished()
        assert hashlib.sha256(image.read_bytes()).hexdigest() == written.sha256
        return {
            manifest_path(output): written.checksum_line * 10_000,
            report_path(output): b"a page",
            signature_path(output): b"signed\n",
        }

    written = write_iso(sample, output, progress=Silent(), describe=describe)
    assert report_path(output).read_text() == "a page"
    assert said.read_text() == f"{written.sha256}  x.iso\n" * 10_000

    def fail(_image: Path, _finished: Callable[[], Written]) -> dict[Path, bytes]:
        raise RuntimeError("a bug")

    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RuntimeError):
        write_iso(sample, output, progress=Silent(), describe=fail, force=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    write_iso(sample, output, progress=Silent(), force=True)
    assert {path.name for path in tmp_path.iterdir()} == {"x.iso", "x.iso.sha256"}


def test_files_may_come_while_others_are_written(sample: Tree, written: Written, tmp_path: Path) -> None:
    """Each is taken when it is there, in the order in which they lie, and what is made of all comes last."""
    waited: list[str] = []
    made: list[int] = []

    def make() -> bytes:
        made.append(len(waited))
        return b"text\n"

    late = with_files(sample, {"ks/controller.cfg": Late(5, make)})
    cached = {path: content for path, content in sample.files.items() if isinstance(content, Cached)}
    away = {content.sha256: content.path.with_suffix(".away") for content in cached.values()}
    for content in cached.values():
        if content.path.exists():
            content.path.rename(away[content.sha256])

    def arrived(content: Cached) -> None:
        waited.append(content.sha256)
        if not content.path.exists():
            away[content.sha256].rename(content.path)

    found = write_iso(late, tmp_path / "x.iso", progress=Silent(), arrived=arrived)
    assert len(waited) == len(cached)
    assert made == [len(cached)]
    assert found.size == written.size
    done = subprocess.run(["checkisomd5", found.path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for path, data in contents(late).items():
        if path != "isolinux/isolinux.bin":
            got = subprocess.run(["bsdtar", "-xOf", found.path, path], capture_output=True, check=True).stdout
            assert got == data, path


def test_what_does_not_come_leaves_nothing(sample: Tree, tmp_path: Path) -> None:
    def arrived(content: Cached) -> None:
        if "a-package" in str(content.path) or content.size > 100_000:
            raise FetchError("the network went away")

    with pytest.raises(FetchError):
        write_iso(sample, tmp_path / "x.iso", progress=Silent(), arrived=arrived)
    assert not list(tmp_path.iterdir())
    assert not [thread for thread in threading.enumerate() if type(thread).__name__ == "_Step"]


def test_what_is_made_late_has_the_size_that_was_promised(sample: Tree, tmp_path: Path) -> None:
    tree = with_files(sample, {"late": Late(5, lambda: b"longer")})
    with pytest.raises(ValueError, match="6 bytes, where 5 were promised"):
        write_iso(tree, tmp_path / "x.iso", progress=Silent())
    assert not list(tmp_path.iterdir())


def test_an_image_that_is_refused_is_not_summed_to_its_end(sample: Tree, tmp_path: Path) -> None:
    summed: list[int] = []
    refused = threading.Event()

    class Slow(Silent):
        @contextmanager
        def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
            def advance(count: int) -> None:
                if title == "Checksum":
                    summed.append(count)
                    assert refused.wait(30)

            yield advance

    def refuse(_image: Path, _finished: Callable[[], Written]) -> dict[Path, bytes]:
        # Only once this has been raised, the sum goes on.
        threading.Timer(0.2, refused.set).start()
        raise MediumError("it would not boot")

    with pytest.raises(MediumError):
        write_iso(sample, tmp_path / "x.iso", progress=Slow(), describe=refuse)
    assert len(summed) <= 1
    assert not list(tmp_path.iterdir())


def test_the_older_checksum_goes_before_another_image_comes(tmp_path: Path) -> None:
    (tmp_path / "x.iso").write_text("older")
    (tmp_path / "x.iso.sha256").write_text("older sum")
    (tmp_path / "x.manifest.json").write_text("older manifest")
    with pytest.raises(FileNotFoundError):
        _publish(tmp_path / "no-such", tmp_path / "x.iso", {})
    assert [path.name for path in tmp_path.iterdir()] == ["x.iso"]


def test_too_little_space_is_said_before_anything_is_written(sample: Tree, written: Written, tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        write_iso(sample, tmp_path / "x.iso", progress=Silent(), free=lambda _folder: written.size - 1)
    assert re.fullmatch(r"the image needs [0-9.]+ MB; .* has [0-9.]+ MB free", caught.value.message)
    assert not list(tmp_path.iterdir())


def test_a_file_system_that_fills_up_meanwhile_leaves_nothing(sample: Tree, written: Written, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (written.size // 2, hard))
    try:
        with pytest.raises(HostError, match="cannot be written") as caught:
            write(sample, tmp_path / "x.iso")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert re.search(r"needs [0-9.]+ MB", caught.value.hint)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["no-such", "/proc"])
def test_a_folder_that_takes_no_file_is_named(sample: Tree, folder: str, tmp_path: Path) -> None:
    output = tmp_path / folder / "x.iso"
    with pytest.raises(HostError, match=f"{re.escape(str(output))} cannot be written"):
        write_iso(sample, output, progress=Silent(), free=lambda _folder: EVERYTHING_FREE)


def test_a_folder_that_is_a_file_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="not a folder"):
        check_output(tmp_path / "file" / "x.iso", force=False)


def test_progress_counts_every_byte_of_both_passes(sample: Tree, written: Written, tmp_path: Path) -> None:
    counted: dict[str, tuple[int, int]] = {}

    class Counting(Silent):
        @contextmanager
        def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
            done: list[int] = []
            yield done.append
            counted[title] = (total, sum(done))

    write_iso(sample, tmp_path / "x.iso", progress=Counting())
    size = written.size
    assert counted == {"Writing": (size, size), "Checksum": (size, size)}
