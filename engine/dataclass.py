"""`dataclass` of the standard library, made in a third of the time (pure).

A process makes some two hundred of these classes before it begins, and the standard library
compiles each method of each class from a text of its own: that was a third of a worker's start.
Here the methods that need the names of fields are one text for a class, the others are the same
functions for all. The fields themselves, slots and matching are the standard library's.

Type checkers see the original. Differences: only the parameters below, no pseudo-fields
(`InitVar`, `KW_ONLY`), and a frozen class is not recorded as frozen, so that it must not be a base
of one that `dataclasses` itself makes frozen.
"""

import dataclasses
import reprlib
from collections.abc import Iterable
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type[Any] | None = None, /, **options: bool) -> Any:
        """Add what the fields of a class imply; the same as `dataclasses.dataclass`."""
        return partial(_completed, **options) if cls is None else _completed(cls, **options)


__all__ = ["dataclass"]


def _completed(
    cls: type[Any],
    *,
    frozen: bool = False,
    eq: bool = True,
    kw_only: bool = False,
    slots: bool = False,
) -> type[Any]:
    own = set(vars(cls))
    if "__eq__" in own and vars(cls).get("__hash__") is None:
        own.discard("__hash__")  # Python's mark that a class with __eq__ has none; not the author's
    cls = dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only, slots=slots)(cls)
    methods: dict[str, Any] = _compiled(cls, frozen=frozen)
    methods["__repr__"] = _repr
    if not eq:
        del methods["__eq__"], methods["__hash__"]
    elif not frozen:
        methods["__hash__"] = None
    if frozen:
        methods |= _FROZEN
        methods |= _COPIED if slots else {}
    for name, method in methods.items():
        if name not in own:
            setattr(cls, name, method)
    return cls


def _compiled(cls: type[Any], *, frozen: bool) -> dict[str, Any]:
    """The methods whose text depends on the names of fields."""
    names: dict[str, Any] = {"_dataclass_set": object.__setattr__, "_dataclass_missing": MISSING}
    text = "\n".join((*_init(cls, names, frozen=frozen), *_comparing(fields(cls))))
    made: dict[str, Any] = {}
    exec(text, names, made)  # noqa: S102 - made of names of fields alone
    for name, method in made.items():
        method.__qualname__ = f"{cls.__qualname__}.{name}"
        method.__module__ = cls.__module__
    return made


def _init(cls: type[Any], names: dict[str, Any], *, frozen: bool) -> Iterable[str]:
    positional, keywords, body = list[str](), list[str](), list[str]()
    for field in fields(cls):
        value = _taken(field, names, keywords if field.kw_only else positional)
        if value and frozen:
            body.append(f" _dataclass_set(self, {field.name!r}, {value})")
        elif value:
            body.append(f" self.{field.name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    parameters = ["self", *positional, *(["*", *keywords] if keywords else [])]
    return f"def __init__({', '.join(parameters)}):", *(body or [" pass"])


def _taken(field: "Field[Any]", names: dict[str, Any], parameters: list[str]) -> str:
    """Add a field to the parameters, if it is one; gives the text of its value, empty for none."""
    name, default = field.name, f"_dataclass_default_{field.name}"
    if field.default_factory is not MISSING:
        names[default] = field.default_factory
        if not field.init:
            return f"{default}()"
        parameters.append(f"{name}=_dataclass_missing")
        return f"{default}() if {name} is _dataclass_missing else {name}"
    if field.default is MISSING:
        if not field.init:
            return ""
        parameters.append(name)
        return name
    names[default] = field.default
    if not field.init:
        return default
    parameters.append(f"{name}={default}")
    return name


def _comparing(fields: Iterable["Field[Any]"]) -> Iterable[str]:
    compared = [field for field in fields if field.compare]
    hashed = [field for field in fields if (field.compare if field.hash is None else field.hash)]
    yield "def __eq__(self, other):"
    yield " if other.__class__ is self.__class__:"
    yield f"  return {_tuple('self', compared)} == {_tuple('other', compared)}"
    yield " return NotImplemented"
    yield "def __hash__(self):"
    yield f" return hash({_tuple('self', hashed)})"


def _tuple(of: str, fields: Iterable["Field[Any]"]) -> str:
    return "(" + "".join(f"{of}.{field.name}, " for field in fields) + ")"


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_setting(_self: object, name: str, _value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deleting(_self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


_COPIED: Final = {"__getstate__": _state, "__setstate__": _set_state}
"""By default a copy sets slots as anybody would, which a frozen class refuses."""

_FROZEN: Final = {"__setattr__": _refuse_setting, "__delattr__": _refuse_deleting}
