"""Statements as sessions send them, and what they do."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mysql.ddl import parse
from connectors.mysql.ddl_steps import (
    Action,
    AddColumn,
    AddKey,
    AlterDatabase,
    AlterTable,
    ChangeColumn,
    ColumnDef,
    ConvertCharset,
    CreateDatabase,
    CreateLike,
    CreateTable,
    DefaultCharset,
    DropColumn,
    DropDatabase,
    DropKey,
    DropTable,
    KeyDef,
    KeyPart,
    NotUnderstood,
    Place,
    RenameColumn,
    RenameKey,
    RenameTable,
    RenameTo,
    SetDefault,
    SetVisible,
    Step,
    TruncateTable,
    Understood,
)
from connectors.mysql.ddl_tokens import (
    ANSI_QUOTES,
    NO_BACKSLASH_ESCAPES,
    REAL_AS_FLOAT,
    Speech,
)
from connectors.mysql.flavour import Flavour
from engine.model.relation import TableName

MYSQL: Final = Speech(Flavour(False, (9, 7, 4)))
OLD_MYSQL: Final = Speech(Flavour(False, (8, 0, 15)))
MARIADB: Final = Speech(Flavour(True, (10, 11, 18)))
T: Final = TableName("shop", "t")


def steps(sql: str, speech: Speech = MYSQL) -> tuple[Step, ...]:
    found = parse(sql, "shop", speech)
    assert isinstance(found, Understood), found
    return found.steps


def actions(sql: str, speech: Speech = MYSQL) -> tuple[Action, ...]:
    (step,) = steps(f"ALTER TABLE t {sql}", speech)
    assert isinstance(step, AlterTable)
    assert step.table == T
    return step.actions


def column(definition: str, speech: Speech = MYSQL) -> ColumnDef:
    (step,) = steps(f"CREATE TABLE t (c {definition})", speech)
    assert isinstance(step, CreateTable)
    return step.columns[0]


def table(sql: str, speech: Speech = MYSQL) -> CreateTable:
    (step,) = steps(sql, speech)
    assert isinstance(step, CreateTable)
    return step


# --- columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "type"),
    [
        ("int", "int"),
        ("INT(11) UNSIGNED ZEROFILL", "int(11) unsigned zerofill"),
        ("integer zerofill", "int unsigned zerofill"),
        ("INT8 SIGNED", "bigint"),
        ("middleint", "mediumint"),
        ("bool", "tinyint(1)"),
        ("SERIAL", "bigint unsigned"),
        ("decimal", "decimal(10,0)"),
        ("NUMERIC( 65 , 30 ) unsigned", "decimal(65,30) unsigned"),
        ("dec(5)", "decimal(5,0)"),
        ("double precision", "double"),
        ("float(7,3)", "float(7,3)"),
        ("float(24)", "float"),
        ("float4(25) unsigned", "double unsigned"),
        ("real", "double"),
        ("bit", "bit(1)"),
        ("year(4)", "year(4)"),
        ("datetime(6)", "datetime(6)"),
        ("timestamp", "timestamp"),
        ("char", "char(1)"),
        ("character varying(20)", "varchar(20)"),
        ("long varbinary", "mediumblob"),
        ("long", "mediumtext"),
        ("char(3) byte", "binary(3)"),
        ("varbinary(16)", "varbinary(16)"),
        ("ENUM('a','it''s','b\\'c ', \"d\")", "enum('a','it''s','b''c','d')"),
        ("set('x', 'y')", "set('x','y')"),
        ("json", "json"),
        ("geometry srid 4326", "geometry"),
        ("point not null", "point"),
        ("vector(3)", "vector(3)"),
    ],
)
def test_a_type_is_spelled_as_the_catalog_spells_it(written: str, type: str) -> None:
    assert column(written).type == type


def test_what_mariadb_has_of_its_own() -> None:
    assert column("json", MARIADB) == ColumnDef(
        name="c", type="longtext", charset="utf8mb4", collation="utf8mb4_bin"
    )
    assert column("uuid", MARIADB).type == "uuid"
    assert column("inet6", MARIADB).type == "inet6"
    assert column("text compressed=zlib null", MARIADB).compressed
    assert column("int as (1) persistent", MARIADB).stored
    assert column("int default (1 + 2)", MARIADB).default == "(1 + 2)"
    assert column("bigint default next value for shop.s", MARIADB).default is not None
    assert column("int without system versioning", MARIADB).type == "int"


def test_sql_mode_decides_what_real_is() -> None:
    assert column("real", Speech(MYSQL.flavour, REAL_AS_FLOAT)).type == "float"


@pytest.mark.parametrize(
    ("written", "charset", "collation"),
    [
        ("varchar(9)", "", ""),
        ("varchar(9) CHARACTER SET latin1", "latin1", ""),
        ("varchar(9) charset 'utf8mb4' collate utf8mb4_bin not null", "utf8mb4", "utf8mb4_bin"),
        ("text collate latin1_swedish_ci", "", "latin1_swedish_ci"),
        ("char(3) ascii", "latin1", ""),
        ("char(3) unicode", "ucs2", ""),
        ("char(3) binary", "", "_bin"),
        ("char(3) character set latin1 binary", "latin1", "latin1_bin"),
        ("char(3) binary character set latin1", "latin1", "latin1_bin"),
        ("nchar(3)", "utf8mb3", ""),
        ("national character varying(3)", "utf8mb3", ""),
        ("enum('a') charset gbk", "gbk", ""),
        ("varchar(9) not null collate utf8mb4_general_ci", "", "utf8mb4_general_ci"),
    ],
)
def test_a_character_set_of_a_column(written: str, charset: str, collation: str) -> None:
    found = column(written)
    assert (found.charset, found.collation) == (charset, collation)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("int not null", {"nullable": False}),
        ("int null default null", {"default": "NULL"}),
        ("int default -5 comment 'a, b) c'", {"default": "-5"}),
        ("bit(3) default b'101'", {"default": "b'101'"}),
        ("binary(2) default x'4142'", {"default": "x'4142'"}),
        ("char(1) default _latin1'x' not null", {"default": "_latin1'x'", "nullable": False}),
        ("json default (json_array(1, ')'))", {"default": "(json_array(1, ')'))"}),
        (
            "timestamp(6) not null default current_timestamp(6) on update now(6)",
            {"nullable": False, "default": "current_timestamp(6)", "on_update": "now(6)"},
        ),
        ("int as (a + 1)", {"generated": "a + 1"}),
        ("int generated always as (a * (b)) stored", {"generated": "a * (b)", "stored": True}),
        ("int invisible", {"invisible": True}),
        ("int visible column_format fixed storage disk", {}),
        ("int auto_increment unique", {"auto_increment": True, "nullable": False, "key": "unique"}),
        ("int primary key", {"nullable": False, "key": "primary"}),
        ("int key", {"nullable": False, "key": "primary"}),
        ("int check (c > 0) not enforced", {}),
        ("int constraint x check (c > 0)", {}),
        (
            "int references u (id) on delete set null on update no action default 3",
            {"default": "3"},
        ),
        ("int engine_attribute = '{}'", {}),
        ("int serial default value", {"auto_increment": True, "nullable": False, "key": "unique"}),
    ],
)
def test_attributes_of_a_column(written: str, expected: dict[str, object]) -> None:
    found = column(written.lower().replace("null default null", "NULL DEFAULT NULL"))
    assert found == ColumnDef(name="c", type=found.type, **expected)  # type: ignore[arg-type]


# --- tables ---------------------------------------------------------------------------------------


def test_a_table_with_keys_and_options() -> None:
    found = table(
        """CREATE TABLE IF NOT EXISTS `odd``name`.`t 1` (
             `id` int unsigned NOT NULL AUTO_INCREMENT, # the key
             `key` varchar(20) COLLATE utf8mb4_bin DEFAULT 'x', -- another
             body text, place point NOT NULL,
             PRIMARY KEY USING BTREE (`id` DESC) COMMENT 'p',
             UNIQUE KEY `u` (`key`(10), id), INDEX (body(5)),
             FULLTEXT KEY f (body) WITH PARSER ngram,
             SPATIAL INDEX s (place), KEY e ((lower(`key`)), id),
             CONSTRAINT fk FOREIGN KEY (id) REFERENCES other (id) ON DELETE CASCADE,
             CONSTRAINT positive CHECK (id > 0) NOT ENFORCED, CHECK (id < 9)
           ) ENGINE=InnoDB AUTO_INCREMENT=7, DEFAULT CHARSET=utf8mb4 COLLATE = utf8mb4_general_ci
             COMMENT='charset = latin1'
             PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (9))"""
    )
    assert found.table == TableName("odd`name", "t 1")
    assert found.if_not_exists
    assert [each.name for each in found.columns] == ["id", "key", "body", "place"]
    assert (found.charset, found.collation) == ("utf8mb4", "utf8mb4_general_ci")
    assert found.keys == (
        KeyDef("", (KeyPart("id"),), unique=True, primary=True),
        KeyDef("u", (KeyPart("key", 10), KeyPart("id")), unique=True),
        KeyDef("", (KeyPart("body", 5),)),
        KeyDef("f", (KeyPart("body"),)),
        KeyDef("s", (KeyPart("place"),)),
        KeyDef("e", (KeyPart(""), KeyPart("id"))),
    )


def test_a_named_constraint_names_its_key() -> None:
    keys = table("CREATE TABLE t (a int, CONSTRAINT c UNIQUE (a), CONSTRAINT UNIQUE d (a))").keys
    assert [key.name for key in keys] == ["c", "d"]


@pytest.mark.parametrize("like", ["LIKE shop2.u", "(LIKE `shop2`.`u`)"])
def test_a_table_like_another(like: str) -> None:
    expected = CreateLike(table=T, like=TableName("shop2", "u"))
    assert steps(f"CREATE TABLE t {like}") == (expected,)


def test_a_replaced_table() -> None:
    assert table("CREATE OR REPLACE TABLE t (a int)", MARIADB).replace


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("CREATE TABLE t AS SELECT 1 AS a", "CREATE TABLE SELECT"),
        ("CREATE TABLE t SELECT * FROM u", "CREATE TABLE SELECT"),
        ("CREATE TABLE t (a int) SELECT 1 AS a", "CREATE TABLE SELECT"),
        ("CREATE TABLE t (a int) ENGINE=InnoDB IGNORE SELECT 1 AS a", "CREATE TABLE SELECT"),
        (
            "CREATE TABLE t (a int) WITH SYSTEM VERSIONING",
            "CREATE TABLE WITH SYSTEM VERSIONING",
        ),
        (
            "CREATE TABLE t (a int, s timestamp(6) GENERATED ALWAYS AS ROW START)",
            "CREATE TABLE column of a system-versioned table",
        ),
        ("CREATE TABLE t (a int, PERIOD FOR SYSTEM_TIME (s, e))", "CREATE TABLE PERIOD"),
        ("CREATE TABLE t (a int frobnicate)", "CREATE TABLE column attribute"),
        ("CREATE TABLE t (a int) FROBNICATE", "CREATE TABLE"),
        ("ALTER TABLE t DROP PARTITION p0", "ALTER TABLE DROP PARTITION"),
        ("ALTER TABLE t TRUNCATE PARTITION ALL", "ALTER TABLE TRUNCATE PARTITION"),
        ("ALTER TABLE t CONVERT PARTITION p TO TABLE u", "ALTER TABLE CONVERT PARTITION"),
        ("ALTER TABLE t IMPORT TABLESPACE", "ALTER TABLE IMPORT TABLESPACE"),
        ("ALTER TABLE t ADD SYSTEM VERSIONING", "ALTER TABLE ADD SYSTEM VERSIONING"),
        ("ALTER TABLE t FROBNICATE COLUMN secret", "ALTER TABLE"),
        ("ALTER IGNORE TABLE t ADD UNIQUE (a)", "ALTER IGNORE"),
        ("ALTER TABLE t ADD a int 'secret'", "ALTER TABLE column attribute"),
    ],
)
def test_what_is_not_understood_names_its_kind_and_its_table(sql: str, kind: str) -> None:
    assert parse(sql, "shop", MARIADB) == NotUnderstood(kind, (T,))


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("EXCHANGE PARTITION p WITH TABLE u WITHOUT VALIDATION", "EXCHANGE PARTITION"),
        ("CONVERT TABLE u TO PARTITION p VALUES LESS THAN (5)", "CONVERT PARTITION"),
    ],
)
def test_tables_that_give_each_other_their_rows_are_both_named(sql: str, kind: str) -> None:
    found = parse(f"ALTER TABLE t {sql}", "shop", MARIADB)
    assert found == NotUnderstood(f"ALTER TABLE {kind}", (T, TableName("shop", "u")))


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("INSERT INTO t VALUES ('secret')", "INSERT"),
        ("UPDATE t SET a = 'secret'", "UPDATE"),
        ("CALL secret()", "CALL"),
        ("FROBNICATE secret", "statement"),
        ("ALTER TABLE t FROBNICATE, RENAME TO u", "ALTER TABLE"),
        ("RENAME TABLE t TO", "RENAME TABLE"),
        ("DROP TABLE t, 'secret'", "DROP TABLE"),
        ("ALTER TABLE `t", "statement"),
        ("/* secret", "statement"),
        ("CREATE secret", "CREATE"),
    ],
)
def test_a_statement_of_unknown_reach_may_touch_any_table(sql: str, kind: str) -> None:
    assert parse(sql, "shop", MYSQL) == NotUnderstood(kind, None)


# --- ALTER TABLE ----------------------------------------------------------------------------------

INT: Final = ColumnDef(name="a", type="int")
B: Final = ColumnDef(name="b", type="int")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ADD a int", [AddColumn(INT)]),
        ("ADD COLUMN a int FIRST", [AddColumn(INT, Place())]),
        ("ADD COLUMN a int AFTER `x y`", [AddColumn(INT, Place("x y"))]),
        ("ADD COLUMN IF NOT EXISTS a int", [AddColumn(INT, None, if_not_exists=True)]),
        ("ADD (a int, b int)", [AddColumn(INT), AddColumn(B)]),
        (
            "ADD COLUMN (a int, KEY k (a))",
            [AddColumn(INT), AddKey(KeyDef("k", (KeyPart("a"),)))],
        ),
        ("DROP a", [DropColumn("a")]),
        ("DROP COLUMN a, DROP COLUMN IF EXISTS b", [DropColumn("a"), DropColumn("b", True)]),
        ("DROP COLUMN a RESTRICT", [DropColumn("a")]),
        ("MODIFY a int", [ChangeColumn("a", INT)]),
        ("MODIFY COLUMN a int FIRST", [ChangeColumn("a", INT, Place())]),
        ("CHANGE x a int AFTER b", [ChangeColumn("x", INT, Place("b"))]),
        ("CHANGE COLUMN IF EXISTS x a int", [ChangeColumn("x", INT, None, if_exists=True)]),
        (
            "RENAME COLUMN a TO b, RENAME COLUMN b TO a",
            [RenameColumn("a", "b"), RenameColumn("b", "a")],
        ),
        ("ALTER a SET DEFAULT 'x,y'", [SetDefault("a", "'x,y'")]),
        ("ALTER COLUMN a DROP DEFAULT", [SetDefault("a", None)]),
        ("ALTER COLUMN a SET INVISIBLE", [SetVisible("a", False)]),
        ("ALTER COLUMN a SET VISIBLE", [SetVisible("a", True)]),
        ("ADD PRIMARY KEY (a)", [AddKey(KeyDef("", (KeyPart("a"),), True, True))]),
        ("ADD UNIQUE k (a)", [AddKey(KeyDef("k", (KeyPart("a"),), True))]),
        ("ADD INDEX IF NOT EXISTS k (a)", [AddKey(KeyDef("k", (KeyPart("a"),)), True)]),
        ("ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (a)", []),
        ("ADD CONSTRAINT c CHECK (a > 0)", []),
        ("DROP PRIMARY KEY, DROP KEY k", [DropKey("PRIMARY"), DropKey("k")]),
        ("DROP INDEX IF EXISTS k", [DropKey("k", True)]),
        ("DROP FOREIGN KEY f, DROP CHECK c", []),
        ("DROP CONSTRAINT u", [DropKey("u", True)]),
        ("RENAME INDEX k TO l", [RenameKey("k", "l")]),
        ("ALTER INDEX k INVISIBLE, ALTER CHECK c NOT ENFORCED", []),
        ("RENAME u", [RenameTo(TableName("shop", "u"))]),
        ("RENAME TO other.u", [RenameTo(TableName("other", "u"))]),
        ("RENAME AS u, ADD a int", [RenameTo(TableName("shop", "u")), AddColumn(INT)]),
        ("CONVERT TO CHARACTER SET latin1", [ConvertCharset("latin1")]),
        (
            "CONVERT TO CHARSET utf8mb4 COLLATE utf8mb4_bin",
            [ConvertCharset("utf8mb4", "utf8mb4_bin")],
        ),
        ("CONVERT TO CHARACTER SET DEFAULT", [ConvertCharset("")]),
        ("DEFAULT CHARACTER SET = latin1", [DefaultCharset("latin1")]),
        ("CHARSET latin1 COLLATE latin1_bin", [DefaultCharset("latin1", "latin1_bin")]),
        ("COLLATE = utf8mb4_bin, ENGINE=InnoDB", [DefaultCharset("", "utf8mb4_bin")]),
        ("ENGINE=InnoDB ROW_FORMAT = DYNAMIC COMMENT 'drop column a'", []),
        ("ADD a int, ALGORITHM=INSTANT, LOCK=NONE", [AddColumn(INT)]),
        ("FORCE", []),
        ("DISABLE KEYS", []),
        ("ORDER BY a, b DESC", []),
        ("PARTITION BY HASH (a) PARTITIONS 4", []),
        ("ENGINE=InnoDB PARTITION BY HASH (a)", []),
        ("REMOVE PARTITIONING", []),
        ("ADD PARTITION (PARTITION p VALUES IN (1, 2))", []),
        ("REORGANIZE PARTITION p, q INTO (PARTITION r VALUES LESS THAN (3))", []),
        ("PAGE_COMPRESSED=1 `encrypted`=YES", []),
        ("UNION = (a, b)", []),
        ("", []),
    ],
)
def test_actions_of_an_alter_table(sql: str, expected: list[Action]) -> None:
    assert actions(sql) == tuple(expected)


def test_more_ways_to_begin_an_alter_table() -> None:
    expected = (AlterTable(T, (AddColumn(INT),)),)
    assert steps("ALTER ONLINE TABLE t NOWAIT ADD a int", MARIADB) == expected
    assert steps("alter /* a tool */ table t wait 5 add a int;", MARIADB) == expected
    assert (
        steps("SET STATEMENT lock_wait_timeout=1 FOR ALTER TABLE t ADD a int", MARIADB) == expected
    )
    guarded = AlterTable(T, (AddColumn(INT),), if_exists=True)
    assert steps("ALTER TABLE IF EXISTS t ADD a int", MARIADB) == (guarded,)


def test_the_tables_of_a_statement() -> None:
    found = parse("ALTER TABLE t ADD a int, RENAME TO u", "shop", MYSQL)
    assert isinstance(found, Understood)
    assert (found.kind, found.tables) == ("ALTER TABLE", (T, TableName("shop", "u")))


# --- other statements -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DROP TABLE t", [DropTable(T)]),
        (
            "DROP TABLES IF EXISTS `t`,other.u CASCADE /* generated by server */",
            [DropTable(T, True), DropTable(TableName("other", "u"), True)],
        ),
        ("TRUNCATE t", [TruncateTable(T)]),
        ("TRUNCATE TABLE `t`", [TruncateTable(T)]),
        (
            "RENAME TABLE t TO x, u TO t, x TO u",
            [
                RenameTable(T, TableName("shop", "x")),
                RenameTable(TableName("shop", "u"), T),
                RenameTable(TableName("shop", "x"), TableName("shop", "u")),
            ],
        ),
        (
            "CREATE UNIQUE INDEX k USING BTREE ON t (a, b(3)) ALGORITHM=INPLACE",
            [AlterTable(T, (AddKey(KeyDef("k", (KeyPart("a"), KeyPart("b", 3)), True)),))],
        ),
        ("DROP INDEX k ON t", [AlterTable(T, (DropKey("k"),))]),
        ("DROP INDEX `PRIMARY` ON t LOCK=NONE", [AlterTable(T, (DropKey("PRIMARY"),))]),
        ("CREATE DATABASE d", [CreateDatabase(name="d")]),
        (
            "CREATE SCHEMA IF NOT EXISTS d DEFAULT CHARACTER SET latin1 COLLATE latin1_bin",
            [
                CreateDatabase(
                    name="d", charset="latin1", collation="latin1_bin", if_not_exists=True
                )
            ],
        ),
        ("ALTER DATABASE CHARACTER SET latin1", [AlterDatabase("shop", "latin1")]),
        ("ALTER DATABASE d COLLATE = utf8mb4_bin", [AlterDatabase("d", "", "utf8mb4_bin")]),
        ("ALTER SCHEMA d READ ONLY = 1", [AlterDatabase("d")]),
        ("DROP DATABASE IF EXISTS d", [DropDatabase("d", True)]),
        ("CREATE TEMPORARY TABLE t (a int)", []),
        ("DROP TEMPORARY TABLE IF EXISTS t", []),
        ("CREATE DEFINER=`u`@`h` TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1", []),
        ("CREATE OR REPLACE ALGORITHM=MERGE VIEW v AS SELECT * FROM t", []),
        ("DROP VIEW v", []),
        ("CREATE SPATIAL REFERENCE SYSTEM 9 NAME 'x' DEFINITION 'y'", []),
        ("GRANT SELECT ON shop.t TO u", []),
        ("BEGIN", []),
        ("XA START 'x'", []),
        ("SAVEPOINT `s`", []),
        ("RENAME USER a TO b", []),
        ("FLUSH TABLES", []),
        ("# Dummy event replacing event type 160 that slave cannot handle.", []),
    ],
)
def test_other_statements(sql: str, expected: list[Step]) -> None:
    assert steps(sql, MARIADB) == tuple(expected)


def test_a_name_without_a_database_is_the_session_s() -> None:
    assert parse("DROP TABLE t", "", MYSQL) == Understood(
        "DROP TABLE", (DropTable(TableName("", "t")),)
    )


# --- how words are read ---------------------------------------------------------------------------


def test_double_quotes_are_names_or_texts_by_sql_mode() -> None:
    ansi = Speech(MYSQL.flavour, ANSI_QUOTES)
    (step,) = steps('ALTER TABLE "t" ADD "a ""b" char(1) DEFAULT \'x\'', ansi)
    assert isinstance(step, AlterTable)
    assert step.actions == (AddColumn(ColumnDef(name='a "b', type="char(1)", default="'x'")),)
    assert column('char(1) DEFAULT "x"').default == '"x"'
    assert isinstance(parse('ALTER TABLE "t" ADD a int', "shop", MYSQL), NotUnderstood)


def test_a_backslash_escapes_or_not_by_sql_mode() -> None:
    assert column(r"enum('a\'b')").type == "enum('a''b')"
    plain = Speech(MYSQL.flavour, NO_BACKSLASH_ESCAPES)
    assert column(r"enum('a\','b')", plain).type == r"enum('a\\','b')"
    assert column(r"char(9) DEFAULT 'C:\n'", plain).default == r"'C:\\n'"
    assert column(r"char(9) DEFAULT 'C:\n'").default == r"'C:\n'"
    assert column(r"enum('a\\b', 'x\_y', 'line\n', '\t')").type == (
        "enum('a\\\\b','x\\\\_y','line\\n','\t')"
    )


@pytest.mark.parametrize(
    ("comment", "speech", "executed"),
    [
        ("/*! ADD a int */", MYSQL, True),
        ("/*!50100 ADD a int */", MYSQL, True),
        ("/*!80023 ADD a int */", OLD_MYSQL, False),
        ("/*!80023 ADD a int */", MYSQL, True),
        ("/*!99999 ADD a int */", MYSQL, False),
        ("/*!99999 ADD a int /* inner */ */", MYSQL, False),
        ("/*M! ADD a int */", MYSQL, False),
        ("/*M! ADD a int */", MARIADB, True),
        ("/*M!100300 ADD a int */", MARIADB, True),
        ("/*M!110800 ADD a int */", MARIADB, False),
        ("/*!50100 ADD a int */", MARIADB, True),
        ("/*!80000 ADD a int */", MARIADB, False),
        ("/*!100100 ADD a int */", MARIADB, True),
        ("/* ADD a int */", MYSQL, False),
        ("/*+ ADD a int */", MYSQL, False),
        ("-- ADD a int", MYSQL, False),
        ("--ADD", MYSQL, None),
    ],
)
def test_a_comment_counts_where_its_version_does(
    comment: str, speech: Speech, executed: bool | None
) -> None:
    found = parse(f"ALTER TABLE t {comment}", "shop", speech)
    if executed is None:
        assert found == NotUnderstood("ALTER TABLE", (T,))
    else:
        expected = (AddColumn(INT),) if executed else ()
        assert found == Understood("ALTER TABLE", (AlterTable(T, expected),))


def test_names_may_begin_with_digits_and_be_in_any_script() -> None:
    assert steps("DROP TABLE 1a.2, größe.`3`") == (
        DropTable(TableName("1a", "2")),
        DropTable(TableName("größe", "3")),
    )


VOCABULARY: Final = """
ALTER TABLE CREATE DROP RENAME TO ADD COLUMN a int ( ) , . ; ' " ` `t` 'x' /* */ /*!80000 -- #
DEFAULT NOT NULL PRIMARY KEY PARTITION BY LIKE SELECT 1 = AFTER FIRST SET CHARSET IF EXISTS
"""
WORDS: Final = st.sampled_from(VOCABULARY.split())


@given(st.lists(WORDS, max_size=25), st.sampled_from([MYSQL, MARIADB]))
def test_no_text_makes_it_raise_or_shows_in_what_it_says(words: list[str], speech: Speech) -> None:
    found = parse(" ".join(words), "shop", speech)
    assert "'" not in found.kind
    assert "`" not in found.kind


@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    parse(text, "", MYSQL)
    parse(f"ALTER TABLE t {text}", "", MARIADB)
    parse(f"CREATE TABLE t ({text})", "", MARIADB)
