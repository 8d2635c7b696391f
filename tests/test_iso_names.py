"""Names in plain ISO 9660: unique, in order, and as boot loaders look for them."""

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from isobuilder.errors import MediumError
from isobuilder.iso.names import iso_paths

FILE = re.compile(r"(?=.{1,31};1$)[A-Z0-9_]+\.[A-Z0-9_]*;1")
FOLDER = re.compile(r"[A-Z0-9_]{1,31}")

rpm_like = st.builds(
    "{}-{}-{}.el9.x86_64.rpm".format,
    st.text("abcKERNEL-_+.", min_size=1, max_size=60),
    st.integers(0, 99),
    st.integers(0, 99),
)
any_name = st.text(
    st.characters(exclude_characters="/", exclude_categories=["C", "Z"]), min_size=1, max_size=40
).filter(lambda name: name not in {".", ".."})
names = st.one_of(rpm_like, any_name, st.sampled_from(["README", "readme", "ReadMe", "a.b", "A_B", "a b", "a-b"]))


@given(st.sets(names, min_size=1, max_size=40), st.sets(names, max_size=5))
@example({"x" * 60 + f"{n}.rpm" for n in range(30)}, {"x" * 60 + f"{n}.rpm_" for n in range(5)})
@example({"README", "readme", "ReadMe"}, {"Readme"})
def test_identifiers_are_valid_unique_and_sorted(files: set[str], folders: set[str]) -> None:
    folders = {folder for folder in folders if folder not in files}
    paths = [*files, *(f"{folder}/file" for folder in folders)]

    named = iso_paths(paths)

    assert set(named.files) == set(paths)
    assert set(named.folders) == folders
    for iso_path in named.files.values():
        assert FILE.fullmatch(iso_path.rpartition("/")[2])
    for iso_path in named.folders.values():
        assert FOLDER.fullmatch(iso_path.removeprefix("/"))
    # A folder and a file must differ in more than the version, so compare without it.
    stems = [path.removesuffix(";1").removesuffix(".") for path in (*named.files.values(), *named.folders.values())]
    assert max(Counter(stems).values()) == 1
    top = [path for path in named.files.values() if path.count("/") == 1]
    assert top == sorted(top)
    assert iso_paths(reversed(paths)) == named


@given(st.sets(names, min_size=1, max_size=30))
def test_names_that_boot_loaders_look_for_are_kept_whatever_lies_beside_them(others: set[str]) -> None:
    plain = {
        "isolinux.bin": "ISOLINUX.BIN;1",
        "isolinux.cfg": "ISOLINUX.CFG;1",
        "ldlinux.c32": "LDLINUX.C32;1",
        "initrd.img": "INITRD.IMG;1",
        "vmlinuz": "VMLINUZ.;1",
        "boot.cat": "BOOT.CAT;1",
    }
    beside = {name for name in others if name.upper() not in {known.upper() for known in plain}}
    named = iso_paths([f"isolinux/{name}" for name in {*plain, *beside}])
    assert {name: named.files[f"isolinux/{name}"] for name in plain} == {
        name: f"/ISOLINUX/{identifier}" for name, identifier in plain.items()
    }


def test_a_plain_name_is_not_lost_to_one_that_becomes_like_it() -> None:
    assert iso_paths(["boot-1.cfg", "boot_1.cfg"]).files["boot_1.cfg"] == "/BOOT_1.CFG;1"


def test_a_name_stays_when_a_colliding_neighbour_beyond_it_goes() -> None:
    stem = "x" * 40
    all_three = iso_paths([f"{stem}1.rpm", f"{stem}2.rpm", f"{stem}3.rpm"])
    two = iso_paths([f"{stem}1.rpm", f"{stem}3.rpm"])
    assert all_three.files[f"{stem}3.rpm"] == two.files[f"{stem}3.rpm"]


def test_folders_come_before_what_is_in_them() -> None:
    named = iso_paths(["z/a/b/file", "a/z/file"])
    folders = list(named.folders)
    assert folders.index("z") < folders.index("z/a") < folders.index("z/a/b")


def test_nothing_has_no_names() -> None:
    assert not iso_paths([]).files


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../escape",
        "a/../../escape",
        "a/./b",
        "a//b",
        "a/",
        "",
        "bell\x07",
        "new\nline",
        "half a letter \udc80",
        "x" * 256,
        "ö" * 128,
        "1/2/3/4/5/6/7/8/too-deep",
    ],
)
def test_a_path_that_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(MediumError) as caught:
        iso_paths(["fine", path])
    assert [line.startswith(f"{path!r}: ") for line in caught.value.details] == [True]


def test_all_findings_come_at_once() -> None:
    with pytest.raises(MediumError) as caught:
        iso_paths(["twice", "twice", "both", "both/below", "../up"])
    assert caught.value.details == (
        "'../up': has an empty part, or one that is . or ..",
        "'twice': is there twice",
        "'both': is a file and a folder",
    )


def test_the_limits_themselves_are_fine() -> None:
    iso_paths(["x" * 255, "1/2/3/4/5/6/7/deep"])
