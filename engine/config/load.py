"""From a replication file to a checked configuration.

Everything wrong with the file, and with the files it names, is found in one reading and raised as
one ConfigError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine import quarantine
from engine.config.capacity import CapacityConfig
from engine.config.document import Document, read_json, read_toml
from engine.config.endpoint import SourceConfig, TargetConfig
from engine.config.environment import expand_document
from engine.config.family import foreign_intervals
from engine.config.files import ReadBytes, file_bytes, read_text
from engine.config.intervals import IntervalsConfig
from engine.config.load_endpoint import Reading, read_source, read_target
from engine.config.mapping import EVERYTHING, MappingConfig, TableMapping, short_mapping
from engine.config.mapping_rules import read_table_mapping
from engine.config.problems import Problems, shown, shown_file
from engine.config.reconcile import merge_settings, refuse_unsupported, without_effect
from engine.config.replication import (
    ApplyConfig,
    ApplyMode,
    LoadConfig,
    OnRowError,
    ReplicationConfig,
)
from engine.config.secret import Secret
from engine.config.section import read_section, type_name
from engine.config.settings import ReplicationSettings, SettingsFile, read_settings
from engine.config.shared_endpoint import SIDES, TABLE, SharedEndpoints, Side
from engine.errors import ConfigError

TABLES: Final = (
    "replication",
    "source",
    "target",
    "mapping",
    "load",
    "apply",
    "capacity",
    "intervals",
    "settings",
    TABLE,
)

PLAIN: Final = (ReplicationConfig, LoadConfig, ApplyConfig, CapacityConfig, IntervalsConfig)
"""Sections that are read key by key."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a file says, beside what it means.

    `document` has every `${NAME}` replaced, and endpoints in the place of their names; `shared` are
    the names, by side. `mapping` and `settings` are what the files hold that it names.
    """

    config: ReplicationConfig
    document: Document
    shared: Mapping[str, str]
    mapping: Document | None
    settings: Document | None


def load_replication(path: Path, environment: Mapping[str, str]) -> ReplicationConfig:
    """Read a replication file and the files it names.

    Raises:
        ConfigError: the first problem; `problems` on it holds all that were found.
    """
    return load_written(path, environment).config


def load_written(path: Path, environment: Mapping[str, str]) -> Written:
    """As `load_replication`, with what was written."""
    problems = Problems("")
    text = read_text(file_bytes, path, "FILE", problems)
    problems.raise_found()
    return _parse(text or "", environment, path, file_bytes)


def parse_replication(
    text: str,
    environment: Mapping[str, str],
    *,
    file: Path,
    read_bytes: ReadBytes | None = None,
) -> ReplicationConfig:
    """Read the text of a replication file. `file` names it, and relative paths count from its
    directory; `read_bytes` reads the files it names.

    Raises:
        ConfigError: as `load_replication`.
    """
    return _parse(text, environment, file, read_bytes or file_bytes).config


def _parse(text: str, environment: Mapping[str, str], file: Path, reader: ReadBytes) -> Written:
    problems = Problems(shown_file(file))
    raw = read_toml(text, problems) or {}
    problems.raise_found()
    reading = Reading(
        directory=file.parent,
        environment=environment,
        read_file=lambda path, where, found: read_text(reader, path, where, found),
        problems=problems,
    )
    return _Loading(raw, reading).written()


def parse_table_mapping(text: str, file: str = "table-mappings") -> TableMapping:
    """Read AWS DMS table-mapping JSON. Raises ConfigError."""
    problems = Problems(file)
    document = read_json(text, problems)
    mapping = None if document is None else read_table_mapping(document, problems)
    problems.raise_found()
    return mapping or EVERYTHING


def parse_settings(text: str, file: str = "replication-settings") -> ReplicationSettings:
    """Read AWS DMS replication-settings JSON. Raises ConfigError."""
    problems = Problems(file)
    document = read_json(text, problems)
    settings = read_settings(document or {}, problems)
    refuse_unsupported(settings, problems)
    problems.raise_found()
    return settings


def _plain(document: Document, name: str) -> Document:
    """A table; an empty one in the place of anything else."""
    table = document.get(name)
    return table if isinstance(table, dict) else {}


class _Loading:
    """One file while it is read."""

    def __init__(self, raw: Document, reading: Reading) -> None:
        self._reading = reading
        self._problems = reading.problems
        shared = SharedEndpoints(raw, reading.directory, reading.read_file, reading.problems)
        self._sides = {
            name: shared.side(name, _plain(raw, name), reading.environment) for name in SIDES
        }
        own = {name: raw[name] for name in raw if name not in (TABLE, *SIDES)}
        document = expand_document(own, reading.environment, reading.problems)
        reading.problems.raise_found()
        for name in raw:
            if name not in TABLES:
                self._problems.unknown(shown(name), name, TABLES, "table")
        self._tables = {name: self._table(document, name) for name in TABLES if name != TABLE}
        self._documents: dict[str, Document | None] = {}
        for name in SIDES:
            self._table(raw, name)

    def _table(self, document: Document, name: str) -> Document:
        table = document.get(name, {})
        if isinstance(table, dict):
            return table
        self._problems.add(name, f"expected a table [{name}], found {type_name(table)}")
        return {}

    def _side(self, name: str) -> Side:
        side = self._sides[name]
        assert side is not None  # else a problem was recorded, and raised
        return side

    def written(self) -> Written:
        sides = {name: self._side(name) for name in SIDES}
        config = self._config()
        tables = self._tables | {name: side.table for name, side in sides.items()}
        return Written(
            config=config,
            document={name: table for name, table in tables.items() if table},
            shared={name: side.shared for name, side in sides.items() if side.shared},
            mapping=self._documents.get("mapping.file"),
            settings=self._documents.get("settings.file"),
        )

    def _config(self) -> ReplicationConfig:
        reading, tables = self._reading, self._tables
        sections: dict[str, dict[str, Any]] = {
            section.TABLE: read_section(section, tables[section.TABLE], self._problems)
            for section in PLAIN
        }
        source = read_source(self._side("source"), reading)
        target = read_target(self._side("target"), reading)
        idle = foreign_intervals(source.get("engine", "")).intersection(tables["intervals"])
        reading.no_effect.extend(f"intervals.{name}" for name in idle)
        mapping = self._mapping()
        settings = self._settings(sections)
        self._fix_row_policy(sections["apply"])
        quarantine_key = self._quarantine_key()
        self._problems.raise_found()
        return self._checked(
            lambda: ReplicationConfig(
                **sections["replication"],
                source=SourceConfig(**source),
                target=TargetConfig(**target),
                mapping=mapping,
                load=LoadConfig(**sections["load"]),
                apply=ApplyConfig(**sections["apply"]),
                capacity=CapacityConfig(**sections["capacity"]),
                intervals=IntervalsConfig(**sections["intervals"]),
                settings=settings,
                warnings=tuple(reading.warnings),
                no_effect=(*sorted(reading.no_effect), *without_effect(settings)),
                file=self._problems.file,
                quarantine_key=quarantine_key,
            )
        )

    def _quarantine_key(self) -> Secret | None:
        """Of the environment alone: a file would be shared and copied with it."""
        text = self._reading.environment.get(quarantine.VARIABLE)
        if not text:
            return None
        key = Secret(text)
        try:
            quarantine.key_bytes(key)
        except ConfigError as error:
            self._problems.add(error.field, error.constraint, hint=error.hint)
        return key

    def _checked(self, make: Callable[[], ReplicationConfig]) -> ReplicationConfig:
        config = make()
        try:
            config.validate()
        except ConfigError as error:
            self._problems.add(error.field, error.constraint, hint=error.hint)
        self._problems.raise_found()
        return config

    def _document(self, where: str, name: str) -> tuple[Document | None, Problems]:
        """A JSON file named by a key, and the problems that name that file."""
        path = self._reading.directory / name
        within = self._problems.within(shown_file(path))
        text = self._reading.read_file(path, where, self._problems)
        document = None if text is None else read_json(text, within)
        self._documents[where] = document
        return document, within

    def _mapping(self) -> TableMapping:
        written = read_section(MappingConfig, self._tables["mapping"], self._problems)
        if not written.get("file"):
            if None in written.values():
                return EVERYTHING
            return short_mapping(written.get("include", ()), written.get("exclude", ()))
        for name in ("include", "exclude"):
            if name in written:
                self._problems.add(f"mapping.{name}", "cannot stand beside file; keep one of them")
        document, within = self._document("mapping.file", written["file"])
        mapping = None if document is None else read_table_mapping(document, within)
        return mapping or EVERYTHING

    def _settings(self, sections: dict[str, dict[str, Any]]) -> ReplicationSettings:
        written = read_section(SettingsFile, self._tables["settings"], self._problems)
        self._check_row_policy(sections["apply"])
        if not written.get("file"):
            return ReplicationSettings()
        document, within = self._document("settings.file", written["file"])
        settings = read_settings(document or {}, within)
        refuse_unsupported(settings, within)
        merge_settings(settings, sections, self._problems)
        return settings

    def _fix_row_policy(self, apply: dict[str, Any]) -> None:
        if apply.get("mode") is not ApplyMode.TRANSACTIONAL:
            return
        if apply.get("on_row_error", OnRowError.STOP) is not OnRowError.STOP:
            self._reading.warnings.append(
                f"{self._problems.file}: apply.mode: in transactional mode a row error stops the"
                " replication; the ApplyError policies in the settings file are not followed"
            )
        apply["on_row_error"] = OnRowError.STOP

    def _check_row_policy(self, apply: dict[str, Any]) -> None:
        """In transactional mode only one policy is possible; another one written is a mistake."""
        transactional = apply.get("mode") is ApplyMode.TRANSACTIONAL
        if transactional and apply.get("on_row_error", OnRowError.STOP) is not OnRowError.STOP:
            self._problems.add(
                "apply.on_row_error", 'must be "stop" in transactional mode, no row may be missing'
            )
