"""`isobuilder verify` as a person and as a CI job call it: text, JSON, SARIF, exit codes, and what is left out."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif

from isobuilder.progress import Silent
from isobuilder.verify.catalogue import CATALOGUE, ROOMS
from isobuilder.verify.examine import examine
from isobuilder.verify.finding import Kind
from isobuilder.verify.verdict import MOST_OF_A_KIND, sorted_and_bounded
from tests.conftest import isobuilder
from tests.stock_media import StockMedium

FINDINGS = Path(__file__).parent.parent / "docs/findings.md"


@pytest.fixture
def broken(stock_media: dict[str, StockMedium], tmp_path: Path) -> Path:
    """A medium with an error and a warning: a package is missing, and media.repo is of another disc."""

    def change(tree: Path) -> None:
        (tree / "Packages/bash-1.0-1.noarch.rpm").unlink()
        (tree / "media.repo").write_text("[InstallMedia]\nname=x\nmediaid=1.5\n")

    return stock_media["9"].changed(tmp_path, change)


def test_a_good_medium_passes_and_is_described(stock_media: dict[str, StockMedium]) -> None:
    done = isobuilder("verify", str(stock_media["7"].iso))
    assert done.returncode == 0, done.stderr
    assert "volume id" in done.stdout
    assert "CentOS 7 x86_64" in done.stdout
    assert done.stdout.endswith("7.iso: nothing is wrong with it\n")


def test_a_broken_medium_fails_with_place_reason_and_remedy(broken: Path) -> None:
    done = isobuilder("verify", str(broken))
    assert done.returncode == 8
    assert "error: a package that the metadata names is not on the medium [package-missing]\n" in done.stdout
    assert "  Packages/bash-1.0-1.noarch.rpm: repodata, primary names it\n" in done.stdout
    assert "  -> Put the package there, or make the metadata anew.\n" in done.stdout
    assert done.stdout.endswith("changed.iso: 1 error, 1 warning\n")


def test_only_and_skip_decide_what_counts(broken: Path) -> None:
    done = isobuilder("verify", "--skip", "package-missing", str(broken))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "changed.iso: 1 warning")
    done = isobuilder("verify", "--only", "package-missing", "--only", "discinfo-missing", str(broken))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (8, "changed.iso: 1 error")
    done = isobuilder("verify", "--skip", "package-mising", str(broken))
    assert done.returncode == 2
    assert "did you mean 'package-missing'" in done.stderr


def test_json_has_all_of_it(broken: Path) -> None:
    done = isobuilder("verify", "--format", "json", str(broken))
    report = json.loads(done.stdout)
    assert done.returncode == 8
    assert (report["iso"], report["size"], report["passed"]) == ("changed.iso", broken.stat().st_size, False)
    assert report["facts"]["is"] == ["CentOS Stream 9 x86_64"]
    assert [(each["id"], each["severity"]) for each in report["findings"]] == [
        ("package-missing", "error"),
        ("media-repo-differs", "warning"),
    ]


def test_sarif_is_what_the_official_schema_wants(broken: Path) -> None:
    done = isobuilder("verify", "--format", "sarif", str(broken))
    run = Sarif.model_validate_json(done.stdout).runs[0]
    assert run.results is not None
    assert run.tool.driver.rules is not None
    assert [result.ruleId for result in run.results] == ["package-missing", "media-repo-differs"]
    assert [rule.id for rule in run.tool.driver.rules] == list(CATALOGUE)
    for result in run.results:
        assert result.ruleIndex is not None
        assert run.tool.driver.rules[int(result.ruleIndex)].id == result.ruleId


def test_what_is_no_image_at_all_fails_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "text.iso").write_text("not an image")
    (tmp_path / "empty.iso").touch()
    for name in ("text.iso", "empty.iso"):
        done = isobuilder("verify", "--format", "json", str(tmp_path / name))
        assert done.returncode == 8
        assert [each["id"] for each in json.loads(done.stdout)["findings"]] == ["not-an-image"]
    assert isobuilder("verify", str(tmp_path / "missing.iso")).returncode == 2
    assert isobuilder("verify", str(tmp_path)).returncode == 2


def test_quick_does_not_read_all(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    iso = shutil.copyfile(stock_media["9"].iso, tmp_path / "medium.iso")
    with iso.open("r+b") as file:
        file.seek(iso.stat().st_size - 40 * 2048)
        file.write(b"\1")
    assert isobuilder("verify", str(iso)).returncode == 8
    assert isobuilder("verify", "--quick", str(iso)).returncode == 0


def test_what_stands_on_a_medium_cannot_speak_to_a_terminal(
    stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    def change(tree: Path) -> None:
        for name in (b"a\nb.rpm", b"red\x1b[31m.rpm", b"no\xff.rpm", "c1\x9b31m.rpm".encode(), "\u202e.rpm".encode()):
            Path(os.fsdecode(os.fsencode(tree / "Packages") + b"/" + name)).write_bytes(b"x")
        path = tree / ".treeinfo"
        path.write_text(path.read_text().replace("CentOS Stream", "Cent\x1b]0;x\x07OS"))
        path = tree / "isolinux/isolinux.cfg"
        path.write_text(path.read_text().replace("kernel vmlinuz", f"kernel \x1b[2Jv{'x' * 3000}", 1))

    iso = stock_media["9"].changed(tmp_path, change).rename(tmp_path / "a\x1b[1m\udcff.iso")
    verdict = examine(iso, progress=Silent())
    for text in ("\n".join(verdict.lines()), verdict.json(), verdict.sarif(tuple(CATALOGUE.values()))):
        assert text.replace("\n", "").isprintable()
        assert text.encode()
    assert "Packages/a\\nb.rpm: " in "\n".join(verdict.lines())
    assert "Packages/no\\xff.rpm: " in "\n".join(verdict.lines())
    assert max(map(len, verdict.lines())) < 1300
    assert Sarif.model_validate_json(verdict.sarif(tuple(CATALOGUE.values())))


def test_the_documentation_lists_every_finding(pytestconfig: pytest.Config) -> None:
    head, start, rest = FINDINGS.read_text().partition("--regenerate -->\n")
    listed, end, tail = rest.partition("<!-- findings end -->")
    assert start
    assert end
    rows = [f"| `{kind.id}` | {kind.severity} | {kind.title} | {kind.remedy} |" for kind in CATALOGUE.values()]
    table = "\n".join(["| id | severity | what is wrong | what to do |", "|---|---|---|---|", *rows, ""])
    if pytestconfig.getoption("--regenerate"):
        FINDINGS.write_text(f"{head}{start}{table}{end}{tail}")
    else:
        assert listed == table


def test_ids_are_told_apart() -> None:
    ids = [kind.id for room in ROOMS for kind in room.KINDS]
    assert len(ids) == len(set(ids)) == len(CATALOGUE)


def test_findings_are_bounded_and_the_worst_come_first() -> None:
    note, error = Kind("a", "note", "", ""), Kind("b", "error", "", "")
    many = [error.at(str(number), "") for number in range(MOST_OF_A_KIND + 5)]
    kept, more = sorted_and_bounded([note.at("x", ""), *many, many[0], note.at("x", "")])
    assert [finding.kind.id for finding in kept] == ["b"] * MOST_OF_A_KIND + ["a"]
    assert more == ((error, 5),)


def test_damage_anywhere_ends_in_findings(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    good = stock_media["9"].iso.read_bytes()
    iso = tmp_path / "damaged.iso"
    chance = random.Random(9)
    # What readers follow lies in front of the files' own bytes.
    head = 400_000
    for number in range(120):
        data = bytearray(good)
        for _ in range(chance.choice((1, 3, 50))):
            # Never what was there, and not in the words around the media checksum, which nobody compares.
            place = chance.choice((chance.randrange(34_000, head), chance.randrange(32_768, 33_600)))
            data[place] ^= chance.randrange(1, 256)
        iso.write_bytes(data[: chance.randrange(40_000, len(data))] if number % 5 == 0 else data)
        assert examine(iso, progress=Silent()).findings


def test_a_file_of_nothing_but_noise_behind_a_good_head_is_bounded(
    stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    data = bytearray(stock_media["9"].iso.read_bytes())
    noise = random.Random(1).randbytes(len(data))
    data[18 * 2048 :] = noise[18 * 2048 :]
    iso = tmp_path / "noise.iso"
    iso.write_bytes(data)
    assert not examine(iso, progress=Silent()).passed
    os.truncate(iso, 17 * 2048)
    assert not examine(iso, progress=Silent()).passed


def test_numbers_that_python_does_not_read_are_no_bug(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    digits = "9" * 5000

    def change(tree: Path) -> None:
        loader = tree / "isolinux/isolinux.bin"
        data = loader.read_bytes().replace(b"ISOLINUX 6", f"ISOLINUX {digits}6".encode())
        loader.unlink()
        loader.write_bytes(data)
        menu = tree / "EFI/BOOT/grub.cfg"
        menu.write_text(menu.read_text() + f"\nfunction f {{\n  echo ${digits}\n}}\nf a\n")

    iso = stock_media["9"].changed(tmp_path, change)
    kinds = {finding.kind.id for finding in examine(iso, progress=Silent()).findings}
    assert "isolinux-damaged" in kinds
    assert "part-unreadable" not in kinds
