"""Column types with values of theirs at random: SQL expressions, odd ones among them."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Chance = random.Random

TYPES: Final = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'very happy', 'Ünicode');
CREATE TYPE pair AS (left_side int, right_side text);
CREATE DOMAIN small_text AS text CHECK (length(VALUE) < 2000);
"""

ODD_TEXTS: Final = (
    "", " ", "NULL", "\\N", "\\.", "a'b", 'a"b', "a\\b", "a,b", "{}", "()", "tab\there",
    "new\nline", "carriage\rreturn", "ünïcödé", "日本語", "🦊", "'; DROP TABLE x; --", "%s",
    "x" * 300,
)  # fmt: skip

REWRITING: Final = frozenset({"small_text"})
"""Types whose rules are checked on every row when a column of theirs is added: all are written
anew."""

LONG: Final = 3_000
"""Characters of a value that is stored apart, and not sent again while it does not change."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`value` gives an SQL expression of the type, never NULL."""

    sql: str
    value: Callable[[Chance], str]


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _text(chance: Chance) -> str:
    if chance.random() < 0.5:
        return literal(chance.choice(ODD_TEXTS))
    return literal(chance.randbytes(chance.randint(1, 20)).hex())


def _long(chance: Chance) -> str:
    if chance.random() < 0.6:
        return _text(chance)
    return literal(chance.randbytes(LONG // 2).hex())


def _one_of(*texts: str) -> Callable[[Chance], str]:
    return lambda chance: literal(chance.choice(texts))


def _integer(bits: int) -> Callable[[Chance], str]:
    limit = 1 << (bits - 1)

    def value(chance: Chance) -> str:
        odd = (0, 1, -1, limit - 1, -limit)
        return str(chance.choice(odd) if chance.random() < 0.2 else chance.randint(-999, 999))

    return value


def _numeric(chance: Chance) -> str:
    if chance.random() < 0.3:
        return literal(chance.choice(("NaN", "0", "0.00", "1.10", "1e-20", "9" * 40, "-0.000001")))
    return f"{chance.randint(-(10**6), 10**6)}.{chance.randint(0, 999):03d}"


def _float(chance: Chance) -> str:
    if chance.random() < 0.3:
        return literal(chance.choice(("NaN", "Infinity", "-Infinity", "-0", "1e-30")))
    return repr(chance.uniform(-1e6, 1e6))


def _integers(chance: Chance) -> str:
    values = [
        chance.choice(("NULL", str(chance.randint(-9, 9)))) for _ in range(chance.randint(0, 5))
    ]
    return f"ARRAY[{', '.join(values)}]::int[]"


def _texts(chance: Chance) -> str:
    values = [chance.choice(("NULL", _text(chance))) for _ in range(chance.randint(0, 4))]
    return f"ARRAY[{', '.join(values)}]::text[]"


def _bits(chance: Chance) -> str:
    return f"B'{chance.getrandbits(8):08b}'"


def _json(chance: Chance) -> str:
    return literal(
        chance.choice(("{}", "[]", "null", "1.10", '{"b":1,"a":{"c":[1,2,"x"]}}', '"\\u00fc"'))
    )


KINDS: Final = (
    Kind("smallint", _integer(16)),
    Kind("integer", _integer(32)),
    Kind("bigint", _integer(64)),
    Kind("numeric", _numeric),
    Kind("numeric(14,2)", lambda c: f"{c.randint(-10**6, 10**6)}.{c.randint(0, 99):02d}"),
    Kind("real", _float),
    Kind("double precision", _float),
    Kind("boolean", _one_of("t", "f")),
    Kind("text", _text),
    Kind("text", _long),
    Kind("varchar(400)", _text),
    Kind("char(6)", _one_of("", "a", "abc", "abcdef")),
    Kind("small_text", _text),
    Kind("bytea", lambda c: f"'\\x{c.randbytes(c.randint(0, 40)).hex()}'"),
    Kind("date", _one_of("2024-02-29", "0044-03-15 BC", "infinity", "-infinity", "9999-12-31")),
    Kind("time", _one_of("00:00", "23:59:59.999999", "24:00:00")),
    Kind("timestamp", _one_of("2024-02-29 12:00:00.000001", "infinity", "0001-01-01 BC")),
    Kind("timestamptz", _one_of("2024-03-31 02:30:00+02", "1900-01-01 00:00:00Z", "-infinity")),
    Kind("interval", _one_of("1 mon -1 day 00:00:00.5", "-1 year", "0", "100000 hours")),
    Kind("uuid", lambda c: literal(c.randbytes(16).hex())),
    Kind("json", _json),
    Kind("jsonb", _json),
    Kind("inet", _one_of("10.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32")),
    Kind("int4range", _one_of("empty", "[1,5)", "(,)", "[3,)")),
    Kind("bit(8)", _bits),
    Kind("bit varying(16)", _bits),
    Kind("integer[]", _integers),
    Kind("text[]", _texts),
    Kind("mood", _one_of("sad", "ok", "very happy", "Ünicode")),
    Kind("pair", lambda c: f"ROW({c.randint(0, 9)}, {_text(c)})::pair"),
)  # fmt: skip

_FINITE: Final[dict[str, Callable[[Chance], str]]] = {
    "real": lambda c: repr(c.randint(-(10**6), 10**6) / 8),
    "double precision": lambda c: repr(c.uniform(-1e6, 1e6)),
    "date": _one_of("2024-02-29", "0001-01-01", "9999-12-31"),
    "timestamp": _one_of("2024-02-29 12:00:00.000001", "0001-01-01 00:00:00"),
    "timestamptz": _one_of("2024-03-31 02:30:00+02", "1900-01-01 00:00:00Z"),
}  # fmt: skip

FINITE_KINDS: Final = tuple(Kind(k.sql, _FINITE.get(k.sql, k.value)) for k in KINDS)
"""The same with values that other families have, too: no infinities, years 1 to 9999."""
