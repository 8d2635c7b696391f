"""What an image holds is listed by the names that each of its readers knows; xorriso made the images."""

from pathlib import Path

from isobuilder.verify.medium import open_medium
from tests.stock_media import STOCK_9, StockMedium, master


def paths(tree: Path) -> set[str]:
    return {path.relative_to(tree).as_posix() for path in tree.rglob("*") if not path.is_dir()}


def test_a_medium_has_the_files_of_its_tree(stock_media: dict[str, StockMedium]) -> None:
    for medium in stock_media.values():
        with open_medium(medium.iso) as found:
            # xorriso makes the boot catalog a file, of another name where it is not told one.
            catalogs = {"isolinux/boot.cat", "boot.catalog"}
            assert set(found.files) - catalogs == paths(medium.tree)
            assert found.volume.volume_id == medium.stock.label
            assert found.read("ks.cfg", limit=10_000) == (medium.tree / "ks.cfg").read_bytes()
            assert list(found.damage()) == []


def test_without_rock_ridge_the_names_are_joliets_and_without_both_plain(
    stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    tree = stock_media["9"].tree
    iso = master(tree, tmp_path / "j.iso", STOCK_9, names=("-J", "--norock"))
    with open_medium(iso) as found:
        assert found.view == "joliet"
        assert paths(tree) <= set(found.files)
        assert [finding.kind.id for finding in found.damage()] == ["names-plain"]
