"""The modules.yaml of a medium, out of those of the repositories that its packages come from.

Documents of streams are kept as they were written. What a medium adds comes from its being one repository: defaults of
several are merged, and packages that no stream may hide get a module of their own.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from isobuilder.errors import MediumError
from isobuilder.repository.modules import merge_defaults, read_modules

# The module of packages out of repositories of hotfixes. It is active everywhere, and hides nothing itself.
HOTFIXES = "isobuilder-hotfixes"


class MediumModules:
    """The modules of a medium on which `streams` (NAME:STREAM) are active in some role.

    `published` are the files of the repositories, by id, compressed or not. Of an active stream every build is kept, so
    that contexts are chosen on the medium as upstream; builds of other streams are not, since their packages are not
    there. Raises TrustError for what is not modulemd, and MediumError where two repositories have different builds of
    one identity.
    """

    def __init__(self, published: Mapping[str, bytes], streams: Collection[str]) -> None:
        self._published = [read_modules(data, repository) for repository, data in published.items()] if streams else []
        builds = [build for each in self._published for build in each.index.streams if build.id in streams]
        self._modules = {build.name for build in builds}
        self._kept: dict[str, str] = {}
        for each in self._published:
            for build in (build for build in each.index.streams if build.id in streams):
                self._keep(build.full_id, each.texts[build.full_id])
        # By these names the streams hide packages.
        self.names = frozenset(artifact.name for build in builds for artifact in build.artifacts)

    def text(self, hotfixes: Mapping[str, str]) -> bytes:
        """The file as plain YAML, or nothing. `hotfixes` are packages that no stream may hide: NEVRA to name."""
        if not self._kept:
            return b""
        others = (text for each in self._published for module, text in each.others if module in self._modules)
        defaults = merge_defaults(each.index for each in self._published) or {}
        written = [*self._kept.values(), *dict.fromkeys(others)]
        for module, known in sorted(defaults.items()):
            stream = {"stream": known.stream} if known.stream else {}
            profiles = {name: list(profiles) for name, profiles in sorted(known.profiles.items())}
            data = {"module": module, "modified": known.modified, **stream, "profiles": profiles}
            written.append(_document("modulemd-defaults", 1, data))
        if hotfixes:
            written += _exempt(hotfixes)
        return "".join(f"---\n{text}\n...\n" for text in written).encode()

    def _keep(self, identity: str, text: str) -> None:
        if self._kept.setdefault(identity, text) != text:
            raise MediumError(
                f"two repositories have different builds of one module: {identity}",
                hint="Leave one of the repositories out: on the medium all are one.",
            )


def _exempt(hotfixes: Mapping[str, str]) -> Iterator[str]:
    """A stream that has packages and, having given up their names, hides no others."""
    yield _document(
        "modulemd",
        2,
        {
            "name": HOTFIXES,
            "stream": "medium",
            "version": 1,
            "context": "00000000",
            "arch": "noarch",
            "summary": "Packages that no stream of another module hides",
            "description": "They come from repositories with module_hotfixes.",
            "license": {"module": ["MIT"]},
            "artifacts": {"rpms": sorted(hotfixes)},
            "demodularized": {"rpms": sorted(set(hotfixes.values()))},
        },
    )
    yield _document("modulemd-defaults", 1, {"module": HOTFIXES, "stream": "medium", "profiles": {}})


def _document(kind: str, version: int, data: Mapping[str, Any]) -> str:
    """JSON is YAML, too."""
    return json.dumps({"document": kind, "version": version, "data": data}, indent=1)
