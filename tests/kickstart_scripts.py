"""What tests of kickstart scripts share: scripts cut out of a kickstart, their judges, and the shells that run them."""

import functools
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from isobuilder.kickstart.sections import sections
from isobuilder.resources import data_folder

SCRIPT_SECTIONS = frozenset({"%pre", "%pre-install", "%post", "%onerror"})

# /bin/sh is bash from CentOS 6 to 10, and busybox's in rescue systems and the practice installer. ISOBUILDER_SHELL adds
# one, such as the bash 4.1 of CentOS 6, which distributions no longer have.
SHELLS = (
    ("dash",),
    ("bash", "--posix"),
    ("busybox", "sh"),
    *([(os.environ["ISOBUILDER_SHELL"], "--posix")] if "ISOBUILDER_SHELL" in os.environ else []),
)


@dataclass(frozen=True)
class Script:
    """A section that /bin/sh runs: its first line, that line's number in the kickstart, and what stands between."""

    header: str
    line: int
    text: str


def scripts_of(kickstart: str) -> tuple[Script, ...]:
    """Every script of a rendered kickstart that names no interpreter of its own."""
    return tuple(script for script in _scripts(kickstart) if "--interpreter" not in script.header)


def _scripts(kickstart: str) -> Iterator[Script]:
    header, start, lines = "", 0, list[str]()
    for section, number, line in sections(kickstart):
        if not section:
            header, start, lines = line.strip(), number, []
        elif section in SCRIPT_SECTIONS and line.split(maxsplit=1)[:1] == ["%end"]:
            yield Script(header, start, "\n".join(lines) + "\n")
        else:
            lines.append(line)


def complaints(kickstart: str) -> list[str]:
    """What shellcheck and the shells find wrong with the scripts of a rendered kickstart; empty when all are sound."""
    return [
        f"line {script.line}: {script.header}\n{said}"
        for script in scripts_of(kickstart)
        for said in _complaints_about(script.text)
    ]


@functools.cache  # the kickstarts of a medium share most of their scripts
def _complaints_about(text: str) -> tuple[str, ...]:
    judges = [["shellcheck", "--norc", "--shell=sh", "-"], *([*shell, "-n"] for shell in (("sh",), *SHELLS))]
    return tuple(said for judge in judges if (said := _complaint(judge, text)))


def _complaint(judge: list[str], text: str) -> str:
    done = subprocess.run(judge, input=text, capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    return f"{shlex.join(judge)}: {said or done.returncode}" if done.returncode or said else ""


def render_part(name: str, **values: Any) -> str:
    """A part of kickstarts/parts/ by itself, as base.ks.j2 would include it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_folder("kickstarts")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(f"parts/{name}.sh.j2").render(values)


def run_script(
    text: str, shell: tuple[str, ...], root: Path, path: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a script as the installer does, from a file; `root` stands for the machine's own /, `path` for its PATH."""
    script = root / "ks-script"
    script.write_text(text)
    variables: Mapping[str, str] = {"PATH": path, "ISOBUILDER_ROOT": str(root), "LANG": "en_US.UTF-8", **environ}
    program = shutil.which(shell[0])
    assert program, f"{shell[0]} is not installed"
    return subprocess.run(
        [program, *shell[1:], str(script)], capture_output=True, text=True, env=variables, timeout=60, check=False
    )
