"""Whole images, held against other makers and readers of them: xorriso, bsdtar, isomd5sum, sgdisk, sha256sum."""

import dataclasses
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from isobuilder.errors import HostError, MediumError, TrustError
from isobuilder.iso.writer import Written
from isobuilder.tree import Cached, Inline, Tree
from tests.isotree import EPOCH, ISOHDPFX, VOLUME_ID, cached, contents, efi_image, sample_tree, with_files, write

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return sample_tree(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def written(sample: Tree, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(sample, tmp_path_factory.mktemp("iso") / "sample.iso")


def extracted(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "boot.cat"
    }


def without_boot_info(files: dict[str, bytes]) -> dict[str, bytes]:
    """The BIOS image's table is written by the maker of the medium; the rest of it must be as it was."""
    loader = files["isolinux/isolinux.bin"]
    return {**files, "isolinux/isolinux.bin": loader[:8] + loader[64:]}


class TestReaders:
    def test_bsdtar_reads_every_file_back(self, sample: Tree, written: Written, tmp_path: Path) -> None:
        run("bsdtar", "-x", "-f", written.path, "-C", tmp_path)
        assert without_boot_info(extracted(tmp_path)) == without_boot_info(contents(sample))

    def test_xorriso_reads_every_file_back(self, sample: Tree, written: Written, tmp_path: Path) -> None:
        run("xorriso", "-osirrox", "on", "-indev", written.path, "-extract", "/", tmp_path / "out")
        assert without_boot_info(extracted(tmp_path / "out")) == without_boot_info(contents(sample))

    def test_modes_owners_and_dates_are_the_same_for_all(self, written: Written) -> None:
        environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        script = ("-find", "/", "-exec", "lsdl", "--")
        listing = run("xorriso", "-indev", written.path, *script, environment=environment).splitlines()
        kinds = {(line.split()[0].replace("erw", "-rw"), line.split()[2], line.split()[3]) for line in listing}
        assert kinds == {("drwxr-xr-x", "0", "0"), ("-rw-r--r--", "0", "0")}
        assert {" ".join(line.split()[5:8]) for line in listing} == {"Nov 14 2023"}

    def test_long_names_everywhere_are_read_by_a_reader_that_only_goes_forward(
        self, sample: Tree, tmp_path: Path
    ) -> None:
        name = "x" * 200
        files = {f"{name}/{letter * 200}/{number}{name}": Inline(b"x") for letter in "ab" for number in range(30)}
        tree = dataclasses.replace(
            with_files(sample, files),
            boot=dataclasses.replace(sample.boot, catalog=f"isolinux/{name}"),
        )
        image = write(tree, tmp_path / "x.iso").path
        listing = run("bsdtar", "-t", "-v", "-f", image, environment={**os.environ, "LC_ALL": "C.UTF-8"})
        found = {line.split(maxsplit=8)[8].partition(" link to ")[0] for line in listing.splitlines() if line[0] == "-"}
        assert found == {*tree.files, tree.boot.catalog}
        assert re.search(rf"^-rw-r--r-- .* isolinux/{name}$", listing, re.MULTILINE)

    def test_the_volume_descriptor_says_what_it_should(self, written: Written) -> None:
        report = run("xorriso", "-indev", written.path, "-pvd_info", environment={**os.environ, "TZ": "UTC"})
        assert re.search(rf"^Volume Id\s+: {VOLUME_ID}$", report, re.MULTILINE)
        assert re.search(r"^App Id\s+: ISOBUILDER$", report, re.MULTILINE)
        assert re.search(r"^Creation Time\s*: 2023111422132000$", report, re.MULTILINE)
        assert written.path.read_bytes()[32768 + 80 : 32768 + 84] == (written.size // 2048).to_bytes(4, "little")

    def test_names_for_plain_readers_are_those_that_isolinux_looks_for(self, written: Written) -> None:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        plain = run(
            "bsdtar", "--options", "!rockridge,!joliet", "-t", "-f", written.path, environment=environment
        ).splitlines()
        wanted = {"ISOLINUX.BIN", "ISOLINUX.CFG", "LDLINUX.C32", "VMLINUZ", "INITRD.IMG", "BOOT.CAT"}
        assert {f"ISOLINUX/{name}" for name in wanted} <= set(plain)


class TestBootRecords:
    def test_xorriso_sees_a_bios_and_a_uefi_image(self, sample: Tree, written: Written) -> None:
        report = run("xorriso", "-indev", written.path, "-report_el_torito", "plain")
        images = [line.split() for line in report.splitlines() if line.startswith("El Torito boot img")]
        assert [image[6:12] for image in images] == [
            ["BIOS", "y", "none", "0x0000", "0x00", "4"],
            ["UEFI", "y", "none", "0x0000", "0x00", str(sample.files["images/efiboot.img"].size // 512)],
        ]
        assert "El Torito cat path : /isolinux/boot.cat" in report
        assert "El Torito img path :   1  /isolinux/isolinux.bin" in report
        assert "El Torito img opts :   1  boot-info-table isohybrid-suitable" in report
        assert "El Torito img path :   2  /images/efiboot.img" in report

    def test_xorriso_sees_a_hybrid_with_the_efi_image_as_a_partition(self, written: Written) -> None:
        result = subprocess.run(
            ["xorriso", "-indev", written.path, "-report_system_area", "plain"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert "System area summary: MBR isohybrid cyl-align-on GPT" in result.stdout
        assert "MBR partition path :   2  /images/efiboot.img" in result.stdout
        assert "GPT partition path :   2  /images/efiboot.img" in result.stdout
        assert "GPT type GUID      :   2  28732ac11ff8d211ba4b00a0c93ec93b" in result.stdout
        assert f"ISO image size/512 : {written.size // 512}" in result.stdout
        assert "GPT" not in result.stderr.replace("MBR isohybrid cyl-align-on GPT", "")

    def test_sgdisk_finds_no_fault_that_a_hybrid_of_xorriso_has_not(self, written: Written, tmp_path: Path) -> None:
        tree = tmp_path / "tree"
        tree.mkdir()
        run("bsdtar", "-x", "-f", written.path, "-C", tree)
        (tree / "isolinux" / "boot.cat").unlink()
        oracle = tmp_path / "oracle.iso"
        run(
            *("xorriso", "-as", "mkisofs", "-o", oracle, "-R", "-isohybrid-mbr", ISOHDPFX),
            *("-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4"),
            *("-boot-info-table", "-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot"),
            *("-isohybrid-gpt-basdat", tree),
        )
        assert findings(written.path) <= findings(oracle)

    def test_a_large_efi_image_is_said_to_reach_to_the_end(self, sample: Tree, tmp_path: Path) -> None:
        large = with_files(sample, {"images/efiboot.img": Inline(efi_image(33 << 20))})
        image = write(large, tmp_path / "large.iso").path
        run("checkisomd5", image)
        report = run("xorriso", "-indev", image, "-report_el_torito", "plain", "-report_system_area", "plain")
        assert re.search(r"boot img :   2  UEFI  y   none  0x0000  0x00      0 ", report)
        assert "MBR partition path :   2  /images/efiboot.img" in report

    def test_a_loader_without_room_for_the_boot_info_table_is_refused(self, sample: Tree, tmp_path: Path) -> None:
        with pytest.raises(MediumError, match="too short"):
            write(with_files(sample, {"isolinux/isolinux.bin": Inline(b"short")}), tmp_path / "x.iso")
        assert not list(tmp_path.iterdir())


def findings(image: Path) -> set[str]:
    """What sgdisk calls a problem, a caution or a warning."""
    result = subprocess.run(["sgdisk", "-v", image], check=False, capture_output=True, text=True, input="")
    return {line for line in result.stdout.splitlines() if re.match(r"Problem|Caution|Warning", line)}


class TestChecksums:
    def test_checkisomd5_passes(self, written: Written) -> None:
        run("checkisomd5", written.path)

    def test_implantisomd5_would_write_the_same_bytes(self, written: Written, tmp_path: Path) -> None:
        copy = tmp_path / "copy.iso"
        copy.write_bytes(written.path.read_bytes())
        assert written.md5 in run("implantisomd5", "--force", copy)
        assert copy.read_bytes() == written.path.read_bytes()

    def test_a_changed_byte_of_a_file_fails_the_media_check(self, written: Written, tmp_path: Path) -> None:
        data = bytearray(written.path.read_bytes())
        data[len(data) // 2] ^= 1
        copy = tmp_path / "copy.iso"
        copy.write_bytes(data)
        assert subprocess.run(["checkisomd5", copy], check=False, capture_output=True).returncode == 1

    def test_the_checksum_file_is_for_sha256sum(self, written: Written) -> None:
        assert written.sha256 == hashlib.sha256(written.path.read_bytes()).hexdigest()
        assert written.size == written.path.stat().st_size
        sums = written.path.parent / "sample.iso.sha256"
        assert sums.read_text() == f"{written.sha256}  sample.iso\n"
        subprocess.run(["sha256sum", "-c", "sample.iso.sha256"], cwd=written.path.parent, check=True)

    @pytest.mark.parametrize("name", ["with space.iso", "back\\slash.iso", "new\nline.iso", "größe.iso"])
    def test_odd_names_are_escaped_as_sha256sum_does(self, sample: Tree, name: str, tmp_path: Path) -> None:
        write(sample, tmp_path / name)
        ours = (tmp_path / f"{name}.sha256").read_bytes()
        theirs = subprocess.run(["sha256sum", name], cwd=tmp_path, check=True, capture_output=True).stdout
        assert ours == theirs


def test_the_same_tree_is_the_same_bits_anywhere_and_at_any_time(
    sample: Tree, written: Written, tmp_path: Path
) -> None:
    cache = next(content.path.parent for content in sample.files.values() if isinstance(content, Cached))
    surroundings = [("UTC", "0", 0o022, 0), ("Asia/Kolkata", "1", 0o077, 40_000_000), ("XXX+11:30", "2", 0, -90_000)]
    for number, (zone, seed, umask, seconds) in enumerate(surroundings):
        folder = tmp_path / str(number)
        folder.mkdir()
        environment = {**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "PYTHONPATH": os.fspath(ROOT)}
        subprocess.run(
            [sys.executable, "-m", "tests.isotree", cache, f"other-{number}.iso", str(seconds)],
            check=True,
            cwd=folder,
            env=environment,
            umask=umask,
        )
        assert (folder / f"other-{number}.iso").read_bytes() == written.path.read_bytes()


def test_another_epoch_is_another_medium(sample: Tree, written: Written, tmp_path: Path) -> None:
    other = write(dataclasses.replace(sample, epoch=EPOCH + 86400), tmp_path / "x.iso")
    assert other.sha256 != written.sha256


class TestTheCacheIsChecked:
    def damage(self, tree: Tree, path: str, change: Callable[[bytes], bytes], tmp_path: Path) -> Tree:
        content = tree.files[path]
        assert isinstance(content, Cached)
        copy = tmp_path / "cache" / path.replace("/", "_")
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(change(content.path.read_bytes()))
        return with_files(tree, {path: dataclasses.replace(content, path=copy)})

    @pytest.mark.parametrize(
        ("path", "change", "finding"),
        [
            ("isolinux/initrd.img", lambda data: data[:-1] + b"\0", "has the sha256"),
            ("isolinux/initrd.img", lambda data: data[:-1], "has 2499999 bytes, not 2500000"),
            ("isolinux/initrd.img", lambda data: data + b"x", "has 2500001 bytes, not 2500000"),
            ("isolinux/initrd.img", lambda _data: b"", "has 0 bytes, not 2500000"),
            ("isolinux/isolinux.bin", lambda data: data[:-1] + b"\1", "has the sha256"),
            ("isolinux/isolinux.bin", lambda data: data[:-1], "bytes, not"),
        ],
    )
    def test_a_file_that_changed_is_refused(
        self, sample: Tree, path: str, change: Callable[[bytes], bytes], finding: str, tmp_path: Path
    ) -> None:
        damaged = self.damage(sample, path, change, tmp_path)
        out = tmp_path / "out"
        out.mkdir()
        with pytest.raises(TrustError) as caught:
            write(damaged, out / "x.iso")
        (line,) = caught.value.details
        assert line.startswith(f"{path}: {tmp_path / 'cache'}")
        assert finding in line
        assert not list(out.iterdir())

    def test_all_that_changed_are_named_at_once(self, sample: Tree, tmp_path: Path) -> None:
        damaged = sample
        for path in ("isolinux/initrd.img", "isolinux/isolinux.bin", "isolinux/vmlinuz"):
            damaged = self.damage(damaged, path, lambda data: data[:-1], tmp_path)
        with pytest.raises(TrustError) as caught:
            write(damaged, tmp_path / "x.iso")
        assert sorted(line.partition(":")[0] for line in caught.value.details) == [
            "isolinux/initrd.img",
            "isolinux/isolinux.bin",
            "isolinux/vmlinuz",
        ]

    @pytest.mark.parametrize("path", ["isolinux/initrd.img", "isolinux/isolinux.bin"])
    def test_a_file_that_is_gone_is_named(self, sample: Tree, path: str, tmp_path: Path) -> None:
        content = sample.files[path]
        assert isinstance(content, Cached)
        gone = dataclasses.replace(content, path=tmp_path / "gone")
        with pytest.raises(HostError, match="gone: No such file"):
            write(with_files(sample, {path: gone}), tmp_path / "x.iso")
        assert not list(tmp_path.iterdir())

    def test_files_of_every_awkward_size_pass(self, sample: Tree, tmp_path: Path) -> None:
        sizes = [1, 2047, 2048, 2049, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20]
        (tmp_path / "cache").mkdir()
        more = {
            f"size-{size}": cached(tmp_path / "cache", b"%d" % size + bytes(size - len(str(size)))) for size in sizes
        }
        tree = with_files(sample, more)
        image = write(tree, tmp_path / "x.iso").path
        (tmp_path / "out").mkdir()
        run("bsdtar", "-x", "-f", image, "-C", tmp_path / "out")
        found = extracted(tmp_path / "out")
        assert {path: found[path] for path in more} == {path: contents(tree)[path] for path in more}
        run("checkisomd5", image)
