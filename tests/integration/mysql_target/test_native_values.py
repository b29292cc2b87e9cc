"""Every type of the native form, at its boundaries: what stands in one table arrives in another."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import pytest

from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE
from engine.model.value import Row, Value
from tests.integration.mysql_target.conftest import Rig

VALUES: Final = {
    "tinyint": ("-128", "127"),
    "tinyint unsigned": ("0", "255"),
    "smallint": ("-32768", "32767"),
    "mediumint": ("-8388608", "8388607"),
    "int": ("-2147483648", "2147483647"),
    "bigint": ("-9223372036854775808", "9223372036854775807"),
    "bigint unsigned": ("0", "18446744073709551615"),
    "decimal(65,30)": ("-" + "9" * 35 + "." + "9" * 30, "0." + "0" * 29 + "1"),
    "float": ("0.1", "-3.4028234663852886e38", "1.1754943508222875e-38"),
    "double": ("1e-300", "-1.7976931348623157e308", "0.1"),
    "bit(1)": ("b'0'", "b'1'"),
    "bit(64)": ("b'" + "1" * 64 + "'", "b'0'", "b'00111001'"),
    "year": ("1901", "2155", "0"),
    "date": ("'0000-00-00'", "'9999-12-31'", "'2020-02-00'", "'2021-02-31'"),
    "datetime(6)": ("'0000-00-00 00:00:00'", "'9999-12-31 23:59:59.999999'"),
    "timestamp(6)": ("'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999999'"),
    "time(6)": ("'-838:59:59'", "'838:59:59'", "'00:00:00.000001'"),
    "char(10) character set latin1": ("'é'", "''", "'it''s'"),
    "varchar(50) character set utf8mb4": (
        "'\U0001f600 \\'", "''", "'a\tb\nc\rd'", "'trailing  '", r"'\N'", "'x\0y\x1a'",
    ),
    "varchar(50) character set utf16": ("'\U0001f600 é'", "'a\tb\nc'"),
    "varchar(50) character set gbk": ("'中文\\'", "'\u5e97'"),
    "varchar(50) character set sjis": ("'表\\'", "'ソ'"),
    "text character set latin1": ("'é'", "'a\tb\\\n'"),
    "longtext character set utf8mb4": ("REPEAT('x', 100000)", "''"),
    "enum('a','it''s','1') character set utf8mb4": ("'a'", "'it''s'", "'1'"),
    "set('a','b','c') character set latin1": ("''", "'a,c'"),
    "binary(4)": ("x'00ff0a09'", "x'5c5c2700'"),
    "varbinary(300)": ("x''", "x'00ff27225c0a0d1a09'", "x'e280'"),
    "longblob": ("REPEAT(x'00ff5c0a', 50000)", "x''"),
    "json": ("'{\"a\": [1, \"\\u00e9 \\n \\\\ it''s\"]}'", "'[]'"),
    "geometry": ("ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('LINESTRING(0 0,1 1)')"),
}  # fmt: skip

READ: Final = {"float": "v + 0e0"}
"""What gives the native form where the column itself does not."""

SAME: Final = {"geometry": "HEX(s.v) <=> HEX(d.v)"}

NO_KEY: Final = ("json", "geometry", "longblob", "longtext", "text")
ALIKE: Final = ("json", "geometry")
"""Types in which a row is not found by its image on one server: equal, but not the same."""


def _make(rig: Rig, type_: str) -> None:
    """Tables `s` with the type's values and `d` without any."""
    lines = ", ".join([f"({n}, {v})" for n, v in enumerate((*VALUES[type_], "NULL"))])
    rig.execute(
        "DROP TABLE IF EXISTS s, d, k; SET time_zone = '+00:00',"
        " sql_mode = 'ALLOW_INVALID_DATES,NO_BACKSLASH_ESCAPES';"
        f"CREATE TABLE s (id int PRIMARY KEY, v {type_} NULL); CREATE TABLE d LIKE s;"
        f"INSERT INTO s VALUES {lines}"
    )
    rig.session.forget()


async def _rows(rig: Rig, type_: str) -> list[Row]:
    value = READ.get(type_, "v")
    return await rig.wire(f"SELECT id, {value} FROM {rig.database.name}.s ORDER BY id")


def _different(rig: Rig, type_: str, count: int) -> list[object]:
    same = SAME.get(type_, "CAST(s.v AS BINARY) <=> CAST(d.v AS BINARY)")
    found = rig.execute(f"SELECT s.id, s.v, d.v FROM s LEFT JOIN d USING (id) WHERE NOT ({same})")
    assert rig.execute("SELECT COUNT(*) FROM d") == [(count,)]
    return list(found)


LOADED_FROM: Final = "connectors.mysql.target_rows.LOAD_ROWS_MIN"
"""Set to 1, every set of rows goes by LOAD DATA; as it is, none of these does."""


@pytest.mark.parametrize("loaded", [True, False])
async def test_inserted(rig: Rig, loaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if loaded:
        monkeypatch.setattr(LOADED_FROM, 1)
    for type_ in VALUES:
        _make(rig, type_)
        values = await _rows(rig, type_)
        await rig.apply(Run(INSERT, await rig.relation("d"), values, net=True))
        assert _different(rig, type_, len(values)) == [], type_


@pytest.mark.parametrize("from_memory", [True, False])
async def test_loaded(rig: Rig, from_memory: bool) -> None:
    assert rig.session.loads
    rig.session.loads = from_memory
    for type_ in VALUES:
        _make(rig, type_)
        values = await _rows(rig, type_)
        await rig.load(await rig.relation("d"), _native_text(values))
        assert _different(rig, type_, len(values)) == [], type_


@pytest.mark.parametrize(("net", "loaded"), [(True, True), (True, False), (False, False)])
async def test_updated(rig: Rig, net: bool, loaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if loaded:
        monkeypatch.setattr(LOADED_FROM, 1)
    for type_ in VALUES:
        _make(rig, type_)
        values = await _rows(rig, type_)
        relation = await rig.relation("d")
        many: list[Row] = [(b"%d" % n, values[n % len(values)][1]) for n in range(20)]
        await rig.apply(Run(INSERT, relation, [(key, None) for key, _ in many], net=True))
        await rig.apply(Run(UPDATE, relation, many, (0, 1), net=net))
        rig.execute(f"DELETE FROM d WHERE id >= {len(values)}")
        assert _different(rig, type_, len(values)) == [], type_


async def test_found_by_its_whole_image(rig: Rig) -> None:
    """Two of each: every deletion takes exactly one."""
    for type_ in VALUES:
        if type_ in ALIKE:
            continue
        _make(rig, type_)
        values = await _rows(rig, type_)
        rig.execute("ALTER TABLE d DROP PRIMARY KEY")
        relation = replace(await rig.relation("d"), key=())
        await rig.apply(Run(INSERT, relation, values + values, net=True))
        await rig.apply(Run(DELETE, relation, values))
        assert _different(rig, type_, len(values)) == [], type_


async def test_found_as_a_key(rig: Rig) -> None:
    for type_ in VALUES:
        if type_.startswith(NO_KEY):
            continue
        _make(rig, type_)
        rig.execute(f"CREATE TABLE k (v {type_} NOT NULL PRIMARY KEY, n int)")
        keys = [value for _, value in await _rows(rig, type_) if value is not None]
        relation = await rig.relation("k")
        await rig.apply(Run(INSERT, relation, [(key, b"1") for key in keys], net=True))
        await rig.apply(Run(UPDATE, relation, [(key, b"2") for key in keys], (0, 1)))
        assert rig.execute("SELECT DISTINCT n FROM k") == [(2,)], type_
        await rig.apply(Run(DELETE, relation, [(key, b"3") for key in keys]))
        assert rig.execute("SELECT COUNT(*) FROM k") == [(0,)], type_


@pytest.mark.parametrize(("wide", "loaded"), [(True, True), (False, False)])
async def test_found_as_a_key_in_sets(
    rig: Rig, wide: bool, loaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if loaded:
        monkeypatch.setattr(LOADED_FROM, 1)
    monkeypatch.setattr("connectors.mysql.target_rows.SINGLES_ROWS_MAX", 0)
    for type_ in VALUES:
        if type_.startswith(NO_KEY):
            continue
        _make(rig, type_)
        key_columns = "v, w" if wide else "v"
        rig.execute(
            f"CREATE TABLE k (v {type_} NOT NULL, w int, n int, PRIMARY KEY ({key_columns}))"
        )
        keys = [value for _, value in await _rows(rig, type_) if value is not None]
        relation = await rig.relation("k")
        await rig.apply(Run(INSERT, relation, _rows_of(keys), net=True))
        many: list[Row] = [(key, b"0", b"2") for key in keys]
        await rig.apply(Run(UPDATE, relation, many, (0, 1, 2), net=True))
        assert rig.execute("SELECT DISTINCT n FROM k") == [(2,)], type_
        await rig.apply(Run(DELETE, relation, many, net=True))
        assert rig.execute("SELECT COUNT(*) FROM k") == [(0,)], type_


def _rows_of(keys: Sequence[Value]) -> list[Row]:
    return [(key, b"0", b"1") for key in keys]


_ESCAPES: Final = {b"\\": rb"\\", b"\t": rb"\t", b"\n": rb"\n", b"\r": rb"\r", b"\0": rb"\0"}


def _native_text(values: Sequence[Row]) -> Iterator[bytes]:
    for each in values:
        yield b"\t".join(map(_field, each)) + b"\n"


def _field(value: object) -> bytes:
    if value is None:
        return rb"\N"
    assert isinstance(value, bytes)
    return b"".join([_ESCAPES.get(bytes([byte]), bytes([byte])) for byte in value])
