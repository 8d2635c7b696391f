"""A tree becomes an ISO image with its checksum file and what else is said of it beside it: all complete, or none.

The layout is decided in `layout.py` and the bytes pass through `stream.py`; here is their order, and what is on the
disk at each moment.
"""

import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path

from rich import filesize

from isobuilder.errors import DamagedError, HostError, UsageError
from isobuilder.iso.bootimage import with_boot_info, with_grub_boot_info
from isobuilder.iso.layout import Extent, Layout, lay_out
from isobuilder.iso.mediasum import FIELD_OFFSET, MediaSum
from isobuilder.iso.stream import Stream, copy_cached, read_cached, sha256_of
from isobuilder.iso.units import BLOCK
from isobuilder.progress import Progress
from isobuilder.tree import BootRecords, Cached, GrubBios, Inline, Late, Tree, UefiOnly

_FULL = frozenset({ENOSPC, EDQUOT, EFBIG})


@dataclass(frozen=True)
class Written:
    """A finished image: `sha256` of the file, `md5` as the installer's media check computes it (hexadecimal)."""

    path: Path
    size: int
    sha256: str
    md5: str

    @property
    def checksum_line(self) -> bytes:
        """As sha256sum writes it; a name that would break the line is escaped as it does."""
        name = self.path.name
        escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        return os.fsencode(f"{'' if escaped == name else chr(92)}{self.sha256}  {escaped}\n")


def checksum_path(output: Path) -> Path:
    """Where the checksum of an image stands: NAME.iso.sha256 beside NAME.iso."""
    return output.with_name(f"{output.name}.sha256")


def manifest_path(output: Path) -> Path:
    """Where an image is described: NAME.manifest.json beside NAME.iso."""
    return output.with_name(f"{output.name.removesuffix('.iso')}.manifest.json")


def bill_path(output: Path) -> Path:
    """Where the bill of materials stands: NAME.spdx.json beside NAME.iso."""
    return output.with_name(f"{output.name.removesuffix('.iso')}.spdx.json")


def signature_path(output: Path) -> Path:
    """Where a signature over the checksum file stands: NAME.iso.sha256.asc beside NAME.iso."""
    return output.with_name(f"{output.name}.sha256.asc")


def report_path(output: Path) -> Path:
    """Where people read of an image: NAME.report.html beside NAME.iso."""
    return output.with_name(f"{output.name.removesuffix('.iso')}.report.html")


def check_output(output: Path, *, force: bool) -> None:
    """Refuse a place where no image may be written, before any work is done.

    UsageError when the image or what comes beside it is there and `force` is not given, or when one of them is
    something else than a plain file; HostError when the folder is none. A folder that is not there yet is the
    caller's to make.
    """
    if output.parent.exists() and not output.parent.is_dir():
        raise HostError(f"{output.parent} is not a folder", hint="Choose another place with --output-dir.")
    for path in (output, *_beside(output)):
        if not os.path.lexists(path):
            continue
        if not stat.S_ISREG(path.lstat().st_mode):
            raise UsageError(f"{path} is there and is not a plain file", hint="Choose another place with --output-dir.")
        if not force:
            raise UsageError(f"{path} is there already", hint="Give --force to replace it.")


def free_space(folder: Path) -> int:
    """The bytes that this user may still write to the file system of `folder`."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def write_iso(
    tree: Tree,
    output: Path,
    *,
    progress: Progress,
    force: bool = False,
    fits: Callable[[int], None] | None = None,
    arrived: Callable[[Cached], None] | None = None,
    describe: Callable[[Path, Callable[[], Written]], Mapping[Path, bytes]] | None = None,
    free: Callable[[Path], int] = free_space,
) -> Written:
    """Write `tree` as an ISO image to `output`, with `OUTPUT.sha256` beside it; equal trees give equal bytes.

    `fits` is told the image's size before a byte is written, and refuses it by an error. `arrived` returns once a
    cached file may be read: files can still be on their way while others are written. `describe` is shown the image
    before it gets its name, while an older one may still have it, and refuses it by an error; all its bytes are there,
    and what it is given besides waits until they are summed up. What it returns goes beside the image, at the places
    that the functions above name: path to bytes. All files come under their names only when they are complete, and
    nothing is left of a write that fails or is interrupted. The older ones are untouched until then; what is beside the
    image goes first, so that what is there is always of the image beside it.

    Raises UsageError (see `check_output`), MediumError when the tree cannot be laid out, DamagedError naming every
    cached file that is not what it was when it was fetched, HostError when space or permission lacks.
    """
    check_output(output, force=force)
    layout = lay_out(tree)
    if fits:
        fits(layout.size)
    with _as_host_error(output, layout.size):
        _check_space(output.parent, layout.size, free)
        with ExitStack() as stack:
            image, part = stack.enter_context(_part_of(output))
            media = MediaSum(layout.size)
            with (
                progress.task("Writing", layout.size) as advance,
                Stream(image, media, advance) as stream,
            ):
                _pour(layout, tree.boot, stream, arrived or _is_here)
            os.pwrite(image, media.field(), FIELD_OFFSET)
            with _summed_and_flushed(image, layout.size, progress) as sha256:

                def finished() -> Written:
                    return Written(output, layout.size, sha256(), media.hexdigest())

                texts = dict(describe(part, finished)) if describe else {}
                written = finished()
            texts[checksum_path(output)] = written.checksum_line
            parts = {path: _written_part(stack, path, data) for path, data in texts.items()}
            check_output(output, force=force)
            _publish(part, output, parts)
    return written


def _beside(output: Path) -> tuple[Path, ...]:
    return checksum_path(output), manifest_path(output), bill_path(output), signature_path(output), report_path(output)


def _written_part(stack: ExitStack, path: Path, data: bytes) -> Path:
    """The part file of `path` with `data` in it, on the disk; it is removed again when what is on the stack fails."""
    descriptor, part = stack.enter_context(_part_of(path))
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)
    return part


def _pour(layout: Layout, boot: BootRecords, stream: Stream, arrived: Callable[[Cached], None]) -> None:
    """All bytes of the medium in their order; damaged files are looked for to the end, then refused together."""
    stream.put(layout.head)
    damaged: dict[Path, str] = {}
    for extent in layout.extents:
        if isinstance(extent.content, Cached):
            arrived(extent.content)
        stream.zeros_to(extent.offset)
        is_bios = not isinstance(boot, UefiOnly) and extent.path == boot.image
        finding = _pour_bios(extent, boot, stream) if is_bios else _pour_file(extent, stream)
        if finding and isinstance(extent.content, Cached):
            damaged[extent.content.path] = f"{extent.path}: {finding}"
    if damaged:
        raise DamagedError(
            "files in the cache are not what they were when they were fetched", damaged, details=damaged.values()
        )
    stream.zeros_to(layout.size - len(layout.tail))
    stream.put(layout.tail)


def _is_here(content: Cached) -> None:
    """Nothing is on its way."""


def _pour_file(extent: Extent, stream: Stream) -> str:
    if isinstance(extent.content, Cached):
        return copy_cached(extent.content, stream)
    stream.put(_made(extent.content))
    return ""


def _pour_bios(extent: Extent, boot: BootRecords, stream: Stream) -> str:
    tell = with_grub_boot_info if isinstance(boot, GrubBios) else with_boot_info
    content = extent.content
    data, finding = read_cached(content) if isinstance(content, Cached) else (_made(content), "")
    stream.put(tell(data, block=extent.offset // BLOCK))
    return finding


def _made(content: Inline | Late) -> bytes:
    """The bytes of what is no file yet."""
    data = content.make()
    if len(data) != content.size:
        raise ValueError(f"{len(data)} bytes, where {content.size} were promised")
    return data


@contextmanager
def _summed_and_flushed(image: int, size: int, progress: Progress) -> Iterator[Callable[[], str]]:
    """The sha256 of the open image while its context lasts: from who waits for it, read while the disk takes it all."""
    is_over = threading.Event()

    def summed() -> str:
        with progress.task("Checksum", size) as advance:
            return sha256_of(image, advance, is_over)

    with ThreadPoolExecutor(2, "sum") as workers:
        flushing, summing = workers.submit(os.fsync, image), workers.submit(summed)

        def sha256() -> str:
            flushing.result()
            return summing.result()

        try:
            yield sha256
        finally:
            is_over.set()


def _check_space(folder: Path, size: int, free: Callable[[Path], int]) -> None:
    there = free(folder)
    if there < size:
        raise HostError(
            f"the image needs {filesize.decimal(size)}; {folder} has {filesize.decimal(there)} free",
            hint="Free some space, or write to another place with --output-dir.",
        )


@contextmanager
def _as_host_error(output: Path, size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "Choose another place with --output-dir."
        if error.errno in _FULL:
            hint = f"The image needs {filesize.decimal(size)}: free some space, or choose another --output-dir."
        raise HostError(f"{output} cannot be written: {error.strerror}", hint=hint) from error


@contextmanager
def _part_of(final: Path) -> Iterator[tuple[int, Path]]:
    """A new file beside `final`, open and locked; it is removed again when the work fails.

    Its name is always the same, so that what a killed build leaves is overwritten by the next one. The lock keeps two
    builds from writing into one.
    """
    path = final.with_name(f".{final.name}.part")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        _lock(descriptor, path, final)
        try:
            os.ftruncate(descriptor, 0)
            yield descriptor, path
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, final: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between the open and the lock the other build may have given the file its final name.
        ours = path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor))
    except BlockingIOError:
        ours = False
    if not ours:
        raise HostError(
            f"another build is writing {final}", hint="Wait until it is done, or choose another --output-dir."
        )


def _publish(part: Path, output: Path, beside: Mapping[Path, Path]) -> None:
    """Give the image its name, and then what is `beside` it: final path to part file."""
    for path in _beside(output):
        path.unlink(missing_ok=True)
    part.rename(output)
    try:
        for path, text in beside.items():
            text.rename(path)
        _sync_folder(output.parent)
    except BaseException:
        for path in (output, *_beside(output)):
            path.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
