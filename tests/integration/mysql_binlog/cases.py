"""Types and values at their boundaries, as SQL."""

from dataclasses import dataclass
from typing import Final

ALL: Final = ("mariadb", "mysql")


@dataclass(frozen=True)
class Case:
    """A column's declaration and literals for it. `servers`: those that have the type."""

    declared: str
    values: tuple[str, ...]
    servers: tuple[str, ...] = ALL


def case(declared: str, *values: object, servers: tuple[str, ...] = ALL) -> Case:
    return Case(declared, ("NULL", *[str(value) for value in values]), servers)


MARIADB: Final = ("mariadb",)
MYSQL: Final = ("mysql",)


def integers(name: str, bits: int) -> list[Case]:
    half = 1 << (bits - 1)
    return [
        case(name, -half, -1, 0, 1, half - 1),
        case(f"{name} unsigned", 0, 1, half - 1, half, 2 * half - 1),
        case(f"{name}(3) zerofill", 0, 7, 42, 2 * half - 1),
    ]


def decimals() -> list[Case]:
    found = []
    for precision, scale in [(1, 0), (5, 2), (9, 9), (10, 0), (18, 9), (19, 10), (20, 4), (38, 30),
                             (65, 30), (65, 0), (30, 30), (4, 3), (12, 11)]:  # fmt: skip
        whole = "9" * (precision - scale) or "0"
        top = f"{whole}.{'9' * scale}" if scale else whole
        small = f"0.{'0' * (scale - 1)}1" if scale else "1"
        found.append(
            case(f"decimal({precision},{scale})", top, f"-{top}", small, f"-{small}", 0, "-0.0")
        )
    found.append(case("decimal(8,2) zerofill", "1.5", 0, "999999.99"))
    return found


DAY: Final = "2024-02-29"
TIMES: Final = ("'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'", "'23:59:59'",
                "'100:00:00'")  # fmt: skip
FRACTIONS: Final = ("'-838:59:58.999999'", "'838:59:58.999999'", "'-00:00:00.5'",
                    "'00:00:00.000001'", "'-00:00:00.000001'", "'12:34:56.789012'",
                    "'-01:00:00.25'")  # fmt: skip
ZEROS: Final = ("'0000-00-00'", "'2024-00-00'", "'2024-05-00'", "'0000-00-05'")


def times() -> list[Case]:
    found = [
        case("date", "'0001-01-01'", "'1000-01-01'", "'9999-12-31'", f"'{DAY}'", "'0000-01-01'",
             "'0000-12-31'", *ZEROS, "'2023-02-31'"),
        case("year", 0, 1901, 2155, 2000, "'0000'"),
        case("time", *TIMES),
    ]  # fmt: skip
    for digits in range(7):
        found += [
            case(f"datetime({digits})", f"'{DAY} 23:59:59.999999'", "'9999-12-31 23:59:58.000001'",
                 "'0001-01-01 00:00:00'", "'0000-00-00 00:00:00'", "'2024-00-00 10:11:12.123456'",
                 "'1970-01-01 00:00:00'", "'1969-12-31 23:59:59.5'"),
            case(f"timestamp({digits}) null", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:06.25'",
                 f"'{DAY} 23:59:58.123456'", "'0000-00-00 00:00:00'"),
            case(f"time({digits})", *FRACTIONS),
        ]  # fmt: skip
    return found


def texts() -> list[Case]:
    found = [
        case("char(5)", "''", "'a'", "'ab   '", "'  x'", "'€ñ試'", "'😀'"),
        case("varchar(20)", "''", "'a  '", "'€ñ試😀'", "REPEAT('x', 20)"),
        case("varchar(300)", "''", "REPEAT('y', 255)", "REPEAT('z', 300)", "REPEAT('é', 300)"),
        case("char(255)", "''", "REPEAT('é', 255)", "REPEAT('a', 200)"),
        case("tinytext", "''", "REPEAT('a', 255)"),
        case("text", "''", "REPEAT('b', 300)", "REPEAT('c', 65535)", "CHAR(0)"),
        case("mediumtext", "REPEAT('b', 70000)"),
        case("longtext", "REPEAT('b', 1000)", "'x'"),
        case("binary(4)", "''", "0x00", "0x0000", "0x41", "0x410000", "0xFF00FF00", "0x20202020"),
        case("binary(255)", "REPEAT(0x41, 255)", "REPEAT(0x00, 255)"),
        case("varbinary(300)", "''", "0x00", "REPEAT(0xFF, 300)"),
        case("tinyblob", "''", "0x00FF"),
        case("blob", "REPEAT(0x00, 300)"),
        case("mediumblob", "REPEAT(0xAB, 70000)"),
        case("longblob", "0x27", "REPEAT(0xCD, 100000)"),
        case("varchar(30) character set binary", "0xFFFE"),
        case("enum('a','b''c','d\\\\e','f\"g','','é','h,i')", "'a'", "'b''c'", "'d\\\\e'", "'é'",
             "'h,i'", "0", "5"),
        case(f"enum({','.join(repr(f'v{i}') for i in range(300))})", "'v0'", "'v254'", "'v255'",
             "'v299'"),
        case("set('x','y z','q\\\\','')", "''", "'x'", "'x,y z'", "'q\\\\'", "15"),
        case(f"set({','.join(repr(f's{i}') for i in range(64))})", "'s0,s63'", "'s31,s32'",
             18446744073709551615),
        case("bit(1)", "b'0'", "b'1'"),
        case("bit(10)", "b'0'", "b'1000000001'", "b'1111111111'"),
        case("bit(64)", "0", "18446744073709551615", "9223372036854775808"),
    ]  # fmt: skip
    for charset, text in CHARSETS.items():
        maker = f"CONVERT('{text}' USING {charset})"
        servers = MYSQL if charset == "gb18030" else ALL
        found += [
            case(f"varchar(40) character set {charset}", maker, "''", "'plain'", servers=servers),
            case(f"text character set {charset}", maker, servers=servers),
            case(f"char(60) character set {charset}", maker, servers=servers),
        ]
    found.append(case("enum('é','ö') character set latin1", "'é'", "'ö'"))
    found.append(case("set('試','験') character set sjis", "'試,験'"))
    return found


CHARSETS: Final = {
    "latin1": "éñ€ÿ", "latin2": "Łódź", "utf8mb3": "試é", "utf8mb4": "😀試é", "utf16": "😀試é",
    "utf16le": "😀試é", "utf32": "😀試é", "ucs2": "試é", "gbk": "試汉字é", "gb2312": "汉字",
    "gb18030": "😀試汉字", "sjis": "試験ソ表", "cp932": "試験①ソ", "ujis": "試験", "euckr": "한글",
    "big5": "繁體字", "cp1250": "Łódź", "cp1251": "Привет", "cp1256": "مرحبا", "cp1257": "Ąžuolas",
    "koi8r": "Привет", "koi8u": "Привіт", "greek": "Ελλάδα", "hebrew": "שלום", "tis620": "สวัสดี",
    "ascii": "plain", "cp850": "éñ", "cp852": "Łódź", "cp866": "Привет", "latin5": "ğış",
    "latin7": "Ąžuolas", "macroman": "éñ", "macce": "Łódź", "armscii8": "Բարև",
    "geostd8": "გამარჯობა",
    "dec8": "éñ", "hp8": "éñ", "keybcs2": "žluť", "swe7": "ÅÄÖ",
}  # fmt: skip

JSON: Final = (
    "'null'", "'true'", "'[]'", "'{}'", "'0'", "'-1'", "'65535'", "'-32769'", "'2147483648'",
    "'18446744073709551615'", "'1.0'", "'1e100'", "'0.1'", "'-0.0'", "'1e15'",
    "'123456789012345678'",
    "'\"text\"'", r"""'"q\\"\\\\ \\u0001 \\n \\/ é 😀"'""",
    "'[1, [2, {\"a\": [true, null]}], \"x\"]'", "'{\"b\": 1, \"aa\": 2, \"é\": {\"\": []}}'",
    "CAST(CAST('2015-01-15 23:24:25.12' AS DATETIME(2)) AS JSON)",
    "CAST(CAST('2015-01-15' AS DATE) AS JSON)", "CAST(CAST('-23:24:25.5' AS TIME(1)) AS JSON)",
    "CAST(CAST('123.4500' AS DECIMAL(20,4)) AS JSON)", "CAST(x'cafe00' AS JSON)",
    "CAST(CAST(-5 AS UNSIGNED) AS JSON)", "JSON_OBJECT('k', CAST(b'101' AS UNSIGNED))",
    "JSON_ARRAY(CAST('99999999999999999999.999' AS DECIMAL(23,3)), NOW(6) - NOW(6))",
    "CONCAT('[', REPEAT('1,', 40000), '2]')", "CONCAT('{\"k\": \"', REPEAT('x', 70000), '\"}')",
    "JSON_ARRAY(REPEAT('a', 127), REPEAT('b', 128), REPEAT('c', 16384))",
    "CONCAT('[', REPEAT('2147483647,', 20000), '-1.5, true, 70000, 5000000000]')",
)  # fmt: skip


def cases() -> list[Case]:
    found = [c for name, bits in (("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32),
                                  ("bigint", 64)) for c in integers(name, bits)]  # fmt: skip
    found += decimals() + times() + texts()
    found += [
        case("float", 0, 1, "-1.5", "3.4028234e38", "1.17549435e-38", "1e-45", "16777217", "0.1"),
        case("float(7,3)", "0.1", "1234.5678"),
        case("double", 0, "0.1", "1.7976931348623157e308", "5e-324", "-2.5e-10", "1e15", "1e16",
             "123456789012345678"),
        case("double(12,4)", "1.00005", "-3.14159"),
        case("double zerofill", "3.5"),
        case("geometry", "ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('LINESTRING(0 0,1 1)')"),
        case("point", "ST_GeomFromText('POINT(1.5 -2)', 0)"),
        case("geometry", "ST_GeomFromText('POINT(1 2)', 4326)", servers=MYSQL),
        case("geometrycollection",
             "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')"),
        case("json", *JSON, servers=MYSQL),
        case("json", "'{\"b\":1, \"a\": [1,2]}'", "'1.0'", servers=MARIADB),
        case("uuid", "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'",
             "'01890a5d-ac96-774b-bcce-b302099a8057'",
             "'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffff00'",
             servers=MARIADB),
        case("inet4", "'1.2.3.4'", "'0.0.0.0'", "'255.255.255.0'", servers=MARIADB),
        case("inet6", "'::1'", "'::'", "'2001:db8::'", "'::ffff:1.2.3.4'", "'::1.2.3.4'",
             "'1:0:2::'",
             servers=MARIADB),
        case("text compressed", "''", "'short'", "REPEAT('ab', 5000)", servers=MARIADB),
        case("varchar(500) compressed character set latin1", "REPEAT('é', 500)", "'é'",
             servers=MARIADB),
        case("varbinary(400) compressed", "REPEAT(0x00, 400)", servers=MARIADB),
    ]  # fmt: skip
    return found


VECTORS: Final = {
    "mysql-9": case("vector(3)", "TO_VECTOR('[1,2,3.5]')"),
    "mariadb-11.8": case("vector(3)", "VEC_FromText('[1,2,3.5]')"),
}
"""Types that only some releases have."""
