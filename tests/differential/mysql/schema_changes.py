"""Schema changes at random of MySQL and MariaDB: those that are followed or load a table anew."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tests.differential.mysql.kinds import Chance, Kind
from tests.differential.mysql.switches import Mode
from tests.differential.mysql.tables import (
    Column,
    Dialect,
    RandomTable,
    Shape,
    random_table,
)
from tests.differential.work import Work

TABLES_MAX: Final = 14

COMMENT: Final = "it's \\ "

TOOLS: Final = (("gho", "del"), ("new", "old"))
"""How gh-ost and pt-online-schema-change call the new table, and the old one at the end."""

CREATED: Final = (Shape.KEYED, Shape.COMPOSITE, Shape.UNIQUE, Shape.BY_INDEX, Shape.PLAIN)

Made = tuple[list[str], Callable[[], None]]
"""Statements, and what they make of the tables once all are done."""


class SchemaChanges:
    """Works that change tables; they are the only ones that do."""

    def __init__(
        self, tables: list[RandomTable], chance: Chance, kinds: list[Kind], dialect: Dialect
    ) -> None:
        self._tables = tables
        self._chance = chance
        self._kinds = kinds
        self._dialect = dialect
        self._mode = Mode()
        self._names = len(tables)

    def work(self, table: RandomTable, mode: Mode, met: Counter[str]) -> Work:
        """A change of this table, or of which tables there are."""
        self._mode = mode
        makers = (self._alter, self._add, self._drop, self._rename, self._change, self._reorder,
                  self._swap_names, self._widen, self._index, self._same, self._create,
                  self._create_from, self._truncate, self._rename_table, self._swapped_in,
                  self._leave, self._beside)  # fmt: skip
        weights = (4, 3, 2, 2, 2, 2, 1, 2, 2, 1, 1, 0.5, 1, 0.7, 1, 0.5, 1)
        made: Made | None = None
        while made is None:
            maker = self._chance.choices(makers, weights)[0]
            made = maker(table)
        met["schema: " + maker.__name__.strip("_").replace("_", " ")] += 1
        statements, after = made
        return Work(list(statements), "COMMIT", after=[after])

    # --- columns ------------------------------------------------------------------------------

    def _alter(self, table: RandomTable) -> Made | None:
        """Several changes in one statement."""
        added, new = self._new_column(table)
        columns = list(table.columns)
        actions = [added]
        droppable = _droppable(table)
        if droppable and self._chance.random() < 0.5:
            gone = self._chance.choice(droppable)
            actions.append(f"DROP COLUMN {self._name(gone.name)}")
            columns.remove(gone)
        wide = [c for c in columns if c.kind.wider]
        if wide:
            old = self._chance.choice(wide)
            wider = self._wider(old)
            actions.append(f"MODIFY COLUMN {self._declared(wider)}")
            columns[columns.index(old)] = wider
        self._chance.shuffle(actions)
        return [self._altered(table, *actions)], _becomes(table, [*columns, new])

    def _add(self, table: RandomTable) -> Made | None:
        action, column = self._new_column(table)
        return [self._altered(table, action)], _becomes(table, [*table.columns, column])

    def _drop(self, table: RandomTable) -> Made | None:
        droppable = _droppable(table)
        if not droppable:
            return None
        gone = self._chance.choice(droppable)
        left = [column for column in table.columns if column is not gone]
        return [self._altered(table, f"DROP COLUMN {self._name(gone.name)}")], _becomes(table, left)

    def _rename(self, table: RandomTable) -> Made | None:
        if not table.columns or self._dialect.old:
            return None
        old = self._chance.choice(table.columns)
        new = replace(old, name=self._new_name(table))
        action = f"RENAME COLUMN {self._name(old.name)} TO {self._name(new.name)}"
        return [self._altered(table, action)], _becomes(table, _with(table, old, new))

    def _change(self, table: RandomTable) -> Made | None:
        """Another name and a wider type at once, maybe at another place."""
        if not table.columns:
            return None
        old = self._chance.choice(table.columns)
        new = replace(self._wider(old), name=self._new_name(table))
        action = f"CHANGE {self._name(old.name)} {self._declared(new)}{self._place(table, old)}"
        return [self._altered(table, action)], _becomes(table, _with(table, old, new))

    def _reorder(self, table: RandomTable) -> Made | None:
        if not table.columns:
            return None
        column = self._chance.choice(table.columns)
        place = self._place(table, column) or " FIRST"
        return [self._altered(table, f"MODIFY {self._declared(column)}{place}")], _nothing

    def _swap_names(self, table: RandomTable) -> Made | None:
        # A session that is not strict gives an ENUM of the other name what is no label of it, which
        # a strict server refuses by name (TYPES.md).
        columns = [c for c in table.columns if not c.kind.sql.startswith("enum")]
        if len(columns) < 2 or self._dialect.old:
            return None
        a, b = self._chance.sample(columns, 2)
        action = (
            f"RENAME COLUMN {self._name(a.name)} TO {self._name(b.name)}",
            f"RENAME COLUMN {self._name(b.name)} TO {self._name(a.name)}",
        )
        names = {id(a): b.name, id(b): a.name}
        columns = [replace(c, name=names.get(id(c), c.name)) for c in table.columns]
        return [self._altered(table, *action)], _becomes(table, columns)

    def _widen(self, table: RandomTable) -> Made | None:
        wide = [column for column in table.columns if column.kind.wider]
        if not wide:
            return None
        old = self._chance.choice(wide)
        new = self._wider(old)
        action = f"MODIFY COLUMN {self._declared(new)}"
        return [self._altered(table, action)], _becomes(table, _with(table, old, new))

    def _wider(self, column: Column) -> Column:
        # A text may come to a character set that lacks some of its characters: only a strict
        # session refuses that.
        if not column.kind.wider or (" collate " in column.kind.sql and not self._mode.strict):
            return column
        kind = Kind(column.kind.wider, column.kind.value, changed=column.kind.changed)
        return replace(column, kind=kind)

    def _new_column(self, table: RandomTable) -> tuple[str, Column]:
        """Its action, and what it is from then on."""
        column = Column(self._new_name(table), self._chance.choice(self._kinds))
        default = ""
        if column.kind.defaults and self._chance.random() < 0.7:
            default = f" DEFAULT {self._mode.quoted(self._chance.choice(column.kind.defaults))}"
            column = replace(column, nullable=self._chance.random() < 0.5)
        declared = self._declared(column) + default
        word = self._chance.choice(("ADD COLUMN", "ADD"))
        return f"{word} {declared}{self._place(table, column)}", column

    def _new_name(self, table: RandomTable) -> str:
        table.added += 1
        return self._chance.choice(("a{}", "a{}", "A `{}`", 'ä"{}', "a\\{}")).format(table.added)

    def _declared(self, column: Column) -> str:
        null = "" if column.nullable else " NOT NULL"
        return f"{self._name(column.name)} {column.kind.sql}{null}{column.clause}"

    def _place(self, table: RandomTable, but: Column) -> str:
        """FIRST or AFTER one that no later action of the statement takes away."""
        roll = self._chance.random()
        if roll < 0.2:
            return " FIRST"
        stays = [name for name in table.names() if name != but.name]
        stays = [name for name in stays if name.startswith("c")] or [table.key[0].name]
        return f" AFTER {self._name(self._chance.choice(stays))}" if roll < 0.5 else ""

    # --- keys and nothing ---------------------------------------------------------------------

    def _index(self, table: RandomTable) -> Made | None:
        """An index comes or goes; that of a table without primary key becomes it."""
        if table.shape is Shape.BY_INDEX and "primary" not in table.indexes:
            names = ", ".join(self._name(column.name) for column in table.key)
            actions = ["DROP INDEX by_index"] * (self._chance.random() < 0.5)
            made = self._altered(table, *actions, f"ADD PRIMARY KEY ({names})")
            return [made], lambda: table.indexes.append("primary")
        if self._chance.random() < 0.4 and (left := [i for i in table.indexes if i != "primary"]):
            gone = self._chance.choice(left)
            made = self._chance.choice(
                (f"DROP INDEX {gone} ON {self._table(table)}",
                 self._altered(table, f"DROP INDEX {gone}"))
            )  # fmt: skip
            return [made], lambda: table.indexes.remove(gone)
        table.added += 1
        name, first = f"i{table.added}", self._name(table.key[0].name)
        made = self._chance.choice(
            (f"CREATE INDEX {name} ON {self._table(table)} ({first})",
             self._altered(table, f"ADD KEY {name} ({first})"))
        )  # fmt: skip
        return [made], lambda: table.indexes.append(name)

    def _same(self, table: RandomTable) -> Made | None:
        """What changes no row."""
        name = self._table(table)
        return [
            self._chance.choice(
                (
                    f"ALTER TABLE {name} COMMENT = {self._mode.quoted(COMMENT)}",
                    f"ALTER TABLE {name} ENGINE = InnoDB",
                    f"ALTER TABLE {name} FORCE",
                    f"OPTIMIZE TABLE {name}",
                    f"ANALYZE TABLE {name}",
                    f"ALTER TABLE {name} AUTO_INCREMENT = 5",
                )
            )
        ], _nothing

    # --- tables -------------------------------------------------------------------------------

    def _create(self, _: RandomTable) -> Made | None:
        if len(self._tables) >= TABLES_MAX:
            return None
        shape = self._chance.choice(CREATED)
        table = random_table(self._next(), shape, self._chance, self._kinds, self._dialect)
        return [table.create()], lambda: self._tables.append(table)

    def _create_from(self, table: RandomTable) -> Made | None:
        """With the rows of another one."""
        if len(self._tables) >= TABLES_MAX or self._dialect.old:
            return None
        keys, columns = list(table.key), list(table.columns)
        new = RandomTable(self._next(), Shape.PLAIN, keys, columns, table.charset)
        names = ", ".join(self._name(name) for name in table.names())
        made = (
            f"CREATE TABLE {self._table(new)} DEFAULT CHARSET={table.charset}"
            f" AS SELECT {names} FROM {self._table(table)}"
        )
        return [made], lambda: self._tables.append(new)

    def _truncate(self, table: RandomTable) -> Made | None:
        word = self._chance.choice(("TRUNCATE TABLE", "TRUNCATE", "truncate /* all */ table"))
        return [f"{word} {self._table(table)}"], _nothing

    def _rename_table(self, table: RandomTable) -> Made | None:
        if table.steady:
            return None
        name = self._next()
        old, new = self._table(table), self._name(name)
        made = self._chance.choice(
            (f"RENAME TABLE {old} TO {new}", f"ALTER TABLE {old} RENAME {new}")
        )
        return [made], lambda: _named(table, name)

    def _swapped_in(self, table: RandomTable) -> Made | None:
        """What gh-ost and pt-online-schema-change do."""
        if table.steady or table.shape is Shape.GENERATED:
            return None
        name = table.name
        new, old = self._chance.choice(
            ((f"_{name}_gho", f"_{name}_del"), (f"_{name}_new", f"_{name}_old"))
        )
        columns = ", ".join(self._name(name) for name in table.names())
        added, column = self._new_column(table)
        mine, theirs, away = self._name(name), self._name(new), self._name(old)
        statements = [
            f"DROP TABLE IF EXISTS {theirs}, {away}",
            f"CREATE TABLE {theirs} LIKE {mine}",
            f"ALTER TABLE {theirs} {added}",
            f"INSERT INTO {theirs} ({columns}) SELECT {columns} FROM {mine}",
            f"RENAME TABLE {mine} TO {away}, {theirs} TO {mine}",
            f"DROP TABLE {away}",
        ]
        return statements, _becomes(table, [*table.columns, column])

    def _leave(self, table: RandomTable) -> Made | None:
        if table.steady or len(self._tables) < 9:
            return None
        return [f"DROP TABLE {self._table(table)}"], lambda: self._tables.remove(table)

    def _beside(self, table: RandomTable) -> Made | None:
        """What no target is told of."""
        name = self._table(table)
        self._names += 1
        view, key = f"v{self._names}", self._name(table.key[0].name)
        return self._chance.choice(
            (
                [f"CREATE OR REPLACE VIEW {view} AS SELECT {key} FROM {name}", f"DROP VIEW {view}"],
                [
                    f"CREATE TEMPORARY TABLE {view} AS SELECT {key} FROM {name}",
                    f"DELETE FROM {view}",
                    f"DROP TEMPORARY TABLE {view}",
                ],
                [f"CREATE PROCEDURE {view} () SELECT {key} FROM {name}", f"DROP PROCEDURE {view}"],
            )
        ), _nothing

    # --- names --------------------------------------------------------------------------------

    def _next(self) -> str:
        self._names += 1
        return self._chance.choice(("t{}", "t{}", "T {}", "t'{}")).format(self._names)

    def _name(self, name: str) -> str:
        return self._mode.name(name)

    def _table(self, table: RandomTable) -> str:
        name = self._name(table.name)
        return f"shop.{name}" if self._chance.random() < 0.3 else name

    def _altered(self, table: RandomTable, *actions: str) -> str:
        return f"ALTER TABLE {self._table(table)} {', '.join(actions)}"


def _droppable(table: RandomTable) -> list[Column]:
    return [column for column in table.columns if not column.name.startswith("c")]


def _with(table: RandomTable, old: Column, new: Column) -> list[Column]:
    return [new if column is old else column for column in table.columns]


def _becomes(table: RandomTable, columns: list[Column]) -> Callable[[], None]:
    def become() -> None:
        table.columns = columns

    return become


def _named(table: RandomTable, name: str) -> None:
    table.name = name


def _nothing() -> None:
    pass
