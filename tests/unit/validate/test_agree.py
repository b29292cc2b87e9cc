"""How two shapes become one reading."""

from collections.abc import Mapping

import pytest

from engine.errors import ComparisonError
from engine.model.canonical import CANONICAL, TextForm
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
    forms: Mapping[str, tuple[TextForm, ...]] | None = None,
) -> TableShape:
    return TableShape(
        TableName("public", "t"),
        columns,
        generated,
        ("id",),
        {"id": "own"} if orders is None else orders,
        indexes,
        rows,
        forms or {},
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


NUMBER, TEXT, STRIPPED = TextForm.NUMBER, TextForm.TEXT, TextForm.STRIPPED


def test_the_sources_best_text_that_both_sides_print_is_taken() -> None:
    source = shape(forms={"a": (NUMBER, TEXT), "b": (STRIPPED,), "id": (NUMBER,)})
    target = shape(forms={"a": (TEXT, STRIPPED), "b": (TEXT, STRIPPED), "id": (NUMBER,)})
    readings = agree(source, target, CANONICAL)
    assert readings.source.forms == {"a": TEXT, "b": STRIPPED, "id": NUMBER}
    assert readings.source.forms == readings.target.forms
    assert (readings.uncompared, readings.source.ranged) == ((), True)


def test_a_column_without_a_common_text_is_not_compared_and_named() -> None:
    source = shape(forms={"a": (NUMBER,), "id": (NUMBER,)})
    readings = agree(source, shape(forms={"a": (TEXT,), "b": (TEXT,), "id": (NUMBER,)}), CANONICAL)
    assert (readings.source.columns, readings.uncompared) == (("id",), ("a", "b"))
    with pytest.raises(ComparisonError, match="no column whose values both sides print alike"):
        agree(source, shape(), CANONICAL)


def test_a_key_whose_text_no_index_finds_is_looked_for_by_reading() -> None:
    forms = {"a": (TEXT,), "b": (TEXT,), "id": (STRIPPED,)}
    reading = agree(shape(forms=forms), shape(forms=forms), CANONICAL).source
    assert (reading.key, reading.indexed, reading.ranged) == (("id",), False, False)


def test_a_method_over_whole_rows_needs_no_texts() -> None:
    assert agree(shape(), shape(), "m").source.forms == {}
