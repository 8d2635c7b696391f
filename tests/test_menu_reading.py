"""Menus of any maker are read as their loaders read them; what is damaged or hostile is read as far as it goes."""

import random
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from isobuilder.bootmenu.reading.grub import Platform, read_grub
from isobuilder.bootmenu.reading.grubscript import parse_script
from isobuilder.bootmenu.reading.isolinux import read_isolinux
from isobuilder.bootmenu.reading.kernelwords import kernel_words, locate
from isobuilder.bootmenu.reading.legacy import read_legacy
from isobuilder.bootmenu.reading.model import Device, Entry, Menu, decode
from isobuilder.bootmenu.render import ISOLINUX_MENU
from tests.example_menus import CLOUD, KINDS, blueprint, menu, menu_texts
from tests.menu_devices import FakeDevices
from tests.test_menus import SERIAL

UEFI = Platform("uefi", "x86_64")
GOLDEN = Path(__file__).parent / "golden"
VOLUME = "CAMPUS-CENTER"


def isolinux(text: str, **more: str) -> Menu:
    return read_isolinux("isolinux/isolinux.cfg", FakeDevices({"isolinux/isolinux.cfg": text, **more}))


def grub(text: str, medium: Mapping[str, str] | None = None, platform: Platform = UEFI, device: Device = "esp") -> Menu:
    devices = FakeDevices({**(medium or {}), "m.cfg": text}, {"EFI/BOOT/grub.cfg": text})
    return read_grub(device, "EFI/BOOT/grub.cfg" if device == "esp" else "m.cfg", devices, platform)


def legacy(text: str) -> Menu:
    return read_legacy("medium", "EFI/BOOT/BOOTX64.conf", FakeDevices({"EFI/BOOT/BOOTX64.conf": text}))


def lines(found: Menu) -> list[tuple[str, str]]:
    return [(boot.kernel.path, boot.arguments) for entry in found.entries for boot in entry.boots]


def entry(found: Menu, name: str) -> Entry:
    return next(one for one in found.entries if one.id == name)


# Our own menus, which the definition's own list of entries is the measure for.


@pytest.mark.parametrize(("name", "tables"), [("screen", {}), ("serial", SERIAL)])
@pytest.mark.parametrize("kind", KINDS)
def test_our_own_menus_read_back_whole(kind: str, name: str, tables: dict[str, Any]) -> None:
    made, boot = menu(*CLOUD, kind=kind, **tables), blueprint(kind, **tables).facts.boot
    for path, text in menu_texts(*CLOUD, kind=kind, **tables).items():
        if path.endswith("theme.txt"):
            continue
        devices = FakeDevices({path: text}, {path: text}, label=VOLUME)
        if path == ISOLINUX_MENU:
            found = read_isolinux(path, devices)
        elif path.endswith(".conf"):
            found = read_legacy("medium", path, devices)
        else:
            found = read_grub("esp" if path.startswith("EFI") else "medium", path, devices, UEFI)
        told = [made_entry.kernel_line for made_entry in made.entries if made_entry.kernel_line]
        assert lines(found) == [(boot.kernel, line) for line in told]
        assert {named.path for one in found.entries for b in one.boots for named in b.initrds} == {boot.initrd}
        assert {named.device for one in found.entries for b in one.boots for named in (b.kernel,)} == {"medium"}
        assert found.default.entry
        assert found.wait == (made_wait if (made_wait := tables.get("menu", {}).get("timeout", 60)) else None)
        assert found.problems == ()
        assert all(search.found or search.guarded for search in found.searches)
        own = [one for one in found.entries if one.action in {"linux", "local"} and not one.id.startswith("menu.")]
        assert len(own) == len(made.entries)
        if found.loader != "grub-legacy":
            assert found.default.entry.id == made.default
            assert [one.id for one in own] == [made_entry.id for made_entry in made.entries]


def golden_menus() -> list[Path]:
    return sorted(path for path in GOLDEN.rglob("*.c*f*") if path.name.endswith(("grub.cfg", "isolinux.cfg", ".conf")))


@pytest.mark.parametrize("path", golden_menus(), ids=lambda path: str(path.relative_to(GOLDEN)))
def test_each_approved_menu_is_read_whole(path: Path) -> None:
    text = path.read_text()
    if path.name.endswith(".conf"):
        found = legacy(text)
        assert len(found.entries) == text.count("\ntitle ")
        assert len(lines(found)) == text.count("\n\tkernel ")
        return
    is_grub = path.name.endswith("grub.cfg")
    found = grub(text) if is_grub else isolinux(text)
    kernel = r"linux(?:efi)? \S+" if is_grub else r"append initrd=\S+"
    kernels = re.findall(rf"^\s+{kernel} (.+)$", text, re.MULTILINE)
    assert [arguments for _, arguments in lines(found)] == kernels
    assert found.default.entry
    if is_grub:
        assert [found.default.entry.id] == re.findall(r"^set default=(\S+)$", text, re.MULTILINE)
    else:
        before = text[: text.index("\n  menu default\n")]
        assert found.default.entry.id == re.findall(r"^label (\S+)$", before, re.MULTILINE)[-1]


# isolinux.


def test_isolinux_knows_no_capitals_and_takes_what_it_is_given() -> None:
    found = isolinux(
        "DEFAULT linux\nPROMPT 1\nTIMEOUT 50\nappend common\nLABEL linux\n\tMENU LABEL ^Install ^^ it\n\tLINUX vmlinuz"
        "\n\tINITRD a.img,/b.img\n\tAPPEND quiet\nlabel bare\n  kernel /images/vmlinuz x=1\nlabel none\n  kernel v\n"
        "  append -\nlabel nothing\n"
    )
    first = entry(found, "linux")
    assert (first.title, first.action) == ("Install ^ it", "linux")
    assert [named.path for named in first.boots[0].initrds] == ["isolinux/a.img", "b.img"]
    assert lines(found) == [
        ("isolinux/vmlinuz", "quiet"),
        ("images/vmlinuz", "x=1 common"),
        ("isolinux/v", ""),
        ("isolinux/nothing", "common"),
    ]
    assert found.default.entry == first
    assert found.wait == 5


@pytest.mark.parametrize(
    ("text", "default", "wait"),
    [
        ("default linux\nlabel linux\n kernel v\n", "linux", 0),
        ("default linux\nprompt 1\nlabel linux\n kernel v\n", "linux", None),
        ("default vesamenu.c32\ntimeout 600\nlabel a\n kernel v\nlabel b\n menu default\n kernel v\n", "b", 60),
        ("default vesamenu.c32\nlabel a\n kernel v\nlabel b\n kernel v\n", "a", None),
        ("ui menu.c32\ndefault b\ntimeout 10\nlabel a\n kernel v\n menu default\nlabel b\n kernel v\n", "b", 1),
        ("default vesamenu.c32\ntimeout 10\nontimeout b\nlabel a\n kernel v\nlabel b\n kernel v\n", "b", 1),
        ("default nothing\nlabel a\n kernel v\n", None, 0),
        ("label a\n kernel v\n", None, None),
        ("default vesamenu.c32\ntotaltimeout 9000\nlabel a\n kernel v\n", "a", 900),
    ],
)
def test_what_isolinux_starts_by_itself(text: str, default: str | None, wait: float | None) -> None:
    found = isolinux(text)
    assert (found.default.entry.id if found.default.entry else None, found.wait) == (default, wait)


def test_isolinux_follows_what_is_included_and_what_a_module_is_given() -> None:
    found = isolinux(
        "include more.cfg\ninclude sub/deep.cfg Deeper\nmenu include isolinux.cfg\ndefault vesamenu.c32\nlabel other\n"
        "  menu label Others\n  kernel menu.c32\n  append /others.cfg\nlabel config\n  config /others.cfg\n",
        **{"isolinux/more.cfg": "label more\n kernel m\n",
        "isolinux/sub/deep.cfg": "label deep\n kernel d\n", "others.cfg": "append all\nlabel o\n kernel o\n"},
    )  # fmt: skip
    assert [(one.id, one.steps) for one in found.entries] == [
        ("more", ()), ("Deeper", ()), ("deep", ("Deeper",)), ("other", ()), ("config", ()),
        ("o", ("Others",))]  # fmt: skip
    assert ("isolinux/o", "all") in lines(found)
    assert {named.path for named in entry(found, "other").named} == {"others.cfg", "isolinux/menu.c32"}
    given = isolinux("default menu.c32 /real.cfg\nlabel a\n kernel v\n", **{"real.cfg": "label b\n kernel v\n"})
    assert [one.id for one in given.entries] == ["b"]


def test_isolinux_help_is_no_setting_and_other_things_are_no_kernels() -> None:
    found = isolinux(
        "default vesamenu.c32\nmenu begin tools\n menu title Tools\nlabel t\n text help\n kernel wrong\n endtext\n"
        " kernel /boot/memtest\nlabel hdt\n com32 hdt.c32\nlabel disk\n localboot 0xffff\nlabel chain\n"
        " kernel chain.c32\n append hd1\nlabel back\n menu exit\nmenu end\nmenu separator\nlabel off\n menu disable\n"
        "display boot.msg\nF1 help.txt help.png\nfont f.psf\nmenu background #ff00ff00\n"
    )
    assert [(one.id, one.action, one.steps) for one in found.entries] == [
        ("tools", "submenu", ()), ("t", "linux", ("Tools",)), ("hdt", "program", ("Tools",)),
        ("disk", "local", ("Tools",)), ("chain", "local", ("Tools",)), ("back", "other", ("Tools",))]  # fmt: skip
    assert [(named.use, named.path) for named in found.named] == [
        ("message", "isolinux/boot.msg"), ("message", "isolinux/help.txt"), ("picture", "isolinux/help.png"),
        ("font", "isolinux/f.psf"), ("module", "isolinux/vesamenu.c32")]  # fmt: skip


# GRUB.


MISTAKES = (
    "menuentry 'x' {\n}\n", "menuentry 'x' {\n# only this\n}\n", "if true; then\nfi\n", "a && b\n", "menuentry x {\n",
    'echo "a\nb"\n', "echo 'a\n", "linux /v a\\x20b\n", "echo $\n", "menuentry x { linux y }\n", "}\n", "echo a{b\n",
    "menuentry x { linux y; }\n", "function f {\n}\n", "function f {\n true\n}\n", "menuentry a {\n linux b\n} }\n",
    "menuentry a\n{\n linux b\n}\n", "if [ -n \"$x\" ]; then\n true\nelif false; then true; else\n false\nfi\n",
    "for x in 1 2; do echo $x; done\n", "while false; do\n true\ndone\n", "if true; then\n true\n", "fi\n",
    "submenu 'a' {\n menuentry 'b' { true; }\n}\n", "submenu 'a' {\n menuentry 'b' { true; } }\n", "echo 'it'\\''s'\n",
    'set x="a\\"b$y${z}"\n', "linux /v a \\\n  b\n", "echo a;b\n", "# }\n", "echo a#b }\n",
    "until true; do true; done\n",
)  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_those_that_grub_finds(text: str, tmp_path: Path) -> None:
    text += "\ntrue\n"  # A file without a command is refused as well.
    (tmp_path / "grub.cfg").write_text(text)
    done = subprocess.run(["grub-script-check", tmp_path / "grub.cfg"], check=False, capture_output=True, timeout=60)
    assert bool(parse_script(text).mistakes) == bool(done.returncode), parse_script(text).mistakes


def test_damage_of_a_good_menu_is_what_grub_says_it_is(tmp_path: Path) -> None:
    """Lines taken out of a menu one by one: the same that GRUB refuses are refused here."""
    text = (GOLDEN / "menus/grub-grub-serial/boot-grub2-grub.cfg").read_text().splitlines(keepends=True)
    path = tmp_path / "grub.cfg"
    for number in range(90):
        damaged = "".join(text[:number] + text[number + 1 :])
        path.write_text(damaged)
        done = subprocess.run(["grub-script-check", path], check=False, capture_output=True, timeout=60)
        assert bool(parse_script(damaged).mistakes) == bool(done.returncode), text[number]


def test_grub_fills_in_variables_and_follows_conditions() -> None:
    found = grub(
        "set label='MEDIUM'\nset root=(hd0)\nsearch --no-floppy --set root --label $label\nset dir=/images\n"
        'if [ "$grub_platform" = efi ]; then\n  set suffix=efi\nelse\n  set suffix=16\nfi\n'
        "export dir\n"
        'function start {\n  linux$suffix ($root)$dir/vmlinuz "$1" $2\n'
        "  initrd$suffix $dir/initrd.img $dir/more.img\n}\n"
        "menuentry \"A 'b' \\\"c\\\"\" --class x --id=a { start 'one two' three; }\n"
        "submenu 'More' { menuentry m { linux $dir/v label=$label\n initrd /i; } }\n"
        "set later=yes\n"
        "menuentry l { linux /v later=$later esc=a\\x20b \"dq=\\x20\" 'sq=\\x20'\n initrd /i\n }\n"
    )
    assert [(one.id, one.title) for one in found.entries] == [
        ("a", "A 'b' \"c\""), ("More", "More"), ("m", "m"), ("l", "l")]  # fmt: skip
    first = entry(found, "a").boots[0]
    assert (first.command, first.loaded_by, first.kernel.path, first.arguments) == (
        "linuxefi", "initrdefi", "images/vmlinuz", '"one two" three')  # fmt: skip
    assert [named.path for named in first.initrds] == ["images/initrd.img", "images/more.img"]
    # What is not exported is not there in a list behind another.
    assert entry(found, "m").boots[0].arguments == "label="
    assert entry(found, "l").boots[0].arguments == r"later=yes esc=a\x20b dq=\x20 sq=\x20"
    assert {boot.kernel.device for one in found.entries for boot in one.boots} == {"medium"}


@pytest.mark.parametrize(
    ("written", "default"),
    [("0", "a"), ("1>0", "c"), ("Second", "b"), ("b", "b"), ("b>c", "c"), ("b>Third", "c"), ("2", None), ("no", None),
     ("1>5", None), ("", "a"), ("$saved_entry", None)],
)  # fmt: skip
def test_what_grub_starts_by_itself(written: str, default: str | None) -> None:
    found = grub(
        f'set default="{written}"\nset timeout=5\nmenuentry First --id a {{ true; }}\n'
        "submenu Second --id b { menuentry Third --id c { true; } }\n"
    )
    assert (found.default.entry.id if found.default.entry else None) == default
    assert found.default.known == (written != "$saved_entry")
    assert found.wait == 5


@pytest.mark.parametrize(("text", "wait"), [("", None), ("set timeout=-1\n", None), ("timeout=0\n", 0)])
def test_how_long_grub_waits(text: str, wait: float | None) -> None:
    assert grub(f"{text}menuentry a {{ true; }}\n").wait == wait


def test_grub_follows_other_files() -> None:
    found = grub(
        "search --file --set=root /m.cfg\nconfigfile ($root)/real.cfg\n",
        {"real.cfg": "source $prefix/none.cfg\nset default=1\nset timeout=3\nmenuentry a { true; }\n"
         "menuentry b { linux /v; }\nsource /m.cfg\n"},
    )  # fmt: skip
    assert [one.id for one in found.entries] == ["a", "b"]
    assert found.default.entry == entry(found, "b")
    assert found.wait == 3
    assert str(entry(found, "b").place) == "real.cfg, line 5"
    assert [(named.device, named.path) for named in found.named][:2] == [
        ("medium", "real.cfg"), ("esp", "EFI/BOOT/none.cfg")]  # fmt: skip


def test_where_grub_looks_depends_on_root() -> None:
    searches = {
        "": "esp", "search --set=root -l MEDIUM\n": "medium", "search --set=root -l OTHER\n": "medium",
        "set root=hd0\n": "elsewhere", "search -f /m.cfg -s root\n": "medium",
        "if search -l OTHER --set=root; then true; fi\n": "elsewhere",
        "search -nl MEDIUM --set=where\nset root=$where\n": "medium", "search.fs_label MEDIUM root\n": "medium",
        "search --fs-uuid --set=root 2023-11-14-22-13-20-00\n": "medium",
        "search -l --set=root --hint=cd0 MEDIUM\n": "medium",
    }  # fmt: skip
    for search, device in searches.items():
        found = grub(f"{search}menuentry a {{ linux /v\ninitrd /i; }}\n")
        assert [boot.kernel.device for one in found.entries for boot in one.boots] == [device], search


def test_what_depends_on_the_machine_is_read_in_every_way() -> None:
    found = grub(
        "if cpuid -l; then\n menuentry a { linux /v64; }\n set x=1\nelse\n menuentry a { linux /v32; }\n set x=2\nfi\n"
        "menuentry b { linux /v x=$x y=$y; }\nif loadfont /f.pf2; then true; fi\n"
    )
    assert [(one.id, one.conditional) for one in found.entries] == [("a", True), ("a", True), ("b", False)]
    assert lines(found)[:2] == [("v64", ""), ("v32", "")]
    assert "\0" in lines(found)[2][1]
    assert [(named.use, named.guarded) for named in found.named] == [("font", True)]


def test_a_loop_ends() -> None:
    found = grub("while true; do\nset x=$x$x\ndone\nfunction f { f; f; }\nf\nmenuentry a { f; linux /v; }\n")
    assert [one.id for one in found.entries] == ["a"]
    deep = "if true; then\n" * 2000 + "true\n" + "fi\n" * 2000
    assert grub(deep).problems


# The old GRUB, and words of kernel lines.


def test_the_old_grub() -> None:
    found = legacy(
        "#debug\ndefault 1\nsplashimage=/EFI/BOOT/splash.xpm.gz\ntimeout 5\nhiddenmenu\ntitle First\n root (cd0)\n"
        " kernel --x /images/vmlinuz ks=a  b\n initrd /images/initrd.img\ntitle Second one\n\troot (hd0,0)\n"
        "\tchainloader /EFI/redhat/grub.efi\ntitle Third\n kernel (hd1,0)/v\n"
    )
    assert [(one.title, one.action) for one in found.entries] == [
        ("First", "linux"), ("Second one", "local"), ("Third", "linux")]  # fmt: skip
    assert lines(found)[0] == ("images/vmlinuz", "ks=a b")
    assert found.entries[2].boots[0].kernel.device == "elsewhere"
    assert found.default.entry == found.entries[1]
    assert found.wait == 5
    assert [(named.use, named.path) for named in found.named] == [("picture", "EFI/BOOT/splash.xpm.gz")]


def test_words_of_a_kernel_line() -> None:
    words = list(kernel_words('inst.ks=hd:LABEL=A B C:/ks.cfg quiet "x=a b"'))
    assert [(word.name, word.value, word.prefixed) for word in words] == [
        ("ks", "hd:LABEL=A", True), ("B", "", False), ("C:/ks.cfg", "", False), ("quiet", "", False),
        ("x", "a b", False)]  # fmt: skip
    assert words[0].behind == ("B", "C:/ks.cfg", "quiet")


@pytest.mark.parametrize(
    ("value", "kind", "label", "path"),
    [
        ("hd:LABEL=A:B:/ks/a.cfg", "labelled", "A:B", "ks/a.cfg"),
        ("hd:LABEL=Other:/ks.cfg", "labelled", "Other", "ks.cfg"),
        ("live:CDLABEL=A:B", "labelled", "A:B", None),
        ("hd:/dev/disk/by-label/X:/a", "labelled", "X", "a"),
        ("cdrom", "optical", None, None),
        ("cdrom:/ks.cfg", "optical", None, "ks.cfg"),
        ("cdrom:sr0:/ks.cfg", "optical", None, "ks.cfg"),
        ("hd:sdb1:/ks.cfg", "disk", None, "ks.cfg"),
        ("file:///ks.cfg", "initrd", None, "ks.cfg"),
        ("https://example.org/ks", "network", None, None),
        ("nfs:host:/ks", "network", None, None),
        ("", "other", None, None),
    ],
)
def test_places_that_words_name(value: str, kind: str, label: str | None, path: str | None) -> None:
    found = locate(value, "A:B")
    assert (found.kind, found.label, found.path) == (kind, label, path)


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"\xef\xbb\xbfa\r\nb", "a\nb"), (b"caf\xe9", "caf\xe9"), ("é".encode(), "é"), (b"a\0b", "ab")],
)
def test_bytes_of_a_menu(data: bytes, text: str) -> None:
    assert decode(data) == text


def test_damaged_menus_are_read_without_a_fault() -> None:
    rng = random.Random(6)
    texts = [path.read_bytes() for path in golden_menus()[:12]]
    pieces = [b"{", b"}", b"'", b'"', b"$", b"\\", b"\n", b"if ", b"fi", b"menu begin x\n", b"include isolinux.cfg\n",
              b"source m.cfg\n", b"function f {\n", b"[ ", b"-a ! ", b"set root=", b"label ", b"\xff"]  # fmt: skip
    for _ in range(300):
        data = bytearray(rng.choice(texts))
        for _ in range(rng.randrange(1, 12)):
            place = rng.randrange(len(data))
            match rng.randrange(3):
                case 0:
                    data[place] = rng.randrange(256)
                case 1:
                    del data[place : place + rng.randrange(200)]
                case _:
                    data[place:place] = rng.choice(pieces) * rng.randrange(1, 4)
        text = decode(bytes(data))
        for found in (isolinux(text), grub(text), legacy(text)):
            assert len(found.entries) < 2001
