"""A report as one HTML file that needs nothing else: its style, its script and its pictures are in it.

Nothing of a medium is trusted: every value is escaped, characters that cannot be seen are written out, and the page
itself forbids its reader to load or to run anything but what is in it (Content-Security-Policy, by digests).
"""

import base64
import hashlib
from importlib.resources import files

import jinja2
from markupsafe import Markup
from rich import filesize

from isobuilder import __version__
from isobuilder.seeing.mapdrawing import draw_map
from isobuilder.seeing.picture import Picture
from isobuilder.seeing.report import Report
from isobuilder.seeing.tables import MOST_ROWS, Tables
from isobuilder.verify.verdict import harmless

FIRMWARE_NAMES = {"bios": "BIOS", "uefi": "UEFI"}


def render(report: Report) -> str:
    """The page. Equal reports give equal pages."""
    style, script = (_own(f"report.{kind}") for kind in ("css", "js"))
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_own),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters["decimal"] = filesize.decimal
    tables = Tables(report)
    return environment.get_template("report.html.j2").render(
        report=report,
        found=report.found,
        tables=tables,
        map=draw_map(tables.cells),
        most_rows=MOST_ROWS,
        firmware_names=FIRMWARE_NAMES,
        pictures={
            firmware: _data_uri(picture)
            for firmware, picture in report.pictures.items()
            if isinstance(picture, Picture)
        },
        program=f"isobuilder {__version__}",
        # Ours, and not of any medium.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        style_digest=_digest(style),
        script_digest=_digest(script),
    )


def _own(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _shown(value: object) -> object:
    """What a value becomes before it is escaped."""
    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data_uri(picture: Picture) -> Markup:
    return Markup("data:image/png;base64,{}").format(base64.b64encode(picture.png).decode())
