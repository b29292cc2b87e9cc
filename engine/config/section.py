"""One table of the file as a frozen dataclass: every key is declared once, beside its field.

The declaration (`key`) drives reading, validation and the reference page, so they cannot differ.
(pure)
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar, Final, TypeVar, cast

from engine.config.kind import Kind, MistypedError
from engine.config.problems import Problems, shown
from engine.errors import ConfigError

T = TypeVar("T")


class _Required(Enum):
    REQUIRED = "required"


REQUIRED: Final = _Required.REQUIRED

_DECLARED: Final = "penstock.key"


@dataclass(frozen=True, slots=True)
class Declared:
    """A key as the file has it. `name` is the key, `meaning` its line in the reference."""

    kind: Kind[Any]
    name: str
    meaning: str
    required: bool
    default: object = None


def key(kind: Kind[T], meaning: str, *, default: T | _Required = REQUIRED, name: str = "") -> T:
    """Declare a field that is a key. Without `default` it is required; `name` is the key when it
    is not the field's name (a field says its unit, a key takes one)."""
    declared = Declared(kind, name, meaning, required=default is REQUIRED, default=default)
    metadata = {_DECLARED: declared}
    made = (
        field(metadata=metadata)
        if default is REQUIRED
        else field(default=default, metadata=metadata)
    )
    return cast("T", made)


def declared_keys(section: type["Section"]) -> dict[str, tuple[str, Declared]]:
    """Key in the file -> (field name, declaration), in order of declaration."""
    return {
        declared.name or name: (name, declared)
        for name, declared in (
            (each.name, each.metadata[_DECLARED])
            for each in fields(section)
            if _DECLARED in each.metadata
        )
    }


@dataclass(frozen=True, kw_only=True)
class Section:
    """Base of all sections. `TABLE` is the dotted name of its table in the file."""

    TABLE: ClassVar[str] = ""

    def validate(self) -> None:
        """Check every declared field, for a section that was built by hand.

        Raises:
            ConfigError: the first field whose constraint does not hold.
        """
        for name, (attribute, declared) in declared_keys(type(self)).items():
            try:
                declared.kind.check(getattr(self, attribute))
            except (ValueError, TypeError) as error:
                raise ConfigError(f"{self.TABLE}.{name}", str(error)) from None


def read_section(
    section: type[Section],
    table: Mapping[str, object],
    problems: Problems,
    *,
    beside: Collection[str] = (),
    where: str = "",
) -> dict[str, Any]:
    """Read a table's keys into constructor arguments; only what was written is in the result.

    `beside` names keys that someone else reads, `where` the table when it is not `TABLE`. Problems
    are collected, not raised; what they concern is None in the result.
    """
    known = declared_keys(section)
    where = where or section.TABLE
    arguments: dict[str, Any] = {}
    for name, value in table.items():
        if name in known:
            attribute, declared = known[name]
            arguments[attribute] = read_value(declared.kind, value, f"{where}.{name}", problems)
        elif name not in beside:
            problems.unknown(f"{where}.{shown(name)}", name, [*known, *beside])
    for name, (_, declared) in known.items():
        if declared.required and name not in table:
            problems.add(f"{where}.{name}", f"is missing; expected {declared.kind.expected}")
    return arguments


def read_value(kind: Kind[T], value: object, where: str, problems: Problems) -> T | None:
    """Read one value; None after a problem was recorded."""
    try:
        return kind.read(value)
    except ValueError as error:
        problems.add(where, f"{error}{_found(value, error)}")
        return None


def _found(value: object, error: ValueError) -> str:
    """Name the type that was found, where the type is what is wrong."""
    return f", found {type_name(value)}" if isinstance(error, MistypedError) else ""


def type_name(value: object) -> str:
    """A value's type in the words of the file formats."""
    names: dict[type, str] = {
        str: "text",
        bool: "true or false",
        int: "a whole number",
        float: "a fraction",
        list: "a list",
        dict: "a table",
        type(None): "null",
    }
    return names.get(type(value), f"a {type(value).__name__}")
