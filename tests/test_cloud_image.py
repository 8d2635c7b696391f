"""Machine images on front ends of both versions: what is made of a kickstart, what fails, what is left of it."""

import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from isobuilder.firstlogin.cloud import imagefacts
from isobuilder.firstlogin.cloud.actions import IMAGE
from isobuilder.firstlogin.cloud.heartbeat import Heartbeat
from isobuilder.firstlogin.cloud.imagekickstart import read
from isobuilder.firstlogin.effects import Result
from isobuilder.firstlogin.engine import Engine
from isobuilder.firstlogin.exits import SetupError
from tests.cloud_cases import PASSWORD, answers
from tests.firstlogin_helpers import Keyboard, configure
from tests.practice.euca.knowledge import SECRET_KEY
from tests.scratch_machine import Interrupted
from tests.standin_images import LABEL, ImageMachine

GOLDEN = Path(__file__).parent / "golden/cloud-image"
NAME = f"{LABEL.lower()}-small"
WORK = "var/lib/cloud-setup/image"


def front_end(folder: Path, style: str, size: str = "none") -> ImageMachine:
    one = ImageMachine(str(folder), style).make_front_end()
    code, said = configure(one, answers("EDGE", "front-end", image=size))
    assert code == 0, said
    return one


def say(one: ImageMachine, *words: str) -> tuple[int, str]:
    keyboard = Keyboard()
    with closing(Engine(one.effects(), keyboard)) as engine:
        try:
            code = engine.upkeep.act(IMAGE, words)
        except SetupError as refused:
            return refused.code, keyboard.said.getvalue() + "\n".join(refused.lines)
    return code, keyboard.said.getvalue()


def images(one: ImageMachine) -> dict[str, list[str]]:
    found: dict[str, list[str]] = one.cloud()["images"]
    return found


def nothing_is_left(one: ImageMachine) -> bool:
    """Neither mounts nor loops, nor a disk that has no name yet beside one that has."""
    return not one.mounted() and not one.loops and not Path(one.path(f"{WORK}/busy")).exists()


def of_making(one: ImageMachine, before: int) -> list[list[str]]:
    return one.commands()[before:]


@pytest.mark.parametrize("style", ["6", "7"])
def test_commands_and_files_are_as_they_were_approved(
    style: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    one = front_end(tmp_path / "root", style)
    before = len(one.commands())
    code, said = say(one, "make", "small")
    assert code == 0, said
    lines = [f"command: {' '.join(words)}" for words in of_making(one, before)]
    inside = Path(one.path("image"))
    for path in sorted(path for path in inside.rglob("*") if path.is_symlink() or path.is_file()):
        content = [f"-> {path.readlink()}"] if path.is_symlink() else path.read_text().splitlines()
        lines += [f"\n==> {path.relative_to(inside)}", *content]
    lines += ["\n==> what GRUB was told", one.cloud()["grub"]] if style == "6" else []
    made = ("\n".join(lines) + "\n").replace(one.root, "")
    assert PASSWORD not in made
    assert SECRET_KEY not in made
    approved = GOLDEN / f"{style}.txt"
    if request.config.getoption("--regenerate"):
        approved.parent.mkdir(parents=True, exist_ok=True)
        approved.write_text(made)
    assert made == approved.read_text()


@pytest.mark.parametrize("style", ["6", "7"])
def test_it_is_made_registered_for_everybody_and_no_disk_is_left(style: str, tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", style)
    code, said = say(one, "make", "small")
    assert code == 0, said
    assert f"image {NAME}: emi-12340000, registered" in said
    assert images(one) == {NAME: ["emi-12340000", "public"]}
    assert nothing_is_left(one)
    assert [name for name in Path(one.path(WORK)).iterdir() if "disk" in name.name] == []
    again, said = say(one, "make", "small")
    assert (again, f"{NAME}: emi-12340000, registered already" in said) == (0, True)
    assert say(one, "list") == (0, f"emi-12340000  {NAME}\n")
    code, said = say(one, "remove", NAME)
    assert (code, f"pass  image {NAME}: emi-12340000 is gone" in said) == (0, True)
    assert (images(one), one.cloud()["bundles"]) == ({}, [])
    assert "There are no images of ours" in say(one, "list")[1]
    assert say(one, "remove", NAME)[0] == 5
    # Its name is free again, though the cloud still lists it.
    assert say(one, "make", "small")[0] == 0
    assert images(one) == {NAME: ["emi-12340001", "public"]}


def test_the_front_end_makes_one_when_it_is_set_up(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7", "medium")
    assert list(images(one)) == [f"{LABEL.lower()}-medium"]
    truncated = next(words for words in one.commands() if words[0] == "truncate")
    assert truncated[2] == "4606M"


def test_without_the_medium_it_is_set_up_all_the_same_and_says_what_to_do(tmp_path: Path) -> None:
    one = ImageMachine(str(tmp_path / "root"), "7").make_front_end()
    Path(one.path(f"dev/disk/by-label/{LABEL}")).unlink()
    code, said = configure(one, answers("EDGE", "front-end", image="small"))
    assert code == 5
    assert f"no medium labelled {LABEL} is in a drive" in said
    one.insert()
    assert say(one, "make", "small")[0] == 0


def test_nobody_is_made_to_want_one_whose_medium_is_gone(tmp_path: Path) -> None:
    one = ImageMachine(str(tmp_path / "root"), "7").make_front_end()
    Path(one.path(f"dev/disk/by-label/{LABEL}")).unlink()
    code, said = configure(one, answers("EDGE", "front-end"))
    assert code == 0, said
    assert images(one) == {}


def test_it_has_no_password_no_keys_and_no_name_of_a_machine(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    assert say(one, "make", "small")[0] == 0
    inside = Path(one.path("image"))
    assert all(line.split(":")[1][:1] in "!*" for line in (inside / "etc/shadow").read_text().splitlines())
    assert not list(inside.glob("etc/ssh/ssh_host_*"))
    assert not (inside / "root/.ssh").exists()
    assert (inside / "root/.bashrc").exists()
    assert (inside / "etc/machine-id").read_text() == ""
    assert (inside / "var/log/yum.log").read_text() == ""
    assert not list((inside / "var/cache/yum").iterdir())
    assert not (inside / "var/lib/cloud-setup").exists()
    assert not (inside / "var/lib/dbus/machine-id").exists()


def test_a_script_that_gives_a_password_makes_no_image(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    one.insert("%packages\nbash\n%end\n%post\ngive a password\n%end\n")
    code, said = say(one, "make", "small")
    assert (code, "accounts of the image have passwords: admin" in said) == (5, True)
    assert images(one) == {}
    assert nothing_is_left(one)
    one.insert("%packages\nbash\n%end\n%post\nwant no password\n%end\n")
    code, said = say(one, "make", "small")
    assert (code, "accounts of the image have passwords: guest" in said) == (5, True)


def test_links_in_the_image_lead_nobody_to_files_of_this_machine(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    one.write("root/.ssh/authorized_keys", "ssh-rsa MINE\n")
    one.insert("%packages\nbash\n%end\n%post\nlead out\n%end\n")
    code, said = say(one, "make", "small")
    assert (code, "leads out of the image" in said) == (5, True)
    assert one.read("root/.ssh/authorized_keys") == "ssh-rsa MINE\n"
    assert nothing_is_left(one)


def test_a_script_may_fail_unless_its_kickstart_says_otherwise(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    one.insert("%packages\nbash\n%end\n%post\nfails here\n%end\n")
    code, said = say(one, "make", "small")
    assert (code, "warn  image campus-7-small: the script in line 4" in said) == (5, True)
    assert list(images(one)) == [NAME]
    one.insert("%packages\nbash\n%end\n%post --erroronfail\nfails here\n%end\n")
    code, said = say(one, "make", "large")
    assert "the script in line 4 of its kickstart failed (it said so)" in " ".join(said.split())
    assert list(images(one)) == [NAME]


def test_a_word_that_the_medium_does_not_know_is_no_image(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    one.insert("%packages\nno-such-package\n%end\n")
    code, said = say(one, "make", "small")
    assert (code, "the medium does not have no-such-package" in said) == (5, True)
    assert nothing_is_left(one)


TOOLS = ("mount", "truncate", "losetup", "mke2fs", "mkdir", "yum", "chroot", "/bin/sh", "find", "umount", "dd",
         "mv", "ln", "euare-accountlist", "euca-install-image", "euca-modify-image-attribute",
         "euca-describe-images")  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_that_fails_once_is_told_and_the_next_try_is_whole(tool: str, tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    one.fail(tool)
    code, said = say(one, "make", "small")
    # A script outside of the image may fail.
    assert code == 5, said
    assert "it will not" in " ".join(said.split()) or tool == "umount", said
    code, said = say(one, "make", "small")
    assert code == 0, said
    assert images(one) == {NAME: ["emi-12340000", "public"]}
    assert nothing_is_left(one)
    assert list(Path(one.path(WORK)).glob("disk.img*")) == []


@pytest.mark.parametrize("tool", ["mke2fs", "yum", "dd", "umount", "chroot extlinux"])
def test_a_disk_that_was_not_finished_takes_no_room(tool: str, tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    one.fail(tool)
    assert say(one, "make", "small")[0] == 5
    assert nothing_is_left(one)
    assert list(Path(one.path(WORK)).glob("disk.img*")) == []


def test_a_disk_that_was_finished_is_kept_until_the_cloud_has_it_for_everybody(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    for command in ("euca-install-image", "euca-modify-image-attribute"):
        one.fail(command)
        code, said = say(one, "make", "small")
        assert (code, "it will not" in said) == (5, True)
        assert Path(one.path(f"{WORK}/disk.img")).exists()
    before = len(one.commands())
    code, said = say(one, "make", "small")
    assert (code, "emi-12340000, registered already" in said) == (0, True)
    assert [words[1] for words in of_making(one, before)] == ["euca-modify-image-attribute"]


def test_a_removal_that_was_stopped_half_way_is_ended_by_the_next(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    assert say(one, "make", "small")[0] == 0
    one.fail("euca-delete-bundle")
    code, said = say(one, "remove", NAME)
    assert (code, "emi-12340000 is gone, but its parts cannot be deleted" in " ".join(said.split())) == (5, True)
    assert (images(one), one.cloud()["bundles"]) == ({}, [NAME])
    assert say(one, "remove", NAME)[0] == 0
    assert one.cloud()["bundles"] == []


def test_no_option_is_smuggled_in_as_a_name(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    before = one.commands()
    code, said = say(one, "remove", "--clear")
    assert (code, "there is none" in said) == (5, True)
    assert one.commands() == before


class Cut:
    """The process is killed before, or just after, the command of this number: from then on it runs nothing."""

    def __init__(self, one: ImageMachine, number: int) -> None:
        self.one = one
        self.left = number

    def run(self, argv: Sequence[str], given: str, timeout: int) -> Result:
        self._count()
        result = self.one.run(argv, given, timeout)
        self._count()
        return result

    def _count(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise Interrupted


@pytest.mark.parametrize("style", ["6", "7"])
def test_a_kill_anywhere_leaves_nothing_that_the_next_try_does_not_take_away(style: str, tmp_path: Path) -> None:
    number, ended, left = 1, False, 0
    while not ended:
        one = front_end(tmp_path / str(number), style)
        cut = Cut(one, number)
        effects = one.effects(run=cut.run)
        try:
            with closing(Engine(effects, Keyboard())) as engine:
                engine.upkeep.act(IMAGE, ("make", "small"))
            ended = True
        except Interrupted:
            left += not nothing_is_left(one)
            code, said = say(one, "make", "small")
            assert code == 0, (number, said)
        assert images(one) == {NAME: ["emi-12340000", "public"]}, number
        assert nothing_is_left(one), number
        assert list(Path(one.path(WORK)).glob("disk.img*")) == [], number
        number += 5
    assert number > 60
    assert left > 5


def test_what_somebody_else_mounted_there_stays(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    one.write("proc/mounts", f"/dev/sdb1 {one.path('mnt/sysimage')} ext4 rw 0 0\n")
    code, said = say(one, "make", "small")
    assert (code, "something is mounted at /mnt/sysimage" in said) == (5, True)
    assert one.mounted() == ["/mnt/sysimage"]


def test_what_is_mounted_there_since_the_machine_started_again_stays(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    one.write("proc/sys/kernel/random/boot_id", "one\n")
    with pytest.raises(Interrupted), closing(Engine(one.effects(run=Cut(one, 40).run), Keyboard())) as engine:
        engine.upkeep.act(IMAGE, ("make", "small"))
    assert Path(one.path(f"{WORK}/busy")).exists()
    one.write("proc/sys/kernel/random/boot_id", "two\n")
    one.write("proc/mounts", f"/dev/sdb1 {one.path('mnt/sysimage')} ext4 rw 0 0\n")
    code, said = say(one, "make", "small")
    assert (code, "something is mounted at /mnt/sysimage" in said) == (5, True)
    assert one.mounted() == ["/mnt/sysimage"]


def test_too_little_room_is_said_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = front_end(tmp_path / "root", "7")
    monkeypatch.setattr("isobuilder.firstlogin.effects.Effects.free_mib", lambda _self, _path: 1000)
    before = len(one.commands())
    code, said = say(one, "make", "large")
    assert (code, "it needs 9726 MiB" in said) == (5, True)
    assert [words for words in of_making(one, before) if words[0] in ("truncate", "mount", "yum")] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [(("make",), 2), (("make", "huge"), 2), (("make", "none"), 2), (("eat",), 2), (("remove",), 2), (("list", "x"), 2)],
)
def test_what_cannot_be_said(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    assert say(front_end(tmp_path / "root", "7"), *words)[0] == code


def test_a_medium_elsewhere_can_be_named(tmp_path: Path) -> None:
    one = front_end(tmp_path / "root", "7")
    Path(one.path(f"dev/disk/by-label/{LABEL}")).unlink()
    one.write("media/copy.img", "an ISO")
    code, said = say(one, "make", "small", "/medium")
    assert code == 0, said
    assert ["mount", "-o", "bind,ro", "/medium", "/run/install/repo"] in one.commands()
    assert say(one, "make", "medium", "/media/copy.img")[0] == 0
    assert ["mount", "-o", "loop,ro", "/media/copy.img", "/run/install/repo"] in one.commands()


# Kickstarts.


def mistakes(text: str) -> str:
    with pytest.raises(SetupError) as refused:
        read(text, "ks/image.cfg")
    return "\n".join(refused.value.lines)


def test_all_that_an_image_cannot_be_made_by_is_told_together() -> None:
    text = "part / --size=1\nuser --name=x\nsshkey --username=root k\n%pre\nx\n%end\n%packages --nobase\n-@core\n%end\n"
    said = mistakes(text + "services --started=x\nselinux --maybe\n%post --weird\n%end\n")
    for number, word in ((1, "part"), (2, "user"), (3, "sshkey"), (4, "%pre"), (7, "%packages"), (8, "-@core")):
        assert f"ks/image.cfg: line {number}: " in said
        assert word in said
    assert all(f"line {number}" in said for number in (10, 11, 12))
    assert "it asks for no packages" in said


@pytest.mark.parametrize("word", ["bash;reboot", "$(reboot)", "a b", "--installroot=/", "`x`", "a|b", "'"])
def test_words_that_are_no_packages_are_refused(word: str) -> None:
    assert "is no package or group" in mistakes(f"%packages\n{word}\n%end\n")


def test_what_a_kickstart_says_is_read() -> None:
    text = "lang it_IT.UTF-8\nkeyboard --vckeymap=it --xlayouts='it'\ntimezone Europe/Rome --utc\nrootpw --lock\n"
    text += "services --enabled=a,b --disabled=c\nfirewall --enabled --service=ssh\nselinux --enforcing\n"
    text += "%packages\n@core # the least\ntmux\n-vim*\n%end\n%post --nochroot --log=/tmp/x\necho 1\n\n# no end\n%end\n"
    found = read(text, "x")
    assert found.packages == ("@core", "kernel", "tmux")
    assert found.excluded == ("vim*",)
    assert (found.language, found.keyboard, found.timezone, found.selinux) == (
        "it_IT.UTF-8",
        "it",
        "Europe/Rome",
        "enforcing",
    )
    assert (found.enabled, found.disabled) == (("a", "b"), ("c",))
    [script] = found.scripts
    assert (script.inside, script.stops, script.text) == (False, False, "echo 1\n\n# no end\n")


@pytest.mark.parametrize("cut", ["%packages\nbash\n", "%packages\nbash\n%end\n%post\necho 1\n"])
def test_a_kickstart_that_was_cut_off_makes_no_image(cut: str) -> None:
    assert "has no %end" in mistakes(cut)


def test_who_waits_is_told_that_it_goes_on() -> None:
    told: list[str] = []
    twice = threading.Event()

    def tell(line: str) -> None:
        told.append(line)
        if len(told) > 1:
            twice.set()

    with Heartbeat(tell, 0.001):
        assert twice.wait(60)
    number = len(told)
    assert told[0] == "  it goes on: 0 minutes so far"
    assert len(told) == number


def test_sizes_are_silvereyes() -> None:
    assert imagefacts.SIZES == {"small": 1534, "medium": 4606, "large": 9726}
