"""Runs of many seeds: each seed chooses its weather, and a failure says how to see it again."""

from dataclasses import dataclass
from typing import Final

from tests.simulation.faults import CALM, STORM
from tests.simulation.run import Report, simulate
from tests.simulation.scenario import Scenario

CRASHES_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Spell:
    """One run's weather."""

    seed: int
    storm: bool = False
    crashes: int = 0
    half_open: bool = False
    crash_at: int = 0
    late: bool = False
    """Calm until every table streams: most storms let the stream begin only now and then."""

    @classmethod
    def of(cls, seed: int) -> "Spell":
        """A storm with the number of kills the seed says."""
        late = seed // CRASHES_MAX % 2 == 1
        return cls(seed, True, seed % CRASHES_MAX, seed % 2 == 1, late=late)


def run(scenario: Scenario, spell: Spell, *, traced: bool = False) -> Report:
    return simulate(
        scenario,
        spell.seed,
        faults=STORM if spell.storm else CALM,
        crashes=spell.crashes,
        crash_at=spell.crash_at,
        half_open=spell.half_open,
        late=spell.late,
        traced=traced,
    )


def command(scenario: Scenario, spell: Spell) -> str:
    """What to type to see this run again."""
    parts = [f"python -m tests.simulation --scenario {scenario.name} --seed {spell.seed}"]
    parts += ["--storm"] if spell.storm else []
    parts += [f"--crashes {spell.crashes}"] if spell.crashes else []
    parts += ["--half-open"] if spell.half_open else []
    parts += ["--late"] if spell.late else []
    parts += [f"--crash-at {spell.crash_at}"] if spell.crash_at else []
    return " ".join([*parts, "--trace"])
