"""The report's page as values and text: complete, harmless, small, and the same for the same medium."""

import html.parser
import json
import re
import shutil
from pathlib import Path

import pytest

from isobuilder.errors import UsageError
from isobuilder.progress import Silent
from isobuilder.reporting import report_of
from isobuilder.seeing.page import render
from isobuilder.seeing.pictures import take_pictures
from tests.conftest import isobuilder
from tests.invented_report import ROLES, invented
from tests.stock_media import KICKSTART, StockMedium

SECRET = "Tr0ub4dor"
HOSTILE = (
    "<script>window.bad = 1</script>",
    "\"'><img src=x onerror=window.bad=1>",
    "</title></style></script><iframe src=https://example.org/>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "&lt;b&gt; &#x3c;b&#x3e;",
    "\x00\x1b[2J\r\n\x85",
    "abc\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe\N{ZERO WIDTH SPACE}",
    "a" * 5000,
    "\udcff",
)


class Page(html.parser.HTMLParser):
    """A page as a list of elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"td", "th", "dd", "li"}:
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(invented()))


def test_a_thousand_packages_make_a_small_page_and_all_are_in_it(page: Page) -> None:
    text = render(invented())
    assert len(text.encode()) < 1_000_000
    for held in invented().found.packages:
        assert f">{held.listing.name} <small>" in text
    assert len([1 for tag, _ in page.elements if tag == "tr"]) > 1300


def test_nothing_is_fetched_from_anywhere(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "form", "base"}
        for name in ("src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,")), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    style = re.search(r"<style>(.*?)</style>", render(invented()), re.DOTALL)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_every_part_that_is_linked_is_there(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in page.elements:
        for name in ("href", "for", "aria-labelledby", "data-rows"):
            if value := attributes.get(name):
                assert value.removeprefix("#") in ids


def test_it_says_all_of_it(page: Page) -> None:
    for words in (
        "8 warnings",
        "CentOS Stream 9 x86_64",
        "UEFI: drawn from EFI/BOOT/grub.cfg in the EFI image, EFI/BOOT/grub.cfg, and no picture of a machine: there is",
        "BIOS: a picture of the screen of a virtual machine (QEMU, tcg)",
        "starts by itself after 60 s",
        "Packages/0.rpm: it is odd Look at it.",
        "And 3 more of invented.",
        "package-0.x86_64 package upgraded 0:1-1 0:2-1",
        "ks/nc.cfg kickstart added - firewall --enabled",
        "302 differences (300 packages upgraded, 1 package changed, 1 line of kickstarts added); packages",
        "Writing 3.2 1.0 GB",
        "All of it, with what is not listed 20.0",
        "00000000000000000000000024C6A8A7F4A80EB5 rsa, sha256",
        "LGPL-2.1-or-later AND MIT",
        "group core",
        *ROLES,
    ):
        assert words in page.text, words


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_and_titles_cannot_do_anything(hostile: str) -> None:
    odd = render(invented(30, named=lambda text: text + hostile, changes=3))
    harmless, page = Page(render(invented(30, changes=3))), Page(odd)
    # The same elements in the same order, whatever things are called: tiles that have no room for a longer name apart.
    assert [e for e in elements(page) if e != "text"] == [e for e in elements(harmless) if e != "text"]
    assert not set(odd) & set("\x00\x1b\r\x85\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}\udcff")
    odd.encode()
    if hostile.isprintable() and len(hostile) < 900:
        assert "".join(hostile.split()) in "".join(page.text.split())


def elements(page: Page) -> list[str]:
    return [tag for tag, _ in page.elements]


def test_equal_reports_give_equal_pages() -> None:
    assert render(invented(50)) == render(invented(50))


def test_few_are_counted_as_many_are() -> None:
    text = Page(render(invented(1, changes=0))).text
    assert "2 differences (1 line of kickstarts added, 1 package changed);" in text


def report(iso: Path, previous: Path | None = None) -> Page:
    return Page(report_of(iso, None, Silent(), previous=previous, pictures=False, read_all=False))


def test_a_report_of_any_medium_lies_beside_it(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    iso, page = tmp_path / "10.iso", tmp_path / "10.report.html"
    shutil.copy(stock_media["10"].iso, iso)
    before = iso.read_bytes()
    done = isobuilder("report", "--quiet", str(iso))
    assert (done.returncode, done.stdout) == (0, f"{page}: {page.stat().st_size} bytes\n")
    text = Page(page.read_text()).text
    assert "Would work as far as verify can tell" in text
    assert "There is no manifest beside the image" in text
    assert "All of the image was read" in text
    assert "no picture of a machine: none was asked for" in text
    assert iso.read_bytes() == before
    one = page.read_bytes()
    done = isobuilder("report", str(iso))
    assert (done.returncode, "--force" in done.stderr) == (2, True)
    # Without timings and pictures the same medium gives the same page.
    assert isobuilder("report", "--force", str(iso)).returncode == 0
    assert page.read_bytes() == one
    assert sorted(path.name for path in tmp_path.iterdir()) == [iso.name, page.name]


def test_no_secret_is_in_it_and_what_is_wrong_is(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    def change(tree: Path) -> None:
        text = KICKSTART.replace("rootpw --lock", f"rootpw --plaintext {SECRET}").replace("bash\n", "nosuch\n")
        (tree / "ks.cfg").write_text(f"{text}url --url=https://me:{SECRET}@example.org/\n")
        for menu in ("isolinux/isolinux.cfg", "EFI/BOOT/grub.cfg"):
            path = tree / menu
            path.write_text(path.read_text().replace("quiet", f"quiet inst.vncpassword={SECRET}"))

    text = report(stock_media["9"].changed(tmp_path, change), stock_media["9"].iso).text
    assert SECRET not in text
    assert "Would fail" in text
    assert "rootpw --plaintext REDACTED" in text
    assert "inst.vncpassword=REDACTED" in text
    assert "unknown unknown unknown" in text
    assert "Checksums were not compared." in text


def test_what_differs_from_what_was_before(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    iso = stock_media["9"].iso
    assert "None: it is the same as the" in report(iso, iso).text
    assert "volume-id setting changed" in report(iso, stock_media["7"].iso).text
    assert "Nothing was compared with no.iso: No such file or directory" in report(iso, tmp_path / "no.iso").text


def test_a_manifest_of_another_image_is_not_believed(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    iso, manifest = tmp_path / "x.iso", tmp_path / "x.manifest.json"
    shutil.copy(stock_media["9"].iso, iso)
    manifest.write_text("{}")
    assert "this is no manifest of a medium: x.manifest.json" in report(iso).text
    table = {
        "version": 1, "name": "x", "release": "9-stream", "arch": "x86_64", "volume-id": "X", "epoch": 1,
        "iso": {"file": "x.iso", "size": 1, "sha256": "0" * 64, "media-checksum-md5": "0" * 32},
        "lock": {"sha256": "0" * 64}, "made-with": {}, "repositories": [], "packages": [], "boot": [],
        "other-files": {},
    }  # fmt: skip
    manifest.write_text(json.dumps(table))
    assert "x.manifest.json is of another image, and was not used" in report(iso).text


def test_what_is_no_image_has_no_report(tmp_path: Path) -> None:
    (tmp_path / "x.iso").write_text("text")
    assert isobuilder("report", str(tmp_path / "x.iso")).returncode == 8
    assert [path.name for path in tmp_path.iterdir()] == ["x.iso"]
    with pytest.raises(UsageError):
        report(tmp_path / "y.iso")


def test_where_no_picture_can_be_taken_the_reason_is_told(stock_media: dict[str, StockMedium]) -> None:
    found = take_pictures(stock_media["9"].iso, ["bios", "uefi"], Silent())
    assert found == {
        "bios": "isobuilder did not make this menu, and cannot tell when it is there",
        "uefi": "isobuilder did not make this menu, and cannot tell when it is there",
    }
