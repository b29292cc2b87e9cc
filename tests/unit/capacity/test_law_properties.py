"""What holds of the law whatever it is fed with."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.capacity.decision import Decision, Rule
from engine.capacity.law import Parameters, initial, step
from engine.capacity.sample import Cause, Phase, Sample
from engine.config.capacity import UNITS, CapacityConfig

EXAMPLES: Final = settings(max_examples=30)

RATIOS: Final = st.none() | st.sampled_from([0.0, 0.3, 0.6, 0.89, 0.9, 1.0]) | st.floats(0.0, 1.2)

RATES: Final = st.none() | st.sampled_from([0.0, 1e3, 2e3, 4e3, 1e5]) | st.floats(0.0, 1e6)

SAMPLES: Final = st.builds(
    Sample,
    at=st.just(0.0),
    phase=st.sampled_from([Phase.STREAMING] * 5 + list(Phase)),
    units=st.just(0),
    memory=RATIOS,
    queue=RATIOS,
    appliers=RATIOS,
    rows_in=RATES,
    rows_out=RATES,
    lag_seconds=st.none() | st.sampled_from([0.0, 0.5, 1.5, 30.0]),
    lanes=st.none() | st.integers(0, 40),
    cause=st.none() | st.sampled_from(Cause),
)


@dataclass(frozen=True)
class Stretch:
    """The same for some seconds; `obeys`: the worker has the size that was decided."""

    sample: Sample
    seconds: int
    step: float
    obeys: bool


STRETCHES: Final = st.lists(
    st.builds(
        Stretch,
        SAMPLES,
        st.integers(1, 60),
        st.sampled_from([1.0] * 8 + [0.3, 2.5, 30.0]),
        st.sampled_from([True] * 9 + [False]),
    ),
    max_size=16,
)


@st.composite
def parameters(draw: st.DrawFn) -> Parameters:
    low, high = sorted(draw(st.tuples(st.sampled_from(UNITS), st.sampled_from(UNITS))))
    config = CapacityConfig(
        units_min=low,
        units_max=high,
        up_after_seconds=draw(st.sampled_from([1.0, 5.0])),
        down_after_seconds=draw(st.sampled_from([10.0, 60.0])),
        release_after_seconds=5.0,
        spike_memory_seconds=90.0,
        cool_down_seconds=draw(st.sampled_from([1.0, 10.0, 40.0])),
        effect_after_seconds=draw(st.sampled_from([2.0, 10.0, 60.0])),
        bar_seconds=60.0,
    )
    config.validate()
    return Parameters(config=config, appliers_fixed=draw(st.booleans()))


def run(
    given_to: Parameters, stretches: list[Stretch], units: int
) -> list[tuple[Decision, Sample]]:
    state, at, found = initial(given_to, units, 0.0), 0.0, []
    for stretch in stretches:
        for _ in range(stretch.seconds):
            at += stretch.step
            size = state.units if stretch.obeys else units
            sample = replace(stretch.sample, at=at, units=size)
            state, decision = step(given_to, state, sample)
            if decision is not None:
                found.append((decision, sample))
    return found


@EXAMPLES
@given(parameters(), STRETCHES, st.sampled_from(UNITS))
def test_two_changes_are_never_closer_than_the_cool_down(
    given_to: Parameters, stretches: list[Stretch], units: int
) -> None:
    changes = [d.at for d, _ in run(given_to, stretches, units) if d.changes]
    gaps = [after - before for before, after in pairwise(changes)]
    assert min(gaps, default=1e9) >= given_to.config.cool_down_seconds


@EXAMPLES
@given(parameters(), STRETCHES, st.sampled_from(UNITS))
def test_every_size_is_on_the_ladder_and_one_rung_away_unless_memory_runs_out(
    given_to: Parameters, stretches: list[Stretch], units: int
) -> None:
    ladder = given_to.config.ladder
    for decision, _ in run(given_to, stretches, units):
        if not decision.changes:
            assert decision.rule in (Rule.HOLD, Rule.KEPT)
            continue
        assert decision.units_to in ladder
        if decision.rule is not Rule.EMERGENCY and decision.units_from in ladder:
            there, here = ladder.index(decision.units_to), ladder.index(decision.units_from)
            assert there - here == (1 if decision.rule is Rule.UP else -1)


@EXAMPLES
@given(parameters(), STRETCHES, st.sampled_from(UNITS))
def test_nothing_is_given_back_while_rows_are_loaded_or_nothing_flows(
    given_to: Parameters, stretches: list[Stretch], units: int
) -> None:
    for decision, sample in run(given_to, stretches, units):
        if decision.units_to < decision.units_from:
            assert sample.phase is Phase.STREAMING
            assert not sample.missing


@EXAMPLES
@given(parameters(), STRETCHES, st.sampled_from(UNITS))
def test_nothing_grows_by_rows_while_something_else_is_the_limit(
    given_to: Parameters, stretches: list[Stretch], units: int
) -> None:
    for decision, sample in run(given_to, stretches, units):
        if decision.rule is Rule.UP and "memory" not in decision.reason:
            assert sample.cause in (None, Cause.APPLIERS)
            assert sample.lanes is None or sample.lanes > 1
            assert not given_to.appliers_fixed


@EXAMPLES
@given(parameters(), STRETCHES, st.sampled_from(UNITS))
def test_the_same_samples_give_the_same_decisions(
    given_to: Parameters, stretches: list[Stretch], units: int
) -> None:
    assert run(given_to, stretches, units) == run(given_to, stretches, units)


@settings(max_examples=12)
@given(
    st.sampled_from([None, Cause.APPLIERS]),
    st.floats(0.0, 0.04),
    st.integers(0, 2**32),
    st.sampled_from([1, 2, 4, 8]),
)
def test_a_target_that_takes_no_more_sees_one_step_up_that_is_taken_back(
    cause: Cause | None, spread: float, seed: int, units: int
) -> None:
    """Until the bar has passed; with a rate that is not the same in each second."""
    given_to = Parameters()
    state, changes = initial(given_to, units, 0.0), []
    for second in range(1, 600):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        rate = 10_000.0 * (1 + spread * (seed / 2**63 - 1))
        sample = Sample(
            at=float(second),
            phase=Phase.STREAMING,
            units=state.units,
            memory=0.3,
            queue=1.0,
            appliers=1.0,
            rows_in=rate,
            rows_out=rate,
            lag_seconds=second / 2,
            cause=cause,
        )
        state, decision = step(given_to, state, sample)
        if decision is not None and decision.changes:
            changes.append(decision.rule)
    assert changes == [Rule.UP, Rule.REVERSAL]
