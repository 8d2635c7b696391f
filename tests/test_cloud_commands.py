"""cloud-setup nodes, check, status, teardown on machines of a cloud; and the helper with a real shell."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from isobuilder.firstlogin.cloud import admin, motd
from isobuilder.firstlogin.cloud.actions import NODES
from isobuilder.firstlogin.cloud.editions import EDITIONS
from isobuilder.firstlogin.effects import Result
from isobuilder.firstlogin.engine import Engine
from isobuilder.firstlogin.exits import SetupError
from tests.cloud_cases import PASSWORD, answers, machine
from tests.firstlogin_helpers import Keyboard, answers_file, configure, run_engine
from tests.standin_cloud import CloudMachine
from tests.test_cloud_resume import whole_state, without_database


def say(one: CloudMachine, action: str, *words: str, typed: Sequence[str] = (), there: bool = True) -> tuple[int, str]:
    """One command with somebody there who types these lines; the exit code, and all that was said."""
    keyboard = Keyboard(*typed)
    keyboard.interactive = there
    with closing(Engine(one.effects(), keyboard)) as engine:
        try:
            code = engine.upkeep.act(NODES, words) if action == "nodes" else getattr(engine.upkeep, action)()
        except SetupError as refused:
            return refused.code, keyboard.said.getvalue() + "\n".join(refused.lines)
    return code, keyboard.said.getvalue()


@pytest.fixture(params=["6", "7"])
def front_end(request: pytest.FixtureRequest, tmp_path: Path) -> CloudMachine:
    one = machine(tmp_path / "root", request.param, "front-end")
    code, said = configure(one, answers("EDGE", "front-end"))
    assert code == 0, said
    return one


def test_nodes_are_added_one_at_a_time_with_a_result_each(front_end: CloudMachine) -> None:
    front_end.add_node("192.168.1.11")
    front_end.add_node("192.168.1.12", up=False)
    front_end.add_node("192.168.1.13")
    front_end.write(
        "root/.ssh/known_hosts", "192.168.1.11 ssh-rsa OLDKEYOFAMACHINETHATWAS\n192.168.1.99 ssh-rsa KEPT\n"
    )
    code, said = say(front_end, "nodes", "add", "192.168.1.11-192.168.1.13")
    assert code == 5
    assert "pass  node 192.168.1.11: added" in said
    assert "warn  node 192.168.1.12: does not answer, and is skipped" in said
    assert "pass  node 192.168.1.13: added" in said
    assert front_end._conf()["NODES"].split() == ["192.168.1.13", "192.168.1.11"]
    known = front_end.read("root/.ssh/known_hosts")
    assert "OLDKEY" not in known
    assert "KEPT" in known
    # Later it is on, and can be added.
    front_end.add_node("192.168.1.12")
    code, said = say(front_end, "nodes", "add", "192.168.1.12", "192.168.1.11")
    assert code == 0, said
    assert "known already" in said
    code, said = say(front_end, "nodes", "list")
    assert code == 0
    assert [line.split()[2] for line in said.splitlines() if "enabled" in line] == [
        "192.168.1.11:",
        "192.168.1.12:",
        "192.168.1.13:",
    ]


def test_a_node_that_wants_a_password_is_asked_for_it_once(front_end: CloudMachine) -> None:
    front_end.add_node("192.168.1.11", trusts=False, password="root of the node")
    seen: list[str] = []
    run = front_end.run

    def watched(argv: Sequence[str], given: str, timeout: int) -> Result:
        seen.append(" ".join(argv))
        return run(argv, given, timeout)

    front_end.run = watched  # type: ignore[method-assign]
    code, said = say(front_end, "nodes", "add", "192.168.1.11", typed=["wrong"])
    assert code == 5
    assert "Permission denied" in said
    code, said = say(front_end, "nodes", "add", "192.168.1.11", typed=["root of the node"])
    assert code == 0, said
    assert "root of the node" not in said
    assert not any("root of the node" in words for words in seen)
    assert "root of the node" not in front_end.read("var/log/cloud-setup.log")
    line = front_end.cloud()["nodes"]["192.168.1.11"]["authorized"]
    assert line.startswith('from="192.168.1.10",no-agent-forwarding,')
    assert not Path(front_end.path("var/lib/cloud-setup/askpass")).exists()


def test_with_nobody_to_ask_a_node_that_wants_a_password_is_skipped(front_end: CloudMachine) -> None:
    front_end.add_node("192.168.1.11", trusts=False, password="root of the node")
    code, said = say(front_end, "nodes", "add", "192.168.1.11", there=False)
    assert code == 5
    assert "does not let this front end in" in said
    assert front_end._conf()["NODES"] == ""


def test_a_node_whose_keys_cannot_be_copied_is_not_registered(front_end: CloudMachine) -> None:
    front_end.add_node("192.168.1.11")
    front_end.fail("clusteradmin-copy-keys", 1, "failed to copy; ensure eucalyptus is installed on the target host")
    code, said = say(front_end, "nodes", "add", "192.168.1.11")
    assert code == 5
    assert "does not take the keys" in said
    assert front_end._conf()["NODES"] == ""
    assert say(front_end, "nodes", "add", "192.168.1.11")[0] == 0


def test_nodes_are_removed(front_end: CloudMachine) -> None:
    front_end.add_node("192.168.1.11")
    front_end.add_node("192.168.1.12")
    assert say(front_end, "nodes", "add", "192.168.1.11-12")[0] == 0
    code, said = say(front_end, "nodes", "remove", "192.168.1.11", "192.168.1.40")
    assert code == 5
    assert "pass  node 192.168.1.11: removed" in said
    assert "192.168.1.40: is not on the list" in said
    assert front_end._conf()["NODES"] == "192.168.1.12"


@pytest.mark.parametrize("words", [["add"], ["remove", "none"], ["add", "not an address"], ["dance"], ["list", "x"]])
def test_what_is_said_wrongly_is_usage(front_end: CloudMachine, words: list[str]) -> None:
    before = front_end.commands()
    assert say(front_end, "nodes", *words)[0] == 2
    assert front_end.commands() == before


def test_a_front_end_shows_its_key_on_one_line(front_end: CloudMachine) -> None:
    code, said = say(front_end, "nodes", "key")
    assert code == 0
    assert said == " ".join(front_end.read("root/.ssh/id_rsa.pub").split()[:2]) + "\n"
    # It is an answer to the node's question as it is.
    from isobuilder.firstlogin.cloud.rules import public_key

    assert public_key(said) == said.strip()


def test_nodes_are_a_matter_of_front_ends(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "node")
    code, said = say(one, "nodes", "list")
    assert (code, "no front end" in said) == (2, True)


def test_check_says_what_does_not_work(front_end: CloudMachine) -> None:
    assert say(front_end, "check")[0] == 0
    services = front_end.cloud()["services"]
    del services["storage"]
    front_end.change(services=services)
    code, said = say(front_end, "check")
    assert code == 5
    assert "fail  cloud: storage is not registered" in said
    front_end.change(started=None)
    code, said = say(front_end, "check")
    assert code == 5
    assert "fail  cloud: does not answer" in said


def test_status_is_some_ten_lines(front_end: CloudMachine) -> None:
    front_end.add_node("192.168.1.11")
    say(front_end, "nodes", "add", "192.168.1.11")
    code, said = say(front_end, "status")
    lines = said.splitlines()
    assert code == 0
    assert len(lines) == 10
    assert max(map(len, lines)) < 80
    rows = {line[:18].strip(): line[19:] for line in lines}
    assert rows["mode"] == "EDGE"
    assert rows["nodes"] == "1 of 1 enabled"
    assert rows["set up"] == "finished"
    assert "m1.small" in rows["room"]
    assert PASSWORD not in said


def test_status_before_anything_was_done(tmp_path: Path) -> None:
    for part in ("front-end", "node"):
        code, said = say(machine(tmp_path / part, "7", part), "status")
        assert code == 0
        assert "not yet; run: cloud-setup" in said


@pytest.mark.parametrize(
    ("style", "mode", "part"), [("6", "MANAGED", "box"), ("7", "EDGE", "front-end"), ("7", "EDGE", "node")]
)
def test_teardown_undoes_every_run(style: str, mode: str, part: str, tmp_path: Path) -> None:
    one = machine(tmp_path / "root", style, part)
    before = without_database(whole_state(one))
    assert configure(one, answers(mode, part))[0] == 0
    more = {"image_cache": "128"} if part == "node" else {"public_addresses": "192.168.1.90"}
    code, said = configure(one, answers(mode, part, **more))
    assert code == 0, said
    changed = whole_state(one)
    name = "node1.example.org" if part == "node" else "front.example.org"
    assert say(one, "tear_down", typed=["yes"])[0] == 130
    assert say(one, "tear_down", there=False)[0] == 3
    assert whole_state(one) == changed
    code, said = say(one, "tear_down", typed=[name])
    assert code == 0, said
    assert without_database(whole_state(one)) == before
    assert list(Path(one.path("var/lib/eucalyptus/db")).iterdir()) == []
    assert list(Path(one.path("var/lib/eucalyptus/keys")).iterdir()) == []
    code, said = say(one, "tear_down", typed=[name])
    assert "nothing to take down" in said
    # And again from the beginning.
    assert configure(one, answers(mode, part))[0] == 0


def test_a_start_after_a_teardown_does_not_set_it_up_again(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    one.write("etc/cloud-setup/answers", answers_file(answers("EDGE", "front-end")))
    assert run_engine(one.effects(), "at_boot")[0] == 0
    assert one.cloud()["services"]
    assert say(one, "tear_down", typed=[one.read("proc/sys/kernel/hostname").strip()])[0] == 0
    before = one.commands()
    code, said = run_engine(one.effects(), "at_boot")
    assert (code, "stays so until somebody runs cloud-setup" in said) == (0, True)
    assert one.commands() == before


def test_a_teardown_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    before = without_database(whole_state(one))
    assert configure(one, answers("EDGE", "front-end"))[0] == 0
    cut: list[Sequence[str]] = []
    run = one.run

    def die(argv: Sequence[str], given: str, timeout: int) -> Result:
        if argv[0] == "find" and not cut:
            cut.append(argv)
            raise KeyboardInterrupt
        return run(argv, given, timeout)

    one.run = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        say(one, "tear_down", typed=["front.example.org"])
    assert run_engine(one.effects(), "at_boot")[0] == 0
    assert without_database(whole_state(one)) == before


# The helper, with a shell and programs that are there.


def with_helper(folder: Path, keys: str, *words: str) -> subprocess.CompletedProcess[str]:
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    helper = programs / "cloud-admin"
    helper.write_text(admin.helper().content)
    (programs / "clcadmin-assume-system-credentials").write_text(f"#!/bin/sh\n{keys}\n")
    (programs / "ask").write_text('#!/bin/sh\necho "key $AWS_SECRET_ACCESS_KEY for $*"; exit "${FAIL:-0}"\n')
    for path in programs.iterdir():
        path.chmod(0o700)
    environ = {"PATH": f"{programs}:{os.environ['PATH']}", "LANG": "C"}
    if "FAIL" in words:
        environ["FAIL"] = "9"
    return subprocess.run([helper, *words], env=environ, capture_output=True, text=True, check=False, cwd=folder)


# As clcadmin-assume-system-credentials prints them.
_KEYS = """cat <<'EOF'
export AWS_ACCESS_KEY_ID="AKIEXAMPLE";
export AWS_SECRET_ACCESS_KEY="s3cret/+key";
unset AWS_CREDENTIAL_FILE;

# If you can read this, rerun this program with eval:
EOF"""


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_helper_gives_a_command_the_keys(shell: str, tmp_path: Path) -> None:
    assert subprocess.run([shell, "-n"], input=admin.helper().content, text=True, check=True).returncode == 0
    done = with_helper(tmp_path, _KEYS, "ask", "a b", "$(reboot)", ";")
    assert (done.returncode, done.stdout, done.stderr) == (0, "key s3cret/+key for a b $(reboot) ;\n", "")


def test_the_helper_fails_where_there_are_no_keys(tmp_path: Path) -> None:
    done = with_helper(tmp_path, "echo 'failed to obtain access keys' >&2; exit 1", "ask")
    assert (done.returncode, done.stdout) == (1, "")
    assert "failed to obtain" in done.stderr


def test_the_helper_writes_what_is_secret_for_root_alone_and_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep/down/keys.ini"
    done = with_helper(tmp_path, _KEYS, "--into", str(target), "ask")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert target.read_text() == "key s3cret/+key for \n"
    assert target.stat().st_mode & 0o777 == 0o600
    done = with_helper(tmp_path, _KEYS, "--into", str(target), "ask", "FAIL")
    assert done.returncode == 9
    assert target.read_text() == "key s3cret/+key for \n"


def test_the_message_of_the_day_keeps_what_others_wrote_and_has_ours_once() -> None:
    edition = EDITIONS[1]
    before = "Hello.\n"
    once = motd.message(before, edition, ["frontend"], "192.168.1.10", "cloud.example.org")
    assert once.startswith(before)
    assert motd.message(once, edition, ["frontend"], "192.168.1.10", "cloud.example.org") == once
    other = motd.message(once + "Bye.\n", edition, ["nc"], "192.168.1.10", "")
    assert other.startswith("Hello.\nBye.\n")
    assert "Console" not in other
