"""The whole engine between a simulated source and a simulated target.

How much is run follows PENSTOCK_SIMULATION_SEEDS (seeds per scenario) and the nightly marker.
"""

import os
from collections import Counter
from typing import Final

import pytest

from tests.simulation.everywhere import Crashes, crash_everywhere
from tests.simulation.regressions import REGRESSIONS
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.spell import Spell
from tests.simulation.swarm import command, run

SEEDS: Final = int(os.environ.get("PENSTOCK_SIMULATION_SEEDS", "40"))
"""Seeds per scenario in the usual run: a second or two each scenario."""

NIGHTLY_SEEDS: Final = 5_000

STRIDE: Final = 5
"""The usual run crashes at every fifth distinguishable step, the nightly one at every one."""

EVERYTHING: Final = sorted(SCENARIOS)


def _swarm(name: str, seeds: range) -> Counter[str]:
    """Run every seed; what the runs met. The first failure ends it, with its command."""
    met: Counter[str] = Counter()
    for seed in seeds:
        spell = Spell.of(seed)
        try:
            met.update(run(SCENARIOS[name], spell).met)
        except Exception as error:
            error.add_note(f"replay: {command(SCENARIOS[name], spell)}")
            raise
    return met


def _require_none_failed(name: str, seed: int, crashes: Crashes) -> None:
    for step, text in crashes.failed.items():
        again = command(SCENARIOS[name], Spell(seed, crash_at=step))
        others = f"{len(crashes.failed)} of {crashes.points} crash points failed"
        pytest.fail(f"{text}\n{others}; replay: {again}", pytrace=False)


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_calm_run_ends_equal(name: str) -> None:
    for seed in range(5):
        report = run(SCENARIOS[name], Spell(seed))
        assert report.checks > 10


@pytest.mark.parametrize("name", EVERYTHING)
def test_killed_at_any_step_the_next_process_ends_equal(name: str) -> None:
    seed = int(os.environ.get("PENSTOCK_SIMULATION_SEED", "1"))
    crashes = crash_everywhere(SCENARIOS[name], seed, first=seed % STRIDE, stride=STRIDE)
    assert crashes.points > 50
    _require_none_failed(name, seed, crashes)


@pytest.mark.parametrize(("name", "spell"), REGRESSIONS)
def test_what_failed_once_holds(name: str, spell: Spell) -> None:
    run(SCENARIOS[name], spell)


@pytest.mark.nightly
@pytest.mark.parametrize("name", EVERYTHING)
def test_killed_at_every_step_the_next_process_ends_equal(name: str) -> None:
    for seed in (1, 2, 3):
        crashes = crash_everywhere(SCENARIOS[name], seed)
        _require_none_failed(name, seed, crashes)


@pytest.mark.parametrize("name", EVERYTHING)
def test_storms_and_kills_lose_and_repeat_nothing(name: str) -> None:
    _swarm(name, range(SEEDS))


@pytest.mark.nightly
@pytest.mark.parametrize("name", EVERYTHING)
def test_many_storms_and_kills_lose_and_repeat_nothing(name: str) -> None:
    _swarm(name, range(NIGHTLY_SEEDS))


@pytest.mark.parametrize(
    ("name", "aside"),
    [("refuse-load", ["strict"]), ("refuse-load-tied", ["children", "strict"])],
)
def test_a_row_refused_in_the_load_sets_its_tables_aside_and_no_others(
    name: str, aside: list[str]
) -> None:
    report = run(SCENARIOS[name], Spell(1), traced=True)
    stopped = {
        table
        for line in report.trace
        for table in ("strict", "children", "plain", "audit")
        if "'needs-reload'" in line and f"'public.{table}'" in line
    }
    assert sorted(stopped) == aside
    assert report.restarts == 0


def test_every_fault_strikes() -> None:
    """A fault that never strikes proves nothing."""
    met = _swarm("mixed", range(60)) + _swarm("large", range(20)) + _swarm("refuse", range(20))
    faults = Spell(0, storm=True, slow=True, disk=True).faults
    likely = {
        name
        for name in faults.__dataclass_fields__
        if name != "delay" and not name.endswith("seconds_max")
    }
    assert likely - set(met) == set()
