"""A kill at every named crash point, one after the other on one replication."""

import importlib
from typing import Final

from engine.failpoint import names
from tests.scenario.conftest import Replicate
from tests.scenario.kills import applying
from tests.scenario.running import Replication
from tests.scenario.workload import LOAD_SCHEMA, SCHEMA, Writers, broken_rules

MODULES: Final = ("engine.pipeline", "connectors.postgres.source", "connectors.postgres.target")
"""What a worker imports: all that can register a name."""

HIT: Final = {"load.planned": 2, "load.chunk-done": 3, "apply.before-commit": 5}
"""Which hit of a name kills; else the first."""


def _names() -> list[str]:
    for module in MODULES:
        importlib.import_module(module)
    return sorted(names(), key=lambda name: (not name.startswith("load."), name))


def _die_at(replication: Replication, name: str) -> None:
    with replication.run(PENSTOCK_FAILPOINT=f"{name}:{HIT.get(name, 1)}:kill") as run:
        run.await_event(
            lambda e: e["event"] == "restarting" and "SIGKILL" in e["reason"],
            f"the worker to die at {name}",
        )


def test_a_kill_at_every_failpoint_loses_and_repeats_nothing(replicate: Replicate) -> None:
    replication = replicate(
        load={"rows_per_chunk": 1000, "parallel_tables": 2},
        apply=applying("key-parallel"),  # which has points of its own beside all others
        source={"without_identity": "insert-only"},
    )
    replication.source.execute(SCHEMA + LOAD_SCHEMA)
    # planned comes before every chunk of a table, and once only
    order = sorted(_names(), key=lambda n: (not n.startswith("load."), n != "load.planned", n))
    with Writers(replication.source, loading=True):
        for name in order:
            _die_at(replication, name)
    replication.catch_up()
    assert replication.differences() == []
    assert broken_rules(replication.target) == []


def test_an_error_in_the_middle_of_a_batch_is_survived(replicate: Replicate) -> None:
    """The connection to the target is in an unknown state then, and is not used again."""
    replication = replicate()
    replication.source.execute(SCHEMA)
    replication.catch_up()
    with (
        Writers(replication.source),
        replication.run(PENSTOCK_FAILPOINT="apply.before-commit:3:error") as run,
    ):
        assert "failpoint" not in run.event("restarting")["reason"]  # an OSError's text may quote
        run.kill_supervisor()
    replication.catch_up()
    assert replication.differences() == []
