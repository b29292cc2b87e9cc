"""What an ALTER TABLE of the log makes of a description, and what a target has to do."""

from typing import Final

import pytest

from connectors.mysql.binlog.columns import Form
from connectors.mysql.ddl import parse
from connectors.mysql.ddl_steps import AlterTable, Understood
from connectors.mysql.ddl_tokens import Speech
from connectors.mysql.description import DescribedColumn, Description, declared
from connectors.mysql.flavour import Flavour
from connectors.mysql.schema_change import Alteration, altered
from engine.model.relation import TableName
from engine.plan import schema

COLUMNS: Final = {"id": "int", "a": "int", "b": "varchar(9)", "c": "date"}

UTF8: Final = "character set utf8mb4"
UTF8MB3: Final = "character set utf8mb3"
ASCII: Final = "CHARACTER SET ascii"
LATIN1: Final = "character set latin1"
GBK: Final = "character set gbk"

T: Final = Description(
    TableName("shop", "t"),
    tuple(
        [DescribedColumn(name, declared(type_, "", ""), True) for name, type_ in COLUMNS.items()]
    ),
    {"PRIMARY": ("id",)},
    "utf8mb4",
    "utf8mb4_bin",
)


def after(actions: str) -> Alteration:
    return altered(T, parsed(actions).actions, Form.NATIVE, strict=True)


def parsed(actions: str) -> AlterTable:
    speech = Speech(Flavour(mariadb=False, version=(9, 0, 0)))
    found = parse(f"ALTER TABLE t {actions}", "shop", speech)
    assert isinstance(found, Understood)
    (step,) = found.steps
    assert isinstance(step, AlterTable)
    return step


def named(change: Alteration) -> dict[str, str]:
    return {column.name: column.type.base for column in change.description.columns}


@pytest.mark.parametrize(
    "actions",
    [
        "RENAME COLUMN a TO c, RENAME COLUMN c TO a",
        "RENAME COLUMN c TO a, RENAME COLUMN a TO c",
        "CHANGE a c int, CHANGE c a date",
        "CHANGE c a date, CHANGE a c int",
    ],
)
def test_columns_that_swap_their_names_keep_their_places_and_types(actions: str) -> None:
    change = after(actions)
    assert list(named(change).items()) == [
        ("id", "int"), ("c", "int"), ("b", "varchar"), ("a", "date"),
    ]  # fmt: skip
    assert {step.kind for step in change.steps} == {schema.RENAME}
    assert len(change.steps) == 3


def test_names_that_are_handed_on_in_a_ring() -> None:
    change = after("RENAME COLUMN a TO b, RENAME COLUMN b TO c, RENAME COLUMN c TO a")
    assert list(named(change)) == ["id", "b", "c", "a"]


def test_a_place_is_behind_the_column_that_has_the_name_afterwards() -> None:
    change = after("RENAME COLUMN a TO c, RENAME COLUMN c TO a, ADD COLUMN d int AFTER c")
    assert list(named(change)) == ["id", "c", "d", "b", "a"]


def test_a_change_may_move_the_column_under_its_new_name() -> None:
    assert list(named(after("CHANGE a z bigint AFTER c"))) == ["id", "b", "c", "z"]
    assert list(named(after("MODIFY c date FIRST, DROP COLUMN a"))) == ["c", "id", "b"]


@pytest.mark.parametrize(
    "type_", ["varchar(9) character set sjis", "text character set latin1", "enum('x') charset gbk"]
)
def test_a_character_set_without_a_collation(type_: str) -> None:
    (*_, column) = after(f"ADD COLUMN d {type_}").description.columns
    assert column.type.charset == type_.rsplit(maxsplit=1)[-1]
    assert column.type.collation == ""


RETYPE, REWRITE = [schema.RETYPE], [schema.REWRITE]
NOTHING: list[str] = []


@pytest.mark.parametrize(
    ("old", "new", "native", "interchange", "lax"),
    [
        (f"varchar(9) {UTF8}", f"varchar(20) {UTF8}", RETYPE, RETYPE, RETYPE),
        (f"varchar(9) {UTF8}", f"varchar(20) {UTF8MB3}", RETYPE, RETYPE, REWRITE),
        (f"varchar(9) {UTF8}", f"varchar(9) {LATIN1}", NOTHING, NOTHING, REWRITE),
        (f"varchar(9) {LATIN1}", f"varchar(9) {UTF8}", RETYPE, NOTHING, RETYPE),
        (f"varchar(9) {LATIN1}", f"varchar(9) {GBK}", RETYPE, NOTHING, REWRITE),
        (f"varchar(9) {UTF8}", f"varchar(5) {UTF8}", NOTHING, NOTHING, REWRITE),
        (f"varchar(64) {UTF8}", f"varchar(63) {UTF8}", REWRITE, REWRITE, REWRITE),
        (f"varchar(400) {LATIN1}", f"varchar(300) {LATIN1}", NOTHING, NOTHING, REWRITE),
        (f"varchar(256) {LATIN1}", f"varchar(255) {LATIN1}", REWRITE, REWRITE, REWRITE),
        (f"varchar(9) {LATIN1}", f"varchar(5) {UTF8}", REWRITE, REWRITE, REWRITE),
        (f"varchar(9) {UTF8}", f"varchar(5) {UTF8} COLLATE utf8mb4_bin", REWRITE, REWRITE, REWRITE),
        (f"char(9) {UTF8}", f"varchar(5) {UTF8}", RETYPE, RETYPE, REWRITE),
        (f"char(9) {UTF8}", f"char(5) {UTF8}", NOTHING, NOTHING, REWRITE),
        (f"text {UTF8}", f"varchar(50) {UTF8}", REWRITE, REWRITE, REWRITE),
        (f"varchar(9) {UTF8}", f"char(9) {UTF8}", REWRITE, REWRITE, REWRITE),
        (f"char(9) {UTF8}", f"varchar(9) {UTF8}", RETYPE, NOTHING, RETYPE),
        (f"varchar(200) {UTF8}", f"tinytext {UTF8}", REWRITE, REWRITE, REWRITE),
        (f"text {UTF8}", f"mediumtext {UTF8}", RETYPE, NOTHING, RETYPE),
        (f"text {UTF8}", f"tinytext {UTF8}", REWRITE, REWRITE, REWRITE),
        (f"text {LATIN1}", f"text {UTF8}", REWRITE, REWRITE, REWRITE),
        (f"text {LATIN1}", f"mediumtext {UTF8}", RETYPE, NOTHING, RETYPE),
        (f"text {UTF8MB3}", f"text {UTF8}", RETYPE, NOTHING, RETYPE),
        (f"text {UTF8}", f"text {UTF8MB3}", NOTHING, NOTHING, REWRITE),
        (f"text {ASCII}", f"text {UTF8MB3}", RETYPE, NOTHING, RETYPE),
        (f"text {LATIN1}", f"text {UTF8MB3}", REWRITE, REWRITE, REWRITE),
        (f"longtext {LATIN1}", f"longtext {UTF8}", RETYPE, NOTHING, RETYPE),
        (f"varchar(80) {UTF8MB3}", f"tinytext {UTF8}", RETYPE, RETYPE, RETYPE),
        (f"varchar(9) {LATIN1}", f"varchar(9) {UTF8MB3}", RETYPE, NOTHING, RETYPE),
        (f"enum('ü') {LATIN1}", f"enum('ü','日') {UTF8MB3}", RETYPE, NOTHING, RETYPE),
        ("float", "double", RETYPE, RETYPE, RETYPE),
        ("float", "double(8,2)", REWRITE, REWRITE, REWRITE),
        ("float", "double(8,0)", REWRITE, REWRITE, REWRITE),
        (f"enum('ü') {UTF8}", f"enum('ü','日') {LATIN1}", REWRITE, REWRITE, REWRITE),
        (f"enum('ü') {UTF8}", f"enum('ü','日') {UTF8}", RETYPE, NOTHING, RETYPE),
        ("binary(4)", "binary(4)", NOTHING, NOTHING, NOTHING),
        ("binary(4)", "binary(8)", REWRITE, REWRITE, REWRITE),
        ("varbinary(4)", "varbinary(8)", RETYPE, NOTHING, RETYPE),
        ("json", "json", NOTHING, NOTHING, NOTHING),
        ("int", "mediumint", NOTHING, NOTHING, REWRITE),
        ("int", "int unsigned", RETYPE, RETYPE, REWRITE),
        ("int unsigned", "int", RETYPE, NOTHING, REWRITE),
        ("bigint", "bigint unsigned", RETYPE, RETYPE, REWRITE),
        ("bigint unsigned", "bigint", RETYPE, NOTHING, REWRITE),
    ],
)
def test_what_a_new_type_may_take_from_existing_values(
    old: str, new: str, native: list[str], interchange: list[str], lax: list[str]
) -> None:
    """A strict session refuses what does not fit; in others values are cut and become `?`, which
    no row of the log shows, even where the target's type stays what it is."""

    def kinds(form: Form, *, strict: bool) -> list[str]:
        first = after(f"ADD COLUMN d {old}").description
        step = parsed(f"MODIFY COLUMN d {new}")
        return [step.kind for step in altered(first, step.actions, form, strict=strict).steps]

    assert kinds(Form.NATIVE, strict=True) == native
    assert kinds(Form.INTERCHANGE, strict=True) == interchange
    assert kinds(Form.NATIVE, strict=False) == lax
    if lax == REWRITE:
        assert kinds(Form.INTERCHANGE, strict=False) == lax


@pytest.mark.parametrize(
    ("charset", "strict", "kinds"),
    [("utf8mb4", True, RETYPE), ("utf8mb4", False, RETYPE), ("gbk", False, REWRITE)],
)
def test_a_table_converted_to_a_character_set_changes_its_texts(
    charset: str, strict: bool, kinds: list[str]
) -> None:
    first = after(f"ADD COLUMN d varchar(9) {LATIN1}, DROP COLUMN b").description
    step = parsed(f"CONVERT TO CHARACTER SET {charset}")
    change = altered(first, step.actions, Form.NATIVE, strict=strict)
    assert [step.kind for step in change.steps] == kinds
