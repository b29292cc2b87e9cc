"""AWS DMS replication settings JSON, read against the catalog. (pure)"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from engine.config.document import Document
from engine.config.kind_text import Text
from engine.config.problems import Problems, shown
from engine.config.section import Section, key, read_value, type_name
from engine.config.settings_catalog import CATALOG, Entry, Group, Items

ITEMS_MAX: Final = 10_000
"""Most items of a list; character replacements are the longest."""


@dataclass(frozen=True, kw_only=True)
class SettingsFile(Section):
    """The `[settings]` table as written."""

    TABLE: ClassVar[str] = "settings"

    file: str = key(
        Text("a path", empty=True),
        "AWS DMS replication-settings JSON. Relative to this file.",
        default="",
    )


def defaults() -> Document:
    """The whole document as AWS echoes it for a replication without settings."""
    return {name: _default(entry) for name, entry in CATALOG.keys.items()}


def _default(entry: Entry) -> object:
    if isinstance(entry, Group):
        if entry.absent:
            return None
        return {name: _default(inner) for name, inner in entry.keys.items()}
    return copy.copy(entry.default)


@dataclass(frozen=True, kw_only=True)
class ReplicationSettings:
    """The settings with every default filled in, and which keys the user wrote.

    `written` holds dotted keys (`FullLoadSettings.MaxFullLoadSubTasks`) of the user's document.
    """

    expanded: Mapping[str, object] = field(default_factory=defaults)
    written: frozenset[str] = frozenset()

    def value(self, path: str) -> object:
        """A key's value, or its default. Raises KeyError for an unknown key."""
        node: object = self.expanded
        for name in path.split("."):
            if not isinstance(node, Mapping):
                raise KeyError(path)
            node = node[name]
        return node


def read_settings(document: Document, problems: Problems) -> ReplicationSettings:
    """Merge the user's document over the defaults. Problems are collected, not raised."""
    written: set[str] = set()
    expanded = _read_group(CATALOG, document, "", written, problems)
    return ReplicationSettings(expanded=expanded, written=frozenset(written))


def _read_group(
    group: Group, document: Document, where: str, written: set[str], problems: Problems
) -> Document:
    result: Document = {name: _default(entry) for name, entry in group.keys.items()}
    for name, value in document.items():
        entry = group.keys.get(name)
        path = f"{where}.{name}" if where else name
        if entry is None:
            problems.unknown(shown(path), name, group.keys, "key" if where else "section")
        elif value is not None:
            result[name] = _read_entry(entry, value, path, written, problems)
    return result


def _read_entry(
    entry: Entry, value: object, path: str, written: set[str], problems: Problems
) -> object:
    if isinstance(entry, Group):
        if isinstance(value, dict):
            return _read_group(entry, value, path, written, problems)
        problems.add(path, f"expected an object, found {type_name(value)}")
        return None
    written.add(path)
    if isinstance(entry, Items):
        return _read_items(entry, value, path, problems)
    read = read_value(entry.kind, value, path, problems)
    return entry.default if read is None else read


def _read_items(entry: Items, value: object, path: str, problems: Problems) -> object:
    if not isinstance(value, list) or len(value) > ITEMS_MAX:
        problems.add(path, f"expected a list of at most {ITEMS_MAX:,} objects")
        return None
    return [
        _read_entry(entry.item, item, f"{path}[{number}]", set(), problems)
        for number, item in enumerate(value)
    ]
