"""Transactions at random over tables of MySQL and MariaDB: rows in every way they change."""

from collections import Counter

from tests.differential.mysql.kinds import Chance
from tests.differential.mysql.schema_changes import SchemaChanges
from tests.differential.mysql.switches import Switches
from tests.differential.mysql.tables import KEYS_MAX, RandomTable, Shape
from tests.differential.work import Step, Work
from tests.servers.mysql import quoted


class Statements:
    """Works for one writer. `met` counts what they were made of."""

    def __init__(
        self,
        tables: list[RandomTable],
        chance: Chance,
        schema: SchemaChanges,
        switches: Switches,
        writer: int,
    ) -> None:
        self._tables = tables
        self._chance = chance
        self._schema = schema
        self._switches = switches
        self._writer = writer
        self._serial = 0
        self.met: Counter[str] = Counter()

    def work(self) -> Work:
        """The next transaction, or a change of the session's settings."""
        roll = self._chance.random()
        if roll < 0.05:
            return self._switches.work(self.met)
        steps: list[Step] = []
        for _ in range(self._chance.choice((0, 1, 1, 2, 3, 5, 8))):
            steps += self._steps(self._chance.choice(self._tables))
        if roll < 0.15:
            self.met["autocommit"] += 1
            return Work(steps, "")
        end = self._chance.choices(("COMMIT", "ROLLBACK", "PREPARE"), (0.89, 0.08, 0.03))[0]
        self.met[end.lower()] += 1
        self.met["empty transaction"] += not steps
        self._serial += 1
        if end == "PREPARE":
            return Work(steps, end, f"w{self._writer}-{self._serial}")
        return self._switches.dressed(Work(steps, end), self.met)

    def schema_work(self) -> Work:
        """A schema change behind some rows, which it commits."""
        table = self._chance.choice(self._tables)
        work = self._schema.work(table, self._switches.mode, self.met)
        work.steps[:0] = self._changes(table)
        return work

    def _steps(self, table: RandomTable) -> list[Step]:
        """Changes of a table, maybe inside a savepoint."""
        roll = self._chance.random()
        if roll < 0.08:
            self.met["savepoint rolled back"] += 1
            inner: list[Step] = ["SAVEPOINT s", *self._changes(table), "ROLLBACK TO s"]
            return [*inner, *self._changes(table)]
        if roll < 0.14:
            self.met["savepoint released"] += 1
            return ["SAVEPOINT s", *self._changes(table), "RELEASE SAVEPOINT s"]
        return self._changes(table)

    def _changes(self, table: RandomTable) -> list[Step]:
        makers = (self._insert, self._insert_many, self._upsert, self._replace, self._copied,
                  self._update, self._update_many, self._update_again, self._move, self._swap,
                  self._shift, self._delete, self._delete_many, self._two_tables,
                  self._empty)  # fmt: skip
        weights = (5, 2, 3, 3, 1, 6, 2, 0.3, 2, 1.5, 1, 3, 1, 1, 0.15)
        maker = self._chance.choices(makers, weights)[0]
        self.met[maker.__name__.strip("_").replace("_", " ")] += 1
        return maker(table)

    # --- inserts ------------------------------------------------------------------------------

    def _insert(self, table: RandomTable) -> list[Step]:
        ignore = "IGNORE " if table.shape is not Shape.CHILD else ""
        return [f"INSERT {ignore}INTO {self._rows(table, self._chance.choice((1, 1, 1, 3)))}"]

    def _insert_many(self, table: RandomTable) -> list[Step]:
        return [f"INSERT IGNORE INTO {self._rows(table, self._chance.randint(20, 60))}"]

    def _upsert(self, table: RandomTable) -> list[Step]:
        changed = self._assignments(table)
        if not changed:
            return []
        rows = self._rows(table, self._chance.choice((1, 2, 6)))
        return [f"INSERT INTO {rows} ON DUPLICATE KEY UPDATE {changed}"]

    def _replace(self, table: RandomTable) -> list[Step]:
        return [f"REPLACE INTO {self._rows(table, self._chance.choice((1, 2, 6)))}"]

    def _copied(self, table: RandomTable) -> list[Step]:
        """Rows from rows."""
        names = ", ".join(table.written())
        if not table.keyed:
            some = f"WHERE {self._some(table)} LIMIT 100"
            return [f"INSERT INTO {table.sql} ({names}) SELECT {names} FROM {table.sql} {some}"]
        key = self._key(table)
        rest = ", ".join(table.written()[len(table.key) :])
        listed = ", ".join([*key, *([rest] if rest else [])])
        source = f"SELECT {listed} FROM {table.sql} WHERE {self._one(table)}"
        return [f"INSERT IGNORE INTO {table.sql} ({names}) {source}"]

    def _rows(self, table: RandomTable, count: int) -> str:
        columns = list(table.columns)
        extra = list(table.extra(self._chance))
        names = [quoted(c.name) for c in table.key] + [quoted(c.name) for c in columns] + extra
        rows = [
            [
                *self._key(table),
                *(column.value(self._chance) for column in columns),
                *table.extra(self._chance).values(),
            ]
            for _ in range(count)
        ]
        values = ", ".join(f"({', '.join(row)})" for row in rows)
        return f"{table.sql} ({', '.join(names)}) VALUES {values}"

    # --- updates ------------------------------------------------------------------------------

    def _update(self, table: RandomTable) -> list[Step]:
        changed = self._assignments(table)
        one = " LIMIT 1" if self._chance.random() < 0.2 else ""
        return [f"UPDATE {table.sql} SET {changed} WHERE {self._one(table)}{one}"] * bool(changed)

    def _update_many(self, table: RandomTable) -> list[Step]:
        changed = self._assignments(table)
        return [f"UPDATE {table.sql} SET {changed} WHERE {self._some(table)}"] * bool(changed)

    def _update_again(self, table: RandomTable) -> list[Step]:
        """Every row, over and over."""
        return [
            f"UPDATE {table.sql} SET {changed}"
            for _ in range(6)
            if (changed := self._assignments(table))
        ]

    def _assignments(self, table: RandomTable) -> str:
        columns = list(table.columns)
        chosen = self._chance.sample(columns, self._chance.randint(0, min(3, len(columns))))
        parts: list[str] = []
        for column in chosen:
            name = quoted(column.name)
            if column.kind.changed is not None and self._chance.random() < 0.6:
                parts.append(f"{name} = {column.kind.changed(self._chance, name)}")
            else:
                parts.append(f"{name} = {column.value(self._chance)}")
        if self._chance.random() < 0.5:
            parts += [f"{name} = {value}" for name, value in table.extra(self._chance).items()]
        return ", ".join(parts)

    # --- keys ---------------------------------------------------------------------------------

    def _move(self, table: RandomTable) -> list[Step]:
        """Change a key, or only its spelling."""
        if self._chance.random() < 0.2:
            number = self._chance.randrange(KEYS_MAX)
            old, new = (table.key_value(self._chance, number) for _ in range(2))
            return [self._moved(table, old, new)]
        return [self._moved(table, self._key(table), self._key(table))]

    def _swap(self, table: RandomTable) -> list[Step]:
        """Two rows take each other's key, over a third one."""
        a, b, free = (
            table.key_value(self._chance, number)
            for number in self._chance.sample(range(KEYS_MAX), 3)
        )
        moves = ((a, free), (b, a), (free, b))
        return [self._moved(table, old, new) for old, new in moves]

    def _shift(self, table: RandomTable) -> list[Step]:
        """Keys handed on from row to row in one statement."""
        if len(table.key) > 1 or not table.key[0].kind.counts:
            return self._swap(table)
        (low,) = self._key(table)
        name, by = quoted(table.key[0].name), self._chance.choice((1, -1))
        if by == 1:
            where, order = f"{name} >= {low}", "DESC"
        else:
            where, order = f"{name} > {low}", "ASC"
        rows = f"WHERE {where} ORDER BY {name} {order} LIMIT 300"
        return [f"UPDATE {table.sql} SET {name} = {name} + {by} {rows}"]

    def _moved(self, table: RandomTable, old: list[str], new: list[str]) -> str:
        names = [quoted(column.name) for column in table.key]
        changed = ", ".join(f"{n} = {v}" for n, v in zip(names, new, strict=True))
        return f"UPDATE {table.sql} SET {changed} WHERE {_equal(names, old)}"

    # --- deletes, several tables --------------------------------------------------------------

    def _delete(self, table: RandomTable) -> list[Step]:
        one = " LIMIT 1" if self._chance.random() < 0.2 else ""
        return [f"DELETE FROM {table.sql} WHERE {self._one(table)}{one}"]

    def _delete_many(self, table: RandomTable) -> list[Step]:
        return [f"DELETE FROM {table.sql} WHERE {self._some(table)}"]

    def _empty(self, table: RandomTable) -> list[Step]:
        return [f"DELETE FROM {table.sql}"]

    def _two_tables(self, table: RandomTable) -> list[Step]:
        """One statement that changes rows of two tables."""
        other = self._chance.choice(self._tables)
        if other is table or not table.columns or not other.columns:
            return []
        where = f"{self._one(table, 'a')} AND {self._one(other, 'b')}"
        source = f"{table.sql} a, {other.sql} b"
        if self._chance.random() < 0.3:
            return [f"DELETE a, b FROM {source} WHERE {where}"]
        left, right = self._chance.choice(table.columns), self._chance.choice(other.columns)
        changed = f"a.{quoted(left.name)} = {left.value(self._chance)}"
        changed += f", b.{quoted(right.name)} = {right.value(self._chance)}"
        return [f"UPDATE {source} SET {changed} WHERE {where}"]

    # --- which rows ---------------------------------------------------------------------------

    def _key(self, table: RandomTable) -> list[str]:
        return table.key_value(self._chance)

    def _one(self, table: RandomTable, alias: str = "") -> str:
        names = [(f"{alias}." if alias else "") + quoted(c.name) for c in table.key]
        return _equal(names, self._key(table))

    def _some(self, table: RandomTable) -> str:
        """About a tenth of the rows."""
        tenth = self._chance.randrange(10)
        return f"CRC32({quoted(table.key[0].name)}) % 10 = {tenth}"


def _equal(names: list[str], values: list[str]) -> str:
    return " AND ".join(f"{n} = {v}" for n, v in zip(names, values, strict=True))
