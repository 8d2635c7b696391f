"""The wizard is an island: Python 3.6 to 3.13, standard library, and nothing else of ours."""

import ast
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import isobuilder.firstlogin
from tests.firstlogin_pythons import WANTED, find_python

ISLAND = Path(isobuilder.firstlogin.__file__).parent
# What Python 3.6 has and a later one up to 3.13 removed, or warns about when it is imported; vermin does not tell. From
# "What's New in Python", 3.7 to 3.13, and PEP 594.
_MODULES = """
aifc asynchat asyncore audioop binhex cgi cgitb chunk crypt distutils dummy_threading formatter fpectl imghdr
imp lib2to3 macpath macurl2path mailcap msilib nis nntplib ossaudiodev parser pipes smtpd sndhdr spwd sunau
symbol telnetlib tkinter.tix uu xdrlib
"""
_NAMES = """
abc.abstractproperty asyncio.coroutine asyncio.async base64.encodestring base64.decodestring cgi.escape
collections.Mapping collections.MutableMapping collections.Sequence collections.Iterable collections.Callable
configparser.SafeConfigParser configparser.readfp fractions.gcd gettext.lgettext html.parser.HTMLParseError
inspect.getargspec inspect.formatargspec locale.format locale.resetlocale os.errno platform.linux_distribution
platform.dist platform.popen string.maketrans sys.getcheckinterval sys.setcheckinterval
sys.set_coroutine_wrapper time.clock threading.Thread.isAlive typing.io typing.re unittest.makeSuite
unittest.findTestCases xml.etree.cElementTree datetime.datetime.utcnow datetime.datetime.utcfromtimestamp
ssl.wrap_socket ssl.match_hostname importlib.find_loader pkgutil.ImpImporter tempfile.mktemp logging.warn
"""
REMOVED_MODULES, REMOVED_NAMES = frozenset(_MODULES.split()), frozenset(_NAMES.split())


def modules() -> list[Path]:
    found = sorted(ISLAND.rglob("*.py"))
    assert len(found) > 20
    return found


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ISLAND)))
def test_it_is_python_3_6_and_takes_nothing_that_was_removed_since(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 6))
    names = imported(tree)
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)
    assert not {name for name in names if name in REMOVED_MODULES or name.partition(".")[0] in REMOVED_MODULES}
    dotted = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not dotted & REMOVED_NAMES
    # Relative imports stay on the island.
    depth = len(path.relative_to(ISLAND).parts)
    levels = [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert all(level <= depth for level in levels)


def test_vermin_finds_nothing_newer_than_3_6() -> None:
    vermin = Path(sysconfig.get_path("scripts")) / "vermin"
    done = subprocess.run(
        [vermin, "--target=3.6-", "--violations", "--eval-annotations", "--no-tips", ISLAND],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3.6" in done.stdout


def test_vermin_would_find_it(tmp_path: Path) -> None:
    (tmp_path / "newer.py").write_text("import subprocess\nsubprocess.run(['true'], capture_output=True)\n")
    vermin = Path(sysconfig.get_path("scripts")) / "vermin"
    done = subprocess.run([vermin, "--target=3.6-", "--violations", tmp_path], capture_output=True, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize("version", WANTED)
def test_every_module_of_it_compiles_and_loads_there(version: str, tmp_path: Path) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here (ISOBUILDER_PYTHONS names interpreters): not tried on it")
    names = [
        ".".join(["firstlogin", *path.relative_to(ISLAND).with_suffix("").parts]).removesuffix(".__init__")
        for path in modules()
        if path.name != "__main__.py"
    ]
    code = f"import importlib, sys; sys.path.insert(0, {str(ISLAND.parent)!r})\n"
    code += f"for name in {names!r}: importlib.import_module(name)\n"
    done = subprocess.run(
        [python, "-I", "-B", "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
