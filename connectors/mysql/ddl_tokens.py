"""The words of a statement, as a server with a certain version and `sql_mode` reads them. (pure)

Comments that a version executes are read as if they stood in the open. See: MySQL manual, "Lexical
Structure" and "Comments"; MariaDB manual, "Comment Syntax".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from connectors.mysql.flavour import Flavour

REAL_AS_FLOAT: Final = 1 << 0
ANSI_QUOTES: Final = 1 << 2
NO_BACKSLASH_ESCAPES: Final = 1 << 20
"""Bits of `sql_mode` as a query event carries them (MySQL source, sql/system_variables.h)."""

FOREIGN_VERSIONS: Final = range(50700, 100000)
"""What MariaDB from 10.0 on leaves out of `/*!NNNNN`: features of MySQL that it does not have."""


@dataclass(frozen=True, slots=True)
class Speech:
    """How a statement is read: by which server, and in which `sql_mode` (as its event has it)."""

    flavour: Flavour
    sql_mode: int = 0

    @property
    def mariadb(self) -> bool:
        return self.flavour.mariadb

    @property
    def ansi_quotes(self) -> bool:
        """Whether "..." is a name and not a text."""
        return bool(self.sql_mode & ANSI_QUOTES)

    @property
    def backslash_escapes(self) -> bool:
        return not self.sql_mode & NO_BACKSLASH_ESCAPES

    @property
    def real_is_float(self) -> bool:
        return bool(self.sql_mode & REAL_AS_FLOAT)

    def executes(self, maria_only: bool, version: int) -> bool:
        """Whether a comment `/*!version` (`/*M!version`) is executed; 0 for one without number."""
        if maria_only and not self.mariadb:
            return False
        if self.mariadb and not maria_only and version in FOREIGN_VERSIONS:
            return False
        major, minor, patch = self.flavour.version
        return version <= 10_000 * major + 100 * minor + patch


class TokenKind(Enum):
    WORD = "word"
    """A key word or an unquoted name."""
    NAME = "name"
    TEXT = "text"
    NUMBER = "number"
    SYMBOL = "symbol"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is what it means: quotes and escapes are undone. `start` and `end` are its place in
    the statement."""

    kind: TokenKind
    text: str
    start: int
    end: int

    @property
    def keyword(self) -> str:
        """The word in upper case; '' for anything that cannot be a key word."""
        return self.text.upper() if self.kind is TokenKind.WORD else ""

    def is_symbol(self, text: str) -> bool:
        return self.kind is TokenKind.SYMBOL and self.text == text


class UnreadableError(ValueError):
    """A text that ends inside of a quote or comment. Holds nothing of it."""


_SKIPPED: Final = re.compile(r"\s+|#[^\n]*|--(?=[\s\x00-\x1f]|\Z)[^\n]*")
_COMMENT: Final = re.compile(r"/\*(?:(?P<maria>M?)!(?P<version>\d{5,6})?)?")
_LETTER: Final = r"[^\x00-#%-/:-@\[-^`{-\x7f]"
"""0-9, A-Z, a-z, _, $ and all from U+0080 on, told by what they are not: to prepare a pattern with
so wide a range in it takes a hundred times as long."""
_WORD: Final = re.compile(f"{_LETTER}+")
_NUMBER: Final = re.compile(rf"(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?(?!{_LETTER})")
_BACKTICKS: Final = re.compile(r"`((?:[^`]|``)*)`")
_PLAIN: Final = {
    quote: re.compile(f"{quote}((?:[^{quote}]|{quote}{quote})*){quote}") for quote in "'\""
}
_ESCAPED: Final = {
    quote: re.compile(rf"{quote}((?:[^{quote}\\]|\\.|{quote}{quote})*){quote}", re.DOTALL)
    for quote in "'\""
}
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_MEANINGS: Final = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_WILDCARDS: Final = "%_"
"""`\\%` and `\\_` keep their backslash."""


def tokens(sql: str, speech: Speech) -> list[Token]:
    """The tokens of a statement, one of kind END last. Raises UnreadableError."""
    return [*_Lexer(sql, speech).run(), Token(TokenKind.END, "", len(sql), len(sql))]


class _Lexer:
    def __init__(self, sql: str, speech: Speech) -> None:
        self._sql = sql
        self._speech = speech
        self._at = 0
        self._open = 0
        """Executed comments we are in."""
        self._before: Token | None = None

    def run(self) -> Iterator[Token]:
        while self._at < len(self._sql):
            if match := _SKIPPED.match(self._sql, self._at):
                self._at = match.end()
            elif self._sql.startswith("/*", self._at):
                self._comment()
            elif self._open and self._sql.startswith("*/", self._at):
                self._open -= 1
                self._at += 2
            else:
                token = self._token()
                self._at = token.end
                self._before = token
                yield token
        if self._open:
            raise UnreadableError("ends inside of a comment")

    def _comment(self) -> None:
        match = _COMMENT.match(self._sql, self._at)
        assert match is not None
        version = int(match["version"] or 0)
        if match["maria"] is not None and self._speech.executes(match["maria"] == "M", version):
            self._open += 1
            self._at = match.end()
        else:
            self._skip(match.end())

    def _skip(self, at: int) -> None:
        """To the end of a comment; one that a version would execute may hold one more."""
        end = self._sql.find("*/", at)
        inner = self._sql.find("/*", at) if self._sql[at - 1] != "*" else -1
        if 0 <= inner < end:
            end = self._sql.find("*/", end + 2)
        if end < 0:
            raise UnreadableError("ends inside of a comment")
        self._at = end + 2

    def _token(self) -> Token:
        first = self._sql[self._at]
        if first == "`":
            return self._quoted(TokenKind.NAME, _BACKTICKS, "`")
        if first == '"' and self._speech.ansi_quotes:
            return self._quoted(TokenKind.NAME, _PLAIN[first], first)
        if first in _PLAIN:
            if self._speech.backslash_escapes:
                return self._quoted(TokenKind.TEXT, _ESCAPED[first], first)
            return self._quoted(TokenKind.TEXT, _PLAIN[first], first)
        if not self._in_name(first) and (match := _NUMBER.match(self._sql, self._at)):
            return Token(TokenKind.NUMBER, match.group(), match.start(), match.end())
        if match := _WORD.match(self._sql, self._at):
            return Token(TokenKind.WORD, match.group(), match.start(), match.end())
        return Token(TokenKind.SYMBOL, first, self._at, self._at + 1)

    def _in_name(self, first: str) -> bool:
        """Whether we are inside of a name with parts, such as `a.1`, where no number stands."""
        before = self._before
        if before is None:
            return False
        names = (TokenKind.WORD, TokenKind.NAME)
        return before.is_symbol(".") or (first == "." and before.kind in names)

    def _quoted(self, kind: TokenKind, pattern: re.Pattern[str], quote: str) -> Token:
        match = pattern.match(self._sql, self._at)
        if match is None:
            raise UnreadableError("ends inside of quotes")
        text = match[1].replace(quote * 2, quote)
        if kind is TokenKind.TEXT and self._speech.backslash_escapes:
            text = _ESCAPE.sub(_unescaped, text)
        return Token(kind, text, match.start(), match.end())


def _unescaped(match: re.Match[str]) -> str:
    character = match[1]
    if character in _WILDCARDS:
        return match.group()
    return _MEANINGS.get(character, character)
