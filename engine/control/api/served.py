"""Every operation that is served: whatever a module of `operations` declares."""

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final

from engine.control.api.call import Served, collect

_PACKAGE: Final = "engine.control.api.operations"


@cache
def modules() -> tuple[ModuleType, ...]:
    """The modules of `operations`, by name."""
    found = sorted(info.name for info in pkgutil.iter_modules(import_module(_PACKAGE).__path__))
    return tuple(import_module(f"{_PACKAGE}.{name}") for name in found)


def served() -> dict[str, Served]:
    """The operations of all of them, by AWS's name."""
    return collect(*modules())
