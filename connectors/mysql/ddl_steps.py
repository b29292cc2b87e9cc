"""What a statement of the log does to tables: the steps that a schema history takes. (pure)

Names are as the server stores them in its catalog, but for `lower_case_table_names`, which whoever
keeps the history applies; the schema is empty where the session had no database. What a step does
not say stays as it was.
"""

from dataclasses import dataclass
from typing import TypeAlias

from engine.model.relation import TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDef:
    """A column as it was declared.

    `type` is spelled as `information_schema.COLUMNS.COLUMN_TYPE` spells it, without what only a
    server would add. `charset` and `collation` are empty where the table's count; the collation
    "_bin" is the one by code of whatever the character set is. `default`, `on_update` and
    `generated` are SQL as it was written, None where there is none, but that a backslash escapes in
    a default in every mode. `key` is "primary" or "unique" where the column itself says so.
    """

    name: str
    type: str
    charset: str = ""
    collation: str = ""
    nullable: bool = True
    default: str | None = None
    on_update: str | None = None
    generated: str | None = None
    stored: bool = False
    invisible: bool = False
    auto_increment: bool = False
    compressed: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class KeyPart:
    """A column of a key. `prefix` is how many characters or bytes count, 0 for all; `column` is
    empty for an expression."""

    column: str
    prefix: int = 0


@dataclass(frozen=True, slots=True)
class KeyDef:
    """A key. `name` is empty where the server makes one up; a primary key has none."""

    name: str
    parts: tuple[KeyPart, ...]
    unique: bool = False
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column goes: after another one, or first when `after` is empty."""

    after: str = ""


# --- what an ALTER TABLE does, in order -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddColumn:
    """At the end where `place` is None."""

    column: ColumnDef
    place: Place | None = None
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropColumn:
    name: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class ChangeColumn:
    """A column declared anew, MODIFY (`name` stays) as well as CHANGE; in its place where `place`
    is None."""

    name: str
    column: ColumnDef
    place: Place | None = None
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class RenameColumn:
    name: str
    to: str


@dataclass(frozen=True, slots=True)
class SetDefault:
    """`default` is None after DROP DEFAULT."""

    column: str
    default: str | None


@dataclass(frozen=True, slots=True)
class SetVisible:
    column: str
    visible: bool


@dataclass(frozen=True, slots=True)
class AddKey:
    key: KeyDef
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropKey:
    """`name` is PRIMARY for the primary key."""

    name: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class RenameKey:
    name: str
    to: str


@dataclass(frozen=True, slots=True)
class DefaultCharset:
    """What new columns get. Empty: the one that follows from the other."""

    charset: str = ""
    collation: str = ""


@dataclass(frozen=True, slots=True)
class ConvertCharset:
    """Every character column, and what new ones get. `charset` is empty for the database's."""

    charset: str
    collation: str = ""


@dataclass(frozen=True, slots=True)
class RenameTo:
    """The table is called so from here on, also for what the same statement says after it."""

    to: TableName


Action: TypeAlias = (
    AddColumn
    | DropColumn
    | ChangeColumn
    | RenameColumn
    | SetDefault
    | SetVisible
    | AddKey
    | DropKey
    | RenameKey
    | DefaultCharset
    | ConvertCharset
    | RenameTo
)

# --- what statements do ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTable:
    """`replace`: a table of that name goes first. `if_not_exists`: one of that name stays."""

    table: TableName
    columns: tuple[ColumnDef, ...]
    keys: tuple[KeyDef, ...] = ()
    charset: str = ""
    collation: str = ""
    if_not_exists: bool = False
    replace: bool = False

    @property
    def tables(self) -> tuple[TableName, ...]:
        return (self.table,)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLike:
    """A table with the columns and keys of another one."""

    table: TableName
    like: TableName
    if_not_exists: bool = False
    replace: bool = False

    @property
    def tables(self) -> tuple[TableName, ...]:
        return (self.table,)


@dataclass(frozen=True, slots=True)
class AlterTable:
    """Without actions: something that rows and columns do not show (an engine, a comment)."""

    table: TableName
    actions: tuple[Action, ...]
    if_exists: bool = False

    @property
    def tables(self) -> tuple[TableName, ...]:
        renamed = [action.to for action in self.actions if isinstance(action, RenameTo)]
        return (self.table, *renamed)


@dataclass(frozen=True, slots=True)
class RenameTable:
    """One of a RENAME TABLE's; they happen one after the other, so names may be swapped."""

    table: TableName
    to: TableName
    if_exists: bool = False

    @property
    def tables(self) -> tuple[TableName, ...]:
        return (self.table, self.to)


@dataclass(frozen=True, slots=True)
class DropTable:
    table: TableName
    if_exists: bool = False

    @property
    def tables(self) -> tuple[TableName, ...]:
        return (self.table,)


@dataclass(frozen=True, slots=True)
class TruncateTable:
    table: TableName

    @property
    def tables(self) -> tuple[TableName, ...]:
        return (self.table,)


@dataclass(frozen=True, slots=True)
class CreateDatabase:
    name: str
    charset: str = ""
    collation: str = ""
    if_not_exists: bool = False
    replace: bool = False

    @property
    def tables(self) -> tuple[TableName, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class AlterDatabase:
    """What new tables get."""

    name: str
    charset: str = ""
    collation: str = ""

    @property
    def tables(self) -> tuple[TableName, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class DropDatabase:
    """With every table in it."""

    name: str
    if_exists: bool = False

    @property
    def tables(self) -> tuple[TableName, ...]:
        return ()


Step: TypeAlias = (
    CreateTable
    | CreateLike
    | AlterTable
    | RenameTable
    | DropTable
    | TruncateTable
    | CreateDatabase
    | AlterDatabase
    | DropDatabase
)


@dataclass(frozen=True, slots=True)
class Understood:
    """A statement and what it does, in order. No steps: nothing that concerns a table of the log.

    `kind` is its first key words, such as ALTER TABLE.
    """

    kind: str
    steps: tuple[Step, ...] = ()

    @property
    def tables(self) -> tuple[TableName, ...]:
        """Every table it names; those of a dropped database are not among them."""
        return tuple(dict.fromkeys(table for step in self.steps for table in step.tables))


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A statement that may have changed tables in a way that nobody here can tell.

    `kind` may be shown: it is made of key words, never of the statement's own text. `tables` are
    those it may have touched; None: any.
    """

    kind: str
    tables: tuple[TableName, ...] | None = None
