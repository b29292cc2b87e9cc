"""The SQL of the event triggers."""

from pathlib import Path

from connectors.postgres.ddl_capture_sql import TRIGGERS, install, remove, script

GUIDE = Path(__file__).parents[4] / "docs" / "guide" / "schema-changes.md"


def test_the_guide_has_the_script_as_it_is() -> None:
    assert f"```sql\n{script()}```\n" in GUIDE.read_text()


def test_everything_that_is_made_is_removed() -> None:
    made = "\n".join(install("penstock", make_schema=False))
    gone = "\n".join(remove("penstock"))
    for name in TRIGGERS:
        assert f"CREATE EVENT TRIGGER {name} " in made
        assert f"DROP EVENT TRIGGER IF EXISTS {name}" in gone
    for text in ('FUNCTION IF EXISTS "penstock".penstock_capture_ddl()',
                 'FUNCTION IF EXISTS "penstock".penstock_capture_partition_drop()',
                 'SEQUENCE IF EXISTS "penstock".ddl_token'):  # fmt: skip
        assert f"DROP {text}" in gone


def test_nothing_of_the_template_is_left_over() -> None:
    for schema in ("penstock", 'it\'s \\ "odd"'):
        text = "\n".join(install(schema, make_schema=True))
        assert "@" not in text


def test_the_statement_text_is_only_looked_at_for_a_few_words() -> None:
    text = script()
    assert text.count("current_query()") == 3
    assert "current_query() ~* 'alter'" in text
    assert "current_query() !~* 'using'" in text
