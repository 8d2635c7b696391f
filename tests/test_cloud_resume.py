"""A cloud whose setting up is stopped or fails, anywhere: the next run goes on or back, as if nothing had been."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from isobuilder.firstlogin import journal as journals
from isobuilder.firstlogin.effects import Result
from isobuilder.firstlogin.journal import Journal
from tests.cloud_cases import PASSWORD, answers, machine
from tests.firstlogin_helpers import at_keyboard, configure, end_state, run_engine
from tests.practice.euca.knowledge import SECRET_KEY
from tests.standin_cloud import CloudMachine
from tests.test_firstlogin_resume import Plug, cut_off, every_event

CASES = [("6", "MANAGED", "front-end"), ("7", "EDGE", "box"), ("7", "VPCMIDO", "front-end"), ("6", "EDGE", "node")]
BOX = answers("EDGE", "box", nodes="none")


def whole_state(one: CloudMachine) -> tuple[object, ...]:
    """All that a machine of a cloud is: files, services, what the cloud knows; without when it came to know it."""
    cloud = one.cloud()
    for services in cloud["services"].values():
        for name, (host, zone, _when) in services.items():
            services[name] = [host, zone]
    cloud["started"] = cloud["started"] is not None
    extra = {}
    for name in ("usr/sbin/cloud-admin", "root/.euca/cloud-setup.ini", "root/.euca/global.ini", "root/.ssh/id_rsa"):
        path = Path(one.path(name))
        extra[name] = (path.stat().st_mode, path.read_text()) if path.exists() else None
    return (
        *end_state(one),
        cloud,
        extra,
        sorted(path.name for path in Path(one.path("var/lib/cloud-setup")).glob("marks/*")),
    )


def without_database(state: tuple[object, ...]) -> tuple[object, ...]:
    """After the way back: what stood in a database that is gone does not count."""
    files, services, name, cloud, extra, marks = state
    assert isinstance(cloud, dict)
    return files, services, name, {key: cloud[key] for key in ("nodes", "started")}, extra, marks


def go_on(one: CloudMachine, values: dict[str, str], *secrets: str) -> tuple[int, str]:
    run = Journal(one.effects()).last()
    if run is None or run.state == journals.FINISHED:
        return configure(one, values)
    return at_keyboard(one, "c", *secrets)


@pytest.mark.parametrize(("style", "mode", "part"), CASES)
def test_a_power_failure_anywhere_changes_nothing_in_the_end(style: str, mode: str, part: str, tmp_path: Path) -> None:
    values = answers(mode, part)
    whole = machine(tmp_path / "whole", style, part)
    untouched = without_database(whole_state(whole))
    events = every_event(whole, lambda effects: configure(whole, values, effects))
    wanted = whole_state(whole)
    # Each event of a front end takes a while: a few between are left out, other ones in each case.
    step = 3 if part == "node" else 5
    for event in events[CASES.index((style, mode, part)) :: step]:
        one = machine(tmp_path / str(event), style, part)
        assert cut_off(Plug(one, event), lambda effects, one=one: configure(one, values, effects))  # type: ignore[misc]
        if event % 2:
            code, said = run_engine(one.effects(), "roll_back")
            assert code == 0, (event, said)
            assert without_database(whole_state(one)) == untouched, event
        else:
            code, said = go_on(one, values, PASSWORD)
            assert code == 0, (event, said)
            assert whole_state(one) == wanted, event


@pytest.mark.parametrize(("style", "mode", "part"), [("6", "MANAGED-NOVLAN", "box"), ("7", "EDGE", "front-end")])
def test_every_command_that_fails_once_is_named_and_the_next_run_goes_on(
    style: str, mode: str, part: str, tmp_path: Path
) -> None:
    values = answers(mode, part)
    wanted = machine(tmp_path / "whole", style, part)
    configure(wanted, values)
    for number, command in enumerate(dict.fromkeys(map(tuple, wanted.commands()))):
        one = machine(tmp_path / str(number), style, part)
        run = one.run

        def refuse(argv: Sequence[str], given: str, timeout: int) -> Result:
            if tuple(argv) == command:  # noqa: B023 - called in this turn alone
                return Result(1, "first words\nlast words\n")
            return run(argv, given, timeout)  # noqa: B023

        code, said = configure(one, values, one.effects(run=refuse))
        assert code == 5, command
        assert "last words" in said
        assert "cloud-setup rollback" in said
        assert PASSWORD not in said
        code, said = at_keyboard(one, "c", PASSWORD)
        assert code == 0, (command, said)
        assert whole_state(one) == whole_state(wanted), command


@pytest.mark.parametrize(("style", "mode", "part"), CASES)
def test_the_way_back_leaves_the_machine_as_it_was(style: str, mode: str, part: str, tmp_path: Path) -> None:
    one = machine(tmp_path / "root", style, part)
    before = without_database(whole_state(one))
    assert configure(one, answers(mode, part))[0] == 0
    assert without_database(whole_state(one)) != before
    code, said = run_engine(one.effects(), "roll_back")
    assert code == 0, said
    assert without_database(whole_state(one)) == before
    # The same again, from the beginning.
    code, said = configure(one, answers(mode, part))
    assert code == 0, said


def test_what_was_registered_before_stays_on_the_way_back(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    assert configure(one, answers("EDGE", "front-end"))[0] == 0
    services = one.cloud()["services"]
    code, said = configure(one, answers("EDGE", "front-end", public_addresses="192.168.1.90"))
    assert code == 0, said
    assert "192.168.1.90" in one.cloud()["properties"]["cloud.network.network_configuration"]
    code, said = run_engine(one.effects(), "roll_back")
    assert code == 0, said
    assert one.cloud()["services"] == services
    assert one.read("var/lib/eucalyptus/db/data") == "made\n"
    assert "192.168.1.60-192.168.1.80" in one.read("etc/eucalyptus/network.json")


def test_a_cloud_that_somebody_made_by_hand_is_taken_as_it_is(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    effects = one.effects()
    effects.run("clcadmin-initialize-cloud")
    effects.run("systemctl", "start", "eucalyptus-cloud")
    one.clock.sleep(100)
    one.write("usr/sbin/cloud-admin", "", 0o700)
    effects.run("cloud-admin", "euserv-register-service", "-t", "user-api", "-h", "192.168.1.10", "user-api-1")
    Path(one.path("usr/sbin/cloud-admin")).unlink()
    code, said = configure(one, answers("EDGE", "front-end"))
    assert code == 0, said
    assert "is so: run cloud-admin euserv-register-service -t user-api" in " ".join(said.split())
    code, said = run_engine(one.effects(), "roll_back")
    assert code == 0, said
    assert one.read("var/lib/eucalyptus/db/data") == "made\n"
    assert one.cloud()["services"]["user-api"].keys() == {"user-api-1"}


@pytest.mark.parametrize("late", [30, 300, 840])
def test_a_cloud_that_is_not_ready_yet_is_waited_for_with_a_countdown(late: int, tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    one.fail("euserv-describe-services", late // 5, "error: connection refused")
    code, said = configure(one, answers("EDGE", "front-end"))
    assert code == 0, said
    counted = [line for line in said.splitlines() if "waits until the cloud controller is enabled:" in line]
    seconds = [int(line.split(": ")[1].split()[0]) for line in counted]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[0] == 900 or late < 30


def test_a_cloud_that_never_comes_is_given_up_and_gone_on_with_later(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "6", "front-end")
    one.fail("euserv-describe-services", 10_000, "error: connection refused")
    code, said = configure(one, answers("EDGE", "front-end"))
    assert code == 5
    assert "connection refused" in said
    one.change(fail={})
    code, said = at_keyboard(one, "c", PASSWORD)
    assert code == 0, said


def test_a_service_that_is_registered_already_under_the_same_name_is_no_failure(tmp_path: Path) -> None:
    """The command had worked, and its journal had not been told: nobody registers it twice."""
    one = machine(tmp_path / "root", "7", "front-end")
    cut: list[Sequence[str]] = []
    run = one.run

    def die(argv: Sequence[str], given: str, timeout: int) -> Result:
        result = run(argv, given, timeout)
        if argv[:2] == ("cloud-admin", "euserv-register-service") and "cluster" in argv and not cut:
            cut.append(argv)
            raise KeyboardInterrupt
        return result

    with pytest.raises(KeyboardInterrupt):
        configure(one, answers("EDGE", "front-end"), one.effects(run=die))
    assert cut
    code, said = at_keyboard(one, "c", PASSWORD)
    assert code == 0, said


def test_keys_that_were_made_and_lost_are_made_anew(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    cut: list[Sequence[str]] = []
    run = one.run

    def die(argv: Sequence[str], given: str, timeout: int) -> Result:
        result = run(argv, given, timeout)
        if "euare-usercreate" in argv and not cut:
            cut.append(argv)
            Path(one.path("root/.euca/cloud-setup.ini")).unlink()
            raise KeyboardInterrupt
        return result

    with pytest.raises(KeyboardInterrupt):
        configure(one, answers("EDGE", "front-end"), one.effects(run=die))
    code, said = at_keyboard(one, "c", PASSWORD)
    assert code == 0, said
    assert SECRET_KEY in one.read("root/.euca/cloud-setup.ini")


def test_an_initialisation_that_was_cut_off_begins_with_nothing(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    cut: list[Sequence[str]] = []
    run = one.run

    def die(argv: Sequence[str], given: str, timeout: int) -> Result:
        if argv[0] == "clcadmin-initialize-cloud" and not cut:
            cut.append(argv)
            one.write("var/lib/eucalyptus/db/half", "a database that is no database")
            one.write("var/lib/eucalyptus/keys/euca.p12", "half a key")
            raise KeyboardInterrupt
        return run(argv, given, timeout)

    with pytest.raises(KeyboardInterrupt):
        configure(one, answers("EDGE", "front-end"), one.effects(run=die))
    code, said = at_keyboard(one, "c", PASSWORD)
    assert code == 0, said
    assert [path.name for path in Path(one.path("var/lib/eucalyptus/db")).iterdir()] == ["data"]


def places_of(one: CloudMachine, secret: str) -> set[str]:
    root = Path(one.root)
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and secret in path.read_text("latin-1")
    }


@pytest.mark.parametrize("part", ["front-end", "box"])
def test_secrets_are_where_they_belong_and_nowhere_else(part: str, tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", part)
    run = one.run

    def watched(argv: Sequence[str], given: str, timeout: int) -> Result:
        assert PASSWORD not in " ".join(argv)
        return run(argv, given, timeout)

    code, said = configure(one, answers("EDGE", part), one.effects(run=watched))
    assert code == 0, said
    assert PASSWORD not in said
    assert SECRET_KEY not in said
    assert places_of(one, PASSWORD) == {"root/answers.ini"}
    assert places_of(one, SECRET_KEY) == {"root/.euca/cloud-setup.ini"}
    assert all(PASSWORD not in one.read(name) for name in ("etc/motd", "var/log/cloud-setup.log"))


def test_with_nobody_there_all_of_it_comes_from_the_file(tmp_path: Path) -> None:
    for part in ("node", "box"):
        one = machine(tmp_path / part, "7", part)
        values = answers("EDGE", part)
        one.write("etc/cloud-setup/answers", "[all]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()))
        assert run_engine(one.effects(), "at_boot")[0] == 0
        assert Path(one.path("var/lib/cloud-setup/done")).exists()
    lacking: dict[str, Any] = {key: value for key, value in answers("EDGE", "box").items() if key != "admin-password"}
    one = machine(tmp_path / "lacking", "7", "box")
    one.write("etc/cloud-setup/answers", "[all]\n" + "".join(f"{key} = {value}\n" for key, value in lacking.items()))
    code, said = run_engine(one.effects(), "at_boot")
    assert (code, one.commands()) == (0, [])
    assert "admin-password" in said


def by_hand(one: CloudMachine) -> None:
    """A cloud that somebody initialised and started without the wizard."""
    effects = one.effects()
    effects.run("clcadmin-initialize-cloud")
    effects.run("systemctl", "start", "eucalyptus-cloud")
    one.clock.sleep(100)


def test_a_service_that_was_registered_before_it_was_cut_off_is_ours_to_take_back(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    by_hand(one)
    cut: list[Sequence[str]] = []
    run = one.run

    def die(argv: Sequence[str], given: str, timeout: int) -> Result:
        result = run(argv, given, timeout)
        if "euserv-register-service" in argv and "user-api" in argv and not cut:
            cut.append(argv)
            raise KeyboardInterrupt
        return result

    with pytest.raises(KeyboardInterrupt):
        configure(one, answers("EDGE", "front-end"), one.effects(run=die))
    assert one.cloud()["services"]["user-api"]
    code, said = at_keyboard(one, "c", PASSWORD)
    assert code == 0, said
    code, said = run_engine(one.effects(), "roll_back")
    assert code == 0, said
    assert one.cloud()["services"]["user-api"] == {}
    assert one.read("var/lib/eucalyptus/db/data") == "made\n"


def test_a_cloud_that_is_made_by_hand_after_the_plan_is_not_made_again_nor_taken_away(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    made: list[Sequence[str]] = []
    run = one.run

    def meanwhile(argv: Sequence[str], given: str, timeout: int) -> Result:
        if argv[0] == "hostname" and not made:
            made.append(argv)
            run(["clcadmin-initialize-cloud"], "", 0)
        return run(argv, given, timeout)

    code, said = configure(one, answers("EDGE", "front-end"), one.effects(run=meanwhile))
    assert code == 0, said
    assert "is so: run clcadmin-initialize-cloud" in said
    code, said = run_engine(one.effects(), "roll_back")
    assert code == 0, said
    assert one.read("var/lib/eucalyptus/db/data") == "made\n"


def test_the_way_back_from_a_new_cloud_does_not_need_it_to_answer(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "front-end")
    assert configure(one, answers("EDGE", "front-end"))[0] == 0
    one.change(started=None)
    code, said = run_engine(one.effects(), "roll_back")
    assert code == 0, said
    assert list(Path(one.path("var/lib/eucalyptus/db")).iterdir()) == []
