"""Every named crash point, and a run that dies at one."""

from importlib import import_module
from typing import Final

from engine.failpoint import names
from tests.scenario.running import Started

MODULES: Final = (
    "engine.pipeline",
    "connectors.mysql.source",
    "connectors.mysql.target",
    "connectors.postgres.source",
    "connectors.postgres.target",
)
"""What a worker imports: all that can register a name."""

CONNECTORS: Final = ("mysql",)
"""Names of a connector's own begin so."""

HIT: Final = {"load.planned": 2, "load.chunk-done": 3, "apply.before-commit": 5}
"""Which hit of a name kills; else the first."""

FIRST: Final = ("mysql.table-made", "load.planned", "mysql.load-data", "load.", "mysql.key-made")
"""In this order while tables are loaded, each once in a run at most; all others come when they
may."""


def points(*connectors: str) -> list[str]:
    """The engine's points and those of these connectors, in the order in which one replication can
    come to all of them."""
    for module in MODULES:
        import_module(module)
    others = tuple([f"{name}." for name in CONNECTORS if name not in connectors])
    return sorted([name for name in names() if not name.startswith(others)], key=_place)


def _place(name: str) -> tuple[int, str]:
    places = (number for number, first in enumerate(FIRST) if name.startswith(first))
    return next(places, len(FIRST)), name


def die_at(replication: Started, name: str) -> None:
    """Run until it is killed there."""
    with replication.run(PENSTOCK_FAILPOINT=f"{name}:{HIT.get(name, 1)}:kill") as run:
        run.await_event(
            lambda e: e["event"] == "restarting" and "SIGKILL" in e["reason"],
            f"the worker to die at {name}",
        )
