"""What jinja2 would drop from a template without a word: all that is in no block of the one that it extends."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import jinja2
import jinja2.nodes

from isobuilder.errors import KickstartError
from isobuilder.schema import did_you_mean


@dataclass(frozen=True)
class _Outline:
    """A template's own blocks, the one that it extends, and what stands in no block: blocks, and the text of others."""

    own: frozenset[str]
    base: str | None
    outside: tuple[tuple[int, str, bool], ...]


def check_blocks(environment: jinja2.Environment, name: str) -> frozenset[str]:
    """The blocks that a template may fill, its parents' and its own.

    Raises KickstartError for text outside of every block, and for blocks that no parent has.
    """
    source = environment.loader.get_source(environment, name)[0] if environment.loader else ""
    outline = _outline(source, name)
    if outline.base is None:
        return outline.own
    known = check_blocks(environment, outline.base)
    mistakes = []
    for line, text, is_block in outline.outside:
        where = f"{name}, line {line}"
        if is_block and text not in known:
            mistakes.append(f"{where}: {outline.base} has no block {text!r}{did_you_mean(text, known)}")
        elif not is_block:
            mistakes.append(f"{where}: this stands outside of every block, and would be dropped: {text!r}")
    if mistakes:
        raise KickstartError(f"{name}: parts of it would be lost", details=mistakes)
    return known | outline.own


# Roles extend the same few templates.
@functools.lru_cache(maxsize=128)
def _outline(source: str, name: str) -> _Outline:
    tree = jinja2.Environment(autoescape=False).parse(source, name)  # noqa: S701 - nothing is rendered
    extends = next((node for node in tree.body if isinstance(node, jinja2.nodes.Extends)), None)
    base = extends.template.value if extends and isinstance(extends.template, jinja2.nodes.Const) else None
    own = frozenset(block.name for block in tree.find_all(jinja2.nodes.Block))
    return _Outline(own, base, tuple(_outside(tree.body)) if base is not None else ())


def _outside(nodes: Iterable[jinja2.nodes.Node]) -> Iterator[tuple[int, str, bool]]:
    for node in _outside_of_blocks(nodes):
        if isinstance(node, jinja2.nodes.Block):
            yield node.lineno, node.name, True
        elif isinstance(node, jinja2.nodes.Output) and (text := _said(node)):
            yield node.lineno, text, False


def _outside_of_blocks(nodes: Iterable[jinja2.nodes.Node]) -> Iterator[jinja2.nodes.Node]:
    """Every block and all text that is in no block, however deep in conditions and loops."""
    for node in nodes:
        if isinstance(node, jinja2.nodes.Block | jinja2.nodes.Output):
            yield node
        elif not isinstance(node, jinja2.nodes.Macro | jinja2.nodes.AssignBlock):
            yield from _outside_of_blocks(node.iter_child_nodes())


def _said(output: jinja2.nodes.Output) -> str:
    data = [node.data for node in output.find_all(jinja2.nodes.TemplateData)]
    spoken = [line for line in "".join(data).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return spoken[0].strip() if spoken else "{{ ... }}" if len(data) < len(output.nodes) else ""
