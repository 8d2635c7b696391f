"""Bounds for templates: they are written by people whom we need not know, and a short line can ask for gigabytes."""

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import jinja2.exceptions
import jinja2.runtime
import jinja2.sandbox

# A kickstart has some tens of kilobytes, with all that it includes.
MOST_TEXT: Final = 4 << 20
_MEMORY: Final = 256 << 20
_MOST_BITS: Final = 1 << 12


class TemplateEnvironment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """jinja2's sandbox, where no power has more digits than somebody could want."""

    intercepted_binops = frozenset({"**"})

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > _MOST_BITS:
            raise jinja2.exceptions.SecurityError("that power is too large for a template")
        return super().call_binop(context, operator, left, right)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Whatever happens meanwhile takes 256 MiB more than this process has now, or ends in a MemoryError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([taken + _MEMORY, *known]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def bounded_text(pieces: Iterable[str]) -> str:
    """The text of all `pieces`. Raises ValueError when it is longer than any kickstart."""
    text: list[str] = []
    length = 0
    for piece in pieces:
        text.append(piece)
        length += len(piece)
        if length > MOST_TEXT:
            raise ValueError(f"it renders to more than {MOST_TEXT >> 20} MiB; no kickstart is that long")
    return "".join(text)
