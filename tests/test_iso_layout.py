"""The layout, and a list of what it takes from inside pycdlib: when that changes, these tests say so."""

import dataclasses
import importlib
import io
import pkgutil
import re
import time
from pathlib import Path

import pycdlib
import pytest
from pycdlib.dr import DirectoryRecord

from isobuilder.errors import MediumError
from isobuilder.iso.layout import CLOCKED_MODULES, lay_out
from isobuilder.tree import BootRecords, GrubBios, Inline, Isolinux, Late, Tree, UefiOnly
from tests.isotree import BOOT_HYBRID, efi_image, sample_tree, with_files


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return sample_tree(tmp_path)


def pycdlib_sources() -> dict[str, str]:
    return {
        f"pycdlib.{module.name}": Path(str(importlib.import_module(f"pycdlib.{module.name}").__file__)).read_text()
        for module in pkgutil.iter_modules(pycdlib.__path__)
    }


def test_no_other_module_of_pycdlib_asks_for_the_time() -> None:
    """Those left out are never reached: ours is no UDF image, and none that is changed in place."""
    asking = {
        name for name, source in pycdlib_sources().items() if re.search(r"^(import|from) time\b", source, re.MULTILINE)
    }
    assert asking - {"pycdlib.udf", "pycdlib.inplaceeditor"} == set(CLOCKED_MODULES)


def test_pycdlib_asks_the_module_time_for_no_more_than_is_given_to_it() -> None:
    used = set()
    for name, source in pycdlib_sources().items():
        if name in CLOCKED_MODULES:
            used |= set(re.findall(r"\btime\.(\w+)\(", source))
            assert importlib.import_module(name).__dict__["time"] is time
    only_when_an_image_is_read, in_comments = "strptime", "struct_time"
    assert used - {only_when_an_image_is_read, in_comments} == {"time", "localtime", "gmtime", "strftime"}


def test_only_parts_of_pycdlib_that_are_not_used_draw_random_ids() -> None:
    drawing = {name for name, source in pycdlib_sources().items() if re.search(r"\b(uuid4|getrandbits)\(", source)}
    assert drawing == {"pycdlib.isohybrid", "pycdlib.udf"}


def test_the_inside_of_pycdlib_is_as_the_layout_needs_it() -> None:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, rock_ridge="1.09")
    top = iso.pvd.root_directory_record().children[:2]
    assert [record.file_ident for record in top] == [b"\0", b"\1"]
    for record in top:
        assert isinstance(record, DirectoryRecord)
        assert record.rock_ridge is not None
        assert record.rock_ridge.dr_entries.px_record is not None
        assert record.rock_ridge.dr_entries.px_record.posix_file_mode == 0o40555
    assert iso.inodes == []
    assert iso.pvd.rr_ce_blocks == []
    blocks = iso.pvd.rr_ce_blocks
    iso.add_fp(io.BytesIO(), 0, "/LONG.;1", rr_name="x" * 200, file_mode=0o100644)
    assert len(blocks) == 1
    assert iso.pvd.space_size > 16
    iso.add_fp(io.BytesIO(), 10, "/LOADER.;1", rr_name="loader", file_mode=0o100644)
    for platform in (0, 0xEF):
        iso.add_eltorito("/LOADER.;1", rr_bootcatname="boot.cat", platform_id=platform, efi=bool(platform))
    iso.force_consistency()
    assert iso.eltorito_boot_catalog is not None
    [section] = iso.eltorito_boot_catalog.sections
    [entry] = section.section_entries
    assert entry.get_rba() == iso.inodes[-1].extent_location()
    entry.set_data_location(12345, 0)
    assert entry.get_rba() == 12345


def test_the_clock_is_given_back_even_after_a_failure(tree: Tree) -> None:
    lay_out(tree)
    with pytest.raises(MediumError):
        lay_out(dataclasses.replace(tree, epoch=1 << 40))
    assert all(importlib.import_module(name).__dict__["time"] is time for name in CLOCKED_MODULES)


def test_extents_come_in_order_and_do_not_overlap(tree: Tree) -> None:
    layout = lay_out(tree)
    end = len(layout.head)
    for extent in layout.extents:
        assert extent.offset % 2048 == 0
        assert extent.offset >= end
        end = extent.offset + extent.content.size
    assert {extent.path for extent in layout.extents} == {path for path, file in tree.files.items() if file.size}


def test_what_is_made_last_lies_last_wherever_it_is_named(tree: Tree) -> None:
    late = {".a-first-name": Late(5000, lambda: b"x" * 5000), "EFI/BOOT/late": Late(1, lambda: b"y")}
    layout = lay_out(with_files(tree, late))
    assert {extent.path for extent in layout.extents[-2:]} == set(late)
    end = len(layout.head)
    for extent in layout.extents:
        assert extent.offset % 2048 == 0
        assert extent.offset >= end
        end = extent.offset + extent.content.size
    without = lay_out(with_files(tree, {path: Inline(content.make()) for path, content in late.items()}))
    assert layout.size == without.size


def test_behind_the_last_file_there_is_padding_that_the_media_check_may_leave_out(tree: Tree) -> None:
    layout = lay_out(tree)
    last = layout.extents[-1]
    assert layout.size - (last.offset + last.content.size) >= 150 * 2048
    assert layout.size % (1 << 20) == 0
    assert len(layout.tail) <= 15 * 2048


def test_the_order_of_the_tree_does_not_matter(tree: Tree) -> None:
    turned = dataclasses.replace(tree, files=dict(reversed(list(tree.files.items()))))
    assert lay_out(turned) == lay_out(tree)


def test_a_folder_with_thousands_of_files_is_laid_out_in_order(tree: Tree) -> None:
    """pycdlib needs minutes for this when the names come in another order than that of their identifiers."""
    many = with_files(tree, {f"Packages/{n * 7919 % 6000:05}-b{n}.rpm": Inline(b"x") for n in range(6000)})
    began = time.process_time()
    lay_out(many)
    assert time.process_time() - began < 10


@pytest.mark.parametrize("volume_id", ["", "x" * 33, "größe"])
def test_a_volume_id_that_cannot_be_is_refused(tree: Tree, volume_id: str) -> None:
    with pytest.raises(MediumError, match="volume id"):
        lay_out(dataclasses.replace(tree, volume_id=volume_id))


@pytest.mark.parametrize(
    "boot",
    [
        Isolinux("no/such", "images/efiboot.img", b"code"),
        Isolinux("isolinux/isolinux.bin", "no/such", b"code"),
        GrubBios("no/such", Inline(efi_image()), BOOT_HYBRID.read_bytes()),
        UefiOnly("no/such"),
    ],
)
def test_a_boot_file_that_is_missing_is_named(tree: Tree, boot: BootRecords) -> None:
    with pytest.raises(MediumError) as caught:
        lay_out(dataclasses.replace(tree, boot=boot))
    assert caught.value.details == ("no/such",)


@pytest.mark.parametrize("path", ["isolinux/isolinux.bin", "images/efiboot.img"])
def test_an_empty_boot_file_is_refused(tree: Tree, path: str) -> None:
    with pytest.raises(MediumError, match="lacks"):
        lay_out(with_files(tree, {path: Inline(b"")}))


def test_boot_code_that_is_too_long_is_refused(tree: Tree) -> None:
    with pytest.raises(MediumError, match="432"):
        lay_out(dataclasses.replace(tree, boot=Isolinux("isolinux/isolinux.bin", "images/efiboot.img", bytes(512))))
