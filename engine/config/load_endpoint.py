"""Reads `[source]` and `[target]` with their settings, and finds the password."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from engine.config.document import Document
from engine.config.endpoint import SessionReplicationRole, SourceConfig, TargetConfig
from engine.config.endpoint_settings import AddressSettings, PostgresSourceSettings
from engine.config.family import FAMILIES, Family, foreign_keys, foreign_promises
from engine.config.problems import Problems, shown
from engine.config.secret import Secret
from engine.config.section import Section, declared_keys, read_section, read_value, type_name
from engine.config.shared_endpoint import Side
from engine.config.url import FORM, PATH_OPTIONS, SYSTEM_AUTHORITIES, ConnectionUrl

URLLESS_ENGINES: Final = frozenset({"memory", "blackhole"})
"""Penstock's own engines that connect to nothing."""

_ADDRESS_KEYS: Final = declared_keys(AddressSettings)
"""The same names in every family."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What reading a file needs and gathers."""

    directory: Path
    environment: Mapping[str, str]
    read_file: Callable[[Path, str, Problems], str | None]
    problems: Problems
    warnings: list[str] = field(default_factory=list[str])
    no_effect: list[str] = field(default_factory=list[str])


def read_source(written: Side, reading: Reading) -> dict[str, Any]:
    """Constructor arguments of `SourceConfig`."""
    side = _Side(SourceConfig, written, reading)
    arguments = side.read()
    settings = side.settings
    for aws in ("heartbeat_enable", "heartbeat_frequency_minutes"):
        if aws in settings and "heartbeat_interval_seconds" in arguments:
            written.problems.add(
                f"{written.where}.heartbeat",
                f"is also set in {written.where}.settings; keep one of the two",
            )
            break
    if settings.get("heartbeat_enable"):
        made = PostgresSourceSettings(**settings)
        arguments["heartbeat_interval_seconds"] = made.heartbeat_frequency_minutes * 60.0
    elif "heartbeat_frequency_minutes" in settings:
        reading.no_effect.append("source.settings.HeartbeatFrequency")
    _lower_warning(arguments)
    return arguments


def _lower_warning(arguments: dict[str, Any]) -> None:
    """A maximum below the default of the warning lowers the warning with it."""
    limit = arguments.get("wal_retained_max_bytes")
    if limit and "wal_retained_warn_bytes" not in arguments:
        arguments["wal_retained_warn_bytes"] = min(limit, SourceConfig.wal_retained_warn_bytes)


def read_target(written: Side, reading: Reading) -> dict[str, Any]:
    """Constructor arguments of `TargetConfig`."""
    side = _Side(TargetConfig, written, reading)
    arguments = side.read()
    script = side.settings.get("after_connect_script")
    if not script or side.family is None:
        return arguments
    if side.family.keys_off_script.fullmatch(script) is None:
        reading.no_effect.append("target.settings.AfterConnectScript")
    elif "session_replication_role" in arguments:
        written.problems.add(
            f"{written.where}.session_replication_role",
            f"is also set in {written.where}.settings.AfterConnectScript; keep one of the two",
        )
    else:
        arguments["session_replication_role"] = SessionReplicationRole.REPLICA
    return arguments


class _Side:
    """One end while it is read."""

    def __init__(
        self,
        section: type[SourceConfig] | type[TargetConfig],
        written: Side,
        reading: Reading,
    ) -> None:
        self.settings: dict[str, Any] = {}
        self._section = section
        self._name = written.where
        self._table = written.table
        self._raw = written.raw
        self._reading = reading
        self._problems = written.problems
        self._address: dict[str, Any] = {}
        self._engine: object = self._table.get("engine")
        engine = self._engine if isinstance(self._engine, str) else ""
        self._foreign = foreign_keys(engine)
        self._promises = foreign_promises(engine)
        self.family: Family | None = FAMILIES.get(engine)

    def read(self) -> dict[str, Any]:
        before = self._problems.count
        arguments = read_section(
            self._section, self._table, self._problems, beside=("settings",), where=self._name
        )
        for name in sorted(self._foreign & self._table.keys()):
            path = f"{self._name}.{name}"
            value = self._table[name]
            if isinstance(value, str) and value in self._promises.get(name, ()):
                self._problems.add(path, f"{self._engine} cannot do this, and must not ignore it")
            else:
                self._reading.no_effect.append(path)
        self._read_settings()
        if self._problems.count > before:
            return arguments
        if self.family is not None:
            made = self._settings_section(self.family)(**self.settings)
            arguments[self.family.settings_field] = made
        url = self._url(arguments.get("url"))
        if url is not None:
            arguments["url"] = self._finish_url(url, arguments)
        return arguments

    def _settings_section(self, family: Family) -> type[Section]:
        return family.source_settings if self._section is SourceConfig else family.target_settings

    def _read_settings(self) -> None:
        settings = self._table.get("settings", {})
        where = f"{self._name}.settings"
        if not isinstance(settings, dict):
            self._problems.add(where, f"expected a table, found {type_name(settings)}")
        elif self.family is not None:
            self._read_family_settings(self.family, settings, where)
        elif settings and isinstance(self._engine, str):
            self._problems.add(where, "this engine takes no settings")

    def _read_family_settings(self, family: Family, settings: Document, where: str) -> None:
        section = self._settings_section(family)
        declared = declared_keys(section)
        known = {*declared, *_ADDRESS_KEYS, *family.no_effect}
        address = {name: value for name, value in settings.items() if name in _ADDRESS_KEYS}
        self._address = read_section(family.address, address, self._problems, where=where)
        self.settings = read_section(
            section,
            {name: value for name, value in settings.items() if name not in address},
            self._problems,
            beside=known,
            where=where,
        )
        for name in settings.keys() - declared.keys() - _ADDRESS_KEYS.keys():
            path = f"{where}.{shown(name)}"
            if name in family.no_effect:
                read_value(family.no_effect[name], settings[name], path, self._problems)
                self._reading.no_effect.append(path)

    def _url(self, url: ConnectionUrl | None) -> ConnectionUrl | None:
        if self._address and url is not None:
            self._problems.add(
                f"{self._name}.url",
                f"{', '.join(self._written_address())} in {self._name}.settings say the same;"
                " keep one of the two",
            )
        elif self._address and self.family is not None:
            return self._from_address(self.family)
        elif url is None and self._engine not in URLLESS_ENGINES:
            form = FORM if self.family is None else self.family.form
            self._problems.add(f"{self._name}.url", f"is missing; expected {form}")
        return url

    def _written_address(self) -> list[str]:
        return [
            name for name, (field_name, _) in _ADDRESS_KEYS.items() if field_name in self._address
        ]

    def _from_address(self, family: Family) -> ConnectionUrl | None:
        address = family.address(**self._address)
        if family.names_database and not (address.server_name and address.database_name):
            self._problems.add(
                f"{self._name}.settings", "ServerName and DatabaseName are both needed without url"
            )
            return None
        if address.password is not None:
            settings = self._raw.get("settings")
            written = settings.get("Password") if isinstance(settings, dict) else ""
            self._warn_written(f"{self._name}.settings.Password", str(written))
        return ConnectionUrl(
            scheme=family.scheme,
            host=address.server_name,
            port=address.port,
            database=address.database_name,
            user=address.username,
            password=address.password,
        )

    def _finish_url(self, url: ConnectionUrl, arguments: dict[str, Any]) -> ConnectionUrl:
        where = f"{self._name}.url"
        if self.family is not None:
            try:
                url = self.family.narrow(url, str(self._engine))
            except ValueError as error:
                self._problems.add(where, str(error))
                return url
            url = replace(url, options=self._resolved(url.options))
            if not url.verifies_host:
                self._reading.warnings.append(
                    f"{self._problems.file}: {where}: sslmode={url.sslmode} does not check"
                    " who answers; use verify-full"
                )
        if "url" in self._table and url.password is not None:
            self._warn_written(where, _password_part(str(self._raw.get("url", ""))))
        return self._with_password(url, arguments)

    def _resolved(self, options: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """Options that name files, counted from the replication file."""
        return tuple(
            (name, str(self._reading.directory / value))
            if name in PATH_OPTIONS and value and value != SYSTEM_AUTHORITIES
            else (name, value)
            for name, value in options
        )

    def _warn_written(self, where: str, written: str) -> None:
        """Warn of a password that stands in the file itself, not behind a `${NAME}`."""
        if "${" not in written:
            self._reading.warnings.append(
                f"{self._problems.file}: {where}: holds a password; keep it out of the"
                " file with password_file, password_env or ${NAME}"
            )

    def _with_password(self, url: ConnectionUrl, arguments: dict[str, Any]) -> ConnectionUrl:
        file, variable = arguments.get("password_file"), arguments.get("password_env")
        given = [name for name in ("password_file", "password_env") if arguments.get(name)]
        if len(given) + (url.password is not None) > 1:
            self._problems.add(
                f"{self._name}.{given[0]}", "the password is also given elsewhere; keep one"
            )
            return url
        password = self._password(file, variable)
        return url if password is None else url.with_password(password)

    def _password(self, file: str | None, variable: str | None) -> Secret | None:
        if variable:
            value = self._reading.environment.get(variable, "")
            if not value:
                self._problems.add(
                    f"{self._name}.password_env", f"environment variable {variable} is not set"
                )
            return Secret(value)
        if not file:
            return None
        where = f"{self._name}.password_file"
        text = self._reading.read_file(self._reading.directory / file, where, self._problems)
        if text is None:
            return None
        line = text.split("\n", 1)[0].removesuffix("\r")
        if not line or "\0" in line:
            self._problems.add(where, "the first line of the file must be the password")
        return Secret(line)


def _password_part(written: str) -> str:
    """The password's place in a URL as it stands in the file; the whole text when there is none,
    so that a reference in its stead is seen."""
    before, at, _ = written.rpartition("@")
    return before.rpartition(":")[2] if at else written
