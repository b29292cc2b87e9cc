"""Which store a daemon has: a file in its state directory, or a database that a setting names."""

from pathlib import Path
from typing import Final

from engine.config.secret import Secret
from engine.control.store.contract import Store
from engine.errors import ConfigError

FILE_NAME: Final = "penstock.db"

SCHEMES: Final = ("postgresql://", "postgres://")


def choose(state_directory: Path, url: Secret | None = None, *, schema: str = "") -> Store:
    """The store, not opened yet; neither database's module is loaded but the one that is used.

    Raises ConfigError when the url is of no database that can hold a store.
    """
    if url is None:
        from engine.control.store.sqlite import SqliteStore

        return SqliteStore(state_directory / FILE_NAME)
    if not url.reveal().startswith(SCHEMES):
        raise ConfigError(
            "store",
            "is no url of PostgreSQL",
            hint="postgresql://USER:PASSWORD@HOST:PORT/DATABASE; without it the store is a file in"
            " the state directory",
        )
    try:
        from engine.control.store import postgres
    except ModuleNotFoundError as missing:
        if missing.name != "asyncpg":
            raise
        raise ConfigError(
            "store",
            "a store in PostgreSQL needs the driver asyncpg",
            hint="pip install 'penstock[postgres]'",
        ) from None
    return postgres.PostgresStore(url, schema=schema or postgres.SCHEMA)
