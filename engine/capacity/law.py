"""The law of capacity: from what is measured to the size a replication has. (pure)

`step` is called with every sample and gives the next state and what was decided, mostly nothing.
The rules stand in `RULES` in the order in which they are asked; the first that has something to
say is heard. Two changes are never closer than the cool-down, every size is on the ladder, and
nothing is given back while rows are loaded. docs/guide/capacity.md tells it in words.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeAlias

from engine.capacity.decision import NOTHING, Decision, First, Rule, inputs
from engine.capacity.evidence import Evidence, lags, observed
from engine.capacity.sample import SAMPLE_SECONDS, Cause, Phase, Sample
from engine.config.capacity import CapacityConfig

GAP_SECONDS: Final = 10 * SAMPLE_SECONDS
"""Samples further apart say nothing of what was between."""

MORE: Final = "raise [capacity] max, or give the machine memory for more"
"""What to do at the maximum, which a machine with too little memory lowers."""

BAR_DOUBLINGS_MAX: Final = 5
"""A bar grows to 32 times its first length: some hours by default, so that a target that has
become faster is found the same day."""


class Obstacle(StrEnum):
    """Why the law holds its last decision."""

    CLOCK = "clock"
    GAP = "gap"
    MISSING = "missing"
    SIZE = "size"
    LIMIT = "limit"
    BARRED = "barred"
    MAXIMUM = "maximum"


UNSAFE: Final = (Obstacle.CLOCK, Obstacle.GAP, Obstacle.MISSING, Obstacle.SIZE)
"""What ends with the first sample that can be trusted; the others end with the lag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What the law goes by. `appliers_fixed`: their number does not follow the units, so that
    growth gives memory alone."""

    config: CapacityConfig = field(default_factory=CapacityConfig)
    appliers_fixed: bool = False

    def above(self, units: int) -> int | None:
        """The next larger size; None at the maximum."""
        return next((size for size in self.config.ladder if size > units), None)

    def below(self, units: int) -> int | None:
        """The next smaller size; None at the minimum."""
        return next((size for size in reversed(self.config.ladder) if size < units), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A step up whose effect is still to be judged; `rate`: rows a second before it."""

    at: float
    units_from: int
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """No growth above `units` before `until`, unless more than `rate` comes out there."""

    units: int
    until: float
    rate: float
    cause: Cause | None
    doublings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the law remembers. For the caller, `units` is the size that was decided last."""

    units: int
    at: float
    changed_at: float
    evidence: Evidence
    trial: Trial | None = None
    bar: Bar | None = None
    held: Obstacle | None = None
    """What was said last of why it holds."""


def initial(parameters: Parameters, units: int, at: float, bar: Bar | None = None) -> State:
    """The state of a replication that begins with that many units at a time of the samples' clock.
    A size that is not on the ladder becomes the next smaller one, or the smallest. `bar`: what was
    seen before not to help. A start counts as a change: the first one comes after a cool-down."""
    ladder = parameters.config.ladder
    size = max((size for size in ladder if size <= units), default=ladder[0])
    evidence = Evidence.begin(ladder, at)
    return State(units=size, at=at, changed_at=at, evidence=evidence, bar=bar)


def begin(parameters: Parameters, state: State, first: First) -> tuple[State, Decision]:
    """The state with the size that was reckoned, which is never less than it has already."""
    ladder = parameters.config.ladder
    enough = next((size for size in ladder if size >= first.units), ladder[-1])
    units = max(enough, state.units)
    decision = Decision(
        at=first.at,
        rule=Rule.FIRST,
        units_from=state.units,
        units_to=units,
        reason=first.reason,
        inputs=NOTHING,
    )
    begun = replace(
        state, units=units, changed_at=first.at, evidence=state.evidence.resized(), held=None
    )
    return begun, decision


def step(parameters: Parameters, state: State, sample: Sample) -> tuple[State, Decision | None]:
    """The state after one more sample, and what was decided, if anything was."""
    case = _Case(parameters, state, sample)
    for rule in RULES:
        heard = rule(case)
        if heard is not None:
            return heard
    return case.quiet()


_Heard: TypeAlias = tuple[State, Decision | None]


class _Case:
    """One sample in the light of what was before. `state` is what rules go by and build on."""

    def __init__(self, parameters: Parameters, state: State, sample: Sample) -> None:
        self.parameters = parameters
        self.config = parameters.config
        self.sample = sample
        self.at = sample.at
        self.state = state

    @property
    def cooling(self) -> bool:
        return self.at - self.state.changed_at < self.config.cool_down_seconds

    def rebased(self) -> None:
        """Go on as if no time had passed since the last sample, with every period begun anew."""
        state, at = self.state, self.at
        passed = at - state.at
        trial, bar = state.trial, state.bar
        self.state = replace(
            state,
            at=at,
            changed_at=state.changed_at + passed,
            evidence=state.evidence.resumed(at),
            trial=trial and replace(trial, at=trial.at + passed),
            bar=bar and replace(bar, until=bar.until + passed),
        )

    def quiet(self) -> _Heard:
        """Nothing is decided."""
        lagged = self.at - self.state.evidence.lagged < self.config.release_after_seconds
        held = self.state.held if lagged and self.state.held not in UNSAFE else None
        return replace(self.state, at=self.at, held=held), None

    def hold(self, obstacle: Obstacle, reason: str) -> _Heard:
        """Keep the size, and say why unless that was said last."""
        state = replace(self.state, at=self.at, held=obstacle)
        if self.state.held is obstacle:
            return state, None
        return state, self._decision(Rule.HOLD, self.state.units, reason)

    def change(self, rule: Rule, units: int, reason: str, *, trial: Trial | None = None) -> _Heard:
        decision = self._decision(rule, units, reason)
        state = replace(
            self.state,
            at=self.at,
            units=units,
            changed_at=self.at,
            evidence=self.state.evidence.resized(),
            trial=trial,
            held=None,
        )
        return state, decision

    def kept(self, reason: str) -> _Heard:
        bar = self.state.bar
        passed = bar is not None and bar.units < self.state.units
        state = replace(self.state, at=self.at, trial=None, bar=None if passed else bar)
        return state, self._decision(Rule.KEPT, self.state.units, reason)

    def _decision(self, rule: Rule, units: int, reason: str) -> Decision:
        return Decision(
            at=self.at,
            rule=rule,
            units_from=self.state.units,
            units_to=units,
            reason=reason,
            inputs=inputs(self.state.evidence, self.sample),
        )


# --- rules ----------------------------------------------------------------------------------------


def _clock(case: _Case) -> _Heard | None:
    """A clock that went back, or samples that stayed away."""
    passed = case.at - case.state.at
    if 0 < passed <= GAP_SECONDS:
        return None
    case.rebased()
    if passed > 0:
        return case.hold(Obstacle.GAP, f"nothing was measured for {passed:.0f} s")
    return case.hold(Obstacle.CLOCK, f"the clock of the samples went back by {-passed:.1f} s")


def _size(case: _Case) -> _Heard | None:
    """A worker that has another size than was decided."""
    state, runs = case.state, case.sample.units
    if runs == state.units:
        return None
    case.state = replace(state, evidence=state.evidence.resumed(case.at))
    if case.at - state.changed_at < case.config.effect_after_seconds:
        return case.quiet()
    reason = f"the worker runs with {_units(runs)}, not with the {state.units} that were decided"
    heard, decision = case.hold(Obstacle.SIZE, reason)
    return replace(heard, units=runs, changed_at=case.at, trial=None), decision


def _emergency(case: _Case) -> _Heard | None:
    memory = case.sample.memory
    if memory is None or memory < case.config.emergency_threshold or case.cooling:
        return None
    units = case.state.units
    larger = [size for size in case.config.ladder if size > units]
    used = f"memory is used to {_percent(memory)} of {_units(units)}"
    if not larger:
        return case.hold(Obstacle.MAXIMUM, f"{used}, the maximum: {MORE}")
    enough = [size for size in larger if memory * units / size < case.config.up_threshold]
    return case.change(Rule.EMERGENCY, (enough or larger[-1:])[0], used)


def _missing(case: _Case) -> _Heard | None:
    """A source of figures that fails."""
    missing = case.sample.missing
    if not missing:
        return None
    case.state = replace(case.state, evidence=case.state.evidence.resumed(case.at))
    return case.hold(Obstacle.MISSING, f"not measured: {', '.join(missing)}")


def _observe(case: _Case) -> _Heard | None:
    """Take the sample in. What is measured while nothing flows, or while tables are loaded, says
    nothing of the stream; only memory counts then."""
    state, sample = case.state, case.sample
    if sample.phase is Phase.STREAMING:
        seconds = case.at - state.at
        evidence = observed(case.config, state.evidence, sample, seconds)
        case.state = replace(state, evidence=evidence)
        return None
    full_since = observed(case.config, state.evidence, sample, 0.0).full_since
    evidence = replace(state.evidence.resumed(case.at), full_since=full_since)
    case.state = replace(state, evidence=evidence, trial=None)
    return _memory(case) or case.quiet()


def _memory(case: _Case) -> _Heard | None:
    since, larger = case.state.evidence.full_since, case.parameters.above(case.state.units)
    if since is None or case.at - since < case.config.up_after_seconds or case.cooling:
        return None
    used = f"memory is used above {_percent(case.config.up_threshold)}"
    if larger is None:
        held = f"{used} of {_units(case.state.units)}, the maximum: {MORE}"
        return case.hold(Obstacle.MAXIMUM, held)
    return case.change(Rule.UP, larger, f"{used} for {case.at - since:.0f} s")


def _judge(case: _Case) -> _Heard | None:
    """Whether the last step up has helped."""
    state, config, trial = case.state, case.config, case.state.trial
    if trial is None:
        return None
    waiting = case.cooling or case.at - trial.at < config.effect_after_seconds
    if waiting or not state.evidence.recent:
        return case.quiet()
    rate = state.evidence.rate
    growth = state.units / trial.units_from - 1
    told = (
        f"{trial.rate:,.0f} rows/s with {_units(trial.units_from)}, {rate:,.0f} with {state.units}"
    )
    if not lags(config, case.sample):
        return case.kept(f"caught up: {told}")
    if rate >= trial.rate * (1 + config.gain_min * growth):
        return case.kept(told)
    return _reverse(case, trial, f"it did not help: {told}")


def _reverse(case: _Case, trial: Trial, reason: str) -> _Heard:
    bar, config = case.state.bar, case.config
    again = bar is not None and bar.units == trial.units_from
    doublings = min(bar.doublings + 1, BAR_DOUBLINGS_MAX) if bar and again else 0
    seconds = config.bar_seconds * 2**doublings
    barred = Bar(
        units=trial.units_from,
        until=case.at + seconds,
        rate=trial.rate,
        cause=case.sample.cause,
        doublings=doublings,
    )
    case.state = replace(case.state, bar=barred)
    reason = f"{reason}; no further try for {seconds / 60:.0f} min unless the limit changes"
    return case.change(Rule.REVERSAL, trial.units_from, reason)


def _up(case: _Case) -> _Heard | None:
    config, sample, evidence = case.config, case.sample, case.state.evidence
    since = evidence.pressed_since
    if since is None or case.at - since < config.up_after_seconds or case.cooling:
        return None
    lag = sample.lag_seconds or 0.0
    larger = case.parameters.above(case.state.units)
    behind = f"{lag:.1f} s behind"
    obstacle = _obstacle(case)
    if larger is None:
        more = f", and more would not help: {obstacle[1]}" if obstacle else f": {MORE}"
        held = f"{behind} with {_units(case.state.units)}, the maximum{more}"
        return case.hold(Obstacle.MAXIMUM, held)
    if obstacle is not None:
        kind, why = obstacle
        return case.hold(kind, f"{behind}, but more units would not help: {why}")
    part = "appliers are busy" if (sample.appliers or 0.0) >= (sample.queue or 0.0) else "queue is"
    used = max(sample.appliers or 0.0, sample.queue or 0.0)
    reason = f"{behind} for {case.at - since:.0f} s, {part} to {_percent(used)}"
    trial = Trial(at=case.at, units_from=case.state.units, rate=evidence.rate)
    return case.change(Rule.UP, larger, reason, trial=trial)


def _obstacle(case: _Case) -> tuple[Obstacle, str] | None:
    """Why growing would not make it faster, if anything says so."""
    sample, bar = case.sample, case.state.bar
    if case.parameters.appliers_fixed:
        return Obstacle.LIMIT, "[apply] appliers fixes their number: leave it out"
    if sample.cause not in (None, Cause.APPLIERS):
        told = "what helps stands in the log, at capacity.verdict"
        return Obstacle.LIMIT, f"the limit is: {sample.cause} ({told})"
    if sample.lanes is not None and sample.lanes <= 1:
        splits = 'apply.mode = "key-parallel" splits what a key tells apart'
        return Obstacle.LIMIT, f"all that waits is of one lane; {splits}"
    if bar is None or case.state.units < bar.units or case.at >= bar.until:
        return None
    if case.state.evidence.rate > bar.rate * (1 + case.config.gain_min):
        return None
    first = not bar.doublings  # a limit that comes and goes would else be tried each time it goes
    if first and bar.cause in (Cause.TARGET, Cause.CPU) and sample.cause is Cause.APPLIERS:
        return None
    return Obstacle.BARRED, f"it was tried {_ago(case)} ago"


def _ago(case: _Case) -> str:
    bar = case.state.bar
    assert bar is not None
    begun = bar.until - case.config.bar_seconds * 2**bar.doublings
    return f"{(case.at - begun) / 60:.0f} min"


def _down(case: _Case) -> _Heard | None:
    config, sample, evidence = case.config, case.sample, case.state.evidence
    smaller = case.parameters.below(case.state.units)
    quiet = case.at - evidence.lagged
    if smaller is None or case.cooling or quiet < config.release_after_seconds:
        return None
    rung = next(rung for rung in evidence.rungs if rung.units == smaller)
    spike = rung.last - rung.since < config.spike_seconds
    fits = case.at - rung.last
    if fits < (config.spike_memory_seconds if spike else config.down_after_seconds):
        return None
    used = max(sample.memory or 0.0, sample.queue or 0.0) * case.state.units / smaller
    if used >= config.down_threshold:
        return None
    reason = f"{sample.rows_in or 0.0:,.0f} rows/s fit {_units(smaller)}"
    return case.change(Rule.DOWN, smaller, f"{reason}, as for {_time(fits)} now")


RULES: Final[tuple[Callable[[_Case], _Heard | None], ...]] = (
    _clock,
    _size,
    _emergency,
    _missing,
    _observe,
    _memory,
    _judge,
    _up,
    _down,
)
"""In the order in which they are asked."""


def _units(count: int) -> str:
    return f"{count} unit" if count == 1 else f"{count} units"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _percent(ratio: float) -> str:
    return f"{ratio:.0%}"
