"""Kickstarts on a medium: taken by its release's installer, and resolved from the medium and nothing else."""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from isobuilder.errors import DefinitionError
from isobuilder.releases import named_release, release_of_version
from isobuilder.verify.medium import Medium
from tests.stock_media import KICKSTART, StockMedium, make_packages, make_repodata
from tests.verifying import found, message, verdict

Change = Callable[[Path], None]


def kickstart(text: str, path: str = "ks/role.cfg") -> Change:
    def run(tree: Path) -> None:
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text(text)

    return run


def lines(old: str, new: str) -> Change:
    assert old in KICKSTART
    return kickstart(KICKSTART.replace(old, new))


def without(name: str) -> Change:
    """A whole repository, without one package."""

    def run(tree: Path) -> None:
        (tree / f"Packages/{name}-1.0-1.noarch.rpm").unlink()
        make_repodata(tree)
        path = tree / ".treeinfo"
        path.write_text(re.sub(r"repodata/repomd.xml = .*\n", "", path.read_text()))

    return run


def latin(tree: Path) -> None:
    (tree / "ks").mkdir()
    (tree / "ks/role.cfg").write_bytes(KICKSTART.encode() + "# é\n".encode("latin-1"))


ROLE = "ks/role.cfg"
BREAKS: dict[str, tuple[Change, set[tuple[str, str]]]] = {
    "an unknown command": (
        lines("text\n", "text\nunattended\n"),
        {("kickstart-refused", f"{ROLE}, line 3: unattended")},
    ),
    "an option of another release": (
        lines("text\n", "text --utf8\n"),
        {("kickstart-refused", f"{ROLE}, line 2: text ...")},
    ),
    "an option of an older release": (
        lines("timezone UTC", "timezone --isUtc UTC"),
        {("kickstart-deprecated", ROLE)},
    ),
    "a section without an end": (lines("%end\n", ""), {("kickstart-refused", f"{ROLE}, line 12: bash")}),
    "a plain password": (
        lines("rootpw --lock", "rootpw secret"),
        {("kickstart-unsafe", f"{ROLE}, line 7: rootpw ...")},
    ),
    "no such package": (lines("bash\n", "basch\n"), {("packages-unresolved", f"{ROLE}, line 12")}),
    "no such group": (lines("@core\n", "@core\n@cores\n"), {("packages-unresolved", f"{ROLE}, line 12")}),
    "nothing": (kickstart("# later\n\n"), {("kickstart-unreadable", ROLE)}),
    "a byte order mark": (kickstart("\ufeff" + KICKSTART), {("kickstart-unreadable", ROLE)}),
    "a script from Windows": (
        lines("%end\n", "%end\r\n%post\r\necho hello >/root/hello\r\n%end\r\n"),
        {("kickstart-line-ends", f"{ROLE}, line 15")},
    ),
    "commands from Windows": (kickstart(KICKSTART.replace("\n", "\r\n")), set()),
    "an image that is not there": (
        kickstart("liveimg --url=file:///run/install/repo/root.tar\nrootpw --lock\n"),
        {("kickstart-repository-missing", f"{ROLE}, line 1")},
    ),
    "an image that is there": (kickstart("liveimg --url=file:///run/install/repo/images/install.img\n"), set()),
    "a folder that is not there": (
        lines("cdrom\n", "harddrive --partition=LABEL=CentOS-Stream-9-BaseOS-x86_64 --dir=/os\n"),
        {("kickstart-repository-missing", f"{ROLE}, line 3")},
    ),
    "the folder of the medium": (
        lines("cdrom\n", "harddrive --partition=LABEL=CentOS-Stream-9-BaseOS-x86_64 --dir=/\n"),
        set(),
    ),
    "a section of no release": (
        kickstart(KICKSTART + "%pots\n%end\n"),
        {("kickstart-refused", f"{ROLE}, line 14: %pots")},
    ),
    "itself, over and over": (
        kickstart(KICKSTART.replace("text\n", "text\n" + "%include /run/install/repo/ks/role.cfg\n" * 3000)),
        {("kickstart-unreadable", ROLE)},
    ),
    "a line as long as a book": (
        kickstart(f"user --name=x --groups={'a,' * 400_000}\n{KICKSTART}"),
        {("kickstart-unreadable", ROLE)},
    ),
    "all packages that ever were": (
        kickstart(KICKSTART.replace("bash\n", "".join(f"package{number}\n" for number in range(20_000)))),
        {("kickstart-unreadable", ROLE)},
    ),
    "not text": (latin, {("kickstart-unreadable", ROLE)}),
    "an include that is not there": (
        lines("reboot\n", "reboot\n%include /run/install/repo/ks/disk.ks\n"),
        {("kickstart-include-missing", f"{ROLE}, line 10")},
    ),
    "a repository that is not there": (
        lines("reboot\n", "reboot\nrepo --name=more --baseurl=file:///run/install/repo/More\n"),
        {("kickstart-repository-missing", f"{ROLE}, line 10")},
    ),
    "a repository on the network": (
        lines("reboot\n", "reboot\nrepo --name=more --baseurl=http://example.org/more\n"),
        {("kickstart-note", ROLE)},
    ),
    "a package on the network": (
        kickstart(
            KICKSTART.replace("reboot\n", "reboot\nrepo --name=more --baseurl=http://example.org/more\n").replace(
                "bash\n", "tmux\n"
            )
        ),
        {("kickstart-note", ROLE), ("packages-from-network", f"{ROLE}, line 13")},
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_break_is_found_and_nothing_else(name: str, stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    change, expected = BREAKS[name]
    seen = found(stock_media["9"].changed(tmp_path, change))
    assert {finding for finding in seen if finding[0].startswith(("kickstart", "packages", "installer"))} == expected


def test_what_the_installer_adds_must_be_there(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    iso = stock_media["9"].changed(tmp_path, without("shim-x64"))
    assert message(iso, "installer-package-missing") == "the repositories: no package is called shim-x64"


def test_what_it_adds_only_where_it_is_there_need_not_be(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    assert found(stock_media["9"].changed(tmp_path, without("langpacks-en"))) == set()


def test_a_medium_without_a_role_must_hold_a_plain_installation(
    stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    def change(tree: Path) -> None:
        (tree / "Packages/kernel-1.0-1.noarch.rpm").unlink()
        make_packages(tree / "Packages", ["kernel"], {"kernel": ["linux-firmware"]})
        make_repodata(tree)
        for path in tree.rglob("*.cfg"):
            path.write_text("\n".join(line for line in path.read_text().splitlines() if "ks.cfg" not in line) + "\n")

    iso = stock_media["9"].changed(tmp_path, change)
    findings = [f for f in verdict(iso).findings if f.kind.id == "packages-unresolved"]
    assert findings
    assert all("linux-firmware" in finding.message for finding in findings)


def test_a_package_that_lacks_another_is_told_with_the_chain(
    stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    def change(tree: Path) -> None:
        kickstart(KICKSTART)(tree)
        (tree / "Packages/bash-1.0-1.noarch.rpm").unlink()
        make_packages(tree / "Packages", ["bash"], {"bash": ["readline"]})
        make_repodata(tree)

    iso = stock_media["9"].changed(tmp_path, change)
    said = [f.message for f in verdict(iso).findings if f.kind.id == "packages-unresolved" and f.place.startswith(ROLE)]
    assert any("nothing provides readline needed by bash" in text and "ks/role.cfg:12" in text for text in said)


def test_mistakes_of_one_role_do_not_hide_those_of_another(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    def change(tree: Path) -> None:
        kickstart(KICKSTART.replace("bash\n", "basch\n"), "ks/one.cfg")(tree)
        kickstart(KICKSTART.replace("bash\n", "broken\n"), "ks/two.cfg")(tree)
        make_packages(tree / "Packages", ["broken"], {"broken": ["nothing-has-this"]})
        make_repodata(tree)

    iso = stock_media["9"].changed(tmp_path, change)
    places = {place for kind, place in found(iso) if kind == "packages-unresolved"}
    assert places == {"ks/one.cfg, line 12", "ks/two.cfg"}


def test_damage_in_one_kickstart_takes_away_nothing_that_is_known_of_others(
    stock_media: dict[str, StockMedium], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(tree: Path) -> None:
        for name in ("one", "three"):
            kickstart(KICKSTART.replace("rootpw --lock", "rootpw secret"), f"ks/{name}.cfg")(tree)
        kickstart(KICKSTART, "ks/two.cfg")(tree)

    whole = Medium.read

    def read(self: Medium, path: str, *, limit: int) -> bytes:
        if path == "ks/two.cfg":
            # What reading it came to, is stood for by this: no damage is known that its reader does not name itself.
            raise struct.error("unpack requires a buffer of 8 bytes")
        return whole(self, path, limit=limit)

    monkeypatch.setattr(Medium, "read", read)
    seen = found(stock_media["9"].changed(tmp_path, change))
    assert {place for kind, place in seen if kind == "kickstart-unsafe"} == {
        "ks/one.cfg, line 7: rootpw ...",
        "ks/three.cfg, line 7: rootpw ...",
    }
    assert ("part-unreadable", "ks/two.cfg") in seen


def test_installers_of_python_2_take_any_encoding(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    def change(tree: Path) -> None:
        (tree / "ks").mkdir()
        (tree / ROLE).write_bytes("# \xe9t\xe9\n".encode("latin-1") + KICKSTART.encode())

    iso = stock_media["7"].changed(tmp_path, change)
    assert "kickstart-unreadable" not in {kind for kind, _ in found(iso)}


def test_includes_on_the_medium_are_read_in_their_place(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    def change(tree: Path) -> None:
        kickstart(KICKSTART.replace("bash\n", "%include /run/install/repo/ks/more.inc\n"))(tree)
        (tree / "ks/more.inc").write_text("bash\nbasch\n")

    iso = stock_media["9"].changed(tmp_path, change)
    assert "no package is called 'basch'" in message(iso, "packages-unresolved")


def test_a_medium_of_no_known_release_says_so(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    def change(tree: Path) -> None:
        kickstart("not a kickstart at all\n")(tree)
        path = tree / ".treeinfo"
        path.write_text(path.read_text().replace("version = 9\n", "version = 39\n").replace("CentOS Stream", "Fedora"))

    iso = stock_media["9"].changed(tmp_path, change)
    assert {finding for finding in found(iso) if finding[0].startswith("kickstart")} == set()
    assert any(kind == "release-unknown" for kind, _ in found(iso))
    release = named_release("9-stream", Path())
    assert ("kickstart-refused", f"{ROLE}, line 1: not ...") in found(iso, release)


def test_media_of_other_families_may_lack_what_centos_has(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    def change(tree: Path) -> None:
        without("shim-x64")(tree)
        path = tree / ".treeinfo"
        path.write_text(path.read_text().replace("CentOS Stream", "Somebody's Linux"))

    assert found(stock_media["9"].changed(tmp_path, change)) == set()


def test_releases_are_known_by_the_first_number() -> None:
    assert {release_of_version(version).id for version in ("7.9", "7")} == {"7"}  # type: ignore[union-attr]
    assert release_of_version("10").id == "10-stream"  # type: ignore[union-attr]
    assert release_of_version("39") is None
    assert release_of_version("") is None
    with pytest.raises(DefinitionError, match="not a release"):
        named_release("9-strem", Path())
