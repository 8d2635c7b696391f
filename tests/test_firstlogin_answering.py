"""Sitting at the wizard: questions, defaults, mistakes, going back; and checks against the machine and the wire."""

from pathlib import Path

import pytest

from isobuilder.firstlogin.journal import Journal
from tests.firstlogin_helpers import NODE_ROLE, STATIC, at_keyboard, configuration, configure, run_engine
from tests.scratch_machine import MACS, Scratch


@pytest.fixture
def machine(tmp_path: Path) -> Scratch:
    return Scratch(str(tmp_path / "root"), "9").make()


def answers(machine: Scratch) -> dict[str, str]:
    run = Journal(machine.effects()).last()
    assert run is not None
    return dict(run.answers)


def test_enter_takes_what_the_machine_proposes(machine: Scratch) -> None:
    machine.write("proc/sys/kernel/hostname", "front.example.org\n")
    code, said = at_keyboard(machine, "", "", "", "", "", "", "yes")
    assert code == 0, said
    assert answers(machine) == {
        "hostname": "front.example.org",
        "address": "dhcp",
        "dns": "auto",
        "ntp": "keep",
        "timezone": "UTC",
    }
    assert "Have the DHCP server keep it for 52:54:00:12:34:56." in " ".join(said.split())


def test_going_back_keeps_what_was_typed_and_forgets_what_followed_from_it(machine: Scratch) -> None:
    typed = [
        "a.example.org",
        "192.168.1.10/24",
        "",
        "192.168.1.53",
        "<",
        "<",
        "<",
        "10.0.0.10/24",
        "",
        "",
        "",
        "",
        "s",
        "yes",
    ]
    code, said = at_keyboard(machine, "<", *typed)
    assert code == 0, said
    assert "This is the first question" in said
    assert answers(machine) == {
        "hostname": "a.example.org",
        "address": "10.0.0.10/24",
        # The gateway was only proposed, and is proposed anew; the name server was typed, and stays.
        "gateway": "10.0.0.1",
        "dns": "192.168.1.53",
        "ntp": "keep",
        "timezone": "UTC",
    }


def test_a_question_that_does_not_arise_any_more_has_no_answer(machine: Scratch) -> None:
    code, said = at_keyboard(
        machine, "a.example.org", "192.168.1.10/24", "192.168.1.2", "<", "<", "dhcp", "", "", "", "s", "yes"
    )
    assert code == 0, said
    assert "gateway" not in answers(machine)


def test_every_question_explains_itself(machine: Scratch) -> None:
    machine.write("etc/cloud-setup/role", NODE_ROLE)
    good = ["a.example.org", "192.168.1.10/24", "192.168.1.1", "192.168.1.1", "br0", "keep", "UTC"]
    typed = [word for answer in good for word in ("?", answer)]
    code, said = at_keyboard(machine, *typed)
    assert code == 130
    assert said.count("Example: ") == len(good)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (["a.example.org", "192.168.1.10/24", "192.168.2.1"], "is not in the network of 192.168.1.10/24"),
        (["a.example.org", "192.168.1.10/24", "192.168.1.10"], "is this machine's own address"),
        (["a.example.org", "192.168.1.10/24", "192.168.1.255"], "broadcast address"),
        (["a.example.org", "192.168.1.10/24", "", "auto"], "takes the DNS servers from DHCP"),
        (["a.example.org", "", "", "", "Europe/Roma"], "There is no time zone Europe/Roma. Is it one of Europe/Rome?"),
        (["a.example.org", "", "", "", "rome"], "There is no time zone rome. Is it one of Europe/Rome?"),
        (["a.example.org", "", "", "", "europe/rome"], "There is no time zone europe/rome. Is it one of Europe/Rome?"),
        (["a.example.org", "", "", "", "Italy/Rome"], "There is no time zone Italy/Rome. Is it one of Europe/Rome?"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_at_once(machine: Scratch, typed: list[str], why: str) -> None:
    code, said = at_keyboard(machine, *typed)
    assert code == 130
    assert f"! {why}" in " ".join(said.split()) or why in " ".join(said.split())
    # The same question is asked again, and is the last one.
    assert said.rstrip().splitlines()[-1].split("/")[0] == str(len(typed))


def test_an_address_that_somebody_has_is_refused_and_asked_again(machine: Scratch) -> None:
    machine.set(taken=["192.168.1.1", "192.168.1.10"])
    typed = ["a.example.org", "192.168.1.10/24", "", "", "", "", "192.168.1.11/24", "", "", "", "", "s", "yes"]
    code, said = at_keyboard(machine, *typed)
    assert code == 0, said
    assert "Another machine on the wire of eth0 has 192.168.1.10" in " ".join(said.split())
    assert answers(machine)["address"] == "192.168.1.11/24"
    # Its own address is no other machine's.
    machine.set(taken=["192.168.1.1", "192.168.1.11"])
    assert configure(machine, answers(machine))[0] == 0


def test_answers_of_a_file_are_checked_against_the_machine(tmp_path: Path) -> None:
    machine = Scratch(str(tmp_path / "root"), "7").make(ports=2)
    table = machine.state()
    machine.set(
        addresses={**table["addresses"], "eth1": ["10.0.0.5/24"], "virbr0": ["192.168.122.1/24"]}, taken=["192.168.1.9"]
    )
    cases = {
        "interface": ({"interface": "eth7"}, "There is no port eth7. This machine has eth0, eth1."),
        "address.eth9": ({"address.eth9": "dhcp"}, "There is no port eth9"),
        "address.eth0": ({"address.eth0": "dhcp"}, "eth0 is the main port"),
        "address.eth1": ({"address.eth1": "192.168.1.20/25"}, "overlaps that of the main port"),
        "address": ({"address": "192.168.122.9/24", "gateway": "192.168.122.1"}, "virbr0 has 192.168.122.1/24"),
        "gateway": ({"gateway": "10.0.0.1"}, "is not in the network"),
        "bridge": ({"bridge": "virbr0"}, "and no bridge"),
        "timezone": ({"timezone": "Mars/Phobos"}, "There is no time zone"),
    }
    machine.write("sys/class/net/virbr0/type", "1\n")
    for key, (change, why) in cases.items():
        code, said = configure(machine, {**STATIC, **change})
        assert code == 3, (key, said)
        assert f"{key}: " in said
        assert why in " ".join(said.split())
    code, said = configure(machine, {**STATIC, "address": "10.0.0.9/24", "gateway": "10.0.0.1", "address.eth1": "keep"})
    assert (code, "eth1 has 10.0.0.5/24" in said) == (3, True)
    code, said = configure(machine, {**STATIC, "address": "192.168.1.9/24"})
    assert (code, "Another machine on the wire" in said) == (3, True)
    assert machine.commands() == []
    assert Journal(machine.effects()).last() is None


def test_all_mistakes_of_all_sources_are_said_together(machine: Scratch) -> None:
    machine.write("etc/cloud-setup/answers", "[all]\nntp = $(reboot)\n")
    machine.write("proc/cmdline", "root=/dev/sda cloud.answers=http://10.0.0.1/rack.ini quiet\n")
    machine.write("root/answers.ini", "[all]\naddress = 10.0.0\n")
    hands = machine.effects(fetch=lambda _url, _limit, _timeout: b"[all]\ntimezone = ../x\n")
    code, said = run_engine(hands, "configure", "/root/answers.ini")
    assert code == 3
    for place in ("http://10.0.0.1/rack.ini:2", "/etc/cloud-setup/answers:2", "/root/answers.ini:2"):
        assert f"{place}: " in said
    assert machine.commands() == []


def test_a_file_is_stronger_than_the_definition_and_that_than_the_kernel_line(machine: Scratch) -> None:
    machine.write("etc/cloud-setup/answers", "[all]\nntp = definition.example.org\ntimezone = Europe/Rome\n")
    machine.write("proc/cmdline", "cloud.answers=https://10.0.0.1/rack.ini\n")
    kernel = "[all]\nntp = kernel.example.org\ntimezone = America/New_York\ndns = auto\n"
    file = f"[all]\nntp = file.example.org\nhostname = a.example.org\n[mac {MACS['eth0']}]\naddress = dhcp\n"
    machine.write("root/answers.ini", file)
    asked = []

    def fetch(url: str, limit: int, timeout: float) -> bytes:
        asked.append(url)
        return kernel.encode()

    code, said = run_engine(machine.effects(fetch=fetch), "configure", "/root/answers.ini")
    assert code == 0, said
    assert asked == ["https://10.0.0.1/rack.ini"]
    assert answers(machine) == {
        "hostname": "a.example.org",
        "address": "dhcp",
        "dns": "auto",
        "ntp": "file.example.org",
        "timezone": "Europe/Rome",
    }


def test_what_a_file_lacks_is_asked_for_and_nothing_else(machine: Scratch) -> None:
    machine.write("root/answers.ini", "[all]\nhostname = a.example.org\naddress = 192.168.1.10/24\n")
    code, keyboard_said = at_keyboard(machine, "", "", "", "", "s", "yes", path="/root/answers.ini")
    assert code == 0, keyboard_said
    assert "Gateway" in keyboard_said
    assert "Host name" not in keyboard_said
    # With nobody there it says what is missing, and does nothing.
    other = Scratch(machine.root + "-other", "9").make()
    other.write("root/answers.ini", "[all]\nhostname = a.example.org\naddress = 192.168.1.10/24\n")
    code, said = run_engine(other.effects(), "configure", "/root/answers.ini")
    assert code == 3
    assert "these answers are missing: gateway, dns" in said
    assert other.commands() == []


def test_answers_that_are_no_orders_stand_in_the_brackets(machine: Scratch) -> None:
    machine.write("etc/cloud-setup/answers", "[all]\nntp = ntp.example.org\n[host front]\naddress = 192.168.1.10/24\n")
    machine.write("proc/sys/kernel/hostname", "front.example.org\n")
    code, said = at_keyboard(machine, "", "", "", "", "", "", "s", "yes")
    assert code == 0, said
    assert answers(machine)["ntp"] == "ntp.example.org"
    assert answers(machine)["address"] == "192.168.1.10/24"


def test_a_labelled_medium_is_read_and_let_go(machine: Scratch) -> None:
    machine.write("proc/cmdline", "cloud.answers=hd:LABEL=RACK:/rack.ini\n")
    machine.write("dev/disk/by-label/RACK/rack.ini", f"[mac {MACS['eth0']}]\nhostname = a.example.org\n")
    code, said = at_keyboard(machine)
    assert (code, "Host name [a.example.org]" in said) == (130, True), said
    mount = ["mount", "-o", "ro,nosuid,nodev,noexec", "/dev/disk/by-label/RACK", "/var/lib/cloud-setup/medium"]
    assert machine.commands() == [mount, ["umount", "/var/lib/cloud-setup/medium"]]


def test_a_stick_of_the_wizards_label_is_read_without_being_named_and_all_else_outdoes_it(machine: Scratch) -> None:
    stick = "[all]\nhostname = a.example.org\nntp = stick.example.org\n"
    machine.write("dev/disk/by-label/CLOUD-SETUP/answers", stick)
    machine.write("etc/cloud-setup/kernel-argument", "cloud.answers=/rack.ini\n")
    machine.write("rack.ini", "[all]\nhostname = b.example.org\n")
    code, said = at_keyboard(machine, "", "", "", "", "", "", "s", "yes")
    assert code == 0, said
    assert (answers(machine)["hostname"], answers(machine)["ntp"]) == ("b.example.org", "stick.example.org")


def test_a_stick_of_the_wizards_label_without_answers_is_said(machine: Scratch) -> None:
    (Path(machine.root) / "dev/disk/by-label/CLOUD-SETUP").mkdir(parents=True)
    code, said = at_keyboard(machine)
    assert code == 130
    assert "hd:LABEL=CLOUD-SETUP:/answers: there is no such file" in " ".join(said.split())


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        ("hd:LABEL=NONE:/rack.ini", "no medium is labelled NONE"),
        ("hd:LABEL=../x:/rack.ini", "neither a path, nor"),
        ("ftp://10.0.0.1/x", "neither a path, nor"),
        ("file:///etc/shadow", "neither a path, nor"),
        ("rack.ini", "neither a path, nor"),
        ("/none.ini", "there is no such file"),
    ],
)
def test_answers_that_cannot_be_had_are_said_and_the_questions_come_all_the_same(
    machine: Scratch, argument: str, why: str
) -> None:
    machine.write("etc/cloud-setup/kernel-argument", f"cloud.answers={argument}\n")
    code, said = at_keyboard(machine)
    assert code == 130
    assert why in " ".join(said.split())
    assert "Host name" in said


def test_what_was_typed_can_be_saved_and_serves_again(machine: Scratch, tmp_path: Path) -> None:
    typed = ("a.example.org", "192.168.1.10/24", "", "", "ntp.example.org", "Europe/Rome", "s", "yes")
    code, said = at_keyboard(machine, *typed, save="/root/saved.ini")
    assert code == 0, said
    saved = machine.read("root/saved.ini")
    assert Path(machine.path("root/saved.ini")).stat().st_mode & 0o777 == 0o600
    assert f"[mac {MACS['eth0']}]\nhostname = a.example.org\naddress = 192.168.1.10/24\n" in saved
    other = Scratch(str(tmp_path / "other"), "9").make()
    other.write("root/answers.ini", saved)
    assert run_engine(other.effects(), "configure", "/root/answers.ini")[0] == 0
    assert answers(other) == answers(machine)


def test_a_dry_run_stops_before_anything_is_changed(machine: Scratch) -> None:
    machine.write("root/answers.ini", "[all]\n" + "".join(f"{key} = {value}\n" for key, value in STATIC.items()))
    before = configuration(machine)
    code, said = at_keyboard(machine, "s", path="/root/answers.ini", dry_run=True)
    assert (code, "nothing was changed" in said) == (0, True), said
    assert configuration(machine) == before
    assert machine.commands() == []
    assert Journal(machine.effects()).last() is None


def test_a_machine_that_will_not_do_is_refused_before_anything_is_changed(machine: Scratch) -> None:
    machine.write("proc/meminfo", "MemTotal:  262144 kB\n")
    code, said = configure(machine, STATIC)
    assert code == 4
    assert "fail  memory: 256 MiB" in said
    assert "The system itself needs 480 MiB" in said
    assert machine.commands() == []


def test_warnings_come_with_their_remedies(tmp_path: Path) -> None:
    machine = Scratch(str(tmp_path / "root"), "9").make(
        role='ID=nc\nBRIDGE=br0\nMEMORY_MIB=16384\nDISK_GIB=1000000\nCPU_FLAGS="svm"\n'
    )
    machine.write("proc/cpuinfo", "flags : fpu sse2\n")
    machine.write("sys/class/net/eth0/carrier", "")
    machine.set(taken=[], silent=True)
    code, said = configure(machine, {**STATIC, "bridge": "br0"})
    assert code == 0, said
    text = " ".join(said.split())
    for words in (
        "note: No cable is in eth0",
        "warn memory: 4000 MiB 16384 MiB are recommended",
        "1000000 GiB are recommended",
        "warn CPU: has none of svm Switch virtualization on",
        "pass address: static, 192.168.1.10/24",
        "warn gateway: nobody answers at 192.168.1.1 Is it switched on",
        "warn name resolution: 192.168.1.1 does not answer",
        "warn time: no server answers (ntp1.example.org, 1.pool.ntp.org)",
    ):
        assert words in text


def test_a_complete_file_is_applied_at_boot_with_nobody_there(machine: Scratch) -> None:
    text = f"[all]\ndns = 192.168.1.1\ngateway = 192.168.1.1\n[mac {MACS['eth0']}]\nhostname = a.example.org\n"
    machine.write("etc/cloud-setup/answers", text)
    code, said = run_engine(machine.effects(), "at_boot")
    assert (code, "Waiting for a login of root: no answers for address." in said) == (0, True)
    assert machine.commands() == []
    machine.write("etc/cloud-setup/answers", text + "address = 192.168.1.10/24\n")
    code, said = run_engine(machine.effects(), "at_boot")
    assert code == 0, said
    assert machine.read("proc/sys/kernel/hostname") == "a.example.org\n"
    assert machine.state()["addresses"] == {"eth0": ["192.168.1.10/24"]}
    # Once is enough.
    commands = machine.commands()
    machine.write("etc/cloud-setup/answers", text + "address = 192.168.1.99/24\n")
    assert run_engine(machine.effects(), "at_boot")[0] == 0
    assert machine.commands() == commands


def test_at_boot_mistakes_go_to_the_log(machine: Scratch) -> None:
    machine.write("etc/cloud-setup/answers", "[all]\nhostname = -\n")
    code, said = run_engine(machine.effects(), "at_boot")
    assert code == 3
    assert "/etc/cloud-setup/answers:2" in said


def test_at_boot_a_server_may_come_late_and_one_that_stays_away_stops_it(machine: Scratch) -> None:
    machine.write("proc/cmdline", "cloud.answers=https://10.0.0.1/rack.ini\n")
    machine.write("etc/cloud-setup/answers", "[all]\n" + "".join(f"{key} = {value}\n" for key, value in STATIC.items()))
    slept: list[float] = []

    def fetch(_url: str, _limit: int, _timeout: float) -> bytes:
        if len(slept) < 2:
            raise OSError("no route to host")
        return b"[all]\nbridge = none\n"

    def gone(_url: str, _limit: int, _timeout: float) -> bytes:
        raise OSError("no route to host")

    code, said = run_engine(machine.effects(fetch=gone, sleep=slept.append), "at_boot")
    assert (code, "https://10.0.0.1/rack.ini: no route to host" in said) == (3, True)
    assert machine.commands() == []
    slept.clear()
    code, said = run_engine(machine.effects(fetch=fetch, sleep=slept.append), "at_boot")
    assert code == 0, said
    assert machine.state()["addresses"] == {"eth0": ["192.168.1.10/24"]}


def test_a_machine_without_a_port_is_not_asked_anything(machine: Scratch) -> None:
    (Path(machine.path("sys/class/net/eth0/device"))).rmdir()
    code, said = at_keyboard(machine, "a.example.org")
    assert code == 4
    assert "This machine has no Ethernet port. Is the driver of its card loaded?" in said
    assert "Host name" not in said
