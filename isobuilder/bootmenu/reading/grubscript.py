"""GRUB's script as a tree of commands: words with their quotes and variables, blocks, conditions, loops, functions.

It runs nothing. What GRUB would refuse is kept as a mistake with its line, and the rest is read all the same.
Facts: grub-core/script/yylex.l and parser.y of GRUB 2.06; `grub-script-check` is the measure of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

MAX_DEPTH: Final = 40
_MOST_MISTAKES: Final = 20

# What is between single quotes, or in double ones; outside of them blanks of a variable's value part words.
Quotes = Literal["none", "single", "double"]
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*|\d+|[?#*@])\}|([A-Za-z_]\w*|\d+|[?#*@]))", re.ASCII)
_MARK = re.compile(r'["\\$]')
_PLAIN = re.compile(r"[^{}|&$;<> \t\n'\"\\]+")
_UNCLOSED: Final = "a {} quote is not closed"
_ENDS: Final = frozenset({"fi", "else", "elif", "then", "done", "do", "esac"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a word: text as it is, or the name of a variable."""

    text: str
    quotes: Quotes
    is_variable: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    pieces: tuple[Piece, ...]

    @property
    def plain(self) -> str:
        """The word when nothing in it is quoted or a variable, else ""."""
        return self.pieces[0].text if [(p.quotes, p.is_variable) for p in self.pieces] == [("none", False)] else ""


@dataclass(frozen=True, slots=True)
class Command:
    """Words, and a block in braces behind them."""

    words: tuple[Word, ...]
    line: int
    block: "tuple[Statement, ...] | None" = None


@dataclass(frozen=True, slots=True)
class If:
    """Branches in their order, each with what must be true; the condition of `else` is None."""

    branches: "tuple[tuple[tuple[Statement, ...] | None, tuple[Statement, ...]], ...]"
    line: int


@dataclass(frozen=True, slots=True)
class For:
    variable: str
    words: tuple[Word, ...]
    body: "tuple[Statement, ...]"
    line: int


@dataclass(frozen=True, slots=True)
class While:
    condition: "tuple[Statement, ...]"
    body: "tuple[Statement, ...]"
    line: int


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    body: "tuple[Statement, ...]"
    line: int


Statement = Command | If | For | While | Function


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Literal["word", "end", "open", "close", "other"]
    line: int
    word: Word | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """`mistakes` are lines with what GRUB would say there."""

    statements: tuple[Statement, ...]
    mistakes: tuple[tuple[int, str], ...]


def parse_script(text: str) -> Script:
    """The script `text`."""
    mistakes: list[tuple[int, str]] = []
    tokens = _tokens(text, mistakes)
    # What else is wrong then only follows from it.
    unclosed = [
        mistake for mistake in mistakes if mistake[1] in {_UNCLOSED.format("single"), _UNCLOSED.format("double")}
    ]
    statements = _Parser(tokens, mistakes).script()
    return Script(statements, tuple(unclosed[:1] or sorted(mistakes)[:_MOST_MISTAKES]))


def _tokens(text: str, mistakes: list[tuple[int, str]]) -> list[_Token]:
    tokens: list[_Token] = []
    place, line, first_long = 0, 1, 0
    while place < len(text):
        mark = text[place]
        if mark in " \t":
            place += 1
        elif mark == "\\" and text[place + 1 : place + 2] == "\n":
            place, line = place + 2, line + 1
        elif mark == "#":
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
        elif mark in "\n;":
            tokens.append(_Token("end", line, text=mark))
            place, line = place + 1, line + (mark == "\n")
        elif mark in "{}":
            tokens.append(_Token("open" if mark == "{" else "close", line, text=mark))
            place += 1
        elif mark in "|&<>":
            mistakes.append((line, f"GRUB's script has no {mark}"))
            tokens.append(_Token("end", line, text=mark))
            place += 1
        else:
            known = len(mistakes)
            word, end = _word(text, place, line, mistakes)
            tokens.append(_Token("word", line, word))
            lines = text.count("\n", place, end)
            # Where a quote is missing, those behind it are taken the wrong way round, and the last is one too many.
            first_long = first_long or (line if lines else 0)
            mistakes[known:] = [(first_long or line, mistake) for _, mistake in mistakes[known:]]
            line, place = line + lines, end
    tokens.append(_Token("end", line, text="\n"))
    return tokens


def _word(text: str, place: int, line: int, mistakes: list[tuple[int, str]]) -> tuple[Word, int]:
    pieces: list[Piece] = []
    while place < len(text):
        mark = text[place]
        if mark == "'":
            end = text.find("'", place + 1)
            if end < 0:
                mistakes.append((line, _UNCLOSED.format("single")))
                end = len(text)
            pieces.append(Piece(text[place + 1 : end], "single"))
            place = min(end + 1, len(text))
        elif mark == '"' or text.startswith('$"', place):
            place = _double_quoted(text, place + 1 + (mark == "$"), line, pieces, mistakes)
        elif mark == "$":
            found = _VARIABLE.match(text, place)
            if found:
                pieces.append(Piece(found[1] or found[2], "none", is_variable=True))
                place = found.end()
            else:
                mistakes.append((line, "a $ without the name of a variable"))
                pieces.append(Piece("$", "single"))
                place += 1
        elif mark == "\\":
            place = _escaped(text, place, pieces)
        elif found := _PLAIN.match(text, place):
            pieces.append(Piece(found[0], "none"))
            place = found.end()
        else:
            break
    return _merged(pieces), place


def _merged(pieces: Sequence[Piece]) -> Word:
    merged: list[Piece] = []
    for piece in pieces:
        if merged and not piece.is_variable and not merged[-1].is_variable and merged[-1].quotes == piece.quotes:
            merged[-1] = Piece(merged[-1].text + piece.text, piece.quotes)
        else:
            merged.append(piece)
    return Word(tuple(merged) or (Piece("", "single"),))


def _escaped(text: str, place: int, pieces: list[Piece]) -> int:
    r"""What stands for itself behind a backslash. The GRUB of Fedora's family leaves \x20 as it is."""
    if re.match(r"\\x[0-9A-Fa-f]{2}", text[place : place + 4]):
        pieces.append(Piece(text[place : place + 4], "none"))
        return place + 4
    behind = text[place + 1 : place + 2]
    if behind != "\n":
        pieces.append(Piece(behind, "single"))
    return place + 2


def _double_quoted(text: str, place: int, line: int, pieces: list[Piece], mistakes: list[tuple[int, str]]) -> int:
    """Add what stands in double quotes, from behind the first of them; where it ends."""
    pieces.append(Piece("", "double"))
    while place < len(text):
        mark = text[place]
        if mark == '"':
            return place + 1
        if mark == "\\" and text[place + 1 : place + 2] in {"$", "\\", '"', "\n"}:
            pieces.append(Piece(text[place + 1].strip("\n"), "double"))
            place += 2
        elif mark == "$" and (found := _VARIABLE.match(text, place)):
            pieces.append(Piece(found[1] or found[2], "double", is_variable=True))
            place = found.end()
        else:
            # A backslash or a dollar that means nothing here, and what comes up to the next mark.
            found = _MARK.search(text, place + 1)
            end = found.start() if found else len(text)
            pieces.append(Piece(text[place:end], "double"))
            place = end
    mistakes.append((line, _UNCLOSED.format("double")))
    return place


class _Parser:
    def __init__(self, tokens: Sequence[_Token], mistakes: list[tuple[int, str]]) -> None:
        self._tokens = tokens
        self._mistakes = mistakes
        self._at = 0

    def script(self) -> tuple[Statement, ...]:
        statements: list[Statement] = []
        while self._at < len(self._tokens):
            statements += self._statements(frozenset(), depth=0)
            if self._at < len(self._tokens):
                token = self._tokens[self._at]
                self._mistake(token.line, f"{_shown(token)} with nothing that it belongs to")
                self._at += 1
        return tuple(statements)

    def _statements(self, ends: frozenset[str], *, depth: int) -> tuple[Statement, ...]:
        """Statements until a word of `ends`, a brace that closes, or the end; what ends them is not taken."""
        statements: list[Statement] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "end":
                self._at += 1
                continue
            name = _name(token)
            if token.kind == "close" or name in ends or name in _ENDS:
                break
            statement = self._statement(token, depth=depth)
            if statement:
                statements.append(statement)
        return tuple(statements)

    def _statement(self, token: _Token, *, depth: int) -> Statement | None:
        if depth > MAX_DEPTH:
            self._mistake(token.line, "blocks within blocks, too deep to be read")
            self._at = len(self._tokens)
            return None
        match _name(token):
            case "if":
                return self._if(token.line, depth=depth)
            case "for":
                return self._for(token.line, depth=depth)
            case "while" | "until":
                self._at += 1
                condition = self._statements(frozenset({"do"}), depth=depth + 1)
                return While(condition, self._loop_body(token.line, depth=depth), token.line)
            case "function":
                return self._function(token.line, depth=depth)
        return self._simple(token, depth=depth)

    def _simple(self, token: _Token, *, depth: int) -> Command | None:
        if token.kind == "open":
            self._mistake(token.line, "a { where a command is expected")
            self._at += 1
            return None
        words = self._words()
        name = words[0].plain
        if self._at >= len(self._tokens) or self._tokens[self._at].kind != "open":
            if name in {"menuentry", "submenu"}:
                self._mistake(token.line, f"{name} without a {{ on its line")
            return Command(words, token.line)
        block = self._block(token.line, depth=depth)
        if self._at < len(self._tokens) and (behind := self._tokens[self._at]).kind in {"word", "close"}:
            if behind.kind == "word" or depth == 0:
                self._mistake(behind.line, f"{_shown(behind)} on the line of a }}")
            if behind.kind == "close" and depth == 0:
                self._at += 1
        return Command(words, token.line, block)

    def _words(self) -> tuple[Word, ...]:
        words: list[Word] = []
        while self._at < len(self._tokens) and (word := self._tokens[self._at].word):
            words.append(word)
            self._at += 1
        return tuple(words)

    def _block(self, line: int, *, depth: int) -> tuple[Statement, ...] | None:
        if self._at >= len(self._tokens) or self._tokens[self._at].kind != "open":
            self._mistake(line, "a { is missing")
            return None
        self._at += 1
        body = self._statements(frozenset(), depth=depth + 1)
        if self._at < len(self._tokens) and self._tokens[self._at].kind == "close":
            self._at += 1
            if not body:
                self._mistake(line, "the block between { and } holds no command")
        elif self._at < len(self._tokens):
            self._mistake(self._tokens[self._at].line, f"{_shown(self._tokens[self._at])} before a {{ is closed")
            self._at += 1
        else:
            self._mistake(line, "the { of this line is not closed")
        return body

    def _if(self, line: int, *, depth: int) -> If:
        branches: list[tuple[tuple[Statement, ...] | None, tuple[Statement, ...]]] = []
        word = "if"
        while word in {"if", "elif", "else"}:
            self._at += 1
            condition = None
            if word != "else":
                condition = self._statements(frozenset({"then"}), depth=depth + 1)
                if not self._take("then"):
                    self._mistake(line, "if without then")
            body = self._statements(frozenset(), depth=depth + 1)
            if not body:
                self._mistake(line, "a branch of this if holds no command")
            branches.append((condition, body))
            word = _name(self._tokens[self._at]) if self._at < len(self._tokens) else ""
        if not self._take("fi"):
            self._mistake(line, "the if of this line has no fi")
        return If(tuple(branches), line)

    def _function(self, line: int, *, depth: int) -> Function:
        self._at += 1
        words = self._words()
        while self._at < len(self._tokens) and self._tokens[self._at].text == "\n":
            self._at += 1
        return Function(words[0].plain if words else "", self._block(line, depth=depth) or (), line)

    def _for(self, line: int, *, depth: int) -> For:
        self._at += 1
        words = self._words()
        body = self._loop_body(line, depth=depth)
        return For(words[0].plain if words else "", words[2:], body, line)

    def _loop_body(self, line: int, *, depth: int) -> tuple[Statement, ...]:
        while self._at < len(self._tokens) and self._tokens[self._at].kind == "end":
            self._at += 1
        if not self._take("do"):
            self._mistake(line, "a loop without do")
        body = self._statements(frozenset(), depth=depth + 1)
        if not self._take("done"):
            self._mistake(line, "the loop of this line has no done")
        return body

    def _take(self, name: str) -> bool:
        if self._at < len(self._tokens) and _name(self._tokens[self._at]) == name:
            self._at += 1
            return True
        return False

    def _mistake(self, line: int, text: str) -> None:
        self._mistakes.append((line, text))


def _name(token: _Token) -> str:
    return token.word.plain if token.word else ""


def _shown(token: _Token) -> str:
    return _name(token) or token.text or "a word"
