from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mysql.gtid import Gtid, GtidSet
from connectors.mysql.maria_gtid import MariaGtid, MariaGtids
from connectors.mysql.position import (
    FileCoordinate,
    FilePosition,
    GtidCoordinate,
    GtidPosition,
    LogPlace,
    parse_position,
)
from engine.model.position import Place, Position

A: Final = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
GTIDS: Final = st.builds(
    Gtid.parse, st.builds("{}:{}".format, st.sampled_from([A, f"{A}:tag"]), st.integers(1, 20))
)
MARIA: Final = st.builds(MariaGtid, st.integers(0, 2), st.integers(1, 3), st.integers(1, 20))


def mysql_set(gtids: list[Gtid]) -> GtidSet:
    done = GtidSet()
    for gtid in gtids:
        done = done.with_(gtid)
    return done


@given(st.lists(GTIDS), GTIDS, st.integers(0, 9))
def test_inside_a_transaction_of_mysql(before: list[Gtid], gtid: Gtid, ordinal: int) -> None:
    done = mysql_set([g for g in before if g != gtid])
    coordinate = GtidCoordinate(gtid, done)
    inside, end = coordinate.at(ordinal), coordinate.end()
    assert inside.covers(coordinate, ordinal)
    assert not inside.covers(coordinate, ordinal + 1)
    assert end.covers(coordinate, ordinal + 1)
    assert end.reaches(inside)
    assert not inside.reaches(end)
    assert inside.reaches(coordinate.at(ordinal))
    for position in (inside, end, coordinate.end(LogPlace("binlog.000007", 99))):
        assert parse_position(str(position)) == position
        assert isinstance(position, Position)
        assert isinstance(position.coordinate, Place)
        assert position.coordinate.at(position.ordinal) == position
    assert hash(inside.coordinate) == hash(coordinate)
    assert inside.coordinate == coordinate


def test_a_gap_stays_a_gap() -> None:
    position = parse_position(f"gtid={A}:1-3:5")
    gap = GtidCoordinate(Gtid.parse(f"{A}:4"), GtidSet())
    assert not position.covers(gap, 1)
    assert not position.reaches(parse_position(f"gtid={A}:1-5"))
    assert parse_position(f"gtid={A}:1-5").reaches(position)


@given(st.lists(MARIA), MARIA, st.integers(0, 9))
def test_inside_a_transaction_of_mariadb(
    before: list[MariaGtid], gtid: MariaGtid, ordinal: int
) -> None:
    done = MariaGtids.of([g for g in before if g.domain != gtid.domain or g.number < gtid.number])
    coordinate = GtidCoordinate(gtid, done)
    inside, end = coordinate.at(ordinal), coordinate.end()
    assert inside.covers(coordinate, ordinal)
    assert not inside.covers(coordinate, ordinal + 1)
    assert end.covers(coordinate, ordinal + 1)
    assert end.reaches(inside)
    assert not inside.reaches(end)
    for position in (inside, end):
        assert parse_position(str(position)) == position


def test_domains_of_mariadb_are_apart() -> None:
    position = parse_position("maria=0-1-100,7-2-5")
    seven = GtidCoordinate(MariaGtid(7, 1, 6), MariaGtids())
    assert not position.covers(seven, 1)
    assert position.covers(GtidCoordinate(MariaGtid(7, 9, 5), MariaGtids()), 1)
    assert not position.covers(GtidCoordinate(MariaGtid(8, 1, 1), MariaGtids()), 1)
    assert not position.reaches(parse_position("maria=0-1-100,8-1-1"))
    assert position.reaches(parse_position("maria=0-9-100"))


def test_of_several_gtids_of_a_domain_the_last_counts() -> None:
    gtids = [MariaGtid(3, 1, 9), MariaGtid(0, 1, 4), MariaGtid(0, 2, 5)]
    assert str(MariaGtids.of(gtids)) == "0-2-5,3-1-9"


def test_files_are_ordered_by_their_number() -> None:
    names = ["binlog.000009", "binlog.000010", "binlog.999999", "binlog.1000000"]
    places = [LogPlace(name, offset) for name in names for offset in (4, 900)]
    for i, place in enumerate(places):
        for j, other in enumerate(places):
            assert (place < other, place <= other) == (i < j, i <= j)


def test_a_transaction_begins_where_the_one_before_ends() -> None:
    first = FileCoordinate(LogPlace("binlog.000009", 157))
    second = FileCoordinate(LogPlace("binlog.000009", 900))
    third = FileCoordinate(LogPlace("binlog.000010", 157))
    between = first.end(LogPlace("binlog.000009", 900))
    assert between.covers(first, 1)
    assert not between.covers(second, 1)
    assert not second.end(LogPlace("binlog.000009", 999)).covers(third, 1)
    inside = second.at(3)
    assert (inside.covers(second, 3), inside.covers(second, 4)) == (True, False)
    assert inside.covers(first, 9)
    assert inside.reaches(between)
    assert not between.reaches(inside)
    assert inside.coordinate == second
    assert between.coordinate.at(0) == between


def test_bytes_between_two_positions_are_told_within_a_file_only() -> None:
    early = parse_position("maria=0-1-7;log=binlog.000002:400")
    assert early.distance(parse_position("maria=0-1-9;log=binlog.000002:1000")) == 600
    assert early.distance(parse_position("maria=0-1-9;log=binlog.000003:1000")) is None
    assert early.distance(parse_position("maria=0-1-9")) is None
    by_file = parse_position("file=binlog.000002:400")
    assert by_file.distance(parse_position("file=binlog.000002:500")) == 100
    assert by_file.distance(parse_position("file=binlog.000002:300")) == 0
    assert by_file.distance(early) is None


@pytest.mark.parametrize(
    "text",
    [
        f"gtid={A}:1-3", f"gtid={A}:1-3;at={A}:tag:4+2;log=mysql-bin.000001:4", "gtid=", "maria=",
        "maria=0-1-7;at=0-1-8+1", "file=binlog.000001:157", "file=a.b.1:7;at=a.b.1:7+3",
    ],
)  # fmt: skip
def test_a_text_comes_back(text: str) -> None:
    assert str(parse_position(text)) == text
    assert "\n" not in text


@pytest.mark.parametrize(
    "text",
    [
        "", "0/1", "gtid", "gtid=0-1-2", f"maria={A}:1", "file=binlog:4", "file=binlog.1:x",
        "maria=0-1-7;at=0-1-8", "maria=0-1-7;at=0-1-8+00", "maria=;at=0-1-8+1;at=0-1-8+1",
        "maria=0-1-7,0-1-8", "maria=0-1-7;x=1", "file=a.1:7;at=a.1:8+3", "file=a.1:7;log=a.1:7",
        "maria=0-1-18446744073709551616", "maria=4294967296-1-1", "file=a b.1:4",
    ],
)  # fmt: skip
def test_a_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"GTID|position|place|transaction"):
        parse_position(text)


def test_kinds_do_not_mix() -> None:
    assert not GtidPosition(GtidSet()).covers(GtidCoordinate(MariaGtid(0, 1, 1), MariaGtids()), 1)
    assert not GtidPosition(MariaGtids()).reaches(parse_position(f"gtid={A}:1"))
    with pytest.raises(AssertionError):
        FilePosition(LogPlace("a.1", 4)).reaches(GtidPosition(GtidSet()))
