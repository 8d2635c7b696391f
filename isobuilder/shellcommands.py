"""`isobuilder completion` and `isobuilder manual`: what a shell and man(1) have to know."""

from typing import Annotated

import typer

from isobuilder import __version__
from isobuilder.completion import Shell, script


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print a script that lets a shell complete commands, options and releases.

    bash reads it from ~/.local/share/bash-completion/completions/isobuilder, fish from
    ~/.config/fish/completions/isobuilder.fish. For zsh, in ~/.zshrc after compinit: source <(isobuilder completion zsh)
    """
    typer.echo(script(shell))


def manual(context: typer.Context) -> None:
    """Print the man page, which has the help of all commands: isobuilder manual | man -l -"""
    from isobuilder.manual import page

    typer.echo(page(context.find_root().command, __version__), nl=False)
