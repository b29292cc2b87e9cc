"""A place in a statement, and what can be read there. (pure)"""

from typing import Final

from connectors.mysql.ddl_steps import Place
from connectors.mysql.ddl_tokens import Speech, Token, TokenKind, tokens
from engine.model.relation import TableName

DEFAULT_WORD: Final = "DEFAULT"


class UnknownFormError(Exception):
    """What stands here is not understood. `form` is what it seems to be, in key words of ours."""

    def __init__(self, form: str = "") -> None:
        super().__init__(form)
        self.form = form


class Cursor:
    """Reads a statement from left to right. A method that finds something else than its name says
    raises UnknownFormError; one called `take...` then returns False and has moved nothing."""

    def __init__(self, sql: str, speech: Speech, database: str) -> None:
        """Raises UnreadableError."""
        self.speech = speech
        self._sql = sql
        self._database = database
        self._tokens = tokens(sql, speech)
        self._at = 0

    # --- looking ------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

    def ahead(self, distance: int = 1) -> Token:
        return self._tokens[min(self._at + distance, len(self._tokens) - 1)]

    @property
    def ended(self) -> bool:
        """Nothing more stands here, but for a semicolon at the very end."""
        last = self.token.is_symbol(";") and self.ahead().kind is TokenKind.END
        return self.token.kind is TokenKind.END or last

    def at_words(self, *words: str) -> bool:
        """Whether these key words come next, in this order."""
        return all(self.ahead(n).keyword == word for n, word in enumerate(words))

    def mentions(self, word: str) -> bool:
        """Whether this key word stands anywhere from here on."""
        return any(token.keyword == word for token in self._tokens[self._at :])

    def at_symbol(self, text: str) -> bool:
        return self.token.is_symbol(text)

    def at_end_of_item(self) -> bool:
        """Before the comma or bracket that ends a definition, or at the end."""
        return self.ended or self.at_symbol(",") or self.at_symbol(")")

    # --- moving -------------------------------------------------------------------------------

    def next(self) -> Token:
        token = self.token
        if token.kind is TokenKind.END:
            raise UnknownFormError
        self._at += 1
        return token

    def take(self, *words: str) -> bool:
        """Step over these key words, if all of them come next."""
        if not self.at_words(*words):
            return False
        self._at += len(words)
        return True

    def take_one(self, *words: str) -> str:
        """Step over one of these key words; '' when none of them comes next."""
        word = self.token.keyword
        if word not in words:
            return ""
        self._at += 1
        return word

    def take_symbol(self, text: str) -> bool:
        if not self.at_symbol(text):
            return False
        self._at += 1
        return True

    def expect(self, *words: str) -> None:
        if not self.take(*words):
            raise UnknownFormError

    def expect_symbol(self, text: str) -> None:
        if not self.take_symbol(text):
            raise UnknownFormError

    # --- reading ------------------------------------------------------------------------------

    def name(self) -> str:
        """A name of anything but a table."""
        token = self.next()
        if token.kind not in (TokenKind.WORD, TokenKind.NAME):
            raise UnknownFormError
        return token.text

    def table(self) -> TableName:
        """A table's name, with the session's database where it has none."""
        first = self.name()
        if self.take_symbol("."):
            return TableName(first, self.name())
        return TableName(self._database, first)

    def column(self) -> str:
        """A column's name; a table's in front of it is stepped over."""
        name = self.name()
        while self.take_symbol("."):
            name = self.name()
        return name

    def number(self) -> int:
        token = self.next()
        if token.kind is not TokenKind.NUMBER or not token.text.isdigit():
            raise UnknownFormError
        return int(token.text)

    def text(self) -> str:
        token = self.next()
        if token.kind is not TokenKind.TEXT:
            raise UnknownFormError
        found = [token.text]
        while self.token.kind is TokenKind.TEXT:  # neighbours are one text
            found.append(self.next().text)
        return "".join(found)

    def word_or_text(self) -> str:
        """The value of an option, which many quote."""
        if self.token.kind is TokenKind.TEXT:
            return self.text()
        return self.name()

    def charset(self) -> str:
        """A character set's or collation's name; '' for DEFAULT."""
        name = self.word_or_text().lower()
        return "" if name == DEFAULT_WORD.lower() else name

    def brackets(self) -> str:
        """What stands between a bracket here and the one that closes it, as it was written."""
        start = self.token.end
        self.skip_brackets()
        return self._sql[start : self._tokens[self._at - 1].start].strip()

    def skip_brackets(self) -> None:
        self.expect_symbol("(")
        depth = 1
        while depth:
            token = self.next()
            depth += token.is_symbol("(") - token.is_symbol(")")

    def skip_item(self) -> None:
        """To the comma or bracket that ends this item, or to the end."""
        while not self.at_end_of_item():
            if self.at_symbol("("):
                self.skip_brackets()
            else:
                self.next()

    def value(self) -> str:
        """A default: a literal, a function or an expression in brackets, as it was written, but
        that a backslash escapes whatever the session's mode is."""
        start = self.token.start
        if self.at_symbol("("):
            self.skip_brackets()
        else:
            self._skip_simple_value()
        text = self._sql[start : self._tokens[self._at - 1].end]
        return text if self.speech.backslash_escapes else text.replace("\\", "\\\\")

    def _skip_simple_value(self) -> None:
        if self.at_words("NEXT", "VALUE", "FOR"):
            self.take("NEXT", "VALUE", "FOR")
            self.table()
            return
        if not self.take_symbol("-"):
            self.take_symbol("+")
        token = self.next()
        if token.kind is TokenKind.SYMBOL:
            raise UnknownFormError
        while self.token.kind is TokenKind.TEXT:  # x'00', _utf8mb4'a', and neighbours
            self.next()
        while self.take_symbol("."):
            self.name()
        if token.kind is TokenKind.WORD and self.at_symbol("("):
            self.skip_brackets()

    # --- what many statements have ------------------------------------------------------------

    def if_exists(self) -> bool:
        return self.take("IF", "EXISTS")

    def if_not_exists(self) -> bool:
        return self.take("IF", "NOT", "EXISTS")

    def skip_wait(self) -> None:
        """MariaDB's WAIT n and NOWAIT."""
        if self.take("WAIT"):
            self.number()
        else:
            self.take("NOWAIT")

    def place(self) -> Place | None:
        """FIRST or AFTER a column."""
        if self.take("FIRST"):
            return Place()
        if self.take("AFTER"):
            return Place(self.column())
        return None
