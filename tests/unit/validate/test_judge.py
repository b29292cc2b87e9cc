"""Verdicts from what was seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.compared import Digest, RowKey
from engine.model.relation import TableName
from engine.validate.judge import NOTHING, Sightings, count_different, suspects
from engine.validate.report import TableReport

K: RowKey = ("1",)

LISTING = st.dictionaries(
    st.tuples(st.sampled_from("abcdef")), st.builds(Digest, st.just(1), st.integers(0, 2))
)


def report(*, keyed: bool = True) -> TableReport:
    return TableReport(TableName("public", "t"), TableName("public", "t"), keyed=keyed)


@given(LISTING, LISTING)
def test_suspects_are_exactly_the_keys_that_differ(
    source: dict[RowKey, Digest], target: dict[RowKey, Digest]
) -> None:
    keys, equal = suspects(source, target)
    assert len(keys) == len(set(keys))
    assert set(keys) == {
        key
        for key in source.keys() | target.keys()
        if source.get(key, NOTHING) != target.get(key, NOTHING)
    }
    assert equal == len(source.keys() - set(keys))


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        (Digest(1, 5), NOTHING, "missing"),
        (NOTHING, Digest(1, 5), "extra"),
        (Digest(1, 5), Digest(1, 6), "different"),
        (Digest(1, 5), Digest(2, 10), "different"),
    ],
)
def test_a_key_is_missing_extra_or_different(source: Digest, target: Digest, kind: str) -> None:
    found = report()
    count_different(found, K, source, target, keys_max=5)
    assert [(k.kind, k.key) for k in found.keys] == [(kind, K)]
    assert (found.rows_source, found.rows_target) == (source.rows, target.rows)
    assert found.differences == 1


def test_equal_rows_without_key_are_counted_by_how_many_are_too_few_or_too_many() -> None:
    found = report(keyed=False)
    count_different(found, K, Digest(5, 5), Digest(2, 2), keys_max=5)
    count_different(found, K, Digest(1, 1), Digest(5, 5), keys_max=5)
    assert (found.missing, found.extra, found.different) == (3, 4, 0)


def test_more_keys_than_the_limit_are_counted_and_not_listed() -> None:
    found = report()
    for n in range(9):
        count_different(found, (str(n),), Digest(1, 1), NOTHING, keys_max=4)
    assert (found.missing, len(found.keys)) == (9, 4)


def test_a_key_that_neither_side_has_is_met_as_nothing() -> None:
    seen = Sightings()
    seen.see_source([K], {})
    seen.see_target([K], {})
    assert seen.met(K) == NOTHING
    assert seen.still(K)


def test_a_source_seen_in_two_states_has_moved() -> None:
    seen = Sightings()
    seen.see_source([K], {K: Digest(1, 1)})
    seen.see_source([K], {K: Digest(1, 2)})
    seen.see_target([K], {K: Digest(1, 3)})
    assert not seen.still(K)
    assert seen.met(K) is None
