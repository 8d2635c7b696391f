"""Takes the README's pictures anew: `python -m tests.draw_pictures build/demo docs`, which is `make pictures`.

The menus are screens of machines in QEMU that start the demo's ISO; the wizard is a session in a terminal of 80 columns
and 24 lines, on a machine made of files; the report is the demo's, in Chromium.
"""

import html
import itertools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyte
from playwright.sync_api import Browser, sync_playwright

from isobuilder.progress import Silent
from isobuilder.seeing.pictures import take_pictures
from tests.firstlogin_helpers import NODE_ROLE
from tests.scratch_machine import Scratch
from tests.test_firstlogin_sessions import COLUMNS, ROWS, Person

# A person who mistypes an address, asks what is meant, and goes on.
TYPED = [
    ("Host name", "node1.example.org"),
    ("Main network port", ""),
    ("Address of eth0", "192.168.1.300/24"),
    ("255", "192.168.1.10/24"),
    ("Gateway", "?"),
]
COLOURS = {"green": "#7ee787", "brown": "#e3b341", "red": "#ff7b72", "default": "#d5dde5"}
TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #0e1b2b; }}
pre {{ margin: 12px; width: {columns}ch; font: 15px/1.25 "DejaVu Sans Mono", monospace; color: {default}; }}
</style><pre>{text}</pre>"""


def main(demo: Path, folder: Path) -> None:
    """Write all pictures into `folder`; `demo` is where the demo was built."""
    [iso] = demo.glob("*.iso")
    for firmware, picture in take_pictures(iso, ["bios", "uefi"], Silent()).items():
        if isinstance(picture, str):
            sys.exit(f"{firmware}: {picture}")
        (folder / f"menu-{firmware}.png").write_bytes(picture.png)
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium: no such program; make setup installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        (folder / "wizard.png").write_bytes(drawn(browser, screen()))
        (folder / "report.png").write_bytes(report(browser, demo / f"{iso.stem}.report.html"))
        browser.close()


def screen() -> pyte.Screen:
    """What the terminal shows when TYPED was typed."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Scratch(f"{folder}/root", "9").make(ports=2, role=NODE_ROLE)
        person = Person(machine, sys.executable)
        person.answers(TYPED)
        person.sees("Gateway")
        person.sees(": ")
        shown = pyte.Screen(COLUMNS, ROWS)
        pyte.Stream(shown).feed(person.paper)
        person.leaves()
    return shown


def drawn(browser: Browser, shown: pyte.Screen) -> bytes:
    """A picture of a terminal's screen."""
    text = "\n".join("".join(spans(shown, line)) for line in range(ROWS))
    page = browser.new_page(viewport={"width": 760, "height": 480})
    page.set_content(TERMINAL.format(columns=COLUMNS, text=text, default=COLOURS["default"]))
    return page.locator("body").screenshot()


def spans(shown: pyte.Screen, line: int) -> Iterator[str]:
    cells = [shown.buffer[line][column] for column in range(COLUMNS)]
    for colour, group in itertools.groupby(cells, lambda cell: cell.fg):
        yield f'<span style="color: {COLOURS[colour]}">{html.escape("".join(cell.data for cell in group))}</span>'


def report(browser: Browser, page_file: Path) -> bytes:
    """The beginning of a report."""
    page = browser.new_page(viewport={"width": 1180, "height": 1900}, device_scale_factor=0.6)
    page.goto(page_file.absolute().as_uri())
    return page.screenshot()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
