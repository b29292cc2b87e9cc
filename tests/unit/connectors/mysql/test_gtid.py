import struct
from typing import Final, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mysql.gtid import NUMBER_MAX, Gtid, GtidSet, Tsid

A: Final = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
B: Final = "aaaaaaaa-71ca-11e1-9e33-c80aa9429562"

Naive: TypeAlias = frozenset[tuple[bytes, str, int]]

TSIDS: Final = [Tsid(uuid * 16, tag) for uuid in (b"\x01", b"\xfe") for tag in ("", "a", "b_1")]
NAIVE: Final = st.frozensets(
    st.tuples(st.sampled_from(TSIDS), st.integers(1, 12)).map(
        lambda pair: (pair[0].uuid, pair[0].tag, pair[1])
    ),
    max_size=40,
)


def real(naive: Naive) -> GtidSet:
    found = GtidSet()
    for uuid, tag, number in sorted(naive):
        found = found.with_(Gtid(Tsid(uuid, tag), number))
    return found


def naive(gtids: GtidSet) -> Naive:
    return frozenset(
        (tsid.uuid, tsid.tag, number)
        for tsid in gtids.tsids
        for first, last in gtids.intervals(tsid)
        for number in range(first, last + 1)
    )


@given(NAIVE, NAIVE)
def test_the_algebra_is_that_of_sets(mine: Naive, its: Naive) -> None:
    assert naive(real(mine) | real(its)) == mine | its
    assert naive(real(mine) & real(its)) == mine & its
    assert naive(real(mine) - real(its)) == mine - its
    assert (real(mine) <= real(its)) == (mine <= its)
    assert (real(mine) == real(its)) == (mine == its)
    assert bool(real(mine)) == bool(mine)
    assert len(real(mine)) == len(mine)


@given(NAIVE, st.permutations(range(40)))
def test_the_order_in_which_gtids_come_does_not_matter(mine: Naive, order: list[int]) -> None:
    pairs = sorted(mine)
    found = GtidSet()
    for i in order:
        if i < len(pairs):
            found = found.with_(Gtid(Tsid(*pairs[i][:2]), pairs[i][2]))
    assert found == real(mine)
    assert hash(found) == hash(real(mine))
    assert str(found) == str(real(mine))


@given(NAIVE)
def test_membership_is_that_of_sets(mine: Naive) -> None:
    found = real(mine)
    for tsid in TSIDS:
        for number in range(14):
            assert (Gtid(tsid, number) in found) == ((tsid.uuid, tsid.tag, number) in mine)


@given(NAIVE)
def test_text_and_bytes_come_back(mine: Naive) -> None:
    found = real(mine)
    assert GtidSet.parse(str(found)) == found
    assert GtidSet.decode(found.encode()) == found


@given(NAIVE, NAIVE)
def test_adding_leaves_the_older_set_as_it_was(mine: Naive, its: Naive) -> None:
    older = real(mine)
    for uuid, tag, number in sorted(its):
        older.with_(Gtid(Tsid(uuid, tag), number))
    assert naive(older) == mine


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        (f"{A}:1", f"{A}:1"),
        (f"{A.upper()}:5-7:1-3:4", f"{A}:1-7"),
        (f"{A}:1-3:11:47-49", f"{A}:1-3:11:47-49"),
        (f" {B}:2 ,\n{A}:1,\n", f"{A}:1,{B}:2"),
        (f"{A}:1-3:tag_1:1:5:zz:9", f"{A}:1-3:tag_1:1:5:zz:9"),
        (f"{A}:b:2,{A}:1,{A}:a:1", f"{A}:1:a:1:b:2"),
        (f"{A}:{NUMBER_MAX}", f"{A}:{NUMBER_MAX}"),
    ],
)
def test_a_servers_text(text: str, canonical: str) -> None:
    assert str(GtidSet.parse(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        A, f"{A}:", f"{A}:0", f"{A}:3-1", f"{A}:1-", f"{A}:1::2", f"{A}:tag", f"{A}:1:Tag-x:2",
        f"{A}:{'t' * 33}:1", f"{A}:9223372036854775807", f"{A[:-1]}:1", "0-1-7", "x", f"{A}:1;",
        f"{A}:\u0661", f"{A}:1_0",
    ],
)  # fmt: skip
def test_a_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"GTID"):
        GtidSet.parse(text)


def test_the_encoding_without_tags_is_the_one_every_server_knows() -> None:
    uuid = bytes.fromhex(A.replace("-", ""))
    expected = struct.pack("<Q", 1) + uuid + struct.pack("<5Q", 2, 1, 4, 11, 12)
    assert GtidSet.parse(f"{A}:1-3:11").encode() == expected


def test_the_encoding_with_tags_says_so_at_both_ends_of_its_count() -> None:
    uuid = bytes.fromhex(A.replace("-", ""))
    expected = (
        bytes([1, 2, 0, 0, 0, 0, 0, 1])
        + (uuid + b"\0" + struct.pack("<3Q", 1, 1, 4))
        + (uuid + b"\x06tag" + struct.pack("<3Q", 1, 7, 8))
    )
    assert GtidSet.parse(f"{A}:1-3:tag:7").encode() == expected


@pytest.mark.parametrize(
    "data",
    [
        b"", bytes(7), struct.pack("<Q", 1), struct.pack("<Q", 2 << 56),
        struct.pack("<Q", 1) + bytes(16) + struct.pack("<Q", 1 << 60),
        struct.pack("<Q", 1) + bytes(16) + struct.pack("<3Q", 1, 5, 5),
        struct.pack("<Q", 1) + bytes(16) + struct.pack("<3Q", 1, 0, 5),
        struct.pack("<Q", 0) + b"x",
        bytes([1, 1, 0, 0, 0, 0, 0, 1]) + bytes(16) + b"\x06TAG" + struct.pack("<3Q", 1, 7, 8),
        bytes([1, 1, 0, 0, 0, 0, 0, 1]) + bytes(16) + b"\x06\xff\xff\xff" + bytes(24),
    ],
)  # fmt: skip
def test_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"GTID|codec"):
        GtidSet.decode(data)


@pytest.mark.parametrize("text", [f"{A}:7", f"{A}:tag:7"])
def test_one_gtid_as_text(text: str) -> None:
    assert str(Gtid.parse(text)) == text
    assert str(Gtid.parse(text.upper())) == text


@pytest.mark.parametrize("text", [A, f"{A}:", f"{A}::7", f"{A}:tag:", f"{A}:a:b:7", "0-1-2"])
def test_what_is_not_one_gtid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"GTID"):
        Gtid.parse(text)
