"""What jinja2 would drop from a template without a word: all that is in no block of the one that it extends."""

from collections.abc import Iterable, Iterator

import jinja2
import jinja2.nodes

from isobuilder.errors import KickstartError
from isobuilder.schema import did_you_mean


def check_blocks(environment: jinja2.Environment, name: str) -> set[str]:
    """The blocks that a template may fill, its parents' and its own.

    Raises KickstartError for text outside of every block, and for blocks that no parent has.
    """
    source = environment.loader.get_source(environment, name)[0] if environment.loader else ""
    tree = environment.parse(source, name)
    own = {block.name for block in tree.find_all(jinja2.nodes.Block)}
    extends = next((node for node in tree.body if isinstance(node, jinja2.nodes.Extends)), None)
    if extends is None or not isinstance(extends.template, jinja2.nodes.Const):
        return own
    base = extends.template.value
    known = check_blocks(environment, base)
    mistakes = []
    for node in _outside_of_blocks(tree.body):
        where = f"{name}, line {node.lineno}"
        if isinstance(node, jinja2.nodes.Block) and node.name not in known:
            mistakes.append(f"{where}: {base} has no block {node.name!r}{did_you_mean(node.name, known)}")
        elif isinstance(node, jinja2.nodes.Output) and (text := _said(node)):
            mistakes.append(f"{where}: this stands outside of every block, and would be dropped: {text!r}")
    if mistakes:
        raise KickstartError(f"{name}: parts of it would be lost", details=mistakes)
    return known | own


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
