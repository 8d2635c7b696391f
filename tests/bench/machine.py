"""What the figures were measured on."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

_TOOLS = {
    "xorriso": ("xorriso", "-version"),
    "openssl": ("openssl", "version"),
    "dnf": ("dnf", "--version"),
    "curl": ("curl", "--version"),
    "createrepo_c": (os.fspath(Path(sys.executable).with_name("createrepo_c")), "--version"),
}


def described() -> dict[str, str]:
    """The machine and the tools, by what it is called."""
    return dict(_facts())


def _facts() -> Iterator[tuple[str, str]]:
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+([0-9]+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    yield "processor", f"{os.cpu_count()} x {model[1] if model else platform.machine()}"
    yield "memory", f"{int(memory[1]) / 1e6:.0f} GB" if memory else "unknown"
    yield "system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    yield "load", " ".join(f"{each:.2f}" for each in os.getloadavg())
    yield "libraries", ", ".join(f"{name} {metadata.version(name)}" for name in ("pycdlib", "solv", "requests"))
    for name, words in _TOOLS.items():
        yield name, _version(words)


def _version(words: tuple[str, ...]) -> str:
    if not shutil.which(words[0]):
        return "missing"
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+[\w.]*", done.stdout + done.stderr)
    return found[0] if found else "unknown"
