"""cloud-setup check --full, against stand-ins for what users of a cloud call: instances, volumes, keys, groups."""

import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from isobuilder.firstlogin.effects import Result
from isobuilder.firstlogin.engine import Engine
from isobuilder.firstlogin.exits import SetupError
from tests.cloud_cases import answers, machine
from tests.firstlogin_helpers import Keyboard, configure
from tests.standin_cloud import CloudMachine

MADE = ("keypair", "group", "instance", "volume")


class Compute:
    """What a cloud has for its users. `failing` is a command that does not work; things are so after `late` asks."""

    def __init__(self, one: CloudMachine, *, image: bool = True, failing: str = "", late: int = 3) -> None:
        self.there: dict[str, Any] = {}
        self.asked: list[str] = []
        self.failing = failing
        self._run = one.run
        self._one = one
        self._image = image
        self._late = late
        self._counts: dict[str, int] = {}

    def run(self, argv: Sequence[str], given: str, timeout: int) -> Result:
        words = list(argv[1:]) if argv[0] == "cloud-admin" else list(argv)
        if words[0] == "euca-describe-availability-zones" or not re.match("euca-|ssh$|python$", words[0]):
            return self._run(argv, given, timeout)
        self.asked.append(words[0])
        if words[0] == self.failing:
            return Result(1, f"{words[0]}: error: it will not\n")
        handler = getattr(self, words[0].replace("-", "_"))
        result: Result = handler([word for word in words[1:] if word not in ("--region", "localhost")])
        return result

    def _soon(self, what: str) -> bool:
        self._counts[what] = self._counts.get(what, 0) + 1
        return self._counts[what] > self._late

    def euca_describe_images(self, _words: list[str]) -> Result:
        service = "IMAGE\temi-00000000\tservices/worker\t000\tpending\tprivate\n"
        return Result(0, service + "IMAGE\temi-1a2b3c4d\tb/image\t000\tavailable\tpublic\n" if self._image else service)

    def euca_create_keypair(self, words: list[str]) -> Result:
        self._one.write(words[1], "PRIVATE KEY OF A TRIAL\n", 0o600)
        self.there["keypair"] = words[-1]
        return Result(0, "")

    def euca_delete_keypair(self, _words: list[str]) -> Result:
        # As the real one: it ends well where there is none.
        self.there.pop("keypair", None)
        return Result(0, "")

    def euca_create_group(self, words: list[str]) -> Result:
        self.there["group"] = words[-1]
        return Result(0, "")

    def euca_delete_group(self, _words: list[str]) -> Result:
        if "instance" in self.there:
            return Result(1, "euca-delete-group: error (InvalidGroup.InUse)\n")
        self.there.pop("group", None)
        return Result(0, "")

    def euca_authorize(self, _words: list[str]) -> Result:
        return Result(0, "")

    def euca_run_instances(self, words: list[str]) -> Result:
        assert words[words.index("-t") + 1] == "t1.micro"
        self.there["instance"] = "i-12345678"
        return Result(0, "RESERVATION\tr-1\t000\nINSTANCE\ti-12345678\temi-1a2b3c4d\t0.0.0.0\t0.0.0.0\tpending\n")

    def euca_describe_instances(self, _words: list[str]) -> Result:
        state, public = ("running", "192.168.1.60") if self._soon("instance") else ("pending", "0.0.0.0")
        return Result(
            0, f"INSTANCE\ti-12345678\temi-1a2b3c4d\t{public}\t172.16.0.9\t{state}\t{words_of_an_instance()}\n"
        )

    def euca_terminate_instances(self, _words: list[str]) -> Result:
        self.there.pop("instance", None)
        return Result(0, "")

    def ssh(self, words: list[str]) -> Result:
        assert "root@192.168.1.60" in words
        return Result(0, "") if self._soon("login") else Result(255, "ssh: connect: Connection refused\n")

    def euca_create_volume(self, _words: list[str]) -> Result:
        self.there["volume"] = "creating"
        return Result(0, "VOLUME\tvol-87654321\t1\t\tzone-1\tcreating\n")

    def euca_describe_volumes(self, _words: list[str]) -> Result:
        if self._soon(self.there["volume"]):
            after = {"creating": "available", "attaching": "in-use", "detaching": "available"}
            self.there["volume"] = after.get(self.there["volume"], self.there["volume"])
        state = self.there["volume"]
        line = f"VOLUME\tvol-87654321\t1\t\tzone-1\t{state}\n"
        return Result(
            0, line + ("ATTACHMENT\tvol-87654321\ti-12345678\t/dev/sdf\tattached\n" if state == "in-use" else "")
        )

    def euca_attach_volume(self, _words: list[str]) -> Result:
        if self.there["volume"] != "available":
            return Result(1, "euca-attach-volume: error (IncorrectState)\n")
        self.there["volume"] = "attaching"
        return Result(0, "")

    def euca_detach_volume(self, _words: list[str]) -> Result:
        self.there["volume"] = "detaching"
        return Result(0, "")

    def euca_delete_volume(self, _words: list[str]) -> Result:
        if self.there["volume"] in ("in-use", "attaching") and "instance" in self.there:
            return Result(1, "euca-delete-volume: error (VolumeInUse)\n")
        self.there.pop("volume")
        return Result(0, "")

    def python(self, words: list[str]) -> Result:
        compile(words[1], "objects", "exec")
        return Result(0, "") if self._soon("object") else Result(1, "S3ResponseError: 503\n")


def words_of_an_instance() -> str:
    return "cloud-setup-check\t0\t\tt1.micro\t2026-01-01T00:00:00Z\tzone-1"


@pytest.fixture
def front_end(tmp_path: Path) -> CloudMachine:
    one = machine(tmp_path / "root", "7", "front-end")
    assert configure(one, answers("EDGE", "front-end"))[0] == 0
    return one


def full_check(one: CloudMachine, compute: Compute) -> tuple[int, str]:
    keyboard = Keyboard()
    with closing(Engine(one.effects(run=compute.run), keyboard)) as engine:
        try:
            return engine.upkeep.check(full=True), keyboard.said.getvalue()
        except SetupError as refused:
            return refused.code, "\n".join(refused.lines)


def test_everything_is_tried_and_goes_again(front_end: CloudMachine) -> None:
    compute = Compute(front_end)
    code, said = full_check(front_end, compute)
    assert code == 0, said
    for what in (
        "i-12345678 runs",
        "reached by ssh at 192.168.1.60",
        "vol-87654321 was attached",
        "came back",
        "is gone",
    ):
        assert f"{what}" in said
    assert compute.there == {}
    assert not Path(front_end.path("var/lib/cloud-setup/cloud-setup-check.key")).exists()


STEPS = [
    "euca-describe-images",
    "euca-create-keypair",
    "euca-create-group",
    "euca-authorize",
    "euca-run-instances",
    "euca-describe-instances",
    "ssh",
    "euca-create-volume",
    "euca-attach-volume",
    "euca-detach-volume",
    "python",
]


@pytest.mark.parametrize("failing", STEPS)
def test_what_fails_is_said_and_what_was_made_is_taken_away(failing: str, front_end: CloudMachine) -> None:
    compute = Compute(front_end, failing=failing)
    code, said = full_check(front_end, compute)
    assert code == 5
    assert "fail  trial: " in said
    assert "it will not" in " ".join(said.split())
    assert compute.there == {}
    assert "all that was made for it is gone" in said


def test_what_cannot_be_taken_away_is_said(front_end: CloudMachine) -> None:
    compute = Compute(front_end, failing="euca-terminate-instances")
    code, said = full_check(front_end, compute)
    assert code == 0
    assert "still there: the instance i-12345678, the security group" in " ".join(said.split())


@pytest.mark.parametrize("stopped", ["euca-describe-instances", "ssh", "euca-attach-volume"])
def test_who_stops_it_leaves_nothing_behind(stopped: str, front_end: CloudMachine) -> None:
    compute = Compute(front_end)
    run = compute.run

    def stop(argv: Sequence[str], given: str, timeout: int) -> Result:
        if stopped in argv[:2] and "stopped" not in compute.asked:
            compute.asked.append("stopped")
            raise KeyboardInterrupt
        return run(argv, given, timeout)

    compute.run = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        full_check(front_end, compute)
    assert compute.there == {}


def test_without_an_image_the_rest_is_tried(front_end: CloudMachine) -> None:
    compute = Compute(front_end, image=False)
    code, said = full_check(front_end, compute)
    assert code == 0
    assert "no machine image yet" in said
    assert "an object was put and came back" in said
    assert "euca-run-instances" not in compute.asked


def test_a_cloud_that_does_not_work_is_not_tried_out(front_end: CloudMachine) -> None:
    front_end.change(started=None)
    compute = Compute(front_end)
    code, said = full_check(front_end, compute)
    assert (code, compute.asked) == (5, [])
    assert "Trying it out" not in said
