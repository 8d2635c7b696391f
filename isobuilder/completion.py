"""What shells complete: Typer's scripts, and the names that a command line can take.

A shell asks at every press of its key, so that nothing heavy is imported here. Typer exports neither function that is
taken of it; the tests in real shells hold what they do.
"""

from pathlib import Path
from typing import Final, Literal, get_args

Shell = Literal["bash", "zsh", "fish"]

PROGRAM: Final = "isobuilder"
# Set by the scripts when they ask.
VARIABLE: Final = "_ISOBUILDER_COMPLETE"
SHELLS: Final[tuple[Shell, ...]] = get_args(Shell)


def script(shell: Shell) -> str:
    """What `shell` has to read to complete our command lines."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined] # imported there, not declared

    return get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell)


def get_ready() -> None:
    """Let Typer answer a shell that asks. `add_completion` would do so, and add options that write to ~/.bashrc."""
    from typer.completion import completion_init  # type: ignore[attr-defined] # imported there, not declared

    completion_init()


def release_ids(incomplete: str) -> list[str]:
    """The releases that ship with isobuilder, by what their files are called."""
    files = (Path(__file__).parent / "releases").glob("*.toml")
    return sorted(file.stem for file in files if file.stem.startswith(incomplete))
