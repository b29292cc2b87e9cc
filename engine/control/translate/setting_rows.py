"""The settings an endpoint of an engine may have, as `DescribeEndpointSettings` lists them. (pure)

Made from the declarations that read them, so that a setting is listed with the type, range and
default that hold. `Applicability` says for which side a setting is, or why it has no effect.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.config.endpoint_effect import IDLE_SETTINGS
from engine.config.family import Family
from engine.config.kind import Flag, Integer, Kind
from engine.config.kind_text import Choice, Password, Word
from engine.config.section import Declared, Section, declared_keys
from engine.control.translate.endpoint import OF_AWS
from engine.control.translate.secrets import SECRET_MEMBERS

_UNITS: Final = ("seconds", "minutes")
"""Last words of a field's name that are units."""

_IDLE_UNITS: Final[Mapping[str, str]] = {
    "EventsPollInterval": "seconds",
    "HeartbeatFrequency": "minutes",
    "MaxFileSize": "kilobytes",
}


SECRET_ID: Final = SECRET_MEMBERS[0]
"""Without effect in a file; an endpoint of a daemon may name a file or a variable by it."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One setting of a family: how it is declared where it has effect, and on which sides."""

    kind: Kind[Any]
    default: object
    units: str
    sides: tuple[str, ...]


def setting_rows(family: Family) -> list[Mapping[str, object]]:
    """Rows by name. A setting whose default is that there is none has no `DefaultValue`."""
    found = dict(sorted(_found(family).items()))
    return [_row(name, setting) for name, setting in found.items()]


def _found(family: Family) -> dict[str, _Found]:
    settings = {
        name: _Found(kind, None, _IDLE_UNITS.get(name, ""), ())
        for name, kind in family.no_effect.items()
    }
    sides = (
        ("source", family.source_settings),
        ("target", family.target_settings),
        ("source", family.address),
        ("target", family.address),
    )
    for side, section in sides:
        for name, attribute, declared in _declared(section):
            before = settings[name].sides if name in settings else ()
            units = attribute.rpartition("_")[2]
            settings[name] = _Found(
                declared.kind,
                declared.default,
                units if units in _UNITS else "",
                (*before, side),
            )
    secret = settings[SECRET_ID]
    settings[SECRET_ID] = _Found(secret.kind, secret.default, "", ("source", "target"))
    return settings


def _declared(section: type[Section]) -> Iterator[tuple[str, str, Declared]]:
    for name, (attribute, declared) in declared_keys(section).items():
        yield name, attribute, declared


def _row(name: str, setting: _Found) -> Mapping[str, object]:
    row: dict[str, object] = {
        "Name": name,
        "Type": _type(setting.kind),
        "Sensitive": isinstance(setting.kind, Password),
        "Applicability": _applicability(name, setting),
    }
    row |= {"Units": setting.units} if setting.units else {}
    if isinstance(setting.kind, Integer):
        row |= {"IntValueMin": setting.kind.minimum, "IntValueMax": setting.kind.maximum}
    if isinstance(setting.kind, Word):
        row["EnumValues"] = list(setting.kind.allowed)
    if isinstance(setting.kind, Choice):
        row["EnumValues"] = [str(word) for word in setting.kind.words]
    if setting.default is not None and setting.default != "":
        row["DefaultValue"] = setting.kind.show(setting.default).strip('"')
    return row


def _type(kind: Kind[Any]) -> str:
    match kind:
        case Flag():
            return "boolean"
        case Integer():
            return "integer"
        case Word() | Choice():
            return "enum"
    return "string"


def _applicability(name: str, setting: _Found) -> str:
    if not setting.sides:
        return f"no effect: {OF_AWS.get(name) or IDLE_SETTINGS[name]}"
    if len(setting.sides) == 1:
        return f"{setting.sides[0]} endpoints"
    return "source and target endpoints"
