from dataclasses import replace

import orjson
import pytest

from engine.capacity import loads
from engine.capacity.decision import First, Rule
from engine.capacity.law import Bar, Parameters
from engine.capacity.replay import differences, replay
from engine.capacity.sample import Cause
from engine.capacity.simulate import Model, Run, simulate
from engine.capacity.trace import Life, decision_line, first_line, head_line, read, sample_line
from engine.config.capacity import CapacityConfig
from engine.errors import ConfigError
from tests.unit.capacity.feeding import BEHIND


def recorded(run: Run) -> list[bytes]:
    """The trace of a run, as a worker writes it."""
    lines = [head_line(run.parameters, 1, 0.0)]
    decisions = list(run.decisions)
    for sample in run.samples:
        lines.append(sample_line(sample))
        if decisions and decisions[0].at == sample.at:
            lines.append(decision_line(decisions.pop(0)))
    assert not decisions
    return lines


def lives(lines: list[bytes]) -> list[Life]:
    return list(read(lines))


RUNS = {
    "default": Parameters(),
    "other parameters": Parameters(
        config=CapacityConfig(units_max=4, up_threshold=0.7, down_threshold=0.55, gain_min=0.3)
    ),
}


@pytest.mark.parametrize("parameters", list(RUNS.values()), ids=list(RUNS))
def test_decisions_are_recomputed_from_a_trace_as_they_were(parameters: Parameters) -> None:
    run = simulate(parameters, loads.noisy(3)[:1500], Model(wobble_seed=5))
    (life,) = lives(recorded(run))
    assert life.samples == run.samples
    assert life.decisions == run.decisions
    assert len(run.decisions) > 4
    assert differences(life, replay(life)) == []


@pytest.mark.parametrize("before", [0, 3, 50])
def test_what_was_reckoned_for_a_first_start_is_part_of_a_trace(before: int) -> None:
    """Wherever it stands among the samples; the law goes on from that size."""
    first = First(at=0.5 + before, units=4, reason="why")
    run = simulate(Parameters(), loads.step()[590:640], first=first)
    assert (run.decisions[0].rule.value, run.decisions[0].units_to, run.units[0]) == ("first", 4, 4)
    lines = recorded(replace(run, decisions=run.decisions[1:]))
    lines[1 + before : 1 + before] = [first_line(first), decision_line(run.decisions[0])]
    (life,) = lives(lines)
    assert (life.first, life.first_after) == (first, before)
    made = replay(life)
    (begun,) = [decision for decision in made if decision.rule is Rule.FIRST]
    assert (begun.at, begun.units_to) == (first.at, 4)
    if not before:
        assert differences(life, made) == []


def test_the_bar_that_a_life_began_with_is_part_of_its_trace() -> None:
    bar = Bar(units=2, until=70.5, rate=800.0, cause=Cause.TARGET, doublings=3)
    (life,) = lives([head_line(Parameters(), 2, 0.0, bar)])
    assert life.bar == bar
    (life,) = lives([head_line(Parameters(), 2, 0.0)])
    assert life.bar is None


def test_a_decision_that_was_another_one_is_found() -> None:
    run = simulate(Parameters(), loads.step()[590:700])
    first = run.decisions[0]
    run.decisions[0] = replace(first, units_to=16)
    (life,) = lives(recorded(run))
    (found,) = differences(life, replay(life))
    assert (found.recorded, found.recomputed) == (run.decisions[0], first)


def test_a_decision_that_is_missing_is_found() -> None:
    run = simulate(Parameters(), loads.step()[590:700])
    missing = run.decisions.pop()
    (life,) = lives(recorded(run))
    assert [d.recomputed for d in differences(life, replay(life))] == [missing]


def test_every_start_of_a_worker_begins_a_life_of_its_own() -> None:
    first = simulate(Parameters(), loads.step()[590:640])
    second = simulate(RUNS["other parameters"], loads.step()[590:640])
    both = lives([*recorded(first), b"\n", *recorded(second)])
    assert [len(life.samples) for life in both] == [50, 50]
    assert [differences(life, replay(life)) for life in both] == [[], []]


HEAD = head_line(Parameters(), 1, 0.0)
SAMPLE = sample_line(replace(BEHIND, at=1.0))


def changed(line: bytes, part: str, **values: object) -> bytes:
    document = orjson.loads(line)
    document[part] |= values
    return orjson.dumps(document)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "line 1: is missing: the trace is empty"),
        ([SAMPLE], "line 1: is no line of a trace: a sample before the line with the parameters"),
        ([HEAD, b"{"], "line 2: is no line of a trace"),
        ([HEAD, b"[]"], "line 2: is no line of a trace: not an object"),
        ([HEAD, b"{}"], "line 2: is no line of a trace: no 'decision'"),
        ([HEAD, changed(SAMPLE, "sample", at="soon")], "not a number"),
        ([HEAD, changed(SAMPLE, "sample", lag_seconds=True)], "not a number"),
        ([HEAD, changed(SAMPLE, "sample", units=1.5)], "units is no whole number"),
        ([HEAD, changed(SAMPLE, "sample", cause="moon")], "'moon' is not a valid Cause"),
        ([HEAD, changed(SAMPLE, "sample", speed=1)], "speed"),
        ([HEAD.replace(b'"trace":1', b'"trace":2')], "version 2, where 1 is understood"),
        ([changed(HEAD, "capacity", units_min=32)], "is 32, above capacity.max"),
        ([changed(HEAD, "capacity", units_min=3)], "must be one of 1, 2, 4"),
        ([changed(HEAD, "capacity", cool_down_seconds=0)], "must be from 1s"),
    ],
)
def test_what_is_no_trace_is_refused_and_its_line_named(lines: list[bytes], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        lives(lines)
    assert words in str(caught.value)
    assert "penstock run --capacity-trace" in caught.value.hint
