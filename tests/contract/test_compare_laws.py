"""Laws of sides that can be compared. Two tables of one server, made alike, are the two sides."""

from dataclasses import replace
from typing import Final

import pytest

from engine.comparable import Comparable
from engine.model.compared import Digest, Reading, RowKey, Span
from engine.model.relation import TableName
from engine.model.state import LaneRow
from engine.model.value import Row
from engine.seams import SystemClock
from engine.validate.agree import agree
from engine.validate.compare import Limits, TablePair, compare
from engine.validate.report import TableReport
from tests.contract.bench import TargetBench, name
from tests.contract.writing import owned, put, row, session_on

pytestmark = pytest.mark.needs("comparable")

SMALL: Final = Limits(span_rows=3, listed_rows_max=8, suspects_max=5, patience_seconds=2.0)
"""Limits that cut a dozen rows into many pieces."""

ROWS: Final = [row(f"{number:02}", f"value {number}") for number in range(12)]


async def fill(side: TargetBench, table: str, *rows: Row) -> None:
    async with session_on(side) as session:
        await put(side, session, table, *rows)


async def compared(side: TargetBench, source: str, target: str) -> TableReport:
    both = await side.comparable()
    pair = TablePair(name(source), name(target))
    report = await compare(
        [pair], both, both, replication="nobody", clock=SystemClock(), limits=SMALL
    )
    return report.tables[0]


async def reading_of(side: Comparable, table: TableName) -> Reading:
    shape = await side.shape(table)
    assert shape is not None
    return agree(shape, shape, next(iter(await side.hash_methods()))).source


async def test_equal_tables_are_equal(target_side: TargetBench) -> None:
    for table in ("accounts", "mirrors"):
        await fill(target_side, table, *ROWS)
    report = await compared(target_side, "accounts", "mirrors")
    assert report.problem == ""
    assert (report.equal, report.keyed) == (True, True)
    assert (report.rows_source, report.rows_target) == (12, 12)


async def test_empty_tables_are_equal(target_side: TargetBench) -> None:
    report = await compared(target_side, "accounts", "mirrors")
    assert (report.equal, report.rows_source) == (True, 0)


async def test_each_difference_is_found(target_side: TargetBench) -> None:
    other = list(ROWS)
    other[5] = row("05", "another value")
    await fill(target_side, "accounts", *ROWS[1:])
    await fill(target_side, "mirrors", *other[:11])
    report = await compared(target_side, "accounts", "mirrors")
    assert (report.missing, report.extra, report.different, report.unsettled) == (1, 1, 1, 0)
    assert (report.rows_source, report.rows_target) == (11, 11)
    assert len({found.key for found in report.keys}) == 3


@pytest.mark.parametrize(("one", "two"), [(None, ""), ("a", "A"), ("", "~"), ("a|b", "a")])
async def test_values_that_differ_are_different(
    target_side: TargetBench, one: str | None, two: str
) -> None:
    await fill(target_side, "accounts", row("1", one))
    await fill(target_side, "mirrors", row("1", two))
    report = await compared(target_side, "accounts", "mirrors")
    assert (report.different, report.missing, report.extra) == (1, 0, 0)


async def test_rows_without_key_are_compared_with_how_often_they_are_there(
    target_side: TargetBench,
) -> None:
    same, other = row("same", "note"), row("other", None)
    await fill(target_side, "copies", same, same, other)
    await fill(target_side, "audit", same, other, same)
    assert (await compared(target_side, "copies", "audit")).equal
    await fill(target_side, "audit", same)
    report = await compared(target_side, "copies", "audit")
    assert (report.equal, report.keyed, report.extra) == (False, False, 1)


async def test_a_table_that_is_absent_has_no_shape(target_side: TargetBench) -> None:
    side = await target_side.comparable()
    assert await side.shape(name("nowhere")) is None
    report = await compared(target_side, "accounts", "nowhere")
    assert "no table" in report.problem


async def test_the_shape_names_columns_and_key(target_side: TargetBench) -> None:
    side = await target_side.comparable()
    shape = await side.shape(name("named"))
    assert shape is not None
    assert (shape.columns, shape.key) == (("id", "name"), ("id",))
    assert {("id",), ("name",)} <= shape.indexes
    copies = await side.shape(name("copies"))
    assert copies is not None
    assert copies.key == ()


async def test_two_sides_of_one_server_hash_alike(target_side: TargetBench) -> None:
    one, two = await target_side.comparable(), await target_side.comparable()
    assert dict(await one.hash_methods()) == dict(await two.hash_methods())
    assert await one.hash_methods()


async def test_every_part_of_a_table_adds_up_to_the_whole(target_side: TargetBench) -> None:
    await fill(target_side, "accounts", *ROWS)
    side = await target_side.comparable()
    reading = replace(await reading_of(side, name("accounts")), buckets=4)
    buckets = await side.bucket_digests(reading)
    listed: dict[RowKey, Digest] = {}
    for bucket in buckets:
        part = await side.rows(reading, frozenset({bucket}))
        assert not listed.keys() & part.keys()
        assert sum(part.values(), Digest(0, 0)) == buckets[bucket]
        listed |= part
    assert len(listed) == 12
    assert sum(listed.values(), Digest(0, 0)) == sum(buckets.values(), Digest(0, 0))
    some = list(listed)[3:7]
    assert await side.find(reading, some) == {key: listed[key] for key in some}


async def test_key_ranges_cover_every_row_once(target_side: TargetBench) -> None:
    await fill(target_side, "accounts", *ROWS)
    side = await target_side.comparable()
    reading = await reading_of(side, name("accounts"))
    if not reading.indexed:
        pytest.skip("this side does not look keys up")
    low, spans = None, list[Span]()
    while (high := await side.boundary(reading, Span(low), 5)) is not None:
        spans.append(Span(low, high))
        low = high
    spans.append(Span(low))
    digests = [await side.digest(reading, span) for span in spans]
    assert [digest.rows for digest in digests] == [5, 5, 2]
    assert sum(digests, Digest(0, 0)) == await side.digest(reading, Span())
    for span, digest in zip(spans, digests, strict=True):
        found = await side.rows(reading, span)
        assert sum(found.values(), Digest(0, 0)) == digest


async def test_stored_positions_are_those_of_the_replication_and_the_rows_asked_for(
    target_side: TargetBench,
) -> None:
    side = await target_side.comparable()
    assert await side.stored("law", ["frontier"]) == []
    async with session_on(target_side) as session:
        await owned(session)
        async with session.begin() as transaction:
            await transaction.save_lane("frontier", LaneRow(1, 1, "0/5"))
            await transaction.save_lane("other", LaneRow(1, 1, "0/7"))
            await transaction.commit()
    assert list(await side.stored("law", ["frontier", "nobody"])) == ["0/5"]
    assert sorted(await side.stored("law", ["frontier", "other"])) == ["0/5", "0/7"]
    assert list(await side.stored("another", ["frontier"])) == []


async def test_the_head_is_a_position_of_its_log(target_side: TargetBench) -> None:
    side = await target_side.comparable()
    before = await side.head()
    await fill(target_side, "accounts", *ROWS)
    after = await side.head()
    assert after.reaches(before)
    assert side.position(str(after)).reaches(after)
    with pytest.raises(ValueError, match=r"."):
        side.position("no position")
