"""Every type a user can give a column, with the values most likely to be changed on the way.

The full load and the stream are both tested with this list: a value must come out of PostgreSQL as
the text that stands here, and out of another MySQL-compatible server as the very bytes the source
holds. The tables of TYPES.md are made of the same list.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tests.integration.mysql_binlog.cases import CHARSETS

Sample: TypeAlias = tuple[str, str]
"""A value as SQL, and what PostgreSQL prints of it."""

MARIADB: Final = ("mariadb-10.11", "mariadb-11.8")
MYSQL: Final = ("mysql-8.0", "mysql-9")
EVERY: Final = (*MARIADB, *MYSQL)


@dataclass(frozen=True, slots=True)
class TypeCase:
    """One type. `group`: the types that share a table, which is also a section of the document.
    `postgres`: the type in PostgreSQL. `mariadb`, `mysql`: values that only these servers hold;
    `kept`: those that only another MySQL-compatible server can hold; `lost`: those that none takes.
    `clause` follows the type in a declaration; `computed`: the column is generated from another
    one, which has the values. `note` goes to the document."""

    group: str
    declared: str
    postgres: str
    values: tuple[Sample, ...]
    servers: tuple[str, ...] = EVERY
    mariadb: tuple[Sample, ...] = ()
    mysql: tuple[Sample, ...] = ()
    kept: tuple[str, ...] = ()
    lost: tuple[Sample, ...] = ()
    clause: str = ""
    computed: str = ""
    note: str = ""

    def samples(self, server: str) -> tuple[Sample, ...]:
        """What a server of this name takes and PostgreSQL holds."""
        return (*self.values, *(self.mariadb if server in MARIADB else self.mysql))


def same(*texts: str) -> tuple[Sample, ...]:
    """Values that are printed as they are written."""
    return tuple([(f"'{text}'", text) for text in texts])


# --- numbers --------------------------------------------------------------------------------------

_INTEGERS: Final = (
    ("tinyint", 8, "smallint", "smallint"),
    ("smallint", 16, "smallint", "integer"),
    ("mediumint", 24, "integer", "integer"),
    ("int", 32, "integer", "bigint"),
    ("bigint", 64, "bigint", "numeric(20,0)"),
)

_UNSIGNED: Final = {
    "smallint": "AWS DMS narrows it to 16 bits in some targets; here every value has room",
    "int": "AWS DMS narrows it to 32 bits in some targets; here every value has room",
    "bigint": "to 2^64-1; AWS DMS makes it bigint, which ends at 2^63-1",
}

DIGITS: Final = "9" * 35 + "." + "9" * 30


def _integers() -> Iterator[TypeCase]:
    for name, bits, signed, unsigned in _INTEGERS:
        half = 1 << bits - 1
        yield TypeCase("numbers", name, signed, same(str(-half), "-1", "0", str(half - 1)))
        yield TypeCase(
            "numbers", f"{name} unsigned", unsigned, same("0", str(half), str(2 * half - 1)),
            note=_UNSIGNED.get(name, ""),
        )  # fmt: skip
    yield TypeCase("numbers", "tinyint(1)", "smallint", same("-128", "0", "1", "127"),
                   note="no boolean: it holds -128 to 127")  # fmt: skip
    yield TypeCase("numbers", "int(5) unsigned zerofill", "bigint", (("42", "42"), ("0", "0")),
                   note="the value, without the zeros that a client is shown")  # fmt: skip


NUMBERS: Final = (
    *_integers(),
    TypeCase("numbers", "decimal(65,30)", "numeric(65,30)",
             same(DIGITS, f"-{DIGITS}", f"0.{'0' * 29}1", f"0.{'0' * 30}"),
             note="exact; AWS DMS keeps at most 38 digits, or a text"),
    TypeCase("numbers", "decimal(65,0)", "numeric(65,0)", same("9" * 65, "-" + "9" * 65, "0")),
    TypeCase("numbers", "decimal(30,30)", "numeric(30,30)", same(f"-0.{'9' * 30}")),
    TypeCase("numbers", "decimal(5,2) unsigned", "numeric(5,2)", same("999.99", "0.00")),
    TypeCase("numbers", "decimal(8,2) zerofill", "numeric(8,2)", (("1.5", "1.50"),)),
    TypeCase("numbers", "float", "real",
             (("3.4028234e38", "3.4028235e+38"), ("-3.4028234e38", "-3.4028235e+38"),
              ("1.17549435e-38", "1.1754944e-38"), ("1e-45", "1e-45"), ("0", "0"),
              ("-1.1754945e-38", "-1.1754945e-38"), ("0.1", "0.1"),
              ("16777217", "1.6777216e+07")), mysql=(("'-0'", "-0"),),
             note="all digits, where a client is shown six"),
    TypeCase("numbers", "float(7,3)", "real", (("1234.5678", "1234.568"), ("-0.1", "-0.1"))),
    TypeCase("numbers", "double", "double precision",
             (("1.7976931348623157e308", "1.7976931348623157e+308"),
              ("-1.7976931348623157e308", "-1.7976931348623157e+308"),
              ("2.2250738585072014e-308", "2.2250738585072014e-308"), ("5e-324", "5e-324"),
              ("-2.2250738585072014e-308", "-2.2250738585072014e-308"), ("0.1", "0.1"),
              ("123456789012345678", "1.2345678901234568e+17")), mysql=(("'-0'", "-0"),)),
    TypeCase("numbers", "double(12,4)", "double precision", (("1.00005", "1.0001"),)),
    TypeCase("numbers", "double(255,30)", "double precision",
             (("-1.2345678901234567e200", "-1.2345678901234567e+200"),
              ("-0.012345678901234567", "-0.012345678901234614"))),
    TypeCase("numbers", "bit(1)", "bit(1)", (("b'0'", "0"), ("b'1'", "1")),
             note="AWS DMS makes it a boolean"),
    TypeCase("numbers", "bit(10)", "bit(10)", (("b'1000000001'", "1000000001"),)),
    TypeCase("numbers", "bit(64)", "bit(64)",
             (("b'0'", "0" * 64), (f"b'{'1' * 64}'", "1" * 64), (f"b'1{'0' * 63}'", f"1{'0' * 63}"),
              ("b'101110000001001'", "0" * 49 + "101110000001001"))),
)  # fmt: skip

# --- moments --------------------------------------------------------------------------------------

ZERO_DATES: Final = (
    "a date without a day or month (`0000-00-00`, `2024-00-10`) by `source.zero_dates`: its row is"
    " refused (`error`, the default), or it becomes NULL (`null`) or 0001-01-01 (`earliest`),"
    " counted"
)
LONG_TIME: Final = "goes to 839 hours and below 0, which PostgreSQL's time does not"


def _fraction(digits: int, microseconds: str) -> str:
    """Of a moment as PostgreSQL prints it: without zeros at its end."""
    kept = microseconds[:digits].rstrip("0")
    return f".{kept}" if kept else ""


def _moments() -> Iterator[TypeCase]:
    for digits in range(7):
        size = f"({digits})" if digits else ""
        nines, few = _fraction(digits, "999999"), _fraction(digits, "000001")
        cut = "9" * digits
        end = f".{cut}" if digits else ""
        yield TypeCase(
            "moments", f"datetime{size}", f"timestamp({digits}) without time zone",
            ((f"'9999-12-31 23:59:59{end}'", f"9999-12-31 23:59:59{nines}"),
             (f"'0001-01-01 00:00:00.{'0' * max(digits - 1, 0)}1'" if digits == 6 else
              "'0001-01-01 00:00:00'", f"0001-01-01 00:00:00{few}"),
             ("'0000-12-31 23:59:59'", "0001-12-31 23:59:59 BC"),
             ("'1969-12-31 23:59:59'", "1969-12-31 23:59:59")),
            kept=("'0000-00-00 00:00:00'", "'2024-00-10 01:02:03'", "'2023-02-31 00:00:00'"),
            note="" if digits else ZERO_DATES,
        )  # fmt: skip
        yield TypeCase(
            "moments", f"timestamp{size}", f"timestamp({digits}) with time zone",
            (("'1970-01-01 00:00:01'", "1970-01-01 00:00:01+00"),
             (f"'2038-01-19 03:14:07{end}'", f"2038-01-19 03:14:07{nines}+00")),
            kept=("'0000-00-00 00:00:00'",), clause="NULL DEFAULT NULL",
            note="" if digits else "the moment, whatever a session's time zone",
        )  # fmt: skip
        yield TypeCase(
            "moments", f"time{size}", f"interval({digits})",
            same("838:59:59", "-838:59:59", "00:00:00", "-00:00:01", "24:00:00")
            + ((f"'-12:34:56{end}'", f"-12:34:56{nines}"),)
            + ((("'00:00:00.000001'", "00:00:00.000001"), ("'-00:00:00.000001'",
                 "-00:00:00.000001")) if digits == 6 else ()),
            mariadb=((f"'838:59:59{end}'", f"838:59:59{nines}"),
                     (f"'-838:59:59{end}'", f"-838:59:59{nines}")),
            note="" if digits else LONG_TIME,
        )  # fmt: skip


MOMENTS: Final = (
    TypeCase("moments", "year", "smallint", (("1901", "1901"), ("2155", "2155"), ("0", "0"))),
    TypeCase("moments", "date", "date",
             (*same("0001-01-01", "1000-01-01", "2024-02-29", "9999-12-31"),
              ("'0000-01-01'", "0001-01-01 BC"), ("'0000-12-31'", "0001-12-31 BC")),
             kept=("'0000-00-00'", "'2024-00-10'", "'2024-10-00'", "'0000-02-29'", "'2023-02-31'"),
             note=ZERO_DATES),
    *_moments(),
)  # fmt: skip

# --- texts ----------------------------------------------------------------------------------------

ODD: Final = "\\N\t\n\r\\.'\"%s`$1"
_ODD_SQL: Final = f"x'{ODD.encode().hex()}'"
NUL: Final = "a text with a NUL character is refused: PostgreSQL holds none"
STRIPPED: Final = "blanks at its end are not kept by the source"

TEXTS: Final = (
    TypeCase("texts", "char(5)", "character varying(5)",
             (("''", ""), ("'ab   '", "ab"), ("'  x'", "  x"), ("'€ñ試😀é'", "€ñ試😀é")),
             note=STRIPPED),
    TypeCase("texts", "varchar(20)", "character varying(20)",
             (*same("", "a  ", " ", "NULL", "€ñ試😀"), (_ODD_SQL, ODD)),
             note=NUL),
    TypeCase("texts", "varchar(300)", "character varying(300)",
             (("REPEAT('y', 255)", "y" * 255), ("REPEAT('é', 300)", "é" * 300))),
    TypeCase("texts", "tinytext", "text", (("''", ""), ("REPEAT('a', 255)", "a" * 255))),
    TypeCase("texts", "text", "text",
             (("''", ""), (_ODD_SQL, ODD), ("REPEAT('c', 65535)", "c" * 65_535), ("'x  '", "x  ")),
             note=NUL),
    TypeCase("texts", "mediumtext", "text", (("REPEAT('試', 30000)", "試" * 30_000),)),
    TypeCase("texts", "longtext", "text", (("REPEAT('ab ', 30000)", "ab " * 30_000),)),
    TypeCase("texts", "enum('a','b''c','d\\\\e','é','h,i')", "character varying(3)",
             (("'a'", "a"), ("'b''c'", "b'c"), ("'d\\\\e'", "d\\e"), ("'é'", "é"), ("5", "h,i")),
             lost=(("0", ""),),
             note="the empty text for what was no label; another MySQL-compatible server in strict"
             " mode takes none such, and its row is refused there"),
    TypeCase("texts", "enum('é','ö') character set latin1", "character varying(1)", same("é")),
    TypeCase("texts", "set('x','y z','q\\\\')", "character varying(8)",
             (("''", ""), ("'x'", "x"), ("'x,y z'", "x,y z"), ("7", "x,y z,q\\"))),
    TypeCase("texts", "set('試','験') character set sjis", "character varying(3)", same("試,験")),
    TypeCase("texts", f"set({','.join(repr(f's{i}') for i in range(64))})",
             f"character varying({sum(len(f's{i}') for i in range(64)) + 63})",
             ((str(2**64 - 1), ",".join(f"s{i}" for i in range(64))), ("'s63'", "s63"),
              ("'s31,s32'", "s31,s32"))),
    TypeCase("texts", "varchar(30) character set binary", "bytea",
             (("x'fffe'", "\\xfffe"), ("'a '", "\\x6120")), note="it is a varbinary"),
)  # fmt: skip

_LATIN: Final = "latin1"
REFUSED_BYTES: Final = (
    "bytes that the set has no character for are refused, in the load as in the stream"
)


def _charsets() -> Iterator[TypeCase]:
    for charset, written in CHARSETS.items():
        servers = MYSQL if charset == "gb18030" else EVERY
        text = written.replace("և", "")  # armscii8 has no place for it
        made = f"CONVERT('{text} ?' USING {charset})"
        yield TypeCase(
            "charsets", f"varchar(40) character set {charset}", "character varying(40)",
            ((made, f"{text} ?"), ("''", ""), ("'a  '", "a  ")), servers,
            note=REFUSED_BYTES if charset == "sjis" else "",
        )  # fmt: skip
        yield TypeCase("charsets", f"text character set {charset}", "text",
                       ((made, f"{text} ?"), ("'a b'", "a b")), servers)  # fmt: skip
    yield TypeCase("charsets", "varchar(9) character set ascii", "character varying(9)",
                   ((_ODD_SQL_SHORT, ODD[:9]),))  # fmt: skip
    for charset in ("sjis", "gbk", "big5", "ucs2"):
        yield TypeCase(
            "charsets", f"char(20) character set {charset}", "character varying(20)",
            ((f"CONVERT('{CHARSETS[charset]}\\\\\t' USING {charset})",
              CHARSETS[charset] + "\\\t"), ("'a  '", "a")),
            note=STRIPPED if charset == "sjis" else "",
        )  # fmt: skip


_ODD_SQL_SHORT: Final = f"x'{ODD[:9].encode().hex()}'"

# --- bytes ----------------------------------------------------------------------------------------

_POINT: Final = "0101000000000000000000f03f0000000000000040"

BYTES: Final = (
    TypeCase("bytes", "binary(4)", "bytea",
             (("''", "\\x00000000"), ("x'410000'", "\\x41000000"), ("x'20202020'", "\\x20202020"),
              ("x'ff00ff00'", "\\xff00ff00")), note="with the zeros at its end"),
    TypeCase("bytes", "binary(255)", "bytea", (("REPEAT(x'00', 255)", "\\x" + "00" * 255),
                                               ("x'0900'", "\\x0900" + "00" * 253))),
    TypeCase("bytes", "varbinary(300)", "bytea",
             (("''", "\\x"), ("x'4100'", "\\x4100"), ("REPEAT(x'ff', 300)", "\\x" + "ff" * 300),
              ("x'5c4e090a0d00271a'", "\\x5c4e090a0d00271a"))),
    TypeCase("bytes", "tinyblob", "bytea", (("x''", "\\x"), ("x'00ff'", "\\x00ff"))),
    TypeCase("bytes", "blob", "bytea", (("REPEAT(x'00', 300)", "\\x" + "00" * 300),)),
    TypeCase("bytes", "mediumblob", "bytea", (("REPEAT(x'ab', 70000)", "\\x" + "ab" * 70_000),)),
    TypeCase("bytes", "longblob", "bytea", (("x'27'", "\\x27"), ("x'00'", "\\x00"))),
    TypeCase("large", "longblob", "bytea",
             (("REPEAT(x'00ff5c0a', 750000)", "\\x" + "00ff5c0a" * 750_000),)),
    TypeCase("large", "longtext", "text",
             (("REPEAT('é\\\\012345\t', 200000)", "é\\012345\t" * 200_000),)),
)  # fmt: skip

# --- documents, shapes, addresses -----------------------------------------------------------------

_DEEP: Final = "[" * 90 + "]" * 90
GEOMETRY: Final = "the source's own bytes: SRID, then WKB"

OTHERS: Final = (
    TypeCase("json", "json", "json",
             (*same("null", "true", "[]", "{}", '""', "0", "-32769", "18446744073709551615",
                    "-9223372036854775808", "1.0", "0.1", "1e100", "123456789012345678", _DEEP,
                    '"é 😀"', '[1, [2, {"a": [true, null]}], "x"]'),
              ("""'{"bb":1, "a": {"":[]}}'""", '{"a": {"": []}, "bb": 1}'),
              (r"""'"q\\"\\\\ \\u0001 \\n \\/"'""", r'"q\"\\ \u0001 \n /"'),
              ("CAST(CAST('99999999999999999999.999' AS DECIMAL(23,3)) AS JSON)",
               "99999999999999999999.999"),
              ("CAST(CAST('2015-01-15' AS DATE) AS JSON)", '"2015-01-15"'),
              ("CAST(CAST('2015-01-15 23:24:25.12' AS DATETIME(2)) AS JSON)",
               '"2015-01-15 23:24:25.120000"'),
              ("CAST(CAST('-23:24:25.5' AS TIME(1)) AS JSON)", '"-23:24:25.500000"'),
              ("CAST(x'cafe00' AS JSON)", '"base64:type15:yv4A"'),
              ("JSON_ARRAY(REPEAT('a', 128), REPEAT('b', 16384))",
               f'["{"a" * 128}", "{"b" * 16_384}"]')),
             MYSQL, note="the text that the source prints"),
    TypeCase("json", "json", "text",
             (("""'{"b":1,  "a": [1,2], "b": 1e400}'""", '{"b":1,  "a": [1,2], "b": 1e400}'),
              ("'18446744073709551616'", "18446744073709551616"), ("'\"é 😀\"'", '"é 😀"')),
             MARIADB, note="to MariaDB it is a longtext; its text, as it was written"),
    TypeCase("shapes", "geometry", "bytea",
             (("ST_GeomFromText('POINT(1 2)')", f"\\x00000000{_POINT}"),
              ("ST_GeomFromText('LINESTRING(0 0,1 1)')",
               "\\x00000000010200000002000000" + "0" * 32 + "000000000000f03f" * 2)),
             mysql=(("ST_GeomFromText('POINT(2 1)', 4326)", f"\\xe6100000{_POINT}"),),
             note=GEOMETRY),
    TypeCase("shapes", "point", "bytea",
             (("ST_GeomFromText('POINT(1 2)')", f"\\x00000000{_POINT}"),), note=GEOMETRY),
    TypeCase("shapes", "geometrycollection", "bytea",
             (("ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2))')",
               f"\\x00000000010700000001000000{_POINT}"),), note=GEOMETRY),
    TypeCase("vectors", "vector(3)", "bytea",
             (("TO_VECTOR('[1,2,3.5]')", "\\x0000803f0000004000006040"),), ("mysql-9",),
             note="numbers of four bytes, little-endian"),
    TypeCase("vectors", "vector(3)", "bytea",
             (("VEC_FromText('[1,2,3.5]')", "\\x0000803f0000004000006040"),), ("mariadb-11.8",),
             note="numbers of four bytes, little-endian"),
    TypeCase("addresses", "uuid", "uuid",
             same("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "01890a5d-ac96-774b-bcce-b302099a8057",
                  "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffff00"),
             MARIADB),
    TypeCase("addresses", "inet4", "inet", same("0.0.0.0", "1.2.3.4", "255.255.255.0"), MARIADB),
    TypeCase("addresses", "inet6", "inet",
             same("::", "::1", "2001:db8::", "::ffff:1.2.3.4", "1:0:2::"), MARIADB),
)  # fmt: skip

# --- columns of a special kind --------------------------------------------------------------------

COMPUTED: Final = (
    "its values, in a plain column; from MariaDB 11 on, whose log lacks them in updates, such a"
    " table is left out and `penstock check` names it"
)

NOT_LOGGED: Final = ("mariadb-11.8",)
"""Servers whose log does not have the new values of generated columns."""

SPECIAL: Final = (
    TypeCase("columns", "int", "integer", (("-5", "-4"), ("2147483646", "2147483647")),
             clause="STORED", computed="{b} + 1", note=f"generated, stored: {COMPUTED}"),
    TypeCase("columns", "int", "integer", (("-5", "-4"), ("2147483646", "2147483647")),
             clause="VIRTUAL", computed="{b} + 1", note=f"generated, virtual: {COMPUTED}"),
    TypeCase("columns", "int", "integer", same("-5", "7"), clause="INVISIBLE",
             servers=(*MARIADB, "mysql-9"), note="invisible: like any other"),
    TypeCase("columns", "text compressed", "text",
             (("''", ""), ("'short'", "short"), ("REPEAT('ab', 5000)", "ab" * 5_000)), MARIADB),
    TypeCase("columns", "varchar(500) compressed character set latin1", "character varying(500)",
             (("REPEAT('é', 500)", "é" * 500), ("'é'", "é")), MARIADB),
    TypeCase("columns", "varbinary(400) compressed", "bytea",
             (("REPEAT(x'00', 400)", "\\x" + "00" * 400),), MARIADB),
)  # fmt: skip

CASES: Final[tuple[TypeCase, ...]] = (
    *NUMBERS, *MOMENTS, *TEXTS, *_charsets(), *BYTES, *OTHERS, *SPECIAL,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """Types that share tables: `c<n>` is the column of the n-th, `b<n>` the one a generated column
    is made of. A row takes the next value of each column, those with few again; the last is all
    NULL. `values`: SQL, and the text in PostgreSQL, None where it holds none."""

    name: str
    cases: tuple[TypeCase, ...]
    values: tuple[tuple[tuple[str, str | None], ...], ...] = field(repr=False)

    @property
    def rows(self) -> int:
        return 1 + max(map(len, self.values))

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple([f"c{n}" for n in range(len(self.cases))])

    @property
    def written(self) -> tuple[str, ...]:
        """The columns that values are written into."""
        return tuple([f"{'b' if case.computed else 'c'}{n}" for n, case in enumerate(self.cases)])

    def declarations(self) -> str:
        return ", ".join([_column(n, case) for n, case in enumerate(self.cases)])

    def sql(self, row: int) -> list[str]:
        """A row's values."""
        return [value[0] for value in self._row(row)]

    def texts(self, row: int) -> list[str | None]:
        """What PostgreSQL prints of them."""
        return [value[1] for value in self._row(row)]

    def _row(self, row: int) -> list[tuple[str, str | None]]:
        if row == self.rows - 1:
            return [("NULL", None)] * len(self.values)
        return [values[row % len(values)] for values in self.values]


def _column(number: int, case: TypeCase) -> str:
    name = f"c{number}"
    if not case.computed:
        return f"{name} {case.declared} {case.clause or 'NULL'}"
    base = f"b{number}"
    made = f"GENERATED ALWAYS AS ({case.computed.format(b=base)}) {case.clause}"
    return f"{base} {case.declared}, {name} {case.declared} {made}"


def groups(server: str, target: str = "") -> list[Group]:
    """What a server has, for a target of its own family or, without one, for PostgreSQL."""
    told = bool(target) or server not in NOT_LOGGED
    cases = [case for case in CASES if server in case.servers and (told or not case.computed)]
    made: list[Group] = []
    for name in dict.fromkeys(case.group for case in cases):
        chosen = tuple([case for case in cases if case.group == name])
        made.append(Group(name, chosen, tuple([_values(c, server, target) for c in chosen])))
    return made


def _values(case: TypeCase, server: str, target: str) -> tuple[tuple[str, str | None], ...]:
    if not target:
        return (*case.samples(server), *case.lost)
    alike = (server in MARIADB) == (target in MARIADB)
    known = case.samples(server) if alike else case.values
    return (*known, *[(sql, None) for sql in case.kept])
