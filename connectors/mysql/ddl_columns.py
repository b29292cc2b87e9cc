"""Definitions of columns, as CREATE TABLE and ALTER TABLE have them. (pure)

See: MySQL manual, "CREATE TABLE Statement" and "Data Types"; MariaDB manual, "CREATE TABLE".
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.mysql.ddl_cursor import Cursor, UnknownFormError
from connectors.mysql.ddl_keys import skip_references
from connectors.mysql.ddl_steps import ColumnDef
from connectors.mysql.ddl_tokens import TokenKind

SYNONYMS: Final[Mapping[str, str]] = {
    "integer": "int",
    "int1": "tinyint",
    "int2": "smallint",
    "int3": "mediumint",
    "middleint": "mediumint",
    "int4": "int",
    "int8": "bigint",
    "numeric": "decimal",
    "dec": "decimal",
    "fixed": "decimal",
    "float4": "float",
    "float8": "double",
    "character": "char",
    "nchar": "char",
    "nvarchar": "varchar",
    "varcharacter": "varchar",
    "geomcollection": "geometrycollection",
}
"""Names of types to those of the catalog."""

NATIONAL: Final = frozenset({"nchar", "nvarchar"})

SIZES: Final[Mapping[str, str]] = {
    "decimal": "(10,0)",
    "char": "(1)",
    "binary": "(1)",
    "bit": "(1)",
}
"""What the catalog says of a type without a length."""

LABEL_ESCAPES: Final = str.maketrans(
    {"'": "''", "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\0": "\\0"}
)
"""How the catalog writes labels, whatever `sql_mode` is."""

FLOAT_BITS_MAX: Final = 24
"""A FLOAT that is asked for more bits is a DOUBLE."""

BYTES: Final = {"char": "binary", "varchar": "varbinary"}
"""What CHAR(n) BYTE is."""

NATIONAL_CHARSET: Final = "utf8mb3"
"""What NATIONAL CHARACTER is, in every version so far."""

CODE_COLLATION: Final = "_bin"
"""The attribute BINARY: the collation by code of whatever the character set is."""

PLACES: Final = ("FIRST", "AFTER")

FIXED: Final[Mapping[str, Mapping[str, Any]]] = {
    "AUTO_INCREMENT": {"auto_increment": True, "nullable": False},
    "ENFORCED": {},
    "INVISIBLE": {"invisible": True},
    "KEY": {"key": "primary"},
    "NULL": {"nullable": True},
    "PERSISTENT": {"stored": True},
    "STORED": {"stored": True},
    "VIRTUAL": {},
    "VISIBLE": {},
}
"""Attributes of one word, and what they say."""

OPTIONS: Final = frozenset(
    {
        "COLUMN_FORMAT",
        "COMMENT",
        "ENGINE_ATTRIBUTE",
        "REF_SYSTEM_ID",
        "SECONDARY_ENGINE_ATTRIBUTE",
        "SRID",
        "STORAGE",
    }
)
"""Attributes with one value, which rows do not show."""

SERIAL: Final[Mapping[str, Any]] = {"nullable": False, "auto_increment": True, "key": "unique"}


def column_definition(cursor: Cursor) -> ColumnDef:
    """A column's name and all that follows, up to FIRST, AFTER, a comma or a bracket.

    Raises UnknownFormError.
    """
    return _Column(cursor, cursor.name()).read()


class _Column:
    """A column while it is read."""

    def __init__(self, cursor: Cursor, name: str) -> None:
        self._cursor = cursor
        self._name = name
        self._type = ""
        self._values: dict[str, Any] = {}

    def read(self) -> ColumnDef:
        self._read_type()
        while not self._cursor.at_end_of_item() and self._cursor.token.keyword not in PLACES:
            self._read_attribute()
        if self._values.get("key") == "primary":
            self._values["nullable"] = False
        charset = self._values.get("charset", "")
        if charset and self._values.get("collation") == CODE_COLLATION:
            self._values["collation"] = f"{charset}_bin"
        return ColumnDef(name=self._name, type=self._type, **self._values)

    # --- type ---------------------------------------------------------------------------------

    def _read_type(self) -> None:
        base = self._base()
        if base == "serial":
            self._type = "bigint unsigned"
            self._values |= SERIAL
            return
        if base == "json" and self._cursor.speech.mariadb:
            base = "longtext"
            self._values |= {"charset": "utf8mb4", "collation": "utf8mb4_bin"}
        arguments = self._arguments() if self._cursor.at_symbol("(") else SIZES.get(base, "")
        if base == "decimal" and "," not in arguments:
            arguments = f"{arguments.removesuffix(')')},0)"
        if base == "float" and arguments and "," not in arguments:
            bits = int(arguments.strip("()"))
            base, arguments = ("double" if bits > FLOAT_BITS_MAX else "float"), ""
        if base in BYTES and self._cursor.take("BYTE"):
            base = BYTES[base]
        self._type = base + arguments
        while self._read_type_word():
            pass

    def _base(self) -> str:
        cursor = self._cursor
        if cursor.token.kind is not TokenKind.WORD:
            raise UnknownFormError("column type")
        word = cursor.name().lower()
        if word == "national":
            word = "n" + cursor.name().lower().replace("character", "char")
        if word == "long":
            return self._long()
        if word in ("char", "character", "nchar") and cursor.take_one("VARYING", "VARCHAR"):
            word = "nvarchar" if word == "nchar" else "varchar"
        if word == "double":
            cursor.take("PRECISION")
        if word in NATIONAL:
            self._values["charset"] = NATIONAL_CHARSET
        if word in ("bool", "boolean"):
            return "tinyint(1)"
        if word == "real":
            return "float" if cursor.speech.real_is_float else "double"
        return SYNONYMS.get(word, word)

    def _long(self) -> str:
        """LONG, LONG VARCHAR, LONG VARBINARY, LONG CHAR VARYING."""
        if self._cursor.take("VARBINARY"):
            return "mediumblob"
        if self._cursor.take_one("CHAR", "CHARACTER"):
            self._cursor.expect("VARYING")
        else:
            self._cursor.take_one("VARCHAR", "VARCHARACTER")
        return "mediumtext"

    def _arguments(self) -> str:
        """Numbers, or the labels of an ENUM or SET, in the catalog's spelling: a server takes the
        spaces from their ends."""
        cursor = self._cursor
        cursor.expect_symbol("(")
        found = []
        while True:
            if cursor.token.kind is TokenKind.NUMBER:
                found.append(str(cursor.number()))
            else:
                found.append(f"'{cursor.text().rstrip(' ').translate(LABEL_ESCAPES)}'")
            if cursor.take_symbol(")"):
                return f"({','.join(found)})"
            cursor.expect_symbol(",")

    def _read_type_word(self) -> bool:
        cursor = self._cursor
        if word := cursor.take_one("UNSIGNED", "ZEROFILL"):
            # ZEROFILL makes a type unsigned, and the catalog names both.
            wanted = ("unsigned", "zerofill") if word == "ZEROFILL" else ("unsigned",)
            missing = [each for each in wanted if each not in self._type.split()]
            self._type = " ".join([self._type, *missing])
        elif cursor.take("ASCII"):
            self._values["charset"] = "latin1"
        elif cursor.take("UNICODE"):
            self._values["charset"] = "ucs2"
        elif cursor.take("BINARY"):
            self._values["collation"] = CODE_COLLATION
        elif cursor.take("CHARACTER", "SET") or cursor.take("CHARSET"):
            self._values["charset"] = cursor.charset()
        elif cursor.take("COMPRESSED"):
            self._values["compressed"] = True
            if cursor.take_symbol("="):
                cursor.name()
        else:
            return cursor.take("SIGNED")
        return True

    # --- attributes ---------------------------------------------------------------------------

    def _read_attribute(self) -> None:
        word = self._cursor.token.keyword
        if word in FIXED:
            self._cursor.next()
            self._values |= FIXED[word]
        elif word in OPTIONS:
            self._cursor.next()
            self._cursor.take_symbol("=")
            self._cursor.value()
        elif word in _READERS:
            self._cursor.next()
            _READERS[word](self)
        elif not self._read_type_word():
            raise UnknownFormError("column attribute")

    def not_null(self) -> None:
        if not self._cursor.take("ENFORCED"):
            self._cursor.expect("NULL")
            self._values["nullable"] = False

    def default(self) -> None:
        self._values["default"] = self._cursor.value()

    def on_update(self) -> None:
        self._cursor.expect("UPDATE")
        self._values["on_update"] = self._cursor.value()

    def unique(self) -> None:
        self._cursor.take("KEY")
        self._values.setdefault("key", "unique")

    def primary(self) -> None:
        self._cursor.take("KEY")
        self._values["key"] = "primary"

    def serial(self) -> None:
        self._cursor.expect("DEFAULT", "VALUE")
        self._values |= SERIAL

    def collate(self) -> None:
        self._values["collation"] = self._cursor.charset()

    def generated(self) -> None:
        self._cursor.expect("ALWAYS", "AS")
        self.expression()

    def expression(self) -> None:
        if not self._cursor.at_symbol("("):
            raise UnknownFormError("column of a system-versioned table")
        self._values["generated"] = self._cursor.brackets()

    def check(self) -> None:
        self._cursor.skip_brackets()

    def constraint(self) -> None:
        if not self._cursor.at_words("CHECK"):
            self._cursor.name()
        self._cursor.expect("CHECK")
        self._cursor.skip_brackets()

    def references(self) -> None:
        skip_references(self._cursor)

    def versioning(self) -> None:
        self._cursor.expect("SYSTEM", "VERSIONING")


_READERS: Final[Mapping[str, Callable[[_Column], None]]] = {
    "AS": _Column.expression,
    "CHECK": _Column.check,
    "COLLATE": _Column.collate,
    "CONSTRAINT": _Column.constraint,
    "DEFAULT": _Column.default,
    "GENERATED": _Column.generated,
    "NOT": _Column.not_null,
    "ON": _Column.on_update,
    "PRIMARY": _Column.primary,
    "REFERENCES": _Column.references,
    "SERIAL": _Column.serial,
    "UNIQUE": _Column.unique,
    "WITH": _Column.versioning,
    "WITHOUT": _Column.versioning,
}
"""Attributes that go on after their first word."""
