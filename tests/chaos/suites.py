"""Imports every module that registers suites: name a new one here."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from tests.chaos.suite import Suite, registered

MODULES: Final = (
    "tests.chaos.simulator",
    "tests.chaos.fuzz",
    "tests.chaos.kills",
    "tests.chaos.daemon_kills",
    "tests.chaos.servers",
    "tests.chaos.scheduling",
    "tests.chaos.soak",
)


def suites() -> Mapping[str, Suite]:
    """All of them, by name."""
    for module in MODULES:
        import_module(module)
    return registered()
