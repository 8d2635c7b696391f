"""The man page, made of the same text as `--help`: isobuilder(1), in the macros of man(7)."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any, Final

import typer

# Typer brings its own Click, which has no public name: what is used of a command is what it prints as help.
Command = Any
# Escapes of hyphens make lines longer, and mandoc wants none above 80.
_WIDTH: Final = 72


def page(root: Command, version: str) -> str:
    """The page of the program whose command is `root`."""
    name = "isobuilder"
    context = typer.Context(root, info_name=name)
    return "\n".join(
        [
            f'.TH {name.upper()} 1 "" "{name} {version}" "User Commands"',
            ".SH NAME",
            f"{name} \\-",
            _filled(_sentence(root.help)),
            ".SH SYNOPSIS",
            *_usage(root, context),
            ".SH DESCRIPTION",
            *_paragraphs(root.help),
            *_options(root, context),
            ".SH COMMANDS",
            *_commands(root, context),
            ".SH EXIT STATUS",
            *_exit_codes(root.epilog),
            "",
        ]
    )


def _commands(group: Command, above: typer.Context) -> Iterator[str]:
    for name, command in group.commands.items():
        context = typer.Context(command, info_name=name, parent=above)
        if hasattr(command, "commands"):
            yield from _commands(command, context)
            continue
        yield f".SS {_text(context.command_path)}"
        yield from _usage(command, context)
        yield ".PP"
        yield from _paragraphs(command.help)
        yield from _options(command, context)


def _usage(command: Command, context: typer.Context) -> Iterator[str]:
    yield f".B {_text(context.command_path)}"
    yield _text(" ".join(command.collect_usage_pieces(context)))


def _options(command: Command, context: typer.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and "--help" not in parameter.opts:
            term, words = record
            yield ".TP"
            yield f".B {_text(term)}"
            yield _filled(words) or "\\&"


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        yield _filled(paragraph)


def _exit_codes(epilog: str) -> Iterator[str]:
    """Of "Exit codes: 0 done, 1 a bug of ours, ..." a line for each."""
    for found in re.finditer(r"(\d+) (.*?)(?:, (?=\d)|\.$)", epilog):
        yield ".TP"
        yield f".B {found[1]}"
        yield _text(found[2])


def _sentence(text: str) -> str:
    return " ".join(text.split()).partition(". ")[0].rstrip(".")


def _filled(text: str) -> str:
    """`text` as lines of 80 columns at most."""
    lines = textwrap.wrap(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(_text, lines))


def _text(text: str) -> str:
    """`text` as roff prints it: no escapes, no requests, and hyphens that can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
