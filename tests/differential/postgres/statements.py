"""Transactions at random over tables: rows in every way they change, savepoints, schema changes."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from tests.differential.postgres.kinds import KINDS, REWRITING, Chance, Kind
from tests.differential.postgres.tables import Column, RandomTable, Shape, random_table
from tests.differential.work import Copy, Step, Work

NULLS: Final = 0.15
"""Share of values that are NULL."""

WIDENED: Final = {"smallint": "bigint", "integer": "bigint", "varchar(400)": "text"}
"""Types that a column changes to without another value."""


class Statements:
    """Works for one writer. `met` counts what they were made of."""

    def __init__(
        self,
        tables: list[RandomTable],
        chance: Chance,
        writer: int,
        kinds: Sequence[Kind] = KINDS,
    ) -> None:
        self._tables = tables
        self._chance = chance
        self._kinds = kinds
        self._writer = writer
        self._serial = 0
        self._inside = False
        self.met: Counter[str] = Counter()

    def work(self) -> Work:
        """The next transaction."""
        self._serial += 1
        chance = self._chance
        steps: list[Step] = []
        for _ in range(chance.choice((0, 1, 1, 2, 3, 5, 8))):
            steps += self._steps(chance.choice(self._tables))
        end = chance.choices(("COMMIT", "ROLLBACK", "PREPARE"), (0.9, 0.07, 0.03))[0]
        self.met[end.lower()] += 1
        self.met["empty transaction"] += not steps
        return Work(steps, end, f"w{self._writer}-{self._serial}")

    def schema_work(self) -> Work:
        """A transaction with a schema change among its rows."""
        chance = self._chance
        able = [t for t in self._tables if t.altered and t.shape is not Shape.CHILD]
        table = chance.choice(able)
        statement, after = self._schema_change(table)
        before = self._changes(table)
        return Work([*before, statement], "COMMIT", after=[after])

    # --- rows ---------------------------------------------------------------------------------

    def _steps(self, table: RandomTable) -> list[Step]:
        """Changes of a table, maybe inside a savepoint or a block that fails."""
        roll = self._chance.random()
        self._inside = roll < 0.18
        if roll < 0.08:
            self.met["savepoint rolled back"] += 1
            inner = ["SAVEPOINT s", *self._changes(table), "ROLLBACK TO s"]
            return [*inner, *self._changes(table), "RELEASE s"]
        if roll < 0.14:
            self.met["savepoint released"] += 1
            return ["SAVEPOINT s", *self._changes(table), "RELEASE s"]
        if roll < 0.18:
            self.met["failed block"] += 1
            inside = ";".join(step for step in self._changes(table) if isinstance(step, str))
            return [
                f"DO $do$ BEGIN {inside}; RAISE 'no'; EXCEPTION WHEN OTHERS THEN NULL; END $do$"
            ]
        return self._changes(table)

    def _changes(self, table: RandomTable) -> list[Step]:
        makers = (self._insert, self._insert_many, self._copy, self._update, self._update_many,
                  self._move, self._move_chain, self._delete, self._delete_many,
                  self._truncate)  # fmt: skip
        weights = (6, 2, 1, 6, 2, 3, 1, 3, 1, 0.15)
        maker = self._chance.choices(makers, weights)[0]
        self.met[maker.__name__.strip("_").replace("_", " ")] += 1
        return maker(table)

    def _insert(self, table: RandomTable) -> list[Step]:
        names, rows = self._rows(table, self._chance.choice((1, 1, 1, 3)))
        values = ", ".join(f"({', '.join(row)})" for row in rows)
        return [f"INSERT INTO {table.name} ({names}) VALUES {values} {self._conflict(table)}"]

    def _insert_many(self, table: RandomTable) -> list[Step]:
        names, rows = self._rows(table, self._chance.randint(20, 60))
        values = ", ".join(f"({', '.join(row)})" for row in rows)
        return [f"INSERT INTO {table.name} ({names}) VALUES {values} {self._conflict(table)}"]

    def _conflict(self, table: RandomTable) -> str:
        return "" if table.shape is Shape.CHILD else "ON CONFLICT DO NOTHING"

    def _rows(self, table: RandomTable, count: int) -> tuple[str, list[list[str]]]:
        extra = list(table.extra(self._chance))
        columns = list(table.columns)
        names = [*(c.name for c in table.key), *(c.name for c in columns), *extra]
        rows = [
            [
                *table.key_value(self._chance),
                *(self._value(c) for c in columns),
                *(table.extra(self._chance).get(name, "NULL") for name in extra),
            ]
            for _ in range(count)
        ]
        return ", ".join(names), rows

    def _copy(self, table: RandomTable) -> list[Step]:
        """COPY: many rows under one position of the log."""
        if table.shape is not Shape.FULL:
            return self._insert_many(table)
        lines = [str(self._chance.randrange(1000)) for _ in range(self._chance.randint(5, 200))]
        return [Copy(f"COPY {table.name} (id) FROM STDIN", lines)]

    def _update(self, table: RandomTable) -> list[Step]:
        changed = self._assignments(table)
        if not changed:
            return []
        return [f"UPDATE {table.name} SET {changed} WHERE {self._one(table)}"]

    def _update_many(self, table: RandomTable) -> list[Step]:
        changed = self._assignments(table)
        if not changed:
            return []
        return [f"UPDATE {table.name} SET {changed} WHERE {self._some(table)}"]

    def _assignments(self, table: RandomTable) -> str:
        columns = list(table.columns)
        chosen = self._chance.sample(columns, self._chance.randint(0, min(3, len(columns))))
        parts = [f"{c.name} = {self._value(c)}" for c in chosen]
        parts += [f"{name} = {value}" for name, value in table.extra(self._chance).items()]
        return ", ".join(parts)

    def _move(self, table: RandomTable) -> list[Step]:
        """Change a key; into another partition, too."""
        return [f"UPDATE {table.name} SET {self._new_key(table)} WHERE {self._one(table)}"]

    def _move_chain(self, table: RandomTable) -> list[Step]:
        """Keys handed on from row to row in one transaction."""
        return [step for _ in range(3) for step in self._move(table)]

    def _new_key(self, table: RandomTable) -> str:
        values = table.key_value(self._chance)
        return ", ".join(f"{c.name} = {v}" for c, v in zip(table.key, values, strict=True))

    def _delete(self, table: RandomTable) -> list[Step]:
        return [f"DELETE FROM {table.name} WHERE {self._one(table)}"]

    def _delete_many(self, table: RandomTable) -> list[Step]:
        return [f"DELETE FROM {table.name} WHERE {self._some(table)}"]

    def _truncate(self, table: RandomTable) -> list[Step]:
        """Inside a savepoint none of a partitioned table: that asks for a reload, as it cannot be
        told from a TRUNCATE of each partition by itself."""
        chosen = [t for t in (table, self._chance.choice(self._tables)) if t.truncated]
        names = {t.name for t in chosen if not (self._inside and t.shape is Shape.PARTITIONED)}
        if not names:
            return []
        cascade = " CASCADE" if "t0" in names else ""
        return [f"TRUNCATE {', '.join(sorted(names))} RESTART IDENTITY{cascade}"]

    def _one(self, table: RandomTable) -> str:
        values = table.key_value(self._chance)
        return " AND ".join(f"{c.name} = {v}" for c, v in zip(table.key, values, strict=True))

    def _some(self, table: RandomTable) -> str:
        """About a tenth of the rows."""
        return f"abs(hashtext({table.key[0].name}::text)) % 10 = {self._chance.randrange(10)}"

    def _value(self, column: Column) -> str:
        return "NULL" if self._chance.random() < NULLS else column.kind.value(self._chance)

    # --- schema changes -----------------------------------------------------------------------

    def _schema_change(self, table: RandomTable) -> tuple[str, Callable[[], None]]:
        chance = self._chance
        droppable = [c for c in table.columns if c.name.startswith("a")]
        widened = [c for c in table.columns if c.kind.sql in WIDENED and not _in_place(table)]
        makers: list[Callable[[], tuple[str, Callable[[], None]]]] = [lambda: self._add(table)]
        if droppable:
            makers.append(lambda: self._drop(table, chance.choice(droppable)))
            makers.append(lambda: self._rename(table, chance.choice(droppable)))
        if widened:
            makers.append(lambda: self._widen(table, chance.choice(widened)))
        makers.append(self._create)
        return chance.choice(makers)()

    def _add(self, table: RandomTable) -> tuple[str, Callable[[], None]]:
        table.added += 1
        in_place = _in_place(table)
        kinds = [kind for kind in self._kinds if not (in_place and kind.sql in REWRITING)]
        column = Column(f"a{table.added}", self._chance.choice(kinds))
        default = ""
        if self._chance.random() < 0.5:
            default = f" DEFAULT {column.kind.value(self._chance)}"
        self.met["column added"] += 1
        return (
            f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.kind.sql}{default}",
            lambda: _replace(table, [*table.columns, column]),
        )

    def _drop(self, table: RandomTable, column: Column) -> tuple[str, Callable[[], None]]:
        self.met["column dropped"] += 1
        left = [c for c in table.columns if c is not column]
        return (
            f"ALTER TABLE {table.name} DROP COLUMN {column.name}",
            lambda: _replace(table, left),
        )

    def _rename(self, table: RandomTable, column: Column) -> tuple[str, Callable[[], None]]:
        self.met["column renamed"] += 1
        table.added += 1
        renamed = Column(f"a{table.added}", column.kind)
        return (
            f"ALTER TABLE {table.name} RENAME COLUMN {column.name} TO {renamed.name}",
            lambda: _replace(table, [renamed if c is column else c for c in table.columns]),
        )

    def _widen(self, table: RandomTable, column: Column) -> tuple[str, Callable[[], None]]:
        self.met["column retyped"] += 1
        wide = WIDENED[column.kind.sql]
        retyped = Column(column.name, Kind(wide, column.kind.value))
        return (
            f"ALTER TABLE {table.name} ALTER COLUMN {column.name} TYPE {wide}",
            lambda: _replace(table, [retyped if c is column else c for c in table.columns]),
        )

    def _create(self) -> tuple[str, Callable[[], None]]:
        self.met["table created"] += 1
        shape = self._chance.choice((Shape.KEYED, Shape.COMPOSITE, Shape.NAMED, Shape.FULL))
        table = random_table(len(self._tables), shape, self._chance, self._kinds)
        return table.create(), lambda: self._tables.append(table)


def _in_place(table: RandomTable) -> bool:
    """Whether no change may write its rows anew: rewritten partitions look like emptied ones, which
    asks for a reload."""
    return table.shape is Shape.PARTITIONED


def _replace(table: RandomTable, columns: list[Column]) -> None:
    table.columns = columns
