"""Runs of many seeds: each seed chooses its weather, and a failure says how to see it again."""

from collections.abc import Callable

from tests.simulation.loop import Process
from tests.simulation.run import Report, simulate
from tests.simulation.scenario import Scenario
from tests.simulation.spell import Spell
from tests.simulation.world import World

__all__ = ["Spell", "command", "run"]


def run(
    scenario: Scenario,
    spell: Spell,
    *,
    traced: bool = False,
    watch: Callable[[World, Process], None] | None = None,
) -> Report:
    return simulate(scenario, spell, traced=traced, watch=watch)


def command(scenario: Scenario, spell: Spell) -> str:
    """What to type to see this run again."""
    parts = ["python -m tests.simulation", f"--scenario {scenario.name}", *spell.options]
    return " ".join([*parts, "--trace"])
