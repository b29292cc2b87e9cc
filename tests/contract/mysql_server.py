"""The MariaDB and MySQL servers and tables that the laws share."""

import atexit
import functools
from typing import Final

from tests.conftest import need
from tests.contract.bench import SCHEMA
from tests.servers.mysql import MysqlServer

_TEXT: Final = "VARCHAR(255)"

TABLES: Final = f"""
CREATE TABLE accounts (id {_TEXT} PRIMARY KEY, value {_TEXT});
CREATE TABLE documents (id {_TEXT} PRIMARY KEY, body LONGTEXT, note {_TEXT});
CREATE TABLE copies (id {_TEXT}, note {_TEXT});
CREATE TABLE mirrors (id {_TEXT} PRIMARY KEY, value {_TEXT});
CREATE TABLE audit (id {_TEXT}, note {_TEXT});
CREATE TABLE hidden (id {_TEXT} PRIMARY KEY, value {_TEXT});
CREATE TABLE named (id {_TEXT} PRIMARY KEY, name {_TEXT} NOT NULL UNIQUE);
CREATE TABLE parents (id {_TEXT} PRIMARY KEY);
CREATE TABLE children (
  id {_TEXT} PRIMARY KEY, parent {_TEXT}, FOREIGN KEY (parent) REFERENCES parents (id));
CREATE TABLE owned (
  id {_TEXT} PRIMARY KEY, parent {_TEXT},
  FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE)
"""


@functools.cache
def server(name: str) -> MysqlServer:
    """One server of a version for every law, gone with the process."""
    found = need(name, lambda: MysqlServer(name))
    atexit.register(found.destroy)
    found.start()
    return found


def fresh(name: str) -> MysqlServer:
    """The server with the laws' tables, all empty."""
    found = server(name)
    for database in (SCHEMA, "penstock"):
        found.drop_database(database)
    found.create_database(SCHEMA)
    found.execute(TABLES, database=SCHEMA)
    return found
