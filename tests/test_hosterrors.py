"""What the operating system refuses, as an error that says about what and what to do."""

from pathlib import Path

import pytest

from isobuilder.errors import HostError
from isobuilder.hosterrors import host_errors, scratch_errors


def test_it_says_about_what_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught, host_errors(tmp_path, hint="Use a file."):
        tmp_path.read_bytes()
    assert caught.value.message == f"{tmp_path}: Is a directory"
    assert caught.value.hint == "Use a file."
    assert isinstance(caught.value.__cause__, IsADirectoryError)


def test_an_error_without_a_number_keeps_its_words() -> None:
    with pytest.raises(HostError, match=r"^here: odd$"), host_errors("here"):
        raise OSError("odd")


def test_temporary_files_name_their_variable(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="temporary files: No such file") as caught, scratch_errors():
        (tmp_path / "none" / "file").write_bytes(b"")
    assert "TMPDIR" in caught.value.hint


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), host_errors("here"):
        raise KeyError
