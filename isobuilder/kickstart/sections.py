"""The sections of a kickstart's text."""

from collections.abc import Iterator


def sections(text: str, *, keepends: bool = False) -> Iterator[tuple[str, int, str]]:
    """Each line with the section that it stands in ("" outside, "%post") and its number from 1."""
    section = ""
    for number, line in enumerate(text.splitlines(keepends), start=1):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if word == "%end":
            yield section, number, line
            section = ""
        elif not section and word.startswith("%") and word not in ("%include", "%ksappend"):
            section = word
            yield "", number, line
        else:
            yield section, number, line
