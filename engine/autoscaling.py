"""The loop of capacity: each second a sample, the law, and what it decides put into force.

`engine/capacity/law.py` decides and knows nothing of processes; this says so wherever a decision is
to be seen (log, report, metrics, the state directory, a trace) and does it. What a change did is
measured some seconds later, and kept beside it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final, TypeAlias

from engine.allowance import Allowance, Unlimited, covers
from engine.capacity import law
from engine.capacity.decision import Decision, First, Rule, inputs
from engine.capacity.history import History, Record
from engine.capacity.remembered import Remembered, remembered, stored_bar
from engine.capacity.sample import SAMPLE_SECONDS, Sample
from engine.capacity.trace import decision_line, first_line, head_line, sample_line
from engine.config.capacity import CapacityConfig
from engine.config.replication import ReplicationConfig
from engine.errors import OutOfMemoryError, StateError
from engine.machine import Clock
from engine.observe.log import Log
from engine.surroundings import Surroundings

EFFECT: Final = "effect"
"""`rule` of the record of what a change did."""

HELPED: Final = {Rule.UP: None, Rule.KEPT: True, Rule.REVERSAL: False}
"""What a decision says of the last growth."""

Trace: TypeAlias = Callable[[bytes], None]
"""Takes a line of a trace. Raises StateError when it cannot be written."""

Step: TypeAlias = Callable[[law.State, Sample], tuple[law.State, Decision | None]]
"""The law, with its parameters."""


def of_before(config: CapacityConfig, history: History, clock: Clock, log: Log) -> Remembered:
    """What was decided before. Says what of the history could not be read."""
    records = history.read()
    if history.damaged:
        log.warning(
            "decisions on capacity of before could not be read, and are left out",
            action="capacity.history",
            damaged=history.damaged,
            read=len(records),
            hint="nothing is to be done: the size is found again by what is measured",
        )
    return remembered(config, records, clock.monotonic(), clock.wall())


def size_to_begin(config: CapacityConfig, before: Remembered) -> int:
    """The size that was decided last, as far as it is still allowed; else the smallest."""
    return law.initial(law.Parameters(config=config), before.units or 0, 0.0).units


def size_after_death(config: CapacityConfig, units: int) -> int:
    """The size that follows one at which the system ended the process for want of memory.

    Raises:
        OutOfMemoryError: it is the maximum already.
    """
    larger = law.Parameters(config=config).above(units)
    if larger is None:
        raise OutOfMemoryError(
            f"the system ended the worker for want of memory with {_units(units)}, the maximum",
            hint="give the machine or the container more memory, raise [capacity] max, or lower"
            " unit_memory so that less is kept in memory at that size",
        )
    return larger


@dataclass(slots=True)
class _Effect:
    """A change whose effect is to be measured, and the samples since."""

    decision: Decision
    since: list[Sample]

    def record(self) -> Record:
        """Averages of before and after; None where nothing was measured."""
        before, after = self.decision.inputs, self.since
        return {
            "rule": EFFECT,
            "of": self.decision.rule.value,
            "units_from": self.decision.units_from,
            "units_to": self.decision.units_to,
            "rows_out_before": before.rows_out,
            "rows_out_after": _mean([sample.rows_out for sample in after]),
            "lag_seconds_before": before.lag_seconds,
            "lag_seconds_after": after[-1].lag_seconds,
        }


class Autoscaling:
    """Keeps the provision at the size that the law says, for the life of the process. A fixed size
    (min = max) is left alone, whatever is measured."""

    def __init__(
        self,
        config: ReplicationConfig,
        around: Surroundings,
        history: History,
        step: Step | None = None,
        trace: Trace | None = None,
        bar: law.Bar | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        """`allowance`: what may be had now of what the configuration allows."""
        self._allowance = allowance or Unlimited()
        self._config = config.capacity
        self._around = around
        self._provision = around.provision
        self._history = history
        parameters = self._parameters = law.Parameters(
            config=config.capacity, appliers_fixed=config.apply.appliers > 0
        )
        self._step = step or (lambda state, sample: law.step(parameters, state, sample))
        self._at = around.clock.monotonic()
        self._state = law.initial(parameters, self._provision.units, self._at, bar)
        self._fixed = len(config.capacity.ladder) == 1
        self._effect: _Effect | None = None
        self._stored = True
        self._trace = None if self._fixed else trace
        self._record(head_line(parameters, self._provision.units, self._at, bar))
        self._show(0.0)

    def died(self, units: int) -> None:
        """Say that the process before was ended for want of memory with that many units, and that
        it begins with more."""
        now = self._provision.units
        self._say(
            Decision(
                at=self._at,
                rule=Rule.EMERGENCY,
                units_from=units,
                units_to=now,
                reason="the system ended the worker for want of memory",
                inputs=inputs(self._state.evidence, self._around.sampler.sample()),
            )
        )

    def begin(self, units: int, reason: str) -> None:
        """Begin with a size that was reckoned, as nothing was decided before. `reason`: how."""
        if self._fixed:
            return
        first = First(at=self._around.clock.monotonic(), units=units, reason=reason)
        self._state, decision = law.begin(self._within(), self._state, first)
        self._record(first_line(first))
        self._record(decision_line(decision))
        self._say(decision)
        if decision.changes:
            self._provision.resize(decision.units_to)
            self._show(0.0)
        self._allowance.keep(decision.units_to)

    async def run(self) -> None:
        """Look every second, until cancelled."""
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            self.look()

    def look(self) -> None:
        """Take one sample and do what follows from it."""
        now = self._around.clock.monotonic()
        self._show(now - self._at)
        self._at = now
        sample = self._around.sampler.sample()
        self._around.metrics.utilization(sample.utilization, sample.parts)
        self._measure_effect(sample)
        if self._fixed:
            return
        self._state, decision = self._decided(sample)
        self._record(sample_line(sample))
        if decision is not None:
            self._record(decision_line(decision))
            self._provision.helped = HELPED.get(decision.rule, self._provision.helped)
            self._say(decision)
            self._carry_out(decision)

    def _decided(self, sample: Sample) -> tuple[law.State, Decision | None]:
        """What the law says. A size that is not granted is asked for, and the law asked again as if
        what is granted were the maximum: with the answer the next sample decides."""
        state, decision = self._step(self._state, sample)
        if decision is None or covers(self._allowance, decision.units_to):
            return state, decision
        self._allowance.ask(decision.units_to)
        return law.step(self._within(), self._state, sample)

    def _within(self) -> law.Parameters:
        """The law's parameters with what is granted as the maximum."""
        config, granted = self._config, self._allowance.units
        if granted is None or granted >= config.units_max:
            return self._parameters
        most = max(granted, config.units_min)
        return replace(self._parameters, config=replace(config, units_max=most))

    def _show(self, seconds: float) -> None:
        config = self._config
        self._around.metrics.capacity(
            self._provision.units, config.units_min, config.units_max, seconds
        )

    def _carry_out(self, decision: Decision) -> None:
        if not decision.changes:
            return
        self._effect = _Effect(decision, [])
        self._provision.resize(decision.units_to)
        self._allowance.keep(decision.units_to)
        self._show(0.0)

    def _measure_effect(self, sample: Sample) -> None:
        effect = self._effect
        if effect is None:
            return
        effect.since.append(sample)
        if sample.at - effect.decision.at >= self._config.effect_after_seconds:
            self._effect = None
            self._keep(effect.record())

    def _say(self, decision: Decision) -> None:
        around, rule = self._around, decision.rule
        facts = {"units_from": decision.units_from, "units_to": decision.units_to}
        say = around.log.warning if rule in (Rule.HOLD, Rule.EMERGENCY) else around.log.info
        say(told(decision), action=f"capacity.{rule}", **facts)
        around.report("capacity", {"rule": rule.value, **facts, "reason": decision.reason})
        around.metrics.decided(rule.value)
        bar = stored_bar(self._state.bar, around.clock.monotonic())
        self._keep({**asdict(decision), "at": around.clock.wall(), "bar": bar})

    def _record(self, line: bytes) -> None:
        """Add a line to the trace, if there is one. The first that cannot be written ends it."""
        if self._trace is None:
            return
        try:
            self._trace(line)
        except StateError as error:
            self._trace = None
            self._around.log.warning(
                "the trace of capacity ends here: it cannot be written",
                action="capacity.trace",
                error=error,
            )

    def _keep(self, record: Record) -> None:
        """Store a record. What cannot be stored is said once, and the flow goes on without."""
        try:
            self._history.add({"at": self._around.clock.wall(), **record})
        except StateError as error:
            if self._stored:
                self._around.log.warning(
                    "decisions on capacity cannot be stored; a restart begins with an older size",
                    action="capacity.history",
                    error=error,
                )
            self._stored = False
        else:
            self._stored = True


def told(decision: Decision) -> str:
    """A decision as a sentence."""
    if decision.rule is Rule.FIRST:
        return f"capacity begins with {_units(decision.units_to)}: {decision.reason}"
    if not decision.changes:
        return f"capacity stays at {_units(decision.units_to)}: {decision.reason}"
    return (
        f"capacity goes from {decision.units_from} to {_units(decision.units_to)}:"
        f" {decision.reason}"
    )


def _units(units: int) -> str:
    return f"{units} unit{'' if units == 1 else 's'}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
