"""Rows of the text protocol become the lines that the targets read, by either loop."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._interchange import compiled
from connectors.mysql import load_lines, packets
from connectors.mysql.load_lines import LineWriter
from engine.config.endpoint import ZeroDate
from engine.errors import DecodeError

END: Final = b"\xfe\x00\x00\x02\x00"
KINDS: Final = range(load_lines.CHECKED + 1)
DATES: Final = (load_lines.DATE, load_lines.DATETIME, load_lines.TIMESTAMP)


def sized(value: bytes | None) -> bytes:
    if value is None:
        return b"\xfb"
    size = len(value)
    if size < 251:
        return bytes([size]) + value
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + value
    return b"\xfd" + size.to_bytes(3, "little") + value


def packet(payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + b"\x07" + payload


def row(*values: bytes | None) -> bytes:
    return packet(b"".join(map(sized, values)))


def written(kinds: list[int], *data: bytes, zero: ZeroDate = ZeroDate.ERROR) -> bytes:
    writer = LineWriter(kinds, zero)
    found = b""
    for part in data:
        lines, end = writer.feed(part)
        found += b"".join(lines)
        assert end in (None, END)
    return found


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [
        (load_lines.PLAIN, b"-12.50", b"-12.50"),
        (load_lines.PLAIN, None, rb"\N"),
        (load_lines.ESCAPED, b"a\tb\nc\rd\\e\0f\x01", b"a\\tb\\nc\\rd\\\\e\0f\x01"),
        (load_lines.ESCAPED_NUL, b"a\0\\", rb"a\0\\"),
        (load_lines.ESCAPED, "größer".encode(), "größer".encode()),
        (load_lines.HEX, b"\x00\xffA", rb"\\x00FF41"),
        (load_lines.HEX, b"", rb"\\x"),
        (load_lines.DATE, b"2024-02-28", b"2024-02-28"),
        (load_lines.DATE, b"2024-02-29", b"2024-02-29"),
        (load_lines.DATE, b"0000-02-28", b"0001-02-28 BC"),
        (load_lines.DATETIME, b"0000-12-31 23:59:59.5", b"0001-12-31 23:59:59.5 BC"),
        (load_lines.TIMESTAMP, b"2026-12-31 23:59:59", b"2026-12-31 23:59:59+00"),
        (load_lines.TIMESTAMP, b"0000-00-00 00:00:00", b"0000-00-00 00:00:00+00"),
        (load_lines.CHECKED, b"\xfe\xfe", b"\xfe\xfe"),
        (load_lines.CHECKED, b"\t", rb"\t"),
    ],
)
def test_a_value_is_written_as_its_kind_says(kind: int, value: bytes | None, field: bytes) -> None:
    assert written([kind], row(value) + packet(END)) == field + b"\n"


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("day", [b"0000-00-00", b"2023-02-29", b"2024-00-01", b"0000-02-29"])
def test_a_date_that_is_none_becomes_what_the_setting_says(day: bytes) -> None:
    data = row(day, day + b" 00:00:00", day + b" 00:00:00")
    assert written([*DATES], data) == b"%s\t%s 00:00:00\t%s 00:00:00+00\n" % (day, day, day)
    assert written([*DATES], data, zero=ZeroDate.NULL) == b"\\N\t\\N\t\\N\n"
    first = b"0001-01-01"
    earliest = b"%s\t%s 00:00:00\t%s 00:00:00+00\n" % (first, first, first)
    assert written([*DATES], data, zero=ZeroDate.EARLIEST) == earliest


@pytest.mark.usefixtures("loops")
def test_dates_that_became_something_else_are_counted() -> None:
    writer = LineWriter([*DATES], ZeroDate.NULL)
    writer.feed(row(b"0000-00-00", b"2024-01-01 00:00:00", None) * 3)
    writer.feed(row(b"2024-01-01", b"2024-00-01 00:00:00", None))
    assert writer.met == 4


@pytest.mark.usefixtures("loops")
def test_rows_of_several_packets_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "FULL_BYTES", 300)
    payload = sized(b"\t" * 400)
    long = b"".join([packet(payload[:300]), packet(payload[300:])])
    lines = written([load_lines.ESCAPED], row(b"a"), long + row(b"b"), packet(END))
    assert sorted(lines.splitlines()) == sorted([b"a", b"b", b"\\t" * 400])


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize(
    "data",
    [
        row(b"a", b"b", b"c"),
        row(b"a"),
        packet(b"\x01a\x05b"),
        packet(b"\x01a\xff"),
        packet(b"\xfc\x01"),
        packet(b""),
        row(b"a", load_lines.TOO_LONG),
    ],
)
def test_a_row_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        written([load_lines.ESCAPED, load_lines.CHECKED], row(b"a", b"b") + data)


@pytest.mark.usefixtures("loops")
def test_what_ends_the_rows_is_handed_on() -> None:
    error = b"\xff\x28\x04#HY000gone"
    lines, end = LineWriter([load_lines.PLAIN], ZeroDate.ERROR).feed(row(b"1") + packet(error))
    assert (b"".join(lines), end) == (b"1\n", error)


days = st.sampled_from(
    [b"2024-02-29", b"2023-02-28", b"0000-01-31", b"0000-00-00", b"9999-12-31", b"2023-04-31"]
)
values = st.none() | st.binary(max_size=300) | st.text(alphabet="ab\t\\\n\0ä").map(str.encode)


@given(st.data(), st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
def test_both_loops_write_the_same_at_any_cut(data: st.DataObject, kinds: list[int]) -> None:
    if compiled.LOOPS is None:
        pytest.skip("the compiled loops are not built or turned off")
    every = [days if kind in DATES else values for kind in kinds]
    rows = data.draw(st.lists(st.tuples(*every), max_size=8))
    stream = b"".join([row(*found) for found in rows]) + packet(END)
    cut = data.draw(st.integers(0, len(stream)))
    loops = compiled.LOOPS
    told: list[bytes] = []
    for used in (loops, None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compiled, "LOOPS", used)
            try:
                told.append(written(kinds, stream[:cut], stream[cut:], zero=ZeroDate.EARLIEST))
            except DecodeError as error:
                told.append(error.message.encode())
    assert sorted(told[0].split(b"\n")) == sorted(told[1].split(b"\n"))
