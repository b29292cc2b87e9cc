"""How two shapes become one reading."""

import pytest

from engine.errors import ComparisonError
from engine.model.compared import TableShape
from engine.model.relation import TableName
from engine.validate.agree import BUCKETS_MAX, agree, common_method


def shape(
    columns: tuple[str, ...] = ("a", "b", "id"),
    *,
    orders: dict[str, str] | None = None,
    indexes: frozenset[tuple[str, ...]] = frozenset({("id",)}),
    generated: frozenset[str] = frozenset(),
    rows: int = 0,
) -> TableShape:
    return TableShape(
        TableName("public", "t"),
        columns,
        generated,
        ("id",),
        {"id": "own"} if orders is None else orders,
        indexes,
        rows,
    )


def test_keys_ordered_alike_and_indexed_on_both_sides_are_read_in_ranges() -> None:
    reading = agree(shape(), shape(), "m").source
    assert (reading.key, reading.indexed, reading.ranged) == (("id",), True, True)


def test_an_index_on_more_columns_serves_too_when_the_key_leads_it() -> None:
    assert agree(shape(), shape(indexes=frozenset({("id", "a")})), "m").target.ranged
    assert not agree(shape(), shape(indexes=frozenset({("a", "id")})), "m").target.indexed


@pytest.mark.parametrize("orders", [{"id": "c:de_DE:2.36"}, {"id": ""}])
def test_keys_ordered_differently_are_looked_up_but_never_cut_into_ranges(
    orders: dict[str, str],
) -> None:
    reading = agree(shape(orders={"id": "c:de_DE:2.31"}), shape(orders=orders), "m").source
    assert (reading.indexed, reading.ranged) == (True, False)


def test_two_unknown_orders_are_not_the_same_order() -> None:
    assert not agree(shape(orders={"id": ""}), shape(orders={"id": ""}), "m").source.ranged


def test_the_columns_read_are_the_sources() -> None:
    readings = agree(shape(), shape(("a", "b", "c", "id")), "m")
    assert readings.source.columns == readings.target.columns == ("a", "b", "id")


def test_a_generated_column_may_be_missing_in_the_target_and_no_other() -> None:
    readings = agree(shape(generated=frozenset({"b"})), shape(("a", "id")), "m")
    assert (readings.source.columns, readings.left_out) == (("a", "id"), ("b",))
    with pytest.raises(ComparisonError, match=r"lacks columns of public\.t: b"):
        agree(shape(), shape(("a", "id")), "m")


@pytest.mark.parametrize(
    ("rows", "buckets"), [(0, 1), (8_192, 1), (100_000, 16), (10**12, BUCKETS_MAX)]
)
def test_the_number_of_buckets_is_a_power_of_two_within_its_limit(rows: int, buckets: int) -> None:
    assert agree(shape(rows=rows), shape(), "m").source.buckets == buckets


def test_the_first_method_that_hashes_alike_is_taken() -> None:
    assert common_method({"fast": "1", "safe": "2"}, {"safe": "2", "fast": "1"}) == "fast"
    assert common_method({"fast": "1", "safe": "2"}, {"safe": "2", "fast": "9"}) == "safe"
    with pytest.raises(ComparisonError):
        common_method({"fast": "1"}, {"fast": "2"})
