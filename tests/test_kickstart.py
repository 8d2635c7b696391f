"""Roles: rendered, read back as the installer would, refused with every line that it would refuse."""

import os
import re
import resource
from pathlib import Path

import pytest

from isobuilder.blueprint import Blueprint, read_blueprint
from isobuilder.errors import DefinitionError, KickstartError
from isobuilder.kickstart.disks import STORAGE_INCLUDE, writes_unasked
from isobuilder.kickstart.readback import read_back as read_back_for
from isobuilder.kickstart.rendering import Kickstart, render_roles
from isobuilder.kickstart.request import ModuleCommand, PackageRequest, Wanted, WantedGroup
from isobuilder.kickstart.sections import sections
from isobuilder.releases import KickstartFacts

SYNTAXES = ("RHEL7", "RHEL8", "RHEL9", "RHEL10")


def blueprint(folder: Path, template: str | None = None, extra: str = "") -> Blueprint:
    text = f'version = 1\nname = "site"\nrelease = "9-stream"\n{extra}\n'
    if template is not None:
        (folder / "own.ks.j2").write_text(template)
        text += '[role.own]\nkickstart = "own.ks.j2"\n'
    path = folder / "media.toml"
    path.write_text(text)
    return read_blueprint(path)


def render(folder: Path, template: str | None = None, extra: str = "") -> dict[str, Kickstart]:
    return {k.role: k for k in render_roles(blueprint(folder, template, extra))}


def read_back(text: str, syntax: str, *, where: str) -> tuple[PackageRequest, tuple[str, ...]]:
    return read_back_for(text, KickstartFacts(syntax=syntax), where=where)


def refused(folder: Path, template: str, extra: str = "") -> str:
    with pytest.raises(KickstartError) as caught:
        render(folder, template, extra)
    assert caught.value.exit_code == 3
    return "\n".join(caught.value.details)


def request(packages: str, syntax: str = "RHEL9") -> PackageRequest:
    return read_back(f"lang en_US.UTF-8\n%packages\n{packages}\n%end\n", syntax, where="ks")[0]


def test_the_plain_role_asks_before_it_touches_a_disk_and_sets_no_password(tmp_path: Path) -> None:
    minimal = render(tmp_path)["minimal"]
    commands = {line.split()[0] for line in minimal.text.splitlines() if line and not line.startswith("#")}
    assert minimal.path == "ks/minimal.cfg"
    assert "cdrom" in commands
    assert not commands & {"clearpart", "zerombr", "autopart", "part", "ignoredisk", "rootpw"}
    assert minimal.request.groups == (WantedGroup("core", minimal.text.splitlines().index("@core") + 1),)


def test_what_the_definition_says_reaches_the_kickstart(tmp_path: Path) -> None:
    hash_, key = "$6$saltsalt$" + "b" * 86, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZvb2Jhcg0123456789 me"
    extra = '[install]\nlanguage = "it_IT.UTF-8"\ntimezone = "Europe/Rome"\nconsole = "ttyS0,115200"\n'
    extra += f'keyboard = "it"\nroot-password = "{hash_}"\nssh-keys = ["{key}"]'
    text = render(tmp_path, extra=extra)["minimal"].text
    for line in (
        "lang it_IT.UTF-8",
        "keyboard --vckeymap=it --xlayouts=it",
        "timezone Europe/Rome --utc",
        f"rootpw --iscrypted {hash_}",
        f'sshkey --username=root "{key}"',
        'bootloader --location=mbr --append="console=tty0 console=ttyS0,115200"',
    ):
        assert line in text.splitlines()


def test_a_role_of_ones_own_extends_ours(tmp_path: Path) -> None:
    template = '{% extends "base.ks.j2" %}\n{% block packages %}\n@core\nrack-tools\n{% endblock %}\n'
    own = render(tmp_path, template)["own"]
    assert own.title == "Install own"
    assert [wanted.text for wanted in own.request.packages] == ["rack-tools"]
    assert own.text.splitlines()[own.request.packages[0].line - 1] == "rack-tools"


def test_the_shipped_minimal_role_can_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "small.ks").write_text("lang en_US.UTF-8\n%packages --nocore\nbash\n%end\n")
    minimal = render(tmp_path, extra='[role.minimal]\nkickstart = "small.ks"\ntitle = "Smaller"')["minimal"]
    assert (minimal.title, minimal.request.groups) == ("Smaller", ())


def test_packages_are_what_pykickstart_understood() -> None:
    understood = request(
        "@^minimal-environment\n@ standard --optional\n@base --nodefaults\n-@guest-agents\n"
        "bash  # a comment\nlibX*.i686\n/usr/bin/vim\n-firewalld\n-iwl*"
    )
    assert understood == PackageRequest(
        packages=(Wanted("/usr/bin/vim", 9), Wanted("bash", 7), Wanted("libX*.i686", 8)),
        groups=(WantedGroup("core", 0), WantedGroup("standard", 4, "optional"), WantedGroup("base", 5, "mandatory")),
        environment=WantedGroup("minimal-environment", 3),
        excluded_packages=(Wanted("firewalld", 10), Wanted("iwl*", 11)),
        excluded_groups=(WantedGroup("guest-agents", 6),),
    )


def test_core_is_added_unless_refused_and_weak_dependencies_can_be_left_out() -> None:
    assert [group.id for group in request("bash").groups] == ["core"]
    assert [group.id for group in request("@core\nbash").groups] == ["core"]
    header = "lang en_US\n%packages --nocore --exclude-weakdeps\nbash\n%end\n"
    understood = read_back(header, "RHEL9", where="ks")[0]
    assert (understood.groups, understood.weak) == ((), False)


def test_modules_are_commands_and_groups() -> None:
    text = (
        "lang en_US.UTF-8\nmodule --name=nodejs --stream=1.10\nmodule --name=php --disable\nmodule --name=perl\n"
        "%packages --nocore\n@ruby:2.7/common\n@db/server\n%end\n"
    )
    for syntax in ("RHEL8", "RHEL9"):
        understood, _ = read_back(text, syntax, where="ks")
        assert understood.modules == (
            ModuleCommand("nodejs", "1.10", 2),
            ModuleCommand("php", "", 3, enable=False),
            ModuleCommand("perl", "", 4),
        )
        assert understood.groups == (WantedGroup("ruby:2.7/common", 6), WantedGroup("db/server", 7))
    with pytest.raises(KickstartError):
        read_back(text, "RHEL7", where="ks")


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_refused_command_is_reported(syntax: str) -> None:
    text = "lang en_US.UTF-8\nnosuchcommand\nkeyboard --nosuch us\nnetwork --bootproto=\n%packages\nbash\n%end\n"
    with pytest.raises(KickstartError) as caught:
        read_back(text, syntax, where="ks")
    assert [line.split(":")[0] for line in caught.value.details] == ["ks, line 2", "ks, line 3", "ks, line 4"]
    assert "nosuchcommand" in caught.value.details[0]


def test_a_command_that_a_release_removed_is_refused_there_and_deprecation_is_noted() -> None:
    removed = "lang en_US.UTF-8\ninstall\n"
    assert read_back(removed, "RHEL7", where="ks")[1] == ()
    assert "line 2" in read_back(removed, "RHEL8", where="ks")[1][0]
    with pytest.raises(KickstartError):
        read_back(removed, "RHEL9", where="ks")


@pytest.mark.parametrize(
    "text", ["%packages\nbash\n", "%nosuchsection\n%end\n", 'lang "en_US\n', "%packages --nosuch\n%end\n"]
)
def test_malformed_kickstarts_are_refused_without_a_traceback(text: str) -> None:
    with pytest.raises(KickstartError):
        read_back(text, "RHEL9", where="ks")


def test_mistakes_of_all_roles_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "other.ks").write_text("nosuchcommand\n")
    found = refused(tmp_path, "{{ nosuchvariable }}\n", '[role.other]\nkickstart = "other.ks"')
    assert "own.ks.j2, line 1: there is no 'nosuchvariable' for templates" in found
    assert "ks/other.cfg, line 1: nosuchcommand" in found


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% if %}\n", "own.ks.j2, line 1"),
        ("\n{{ install.nosuch }}\n", "own.ks.j2, line 2"),
        ("{% extends 'nosuch.j2' %}", "no template 'nosuch.j2'"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ install.__class__.__mro__ }}", "unsafe"),
        ("{{ ''.__class__ }}", "unsafe"),
        ("{{ install.parse_raw('x', proto='pickle', allow_pickle=true) }}", "there is no 'parse_raw' here"),
        ("{{ release.kickstart.parse_file('/etc/passwd') }}", "there is no 'parse_file' here"),
        ("{{ release.repository[0].model_dump_json() }}", "there is no 'model_dump_json' here"),
        ("{% include '../../etc/passwd' %}", "no template"),
    ],
)
def test_templates_fail_with_their_place_and_cannot_reach_out(tmp_path: Path, template: str, words: str) -> None:
    assert words in refused(tmp_path, template)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ 'x' * 10**10 }}", "MemoryError"),
        ("{{ [0] * 10**10 }}", "MemoryError"),
        ("{{ 'x' | center(10**10) }}", "MemoryError"),
        ("{{ '%0999999999d' | format(1) }}", "MemoryError"),
        ("{{ 9 ** (9 ** 9) }}", "too large for a template"),
        ("{{ 2 ** 5000 }}", "too large for a template"),
        ("{{ range(10**12) | list }}", "too big"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", "more than 4 MiB"),
        ("{{ 'x' * 5000000 }}", "more than 4 MiB"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
    ],
)
def test_templates_that_ask_for_gigabytes_are_refused(tmp_path: Path, template: str, words: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    assert words in refused(tmp_path, template)
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_templates_may_calculate(tmp_path: Path) -> None:
    text = "{{ 2 ** 10 }} {{ 2 ** -1 }} {{ 1.5 ** 2 }} {{ 'ab' * 3 }}"
    (tmp_path / "own.ks.j2").write_text(f"{{# #}}# {text}\n%packages\n@core\n%end\n")
    made = render(tmp_path, (tmp_path / "own.ks.j2").read_text())["own"]
    assert "# 1024 0.5 2.25 ababab" in made.text


def test_an_include_that_is_no_plain_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "that is no plain file" in refused(tmp_path, "%include pipe\n%packages\n@core\n%end\n")


def test_files_below_the_definition_are_inlined_and_read_back(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/net.ks").write_text("network --bootproto=dhcp\n%include parts/more.ks\n")
    (tmp_path / "parts/more.ks").write_text("%packages\ntmux\n%end\n")
    own = render(tmp_path, "lang en_US.UTF-8\n%include parts/net.ks\n")["own"]
    assert own.text == "lang en_US.UTF-8\nnetwork --bootproto=dhcp\n%packages\ntmux\n%end\n"
    assert own.request.packages == (Wanted("tmux", 4),)


PRE = "%pre\necho part > /tmp/disk.ks\n%end\n"


def test_what_pre_writes_may_be_included(tmp_path: Path) -> None:
    own = render(tmp_path, f"%include /tmp/disk.ks\n{PRE}")["own"]
    assert own.text.startswith("%include /tmp/disk.ks\n")


@pytest.mark.parametrize(
    "template",
    [
        "%include /tmp/other.ks\n" + PRE,
        "%include /tmp/disk\n" + PRE,
        "%include http://example.org/x.ks\n",
        "%ksappend http://example.org/x.ks\n",
        "%include /etc/hosts\n",
        "%include ../outside.ks\n",
        "%include nosuch.ks\n",
        "%include loop.ks\n",
        "%include\thttp://example.org/x.ks\n",
        "%ksappend\thttp://example.org/x.ks\n",
        '  %include  "http://example.org/x.ks"  # comment\n',
        "%include\n",
        "%include one.ks two.ks\n",
        '%include "unclosed\n',
        PRE + "%packages\n%include\t/tmp/disk.ks\n%end\n",
        PRE + "%packages\n%include /tmp/disk.ks\n%end\n",
    ],
)
def test_includes_that_the_medium_could_not_answer_for_are_refused(tmp_path: Path, template: str) -> None:
    (tmp_path / "loop.ks").write_text("%include loop.ks\n")
    (tmp_path.parent / "outside.ks").write_text("lang en_US.UTF-8\n")
    assert re.search(r"(own\.ks\.j2 as rendered|ks/own\.cfg|loop\.ks), line \d: %", refused(tmp_path, template))


def test_a_symbolic_link_does_not_lead_outside(tmp_path: Path) -> None:
    (tmp_path / "link.ks").symlink_to("/etc/hostname")
    assert "outside of the definition's folder" in refused(tmp_path, "%include link.ks\n")


@pytest.mark.parametrize(
    ("text", "chooses"),
    [
        ("lang en_US\n%packages\n@core\n%end\n", False),
        ("%post\nclearpart --all\n%end\n", False),
        ("# clearpart --all\n", False),
        ("%packages\n@core\n%end\nautopart\n", True),
        ("zerombr\nclearpart --all\n", True),
        ("  part / --size 1000\n", True),
        (f"{PRE}%include /tmp/disk.ks\n", True),
    ],
)
def test_it_is_known_whether_a_role_may_erase_disks_unasked(tmp_path: Path, text: str, *, chooses: bool) -> None:
    roles = render(tmp_path, text)
    assert roles["own"].chooses_disks == chooses
    assert not roles["minimal"].chooses_disks


@pytest.mark.parametrize("text", ["%pre\nsgdisk -Z /dev/sda\n%end\n", "mount /dev/sda1 / --reformat=xfs\n"])
def test_scripts_before_the_installation_and_mount_count_as_choosing_disks(tmp_path: Path, text: str) -> None:
    assert render(tmp_path, text)["own"].chooses_disks


def test_an_included_file_reports_its_own_mistakes_and_may_rely_on_the_pre_of_its_includer(tmp_path: Path) -> None:
    (tmp_path / "a.ks").write_text("lang en_US.UTF-8\n%ksappend http://x.example.org/y\n")
    assert "a.ks, line 2: %ksappend" in refused(tmp_path, "%include a.ks  # ours\n")
    (tmp_path / "a.ks").write_text("%include /tmp/disk.ks\n")
    assert "%include /tmp/disk.ks" in render(tmp_path, f"{PRE}%include a.ks\n")["own"].text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("%packages\n-\n%end\n", "cannot be read"),
        ("lang en_US.UTF-8\nrootpw --plaintext hunter2\n", "line 2"),
        ("lang en_US.UTF-8\nrootpw hunter2\n", "plain password"),
        ("user --name=eve --password=hunter2 --plaintext\n", "plain password"),
        ("bootloader --password=hunter2\n", "plain password"),
        ("sshpw --username=root hunter2 --plaintext\n", "plain password"),
        ("rootpw --iscrypted hunter2\n", "plain password"),
        ("rootpw --plaintext hunter2\nrootpw --iscrypted $6$a$b\n", "line 1: rootpw ..."),
        ("bootloader --password=hunter2\nbootloader --timeout=5\n", "line 1: bootloader ..."),
        ("part / --sze=1 --encrypted --passphrase=hunter2\n", "line 1: part ..."),
        ("{% include 'own.ks.j2' %}", "recursion"),
    ],
)
def test_what_no_medium_should_carry(tmp_path: Path, text: str, words: str) -> None:
    found = refused(tmp_path, text)
    assert words in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "text",
    [
        "rootpw --iscrypted $6$a$b\nrootpw --lock\n",
        "bootloader --iscrypted --password=grub.pbkdf2.x\nbootloader --timeout=5\n",
    ],
)
def test_a_second_line_of_a_command_makes_no_hash_plain(tmp_path: Path, text: str) -> None:
    assert text in render(tmp_path, text)["own"].text


def test_hashed_passwords_are_fine_and_network_sources_are_noted(tmp_path: Path) -> None:
    text = "rootpw --iscrypted $6$a$b\nuser --name=eve --iscrypted --password=$6$a$b\n"
    text += "url --url=http://x.example.org/os\nrepo --name=more --baseurl=http://x.example.org/more\n"
    notes = render(tmp_path, text + "repo --name=own --baseurl=file:///run/install/repo\n")["own"].notes
    assert [note.partition(" too ")[2] for note in notes] == ["(url)", "(repo more)"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{% block package %}\ntmux\n{% endblock %}\n", "no block 'package'; did you mean 'packages'?"),
        ("# a comment is no loss\nclearpart --all\n", "would be dropped: 'clearpart --all'"),
        ("{{ install.language }}\n", "would be dropped"),
        ("{% if install.language %}\ntmux\n{% endif %}\n", "would be dropped: 'tmux'"),
        ("{% for x in [1] %}{% block pakcages %}tmux{% endblock %}{% endfor %}\n", "no block 'pakcages'"),
    ],
)
def test_what_a_template_would_lose_is_said(tmp_path: Path, body: str, words: str) -> None:
    found = refused(tmp_path, '{% extends "base.ks.j2" %}\n' + body)
    assert words in found
    assert "own.ks.j2, line" in found


def test_a_role_of_ours_can_be_renamed_or_hidden_and_others_need_a_kickstart(tmp_path: Path) -> None:
    minimal = render(tmp_path, extra='[role.minimal]\ntitle = "Small"\nmenu = false')["minimal"]
    assert (minimal.title, minimal.menu) == ("Small", False)
    with pytest.raises(DefinitionError) as caught:
        render(tmp_path, extra='[role.other]\ntitle = "Other"\n[role.more]\nmenu = false')
    assert [line.partition(":")[0] for line in caught.value.details] == ["role.other.kickstart", "role.more.kickstart"]


def test_sections_end_where_the_installer_ends_them() -> None:
    text = "a\n%pre\n%include x\n%if\n%end\n%include y\n"
    assert [section for section, _, _ in sections(text)] == ["", "", "%pre", "%pre", "%pre", ""]


OWN_INCLUDE = """
{% block storage %}
{{ super() }}
%include /tmp/own.ks
{% endblock %}
{% block scripts %}
%pre
echo autopart >/tmp/own.ks
%end
{% endblock %}
"""
UNATTENDED = """
[install]
disk = { model = "ST4000*", min-size = "100GB" }
root-password = "$6$salt$xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
"""


@pytest.mark.parametrize(
    "template",
    [
        "{% block packages %}\n@core\n{% endblock %}",
        "{% block storage_volumes %}\n# Data.\nlogvol /srv --vgname=isobuilder --name=srv --size=99\n{% endblock %}",
        "{% block scripts %}\n%post\ndd if=/dev/zero of=/srv/file count=1\n%end\n{% endblock %}",
    ],
)
def test_a_role_that_leaves_the_choice_to_ours_names_the_disk(tmp_path: Path, template: str) -> None:
    own = render(tmp_path, '{% extends "base.ks.j2" %}\n' + template, UNATTENDED)["own"]
    assert own.disk == "model ST4000*, at least 100GB"


@pytest.mark.parametrize(
    "template",
    [
        "{% block storage %}\nclearpart --all --initlabel\nautopart\n{% endblock %}",
        "{% block commands %}\nclearpart --all\n{% endblock %}",
        "{% block commands %}\nignoredisk --only-use=sda\n{% endblock %}",
        "{% block scripts %}\n%pre\ndd if=/dev/zero of=/dev/sda count=1\n%end\n{% endblock %}",
        "{% block scripts %}\n%pre-install\nwipefs -a /dev/sda\n%end\n{% endblock %}",
        "{% block choose_disk %}\n%pre\necho zerombr >/tmp/isobuilder-storage.ks\n%end\n{% endblock %}",
        "{% block storage_volumes %}\nclearpart --all\n{% endblock %}",
        "{% block storage_volumes %}\npart /data --onpart=sdb1\n{% endblock %}",
        "{% block storage_volumes %}\npart /data --ondisk=$disk --usepart=sdb1\n{% endblock %}",
        "{% block storage_volumes %}\npart /data --ondisk=sdb --size=9\n{% endblock %}",
        "{% block storage_volumes %}\nlogvol /data --vgname=isobuilder --name=old --useexisting\n{% endblock %}",
        "{% block commands %}\nbootloader --boot-drive=sdb\n{% endblock %}",
        "{% block scripts %}\n%onerror\ndd if=/dev/zero of=/dev/sda\n%end\n{% endblock %}",
        "{% block storage_volumes %}\nISOBUILDER_STORAGE\ndd of=/dev/sda\n{% endblock %}",
        OWN_INCLUDE,
    ],
)
def test_a_role_that_chooses_disks_in_its_own_way_is_not_called_safe(tmp_path: Path, template: str) -> None:
    own = render(tmp_path, '{% extends "base.ks.j2" %}\n' + template, UNATTENDED)["own"]
    assert own.chooses_disks
    assert own.disk is None


def test_an_unattended_role_without_a_root_password_is_noted(tmp_path: Path) -> None:
    disk_only = UNATTENDED.partition("root-password")[0]
    assert any(
        "stops to ask for a root password" in note for note in render(tmp_path, extra=disk_only)["minimal"].notes
    )
    assert not any("root password" in note for note in render(tmp_path, extra=UNATTENDED)["minimal"].notes)


def test_what_an_installer_stops_at_is_refused_for_its_release(tmp_path: Path) -> None:
    text = "network --bootproto=dhcp --device=link\n%packages\n@core\n%end\n"
    old = 'release = "6"\n'
    path = tmp_path / "media.toml"
    (tmp_path / "own.ks").write_text(text)
    path.write_text(f'version = 1\nname = "site"\n{old}[role.own]\nkickstart = "own.ks"\n')
    with pytest.raises(KickstartError) as caught:
        render_roles(read_blueprint(path))
    assert "line 1: network ...: this installer knows no device called link" in "\n".join(caught.value.details)
    path.write_text(path.read_text().replace(old, 'release = "7"\n'))
    render_roles(read_blueprint(path))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("%packages\n@^minimal\n%end\n", "knows groups, and no environments"),
        ("%addon com_redhat_kdump\n%end\n", "has no section %addon; it knows %packages"),
    ],
)
def test_what_pykickstart_takes_and_the_old_installer_does_not(lines: str, words: str) -> None:
    old = KickstartFacts(syntax="RHEL6", sections=("%packages", "%pre", "%post"), environments=False)
    with pytest.raises(KickstartError) as caught:
        read_back_for(lines, old, where="ks")
    assert any(words in detail for detail in caught.value.details)


def test_a_wipe_of_every_disk_is_noted() -> None:
    text = "zerombr\nclearpart --all\nautopart\n%packages\n%end\n"
    assert any("erases every disk" in note for note in read_back(text, "RHEL9", where="ks")[1])
    only = text.replace("zerombr", "ignoredisk --only-use=sda")
    assert not any("erases every disk" in note for note in read_back(only, "RHEL9", where="ks")[1])


@pytest.mark.parametrize(
    "line",
    [
        '"zerombr"',
        "'clearpart' --all",
        "\\clearpart --all",
        'c"learpart" --all',
        '"%pre"\ndd of=/dev/sda\n%end',
        '"%include" http://example.org/x.ks',
        "\\%include /etc/hosts",
        '%packages\n"%include" /tmp/x\n%end',
    ],
)
def test_words_that_only_show_by_a_shells_rules_are_refused(tmp_path: Path, line: str) -> None:
    assert "the first word must stand as it is" in refused(tmp_path, f"{line}\n%packages\n%end\n")


def test_a_role_of_a_product_keeps_what_its_override_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "media.toml"
    (tmp_path / "own.ks").write_text("%packages\n%end\n")
    path.write_text(
        'version = 1\nname = "site"\nrelease = "7"\nproduct = "eucalyptus"\n'
        '[role.image]\ntitle = "Our image"\n[role.nc]\nkickstart = "own.ks"\n'
    )
    made = {kickstart.role: kickstart for kickstart in render_roles(read_blueprint(path))}
    assert (made["image"].title, made["image"].menu) == ("Our image", False)
    assert (made["nc"].title, made["nc"].group) == ("Install a node controller", "several")
    assert made["nc"].request.packages == ()


ASKS = (
    "", "ignoredisk --only-use=sda\n", "clearpart --none\n", "%post\nautopart\n%end\n", "%include /mnt/more.ks\n",
    "%pre\nclearpart --all\n%end\n", "clearpart\n",
)  # fmt: skip
WRITES = {
    "lang en_US\nzerombr\n": 2, "clearpart --all\n": 1, "part / --size=1\n": 1, "autopart\n": 1,
    "%pre\n%end\n%include /tmp/part.ks\n": 3, "ostreesetup --url=x\n": 1, "clearpart --none\nlogvol /\n": 2,
}  # fmt: skip


@pytest.mark.parametrize("text", ASKS)
def test_a_kickstart_that_leaves_disks_to_a_person_writes_nothing_unasked(text: str) -> None:
    assert writes_unasked(text) is None


@pytest.mark.parametrize("text", WRITES)
def test_a_kickstart_that_writes_unasked_is_told_by_its_line(text: str) -> None:
    found = writes_unasked(text)
    assert found
    assert (found.line, found.text) == (WRITES[text], text.splitlines()[WRITES[text] - 1])


GOLDEN = Path(__file__).parent / "golden/media"


@pytest.mark.parametrize("path", sorted(str(path.relative_to(GOLDEN)) for path in GOLDEN.glob("*/*/ks/minimal.cfg")))
def test_our_own_kickstarts_take_an_empty_disk_or_none_unless_they_install_again(path: str) -> None:
    text = (GOLDEN / path).read_text()
    if "-ask/" in path:
        assert writes_unasked(text) is None
        return
    found = writes_unasked(text)
    assert found
    assert found.text == f"%include {STORAGE_INCLUDE}"
    # Without what knows an earlier installation, the same takes an empty disk only.
    assert writes_unasked(re.sub(r"^is_marked\(\) \{$", "is_other() {", text, flags=re.MULTILINE)) is None
    assert writes_unasked(text.replace("is_marked() {", "x() {").replace("is_empty() {", "y() {")) == found
