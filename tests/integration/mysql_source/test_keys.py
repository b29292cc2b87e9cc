"""Which tables `key-parallel` may split, as the source says."""

import pytest

from engine.bucketing import source_obstacles
from tests.integration.mysql_source.conftest import SCHEMA, Sources
from tests.servers.mysql import MysqlServer

TABLES = {
    "number": ("id bigint unsigned PRIMARY KEY, v text", ""),
    "pair": ("a date, b varbinary(9), v int, PRIMARY KEY (a, b)", ""),
    "only": ("a int NOT NULL UNIQUE, v int", ""),
    "named": ("id int PRIMARY KEY, name varchar(9) UNIQUE", "unique index name beside the key"),
    "begun": (
        "id varbinary(20) PRIMARY KEY, UNIQUE start (id(3))",
        "unique index start beside the key",
    ),
    "worded": (
        "id varchar(9) COLLATE utf8mb4_general_ci PRIMARY KEY",
        "collation utf8mb4_general_ci, in which different texts may be equal",
    ),
    "padded": (
        "id varchar(9) COLLATE utf8mb4_bin PRIMARY KEY",
        "collation utf8mb4_bin, in which different texts may be equal",
    ),
    "priced": ("price decimal(9,2) PRIMARY KEY", "of type decimal(9,2): equal values may have"),
    "tree": (
        "id int PRIMARY KEY, up int, CONSTRAINT grows FOREIGN KEY (up) REFERENCES tree (id)",
        "foreign key grows refers to the table itself",
    ),
}


@pytest.mark.parametrize("form", ["mysql", "postgres"])
async def test_what_keeps_a_table_whole_is_said(
    sources: Sources, shop: MysqlServer, form: str
) -> None:
    for name, (columns, _) in TABLES.items():
        shop.execute(f"CREATE TABLE {name} ({columns})", database=SCHEMA)
    side = await sources.open(shop, form=form)
    relations = [r for r in await side.source.relations() if r.schema == SCHEMA]
    found = await source_obstacles(side.source, relations)
    said = {relation.name: found.get(relation.table, "") for relation in relations}
    assert said.keys() == TABLES.keys()
    for name, (_, reason) in TABLES.items():
        assert reason in said[name], name
        assert bool(reason) == bool(said[name]), name
