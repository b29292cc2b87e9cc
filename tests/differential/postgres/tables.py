"""Tables at random: every way a row is told apart, any columns, some constraints."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tests.differential.postgres.kinds import KINDS, Chance, Kind, literal

KEYS_MAX: Final = 300
"""Different keys of a table: few, so that statements meet each other's rows."""


ACTIONS: Final = (
    "",
    "ON DELETE CASCADE",
    "ON DELETE CASCADE ON UPDATE CASCADE",
    "ON DELETE SET NULL ON UPDATE CASCADE",
    "ON DELETE SET NULL ON UPDATE SET NULL",
)
"""What a foreign key does by itself, on both sides."""


class Shape(Enum):
    """How rows are told apart, and by what the table is special."""

    KEYED = "a primary key of one integer"
    COMPOSITE = "a primary key of two columns, not the first ones"
    NAMED = "a primary key of text"
    UNIQUE = "a unique value beside the key"
    BY_INDEX = "a unique index as replica identity"
    FULL = "no key, the whole row as identity"
    PARTITIONED = "partitions, and rows that move between them"
    CHILD = "a foreign key to the first table"


@dataclass(slots=True)
class Column:
    name: str
    kind: Kind


@dataclass(slots=True)
class RandomTable:
    """`key` are the columns that statements find rows by; `columns` all others. DDL replaces
    `columns`, never changes it, as two writers read it. A partitioned table is either altered or
    truncated: one soon after the other cannot be told from a TRUNCATE of single partitions, which
    asks for a reload."""

    name: str
    shape: Shape
    key: list[Column]
    columns: list[Column]
    added: int = field(default=0)
    altered: bool = True
    truncated: bool = True
    action: str = ""

    def create(self) -> str:
        """Its statements, types of `kinds.TYPES` being there."""
        parts = [f"{c.name} {c.kind.sql}" for c in self.columns]
        keys = [f"{c.name} {c.kind.sql} NOT NULL" for c in self.key]
        names = ", ".join(c.name for c in self.key)
        place = len(parts) // 2 if self.shape is Shape.COMPOSITE else 0
        parts[place:place] = keys
        if self.shape not in (Shape.FULL, Shape.BY_INDEX):
            parts.append(f"PRIMARY KEY ({names})")
        if self.shape is Shape.UNIQUE:
            parts.append("other int UNIQUE")
        if self.shape is Shape.CHILD:
            parts.append(f"parent int REFERENCES t0 (id) {self.action}")
        by = " PARTITION BY LIST (region)" if self.shape is Shape.PARTITIONED else ""
        return ";\n".join([f"CREATE TABLE {self.name} ({', '.join(parts)}){by}", *self._after()])

    def _after(self) -> list[str]:
        match self.shape:
            case Shape.FULL:
                return [f"ALTER TABLE {self.name} REPLICA IDENTITY FULL"]
            case Shape.BY_INDEX:
                index = f"{self.name}_identity"
                return [
                    f"CREATE UNIQUE INDEX {index} ON {self.name} (id)",
                    f"ALTER TABLE {self.name} REPLICA IDENTITY USING INDEX {index}",
                ]
            case Shape.PARTITIONED:
                return [
                    f"CREATE TABLE {self.name}_a PARTITION OF {self.name} FOR VALUES IN (0, 1)",
                    f"CREATE TABLE {self.name}_b PARTITION OF {self.name} DEFAULT",
                ]
            case _:
                return []

    def key_value(self, chance: Chance) -> list[str]:
        """A key at random, an expression for each of its columns."""
        number = chance.randrange(KEYS_MAX)
        match self.shape:
            case Shape.COMPOSITE:
                return [str(number % 20), literal(f"k {number // 20}")]
            case Shape.NAMED:
                return [literal(f"name '{number}'")]
            case Shape.PARTITIONED:
                return [str(number), str(number % 4)]
            case _:
                return [str(number)]

    def extra(self, chance: Chance) -> dict[str, str]:
        """Columns with a constraint, and values that may break it."""
        if self.shape is Shape.UNIQUE and chance.random() < 0.7:
            return {"other": str(chance.randrange(KEYS_MAX))}
        if self.shape is Shape.CHILD and chance.random() < 0.7:
            return {"parent": str(chance.randrange(KEYS_MAX))}
        return {}


_INTEGER: Final = Kind("int", lambda chance: str(chance.randrange(KEYS_MAX)))
_TEXT: Final = Kind("text", lambda chance: literal(f"k {chance.randrange(KEYS_MAX)}"))

_KEYS: Final = {
    Shape.COMPOSITE: [Column("first", _INTEGER), Column("second", _TEXT)],
    Shape.NAMED: [Column('"The Name"', _TEXT)],
    Shape.PARTITIONED: [Column("id", _INTEGER), Column("region", _INTEGER)],
}


def random_table(
    number: int, shape: Shape, chance: Chance, kinds: Sequence[Kind] = KINDS
) -> RandomTable:
    columns = [Column(f"c{n}", chance.choice(kinds)) for n in range(chance.randint(2, 7))]
    table = RandomTable(f"t{number}", shape, _KEYS.get(shape, [Column("id", _INTEGER)]), columns)
    if shape is Shape.CHILD:
        table.action = chance.choice(ACTIONS)
    if shape is Shape.PARTITIONED:
        table.altered = chance.random() < 0.5
        table.truncated = not table.altered
    return table


def random_tables(chance: Chance, kinds: Sequence[Kind] = KINDS) -> list[RandomTable]:
    """One of each shape. The first one, `t0`, has a key of one integer."""
    shapes = [Shape.KEYED, *chance.sample(list(Shape)[1:], len(Shape) - 1)]
    return [random_table(number, shape, chance, kinds) for number, shape in enumerate(shapes)]
