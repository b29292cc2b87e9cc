"""Every target, by name. A connector joins by naming the module that holds its `TARGETS`."""

from functools import cache
from importlib import import_module
from typing import Any, Final

from tests.fuzz.target import Fuzzed

MODULES: Final = (
    "tests.fuzz.postgres.stream",
    "tests.fuzz.postgres.messages",
    "tests.fuzz.postgres.frames",
    "tests.fuzz.postgres.told",
    "tests.fuzz.postgres.rows",
    "tests.fuzz.postgres.keys",
    "tests.fuzz.postgres.keyed",
    "tests.fuzz.postgres.control",
    "tests.fuzz.mysql.events",
    "tests.fuzz.mysql.rows",
    "tests.fuzz.mysql.lines",
    "tests.fuzz.mysql.gtids",
    "tests.fuzz.engine.configuration",
    "tests.fuzz.engine.stored",
    "tests.fuzz.engine.outside",
)


@cache
def targets() -> dict[str, Fuzzed[Any]]:
    """In the order of `MODULES`."""
    found: dict[str, Fuzzed[Any]] = {}
    for module in MODULES:
        for target in import_module(module).TARGETS:
            assert target.name not in found
            found[target.name] = target
    return found
