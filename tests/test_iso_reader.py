"""Files are taken out of images that xorriso made, and out of none that is damaged."""

import os
import subprocess
from pathlib import Path

import pytest

from isobuilder.errors import HostError, MediumError, UsageError
from isobuilder.iso.reader import read_file, read_files


def make_iso(folder: Path, files: dict[str, bytes]) -> Path:
    """An ISO of xorriso's with these files, started by isolinux when it is among them."""
    tree, iso = folder / "tree", folder / "medium.iso"
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    boot = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot"]
    boot += ["-boot-load-size", "4", "-boot-info-table"]
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "SMALL"]
    command += boot if "isolinux/isolinux.bin" in files else []
    subprocess.run([*command, "-o", iso, tree], check=True, capture_output=True)
    return iso


def test_files_are_found_among_many(tmp_path: Path) -> None:
    # Some twenty sectors of directory records.
    files = {f"many/file{number:04}.txt": str(number).encode() for number in range(700)}
    iso = make_iso(tmp_path, files | {"many/empty": b""})
    assert read_file(iso, "many/file0000.txt", limit=10) == b"0"
    assert read_file(iso, "many/file0699.txt", limit=3) == b"699"
    assert read_file(iso, "many/empty", limit=0) == b""
    for path, finding in (
        ("many/file0700.txt", "no file0700.txt"),
        ("many", "a folder stands where a file should"),
        ("many/empty/x", "a file stands where a folder should"),
        ("many/file0699.txt/", "a file stands where a folder should"),
    ):
        with pytest.raises(MediumError, match=finding):
            read_file(iso, path, limit=100)


def record_at(image: bytes, identifier: bytes) -> int:
    """Where the directory record with this plain name starts."""
    return image.index(bytes([len(identifier)]) + identifier) - 32


def patched(iso: Path, place: int, data: bytes) -> Path:
    with iso.open("r+b") as file:
        file.seek(place)
        file.write(data)
    return iso


def test_a_folder_comes_out_whole_with_the_names_of_rock_ridge(tmp_path: Path) -> None:
    names = [
        "normal.mod",
        "UPPER.lst",
        "a b.c.d",
        "größe",
        "x" * 255,
        "y" * 254,
        "deeper/and/deeper",
        "deeper/"[:-1] + "2",
    ]
    files = {f"boot/grub2/i386-pc/{name}": name.encode() * 100 for name in names}
    iso = make_iso(tmp_path, files | {"boot/grub2/grub.cfg": b"menu", "boot/other": b"else"})
    assert read_files(iso, "boot/grub2/i386-pc/", limit=1 << 20) == files
    assert read_files(iso, "boot/grub2/grub.cfg", limit=4) == {"boot/grub2/grub.cfg": b"menu"}
    assert read_files(iso, "BOOT/GRUB2/GRUB.CFG", limit=4) == {"BOOT/GRUB2/GRUB.CFG": b"menu"}
    assert len(read_files(iso, "boot/", limit=1 << 20)) == len(files) + 2


def test_the_limit_of_a_folder_is_for_all_its_files(tmp_path: Path) -> None:
    iso = make_iso(tmp_path, {"many/one": bytes(60), "many/two": bytes(40), "empty/in/x": b""})
    assert len(read_files(iso, "many/", limit=100)) == 2
    with pytest.raises(MediumError, match="and 39 is the most"):
        read_files(iso, "many/", limit=99)


@pytest.mark.parametrize(
    ("path", "finding"),
    [
        ("no/", "there is no no"),
        ("file/", "a file stands where a folder"),
        ("folder/..", "there is no .. where"),
        ("folder/../file", "there is no .. where"),
        ("/", "there is no  where"),
        ("hollow/", "holds no file"),
        ("linked/", "no plain file"),
        ("linked/link", "no plain file"),
        ("deep/", "too deep"),
    ],
)
def test_what_is_no_folder_of_plain_files_is_refused(path: str, finding: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for folder in ("folder", "hollow", "linked", "deep/1/2/3/4/5/6/7/8"):
        (tree / folder).mkdir(parents=True)
    (tree / "linked/link").symlink_to("/etc/shadow")
    (tree / "deep/1/2/3/4/5/6/7/8/file").write_text("x")
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-disallow_dir_id_ext", "-D", "-V", "SMALL"]
    (tree / "file").write_text("x")
    subprocess.run([*command, "-o", tmp_path / "medium.iso", tree], check=True, capture_output=True)
    with pytest.raises(MediumError, match=finding):
        read_files(tmp_path / "medium.iso", path, limit=100)


@pytest.mark.parametrize("name", [b"..", b".", b"a/b", b"../x", b"a\nb", b"\xff\xfe"])
def test_names_that_lead_elsewhere_are_refused(name: bytes, tmp_path: Path) -> None:
    iso = make_iso(tmp_path, {f"folder/{'n' * len(name)}": b"x"})
    patched(iso, iso.read_bytes().index(b"NM" + bytes([5 + len(name)])) + 5, name)
    found = iso.read_bytes().index(name, 20 * 2048)
    patched(iso, found, name)
    with pytest.raises(MediumError, match=r"with the name|decode"):
        read_files(iso, "folder/", limit=100)


def test_a_folder_inside_itself_ends(tmp_path: Path) -> None:
    iso = make_iso(tmp_path, {"folder/below/file": b"x"})
    data = iso.read_bytes()
    folder, below = record_at(data, b"FOLDER"), record_at(data, b"BELOW")
    patched(iso, below + 2, data[folder + 2 : folder + 18])
    with pytest.raises(MediumError, match="too deep"):
        read_files(iso, "folder/", limit=100)


@pytest.mark.parametrize("size", [100 << 20, 0xFFFFFFFF])
def test_a_folder_or_file_of_absurd_size_is_not_read(size: int, tmp_path: Path) -> None:
    iso = make_iso(tmp_path, {"folder/file": b"x"})
    data = iso.read_bytes()
    os.truncate(iso, 200 << 20)
    patched(iso, record_at(data, b"FILE.;1") + 10, size.to_bytes(4, "little"))
    with pytest.raises(MediumError, match=f"it has {size} bytes"):
        read_files(iso, "folder/", limit=100)
    patched(iso, record_at(data, b"FOLDER") + 10, size.to_bytes(4, "little"))
    with pytest.raises(MediumError, match=f"it has {size} bytes"):
        read_files(iso, "folder/", limit=100)


def test_many_folders_at_one_place_are_not_read_without_end(tmp_path: Path) -> None:
    iso = make_iso(tmp_path, {f"top/{number:03}/file{number}": b"x" for number in range(200)})
    data = iso.read_bytes()
    nothing = (len(data) // 2048).to_bytes(4, "little") + bytes(4) + (1 << 20).to_bytes(4, "little")
    os.truncate(iso, len(data) + (1 << 20))
    for number in range(200):
        patched(iso, record_at(data, b"%03d" % number) + 2, nothing)
    with pytest.raises(MediumError, match="is the most"):
        read_files(iso, "top/", limit=1000)


def test_a_name_that_never_ends_is_refused(tmp_path: Path) -> None:
    iso = make_iso(tmp_path, {"folder/" + "x" * 250: b"y"})
    data = iso.read_bytes()
    place = data.rindex(b"CE\x1c\x01")
    block, offset, size = (int.from_bytes(data[place + at : place + at + 4], "little") for at in (4, 12, 20))
    area = block * 2048 + offset
    patched(iso, area, data[place : place + 28].ljust(size, b"\0"))
    with pytest.raises(MediumError, match="does not end"):
        read_files(iso, "folder/", limit=100)
    patched(iso, place + 20, (4096).to_bytes(4, "little"))
    with pytest.raises(MediumError, match="beyond its block"):
        read_files(iso, "folder/", limit=100)


def test_a_damaged_image_is_no_bug_of_ours(tmp_path: Path) -> None:
    whole = make_iso(tmp_path, {"isolinux/isolinux.cfg": b"default vesamenu.c32\n" * 100}).read_bytes()
    iso = tmp_path / "damaged.iso"
    root = int.from_bytes(whole[32768 + 158 : 32768 + 162], "little") * 2048
    damaged = [whole[:size] for size in (0, 40_000, root, root + 2000)]
    for place in (*range(32768 + 156, 32768 + 190), *range(root, root + 200, 3)):
        changed = (bytes([value]) for value in (0, 1, 33, 255))
        damaged += [whole[:place] + byte + whole[place + 1 : root + 8192] for byte in changed]
    for image in damaged:
        iso.write_bytes(image)
        try:
            read_files(iso, "isolinux/", limit=1 << 20)
        except MediumError:
            pass
        try:
            data = read_file(iso, "isolinux/isolinux.cfg", limit=1 << 20)
        except MediumError:
            continue
        assert len(data) <= 1 << 20


@pytest.mark.parametrize("path", ["no.iso", "file/no.iso"])
def test_an_image_that_is_not_there_is_wrong_usage(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"no\.iso: (No such file|Not a directory)"):
        read_file(tmp_path / path, "x", limit=1)


def test_an_image_that_may_not_be_read_is_the_hosts_fault(tmp_path: Path) -> None:
    iso = make_iso(tmp_path, {"x": b"y"})
    iso.chmod(0)
    user = os.geteuid()
    # Root may read everything.
    os.seteuid(user or 65534)
    try:
        with pytest.raises(HostError, match=r"medium\.iso: cannot be read: Permission denied"):
            read_file(iso, "x", limit=1)
    finally:
        os.seteuid(user)


def test_what_is_no_image_is_a_wrong_medium(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no image\n" * 10_000)
    (tmp_path / "short").write_bytes(b"")
    for path in ("text", "short", "."):
        with pytest.raises(MediumError):
            read_file(tmp_path / path, "x", limit=1)
