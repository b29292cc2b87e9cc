"""The store's format, step by step. (pure)

Forward only. A step is never changed once it was released: files of its format exist. Each runs in
a transaction of its own together with its number, so a start that was killed in between goes on
with the next one. Words in braces are where the two databases differ.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from engine.control.store.errors import StoreFormatError

Steps: TypeAlias = Sequence[Sequence[str]]

SQLITE: Final[Mapping[str, str]] = {
    "text": "TEXT NOT NULL",
    "numbered": "INTEGER PRIMARY KEY",  # any other type is an index beside the row's number
    "clustered": " WITHOUT ROWID",
}

POSTGRES: Final[Mapping[str, str]] = {
    "text": 'TEXT COLLATE "C" NOT NULL',
    "numbered": "BIGINT PRIMARY KEY",
    "clustered": "",
}

FORMAT_TABLE: Final = """CREATE TABLE format (
    number INTEGER PRIMARY KEY,
    applied DOUBLE PRECISION NOT NULL
)"""
"""Made before the first step; its greatest number is the store's format."""

STEPS: Final[Steps] = (
    (
        """CREATE TABLE record (
            kind {text}, id {text}, name {text}, document {text}, fields {text},
            revision BIGINT NOT NULL,
            created DOUBLE PRECISION NOT NULL, updated DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (kind, id), UNIQUE (kind, name)
        )""",
        """CREATE TABLE field (
            kind {text}, field {text}, value {text}, name {text}, id {text},
            PRIMARY KEY (kind, field, value, name)
        ){clustered}""",
        "CREATE INDEX field_of_record ON field (kind, id)",
        """CREATE TABLE fact (
            kind {text}, id {text}, key {text}, document {text},
            PRIMARY KEY (kind, id, key)
        ){clustered}""",
        """CREATE TABLE tag (
            kind {text}, id {text}, key {text}, value {text},
            PRIMARY KEY (kind, id, key)
        ){clustered}""",
        """CREATE TABLE event (
            number {numbered}, at DOUBLE PRECISION NOT NULL,
            source_type {text}, source_id {text}, message {text}, document {text},
            categories {text}
        )""",
        "CREATE INDEX event_at ON event (at, number)",
        "CREATE INDEX event_of_source ON event (source_type, source_id, number)",
        """CREATE TABLE event_category (
            event BIGINT NOT NULL, category {text}, PRIMARY KEY (category, event)
        ){clustered}""",
        """CREATE TABLE state (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            last_event BIGINT NOT NULL, last_at DOUBLE PRECISION NOT NULL,
            holder {text}, lease_number BIGINT NOT NULL,
            renewed DOUBLE PRECISION NOT NULL, seconds DOUBLE PRECISION NOT NULL
        )""",
        "INSERT INTO state VALUES (1, 0, 0, '', 0, 0, 0)",
    ),
)
"""What each format adds to the one before; the first is format 1."""


def missing(
    found: int, steps: Steps, words: Mapping[str, str], place: str
) -> Iterator[tuple[int, list[str]]]:
    """The steps after format `found`: number and statements. Raises StoreFormatError."""
    refuse_newer(found, len(steps), place)
    for number in range(found + 1, len(steps) + 1):
        yield number, [statement.format_map(words) for statement in steps[number - 1]]


def refuse_newer(found: int, known: int, place: str) -> None:
    """Raises StoreFormatError when the store is of a newer format than the newest known one."""
    if found > known:
        raise StoreFormatError(
            f"the store {place} has format {found}; this Penstock knows formats up to {known}",
            hint="a newer Penstock has used it: start that version again, or restore the backup of"
            " the store made before the upgrade; nothing was changed",
        )
