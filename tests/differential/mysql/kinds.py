"""Column types of MySQL and MariaDB with values of theirs at random.

Values are SQL expressions that mean the same in every `sql_mode` and character set of a session;
defaults are texts, which the statement has to quote.
"""

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Chance = random.Random

MARIADB: Final = "mariadb"
MYSQL: Final = "mysql"

ODD_TEXTS: Final = (
    "", " ", "NULL", "\\N", "\\.", "a'b", 'a"b', "a\\b", "a,b", "`x`", "tab\there", "new\nline",
    "carriage\rreturn", "end\\", "'; DROP TABLE x; --", "%s", "\x1a", "trailing  ", "x" * 40,
)  # fmt: skip

WESTERN: Final = ("ünïcödé", "Straße", "ÀÉÎ")
EASTERN: Final = ("日本語", "表示", "能力")
"""Texts of which sjis has bytes that look like backslashes."""
EVERYWHERE: Final = (*WESTERN, *EASTERN, "🦊", "e\u0301")

LONG: Final = 9_000
"""Characters of a value that InnoDB stores apart."""

EPOCH: Final = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Kind:
    """`value` gives an SQL expression of the type, never NULL; `changed` one from the value that a
    column has. `wider`: a type that holds every value of it."""

    sql: str
    value: Callable[[Chance], str]
    defaults: tuple[str, ...] = ()
    wider: str = ""
    changed: Callable[[Chance, str], str] | None = None
    only: str = ""
    """The dialect that has it."""


def text(value: str) -> str:
    return f"_utf8mb4 x'{value.encode().hex()}'"


def _texts(*letters: str) -> Callable[[Chance], str]:
    def value(chance: Chance) -> str:
        roll = chance.random()
        if roll < 0.3:
            return text(chance.choice(ODD_TEXTS))
        if roll < 0.6 and letters:
            return text(" ".join(chance.choices(letters, k=chance.randint(1, 3))))
        return text(chance.randbytes(chance.randint(1, 12)).hex())

    return value


def _long(value: Callable[[Chance], str]) -> Callable[[Chance], str]:
    def longer(chance: Chance) -> str:
        if chance.random() < 0.7:
            return value(chance)
        return text(chance.randbytes(LONG // 2).hex())

    return longer


def _one_of(*texts: str) -> Callable[[Chance], str]:
    return lambda chance: f"'{chance.choice(texts)}'"


def _integer(bits: int, *, unsigned: bool = False) -> Callable[[Chance], str]:
    low, high = (0, (1 << bits) - 1) if unsigned else (-(1 << bits - 1), (1 << bits - 1) - 1)

    def value(chance: Chance) -> str:
        odd = (low, high, 0, 1, high - 1)
        near = chance.randint(max(low, -99), 99)
        return str(chance.choice(odd) if chance.random() < 0.3 else near)

    return value


def _decimal(whole: int, scale: int) -> Callable[[Chance], str]:
    def value(chance: Chance) -> str:
        if chance.random() < 0.2:
            return chance.choice(("-", "")) + "9" * whole + "." + "9" * scale
        return f"{chance.randint(-999, 999)}.{chance.randint(0, 10**scale - 1):0{scale}d}"

    return value


def _bytes(length: int) -> Callable[[Chance], str]:
    def value(chance: Chance) -> str:
        odd = (b"", b"\0", b"\\\n\t'\0", b"\xff\0\0", b"  ")
        if chance.random() < 0.3:
            return f"x'{chance.choice(odd)[:length].hex()}'"
        return f"x'{chance.randbytes(chance.randint(0, length)).hex()}'"

    return value


def _long_bytes(chance: Chance) -> str:
    length = LONG if chance.random() < 0.2 else 60
    return f"x'{chance.randbytes(chance.randint(0, length)).hex()}'"


def _bits(width: int) -> Callable[[Chance], str]:
    return lambda chance: f"b'{chance.getrandbits(width):b}'"


DOCUMENTS: Final = (
    "{}", "[]", "null", "1.5", '"\\u00fc"', '{"b":1,"a":{"c":[1,2,"x"]}}', "[1,[2,[3,{}]]]",
    '{"a":"日本語","n":18446744073709551615}', '{"long":"' + "y" * 300 + '"}',
)  # fmt: skip


def _json(chance: Chance) -> str:
    return text(chance.choice(DOCUMENTS))


def _json_changed(chance: Chance, column: str) -> str:
    """What `binlog_row_value_options = PARTIAL_JSON` logs in part."""
    number = chance.randint(0, 99)
    return chance.choice(
        (
            f"JSON_SET({column}, '$.a', {number})",
            f"JSON_REPLACE({column}, '$.a', 'new {number}')",
            f"JSON_REMOVE({column}, '$.b')",
            f"JSON_SET({column}, '$.\"k {number}\"', {number}, '$.b', NULL)",
        )
    )


KINDS: Final = (
    Kind("tinyint", _integer(8), ("5", "-1"), "int"),
    Kind("tinyint(1)", _integer(8), ("1",)),
    Kind("smallint unsigned", _integer(16, unsigned=True), ("7",), "int unsigned"),
    Kind("mediumint", _integer(24), ("-8",), "bigint"),
    Kind("int", _integer(32), ("0",), "bigint"),
    Kind("int unsigned", _integer(32, unsigned=True), ("4294967295",), "bigint unsigned"),
    Kind("bigint", _integer(64), ("-9223372036854775808",)),
    Kind("bigint unsigned", _integer(64, unsigned=True), ("18446744073709551615",)),
    Kind("decimal(12,2)", _decimal(10, 2), ("1.50",), "decimal(20,4)"),
    Kind("decimal(65,30)", _decimal(35, 30)),
    Kind("float", lambda c: repr(c.uniform(-1e6, 1e6)), ("0.5",)),
    Kind("double", lambda c: repr(c.uniform(-1e9, 1e9)), ("0.1",)),
    Kind("bit(1)", _bits(1)),
    Kind("bit(10)", _bits(10)),
    Kind("bit(64)", _bits(64)),
    Kind("year", _one_of("1901", "2155", "2024"), ("2000",)),
    Kind("date", _one_of("2024-02-29", "0001-01-01", "9999-12-31"), ("2001-02-03",)),
    Kind("datetime", _one_of("2024-02-29 12:00:00", "0001-01-01 00:00:00"), (), "datetime(3)"),
    Kind("datetime(6)", _one_of("2024-02-29 12:00:00.000001", "9999-12-31 23:59:59.999999"),
         ("2001-02-03 04:05:06.700000",)),
    Kind("timestamp(6) NULL", _one_of("2024-03-31 02:30:00.5", "1999-12-31 23:59:59.999999"),
         ("2010-01-01 00:00:00",)),
    Kind("time", _one_of("00:00:00", "-838:59:59", "23:59:59", "100:00:00"), ("-01:00:00",)),
    Kind("time(3)", _one_of("-00:00:00.001", "12:34:56.789", "838:59:58.999")),
    Kind("char(6)", _one_of("", "a", "abc", "abcdef", "a b"), ("abc",)),
    Kind("varchar(50)", _texts(*EVERYWHERE), ODD_TEXTS, "varchar(200)"),
    Kind("varchar(60) character set latin1", _texts(*WESTERN), ("ünïcödé", "x")),
    Kind("varchar(60) character set sjis", _texts(*EASTERN), ("表示",)),
    Kind("varchar(60) character set gbk", _texts(*EASTERN), ("日本語",)),
    Kind("varchar(60) character set utf16", _texts(*EVERYWHERE)),
    Kind("varchar(70) collate utf8mb4_bin", _texts(*EVERYWHERE), ("a",), "varchar(300)"),
    Kind("text", _long(_texts(*EVERYWHERE)), (), "mediumtext"),
    Kind("text character set latin1", _long(_texts(*WESTERN))),
    Kind("longtext", _long(_texts(*EVERYWHERE))),
    Kind("enum('sad','ok','very happy','Ünicode')", _one_of("sad", "ok", "very happy"), ("ok",)),
    Kind("set('x','y z','w')", _one_of("", "x", "x,w", "x,y z,w"), ("x,w",)),
    Kind("binary(4)", _bytes(4)),
    Kind("varbinary(40)", _bytes(40), (), "varbinary(80)"),
    Kind("blob", _long_bytes, (), "longblob"),
    Kind("json", _json, changed=_json_changed),
    Kind("point", lambda c: f"ST_GeomFromText('POINT({c.randint(0, 9)} {c.randint(0, 9)})')"),
    Kind("uuid", lambda c: f"'{c.randbytes(16).hex()}'", only=MARIADB),
    Kind("inet4", _one_of("10.0.0.1", "255.255.255.255"), only=MARIADB),
    Kind("inet6", _one_of("2001:db8::1", "fe80::1:2"), only=MARIADB),
    Kind("varchar(500) compressed", _texts(*EVERYWHERE), only=MARIADB),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeyKind:
    """`value` gives a key from its number; texts may be spelt in several ways."""

    sql: str
    value: Callable[[Chance, int], str]
    counts: bool = False
    """Whether a key may be computed from another one."""


def _spelt(chance: Chance, name: str) -> str:
    return text(chance.choice((name, name, name.upper(), name.title())))


def _moment(number: int) -> str:
    return f"{EPOCH + dt.timedelta(hours=number):%Y-%m-%d %H:%M:%S}.{number:03}"


KEYS: Final = (
    KeyKind("int", lambda _, n: str(n), counts=True),
    KeyKind("int unsigned", lambda _, n: str(n), counts=True),
    KeyKind("bigint unsigned", lambda _, n: str((1 << 63) + n), counts=True),
    KeyKind("bigint", lambda _, n: str(n - 150), counts=True),
    KeyKind("decimal(12,2)", lambda _, n: f"{n - 150}.{n % 100:02}"),
    KeyKind("datetime(3)", lambda _, n: f"'{_moment(n)}'"),
    KeyKind("date", lambda _, n: f"'{(EPOCH + dt.timedelta(days=n)).date()}'"),
    KeyKind("varchar(40) collate utf8mb4_bin", lambda c, n: _spelt(c, f"name '{n}'")),
    KeyKind("varchar(40) collate utf8mb4_general_ci", lambda c, n: _spelt(c, f"nâme {n}")),
    KeyKind("varchar(40) collate utf8mb4_unicode_ci", lambda c, n: _spelt(c, f"ñ\\{n}")),
    KeyKind("varchar(40) collate latin1_swedish_ci", lambda c, n: _spelt(c, f"öre {n}")),
    KeyKind("char(20) collate utf8mb4_general_ci", lambda c, n: _spelt(c, f"k {n}")),
    KeyKind("varbinary(20)", lambda _, n: f"x'{n:04x}00'"),
    KeyKind("binary(4)", lambda _, n: f"x'{n:04x}'"),
)
