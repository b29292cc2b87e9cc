"""What PostgreSQL makes of the interchange form: the same value."""

from typing import Final

import psycopg
import pytest
from psycopg import pq

from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import interchange, parse_type
from connectors.mysql.values import row_converter
from engine.config.endpoint import ZeroDate
from tests.servers.postgres import Cluster

UUID: Final = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

VALUES: Final = [
    ("tinyint(1)", "-128", "smallint", "-128"),
    ("tinyint unsigned", "255", "smallint", "255"),
    ("smallint unsigned", "65535", "integer", "65535"),
    ("mediumint", "-8388608", "integer", "-8388608"),
    ("int unsigned", "4294967295", "bigint", "4294967295"),
    ("bigint", "-9223372036854775808", "bigint", "-9223372036854775808"),
    ("bigint unsigned", "18446744073709551615", "numeric(20,0)", "18446744073709551615"),
    ("int(5) unsigned zerofill", "00042", "bigint", "42"),
    ("decimal(65,30)", f"-{'9' * 35}.{'9' * 30}", "numeric(65,30)", f"-{'9' * 35}.{'9' * 30}"),
    ("decimal(10,2)", "0.00", "numeric(10,2)", "0.00"),
    ("decimal(10,2)", "-100.50", "numeric(10,2)", "-100.50"),
    ("decimal(20,8)", "10000.00000001", "numeric(20,8)", "10000.00000001"),
    ("decimal(9,9)", "0.000000001", "numeric(9,9)", "0.000000001"),
    ("float", "16777216", "real", "1.6777216e+07"),
    ("float", "0.10000000149011612", "real", "0.1"),
    ("double", "5e-324", "double precision", "5e-324"),
    ("bit(10)", "\x02\x01", "bit(10)", "1000000001"),
    ("bit(64)", "\x80" + "\0" * 6 + "\x01", "bit(64)", "1" + "0" * 62 + "1"),
    ("year", "2155", "smallint", "2155"),
    ("date", "9999-12-31", "date", "9999-12-31"),
    ("date", "0000-12-31", "date", "0001-12-31 BC"),
    ("date", "0000-02-28", "date", "0001-02-28 BC"),
    ("date", "0001-01-01", "date", "0001-01-01"),
    ("datetime(6)", "2024-02-29 23:59:59.000001", "timestamp(6) without time zone",
     "2024-02-29 23:59:59.000001"),
    ("datetime", "1000-01-01 00:00:00", "timestamp(0) without time zone", "1000-01-01 00:00:00"),
    ("timestamp(3)", "2038-01-19 03:14:07.125", "timestamp(3) with time zone",
     "2038-01-19 03:14:07.125+00"),
    ("time(6)", "-838:59:58.999999", "interval(6)", "-838:59:58.999999"),
    ("time", "838:59:59", "interval(0)", "838:59:59"),
    ("varchar(20)", "x é", "character varying(20)", "x é"),
    ("char(0)", "", "character varying(1)", ""),
    ("enum('a','bcd')", "bcd", "character varying(3)", "bcd"),
    ("set('a','bcd')", "a,bcd", "character varying(5)", "a,bcd"),
    ("longtext", "t", "text", "t"),
    ("json", '{"a": 1}', "json", '{"a": 1}'),
    ("varbinary(9)", "\x00\xff", "bytea", "\\x00ff"),
    ("uuid", UUID, "uuid", UUID),
    ("inet4", "1.2.3.4", "inet", "1.2.3.4"),
    ("inet6", "2001:db8::1", "inet", "2001:db8::1"),
]  # fmt: skip
"""A type, the native form of a value, PostgreSQL's type, its text."""

BYTES: Final = ("bit", "varbinary")


@pytest.mark.parametrize(("declared", "native", "name", "text"), VALUES)
def test_a_value_and_its_type(
    postgres15: Cluster, declared: str, native: str, name: str, text: str
) -> None:
    type_ = parse_type(declared, None, None)
    found = interchange(type_)
    assert found.name == name
    raw = native.encode("latin1" if declared.startswith(BYTES) else "utf-8")
    convert = row_converter([type_], ZeroDates(), "t")
    (value,) = convert([raw])
    assert isinstance(value, bytes)
    with psycopg.connect(postgres15.dsn()) as connection:
        pgconn = connection.pgconn
        pgconn.exec_(b"SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'")
        shown = pgconn.exec_params(
            b"SELECT format('%s', $1)",
            [value],
            param_types=[found.oid],
            param_formats=[pq.Format.BINARY],
        )
        assert not shown.error_message
        assert shown.get_value(0, 0) == text.encode()
        told = pgconn.exec_params(
            b"SELECT format_type($1::oid, $2::int)",
            [str(found.oid).encode(), str(found.modifier).encode()],
        )
        assert told.get_value(0, 0) == name.encode()


@pytest.mark.parametrize(
    ("declared", "native", "earliest"),
    [
        ("date", "0000-00-00", "0001-01-01"),
        ("date", "2024-00-05", "0001-01-01"),
        ("datetime(3)", "2024-05-00 10:00:00.000", "0001-01-01 00:00:00"),
        ("timestamp", "0000-00-00 00:00:00", "0001-01-01 00:00:00+00"),
        ("date", "2023-02-31", "0001-01-01"),
        ("date", "0000-02-29", "0001-01-01"),
    ],
)
def test_the_earliest_date_for_one_that_is_none(
    postgres15: Cluster, declared: str, native: str, earliest: str
) -> None:
    type_ = parse_type(declared, None, None)
    zero = ZeroDates(ZeroDate.EARLIEST)
    (value,) = row_converter([type_], zero, "t")([native.encode()])
    assert isinstance(value, bytes)
    assert zero.met == 1
    with psycopg.connect(postgres15.dsn()) as connection:
        connection.pgconn.exec_(b"SET TimeZone = 'UTC'")
        shown = connection.pgconn.exec_params(
            b"SELECT format('%s', $1)",
            [value],
            param_types=[interchange(type_).oid],
            param_formats=[pq.Format.BINARY],
        )
        assert shown.get_value(0, 0) == earliest.encode()
