"""Rows that were kept aside, on their way to who asks for them."""

from engine.control import kept_rows
from engine.control.errand import WRITTEN_BYTES_MAX
from engine.control.kept_rows import BYTES_MAX, LINE_BYTES_MAX, line, row_of, rows_of, shown
from engine.model.relation import TableName
from engine.model.state import QuarantinedRow, RejectedRow
from engine.quarantine import Opener

PAYLOAD = '{"wire":"postgres","columns":[],"new":{"v":"eA=="},"old":null}'


def kept(number: int, payload: str) -> QuarantinedRow:
    table = TableName("public", "t")
    row = RejectedRow(table, "public.t", "0/1", "insert", "rejected-row", "23514", "no", payload)
    return QuarantinedRow(number, "2026-01-01", row)


def test_a_row_comes_as_it_is_kept() -> None:
    assert row_of(line(kept(7, PAYLOAD))) == kept(7, PAYLOAD)


def test_a_row_that_is_too_large_is_told_without_its_values_and_others_come_behind_it() -> None:
    large = kept(7, PAYLOAD.replace("eA==", "A" * LINE_BYTES_MAX))
    page = line(large) + line(kept(8, PAYLOAD))
    found = [shown(each, Opener("r", ())) for each in rows_of(page)]
    assert [each["number"] for each in found] == [7, 8]
    assert (found[0]["sealed"], found[0]["hint"]) == (
        "the values are larger than 32MiB",
        kept_rows.LARGE,
    )
    assert "new" not in found[0]
    assert found[1]["new"] == {"v": "eA=="}


def test_every_page_fits_what_a_process_may_write() -> None:
    """Its rows but the last, and the last."""
    assert BYTES_MAX + LINE_BYTES_MAX < WRITTEN_BYTES_MAX
