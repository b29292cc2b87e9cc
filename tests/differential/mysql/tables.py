"""Tables at random of MySQL and MariaDB: every way a row is told apart, any columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tests.differential.mysql.kinds import KEYS, MYSQL, Chance, KeyKind, Kind
from tests.servers.mysql import quoted

KEYS_MAX: Final = 300
"""Different keys of a table: few, so that statements meet each other's rows."""

NULLS: Final = 0.15
"""Share of values that are NULL."""

ACTIONS: Final = ("", "ON DELETE CASCADE", "ON DELETE CASCADE ON UPDATE CASCADE",
                  "ON DELETE SET NULL ON UPDATE CASCADE")  # fmt: skip

CHARSETS: Final = ("utf8mb4", "utf8mb4", "latin1", "utf8mb3")
"""A table's own, for columns that name none."""


IMAGES: Final = ("FULL", "FULL", "MINIMAL", "NOBLOB")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the servers of a pair know. `name` is the source's dialect; `old`: MySQL before 8.0.20.
    `generated`: columns that are computed may be carried. `images`: values of `binlog_row_image`
    to choose from."""

    name: str
    old: bool = False
    generated: bool = True
    images: tuple[str, ...] = IMAGES

    @property
    def mysql(self) -> bool:
        return self.name == MYSQL

    def kinds(self, all_kinds: Sequence[Kind]) -> list[Kind]:
        return [kind for kind in all_kinds if kind.only in ("", self.name)]


class Shape(Enum):
    """How rows are told apart, and by what the table is special."""

    KEYED = "a primary key of one column"
    COMPOSITE = "a primary key of two columns, not the first ones"
    UNIQUE = "a unique value beside the key"
    BY_INDEX = "a unique index and no primary key"
    PLAIN = "no key"
    PARTITIONED = "partitions by a hash of the key"
    CHILD = "a foreign key to the first table"
    GENERATED = "columns that are computed"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind
    nullable: bool = True
    clause: str = ""

    @property
    def declared(self) -> str:
        null = "" if self.nullable else " NOT NULL"
        return f"{quoted(self.name)} {self.kind.sql}{null}{self.clause}"

    def value(self, chance: Chance) -> str:
        if self.nullable and chance.random() < NULLS:
            return "NULL"
        return self.kind.value(chance)


@dataclass(frozen=True, slots=True)
class KeyColumn:
    name: str
    kind: KeyKind


@dataclass(slots=True)
class RandomTable:
    """`key` are the columns that statements find rows by; `columns` all others. DDL replaces
    `columns`, never changes it, as two writers read it."""

    name: str
    shape: Shape
    key: list[KeyColumn]
    columns: list[Column]
    charset: str = "utf8mb4"
    action: str = ""
    added: int = 0
    indexes: list[str] = field(default_factory=list[str])

    @property
    def sql(self) -> str:
        return quoted(self.name)

    @property
    def keyed(self) -> bool:
        return self.shape is not Shape.PLAIN

    @property
    def steady(self) -> bool:
        """Whether it keeps its name, as others name it."""
        return self.name == "t0" or self.shape is Shape.CHILD

    def create(self) -> str:
        columns = [column.declared for column in self.columns]
        keys = [f"{quoted(c.name)} {c.kind.sql} NOT NULL" for c in self.key]
        names = ", ".join(quoted(c.name) for c in self.key)
        place = len(columns) // 2 if self.shape is Shape.COMPOSITE else 0
        columns[place:place] = keys
        columns += self._constraints(names)
        by = f" PARTITION BY KEY ({names}) PARTITIONS 3" if self.shape is Shape.PARTITIONED else ""
        end = f"ENGINE=InnoDB DEFAULT CHARSET={self.charset}"
        return f"CREATE TABLE {self.sql} ({', '.join(columns)}) {end}{by}"

    def _constraints(self, names: str) -> list[str]:
        primary = f"PRIMARY KEY ({names})"
        first = quoted(self.key[0].name)
        match self.shape:
            case Shape.PLAIN:
                return []
            case Shape.BY_INDEX:
                return [f"UNIQUE KEY by_index ({names})"]
            case Shape.UNIQUE:
                return [primary, "other int UNIQUE"]
            case Shape.CHILD:
                parent = f"FOREIGN KEY (parent) REFERENCES t0 (id) {self.action}"
                return [primary, "parent int", parent]
            case Shape.GENERATED:
                return [
                    primary,
                    f"g0 varchar(400) AS (CONCAT('v ', HEX({first}))) STORED",
                    f"g1 int AS (CRC32({first}) % 1000) VIRTUAL",
                ]
            case _:
                return [primary]

    def key_value(self, chance: Chance, number: int | None = None) -> list[str]:
        """A key at random, an expression for each of its columns."""
        number = chance.randrange(KEYS_MAX) if number is None else number
        if len(self.key) == 1:
            return [self.key[0].kind.value(chance, number)]
        first, second = self.key
        return [first.kind.value(chance, number % 20), second.kind.value(chance, number // 20)]

    def extra(self, chance: Chance) -> dict[str, str]:
        """Columns with a constraint, and values that may break it."""
        value = str(chance.randrange(KEYS_MAX)) if chance.random() < 0.7 else "NULL"
        match self.shape:
            case Shape.UNIQUE:
                return {"other": value}
            case Shape.CHILD:
                return {"parent": value}
            case _:
                return {}

    def names(self) -> list[str]:
        """Names of all columns that an INSERT lists, but for `extra`; the key's first."""
        return [column.name for column in self.key] + [column.name for column in self.columns]

    def written(self) -> list[str]:
        """The same in quotes."""
        return [quoted(name) for name in self.names()]


def random_table(
    name: str, shape: Shape, chance: Chance, kinds: list[Kind], dialect: Dialect
) -> RandomTable:
    if shape is Shape.PARTITIONED:
        kinds = [kind for kind in kinds if kind.sql != "point"]  # no table of MariaDB has both
    columns = [_column(f"c{n}", chance, kinds, dialect) for n in range(chance.randint(2, 7))]
    table = RandomTable(name, shape, _key(shape, chance), columns, chance.choice(CHARSETS))
    if shape is Shape.CHILD:
        table.action = chance.choice(ACTIONS)
    return table


def _column(name: str, chance: Chance, kinds: list[Kind], dialect: Dialect) -> Column:
    hidden = not dialect.old and chance.random() < 0.05
    return Column(name, chance.choice(kinds), clause=" INVISIBLE" if hidden else "")


def _key(shape: Shape, chance: Chance) -> list[KeyColumn]:
    if shape is Shape.COMPOSITE:
        return [KeyColumn("first", chance.choice(KEYS)), KeyColumn("The `Name`", KEYS[7])]
    whole = shape in (Shape.PLAIN, Shape.CHILD)
    return [KeyColumn("id", KEYS[0] if whole else chance.choice(KEYS))]


def random_tables(chance: Chance, kinds: list[Kind], dialect: Dialect) -> list[RandomTable]:
    """One of each shape, and one more. The first one, `t0`, has a key of one integer."""
    shapes = [Shape.KEYED, *chance.sample(list(Shape)[1:], len(Shape) - 1), Shape.KEYED]
    if not dialect.generated:
        shapes.remove(Shape.GENERATED)
    tables = [random_table(f"t{n}", s, chance, kinds, dialect) for n, s in enumerate(shapes)]
    tables[0].key = [KeyColumn("id", KEYS[0])]
    return tables
