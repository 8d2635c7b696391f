"""Boot menus of any medium are checked: good ones raise nothing, and each mistake is found where it is."""

from pathlib import Path

import pytest

from isobuilder.verify.medium import open_medium
from isobuilder.verify.menus import Menus, check_menus
from tests.esp_files import MtoolsEsp
from tests.stock_media import StockMedium

STOCK = ("7", "9", "10", "uefi")


def checked(iso: Path, esp: Path) -> Menus:
    with open_medium(iso) as medium:
        return check_menus(medium, MtoolsEsp(esp), {})


@pytest.mark.parametrize("name", STOCK)
def test_good_media_raise_nothing(name: str, stock_media: dict[str, StockMedium]) -> None:
    stock = stock_media[name]
    menus = checked(stock.iso, stock.tree.with_name(f"{stock.tree.name}.esp"))
    assert menus.findings == ()
