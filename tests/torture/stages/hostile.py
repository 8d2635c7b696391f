"""Inputs that mean harm: metadata, lists of mirrors, trees, images, definitions, templates, locks, packages, media."""

import functools
import gzip
import hashlib
import json
import lzma
import os
import random
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import zstandard

from tests.torture.cases import Case, Cases, Reference, Report
from tests.torture.judge import Scene, broken_rules, build, look_around, make_scene, run
from tests.torture.lyingserver import honest, lie
from tests.torture.metadata import Files, plain, record, repomd_of, republished
from tests.torture.upstream import ISO, URL, metalink

STAGE = "hostile"
_MADE_MEDIA = 12
_TORN_PACKAGES = 16


def cases() -> Cases:
    for name, (make, codes) in _SERVED.items():
        yield Case(STAGE, name, functools.partial(_served, make, codes))
    for name, (change, codes) in _CHANGED.items():
        yield Case(STAGE, name, functools.partial(_changed, change, codes))
    for number in range(_TORN_PACKAGES):
        yield Case(STAGE, f"package-{number}", functools.partial(_torn_package, number))
    for number in range(_MADE_MEDIA):
        yield Case(STAGE, f"medium-{number}", functools.partial(_torn_medium, number))
    for number in range(8):
        yield Case(STAGE, f"source-{number}", functools.partial(_torn_source, number))


def _served(make: Callable[[Files], Files], codes: set[int], good: Reference, folder: Path, rng: random.Random,
            report: Report) -> None:  # fmt: skip
    """A server with something hostile among its files; the definition is a good one."""
    files = make(good.upstream.files)
    mirrors = "/metalink" in files and any(
        files[path] != good.upstream.files.get(path) for path in ("/metalink", "/mirrorlist")
    )
    scene = make_scene(folder, good.upstream, mirrors=mirrors)
    with lie(files, honest):
        done = build(scene)
    _judge(scene, good, done, codes, report)


def _changed(change: Callable[[Scene, Reference], None], codes: set[int], good: Reference, folder: Path,
             rng: random.Random, report: Report) -> None:  # fmt: skip
    """Something hostile beside the definition, or in it; the server is a good one."""
    scene = make_scene(folder, good.upstream)
    (scene.home / "secret").write_text("nobody should see this: 7f3a9c\n")
    change(scene, good)
    look_around(scene)
    with lie(good.upstream.files, honest):
        done = build(scene)
    planted = scene.output / f".{ISO}.part"
    if planted.is_symlink():
        planted.unlink()
    _judge(scene, good, done, codes, report)
    if "7f3a9c" in done.said:
        report.broken.append("it tells what is in another file")


def _judge(scene: Scene, good: Reference, done: object, codes: set[int], report: Report) -> None:
    report.figures["hostile inputs"] += 1
    report.broken += broken_rules(scene, done, codes)  # type: ignore[arg-type]


# Metadata that a server has: how the files change, and what the exit code may be.
_SERVED: dict[str, tuple[Callable[[Files], Files], set[int]]] = {}
_REPLACED: dict[str, tuple[str, str | bytes]]


def _primary(old: str, new: str | bytes, *, count: int = 0) -> Callable[[Files], Files]:
    """The primary of /extra with one thing replaced by another."""

    def make(files: Files) -> Files:
        to = new.encode() if isinstance(new, str) else new
        data, found = re.subn(old.encode(), lambda _match: to, plain(files, "primary"), count=count)
        if not found:
            raise ValueError(f"primary has no {old}")
        return republished(files, {"primary": data})

    return make


for _number, _href in enumerate(
    (
        "../../../escaped.rpm", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/x.rpm", "Packages/../../x.rpm",
        "%2e%2e/%2e%2e/x.rpm", "..%2f..%2fx.rpm", "..\\..\\x.rpm", "Packages/&#10;x.rpm", "", "x" * 5_000, "./.", "a//b",
        "Packages/x.rpm?y=1", "Packages/x.rpm#y", "javascript:alert(1)", "Packages/{{7*7}}.rpm", "Packages/$(id).rpm",
        "Packages/&#x202e;mpr.rpm", "~root/x.rpm", "C:/x.rpm", "//127.0.0.1:1/x.rpm",
    )
):  # fmt: skip
    _SERVED[f"href-{_number}"] = _primary(r'(?<=location href=")[^"]*', _href), {4, 5}
_REPLACED = {
    "size-zero": (r'(?<=size package=")[0-9]+', "0"),
    "size-huge": (r'(?<=size package=")[0-9]+', "9" * 18),
    "size-negative": (r'(?<=size package=")[0-9]+', "-1"),
    "size-words": (r'(?<=size package=")[0-9]+', "large"),
    "size-smaller": (r'(?<=size package=")[0-9]+', "100"),
    "sum-wrong": (r'(?<=pkgid="YES">)[0-9a-f]+', "a" * 64),
    "sum-short": (r'(?<=pkgid="YES">)[0-9a-f]+', "abc"),
    "sum-climbs": (r'(?<=pkgid="YES">)[0-9a-f]+', "../" * 21 + "x"),
    "sum-md5": (r'checksum type="sha256"', 'checksum type="md5"'),
    "sum-sha512": (r'checksum type="sha256"', 'checksum type="sha512"'),
    "name-climbs": ("<name>extra</name>", "<name>../../extra</name>"),
    "name-of-lines": ("<name>extra</name>", "<name>extra&#10;%end&#10;rm -rf /</name>"),
    "name-of-quotes": ("<name>extra</name>", "<name>extra'\"`$(id)</name>"),
    "name-of-template": ("<name>extra</name>", "<name>{{ 7*7 }}</name>"),
    "name-empty": ("<name>extra</name>", "<name/>"),
    "name-of-no-utf-8": ("<name>extra</name>", b"<name>extra\xff\xfe</name>"),
    "arch-unknown": ("<arch>noarch</arch>", "<arch>../vax</arch>"),
    "no-location": ("<location [^>]*/>", ""),
    "no-checksum": ("<checksum.*?</checksum>", ""),
    "no-version": ("<version [^>]*/>", ""),
    "no-arch": ("<arch>.*?</arch>", ""),
    "version-long": (r'(?<= ver=")2', "2" * 100_000),
    "epoch-words": (r'(?<=epoch=")0', "many"),
    "epoch-huge": (r'(?<=epoch=")0', "9" * 40),
    "count-lies": (r'(?<=packages=")1', "999999999999"),
    "count-negative": (r'(?<=packages=")1', "-5"),
    "xml-base": ("<location href", '<location xml:base="http://127.0.0.1:1/" href'),
    "xml-base-file": ("<location href", '<location xml:base="file:///etc/" href'),
    "cut-in-a-tag": ("</metadata>.*", "<packa"),
    "twice": ("</package>", "</package><package type='rpm'><name>extra</name></package>"),
    "entity-unknown": ("<name>extra</name>", "<name>&nothing;</name>"),
    "zero-character": ("<name>extra</name>", b"<name>ex\0tra</name>"),
    "ten-thousand-deep": ("<format>", "<format>" + "<rpm:a>" * 10_000),
    "another-encoding": ('encoding="UTF-8"', 'encoding="UTF-7"'),
}
for _name, (_old, _new) in _REPLACED.items():  # fmt: skip
    _SERVED[f"primary-{_name}"] = _primary(_old, _new), {0, 3, 4, 5, 6, 8}

_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaaaaaaaaaaaa">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1 or str()};" * 10}">' for n in range(1, 10))
    + "]>"
)
_OUTSIDE = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'


def _with_prolog(kind: str, prolog: str, entity: str) -> Callable[[Files], Files]:
    """A document that begins with `prolog`, and has the entity where text is."""

    def make(files: Files) -> Files:
        if kind == "repomd":
            data = files["/extra/repodata/repomd.xml"].replace(
                b'<?xml version="1.0" encoding="UTF-8"?>', prolog.encode()
            )
            return {**files, "/extra/repodata/repomd.xml": data.replace(b"<revision>", f"<revision>{entity}".encode())}
        if kind == "group":
            text = f"{prolog}<comps><group><id>core</id><name>{entity}</name></group></comps>"
            return republished(files, {"group": text.encode()})
        if kind == "metalink":
            return {**files, "/metalink": prolog.encode() + files["/metalink"].partition(b"?>")[2].replace(
                b"<resources>", f"<resources><url>{entity}</url>".encode())}  # fmt: skip
        data = plain(files, kind).partition(b"?>")[2].replace(b"<package", f"{entity}<package".encode(), 1)
        return republished(files, {kind: prolog.encode() + data})

    return make


for _kind in ("primary", "filelists", "other", "group", "repomd", "metalink"):
    _SERVED[f"bomb-{_kind}"] = _with_prolog(_kind, _BOMB, "&a9;"), {5}
    _SERVED[f"entity-{_kind}"] = _with_prolog(_kind, _OUTSIDE, "&f;"), {5}


def _packed(kind: str, data: Callable[[], bytes]) -> Callable[[Files], Files]:
    return lambda files: republished(files, {kind: data()})


for _kind in ("primary", "filelists", "group", "modules"):
    _SERVED[f"gzip-bomb-{_kind}"] = _packed(_kind, lambda: gzip.compress(bytes(1 << 20), 9) * 1_500), {5}
    _SERVED[f"zstd-bomb-{_kind}"] = _packed(_kind, lambda: zstandard.compress(bytes(1 << 24), 3) * 100), {5}
    _SERVED[f"noise-{_kind}"] = _packed(_kind, lambda: random.Random(5).randbytes(5_000)), {5}
    _SERVED[f"empty-{_kind}"] = _packed(_kind, lambda: b""), {0, 5}
    _SERVED[f"torn-{_kind}"] = _packed(_kind, lambda: gzip.compress(b"<?xml version='1.0'?><metadata>" * 99)[:-9]), {5}


def _xz_of_gigabytes() -> bytes:
    """A few bytes whose header says that unpacking them takes 4 GiB."""
    data = bytearray(lzma.compress(b"x" * 99, format=lzma.FORMAT_XZ))
    size = (data[12] + 1) * 4
    data[16] = 40
    data[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(data[12 : 12 + size - 4]))
    return bytes(data)


_SERVED["xz-memory"] = _packed("primary", _xz_of_gigabytes), {5}
_YAML = "---\ndocument: modulemd\nversion: 2\ndata:\n  name: {name}\n  stream: '{stream}'\n  version: 1\n  context: c\n  arch: noarch\n  summary: s\n  description: d\n  license: {{module: [MIT]}}\n"
for _name, _text in {
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefg", "bcdefgh", strict=True)),
    "object": "--- !!python/object/apply:os.system ['touch escaped']\n", "deep": "[" * 100_000, "tabs": "\t\t- : :\n",
    "of-no-utf-8": "---\nname: \udcff\n", "name-climbs": _YAML.format(name="../../x", stream="1"),
    "stream-of-lines": _YAML.format(name="x", stream="1\\n\\nrm -rf"), "template": _YAML.format(name="'{{7*7}}'", stream="{{7*7}}"),
    "timestamps": "---\ndocument: modulemd\nversion: 99999999999999999999999\ndata: 2001-99-99\n", "merge": "---\n<<: [1, 2]\n",
    "null": "---\n", "a-number": "--- 5\n", "many-documents": "---\n" * 200_000,
}.items():  # fmt: skip
    _SERVED[f"modules-{_name}"] = _packed("modules", lambda text=_text: text.encode(errors="surrogateescape")), {0, 5}  # type: ignore[misc]
for _name, _text in {
    "id-climbs": "<group><id>../../x</id><name>x</name></group>", "no-id": "<group><name>x</name></group>",
    "name-of-lines": "<group><id>core</id><name>a&#10;%end&#10;b</name></group>",
    "id-template": "<group><id>{{7*7}}</id><name>{% raw %}</name></group>",
    "package-of-lines": "<group><id>core</id><name>Core</name><packagelist><packagereq type='mandatory'>a&#10;b</packagereq></packagelist></group>",
    "package-climbs": "<group><id>core</id><name>Core</name><packagelist><packagereq type='mandatory'>../../../etc/passwd</packagereq></packagelist></group>",
    "package-glob": "<group><id>core</id><name>Core</name><packagelist><packagereq type='mandatory'>*</packagereq></packagelist></group>",
    "type-unknown": "<group><id>core</id><name>Core</name><packagelist><packagereq type='zzz'>tiny-0</packagereq></packagelist></group>",
    "deep": "<group>" * 5_000, "other-root": "</comps><comps>",
}.items():  # fmt: skip
    _SERVED[f"comps-{_name}"] = _packed("group", lambda text=_text: f"<comps>{text}</comps>".encode()), {0, 5, 6}  # type: ignore[misc]


def _repomd(name: str, **other: str) -> Callable[[Files], Files]:
    def make(files: Files) -> Files:
        records = [
            record(kind, plain(files, kind), **(other if kind == name else {}))
            for kind in ("primary", "filelists", "other")
        ]
        return republished(files, {}, repomd=repomd_of("".join(records)))

    return make


for _kind, _other in (
    ("primary", {"href": "../../../escaped"}), ("primary", {"href": "file:///etc/passwd"}), ("primary", {"href": "/etc/passwd"}),
    ("primary", {"href": "http://127.0.0.1:1/x"}), ("primary", {"href": ""}), ("primary", {"size": "0"}),
    ("primary", {"size": "-1"}), ("primary", {"size": "9" * 17}), ("primary", {"size": "99999999999999999999999999"}),
    ("primary", {"size": "5"}), ("primary", {"sum": "0" * 64}), ("primary", {"sum": "../" * 20}), ("filelists", {"sum": ""}),
    ("primary", {"algorithm": "md5"}), ("primary", {"algorithm": "sha"}), ("filelists", {"size": "１２"}), ("other", {"href": "%00"}),
):  # fmt: skip
    _SERVED[f"repomd-{_kind}-{next(iter(_other.items()))[0]}-{len(_SERVED)}"] = _repomd(_kind, **_other), {4, 5, 7}


def _one(path: str, data: bytes | Callable[[bytes], bytes] | None) -> Callable[[Files], Files]:
    """One file of the server is another, or not there."""

    def make(files: Files) -> Files:
        if data is None:
            return {at: have for at, have in files.items() if at != path}
        return {**files, path: data if isinstance(data, bytes) else data(files[path])}

    return make


for _name, _data in {
    "empty": b"", "html": b"<html>", "noise": bytes(range(256)), "no-records": repomd_of(""), "deep": b"<a>" * 50_000,
    "other-root": b"<a/>", "utf-16": '<?xml version="1.0" encoding="UTF-16"?><repomd/>'.encode("utf-16"),
    "twenty-megabytes": b"<repomd>" + b" " * (20 << 20) + b"</repomd>",
}.items():  # fmt: skip
    _SERVED[f"repomd-{_name}"] = _one("/extra/repodata/repomd.xml", _data), {4, 5}
for _name, _path in {"key": "/os/RPM-GPG-KEY-tiny", "repomd": "/extra/repodata/repomd.xml", "signature": "/os/repodata/repomd.xml.asc",
                     "treeinfo": "/os/.treeinfo", "kernel": "/os/images/pxeboot/vmlinuz", "loader": "/os/EFI/BOOT/BOOTX64.EFI",
                     }.items():  # fmt: skip
    _SERVED[f"missing-{_name}"] = _one(_path, None), {4, 5}
    _SERVED[f"empty-{_name}"] = _one(_path, b""), {4, 5, 8}
    _SERVED[f"html-{_name}"] = _one(_path, b"<!DOCTYPE html><html><body>Login</body></html>"), {4, 5, 8}
    _SERVED[f"noise-{_name}"] = _one(_path, random.Random(7).randbytes(3_000)), {4, 5, 8}
for _name, _url in {
    "file": "file:///etc/", "climbs": f"{URL}/os/../../../", "password": "http://joe:word@127.0.0.1:8080/os/", "query":
    f"{URL}/os/?x=", "lines": f"{URL}/os/&#10;evil", "ftp": "ftp://127.0.0.1/", "relative": "os/", "nonsense": "http://[::/",
    "dead": "http://127.0.0.1:1/os/", "unicode": "http://127.0.0.1:8080/ös/", "port": "http://127.0.0.1:99999/os/",
}.items():  # fmt: skip
    _SERVED[f"metalink-{_name}"] = (
        lambda files, url=_url: {**files, "/metalink": metalink(files["/os/repodata/repomd.xml"], [url])},  # type: ignore[misc]
        {4, 5},
    )
    _SERVED[f"mirrorlist-{_name}"] = _one("/mirrorlist", f"{_url}\n".encode()), {4, 5}
_SERVED["metalink-old"] = _one("/metalink", lambda data: data.replace(b'type="sha256">', b'type="md5">')), {5}
_SERVED["metalink-other-sum"] = _one("/metalink", lambda data: re.sub(rb"[0-9a-f]{64}", b"0" * 64, data)), {5}
_SERVED["metalink-thousands"] = _one("/metalink", lambda data: data.replace(b"<resources>", b"<resources>" + b"<url>http://127.0.0.1:1/a/repodata/repomd.xml</url>" * 9_999)), {0, 4}  # fmt: skip
_SERVED["mirrorlist-binary"] = _one("/mirrorlist", bytes(range(256)) * 40), {4}
_SERVED["mirrorlist-long-line"] = _one("/mirrorlist", b"http://127.0.0.1:8080/" + b"x" * 2_000_000), {4}
_SUM = rb"(?m)^images/pxeboot/vmlinuz = "
for _name, _change in {
    "climbs": lambda data: re.sub(_SUM, b"../../../../escaped = ", data), "absolute": lambda data: re.sub(_SUM, b"/etc/passwd = ", data),
    "scheme": lambda data: re.sub(_SUM, b"http://x/y = ", data), "other-arch": lambda data: data.replace(b"x86_64", b"aarch64"),
    "no-arch": lambda data: re.sub(rb"(?m)^arch.*$", b"", data), "time-huge": lambda data: re.sub(rb"timestamp = .*", b"timestamp = 99999999999", data),
    "time-words": lambda data: re.sub(rb"timestamp = .*", b"timestamp = today", data), "no-sections": lambda data: b"a = b\n",
    "cut": lambda data: data[: len(data) // 3], "of-no-utf-8": lambda data: data + b"\n[x]\na = \xff\xff\n", "zeros": lambda data: data + bytes(100),
    "interpolation": lambda data: data + b"\n[general]\nname = %(x)s ${y}\n", "twice": lambda data: data + data,
    "wrong-sum": lambda data: re.sub(rb"(?<=vmlinuz = sha256:)\w+", b"0" * 64, data), "weak-sums": lambda data: data.replace(b"sha256:", b"md5:"),
    "endless-line": lambda data: data + b"x" * 5_000_000,
}.items():  # fmt: skip
    _SERVED[f"treeinfo-{_name}"] = _one("/os/.treeinfo", _change), {0, 4, 5} if _name in {
        "twice", "interpolation", "weak-sums", "zeros", "endless-line"} else {4, 5}  # fmt: skip


# What lies beside the definition or in it: how the scene changes, and what the exit code may be.
_CHANGED: dict[str, tuple[Callable[[Scene, Reference], None], set[int]]] = {}


def _line(table: str, line: str) -> Callable[[Scene, Reference], None]:
    """A line more in a table of the definition; "" is what stands before all tables."""

    def change(scene: Scene, _good: Reference) -> None:
        path = scene.home / "media.toml"
        text = path.read_text()
        name = line.partition("=")[0].strip()
        if not table:
            text = re.sub(rf"(?m)^{name} .*\n", "", text)
            path.write_text(f"{line}\n{text}", errors="surrogateescape")
        elif f"[{table}]" in text:
            text = re.sub(rf"(?m)^{name} .*\n", "", text)
            path.write_text(text.replace(f"[{table}]", f"[{table}]\n{line}"), errors="surrogateescape")
        else:
            path.write_text(f"{text}\n[{table}]\n{line}\n", errors="surrogateescape")

    return change


_WORDS = (
    '"a\\nb"',
    '"a\\"b"',
    '"{{ 7*7 }}"',
    '"{% raw %}"',
    '"$(id)"',
    '"../../x"',
    '"\\u0000"',
    '"\\u202e"',
    '"' + "x" * 9_999 + '"',
    '""',
    "5",
    "[]",
)
for _number, _word in enumerate(_WORDS):
    for _table, _key in (("", "name"), ("", "volume-id"), ("menu", "title"), ("role.minimal", "title"), ("install", "timezone"),
                         ("install", "keyboard"), ("install", "root-password"), ("install", "console")):  # fmt: skip
        if (_number + len(_key)) % 3 == 0 or _word == '"a\\nb"':
            # A title may be in any language and say nearly anything: it is quoted where it goes.
            _may = {0, 3} if _key == "title" else {3}
            _CHANGED[f"definition-{_key}-{_number}"] = _line(_table, f"{_key} = {_word}"), _may
for _number, _line_ in enumerate(
    (
        'ssh-keys = ["ssh-ed25519 AAAA\\nrootpw x"]', 'ssh-keys = ["ssh-ed25519 \\"; rm -rf /\\""]', 'language = "en_US.UTF-8 --x"',
        'disk = { model = "x\\"; rm -rf / #" }', 'disk = { model = "$(id)" }', 'disk = { min-size = "-5GB" }', 'disk = { min-size = "9999999999999TB" }',
    )
):  # fmt: skip
    _CHANGED[f"definition-install-{_number}"] = _line("install", _line_), {0, 3}


def _put(name: str, text: str | bytes) -> Callable[[Scene, Reference], None]:
    def change(scene: Scene, _good: Reference) -> None:
        (scene.home / name).write_bytes(text.encode() if isinstance(text, str) else text)

    return change


for _name, _toml in {
    "noise": bytes(range(256)), "empty": b"", "deep": b"a = " + b"[" * 50_000, "huge": b"#" + b"x" * 30_000_000, "zeros": bytes(1_000),
    "cut": b'version = 1\nname = "', "dates": b"version = 9999-99-99", "twice": b"version = 1\nversion = 1\n", "bom": b"\xef\xbb\xbfversion = 1\n",
    "a-big-number": b"version = " + b"9" * 5_000, "keys": b"".join(b"k%d = 1\n" % n for n in range(20_000)), "dotted": b".".join([b"a"] * 5_000) + b" = 1",
}.items():  # fmt: skip
    _CHANGED[f"toml-{_name}"] = _put("media.toml", _toml), {3}
    _CHANGED[f"release-{_name}"] = _put("tiny.toml", _toml), {3}


def _template(body: str) -> Callable[[Scene, Reference], None]:
    return _put("tiny.ks.j2", '{% extends "base.ks.j2" %}\n{% block packages %}\n@core\n' + body + "\n{% endblock %}\n")


for _name, _body in {
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}", "globals": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "include-passwd": "{% include '/etc/passwd' %}", "include-climbs": "{% include '../../../../etc/passwd' %}", "import": "{% import '../x' as x %}",
    "range": "{{ range(10**12) | list }}", "power": "{{ 9 ** (9 ** 9) }}", "multiplied": "{{ 'x' * 10**10 }}", "center": "{{ 'x' | center(10**10) }}",
    "format": "{{ '%0999999999d' | format(1) }}", "format-method": "{{ '{:0999999999d}'.format(1) }}", "lists": "{{ [0] * 10**10 }}", "nested-loops": "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "unknown": "{{ nothing.at.all }}", "syntax": "{% if %}", "division": "{{ 1 / 0 }}",
    "ks-include": "%include /etc/passwd", "ks-include-climbs": "%include ../../secret", "ks-include-url": "%include http://127.0.0.1:1/x", "ksappend": "%ksappend secret",
    "two-ends": "%end\n%end", "zero": "a\0b", "package-climbs": "../../x", "group-climbs": "@../../x", "glob": "*" * 3_000, "regex": "@^" + "(a+)+" * 50,
    "replace": "{{ 'x' | replace('', 'y' * 99999) }}", "self": "{{ self.__init__ }}", "attr": "{{ () | attr('__class__') }}", "loop-join": "{{ ('x' * 99999) | list | join('y' * 9999) }}",
    "indent": "{{ ('a\n' * 9999) | indent(99999) }}", "wordwrap": "{{ ('a ' * 9999) | wordwrap(1, wrapstring='x' * 99999) }}", "tojson": "{{ (range(99999) | list) | tojson(indent=99999) }}",
}.items():  # fmt: skip
    _CHANGED[f"template-{_name}"] = _template(_body), {3, 6}


def _linked(name: str, target: str) -> Callable[[Scene, Reference], None]:
    def change(scene: Scene, _good: Reference) -> None:
        (scene.home / name).unlink(missing_ok=True)
        (scene.home / name).symlink_to(target)

    return change


_CHANGED["template-linked-away"] = _linked("tiny.ks.j2", "/etc/passwd"), {3}
_CHANGED["template-linked-to-itself"] = _linked("tiny.ks.j2", "tiny.ks.j2"), {3, 7}
_CHANGED["output-linked"] = _linked(f"output/{ISO}", "../secret"), {2}
_CHANGED["part-linked"] = _linked(f"output/.{ISO}.part", "../secret"), {7}
_CHANGED["definition-linked-to-itself"] = _linked("media.toml", "media.toml"), {3, 7}
_CHANGED["definition-a-device"] = _linked("media.toml", "/dev/zero"), {3, 7}
_CHANGED["release-a-device"] = _linked("tiny.toml", "/dev/zero"), {3, 7}
_CHANGED["template-a-device"] = _linked("tiny.ks.j2", "/dev/zero"), {3, 7}
_CHANGED["lock-a-device"] = _linked("tortured.lock", "/dev/zero"), {3, 7}


def _lock(edit: Callable[[dict[str, object]], object] | bytes) -> Callable[[Scene, Reference], None]:
    """A lock that somebody has edited."""

    def change(scene: Scene, good: Reference) -> None:
        if isinstance(edit, bytes):
            scene.lock.write_bytes(edit)
            return
        data = json.loads((good.plain / scene.lock.name).read_text())
        edit(data)
        scene.lock.write_text(json.dumps(data))

    return change


def _set(*path: str | int, to: object) -> Callable[[dict[str, object]], object]:
    def edit(data: dict[str, object]) -> None:
        at: object = data
        for key in path[:-1]:
            at = at[key]  # type: ignore[index]
        at[path[-1]] = to  # type: ignore[index]

    return edit


_EDITS: dict[str, Callable[[dict[str, object]], object] | bytes] = {
    "noise": bytes(range(256)),
    "empty": b"",
    "deep": b"[" * 200_000,
    "deep-objects": b'{"a":' * 100_000,
    "number": b"1" * 100_000,
    "list": b"[]",
    "nan": b'{"version": NaN}',
    "of-no-utf-8": b'{"name": "\xff"}',
    "path-climbs": _set("packages", 0, "file", "path", to="../../../etc/passwd"),
    "path-absolute": _set("packages", 0, "file", "path", to="/etc/passwd"),
    "sum-climbs": _set("packages", 0, "file", "sha256", to="../" * 21 + "x"),
    "size-negative": _set("packages", 0, "file", "size", to=-1),
    "size-huge": _set("packages", 0, "file", "size", to=10**30),
    "boot-climbs": _set("boot", 0, "path", to="../../escaped"),
    "url-file": _set("keys", 0, "file", "url", to="/etc/passwd"),
    "base-elsewhere": _set("repositories", 0, "baseurl", to=["http://127.0.0.1:1/"]),
    "name-other": _set("name", to="../x"),
    "epoch-huge": _set("epoch", to=10**20),
    "volume-of-lines": _set("volume-id", to="A\nB"),
    "unknown-key": _set("zzz", to=1),
    "no-packages": _set("packages", to=[]),
    "nevra-of-lines": _set("packages", 0, "nevra", to="a-0:1\n-1.noarch"),
    "reasons": _set("packages", 0, "reasons", to=["{{7*7}}\n"]),
}
for _name, _edit in _EDITS.items():  # fmt: skip
    _CHANGED[f"lock-{_name}"] = _lock(_edit), {3}


def _torn_package(number: int, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    """A package that is cut short or changed somewhere, with metadata that agrees; every second is taken unsigned."""
    path = next(path for path in good.upstream.files if re.fullmatch(r"/extra/Packages/.*\.rpm", path))
    torn, what = _torn(good.upstream.files[path], rng)
    primary = re.sub(
        rb'(?<=pkgid="YES">)[0-9a-f]+', hashlib.sha256(torn).hexdigest().encode(), plain(good.upstream.files, "primary")
    )
    primary = re.sub(rb'(?<=size package=")[0-9]+', str(len(torn)).encode(), primary)
    old = re.search(rb'(?<=pkgid=")[0-9a-f]+', plain(good.upstream.files, "filelists"))
    lists = {
        kind: plain(good.upstream.files, kind).replace(
            old[0] if old else b"?", hashlib.sha256(torn).hexdigest().encode()
        )
        for kind in ("filelists", "other")
    }
    files = {**republished(good.upstream.files, {"primary": primary, **lists}), path: torn}
    scene = make_scene(folder, good.upstream)
    if number % 2:
        release = scene.home / "tiny.toml"
        before, extra, after = release.read_text().partition('id = "extra"')
        after = re.sub(r"gpgkey = .*\nfingerprint = .*\n", 'trust = "unsigned"\n', after, count=1)
        release.write_text(before + extra + after)
        look_around(scene)
    with lie(files, honest):
        done = build(scene)
    report.figures["hostile inputs"] += 1
    # In a package that nobody signed, whoever changes it can change what it says of itself too.
    codes = {0, 5} if number % 2 and "changed" in what else {5}
    report.broken += [f"{what}: {line}" for line in broken_rules(scene, done, codes)]


def _torn(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    kind = rng.randrange(6)
    at = rng.choice((rng.randrange(96, 110), rng.randrange(96, 1_500), rng.randrange(len(data))))
    if kind == 0:
        return data[:at], f"cut at {at}"
    if kind == 1:
        return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :], f"byte {at} changed"
    if kind == 2:
        return data[:at] + rng.randbytes(64) + data[at + 64 :], f"64 bytes at {at} changed"
    if kind == 3:
        return data[:at] + rng.randbytes(rng.randrange(1, 100)) + data[at:], f"bytes put in at {at}"
    if kind == 4:
        return data + rng.randbytes(rng.randrange(1, 5_000)), "more behind it"
    return data[:96] + b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(
        ">II", rng.getrandbits(32), rng.getrandbits(32)
    ) + data[112:], "counts that lie"


def _torn_medium(number: int, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    """A finished ISO that is changed somewhere, for every command that reads one."""
    scene = make_scene(folder, good.upstream)
    iso = scene.home / "torn.iso"
    shutil.copyfile(next((good.plain / "output").glob("*.iso")), iso)
    with iso.open("r+b") as file:
        if number % 4 == 0:
            file.truncate(rng.choice((0, 100, 32_768, 34_000, 40_000, 100_000, rng.randrange(32 << 20))))
        for _ in range(0 if number % 4 == 0 else rng.choice((1, 8, 64))):
            # Volume descriptors, boot catalog, folders: all of structure is near the front.
            file.seek(rng.choice((rng.randrange(512), 32_768 + rng.randrange(8_192), rng.randrange(32_768, 120_000))))
            file.write(rng.choice((b"\xff", b"\0", rng.randbytes(1), rng.randbytes(4), b"\xff\xff\xff\xff")))
    look_around(scene)
    command = ("verify", "inspect", "report", "diff", "reproduce", "why")[number % 6]
    words = {
        "report": ("report", os.fspath(iso), "--no-pictures", "--output", os.fspath(scene.temporary / "x.html")),
        "diff": ("diff", os.fspath(iso), os.fspath(next((good.plain / "output").glob("*.iso")))),
        "reproduce": ("reproduce", os.fspath(iso), "--cache-dir", os.fspath(good.plain / "cache"), "--offline"),
        "why": ("why", os.fspath(iso), "tiny-0"),
    }.get(command, (command, os.fspath(iso)))
    done = run(scene, *words)
    (scene.temporary / "x.html").unlink(missing_ok=True)
    codes = {0, 1, 2, 3, 4, 5, 6, 8} if command in {"diff", "reproduce"} else {0, 2, 3, 5, 8}
    report.figures["hostile inputs"] += 1
    report.broken += [
        f"{command}: {line}"
        for line in broken_rules(scene, done, codes, builds=False)
        if "no line" not in line or done.code in {2, 3, 5}
    ]


def _torn_source(number: int, good: Reference, folder: Path, rng: random.Random, report: Report) -> None:
    """The repository is in an ISO whose folders and extents cannot be."""
    scene = make_scene(folder, good.upstream)
    tree = scene.folder / "tree"
    for path, data in good.upstream.files.items():
        if path.startswith("/extra/"):
            (tree / path[7:]).parent.mkdir(parents=True, exist_ok=True)
            (tree / path[7:]).write_bytes(data)
    iso = scene.home / "extra.iso"
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", iso, tree], check=True, capture_output=True)
    shutil.rmtree(tree)
    image = bytearray(iso.read_bytes())
    at = image.find(b"REPODATA") - 33 if number % 2 else image.find(b"REPOMD.XML") - 33
    value = (0xFFFFFFFF, 0x7FFFFFFF, 0, len(image) // 2048 - 1)[number // 2 % 4]
    struct.pack_into("<I", image, at + (2 if number < 4 else 10), value)
    iso.write_bytes(image)
    release = scene.home / "tiny.toml"
    release.write_text(release.read_text().replace(f'"{URL}/extra/"', '"extra.iso"'))
    look_around(scene)
    with lie(good.upstream.files, honest):
        done = build(scene)
    _judge(scene, good, done, {4, 5}, report)
