"""The whole engine between a simulated source and a simulated target: what `make test` runs of the
suite `simulator`, one scenario at a time. More of it: `python -m tests.chaos`."""

import random
from typing import Final

import pytest

from tests.chaos.simulator import (
    CANCEL_POINTS,
    CANCEL_SIZES,
    CRASH_POINTS,
    CRASH_SIZES,
    HOMES,
    KNOWN,
    SEEDS,
    SIZES,
    mostly_known,
    try_crashes,
    try_seeds,
)
from tests.chaos.suite import Outcome, Tier
from tests.simulation.everywhere import Strike
from tests.simulation.regressions import REGRESSIONS
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.spell import Spell
from tests.simulation.swarm import run

EVERYTHING: Final = sorted(SCENARIOS)

FRESH_SEED: Final = random.SystemRandom().randrange(1 << 31)


SHARE: Final = 4 * len(SCENARIOS)
"""`make test` runs a quarter of the smoke tier, so that it stays under 20 minutes."""

SEEDS_EACH: Final = -(-SIZES[Tier.SMOKE][SEEDS] // SHARE)
POINTS_EACH: Final = -(-CRASH_SIZES[Tier.SMOKE][CRASH_POINTS] // SHARE)
CANCELS_EACH: Final = -(-CANCEL_SIZES[Tier.SMOKE][CANCEL_POINTS] // SHARE)
"""A scenario's share of that."""


def _require_none_failed(outcome: Outcome) -> None:
    """The first failure, with the command that shows it again."""
    for failure in outcome.failures[:1]:
        pytest.fail(f"{failure.what}\nreplay: {failure.replay}", pytrace=False)


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_calm_run_ends_equal(name: str) -> None:
    report = run(SCENARIOS[name], Spell(0))
    assert report.checks > 10


@pytest.mark.parametrize("name", EVERYTHING)
def test_killed_at_any_step_the_next_process_ends_equal(name: str) -> None:
    outcome = try_crashes(name, 1, count=POINTS_EACH)
    _require_none_failed(outcome)
    assert outcome.trials[CRASH_POINTS] >= POINTS_EACH


@pytest.mark.parametrize("name", EVERYTHING)
def test_cancelled_at_any_step_the_next_process_ends_equal(name: str) -> None:
    outcome = try_crashes(name, 1, count=CANCELS_EACH, strike=Strike.CANCEL)
    _require_none_failed(outcome)
    assert outcome.trials[CANCEL_POINTS] >= CANCELS_EACH


@pytest.mark.parametrize(("name", "spell"), REGRESSIONS)
def test_what_failed_once_holds(name: str, spell: Spell) -> None:
    run(SCENARIOS[name], spell)


@pytest.mark.parametrize("name", EVERYTHING)
def test_storms_and_kills_lose_and_repeat_nothing(name: str) -> None:
    outcome = try_seeds(name, mostly_known(SEEDS_EACH, FRESH_SEED))
    _require_none_failed(outcome)
    at_home = [situation for situation, home in HOMES.items() if home == name]
    if missing := [situation for situation in at_home if not outcome.reached[situation]]:
        more = try_seeds(name, range(KNOWN + SEEDS_EACH - 1, KNOWN + 2 * SEEDS_EACH))
        _require_none_failed(more)
        assert [situation for situation in missing if not more.reached[situation]] == []


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
