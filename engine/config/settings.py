"""AWS DMS replication settings JSON, read against the catalog. (pure)

What a user writes is merged over AWS's defaults, and the whole is what AWS answers: every key that
was written has the value it was given.
"""

import copy
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from engine.config.document import Document, read_json
from engine.config.kind_text import Text
from engine.config.problems import Problems, shown
from engine.config.section import Section, key, read_value, type_name
from engine.config.settings_catalog import CATALOG, Entry, Group, Items, Setting, Shown
from engine.config.settings_consistency import check_consistency

ITEMS_MAX: Final = 10_000
"""Most items of a list; character replacements are the longest."""

PLAIN_TYPE: Final = "full-load-and-cdc"
"""The replication type whose defaults are used where none is named."""

HISTORY_SLOTS: Final = ("HistoryTimeslotInMinutes", "historyTimeslotInMinutes")
"""One setting under two names: AWS answers both."""

VALIDATION_ONLY_DELAY_SECONDS: Final = 180
"""AWS's `ValidationQueryCdcDelaySeconds` where nothing but validation is done."""


@dataclass(frozen=True, kw_only=True)
class SettingsFile(Section):
    """The `[settings]` table as written."""

    TABLE: ClassVar[str] = "settings"

    file: str = key(
        Text("a path", empty=True),
        "AWS DMS replication-settings JSON. Relative to this file.",
        default="",
    )


def defaults(replication_type: str = PLAIN_TYPE) -> Document:
    """The whole document as AWS answers it for a replication without settings."""
    return copy.deepcopy(_defaults(CATALOG, replication_type))


@functools.cache
def _defaults(group: Group, replication_type: str) -> Document:
    """One value for all who ask: it is copied where it is changed."""
    return {
        name: _default(entry, replication_type)
        for name, entry in group.keys.items()
        if entry.shown is not Shown.UNWRITTEN
    }


def _default(entry: Entry, replication_type: str) -> object:
    if entry.shown is Shown.NULL:
        return None
    if isinstance(entry, Setting):
        return entry.by_type.get(replication_type, entry.default)
    if isinstance(entry, Items):
        # Items hold nothing that can change: a copy of each is as deep as one can be.
        return [dict(item) for item in entry.default] if entry.default else entry.default
    return None if replication_type in entry.null_for else _defaults(entry, replication_type)


@dataclass(frozen=True, kw_only=True)
class ReplicationSettings:
    """The settings with every default filled in, and which keys the user wrote.

    `written` holds dotted keys (`FullLoadSettings.MaxFullLoadSubTasks`) of the user's document.
    """

    expanded: Mapping[str, object] = field(default_factory=defaults)
    written: frozenset[str] = frozenset()

    def value(self, path: str) -> object:
        """A key's value, or its default. Raises KeyError for a key that is not there: an unknown
        one, or one of a section that AWS leaves out until it is written."""
        node: object = self.expanded
        for name in path.split("."):
            if not isinstance(node, Mapping):
                raise KeyError(path)
            node = node[name]
        return node

    def document(self, *, log_group: str | None = None, log_stream: str | None = None) -> Document:
        """The whole document as AWS answers it; reading it gives the same one again.

        `log_group` and `log_stream` are the server's, null before the first run.
        """
        made: Document = copy.deepcopy(dict(self.expanded))
        logging = made["Logging"]
        assert isinstance(logging, dict)
        logging["CloudWatchLogGroup"] = log_group
        logging["CloudWatchLogStream"] = log_stream
        return made

    def text(self, *, log_group: str | None = None, log_stream: str | None = None) -> str:
        """`document` as JSON text."""
        return json.dumps(self.document(log_group=log_group, log_stream=log_stream))


def read_settings(
    document: Document, problems: Problems, replication_type: str = PLAIN_TYPE
) -> ReplicationSettings:
    """Merge the user's document over the defaults. Problems are collected, not raised."""
    reading = _Reading(replication_type, problems)
    expanded = reading.group(CATALOG, document, "")
    reading.derive(expanded)
    settings = ReplicationSettings(expanded=expanded, written=frozenset(reading.written))
    check_consistency(settings.value, settings.written, problems)
    return settings


def parse_given(
    text: str, *, replication_type: str = PLAIN_TYPE, file: str = "ReplicationSettings"
) -> tuple[Document, ReplicationSettings]:
    """Read settings JSON: the document as it was given, to be kept, and what it means.

    Raises:
        ConfigError: the first problem; `problems` on it holds all that were found.
    """
    problems = Problems(file)
    document = read_json(text, problems) or {}
    settings = read_settings(document, problems, replication_type)
    problems.raise_found()
    return document, settings


def read_given(
    given: Document, *, replication_type: str = PLAIN_TYPE, file: str = "ReplicationSettings"
) -> ReplicationSettings:
    """What a document means that `parse_given` has read before.

    Raises:
        ConfigError: the first problem; `problems` on it holds all that were found.
    """
    problems = Problems(file)
    settings = read_settings(given, problems, replication_type)
    problems.raise_found()
    return settings


def parse_change(
    text: str, *, replication_type: str = PLAIN_TYPE, file: str = "ReplicationSettings"
) -> Document:
    """Read settings JSON that is to be merged (`modified`): every key by itself is checked, those
    that only make sense together are not, as the others may be in what it is merged into.

    Raises:
        ConfigError: the first problem; `problems` on it holds all that were found.
    """
    problems = Problems(file)
    document = read_json(text, problems) or {}
    _Reading(replication_type, problems).group(CATALOG, document, "")
    problems.raise_found()
    return document


class _Reading:
    """One document while it is read."""

    def __init__(self, replication_type: str, problems: Problems) -> None:
        self.written: set[str] = set()
        self._type = replication_type
        self._problems = problems

    def group(self, group: Group, document: Document, where: str) -> Document:
        result = dict(_defaults(group, self._type))
        for name, value in document.items():
            entry = group.keys.get(name)
            path = f"{where}.{name}" if where else name
            if entry is None:
                what = "key" if where else "section"
                self._problems.unknown(shown(path), name, group.keys, what)
            elif value is not None:
                result[name] = self._entry(entry, value, path)
        return result

    def _entry(self, entry: Entry, value: object, path: str) -> object:
        if isinstance(entry, Group):
            if isinstance(value, dict):
                return self.group(entry, value, path)
            self._problems.add(path, f"expected an object, found {type_name(value)}")
            return _default(entry, self._type)
        self.written.add(path)
        if isinstance(entry, Items):
            return self._items(entry, value, path)
        read = read_value(entry.kind, value, path, self._problems)
        if entry.shown is Shown.BY_SERVER:
            return None
        return _default(entry, self._type) if read is None else read

    def _items(self, entry: Items, value: object, path: str) -> object:
        if not isinstance(value, list) or len(value) > ITEMS_MAX:
            self._problems.add(path, f"expected a list of at most {ITEMS_MAX:,} objects")
            return _default(entry, self._type)
        items = [
            self._item(entry.item, item, f"{path}[{number}]") for number, item in enumerate(value)
        ]
        if not entry.identity:
            return items
        for number, item in enumerate(value):
            if isinstance(item, dict) and item.get(entry.identity) is None:
                self._problems.add(f"{path}[{number}].{entry.identity}", "is missing")
        names = [item[entry.identity] for item in items]
        if len(set(map(str, names))) < len(names):
            self._problems.add(path, f"has two items of the same {entry.identity}")
        return _merged_items(_default(entry, self._type), items, entry.identity)

    def _item(self, group: Group, value: object, path: str) -> Document:
        known = frozenset(self.written)
        read = self._entry(group, value, path)
        self.written.intersection_update(known)  # only the list itself is a key
        return read if isinstance(read, dict) else _defaults(group, self._type)

    def derive(self, expanded: Document) -> None:
        """Values that follow from others."""
        self._history(expanded["ControlTablesSettings"])
        self._validation_only(expanded.get("ValidationSettings"))

    def _history(self, tables: object) -> None:
        section = "ControlTablesSettings"
        written = [name for name in HISTORY_SLOTS if f"{section}.{name}" in self.written]
        if not written or not isinstance(tables, dict):
            return
        if tables[written[0]] != tables[written[-1]]:
            constraint = f"is also set as {written[0]}, to something else; keep one of the two"
            self._problems.add(f"{section}.{written[-1]}", constraint)
        tables.update(dict.fromkeys(HISTORY_SLOTS, tables[written[0]]))

    def _validation_only(self, validation: object) -> None:
        delay = "ValidationQueryCdcDelaySeconds"
        if not isinstance(validation, dict) or f"ValidationSettings.{delay}" in self.written:
            return
        if validation["ValidationOnly"]:
            validation[delay] = VALIDATION_ONLY_DELAY_SECONDS


def _merged_items(before: object, change: list[Document], identity: str) -> list[object]:
    """The items of `before` with those of the same identity replaced, and the new ones after."""
    made = {item[identity]: item for item in before} if isinstance(before, list) else {}
    made.update({item[identity]: item for item in change})
    return list(made.values())


def modified(before: Document, change: Document) -> Document:
    """A user's document after a modification: the keys that are given replace, the others stay.

    Both are as users write them, checked before; the result is to be read again. A `null` takes a
    key back to its default.
    """
    made = _modified(CATALOG, before, change)
    tables, given = made.get("ControlTablesSettings"), change.get("ControlTablesSettings")
    if isinstance(tables, dict) and isinstance(given, dict):
        others = [name for name in HISTORY_SLOTS if name not in given]
        if len(others) == 1:
            tables.pop(others[0], None)
    return made


def _modified(group: Group, before: Document, change: Document) -> Document:
    made = dict(before)
    for name, value in change.items():
        entry, old = group.keys.get(name), made.get(name)
        if value is None:
            made.pop(name, None)
        elif isinstance(entry, Group) and isinstance(value, dict) and isinstance(old, dict):
            made[name] = _modified(entry, old, value)
        elif isinstance(entry, Items) and entry.identity and isinstance(value, list):
            made[name] = _merged_items(old, value, entry.identity)
        else:
            made[name] = value
    return made
