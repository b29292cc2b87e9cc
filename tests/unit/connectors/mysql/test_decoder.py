import struct
import zlib
from typing import Final

import pytest
import zstandard

from connectors.mysql.binlog import codes
from connectors.mysql.binlog.decoder import EventDecoder
from connectors.mysql.binlog.events import (
    Event,
    FormatDescription,
    GtidList,
    Header,
    Heartbeat,
    Ignored,
    MariaGtidEvent,
    MysqlGtid,
    PreviousGtids,
    Query,
    Rotate,
    RowsEvent,
    RowsQuery,
    Statement,
    Stop,
    TransactionPayload,
    XaId,
    XaPrepare,
    Xid,
)
from connectors.mysql.binlog.table_map import (
    BLOB,
    ENUM,
    GEOMETRY,
    JSON,
    LONG,
    LONGLONG,
    NEWDECIMAL,
    STRING,
    VARCHAR,
    VECTOR,
    TableMap,
)
from connectors.mysql.gtid import Gtid, GtidSet
from connectors.mysql.maria_gtid import MariaGtid
from engine.errors import DecodeError
from engine.model.change import DELETE, INSERT, UPDATE
from tests.unit.connectors.mysql.binlog_bytes import (
    END,
    MARIA,
    event,
    format_description,
    optional,
    packed,
    packed_bytes,
    query,
    rotate,
    rows,
    table_map,
)

A: Final = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
UUID: Final = bytes.fromhex(A.replace("-", ""))


def decoder(*, checksums: bool = True, old_tables: bool = False) -> EventDecoder:
    made = EventDecoder()
    made.decode(rotate())
    made.decode(format_description(checksums=checksums, old_tables=old_tables))
    return made


def decode(code: int, body: bytes = b"", flags: int = 0) -> Event:
    return decoder().decode(event(code, body, flags=flags))[1]


# --- the frame ------------------------------------------------------------------------------------


def test_a_header_and_where_it_begins() -> None:
    data = event(codes.XID, struct.pack("<Q", 99), server=12, flags=8)
    header, found = decoder().decode(b"\0" + data, 1)
    assert header == Header(1_700_000_000, codes.XID, 12, len(data), END, 8)
    assert found == Xid(99)


@pytest.mark.parametrize("in_use", [False, True])
@pytest.mark.parametrize("checksums", [False, True])
def test_a_file_tells_its_format_first(in_use: bool, checksums: bool) -> None:
    made = EventDecoder()
    _, found = made.decode(format_description(MARIA, checksums=checksums, in_use=in_use))
    assert isinstance(found, FormatDescription)
    assert (found.server_version, found.maria, found.checksums) == (MARIA, True, checksums)
    assert made.decode(event(codes.STOP, checksum=checksums))[1] == Stop()


def test_before_the_format_is_known_nothing_else_is_read() -> None:
    with pytest.raises(DecodeError, match="tells the format"):
        EventDecoder().decode(event(codes.STOP))


@pytest.mark.parametrize("checksum", [False, True])
def test_the_first_rotation_may_have_a_checksum_or_not(checksum: bool) -> None:
    made = EventDecoder()
    found = made.decode(rotate("mysql-bin.000123", 157, checksum=checksum))[1]
    assert found == Rotate("mysql-bin.000123", 157, artificial=True)
    assert made.file == "mysql-bin.000123"


def test_a_rotation_that_ends_a_file() -> None:
    assert decoder().decode(rotate(end=900))[1] == Rotate("binlog.000002", 4, artificial=False)


@pytest.mark.parametrize(
    "data",
    [
        event(codes.XID, struct.pack("<Q", 99)),
        event(codes.QUERY, query(b"BEGIN")),
        event(codes.TABLE_MAP, table_map([LONG])),
        event(codes.STOP),
        rotate(end=900),
        rotate(),
        format_description(),
    ],
)
def test_one_bit_that_is_wrong_is_seen(data: bytes) -> None:
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        in_use = data[4] == codes.FORMAT_DESCRIPTION and bit == 8 * 17
        if in_use or (data[:19] == rotate()[:19] and bit >> 3 in (17, 18)):
            continue  # the flag is no part of the checksum
        with pytest.raises(DecodeError):
            decoder().decode(bytes(damaged))


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 18, event(codes.STOP)[:-1], event(codes.STOP) + b"x"]
)
def test_a_frame_of_another_length_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"header|as long"):
        decoder().decode(data)


def test_without_checksums_none_is_cut_off() -> None:
    made = decoder(checksums=False)
    assert made.decode(event(codes.XID, struct.pack("<Q", 5), checksum=False))[1] == Xid(5)


def test_an_error_names_the_event_and_its_place() -> None:
    with pytest.raises(DecodeError, match=r"XID event that ends at binlog\.000002:4711 malformed"):
        decode(codes.XID, b"123")


# --- what must never be passed over ---------------------------------------------------------------


def test_lost_changes_stop_the_reader() -> None:
    with pytest.raises(DecodeError, match="lost") as caught:
        decode(codes.INCIDENT, struct.pack("<HB", 1, 0))
    assert "load the tables again" in str(caught.value)


def test_a_part_of_a_rows_event_stops_the_reader() -> None:
    with pytest.raises(DecodeError, match="binlog_row_event_fragment_threshold"):
        decode(codes.MARIA_PARTIAL_ROWS, bytes(40))


@pytest.mark.parametrize("code", [0, 1, 20, 21, 22, 43, 99, 173, 255])
def test_an_unknown_event_stops_the_reader_unless_it_may_be_ignored(code: int) -> None:
    with pytest.raises(DecodeError, match="unknown type"):
        decode(code, b"anything")
    assert decode(code, b"anything", codes.MAY_BE_IGNORED) == Ignored(code, known=False)


def test_an_event_that_mariadb_keeps_back_stops_the_reader() -> None:
    sql = b"# Dummy event replacing event type 164 that slave cannot handle."
    with pytest.raises(DecodeError, match="capability 4"):
        decode(codes.QUERY, query(sql))


@pytest.mark.parametrize(
    "code",
    [codes.INTVAR, codes.RAND, codes.USER_VAR, codes.BEGIN_LOAD_QUERY, codes.EXECUTE_LOAD_QUERY],
)
def test_changes_in_statement_form_are_told(code: int) -> None:
    assert decode(code, bytes(30)) == Statement(codes.NAMES[code])


@pytest.mark.parametrize(
    "code",
    [codes.IGNORABLE, codes.TRANSACTION_CONTEXT, codes.VIEW_CHANGE, codes.MARIA_BINLOG_CHECKPOINT,
     codes.MARIA_START_ENCRYPTION],
)  # fmt: skip
def test_events_without_meaning_here_are_known(code: int) -> None:
    assert decode(code, bytes(30)) == Ignored(code, known=True)


# --- transactions ---------------------------------------------------------------------------------


def gtid_body(*, flags: int = 0, number: int = 7, rest: bytes = b"") -> bytes:
    return bytes([flags]) + UUID + struct.pack("<Q", number) + rest


CLOCK: Final = b"\x02" + struct.pack("<QQ", 1, 2)


@pytest.mark.parametrize(
    ("rest", "committed", "first", "size"),
    [
        (b"", 0, 0, 0),
        (CLOCK, 0, 0, 0),
        (CLOCK + (1_700_000_000_000_001).to_bytes(7, "little") + packed(300),
         1_700_000_000_000_001, 1_700_000_000_000_001, 300),
        (CLOCK + (5 | 1 << 55).to_bytes(7, "little") + (3).to_bytes(7, "little") + packed(70_000)
         + struct.pack("<I", 90704), 5, 3, 70_000),
    ],
)  # fmt: skip
def test_a_gtid_of_mysql(rest: bytes, committed: int, first: int, size: int) -> None:
    found = decode(codes.GTID, gtid_body(flags=1, rest=rest))
    assert found == MysqlGtid(Gtid.parse(f"{A}:7"), True, committed, first, size)


def test_an_anonymous_transaction() -> None:
    assert decode(codes.ANONYMOUS_GTID, gtid_body(number=0)) == MysqlGtid(None, False)


def test_a_gtid_without_a_number_is_refused() -> None:
    with pytest.raises(DecodeError, match="number"):
        decode(codes.GTID, gtid_body(number=0))


TAGGED: Final = bytes.fromhex(
    "027c00000202ee450341025802690322c50369028241023502dcbedc3502040406"
    "10746573745f74616708000a040c7f003e8900fa5b0610450512dbd009"
)
"""As a server of release 8.4 wrote it."""


def test_a_tagged_gtid() -> None:
    gtid = Gtid.parse("77d1902c-01da-11f1-9a41-908d6e5f6e8d:test_tag:1")
    found = decode(codes.GTID_TAGGED, TAGGED)
    assert found == MysqlGtid(gtid, True, 1789979169209856, 1789979169209856, 337)


def test_a_tagged_gtid_with_fields_of_later_releases() -> None:
    longer = bytearray(TAGGED + bytes([12 << 1, 0, 0]))
    longer[1] += 6
    found = decode(codes.GTID_TAGGED, bytes(longer))
    assert isinstance(found, MysqlGtid)
    assert found.size == 337
    longer[2] = 12 << 1
    with pytest.raises(DecodeError, match="a field that is unknown"):
        decode(codes.GTID_TAGGED, bytes(longer))


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_damaged_tagged_gtid_is_refused(place: int) -> None:
    damaged = bytearray(TAGGED)
    damaged[place] += 4
    with pytest.raises(DecodeError):
        decode(codes.GTID_TAGGED, bytes(damaged))


def maria_gtid(flags: int, rest: bytes = b"") -> Event:
    return decode(codes.MARIA_GTID, struct.pack("<QIB", 88, 3, flags) + rest)


def test_a_gtid_of_mariadb() -> None:
    assert maria_gtid(0x04, bytes(6)) == MariaGtidEvent(
        MariaGtid(3, 7, 88), standalone=False, transactional=True, ddl=False, prepared=False,
        completed=False,
    )  # fmt: skip
    assert maria_gtid(0x01 | 0x20, bytes(6)) == MariaGtidEvent(
        MariaGtid(3, 7, 88), standalone=True, transactional=False, ddl=True, prepared=False,
        completed=False,
    )  # fmt: skip


def test_a_gtid_of_mariadb_for_xa_behind_its_group() -> None:
    rest = bytes(8) + struct.pack("<IBB", 1, 3, 2) + b"abcde"
    found = maria_gtid(0x02 | 0x40, rest)
    assert isinstance(found, MariaGtidEvent)
    assert (found.prepared, found.completed) == (True, False)
    assert found.xid == XaId(1, b"abc", b"de")


def test_what_earlier_files_hold() -> None:
    gtids = GtidSet.parse(f"{A}:1-5:tag:7")
    assert decode(codes.PREVIOUS_GTIDS, gtids.encode()) == PreviousGtids(gtids)
    listed = struct.pack("<IIIQIIQ", 2 | 1 << 28, 0, 1, 5, 0, 2, 9)
    expected = GtidList((MariaGtid(0, 1, 5), MariaGtid(0, 2, 9)))
    assert decode(codes.MARIA_GTID_LIST, listed) == expected


def test_a_prepared_xa_transaction() -> None:
    body = struct.pack("<BIII", 0, 1, 3, 1) + b"abcd"
    assert decode(codes.XA_PREPARE, body) == XaPrepare(XaId(1, b"abc", b"d"), one_phase=False)
    with pytest.raises(DecodeError, match="too long"):
        decode(codes.XA_PREPARE, struct.pack("<BIII", 0, 1, 65, 1) + bytes(66))


def test_heartbeats() -> None:
    assert decode(codes.HEARTBEAT, b"binlog.000004") == Heartbeat("binlog.000004", END)
    body = bytes([1, 13]) + b"binlog.000004" + bytes([2, 9, 0xFE]) + struct.pack("<Q", 1 << 33)
    assert decode(codes.HEARTBEAT_V2, body + b"\0") == Heartbeat("binlog.000004", 1 << 33)


def test_texts_of_statements() -> None:
    assert decode(codes.MARIA_ANNOTATE_ROWS, b"insert") == RowsQuery(b"insert")
    assert decode(codes.ROWS_QUERY, b"\xffinsert") == RowsQuery(b"insert")


# --- QUERY ----------------------------------------------------------------------------------------


def test_a_statement_and_its_session() -> None:
    variables = (
        b"\0" + bytes(4) + b"\x01" + struct.pack("<Q", 0x100004) + b"\x06\x03std"
        + b"\x04" + struct.pack("<HHH", 28, 28, 8) + b"\x05\x06SYSTEM" + b"\x07" + bytes(2)
        + b"\x0b\x01u\x02h1" + b"\x0c\x02a\0bc\0" + b"\x0d" + bytes(3) + b"\x10\x01"
        + b"\x11" + struct.pack("<Q", 77) + b"\x12" + bytes(2) + b"\x13\0" + b"\x63whatever"
    )  # fmt: skip
    sql = "ALTER TABLE `試` ADD c int"
    found = decode(codes.QUERY, query(sql.encode("gbk"), variables=variables, error=3))
    assert found == Query(5, 3, "shop", sql, 0x100004, 28, 77)
    assert found.ansi_quotes
    assert found.no_backslash_escapes


def test_variables_of_mariadb() -> None:
    variables = (
        b"\x83\x02" + bytes(8) + b"\x04" + struct.pack("<HHH", 45, 45, 8) + b"\x80" + bytes(3)
        + b"\x82" + struct.pack("<BQ", 4, 9) + b"\x81" + struct.pack("<Q", 6)
    )  # fmt: skip
    found = decode(codes.QUERY, query(b"BEGIN", variables=variables))
    assert found == Query(5, 0, "shop", "BEGIN", None, 45, 6)
    assert not found.ansi_quotes


def maria_compressed(data: bytes) -> bytes:
    size = max(1, (len(data).bit_length() + 7) // 8)
    return bytes([0x80 | size]) + len(data).to_bytes(size, "big") + zlib.compress(data)


def test_a_compressed_statement() -> None:
    sql = b"CREATE TABLE t (" + b"a" * 70_000 + b" int)"
    found = decode(codes.MARIA_QUERY_COMPRESSED, query(maria_compressed(sql)))
    assert isinstance(found, Query)
    assert found.sql == sql.decode()


@pytest.mark.parametrize(
    "body",
    [b"", b"\x00", b"\x91\x05" + zlib.compress(b"12345"), b"\x81\x04" + zlib.compress(b"12345"),
     b"\x81\x06" + zlib.compress(b"12345"), b"\x81\x05garbage", b"\x84\xff\xff\xff\xff",
     b"\x81\x05" + zlib.compress(b"12345") + b"x"],
)  # fmt: skip
def test_a_compressed_statement_that_lies_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(codes.MARIA_QUERY_COMPRESSED, query(body))


# --- TABLE_MAP ------------------------------------------------------------------------------------


def table(types: list[int], metadata: bytes = b"", extra: bytes = b"") -> TableMap:
    found = decode(codes.TABLE_MAP, table_map(types, metadata, optional=extra))
    assert isinstance(found, TableMap)
    return found


def test_a_table_without_optional_metadata() -> None:
    found = table(
        [LONG, VARCHAR, NEWDECIMAL, STRING, STRING], bytes([44, 1, 10, 2, 247, 1, 238, 7])
    )
    assert found.qualified == "shop.t"
    assert found.types == (LONG, VARCHAR, NEWDECIMAL, ENUM, STRING)
    assert found.metadata == (0, 300, 10 << 8 | 2, 1, 0x107)
    assert found.nullable == (True,) * 5
    assert found.described.key is None
    assert {column.name for column in found.described.columns} == {None}


def test_a_table_with_everything_told() -> None:
    types = [LONG, VARCHAR, BLOB, STRING, STRING, GEOMETRY, JSON, LONGLONG, VECTOR]
    metadata = bytes([40, 0, 2, 247, 1, 248, 1, 4, 4, 4])
    extra = (
        optional(1, b"\x40") + optional(2, packed(255) + packed(1) + packed(63))
        + optional(4, b"".join(packed_bytes(bytes([97 + i])) for i in range(9)))
        + optional(5, packed(2) + packed_bytes(b"x") + packed_bytes(b"y"))
        + optional(6, packed(1) + packed_bytes("é".encode("latin1")))
        + optional(7, packed(1)) + optional(9, packed(0) + packed(0) + packed(1) + packed(10))
        + optional(10, packed(8)) + optional(12, b"\xfe\x80") + optional(13, packed(512))
        + optional(99, b"of a later release")
    )  # fmt: skip
    found = table(types, metadata, extra).described
    columns = found.columns
    assert [column.name for column in columns] == list("abcdefghi")
    assert [column.unsigned for column in columns] == [
        False, None, None, None, None, None, None, True, None,
    ]  # fmt: skip
    assert [c.collation for c in columns] == [None, 255, 63, 8, 8, None, None, None, None]
    assert (columns[3].labels, columns[4].labels) == ((b"\xe9",), (b"x", b"y"))
    assert (columns[5].geometry, columns[8].dimensions) == (1, 512)
    assert [column.visible for column in columns] == [True] * 7 + [False, True]
    assert (found.key, found.key_prefixes) == ((0, 1), (0, 10))


def test_charsets_one_by_one_and_a_simple_key() -> None:
    extra = optional(3, packed(33) + packed(63)) + optional(8, packed(1))
    found = table([VARCHAR, LONG, VARCHAR], bytes([40, 0, 40, 0]), extra).described
    assert [column.collation for column in found.columns] == [33, None, 63]
    assert found.key == (1,)


def test_a_table_with_names_and_no_key_has_none() -> None:
    assert table([LONG], extra=optional(4, packed_bytes(b"a"))).described.key == ()


@pytest.mark.parametrize(
    "extra",
    [optional(4, packed_bytes(b"a")[:-1]), b"\x04", optional(8, packed(1)), optional(1, b""),
     optional(2, packed(33) + packed(5) + packed(63)), optional(4, packed_bytes(b"\xff"))],
)  # fmt: skip
def test_optional_metadata_that_does_not_fit_is_refused(extra: bytes) -> None:
    with pytest.raises(DecodeError, match=r"description of shop\.t is malformed"):
        _ = table([LONG], extra=extra).described


@pytest.mark.parametrize(
    "body",
    [table_map([LONG])[:-1], table_map([LONG], b"\0"), table_map([VARCHAR], b"\0"), table_map([]),
     table_map([LONG] * 5000)],
)  # fmt: skip
def test_a_malformed_table_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError, match="TABLE_MAP"):
        decode(codes.TABLE_MAP, body)


def test_the_same_table_told_again_is_the_same_object() -> None:
    made = decoder()
    first = made.decode(event(codes.TABLE_MAP, table_map([LONG])))[1]
    assert made.decode(event(codes.TABLE_MAP, table_map([LONG]), end=9999))[1] is first
    other = made.decode(event(codes.TABLE_MAP, table_map([LONGLONG])))[1]
    assert isinstance(other, TableMap)
    assert other.types == (LONGLONG,)


# --- ROWS -----------------------------------------------------------------------------------------

V1: Final = {
    codes.WRITE_ROWS_V1: INSERT,
    codes.UPDATE_ROWS_V1: UPDATE,
    codes.DELETE_ROWS_V1: DELETE,
}
V2: Final = {codes.WRITE_ROWS: INSERT, codes.UPDATE_ROWS: UPDATE, codes.DELETE_ROWS: DELETE}


@pytest.mark.parametrize(("code", "kind"), [*V1.items(), *V2.items()])
def test_rows_of_both_versions(code: int, kind: int) -> None:
    made = decoder()
    _, described = made.decode(event(codes.TABLE_MAP, table_map([LONG, LONG])))
    masks = (b"\x03",) if kind != UPDATE else (b"\x01", b"\x02")
    extra = None if code in V1 else b"\x00\x05abc"
    _, found = made.decode(event(code, rows(2, b"row", *masks, extra=extra, flags=0)))
    assert isinstance(found, RowsEvent)
    assert (found.kind, found.table, found.ends_statement) == (kind, described, False)
    assert found.before == (b"" if kind == INSERT else masks[0])
    assert found.after == (b"" if kind == DELETE else masks[-1])
    assert found.data[found.at : found.end] == b"row"


def test_rows_of_servers_with_short_table_numbers() -> None:
    made = decoder(old_tables=True)
    made.decode(event(codes.TABLE_MAP, table_map([LONG], id_bytes=4)))
    _, found = made.decode(event(codes.WRITE_ROWS_V1, rows(1, b"r", extra=None, id_bytes=4)))
    assert isinstance(found, RowsEvent)
    assert found.data[found.at : found.end] == b"r"


@pytest.mark.parametrize(
    ("code", "kind"),
    [(code + 143, kind) for code, kind in V1.items()]
    + [(code + 139, kind) for code, kind in V2.items()],
)
def test_compressed_rows(code: int, kind: int) -> None:
    made = decoder()
    made.decode(event(codes.TABLE_MAP, table_map([LONG])))
    masks = (b"\x01",) * (1 + (kind == UPDATE))
    extra = None if code <= codes.MARIA_DELETE_ROWS_COMPRESSED_V1 else b""
    body = rows(1, maria_compressed(b"\0four" * 100), *masks, extra=extra)
    _, found = made.decode(event(code, body))
    assert isinstance(found, RowsEvent)
    assert (found.kind, found.data[found.at : found.end]) == (kind, b"\0four" * 100)


def test_rows_with_partial_documents_say_so() -> None:
    made = decoder()
    made.decode(event(codes.TABLE_MAP, table_map([JSON], b"\x04")))
    _, found = made.decode(event(codes.PARTIAL_UPDATE_ROWS, rows(1, b"r", b"\x01", b"\x01")))
    assert isinstance(found, RowsEvent)
    assert (found.kind, found.partial) == (UPDATE, True)


def test_an_event_of_no_table_ends_a_statement() -> None:
    found = decode(codes.WRITE_ROWS, rows(0, b"", number=0xFFFFFF))
    assert isinstance(found, RowsEvent)
    assert (found.table, found.ends_statement) == (None, True)


def test_rows_of_a_table_that_was_not_described_are_refused() -> None:
    made = decoder()
    made.decode(event(codes.TABLE_MAP, table_map([LONG])))
    with pytest.raises(DecodeError, match="number 91, which was not described"):
        made.decode(event(codes.WRITE_ROWS, rows(1, b"", number=91)))
    with pytest.raises(DecodeError, match="2 columns, the table 1"):
        made.decode(event(codes.WRITE_ROWS, rows(2, b"")))
    made.decode(format_description())
    with pytest.raises(DecodeError, match="number 90, which was not described"):
        made.decode(event(codes.WRITE_ROWS, rows(1, b"")))


# --- compressed transactions ----------------------------------------------------------------------

INNER: Final = (
    event(codes.QUERY, query(b"BEGIN"), checksum=False, end=0),
    event(codes.TABLE_MAP, table_map([LONG]), checksum=False, end=0),
    event(codes.WRITE_ROWS, rows(1, b"\0" + bytes(4)), checksum=False, end=0),
    event(codes.XID, struct.pack("<Q", 3), checksum=False, end=0),
)


def payload(
    data: bytes, *, size: int | None = None, algorithm: int = 0, plain: int | None = None
) -> bytes:
    fields = [(1, len(data) if size is None else size), (2, algorithm)]
    if plain is not None:
        fields.append((3, plain))
    head = b"".join(packed(n) + packed_bytes(packed(value)) for n, value in fields)
    return head + b"\0" + data


def unpacked(body: bytes) -> list[tuple[Header, Event]]:
    made = decoder()
    _, found = made.decode(event(codes.TRANSACTION_PAYLOAD, body))
    assert isinstance(found, TransactionPayload)
    return list(made.unpacked(found))


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


WHOLE: Final = b"".join(INNER)


@pytest.mark.parametrize(
    "body",
    [payload(zstd(WHOLE), plain=len(WHOLE)), payload(WHOLE, algorithm=255),
     payload(zstd(WHOLE[:50]) + zstd(WHOLE[50:]), plain=len(WHOLE))],
)  # fmt: skip
def test_a_compressed_transaction(body: bytes) -> None:
    found = unpacked(body)
    assert [type(e) for _, e in found] == [Query, TableMap, RowsEvent, Xid]
    assert {header.end for header, _ in found} == {END}


def test_a_transaction_in_an_unknown_compression_stops_the_reader() -> None:
    with pytest.raises(DecodeError, match="algorithm 7, which is unknown"):
        unpacked(payload(WHOLE, algorithm=7))


@pytest.mark.parametrize(
    "body",
    [
        payload(zstd(WHOLE), plain=len(WHOLE) - 1),
        payload(zstd(WHOLE), plain=len(WHOLE) + 1),
        payload(zstd(WHOLE), plain=len(WHOLE) + 40),
        payload(zstd(WHOLE)[:-9], plain=len(WHOLE)),
        payload(b"garbage", plain=100),
        payload(zstd(WHOLE), size=3, plain=len(WHOLE)),
        payload(zstd(bytes(1000)), plain=1000),
        payload(zstd(format_description()), plain=len(format_description())),
        b"\x01\x01\x05",
    ],
)
def test_a_compressed_transaction_that_lies_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        unpacked(body)


def test_a_small_payload_cannot_make_a_large_event() -> None:
    bomb = struct.pack("<IBIIIH", 0, codes.QUERY, 1, 1 << 31, 0, 0) + bytes(1 << 20)
    with pytest.raises(DecodeError, match="not as long"):
        unpacked(payload(zstd(bomb), plain=1 << 33))
