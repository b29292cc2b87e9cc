"""What the law decides is done, said everywhere, and still there after a restart."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.allowance import Granted
from engine.autoscaling import Autoscaling, Step, Trace, of_before, size_after_death, size_to_begin
from engine.capacity import law
from engine.capacity.decision import Decision, Inputs, Rule
from engine.capacity.history import PREFIX, History
from engine.capacity.replay import differences, replay
from engine.capacity.sample import Phase, Sample
from engine.capacity.sampler import Sampler
from engine.capacity.trace import read
from engine.config.capacity import CapacityConfig
from engine.config.endpoint import SourceConfig, TargetConfig
from engine.config.replication import ReplicationConfig
from engine.errors import OutOfMemoryError, Retry, StateError
from engine.observe.log import Level, Line, Log
from engine.observe.metrics import DECIDING, Metrics
from engine.provision import Provision
from engine.surroundings import Surroundings
from tests.simulation.seams import SimulatedDisk


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now


def scripted(script: Mapping[int, Decision]) -> Step:
    """A law that decides at these samples, counted from 1."""
    count = 0

    def step(state: law.State, _: Sample) -> tuple[law.State, Decision | None]:
        nonlocal count
        count += 1
        return state, script.get(count)

    return step


def _silent() -> Log:
    return Log(lambda _: None, Clock())


def decision(rule: Rule, units_from: int, units_to: int, at: float = 0.0) -> Decision:
    inputs = Inputs(
        memory=0.5,
        queue=1.0,
        appliers=1.0,
        rows_in=900.0,
        rows_out=400.0,
        lag_seconds=7.0,
        cause=None,
    )
    return Decision(
        at=at, rule=rule, units_from=units_from, units_to=units_to, reason="why", inputs=inputs
    )


class Process:
    """What `run_replication` puts together, with a scripted law."""

    def __init__(
        self,
        disk: SimulatedDisk,
        script: Mapping[int, Decision] | None = None,
        trace: Trace | None = None,
        **capacity: Any,
    ) -> None:
        self.clock = Clock()
        self.measured: Sample | None = None
        self.lines: list[Line] = []
        self.flow: dict[str, Any] = {}
        self.lag_seconds = 0.5
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self.metrics = Metrics("r")
        config = ReplicationConfig(
            id="r",
            source=SourceConfig(engine="memory"),
            target=TargetConfig(engine="memory"),
            capacity=CapacityConfig(**capacity),
        )
        log = Log(self.lines.append, self.clock)
        self.history = History(disk)
        before = of_before(config.capacity, self.history, self.clock, log)
        units = size_to_begin(config.capacity, before)
        self.provision = Provision(config.budget, units)
        around = SimpleNamespace(
            clock=self.clock,
            log=log,
            metrics=self.metrics,
            report=lambda event, facts: self.events.append((event, facts)),
            provision=self.provision,
            sampler=Sampler(self._sample),
        )
        step = None if script is None else scripted(script)
        self.config, self.around = config, cast(Surroundings, around)
        given = self.around
        self.scaling = Autoscaling(config, given, self.history, step, trace, before.bar)

    def _sample(self) -> Sample:
        return self.measured or Sample(
            at=self.clock.now,
            phase=Phase.STREAMING,
            units=self.provision.units,
            rows_out=100.0 * self.provision.units,
            lag_seconds=self.lag_seconds,
            **self.flow,
        )

    def pass_seconds(self, count: int) -> None:
        for _ in range(count):
            self.clock.now += 1.0
            self.scaling.look()

    def actions(self) -> Sequence[object]:
        return [line.fields["action"] for line in self.lines]


def test_a_decision_is_done_and_said_in_the_log_the_report_the_metrics_and_the_state() -> None:
    process = Process(SimulatedDisk(), {3: decision(Rule.UP, 1, 2)})
    process.pass_seconds(3)
    assert process.provision.units == 2
    (line,) = process.lines
    assert line.message == "capacity goes from 1 to 2 units: why"
    assert line.fields["action"] == "capacity.up"
    facts = {"rule": "up", "units_from": 1, "units_to": 2, "reason": "why"}
    assert process.events == [("capacity", facts)]
    assert process.metrics.capacity_decisions["up"] == 1
    (stored,) = process.history.read()
    assert {name: stored[name] for name in facts} == facts
    assert stored["at"] == process.clock.wall()
    assert stored["inputs"]["lag_seconds"] == 7.0


def test_what_is_provisioned_and_for_how_long_is_counted() -> None:
    process = Process(SimulatedDisk(), {10: decision(Rule.UP, 1, 4)}, units_max=8)
    assert process.metrics.capacity_units == 1
    process.pass_seconds(15)
    metrics = process.metrics
    sizes = (metrics.capacity_units, metrics.capacity_units_min, metrics.capacity_units_max)
    assert sizes == (4, 1, 8)
    assert metrics.capacity_unit_seconds == 10 * 1 + 5 * 4
    assert metrics.snapshot()["units"] == 4


def test_the_effect_of_a_change_is_measured_afterwards_and_kept_beside_it() -> None:
    process = Process(
        SimulatedDisk(), {1: decision(Rule.UP, 1, 2, at=101.0)}, effect_after_seconds=5.0
    )
    process.pass_seconds(5)
    assert len(process.history.read()) == 1
    process.pass_seconds(10)
    _, effect = process.history.read()
    assert effect["rule"] == "effect"
    assert (effect["rows_out_before"], effect["rows_out_after"]) == (400.0, 200.0)
    assert (effect["lag_seconds_before"], effect["lag_seconds_after"]) == (7.0, 0.5)


def test_a_restart_goes_on_with_the_size_it_had_as_far_as_it_is_allowed() -> None:
    disk = SimulatedDisk()
    Process(disk, {1: decision(Rule.UP, 1, 8)}).pass_seconds(1)
    assert Process(disk).provision.units == 8
    assert Process(disk, units_max=4).provision.units == 4
    assert Process(disk, units_min=16).provision.units == 16
    assert Process(SimulatedDisk()).provision.units == 1


def test_a_first_start_begins_with_what_was_reckoned_and_says_how() -> None:
    disk, lines = SimulatedDisk(), list[bytes]()
    process = Process(disk, trace=lines.append)
    process.scaling.begin(4, "memory: 1.00 units; queue: 3.20 units")
    assert process.provision.units == 4
    (line,) = process.lines
    assert line.message == "capacity begins with 4 units: memory: 1.00 units; queue: 3.20 units"
    assert line.fields["action"] == "capacity.first"
    assert process.metrics.capacity_decisions["first"] == 1
    assert process.metrics.capacity_units == 4
    assert process.events[0][1]["rule"] == "first"
    process.pass_seconds(3)
    (life,) = read(lines)
    assert [one.rule for one in life.decisions][:1] == [Rule.FIRST]
    assert differences(life, replay(life)) == []
    assert Process(disk).provision.units == 4


def test_a_first_size_that_is_the_smallest_is_said_too_and_known_afterwards() -> None:
    disk = SimulatedDisk()
    process = Process(disk)
    process.scaling.begin(1, "why")
    assert process.actions() == ["capacity.first"]
    assert of_before(CapacityConfig(), History(disk), process.clock, _silent()).units == 1


def test_a_first_size_takes_nothing_back_and_is_within_what_is_allowed() -> None:
    process = Process(SimulatedDisk(), units_max=8)
    process.provision.resize(2)
    process.scaling = Autoscaling(process.config, process.around, process.history, None, None, None)
    process.scaling.begin(1, "why")
    assert process.provision.units == 2
    process.scaling.begin(300, "why")
    assert process.provision.units == 8


def granting(process: Process, units: int, script: Mapping[int, Decision] | None = None) -> Granted:
    """The same process with that many units granted; what it tells is among its events."""
    granted = Granted(units, lambda event, n: process.events.append((event, {"units": n})))
    step = None if script is None else scripted(script)
    process.scaling = Autoscaling(
        process.config, process.around, process.history, step, allowance=granted
    )
    return granted


def test_a_size_that_is_not_granted_is_asked_for_until_it_is() -> None:
    process = Process(SimulatedDisk(), units_max=8)
    up = decision(Rule.UP, 1, 4)
    granted = granting(process, 1, {2: up, 3: up, 4: up})
    process.pass_seconds(3)
    assert process.provision.units == 1
    wanted = ("capacity-wanted", {"units": 4})
    assert [event for event in process.events if event[0] != "capacity"] == [wanted, wanted]
    granted.grant(4)
    process.pass_seconds(1)
    assert process.provision.units == 4
    assert granted.units == 4


def test_what_is_given_back_is_not_kept_in_store() -> None:
    process = Process(SimulatedDisk(), units_max=8)
    granted = granting(process, 8, {1: decision(Rule.UP, 1, 4), 2: decision(Rule.DOWN, 4, 2)})
    process.pass_seconds(2)
    kept = [facts for event, facts in process.events if event == "capacity-kept"]
    assert kept == [{"units": 4}, {"units": 2}]
    assert granted.units == 2


def test_a_first_size_is_within_what_is_granted() -> None:
    process = Process(SimulatedDisk(), units_max=8)
    granted = granting(process, 2)
    process.scaling.begin(8, "why")
    assert process.provision.units == 2
    assert granted.units == 2


def test_the_law_itself_takes_what_is_granted_for_the_maximum() -> None:
    process = Process(SimulatedDisk(), units_max=8)
    granting(process, 1)
    process.flow = {"memory": 0.99, "queue": 0.1, "appliers": 0.1, "rows_in": 100.0}
    process.pass_seconds(20)
    assert process.provision.units == 1
    assert "capacity-wanted" in {event for event, _ in process.events}
    assert any("maximum" in line.message for line in process.lines)


def test_a_fixed_size_is_not_reckoned() -> None:
    process = Process(SimulatedDisk(), units_min=2, units_max=2)
    process.scaling.begin(8, "why")
    assert process.provision.units == 2
    assert not process.lines


def test_a_reversal_is_stored_with_its_bar() -> None:
    disk = SimulatedDisk()
    process = Process(disk)
    bar = law.Bar(units=1, until=900.0, rate=5.0, cause=None, doublings=0)
    state = law.initial(law.Parameters(), 1, 100.0, bar)

    def reversing(_: law.State, __: Sample) -> tuple[law.State, Decision | None]:
        return state, decision(Rule.REVERSAL, 2, 1)

    process.scaling = Autoscaling(process.config, process.around, process.history, reversing)
    process.pass_seconds(1)
    again = Process(disk)
    found = of_before(again.config.capacity, again.history, again.clock, _silent())
    assert found.bar is not None
    assert found.bar.until == again.clock.now + 900.0 - process.clock.now


def test_a_damaged_history_is_said_and_left_out() -> None:
    disk = SimulatedDisk()
    disk.append(f"{PREFIX}0", b"\nnothing of ours")
    process = Process(disk)
    assert process.actions() == ["capacity.history"]
    assert process.lines[0].fields["damaged"] == 1
    assert process.provision.units == 1


def test_a_disk_without_room_is_said_once_and_holds_nothing_up() -> None:
    disk = SimulatedDisk()
    disk.refuses = lambda: True
    script = {n: decision(Rule.UP, n, 2 * n) for n in (1, 2, 4)}
    process = Process(disk, script)
    process.pass_seconds(4)
    assert process.provision.units == 8
    assert process.actions().count("capacity.history") == 1


def test_a_death_for_want_of_memory_is_answered_by_the_next_size_and_kept() -> None:
    disk = SimulatedDisk()
    before = Process(disk, {1: decision(Rule.UP, 1, 2)})
    before.pass_seconds(1)
    assert size_after_death(CapacityConfig(), 2) == 4
    after = Process(disk)
    after.provision.resize(4)
    after.scaling.died(2)
    (line,) = after.lines
    assert line.level is Level.WARNING
    assert line.message == (
        "capacity goes from 2 to 4 units: the system ended the worker for want of memory"
    )
    assert Process(disk).provision.units == 4


def test_at_the_maximum_nothing_answers_it_but_a_person() -> None:
    with pytest.raises(OutOfMemoryError, match="with 8 units, the maximum") as failure:
        size_after_death(CapacityConfig(units_max=8), 8)
    assert failure.value.retry is Retry.NEVER
    assert "raise [capacity] max" in (failure.value.hint or "")


def test_what_keeps_the_law_from_deciding_is_a_warning_and_changes_nothing() -> None:
    process = Process(SimulatedDisk(), {1: decision(Rule.HOLD, 1, 1)})
    process.pass_seconds(20)
    (line,) = process.lines
    assert line.level is Level.WARNING
    assert line.message == "capacity stays at 1 unit: why"
    assert process.provision.units == 1
    assert len(process.history.read()) == 1


def test_a_fixed_size_asks_no_law() -> None:
    process = Process(SimulatedDisk(), {1: decision(Rule.UP, 2, 4)}, units_min=2, units_max=2)
    process.pass_seconds(3)
    assert process.provision.units == 2
    assert not process.lines


def test_without_a_measure_of_memory_the_law_holds_and_says_so_once() -> None:
    process = Process(SimulatedDisk())
    process.pass_seconds(30)
    (line,) = process.lines
    assert line.fields["action"] == "capacity.hold"
    assert "memory" in line.message


def test_a_recorded_trace_is_recomputed_to_the_same_decisions() -> None:
    lines: list[bytes] = []
    process = Process(SimulatedDisk(), trace=lines.append, up_after_seconds=3.0)
    process.flow = {"memory": 0.4, "queue": 0.95, "appliers": 1.0, "rows_in": 900.0}
    process.lag_seconds = 60.0
    process.pass_seconds(60)
    (life,) = read(lines)
    assert len(life.samples) == 60
    assert [one.rule for one in life.decisions][:1] == [Rule.UP]
    assert process.provision.units > 1
    assert differences(life, replay(life)) == []


def test_a_trace_that_cannot_be_written_ends_and_nothing_else_does() -> None:
    def full(_: bytes) -> None:
        raise StateError("no space left on device")

    process = Process(SimulatedDisk(), {2: decision(Rule.UP, 1, 2)}, trace=full)
    process.pass_seconds(3)
    assert process.provision.units == 2
    assert process.actions() == ["capacity.trace", "capacity.up"]


def test_every_rule_is_counted_from_zero_on() -> None:
    assert set(DECIDING) == {rule.value for rule in Rule}
    assert Metrics("r").capacity_decisions == dict.fromkeys(DECIDING, 0)


@pytest.mark.parametrize(
    ("measured", "full"),
    [
        (Sample(at=1.0, phase=Phase.LOADING, units=1, memory=0.5), 0.5),
        (Sample(at=1.0, phase=Phase.STREAMING, units=1, memory=0.5), None),
        (
            Sample(at=1.0, phase=Phase.STREAMING, units=1, memory=0.5, queue=0.2, appliers=0.75),
            0.75,
        ),
    ],
)
def test_how_full_it_is_is_told_in_every_phase(measured: Sample, full: float | None) -> None:
    process = Process(SimulatedDisk())
    process.measured = measured
    process.pass_seconds(1)
    assert process.metrics.capacity_utilization == full
    assert process.metrics.capacity_parts == measured.parts


def test_what_growth_gave_is_known_to_who_judges() -> None:
    script = {
        1: decision(Rule.UP, 1, 2),
        2: decision(Rule.KEPT, 2, 2),
        3: decision(Rule.HOLD, 2, 2),
        4: decision(Rule.UP, 2, 4),
        5: decision(Rule.REVERSAL, 4, 2),
    }
    process = Process(SimulatedDisk(), script)
    found: list[bool | None] = []
    for _ in script:
        process.pass_seconds(1)
        found.append(process.provision.helped)
    assert found == [None, True, True, None, False]
