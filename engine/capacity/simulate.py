"""The law in a simple world: what it would do with a load. (pure)

The world has a source whose log holds what is not read, a queue with the budget of the size in
force, appliers that take batches, and a target that may have a limit of its own. A second is a
step. What a size carries grows with its appliers; how busy they are does not tell it, as batches
grow with what waits: with small ones an applier is busy all the time at half of what it carries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.capacity.decision import Decision, First
from engine.capacity.law import Parameters, begin, initial, step
from engine.capacity.loads import wobble
from engine.capacity.sample import Cause, Phase, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A source and a target. Rates in rows a second."""

    applier_rows: float = 1_000.0
    """What one applier carries with large batches."""
    busy_rows: float = 500.0
    """What keeps one busy all the time with small ones."""
    target_rows: float = float("inf")
    """What the target takes, however many apply."""
    lanes: int = 256
    row_bytes: int = 500
    base_bytes: int = 120 << 20
    """Memory of the interpreter and the drivers."""
    wobble_seed: int | None = None
    """Of the noise in what appliers carry; None: they always carry the same."""
    verdict_seconds: int | None = 5
    """How long a cause has to last before it is told; None: it is never known."""

    def carries(self, parameters: Parameters, units: int) -> float:
        """Rows a second that a size carries."""
        appliers = parameters.config.budget(units).appliers
        return min(min(appliers, self.lanes) * self.applier_rows, self.target_rows)


@dataclass(slots=True)
class Run:
    """What happened, a figure for each second."""

    parameters: Parameters
    model: Model
    load: list[float] = field(default_factory=list[float])
    """Rows that the source committed."""
    units: list[int] = field(default_factory=list[int])
    lag: list[float] = field(default_factory=list[float])
    samples: list[Sample] = field(default_factory=list[Sample])
    decisions: list[Decision] = field(default_factory=list[Decision])

    @property
    def unit_seconds(self) -> int:
        return sum(self.units)


def simulate(
    parameters: Parameters,
    load: Sequence[float],
    model: Model | None = None,
    units: int = 1,
    first: First | None = None,
) -> Run:
    """Run the law against a load, given in what one unit carries. It begins with `units`, or with
    what was reckoned for a first start."""
    model = model or Model()
    one = parameters.config.budget(1).appliers * model.applier_rows
    run = Run(parameters, model)
    world = _World(parameters, model, len(load))
    state = initial(parameters, units, 0.0)
    if first is not None:
        state, begun = begin(parameters, state, first)
        run.decisions.append(begun)
    for second, height in enumerate(load, start=1):
        size = state.units
        sample = world.second(float(second), height * one, size)
        state, decision = step(parameters, state, sample)
        run.load.append(height * one)
        run.units.append(size)
        run.lag.append(sample.lag_seconds or 0.0)
        run.samples.append(sample)
        if decision is not None:
            run.decisions.append(decision)
    return run


class _World:
    """Everything but the law."""

    def __init__(self, parameters: Parameters, model: Model, seconds: int) -> None:
        self._config = parameters.config
        self._model = model
        seed = model.wobble_seed
        self._speed = [1.0] * seconds if seed is None else wobble(seconds, seed)
        self._arrived: list[float] = []
        """Rows of every second so far."""
        self._oldest = 0
        """The second whose rows are applied next, and how many of them are done."""
        self._done = 0.0
        self._log = 0.0
        self._queue = 0.0
        self._cause: Cause | None = None
        self._causes: list[Cause] = []

    def second(self, at: float, rows: float, units: int) -> Sample:
        """One second with a size; `at` is its end."""
        model, budget = self._model, self._config.budget(units)
        self._arrived.append(rows)
        appliers = min(budget.appliers, model.lanes)
        speed = self._speed[len(self._arrived) - 1]
        can = min(appliers * model.applier_rows, model.target_rows) * speed
        room = budget.queue_bytes_max / model.row_bytes
        waiting = self._log + rows
        taken = min(waiting, max(0.0, room - self._queue) + can)
        applied = min(self._queue + taken, can)
        self._log = waiting - taken
        self._queue += taken - applied
        self._apply(applied)
        backlog = self._log + self._queue
        small = appliers * min(model.busy_rows, can / appliers)
        busy = 1.0 if backlog > 1e-6 else min(1.0, applied / small)
        held = model.base_bytes + 2 * self._queue * model.row_bytes
        return Sample(
            at=at,
            phase=Phase.STREAMING,
            units=units,
            memory=min(1.0, held / budget.memory_bytes),
            queue=min(1.0, self._queue / room),
            appliers=busy * appliers / budget.appliers,
            rows_in=taken,
            rows_out=applied,
            backlog_rows=int(self._queue),
            lag_seconds=self._lag(at),
            lanes=min(model.lanes, int(backlog)),
            cause=self._verdict(backlog, can, appliers * model.applier_rows),
        )

    def _apply(self, rows: float) -> None:
        while rows > 1e-9 and self._oldest < len(self._arrived):
            left = self._arrived[self._oldest] - self._done
            if rows < left:
                self._done += rows
                return
            rows -= left
            self._oldest, self._done = self._oldest + 1, 0.0

    def _lag(self, at: float) -> float:
        if self._oldest >= len(self._arrived):
            return 0.0
        rows = self._arrived[self._oldest]
        return at - self._oldest - (self._done / rows if rows else 1.0)

    def _verdict(self, backlog: float, can: float, would: float) -> Cause | None:
        if self._model.verdict_seconds is None:
            return None
        limit = Cause.TARGET if would > self._model.target_rows else Cause.APPLIERS
        now = limit if backlog > can * 0.1 else Cause.IDLE
        self._causes = [*self._causes, now][-max(1, self._model.verdict_seconds) :]
        if len(set(self._causes)) == 1:
            self._cause = now
        return self._cause
