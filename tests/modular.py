"""Repositories with modules for tests: modulemd documents of streams that exist in metadata only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.repositories import Fake


@dataclass(frozen=True)
class Build:
    """One build of a stream, as a document of modulemd version 2. `packages` are its artifacts."""

    name: str
    stream: str
    packages: Sequence[Fake] = ()
    version: int = 1
    context: str = "c0ffee"
    arch: str = "x86_64"
    requires: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"platform": ["el9"]})
    profiles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    static: bool = False
    demodularized: Sequence[str] = ()
    more: Sequence[str] = ()

    @property
    def id(self) -> str:
        return f"{self.name}:{self.stream}:{self.version}:{self.context}"

    @property
    def text(self) -> str:
        """The document, with the lines that libmodulemd insists on."""
        profiles = "".join(
            f"\n    {name}:\n      rpms: [{', '.join(names)}]" for name, names in sorted(self.profiles.items())
        )
        artifacts = "".join(f"\n    - {rpm}" for rpm in [*(fake.nevra for fake in self.packages), *self.more])
        requires = "".join(f"\n      {name}: [{', '.join(names)}]" for name, names in sorted(self.requires.items()))
        return (
            f"---\ndocument: modulemd\nversion: 2\ndata:\n  name: {self.name}\n  stream: {quoted(self.stream)}\n"
            f"  version: {self.version}\n  context: {self.context}\n  arch: {self.arch}\n"
            + ("  static_context: true\n" if self.static else "")
            + "  summary: for a test\n  description: for a tést\n  license:\n    module: [MIT]\n"
            + (f"  dependencies:\n  - requires:{requires}\n" if requires else "")
            + (f"  profiles:{profiles}\n" if profiles else "")
            + (f"  artifacts:\n    rpms:{artifacts}\n" if artifacts else "")
            + (f"  demodularized:\n    rpms: [{', '.join(self.demodularized)}]\n" if self.demodularized else "")
            + "...\n"
        )


def defaults(
    module: str, stream: str = "", profiles: Mapping[str, Sequence[str]] | None = None, modified: int = 1
) -> str:
    """A document of modulemd-defaults."""
    listed = "".join(f"\n    {quoted(name)}: [{', '.join(names)}]" for name, names in (profiles or {}).items())
    return (
        f"---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: {module}\n  modified: {modified}\n"
        + (f"  stream: {quoted(stream)}\n" if stream else "")
        + (f"  profiles:{listed}\n" if listed else "  profiles: {}\n")
        + "...\n"
    )


def obsoletes(module: str, stream: str, by: str) -> str:
    """A document of modulemd-obsoletes: that stream's place is taken by the stream `by` of the same module."""
    return (
        "---\ndocument: modulemd-obsoletes\nversion: 1\ndata:\n  modified: 2020-01-01T00:00Z\n"
        f"  module: {module}\n  stream: {quoted(stream)}\n  message: it is old\n"
        f"  obsoleted_by:\n    module: {module}\n    stream: {quoted(by)}\n...\n"
    )


def quoted(text: str) -> str:
    return f'"{text}"'
