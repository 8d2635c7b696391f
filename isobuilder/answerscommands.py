"""`isobuilder answers`: answers files for the wizard, checked and begun."""

from pathlib import Path
from typing import Annotated

import typer

from isobuilder.errors import AnswersError, HostError, UsageError

answers_app = typer.Typer(help="Look after answers for the wizard.", no_args_is_help=True, rich_markup_mode=None)


@answers_app.command(short_help="Check answers files, also across machines.")
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE", help="Answers files.", readable=False)],
) -> None:
    """Check answers files with the wizard's own rules, and all machines that they speak of against each other."""
    from isobuilder.answers import check_files

    findings = check_files(paths)
    for note in findings.notes:
        typer.echo(f"note: {note}", err=True)
    if findings.mistakes:
        raise AnswersError(
            f"{len(findings.mistakes)} mistake{'s' if len(findings.mistakes) > 1 else ''} in the answers",
            details=findings.mistakes,
            hint="isobuilder answers new writes a file that explains every question.",
        )
    count = len(findings.machines)
    typer.echo(f"{count} machine{'' if count == 1 else 's'} in {len(paths)} file{'' if len(paths) == 1 else 's'}: good")


@answers_app.command(short_help="Write a commented answers file.")
def new(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to be made, or - for standard output.", readable=False)
    ] = Path("answers.ini"),
) -> None:
    """Write an answers file that explains every question and answers none."""
    from isobuilder.answers import commented_file

    text = commented_file()
    if path == Path("-"):
        typer.echo(text, nl=False)
        return
    try:
        with path.open("x", encoding="ascii") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path}: is there already", hint="Name another file.") from error
    except OSError as error:
        raise HostError(f"{path}: cannot be written: {error.strerror}") from error
    typer.echo(f"{path}: written; every question is explained in it")


@answers_app.command(short_help="Make a front end's key for a rack.")
def key() -> None:
    """Make a pair of SSH keys for a front end and its nodes, and print the two lines for an answers file.

    The first line is a secret of the front end; the second one is for its nodes.
    """
    from isobuilder.answers import new_key_lines

    for line in new_key_lines():
        typer.echo(line)
