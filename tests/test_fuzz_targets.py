"""Every parser of bytes from strangers: it takes what is good, and what is not ends in an error of its own."""

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import CASES, TARGETS

KEPT = sorted(path for path in CASES.glob("*/*") if path.is_file())
# These build something large out of each input.
SLOW = frozenset({"medium", "pool", "release"})


@pytest.fixture(scope="module", params=TARGETS)
def fed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[bytes]]:
    """The name of a target, and its seeds."""
    name = str(request.param)
    return name, TARGETS[name].seeds(tmp_path_factory.mktemp(name))


def test_what_is_good_is_taken(fed: tuple[str, list[bytes]]) -> None:
    name, seeds = fed
    # A lock has a seal over all of it, and a manifest more fields than are of use here.
    taken = [TARGETS[name].run(data) for data in seeds]
    assert taken
    assert all(taken) or name in {"lock", "manifest"}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name[:12]}")
def test_what_was_found_once_is_no_bug_any_more(path: Path) -> None:
    TARGETS[path.parent.name].run(path.read_bytes())


def test_nothing_but_its_own_errors_comes_of_damage(fed: tuple[str, list[bytes]]) -> None:
    name, seeds = fed
    target = TARGETS[name]

    @settings(
        max_examples=12 if name in SLOW else 60,
        database=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def damage(data: st.DataObject) -> None:
        seed = data.draw(st.sampled_from(seeds))
        changed = bytearray(seed)
        for _ in range(data.draw(st.integers(1, 6))):
            place = data.draw(st.integers(0, max(0, len(changed) - 1)))
            match data.draw(st.integers(0, 3)):
                case 0:
                    changed[place : place + 1] = data.draw(st.binary(min_size=1, max_size=1))
                case 1:
                    del changed[place : place + data.draw(st.integers(1, 300))]
                case 2:
                    changed[place:place] = data.draw(
                        st.sampled_from([b"<", b"\xff", b"\0", b"[", b"{", b'"', b"&a;", b"\n"])
                    )
                case _:
                    changed[place : place + 4] = data.draw(
                        st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
                    )
        target.run(bytes(changed))

    with warnings.catch_warnings():
        damage()
