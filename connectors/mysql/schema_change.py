"""(pure) What the actions of an ALTER TABLE make of a description, and what a target has to do.

A target repeats what changes no value of existing rows, and what gives them a value that the
statement tells: dropped, renamed and added columns, types that hold every value of the ones before.
A statement that computes values anew leaves no row in the log: that is a step no target follows.

The actions of one statement are read as of one moment: columns may swap their names.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from connectors.mysql.added_value import existing_rows
from connectors.mysql.binlog.columns import Form
from connectors.mysql.column_default import of_clause, of_statement
from connectors.mysql.ddl_steps import (
    Action,
    AddColumn,
    AddKey,
    ChangeColumn,
    ColumnDef,
    ConvertCharset,
    DefaultCharset,
    DropColumn,
    DropKey,
    KeyDef,
    KeyPart,
    Place,
    RenameColumn,
    RenameKey,
    SetDefault,
)
from connectors.mysql.description import (
    PRIMARY,
    DescribedColumn,
    Description,
    declared,
)
from connectors.mysql.made_anew import made_anew, retyped_anew
from connectors.mysql.types import CHARACTERS, MysqlType, interchange, native
from connectors.mysql.widening import grows, widens
from engine.model.change import SchemaStep

ADD: Final = "add-column"
DROP: Final = "drop-column"
RENAME: Final = "rename-column"
RETYPE: Final = "retype-column"
REWRITE: Final = "rewrite"
"""Kinds of steps; see `engine.model.change.SchemaStep`."""

BY_CODE: Final = "_bin"
"""What `ColumnDef.collation` says of a column whose texts are compared by code."""

_WHOLE: Final = ("smallint", "integer", "bigint", "numeric(20,0)")
"""Each has the values of those before it."""

ASIDE: Final = "penstock_renaming_"
"""Names that columns have for a moment while they swap theirs."""


@dataclass(frozen=True, slots=True)
class Alteration:
    description: Description
    steps: tuple[SchemaStep, ...]


def altered(
    description: Description, actions: Sequence[Action], form: Form, *, strict: bool
) -> Alteration:
    """What the actions make of a table; its name stays. `strict`: the session refused to cut
    values.

    Raises:
        ValueError: a type or a name that is not known.
    """
    work = _Work(description, form, strict)
    for action in actions:
        work.act(action)
    columns = tuple(work.columns)
    changed = replace(
        description,
        columns=columns,
        keys=work.keys_by_new_names(),
        charset=work.charset,
        collation=work.collation,
    )
    renames = _renames(work.renamed, {column.name for column in description.columns})
    return Alteration(changed, (*work.drops, *renames, *work.later))


def described_column(column: ColumnDef, charset: str, collation: str) -> DescribedColumn:
    """A declared column; `charset` and `collation` are the table's. Raises ValueError."""
    own = (column.charset, column.collation)
    if not any(own):
        own = (charset, collation)
    name = own[0] or own[1].partition("_")[0]
    type_ = declared(column.type, name, own[1] if own[1] != BY_CODE else f"{name}_bin")
    if not type_.text:
        type_ = declared(column.type, "", "")
    nullable = column.nullable and column.key != "primary"
    default = of_statement(column, type_)
    return DescribedColumn(
        column.name,
        type_,
        nullable,
        default,
        generated=column.generated is not None,
        numbered=column.auto_increment,
    )


def unique_keys(keys: Sequence[KeyDef], columns: Sequence[ColumnDef]) -> dict[str, tuple[str, ...]]:
    """The unique keys of whole columns, by name; the server names one by its first column."""
    found: dict[str, tuple[str, ...]] = {}
    for key in (*_of_columns(columns), *keys):
        _add_key(found, key)
    return found


def _of_columns(columns: Sequence[ColumnDef]) -> Iterator[KeyDef]:
    for column in columns:
        if column.key:
            primary = column.key == "primary"
            yield KeyDef("", (KeyPart(column.name),), unique=True, primary=primary)


def _add_key(keys: dict[str, tuple[str, ...]], key: KeyDef) -> None:
    if not (key.unique or key.primary) or not key.parts:
        return
    if not all(part.column and not part.prefix for part in key.parts):
        return
    name = PRIMARY if key.primary else key.name or _made_up(keys, key.parts[0].column)
    keys[name] = tuple([part.column for part in key.parts])


def _made_up(keys: Mapping[str, object], column: str) -> str:
    if column not in keys:
        return column
    return next(f"{column}_{n}" for n in range(2, len(keys) + 3) if f"{column}_{n}" not in keys)


@dataclass(slots=True)
class _Work:
    """The statement so far. Columns have their new names in `columns`; what the statement calls
    each stands beside it in `called`, empty for one that it adds."""

    description: Description
    form: Form
    strict: bool
    columns: list[DescribedColumn] = field(init=False)
    called: list[str] = field(init=False)
    keys: dict[str, tuple[str, ...]] = field(init=False)
    charset: str = field(init=False)
    collation: str = field(init=False)
    renamed: dict[str, str] = field(default_factory=dict[str, str])
    drops: list[SchemaStep] = field(default_factory=list[SchemaStep])
    later: list[SchemaStep] = field(default_factory=list[SchemaStep])

    def __post_init__(self) -> None:
        self.columns = list(self.description.columns)
        self.called = [column.name.lower() for column in self.columns]
        self.keys = dict(self.description.keys)
        self.charset = self.description.charset
        self.collation = self.description.collation

    def act(self, action: Action) -> None:
        handle = _HANDLERS.get(type(action))
        if handle is not None:
            handle(self, action)

    def keys_by_new_names(self) -> dict[str, tuple[str, ...]]:
        return {
            name: tuple([self.renamed.get(column, column) for column in columns])
            for name, columns in self.keys.items()
        }

    # --- columns ----------------------------------------------------------------------------------

    def _place(self, name: str) -> int | None:
        """Where a column is that the statement calls so; names may be swapped in it."""
        wanted = name.lower()
        if wanted in self.called:
            return self.called.index(wanted)
        return self._named(wanted)

    def _named(self, name: str) -> int | None:
        """Where a column is that has this name by now."""
        names = (column.name.lower() for column in self.columns)
        return next((place for place, known in enumerate(names) if known == name), None)

    def _there(self, name: str) -> int:
        place = self._place(name)
        if place is None:
            raise ValueError(f"it has no column {name}")
        return place

    def _insert(self, column: DescribedColumn, called: str, place: Place | None) -> None:
        at = len(self.columns)
        if place is not None and not place.after:
            at = 0
        elif place is not None:
            after = self._named(place.after.lower())
            at = (self._there(place.after) if after is None else after) + 1
        self.columns.insert(at, column)
        self.called.insert(at, called)

    def add(self, action: AddColumn) -> None:
        column = action.column
        if self._named(column.name.lower()) is not None:
            if action.if_not_exists:
                return
            raise ValueError(f"it has a column {column.name} already")
        described = described_column(column, self.charset, self.collation)
        self._insert(described, "", action.place)
        default, detail = existing_rows(column, described.type, self.form)
        type_ = _type_name(described.type, self.form)
        self.later.append(SchemaStep(ADD, column.name, type=type_, default=default, detail=detail))
        for key in _of_columns([column]):
            _add_key(self.keys, key)

    def drop(self, action: DropColumn) -> None:
        place = self._place(action.name)
        if place is None:
            if action.if_exists:
                return
            raise ValueError(f"it has no column {action.name}")
        column = self.columns.pop(place)
        del self.called[place]
        self.drops.append(SchemaStep(DROP, column.name))
        kept = {
            name: tuple([c for c in columns if c.lower() != action.name.lower()])
            for name, columns in self.keys.items()
        }
        self.keys = {name: columns for name, columns in kept.items() if columns}

    def rename(self, action: RenameColumn) -> None:
        place = self._there(action.name)
        self._rename(place, replace(self.columns[place], name=action.to))

    def _rename(self, place: int, column: DescribedColumn) -> None:
        old = self.columns[place].name
        self.columns[place] = column
        if old != column.name:
            self.renamed[old] = column.name

    def change(self, action: ChangeColumn) -> None:
        place = self._place(action.name)
        if place is None and action.if_exists:
            return
        place = self._there(action.name)
        new = described_column(action.column, self.charset, self.collation)
        old = self.columns[place]
        self._retype(old.type, new, made_anew(old, new, strict=self.strict))
        self._rename(place, new)
        if action.place is not None:
            del self.columns[place]
            self._insert(new, self.called.pop(place), action.place)
        for key in _of_columns([action.column]):
            _add_key(self.keys, key)

    def _retype(self, old: MysqlType, new: DescribedColumn, made_anew: str) -> None:
        if made_anew:
            self.later.append(SchemaStep(REWRITE, new.name, detail=made_anew))
            return
        wider = widens(old, new.type)
        before, after = _type_name(old, self.form), _type_name(new.type, self.form)
        if before != after and (wider or (grows(old, new.type) and not _holds(before, after))):
            self.later.append(SchemaStep(RETYPE, new.name, type=after))

    def set_default(self, action: SetDefault) -> None:
        place = self._place(action.column)
        if place is not None:
            column = self.columns[place]
            self.columns[place] = replace(column, default=of_clause(action.default, column.type))

    # --- keys -------------------------------------------------------------------------------------

    def add_key(self, action: AddKey) -> None:
        if action.if_not_exists and action.key.name in self.keys:
            return
        _add_key(self.keys, action.key)
        if action.key.primary:
            for part in action.key.parts:
                self._need(part.column)

    def _need(self, name: str) -> None:
        """A column of a primary key is NOT NULL."""
        place = self._named(name.lower())
        if place is None or not self.columns[place].nullable:
            return
        old = self.columns[place]
        self.columns[place] = new = replace(old, nullable=False)
        self._retype(old.type, new, made_anew(old, new, strict=self.strict))

    def drop_key(self, action: DropKey) -> None:
        self.keys.pop(action.name, None)

    def rename_key(self, action: RenameKey) -> None:
        if action.name in self.keys:
            self.keys[action.to] = self.keys.pop(action.name)

    # --- character sets ---------------------------------------------------------------------------

    def default_charset(self, action: DefaultCharset) -> None:
        self._default_charset(action.charset, action.collation)

    def _default_charset(self, charset: str, collation: str) -> None:
        self.charset = charset or collation.partition("_")[0] or self.charset
        self.collation = collation

    def convert(self, action: ConvertCharset) -> None:
        self._default_charset(action.charset, action.collation)
        for place, column in enumerate(self.columns):
            if column.type.text and column.type.charset != "binary":
                converted = replace(column, type=self._converted(column.type))
                detail = retyped_anew(column.type, converted.type, strict=self.strict)
                self._retype(column.type, converted, detail)
                self.columns[place] = converted

    def _converted(self, type_: MysqlType) -> MysqlType:
        """The server makes a TEXT larger when its characters may take more bytes."""
        base = type_.base
        if base.endswith("text") and type_.charset != self.charset:
            larger = CHARACTERS.index(base) + 1
            base = CHARACTERS[min(larger, len(CHARACTERS) - 1)]
        return replace(type_, base=base, charset=self.charset, collation=self.collation)


_HANDLERS: Final[Mapping[type, Callable[[_Work, Any], None]]] = {
    AddColumn: _Work.add,
    DropColumn: _Work.drop,
    ChangeColumn: _Work.change,
    RenameColumn: _Work.rename,
    SetDefault: _Work.set_default,
    AddKey: _Work.add_key,
    DropKey: _Work.drop_key,
    RenameKey: _Work.rename_key,
    DefaultCharset: _Work.default_charset,
    ConvertCharset: _Work.convert,
}


def _type_name(type_: MysqlType, form: Form) -> str:
    return (native(type_) if form is Form.NATIVE else interchange(type_)).name


def _holds(before: str, after: str) -> bool:
    """Whether the first of two of the interchange form's whole numbers has the other's values."""
    known = before in _WHOLE and after in _WHOLE
    return known and _WHOLE.index(before) >= _WHOLE.index(after)


def _renames(moves: Mapping[str, str], live: set[str]) -> Iterator[SchemaStep]:
    """Renames in an order in which every new name is free; a swap needs a name in between."""
    pending = dict(moves)
    while pending:
        name = next((old for old, new in pending.items() if new not in live), None)
        if name is not None:
            new = pending.pop(name)
        else:
            name = next(iter(pending))
            new = next(f"{ASIDE}{n}" for n in range(len(live) + 1) if f"{ASIDE}{n}" not in live)
            pending[new] = pending.pop(name)
        live.remove(name)
        live.add(new)
        yield SchemaStep(RENAME, name, new_name=new)
