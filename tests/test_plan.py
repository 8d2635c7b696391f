"""What a plan derives from a definition."""

from pathlib import Path

import pytest

from isobuilder.blueprint import default_volume_id
from isobuilder.errors import DefinitionError
from isobuilder.plan import make_plan


@pytest.mark.parametrize(
    ("name", "release", "volume_id"),
    [
        ("campus-cloud", "9-stream", "CAMPUS-CLOUD-9-STREAM"),
        ("a.b_c", "7", "A-B-C-7"),
        ("very-long-campus-cloud-name-of-ours", "9-stream", "VERY-LONG-CAMPUS-CLOUD--9-STREAM"),
        ("x" * 61, "r" * 31, "-" + "R" * 31),
    ],
)
def test_the_default_volume_id_keeps_the_release_and_fits(name: str, release: str, volume_id: str) -> None:
    assert default_volume_id(name, release) == volume_id
    assert len(volume_id) <= 32


def test_a_menu_that_cannot_be_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    path = tmp_path / "media.toml"
    path.write_text('version = 1\nname = "x"\nrelease = "9-stream"\n[menu]\ndefault = "minimum"\n')
    with pytest.raises(DefinitionError, match="did you mean 'minimal'"):
        make_plan(path)


def test_everything_that_goes_into_the_medium_has_a_digest(tmp_path: Path) -> None:
    path = tmp_path / "media.toml"
    path.write_text('version = 1\nname = "x"\nrelease = "9-stream"\n')
    before = make_plan(path)
    path.write_text(path.read_text() + "[menu]\ntimeout = 5\n")
    after = make_plan(path)
    changed = {key for key in after.made_from if after.made_from[key] != before.made_from.get(key)}
    assert changed == {"definition.menu.timeout", "menu.isolinux/isolinux.cfg", "menu.EFI/BOOT/grub.cfg"}
    assert {"kickstart.minimal", "menu.isolinux/splash.png", "release.title"} <= before.made_from.keys()
