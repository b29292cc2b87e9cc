"""Every type a user can give a column, with the values most likely to be changed on the way.

The full load and the stream are both tested with this list: a value must come out of the target as
the very text the source prints. Values are input texts of their type.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from connectors._sql.quoting import literal


@dataclass(frozen=True, slots=True)
class TypeCase:
    """One type. `setup` makes it in a new database, `extension` brings it, `since` is the first
    server version (`server_version_num`) that has it or takes the values; `later` are values that
    only servers from a version on have, `text_before` the version of a target before which the type
    is loaded as text because of them, `sent_from` the version before which a server has no binary
    form of it. `note` goes to the generated table. `array` makes a case of
    its arrays too."""

    declaration: str
    values: tuple[str, ...]
    kind: str = "built-in"
    setup: str = ""
    extension: str = ""
    since: int = 130000
    note: str = ""
    array: bool = True
    later: tuple[tuple[int, str], ...] = ()
    text_before: int = 0
    sent_from: int = 0

    def expressions(self, version: int) -> tuple[str, ...]:
        """SQL expressions of the values that a server of this version has, NULL last."""
        values = (*self.values, *(value for since, value in self.later if since <= version))
        typed = (f"{literal(value)}::{self.declaration}" for value in values)
        return (*typed, f"NULL::{self.declaration}")


@dataclass(frozen=True, slots=True)
class ArrayCase:
    """The arrays of a type: empty, with every value, with NULL, of two dimensions, and one whose
    indexes do not begin at 1."""

    element: TypeCase

    @property
    def sent_from(self) -> int:
        return self.element.sent_from

    @property
    def declaration(self) -> str:
        return f"{self.element.declaration}[]"

    def expressions(self, version: int) -> tuple[str, ...]:
        values, name = self.element.expressions(version), self.declaration
        first, second = values[0], values[1]
        return (
            f"'{{}}'::{name}",
            f"ARRAY[{', '.join(values)}]::{name}",
            f"ARRAY[ARRAY[{first}, {second}], ARRAY[{second}, NULL]]::{name}",
            f"('[-2:-1]=' || (ARRAY[{first}, {second}]::{name})::text)::{name}",
            f"NULL::{name}",
        )


LONG: Final = "0123456789 äöü€😀\\\t" * 6_000
"""Long enough to be stored apart and compressed."""

TEXTS: Final = (
    "",
    " ",
    "\\N",
    "\\.",
    "a\tb\nc\rd\\e\x08\x0b\x0c\x7f",
    "'\"`$1%s",
    "äöü €  😀",
    "NULL",
    LONG,
)

NUMBERS: Final = (
    TypeCase("boolean", ("t", "f")),
    TypeCase("smallint", ("-32768", "32767", "0")),
    TypeCase("integer", ("-2147483648", "2147483647", "0")),
    TypeCase("bigint", ("-9223372036854775808", "9223372036854775807", "0")),
    TypeCase("real", ("NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4028235e38", "0.1")),
    TypeCase(
        "double precision",
        ("NaN", "Infinity", "-Infinity", "-0", "5e-324", "1.7976931348623157e308", "0.1"),
    ),
    TypeCase(
        "numeric",
        ("NaN", "0", "-0.00", "1.10", "1e-16383", "9" * 5000 + "." + "1" * 5000, "1e131071"),
        later=((140000, "Infinity"), (140000, "-Infinity")),
    ),
    TypeCase("numeric(10,2)", ("NaN", "99999999.99", "-99999999.99", "0")),
    TypeCase("money", ("-92233720368547758.08", "92233720368547758.07", "0")),
    TypeCase("oid", ("0", "4294967295")),
    TypeCase("xid", ("0", "4294967295")),
    TypeCase("xid8", ("0", "18446744073709551615")),
    TypeCase("cid", ("0", "4294967295")),
    TypeCase("tid", ("(0,0)", "(4294967295,65535)")),
)

STRINGS: Final = (
    TypeCase("text", TEXTS),
    TypeCase("character varying", TEXTS),
    TypeCase("character varying(12)", ("", "äöü€😀  ", "\\.")),
    TypeCase("character(5)", ("", "a", "😀    ", "\\N")),
    TypeCase('"char"', ("a", "", " ", "\\"), later=((160000, "\\200"), (160000, "\\377"))),
    TypeCase("name", ("a", "x" * 63, "ä b'\"")),
    TypeCase("refcursor", ("c", "")),
    TypeCase("bytea", ("", "\\x00", "\\x00ff5c0a0d09", "\\x" + "00ff" * 50_000)),
    TypeCase("bit(5)", ("00000", "10101")),
    TypeCase("bit varying", ("", "1", "0" * 1001)),
    TypeCase("bit varying(9)", ("", "101010101")),
    TypeCase(
        "uuid", ("00000000-0000-0000-0000-000000000000", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")
    ),
    TypeCase(
        "xml",
        (
            "<a b='c'/>",
            "text <b/> more",
            "<?xml version='1.0'?><ä>€</ä>",
            "<?xml version='1.1'?><a/>",
        ),
        note="as printed: the server leaves out a declaration of version 1.0",
    ),
    TypeCase("json", ('{"a": 1,  "a": 2}', "[1e400, 0.10]", '"\\u00e4\\ud83d\\ude00"', "null")),
    TypeCase("jsonb", ('{"b": {"a": [null, true]}}', "[1e400, 0.10]", '"ä\\\\"', "null")),
    TypeCase("jsonpath", ('$."a"[*] ? (@ > 1)', "strict $.ä")),
    TypeCase("tsvector", ("", "a:1A,2 'it''s':3B '\\\\'", "ä b c")),
    TypeCase(
        "tsquery",
        ("", "a & !b | (c <-> d:*A)", "'it''s'"),
        note="the empty query is not taken back in binary form",
    ),
)

MOMENTS: Final = (
    TypeCase("date", ("infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "0001-12-31 BC")),
    TypeCase("time without time zone", ("00:00:00", "24:00:00", "23:59:59.999999")),
    TypeCase("time(3) without time zone", ("00:00:00.001", "24:00:00")),
    TypeCase("time with time zone", ("00:00:00+15:59:59", "24:00:00-15:59:59", "12:00:00.1+05:30")),
    TypeCase(
        "timestamp without time zone",
        (
            "infinity",
            "-infinity",
            "4713-01-01 00:00:00 BC",
            "294276-12-31 23:59:59.999999",
            "0001-12-31 23:59:59.5 BC",
        ),
    ),
    TypeCase("timestamp(0) without time zone", ("infinity", "2024-02-29 23:59:59")),
    TypeCase(
        "timestamp with time zone",
        (
            "infinity",
            "-infinity",
            "4713-01-01 00:00:00+00 BC",
            "294276-12-31 23:59:59.999999+00",
            "1883-11-18 12:03:58-04:56:02",
        ),
    ),
    TypeCase(
        "interval",
        (
            "0",
            "178000000 years",
            "-178000000 years",
            "1 mon -1 day +00:00:00.000001",
            "-00:00:01",
            "2147483647 days",
            "-1 year 2 mons -3 days 04:05:06",
        ),
        later=((170000, "infinity"), (170000, "-infinity")),
        text_before=170000,
        note="infinite ones (17+) are refused by older servers, into which it is loaded as text",
    ),
    TypeCase("interval day to second(2)", ("1 day 02:03:04.05", "-1 day"), text_before=170000),
)

SHAPES: Final = (
    TypeCase("point", ("(NaN,Infinity)", "(-0,1e-300)")),
    TypeCase("line", ("{1,-2,3.5}", "{0,1,Infinity}")),
    TypeCase("lseg", ("[(0,0),(1,1)]", "[(NaN,1),(2,Infinity)]")),
    TypeCase("box", ("(1,1),(0,0)", "(Infinity,2),(-Infinity,1)")),
    TypeCase("path", ("((0,0),(1,2))", "[(0,0),(1,2),(3,4)]")),
    TypeCase("polygon", ("((0,0),(1,1),(2,0))", "((1,1))")),
    TypeCase("circle", ("<(0,0),0>", "<(1,-1),Infinity>")),
)

NETWORK: Final = (
    TypeCase("inet", ("0.0.0.0/0", "192.168.0.1/24", "::1", "2001:db8::1/64", "::ffff:1.2.3.4")),
    TypeCase("cidr", ("0.0.0.0/0", "10.0.0.0/8", "2001:db8::/32")),
    TypeCase("macaddr", ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff")),
    TypeCase("macaddr8", ("00:00:00:00:00:00:00:00", "08:00:2b:ff:fe:01:02:03")),
)

INTERNAL: Final = (
    TypeCase("pg_lsn", ("0/0", "FFFFFFFF/FFFFFFFF")),
    TypeCase("pg_snapshot", ("1:1:", "10:20:10,14,15")),
    TypeCase("txid_snapshot", ("1:1:", "10:20:10,14,15")),
    TypeCase("int2vector", ("", "1 2 -3"), note="an empty one is not taken back in binary form"),
    TypeCase(
        "oidvector", ("", "1 2 4294967295"), note="an empty one is not taken back in binary form"
    ),
    TypeCase("aclitem", ("=r/postgres", "postgres=a*r*/postgres"), note="no binary form"),
)

NAMED: Final = tuple(
    TypeCase(name, (*values, "0"), setup=setup, note="by name: its number means another there")
    for name, values, setup in (
        ("regclass", ("pg_catalog.pg_class", 'public."Odd t"'), 'CREATE TABLE "Odd t" ()'),
        ("regcollation", ('pg_catalog."C"',), ""),
        ("regconfig", ("pg_catalog.simple", "pg_catalog.german"), ""),
        ("regdictionary", ("pg_catalog.simple",), ""),
        ("regnamespace", ("pg_catalog", "public"), ""),
        ("regoper", ("pg_catalog.|/",), ""),
        ("regoperator", ("pg_catalog.+(integer,integer)",), ""),
        ("regproc", ("pg_catalog.pi",), ""),
        ("regprocedure", ("pg_catalog.abs(integer)",), ""),
        ("regrole", ("postgres", "pg_monitor"), ""),
        ("regtype", ("integer", "timestamp with time zone[]", 'public."Odd t"'), ""),
    )
)

RANGES: Final = (
    TypeCase("int4range", ("empty", "(,)", "[-2147483648,5)", "[1,)")),
    TypeCase("int8range", ("empty", "(,)", "[1,9223372036854775807)")),
    TypeCase("numrange", ("empty", "[1.10,1.1]", "(-Infinity,NaN)"), since=140000),
    TypeCase("daterange", ("empty", "[-infinity,infinity)", "[2024-01-01,)")),
    TypeCase("tsrange", ('["4713-01-01 00:00:00 BC",infinity]', "(,)")),
    TypeCase("tstzrange", ('["2024-01-01 00:00:00+00","2024-01-02 00:00:00+05:30")', "empty")),
)

MULTIRANGES: Final = tuple(
    TypeCase(name, ("{}", *values), since=140000)
    for name, values in (
        ("int4multirange", ("{[1,3),[5,)}",)),
        ("int8multirange", ("{(,1),[5,7)}",)),
        ("nummultirange", ("{[1.10,1.1],(2,NaN)}",)),
        ("datemultirange", ("{[-infinity,2024-01-01),[2024-02-01,infinity]}",)),
        ("tsmultirange", ("{(,)}",)),
        ("tstzmultirange", ('{["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00")}',)),
    )
)

MODERN: Final = (
    TypeCase("numeric(5,-2)", ("1234500", "-100"), since=150000, array=False),
    TypeCase("numeric(3,5)", ("0.00999", "-0.00001"), since=150000, array=False),
)

USER: Final = (
    TypeCase(
        'public."Mood"',
        ("ok", "it's", "back\\slash", "ä 😀"),
        kind="enum",
        setup="""CREATE TYPE "Mood" AS ENUM ('ok', 'it''s', E'back\\\\slash', 'ä 😀')""",
    ),
    TypeCase(
        "public.percent",
        ("0", "100", "33.3"),
        kind="domain",
        setup="CREATE DOMAIN percent AS numeric(5,2) CHECK (VALUE BETWEEN 0 AND 100)",
    ),
    TypeCase(
        "public.tags",
        ("{}", '{a,"b c",NULL}'),
        kind="domain",
        setup="CREATE DOMAIN tags AS text[] CHECK (array_length(VALUE, 1) < 9)",
        note="a domain over an array",
    ),
    TypeCase(
        "public.pair",
        ("(,)", '(1,"a ""b\\\\, c")', '(-1,"")'),
        kind="composite",
        setup="CREATE TYPE pair AS (n int, t text)",
    ),
    TypeCase("public.nothing", ("()",), kind="composite", setup="CREATE TYPE nothing AS ()"),
    TypeCase(
        "public.search",
        ("", "a & b"),
        kind="domain",
        setup="CREATE DOMAIN search AS tsquery CHECK (numnode(VALUE) < 9)",
    ),
    TypeCase(
        "public.table_name",
        ("pg_catalog.pg_class", "0"),
        kind="domain",
        setup="CREATE DOMAIN table_name AS regclass",
    ),
    TypeCase(
        "public.empties",
        ('("",{},empty,"",)', '(a,"{NULL}","(,)","1 2",{})'),
        kind="composite",
        setup="CREATE TYPE empties AS (q tsquery, a text[], r int4range, v int2vector, c text[])",
        note="a composite of what may be empty",
    ),
    TypeCase(
        "public.nested",
        ('("(1,x)","{""(2,y)"",NULL}",1.5)', "(,,)"),
        kind="composite",
        setup="CREATE TYPE inner_pair AS (n int, t text);"
        "CREATE DOMAIN inner_number AS numeric CHECK (VALUE > 0);"
        "CREATE TYPE nested AS (one inner_pair, many inner_pair[], number inner_number)",
        note="a composite in a composite, with arrays and a domain",
    ),
    TypeCase(
        "public.holder",
        ('(pg_catalog.pg_class,"{integer,text}")', "(,)"),
        kind="composite",
        setup="CREATE TYPE holder AS (c regclass, t regtype[])",
        note="by name: a part's number means another there",
    ),
    TypeCase(
        "public.span",
        ("empty", "[0.1,Infinity]", "(,)"),
        kind="range",
        setup="CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi)",
    ),
    TypeCase(
        "public.stretches",
        ("{}", "{[0.5,1),(2,)}"),
        kind="multirange",
        setup="CREATE TYPE stretch AS RANGE (SUBTYPE = float8, MULTIRANGE_TYPE_NAME = stretches)",
        since=140000,
    ),
    TypeCase("public.hstore", ('"a"=>"1", "b c"=>NULL', ""), kind="extension", extension="hstore"),
    TypeCase("public.citext", ("Ä b", "", "\\N"), kind="extension", extension="citext"),
    TypeCase("public.ltree", ("", "a.b_1.C"), kind="extension", extension="ltree"),
    TypeCase("public.lquery", ("*", "a.*{1,2}.!b@*"), kind="extension", extension="ltree"),
    TypeCase("public.ltxtquery", ("a & !b*",), kind="extension", extension="ltree"),
    TypeCase(
        "public.cube",
        ("(1),(2)", "(0,1),(2,3)"),
        kind="extension",
        extension="cube",
        sent_from=140000,
        note="no binary form before 14",
    ),
    TypeCase("public.seg", ("1.5", "1.0 .. 2.00", "<3"), kind="extension", extension="seg"),
    TypeCase(
        "public.isbn",
        ("978-0-393-04002-9", "0-306-40615-2"),
        kind="extension",
        extension="isn",
        note="no binary form",
    ),
)

CASES: Final[tuple[TypeCase, ...]] = (
    *NUMBERS, *STRINGS, *MOMENTS, *SHAPES, *NETWORK, *RANGES, *MULTIRANGES, *MODERN, *INTERNAL,
    *NAMED, *USER,
)  # fmt: skip

ARRAYS: Final[tuple[ArrayCase, ...]] = tuple(ArrayCase(case) for case in CASES if case.array)

Case: TypeAlias = TypeCase | ArrayCase

EVERY_CASE: Final[tuple[Case, ...]] = (*CASES, *ARRAYS)

UNUSABLE: Final = frozenset(
    {
        "gtsvector",
        "pg_brin_bloom_summary",
        "pg_brin_minmax_multi_summary",
        "pg_dependencies",
        "pg_mcv_list",
        "pg_ndistinct",
        "pg_node_tree",
    }
)
"""Base types whose input function refuses every text: no column of a user's holds one."""
