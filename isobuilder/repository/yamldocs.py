"""YAML of repositories, read as a stream of documents: bounded, and without anything that could be amplified.

Scalars stay text ("1.10" is a name, not a number), as in libmodulemd. What the documents mean is not known here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from isobuilder.errors import TrustError

# A text, a list or a mapping of nodes.
Node = Any

# modulemd goes eight deep, besides what a build system keeps for itself.
_MAX_DEPTH = 64
# The largest stream of CentOS Stream 8 has some thousand artifacts.
_MAX_NODES = 1 << 20


@dataclass(frozen=True)
class Document:
    """One document: what it says, and its text, which begins behind the line `---`."""

    node: Node
    text: str


def documents(data: bytes, where: str) -> Iterator[Document]:
    """The documents of plain YAML, one after the other.

    Raises TrustError where it is not YAML in UTF-8, refers to an earlier node (an alias, by which a small file can be
    an endless one), declares tags, or has a document of more nodes, or more within each other, than metadata has.
    """
    try:
        text = data.decode("utf-8-sig")
        loader: Any = yaml.CBaseLoader(text)
        start = 0
        while (event := loader.get_event()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                if event.tags:
                    raise TrustError(f"{where}: line {_line(event)}: it declares tags of its own; metadata never does")
                start = _index(event.end_mark)
                node = _Builder(where).build(loader.get_event)
                yield Document(node, text[start : _index(loader.peek_event().start_mark)].strip("\n"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrustError(f"{where}: not YAML: {' '.join(str(error).split())}") from error


@dataclass
class _Builder:
    """Puts the nodes of one document together. No recursion: what nests deepest is refused before it can hurt."""

    where: str
    open: list[list[Node] | dict[str, Node]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    nodes: int = 0

    def build(self, next_event: Callable[[], Any]) -> Node:
        while True:
            event = next_event()
            self.nodes += 1
            if self.nodes > _MAX_NODES:
                raise TrustError(f"{self.where}: line {_line(event)}: a document of more than {_MAX_NODES:,} nodes")
            if isinstance(event, yaml.ScalarEvent):
                done = self._add(event.value, event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.keys.pop()
                done = self._add(self.open.pop(), event)
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(self.open) == _MAX_DEPTH:
                    raise TrustError(f"{self.where}: line {_line(event)}: more than {_MAX_DEPTH} nodes in each other")
                self.open.append([] if isinstance(event, yaml.SequenceStartEvent) else {})
                self.keys.append(None)
                continue
            else:
                raise TrustError(f"{self.where}: line {_line(event)}: an alias of an earlier node; metadata has none")
            if done is not None:
                return done

    def _add(self, node: Node, event: Any) -> Node | None:
        """Put `node` where it belongs; it comes back when it is the whole document."""
        if not self.open:
            return node
        within, key = self.open[-1], self.keys[-1]
        if isinstance(within, list):
            within.append(node)
        elif key is not None:
            within[key] = node
            self.keys[-1] = None
        elif isinstance(node, str):
            self.keys[-1] = node
        else:
            raise TrustError(f"{self.where}: line {_line(event)}: a key that is no text")
        return None


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _index(mark: Any) -> int:
    return int(mark.index)
