"""`[endpoint.NAME]`: a database that several replications read from or write to, written once.

    [source]
    endpoint = "shop"

stands for the keys of `[endpoint.shop]`, which is in the same file or in `endpoints.toml` beside
it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.config.document import Document, read_toml
from engine.config.environment import expand_document
from engine.config.kind_text import Text
from engine.config.problems import Problems, nearest, shown, shown_file
from engine.config.section import read_value, type_name

TABLE: Final = "endpoint"
"""The table of endpoints, and the key of a side that names one."""

FILE: Final = "endpoints.toml"

NAME: Final = Text(
    "the name of an [endpoint.NAME]", re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
)

SIDES: Final = ("source", "target")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side's table. `raw` is as it was written, `table` has every `${NAME}` replaced; `where`
    it stands, in the file of `problems`. `shared` is the endpoint's name, or empty."""

    table: Document
    raw: Document
    where: str
    problems: Problems
    shared: str = ""


class SharedEndpoints:
    """Those that one replication file may name."""

    def __init__(
        self,
        raw: Mapping[str, object],
        directory: Path,
        read_file: Callable[[Path, str, Problems], str | None],
        problems: Problems,
    ) -> None:
        self._path = directory / FILE
        self._read_file = read_file
        self._problems = problems
        self._here = self._tables(raw.get(TABLE, {}), problems)
        self._there: Mapping[str, object] | None = None
        self._unread = ""
        self._within = problems.within(shown_file(self._path))

    def side(self, name: str, raw: Document, environment: Mapping[str, str]) -> Side | None:
        """The side called `name`, whose table is `raw`; None after a problem was recorded."""
        if TABLE not in raw:
            table = expand_document(raw, environment, self._problems, name)
            return Side(table=table, raw=raw, where=name, problems=self._problems)
        return self._named(f"{name}.{TABLE}", raw, environment)

    def _named(self, where: str, raw: Document, environment: Mapping[str, str]) -> Side | None:
        shared = read_value(NAME, raw[TABLE], where, self._problems)
        beside = sorted(raw.keys() - {TABLE})
        if beside:
            keys = ", ".join(map(shown, beside))
            self._problems.add(where, f"stands for the whole table; {keys} must not be beside it")
        if shared is None or beside:
            return None
        found, problems = self._found(shared)
        place = f"{TABLE}.{shared}"
        if found is None:
            self._unknown(where, shared)
            return None
        if not isinstance(found, dict):
            problems.add(place, f"expected a table, found {type_name(found)}")
            return None
        table = expand_document(found, environment, problems, place)
        return Side(table=table, raw=found, where=place, problems=problems, shared=shared)

    def _found(self, name: str) -> tuple[Any, Problems]:
        if name in self._here:
            return self._here[name], self._problems
        return self._file().get(name), self._within

    def _file(self) -> Mapping[str, object]:
        """What `endpoints.toml` has; nothing where it cannot be read, which `_unread` tells."""
        if self._there is None:
            attempt = Problems("")
            text = self._read_file(self._path, FILE, attempt)
            document = None if text is None else read_toml(text, self._within)
            self._unread = "; ".join(attempt.constraints)
            for name in document or {}:
                if name != TABLE:
                    self._within.unknown(shown(name), name, [TABLE], "table")
            self._there = self._tables((document or {}).get(TABLE, {}), self._within)
        return self._there

    def _tables(self, value: object, problems: Problems) -> Mapping[str, object]:
        if isinstance(value, dict):
            return value
        problems.add(TABLE, f"expected tables [{TABLE}.NAME], found {type_name(value)}")
        return {}

    def _unknown(self, where: str, name: str) -> None:
        known = sorted({*self._here, *self._file()})
        suggestion = nearest(name, known)
        self._problems.add(
            where,
            f"there is no [{TABLE}.{name}] in this file, nor in {FILE} beside it",
            hint=f"did you mean {suggestion!r}?" if suggestion else self._unread,
        )
