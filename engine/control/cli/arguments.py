"""Arguments and options that several commands share, and what they are checked for."""

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from engine.config.load import load_replication
from engine.config.replication import ReplicationConfig
from engine.errors import ConfigError
from engine.model.relation import TableName

File: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="The replication file, TOML.")
]

Json: TypeAlias = Annotated[
    bool, typer.Option("--json", metavar="", help="Print one JSON document.")
]


def load(file: Path) -> ReplicationConfig:
    """The checked replication file, with `${NAME}` taken from the environment.

    Raises:
        ConfigError: with every problem found.
    """
    return load_replication(file, os.environ)


def parse_table(text: str) -> TableName:
    """Read `schema.table`; a part with a dot, capitals or not, may stand in double quotes.

    Names are taken as written: unlike in SQL, capitals stay capitals without quotes.

    Raises:
        ConfigError: the text is not of that form.
    """
    parts = _split(text)
    if parts is None or len(parts) != 2 or not all(parts):
        raise ConfigError("TABLE", 'must be schema.table, e.g. public.orders or "My.Schema".orders')
    return TableName(*parts)


def _split(text: str) -> list[str] | None:
    parts, part, quoted = list[str](), "", False
    index = 0
    while index < len(text):
        character = text[index]
        if character == '"' and quoted and text[index + 1 : index + 2] == '"':
            part += '"'
            index += 1
        elif character == '"':
            quoted = not quoted
        elif character == "." and not quoted:
            parts.append(part)
            part = ""
        else:
            part += character
        index += 1
    return None if quoted else [*parts, part]
