"""What a statement of the binary log does to tables, or that nobody here can tell. (pure)

A query event carries the text a session sent. Databases of this family accept far more forms than
any general SQL parser knows, read quotes by `sql_mode` and run parts of comments by version, so
this is a reader of their own grammar. It knows the whole of a statement or says that it does not:
a schema that is nearly right decodes rows into wrong columns.
"""

from collections.abc import Iterator
from typing import Final

from connectors.mysql.ddl_alter import PRIMARY, alter_actions
from connectors.mysql.ddl_columns import column_definition
from connectors.mysql.ddl_cursor import Cursor, UnknownFormError
from connectors.mysql.ddl_keys import at_key, key_definition, key_parts
from connectors.mysql.ddl_options import charset_options
from connectors.mysql.ddl_steps import (
    AddKey,
    AlterDatabase,
    AlterTable,
    ColumnDef,
    CreateDatabase,
    CreateLike,
    CreateTable,
    DropDatabase,
    DropKey,
    DropTable,
    KeyDef,
    NotUnderstood,
    RenameTable,
    Step,
    TruncateTable,
    Understood,
)
from connectors.mysql.ddl_tokens import Speech, UnreadableError
from engine.model.relation import TableName

OTHER_OBJECTS: Final = frozenset(
    {
        "AGGREGATE",
        "ALGORITHM",
        "DEFINER",
        "EVENT",
        "FUNCTION",
        "INSTANCE",
        "LIBRARY",
        "LOGFILE",
        "PACKAGE",
        "PROCEDURE",
        "RESOURCE",
        "ROLE",
        "SEQUENCE",
        "SERVER",
        "SQL",
        "TABLESPACE",
        "TRIGGER",
        "UNDO",
        "USER",
        "VIEW",
    }
)
"""What CREATE, ALTER and DROP may also be about; no row of a table shows it."""

WITHOUT_ROWS: Final = frozenset(
    {
        "ANALYZE",
        "BEGIN",
        "CHANGE",
        "CHECK",
        "CHECKSUM",
        "COMMIT",
        "FLUSH",
        "GRANT",
        "INSTALL",
        "KILL",
        "LOCK",
        "OPTIMIZE",
        "PURGE",
        "RELEASE",
        "REPAIR",
        "RESET",
        "REVOKE",
        "ROLLBACK",
        "SAVEPOINT",
        "SET",
        "START",
        "STOP",
        "UNINSTALL",
        "UNLOCK",
        "USE",
        "XA",
    }
)
"""First words of statements that touch no row and no column."""

WRITES: Final = frozenset(
    {"CALL", "DELETE", "DO", "INSERT", "LOAD", "MERGE", "REPLACE", "SELECT", "UPDATE", "WITH"}
)
"""First words of statements that stand in the log as text where rows should: STATEMENT format."""

KIND_WORDS: Final = frozenset(
    {"ALTER", "CREATE", "DROP", "RENAME", "TRUNCATE", *OTHER_OBJECTS, *WITHOUT_ROWS, *WRITES}
    | {"DATABASE", "INDEX", "OR", "SCHEMA", "TABLE", "TABLES", "TEMPORARY"}
)
"""Words that may be shown of a statement that is not understood."""

KIND_WORDS_MAX: Final = 3


def parse(sql: str, database: str, speech: Speech) -> Understood | NotUnderstood:
    """Read one statement. `database`: the session's, '' for none. Never raises."""
    try:
        cursor = Cursor(sql, speech, database)
    except UnreadableError:
        return NotUnderstood("statement")
    _skip_set_statement(cursor)
    kind = _kind(cursor)
    if cursor.ended:
        return Understood(kind)  # a comment, such as MariaDB's for an event it keeps from us
    reader = _Reader(cursor, database)
    try:
        steps = tuple(reader.steps())
    except UnknownFormError as error:
        return NotUnderstood(f"{kind} {error.form}".strip(), reader.named)
    return Understood(kind, steps)


def _skip_set_statement(cursor: Cursor) -> None:
    """MariaDB's SET STATEMENT variables FOR statement."""
    if cursor.take("SET", "STATEMENT"):
        while not cursor.ended and not cursor.take("FOR"):
            cursor.next()


def _kind(cursor: Cursor) -> str:
    words: list[str] = []
    while len(words) < KIND_WORDS_MAX and cursor.ahead(len(words)).keyword in KIND_WORDS:
        words.append(cursor.ahead(len(words)).keyword)
    return " ".join(words) or "statement"


class _Reader:
    """One statement. `named`: the tables that it touches, whatever else it says; None: any."""

    def __init__(self, cursor: Cursor, database: str) -> None:
        self._cursor = cursor
        self._database = database
        self.named: tuple[TableName, ...] | None = None

    def steps(self) -> Iterator[Step]:
        word = self._cursor.next().keyword
        if word in WITHOUT_ROWS:
            return
        reader = {
            "ALTER": self._alter,
            "CREATE": self._create,
            "DROP": self._drop,
            "RENAME": self._rename,
            "TRUNCATE": self._truncate,
        }.get(word)
        if reader is None:
            raise UnknownFormError
        yield from reader()
        if not self._cursor.ended:
            raise UnknownFormError

    def _only_table(self) -> TableName:
        """The one table that this is about."""
        table = self._cursor.table()
        self.named = (table,)
        return table

    def _other(self) -> bool:
        """Whether this is about something else than tables; steps over all of it then."""
        if self._cursor.token.keyword not in OTHER_OBJECTS and not self._cursor.at_words(
            "SPATIAL", "REFERENCE"
        ):
            return False
        self._skip()
        return True

    def _skip(self) -> None:
        while not self._cursor.ended:
            self._cursor.next()

    # --- CREATE -------------------------------------------------------------------------------

    def _create(self) -> Iterator[Step]:
        cursor = self._cursor
        replace = cursor.take("OR", "REPLACE")
        if self._other():
            return
        if cursor.take("TEMPORARY"):
            self._skip()  # seen by its session alone
        elif cursor.take("TABLE"):
            yield self._create_table(replace=replace)
        elif cursor.take_one("DATABASE", "SCHEMA"):
            guarded = cursor.if_not_exists()
            name = cursor.name()
            charset, collation = charset_options(cursor, commas=True)
            yield CreateDatabase(
                name=name,
                charset=charset,
                collation=collation,
                if_not_exists=guarded,
                replace=replace,
            )
        else:
            yield self._create_index()

    def _create_table(self, *, replace: bool) -> Step:
        cursor = self._cursor
        guarded = cursor.if_not_exists()
        table = self._only_table()
        like = self._like()
        if like is not None:
            return CreateLike(table=table, like=like, if_not_exists=guarded, replace=replace)
        if not cursor.take_symbol("("):
            raise UnknownFormError("SELECT")
        columns, keys = self._definitions()
        charset, collation = charset_options(cursor, commas=True)
        if cursor.take("PARTITION", "BY"):
            self._partitions()
        return CreateTable(
            table=table,
            columns=tuple(columns),
            keys=tuple(keys),
            charset=charset,
            collation=collation,
            if_not_exists=guarded,
            replace=replace,
        )

    def _like(self) -> TableName | None:
        cursor = self._cursor
        if cursor.take("LIKE"):
            return cursor.table()
        if cursor.at_symbol("(") and cursor.ahead().keyword == "LIKE":
            cursor.next()
            cursor.next()
            like = cursor.table()
            cursor.expect_symbol(")")
            return like
        return None

    def _definitions(self) -> tuple[list[ColumnDef], list[KeyDef]]:
        cursor = self._cursor
        columns: list[ColumnDef] = []
        keys: list[KeyDef] = []
        while True:
            if cursor.at_words("PERIOD", "FOR") or cursor.token.keyword == "SELECT":
                raise UnknownFormError(cursor.token.keyword)
            if at_key(cursor):
                found = key_definition(cursor)
                keys += [] if found is None else [found[0]]
            else:
                columns.append(column_definition(cursor))
            if cursor.take_symbol(")"):
                return columns, keys
            cursor.expect_symbol(",")

    def _partitions(self) -> None:
        """To the end; a query may follow them too."""
        cursor = self._cursor
        while not cursor.ended:
            if cursor.token.keyword in ("SELECT", "AS"):
                raise UnknownFormError("SELECT")
            if cursor.at_symbol("("):
                cursor.skip_brackets()
            else:
                cursor.next()

    def _create_index(self) -> Step:
        cursor = self._cursor
        cursor.take_one("ONLINE", "OFFLINE")
        unique = cursor.take("UNIQUE")
        if not unique:
            cursor.take_one("FULLTEXT", "SPATIAL", "VECTOR")
        cursor.expect("INDEX")
        guarded = cursor.if_not_exists()
        name = cursor.name()
        if cursor.take_one("USING", "TYPE"):
            cursor.name()
        cursor.expect("ON")
        table = self._only_table()
        cursor.skip_wait()
        parts = key_parts(cursor)
        self._skip()
        return AlterTable(table, (AddKey(KeyDef(name, parts, unique=unique), guarded),))

    # --- ALTER --------------------------------------------------------------------------------

    def _alter(self) -> Iterator[Step]:
        cursor = self._cursor
        ignoring = False
        while word := cursor.take_one("ONLINE", "OFFLINE", "IGNORE"):
            ignoring |= word == "IGNORE"
        if self._other():
            return
        if cursor.take_one("DATABASE", "SCHEMA"):
            yield self._alter_database()
            return
        cursor.expect("TABLE")
        guarded = cursor.if_exists()
        table = self._only_table()
        cursor.skip_wait()
        if cursor.mentions("RENAME"):
            self.named = None  # perhaps to the name of another one
        if ignoring:
            raise UnknownFormError("IGNORE")  # it may delete rows and cut values, and logs none
        self._exchange(table)
        yield AlterTable(table, tuple(alter_actions(cursor)), guarded)

    def _exchange(self, table: TableName) -> None:
        """Between a partition and another table: rows of both come and go."""
        cursor = self._cursor
        form = "EXCHANGE PARTITION"
        if cursor.take("EXCHANGE", "PARTITION"):
            cursor.name()
            cursor.expect("WITH", "TABLE")
        elif cursor.take("CONVERT", "TABLE"):
            form = "CONVERT PARTITION"
        else:
            return
        self.named = (table, cursor.table())
        raise UnknownFormError(form)

    def _alter_database(self) -> Step:
        cursor = self._cursor
        named = not cursor.at_words("DEFAULT") and cursor.token.keyword not in (
            "CHARACTER",
            "CHARSET",
            "COLLATE",
            "COMMENT",
        )
        name = cursor.name() if named else self._database
        charset, collation = charset_options(cursor, commas=True)
        return AlterDatabase(name, charset, collation)

    # --- DROP, RENAME, TRUNCATE ---------------------------------------------------------------

    def _drop(self) -> Iterator[Step]:
        cursor = self._cursor
        if self._other() or cursor.take("TEMPORARY"):
            self._skip()
            return
        while cursor.take_one("ONLINE", "OFFLINE"):
            pass
        if cursor.take_one("DATABASE", "SCHEMA"):
            guarded = cursor.if_exists()
            yield DropDatabase(cursor.name(), guarded)
        elif cursor.take("INDEX"):
            guarded = cursor.if_exists()
            name = cursor.name()
            cursor.expect("ON")
            table = self._only_table()
            self._skip()
            name = PRIMARY if name.upper() == PRIMARY else name
            yield AlterTable(table, (DropKey(name, guarded),))
        elif cursor.take_one("TABLE", "TABLES"):
            yield from self._drop_tables()
        elif cursor.take("PREPARE"):
            self._skip()
        else:
            raise UnknownFormError

    def _drop_tables(self) -> Iterator[Step]:
        cursor = self._cursor
        guarded = cursor.if_exists()
        while True:
            yield DropTable(cursor.table(), guarded)
            if not cursor.take_symbol(","):
                break
        cursor.skip_wait()
        cursor.take_one("RESTRICT", "CASCADE")

    def _rename(self) -> Iterator[Step]:
        cursor = self._cursor
        if cursor.take("USER"):
            self._skip()
            return
        if not cursor.take_one("TABLE", "TABLES"):
            raise UnknownFormError
        guarded = cursor.if_exists()
        while True:
            table = cursor.table()
            cursor.skip_wait()
            cursor.expect("TO")
            yield RenameTable(table, cursor.table(), guarded)
            if not cursor.take_symbol(","):
                return

    def _truncate(self) -> Iterator[Step]:
        self._cursor.take("TABLE")
        yield TruncateTable(self._only_table())
        self._cursor.skip_wait()
