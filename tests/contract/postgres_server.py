"""The PostgreSQL servers and tables that the laws of its source and its target share."""

import atexit
import functools
from typing import Final

from tests.conftest import need
from tests.servers.postgres import Cluster

TABLES: Final = """
CREATE TABLE accounts (id text PRIMARY KEY, value text);
CREATE TABLE documents (id text PRIMARY KEY, body text, note text);
ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
CREATE TABLE copies (id text, note text);
ALTER TABLE copies REPLICA IDENTITY FULL;
CREATE TABLE mirrors (id text PRIMARY KEY, value text);
ALTER TABLE mirrors REPLICA IDENTITY FULL;
CREATE TABLE audit (id text, note text);
CREATE TABLE hidden (id text PRIMARY KEY, value text);
CREATE TABLE named (id text PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE parents (id text PRIMARY KEY);
CREATE TABLE children (id text PRIMARY KEY, parent text REFERENCES parents);
CREATE TABLE owned (id text PRIMARY KEY, parent text REFERENCES parents ON DELETE CASCADE);
"""


@functools.cache
def cluster(major: str) -> Cluster:
    """One server of a version for every law, gone with the process."""
    server = need(major, lambda: Cluster(major))
    atexit.register(server.destroy)
    server.start()
    return server
