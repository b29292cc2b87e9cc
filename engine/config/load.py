"""From a replication file to a checked configuration.

Everything wrong with the file, and with the files it names, is found in one reading and raised as
one ConfigError.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

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
from engine.config.section import read_section, type_name
from engine.config.settings import ReplicationSettings, SettingsFile, read_settings
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
)

PLAIN: Final = (ReplicationConfig, LoadConfig, ApplyConfig, CapacityConfig, IntervalsConfig)
"""Sections that are read key by key."""


def load_replication(path: Path, environment: Mapping[str, str]) -> ReplicationConfig:
    """Read a replication file and the files it names.

    Raises:
        ConfigError: the first problem; `problems` on it holds all that were found.
    """
    problems = Problems("")
    text = read_text(file_bytes, path, "FILE", problems)
    problems.raise_found()
    return parse_replication(text or "", environment, file=path)


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
    problems = Problems(shown_file(file))
    raw = read_toml(text, problems) or {}
    problems.raise_found()
    document = expand_document(raw, environment, problems)
    problems.raise_found()
    reader = read_bytes or file_bytes
    reading = Reading(
        directory=file.parent,
        environment=environment,
        read_file=lambda path, where, found: read_text(reader, path, where, found),
        problems=problems,
    )
    return _Loading(document, raw, reading).config()


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


class _Loading:
    """One file while it is read."""

    def __init__(self, document: Document, raw: Document, reading: Reading) -> None:
        self._reading = reading
        self._problems = reading.problems
        for name in document:
            if name not in TABLES:
                self._problems.unknown(shown(name), name, TABLES, "table")
        self._tables = {name: self._table(document, name) for name in TABLES}
        self._raw = raw

    def _table(self, document: Document, name: str) -> Document:
        table = document.get(name, {})
        if isinstance(table, dict):
            return table
        self._problems.add(name, f"expected a table [{name}], found {type_name(table)}")
        return {}

    def _raw_table(self, name: str) -> Document:
        table = self._raw.get(name)
        return table if isinstance(table, dict) else {}

    def config(self) -> ReplicationConfig:
        reading, tables = self._reading, self._tables
        sections: dict[str, dict[str, Any]] = {
            section.TABLE: read_section(section, tables[section.TABLE], self._problems)
            for section in PLAIN
        }
        source = read_source(tables["source"], self._raw_table("source"), reading)
        target = read_target(tables["target"], self._raw_table("target"), reading)
        idle = foreign_intervals(source.get("engine", "")).intersection(tables["intervals"])
        reading.no_effect.extend(f"intervals.{name}" for name in idle)
        mapping = self._mapping()
        settings = self._settings(sections)
        self._fix_row_policy(sections["apply"])
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
            )
        )

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
        return (None if text is None else read_json(text, within)), within

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
