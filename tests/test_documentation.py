"""The README and what it leads to: each link leads to something, and no picture is too large for a page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "tests/practice/README.md"]
PICTURE_LIMIT = 200_000


def without_code(text: str) -> str:
    """Markdown without its indented and inline code."""
    lines = [line for line in text.splitlines() if not line.startswith("    ")]
    return re.sub(r"`[^`\n]*`", "", "\n".join(lines))


def anchors(page: Path) -> set[str]:
    """What headings of a page are called in addresses, as code hosts make it: lower case, blanks as hyphens."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_to_something(page: Path) -> None:
    wrong = []
    for link in links(page):
        place, _, anchor = link.partition("#")
        if place.startswith(("http:", "https:")):
            continue
        there = (page.parent / place).resolve() if place else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            wrong.append(link)
    assert wrong == []


def test_the_readme_leads_to_every_page() -> None:
    told = {(ROOT / link.partition("#")[0]).resolve() for link in links(ROOT / "README.md")}
    assert {page for page in PAGES if page.name != "README.md"} <= told


def test_pictures_are_shown_and_small() -> None:
    pictures = list((ROOT / "docs").glob("*.png"))
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    assert pictures
    assert set(pictures) <= shown
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert picture.stat().st_size < PICTURE_LIMIT
