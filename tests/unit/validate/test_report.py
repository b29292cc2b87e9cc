"""What a report says, and its exit code."""

import json

from engine.model.relation import TableName
from engine.validate.report import KeyDifference, Report, TableReport


def table(**facts: object) -> TableReport:
    return TableReport(TableName("public", "t"), TableName("public", "t"), **facts)  # type: ignore[arg-type]


def report(*tables: TableReport) -> Report:
    return Report(tables, "m", 1.0)


def test_equal_tables_end_with_zero_differences() -> None:
    found = report(table(rows_source=1200, rows_target=1200))
    assert found.exit_code == 0
    assert found.text().splitlines()[-1] == "0 differences in 1 table, 1,200 rows"


def test_a_difference_lists_its_key_and_exits_1() -> None:
    found = report(table(different=1, keys=[KeyDifference("different", ("7", "x"))]))
    assert found.exit_code == 1
    assert "  different: 7, x" in found.text().splitlines()


def test_what_could_not_be_compared_exits_3_unless_a_difference_is_proven() -> None:
    assert report(table(problem="no")).exit_code == 3
    assert report(table(unsettled=2, reason="why")).exit_code == 3
    assert report(table(problem="no"), table(missing=1)).exit_code == 1


def test_differences_beyond_those_listed_are_mentioned() -> None:
    keys = [KeyDifference("missing", ("1",))]
    assert "  and 4 more" in report(table(missing=5, keys=keys)).text().splitlines()


def test_hashes_of_rows_without_key_are_not_shown_as_keys() -> None:
    found = report(table(keyed=False, missing=2, keys=[KeyDifference("missing", ("-991",))]))
    assert "991" not in found.text()
    assert json.loads(found.json())["tables"][0]["keys"] == []


def test_the_json_form_holds_the_verdict_and_every_table() -> None:
    document = json.loads(report(table(missing=1), table()).json())
    assert (document["equal"], document["differences"]) == (False, 1)
    assert [t["equal"] for t in document["tables"]] == [False, True]
    assert document["tables"][0]["source"] == "public.t"


def test_columns_that_were_not_compared_are_named_and_not_called_equal() -> None:
    found = report(table(rows_source=2, rows_target=2, uncompared=("ratio", "shape")))
    assert found.exit_code == 3
    assert found.text().splitlines() == [
        "public.t: equal but for what was not compared: 2 rows in the source, 2 in the target",
        "  not compared, both sides print no common text: ratio, shape",
        "0 differences in 1 table, 2 rows; 2 columns could not be compared",
    ]
    assert json.loads(found.json())["tables"][0]["uncompared"] == ["ratio", "shape"]
