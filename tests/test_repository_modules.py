"""Module metadata: what is read of it, what is refused, and how defaults of several repositories become one."""

import gzip
import subprocess
import sys

import pytest

from isobuilder.errors import TrustError
from isobuilder.repository import yamldocs
from isobuilder.repository.modules import merge_defaults, parse_modules
from isobuilder.repository.yamldocs import documents
from tests.modular import Build, defaults, obsoletes
from tests.repositories import COMPRESSIONS, Fake

BUILD = Build(
    "nodejs",
    "1.10",
    [Fake("nodejs", "1:10-1", "x86_64")],
    version=820200101000000,
    requires={"platform": ["el8"], "runtime": []},
    profiles={"common": ["nodejs", "npm"]},
    demodularized=["old"],
    more=["npm-6-1.noarch", "nodejs-1:10-1.src", "no NEVRA"],
)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_stream_is_read(compression: str) -> None:
    data = (BUILD.text + obsoletes("nodejs", "1.10", "2") + defaults("nodejs", "1.10", {"1.10": ["common"]})).encode()
    index = parse_modules(COMPRESSIONS[compression](data), "base")
    (stream,) = index.streams
    # Text stays text: as a number, this stream would be 1.1.
    assert stream.full_id == "nodejs:1.10:820200101000000:c0ffee:x86_64"
    assert stream.requires == (("platform", ("el8",)), ("runtime", ()))
    assert stream.profiles == {"common": ("nodejs", "npm")}
    assert [(artifact.name, artifact.key, artifact.source) for artifact in stream.artifacts] == [
        ("nodejs", "nodejs-1:10-1.x86_64", False),
        ("npm", "npm-6-1.noarch", False),
        ("nodejs", "nodejs-1:10-1.src", True),
    ]
    assert (stream.static, *stream.demodularized, stream.repository) == (False, "old", "base")
    assert index.defaults["nodejs"].stream == "1.10"
    assert index.defaults["nodejs"].profiles == {"1.10": ("common",)}


def test_what_is_not_understood_is_left_out_with_a_note() -> None:
    kinds = (("modulemd", 1), ("modulemd-packager", 3))
    text = "".join(f"---\ndocument: {kind}\nversion: {version}\ndata: {{name: x}}\n" for kind, version in kinds)
    index = parse_modules(text.encode(), "base")
    assert not index.streams
    assert index.notes == (
        "repository base: modules: modulemd of version 1 is left out",
        "repository base: modules: modulemd-packager of version 3 is left out",
    )


def test_an_empty_file_has_no_modules() -> None:
    assert parse_modules(b"", "base").streams == ()
    assert parse_modules(b"---\n...\n", "base").streams == ()


def changed(old: str, new: str) -> bytes:
    assert old in BUILD.text
    return BUILD.text.replace(old, new).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff", "not YAML: 'utf-8' codec"),
        (b"a: [", "not YAML: while parsing"),
        (b"a: \x01", "not YAML: .*control characters are not allowed"),
        (b"- a\n", "document 1: not modulemd"),
        (b"document: modulemd\nversion: 2\n", "document 1: not modulemd"),
        (b"document: [modulemd]\nversion: 2\ndata: {}\n", "document 1: document is no text"),
        (b"document: modulemd\ndata: {}\n", "document 1: version is not there"),
        (b"a: &x 1\nb: *x\n", "line 2: an alias of an earlier node"),
        (b"a: &x [*x]\n", "line 1: an alias"),
        (b"%TAG ! tag:example.org,2000:\n---\na: b\n", "line 1: it declares tags"),
        (b"? [a]\n: b\n", "line 1: a key that is no text"),
        (b"- " * 100 + b"a", "line 1: more than 64 nodes in each other"),
        (b"[" * 100, "line 1: more than 64 nodes in each other"),
        (changed('stream: "1.10"', 'stream: ""'), "stream '' is no name"),
        (changed('stream: "1.10"', 'stream: "a) or b"'), "no name"),
        (changed('stream: "1.10"', "stream: [x]"), "stream is no text"),
        (changed("  name: nodejs\n", ""), "name is not there"),
        (changed("version: 82020", "version: -82020"), "version '-820200101000000' is no number"),
        (changed("profiles:\n    common:", "profiles:\n    common: []\n    other:"), "^(?!.*is no)"),
        (changed("rpms: [nodejs, npm]", "rpms: nodejs"), "profiles: common: rpms is no list"),
        (changed("rpms: [old]", "rpms: [[old]]"), "demodularized: rpms is no list of texts"),
        (changed("runtime: []", "runtime: [a b]"), "'a b' is no name"),
        (changed("  - requires:", "    requires:"), "dependencies is no list of mappings"),
    ],
)
def test_what_is_not_modulemd_is_refused(data: bytes, words: str) -> None:
    if words.startswith("^"):
        # An empty list for an empty mapping does no harm.
        assert parse_modules(data, "base").streams
        return
    with pytest.raises(TrustError, match=f"repository base: modules: .*{words}"):
        parse_modules(data, "base")


def test_too_many_nodes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamldocs, "_MAX_NODES", 10)
    assert len(list(documents(b"---\n[a, b]\n" * 10, "x"))) == 10
    with pytest.raises(TrustError, match="line 1: a document of more than 10 nodes"):
        list(documents(b"[a, b, c, d, e, f, g, h, i, j]", "x"))


def test_a_file_that_unpacks_to_more_than_modules_can_have_is_refused() -> None:
    with pytest.raises(TrustError, match="modules unpacks to more than"):
        parse_modules(gzip.compress(b"\n" * (65 << 20)), "base")


def test_the_text_of_a_document_is_kept() -> None:
    texts = ["{a: é}", "# a comment\nb: |\n  text\n\n  more", "c: d"]
    data = f"---\n{texts[0]}\n...\n---\n{texts[1]}\n---\n{texts[2]}\n".encode()
    found = list(documents(data, "x"))
    assert [document.text.strip() for document in found] == texts
    assert [document.node for document in found] == [{"a": "é"}, {"b": "text\n\nmore\n"}, {"c": "d"}]


@pytest.mark.parametrize(
    ("texts", "stream", "profiles"),
    [
        ((defaults("m", "1", {"1": ["a"]}), defaults("m", "2", {"2": ["b"]}, 2)), "2", {"1": ("a",), "2": ("b",)}),
        ((defaults("m", "1", modified=2), defaults("m", "2", modified=1)), "1", {}),
        ((defaults("m", "1"), defaults("m", "2")), "", {}),
        ((defaults("m", "1"), defaults("m", "2"), defaults("m", "3", modified=9)), "", {}),
        ((defaults("m", "1", {"1": ["a"]}), defaults("m", "1", {"1": ["b"]}, 2)), "1", {"1": ("b",)}),
        ((defaults("m"), defaults("m", "1", modified=0)), "1", {}),
    ],
)
def test_defaults_of_several_repositories(texts: tuple[str, ...], stream: str, profiles: dict[str, tuple[str]]) -> None:
    merged = merge_defaults([parse_modules(text.encode(), "x") for text in texts])
    assert merged is not None
    assert (merged["m"].stream, merged["m"].profiles) == (stream, profiles)


def test_defaults_that_contradict_each_other_are_none() -> None:
    texts = [defaults("m", "1", {"1": ["a"]}), defaults("m", "1", {"1": ["b"]})]
    assert merge_defaults([parse_modules(text.encode(), "x") for text in texts]) is None


def test_a_large_file_takes_little_memory() -> None:
    script = """
import resource, sys
from isobuilder.repository.modules import parse_modules
from tests.modular import Build
from tests.repositories import Fake
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
packages = [Fake(f"package{n}", "1.2.3-4.module_el8", "x86_64") for n in range(100)]
text = "".join(Build("m", str(n), packages).text for n in range(600)).encode()
assert len(text) > 2_500_000
assert len(parse_modules(text, "x").streams) == 600
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 120_000
