"""The rule that tells what limits the flow, case by case."""

from dataclasses import replace
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.capacity.remedy import explain
from engine.capacity.sample import Cause
from engine.capacity.verdict import Measured, Verdict, judge
from engine.model.activity import Activity
from engine.model.relation import TableName

ITEMS = TableName("public", "items")

CALM = Measured(core=0.05, source=0.95, appliers=4)
SATURATED = Measured(core=0.3, appliers=4, working=4.0, lanes=20.0, backlog_seconds=9.0)

CASES = {
    "nothing to do": (CALM, Cause.IDLE),
    "much to do, and nothing late": (replace(CALM, core=0.95, source=0.1, working=3.9), Cause.IDLE),
    "the source sends what is old": (replace(CALM, source_age=9.0), Cause.SOURCE),
    "decoding takes the core": (
        Measured(core=0.97, source=0.1, decode=0.7, source_age=30.0),
        Cause.CPU,
    ),
    "the core is full behind a full queue": (
        replace(SATURATED, core=0.95, room=0.9, source_age=30.0),
        Cause.CPU,
    ),
    "decoding takes the time, the machine does not tell of cores": (
        Measured(source=0.1, decode=0.7, source_age=30.0),
        Cause.CPU,
    ),
    "batches are on their way": (replace(SATURATED, server=0.4), Cause.APPLIERS),
    "on their way, though a row takes long": (
        replace(SATURATED, server=0.4, row_seconds=0.03),
        Cause.APPLIERS,
    ),
    "on their way, by the round trip alone": (
        replace(SATURATED, trip_seconds=0.02, batch_seconds=0.07, row_seconds=0.07),
        Cause.APPLIERS,
    ),
    "the server works, growth was not tried": (
        replace(SATURATED, server=3.9, row_seconds=0.00005),
        Cause.APPLIERS,
    ),
    "the server works, growth helped": (
        replace(SATURATED, server=3.9, row_seconds=0.005, helped=True),
        Cause.APPLIERS,
    ),
    "the server works, growth gave nothing": (
        replace(SATURATED, server=3.9, row_seconds=0.00005, helped=False),
        Cause.TARGET,
    ),
    "the server works long for a row": (
        replace(SATURATED, server=3.9, row_seconds=0.005),
        Cause.TARGET,
    ),
    "the server reads whole tables": (
        replace(SATURATED, server=3.9, row_seconds=0.0001, unindexed=True),
        Cause.TARGET,
    ),
    "one lane alone": (
        Measured(core=0.2, appliers=4, working=1.0, backlog_seconds=9.0, server=0.1),
        Cause.TARGET,
    ),
    "an applier for each lane": (
        Measured(core=0.2, appliers=4, working=4.0, backlog_seconds=9.0, server=0.1),
        Cause.TARGET,
    ),
    "what waits went to disk": (
        Measured(core=0.2, appliers=4, working=1.0, backlog_seconds=float("inf"), room=0.0),
        Cause.TARGET,
    ),
    "late, and nobody is at work": (Measured(core=0.0, backlog_seconds=9.0), None),
}


@pytest.mark.parametrize("name", CASES)
def test_what_was_measured_tells_the_cause(name: str) -> None:
    measured, cause = CASES[name]
    assert judge(measured) is cause


ANY = st.builds(
    Measured,
    core=st.none() | st.floats(0, 1),
    source=st.floats(0, 1),
    decode=st.floats(0, 1),
    route=st.floats(0, 1),
    room=st.floats(0, 1),
    appliers=st.integers(1, 64),
    working=st.floats(0, 64),
    lanes=st.floats(0, 1000),
    backlog_seconds=st.floats(0, 1000),
    source_age=st.floats(0, 1000),
    server=st.none() | st.floats(0, 64),
    row_seconds=st.none() | st.floats(0, 10),
    batch_seconds=st.none() | st.floats(0, 100),
    trip_seconds=st.none() | st.floats(0, 1),
    unindexed=st.booleans(),
    helped=st.none() | st.booleans(),
)


@given(ANY)
def test_more_appliers_are_only_asked_for_where_one_more_would_have_work(now: Measured) -> None:
    if judge(now) is Cause.APPLIERS:
        assert now.lanes > 0
        assert now.working > 0
        assert now.helped is not False or (now.served is not None and now.served < 0.5)
        assert now.core is None or now.core < 0.8


@given(ANY)
def test_growth_that_gave_nothing_is_never_asked_for_again_of_a_busy_server(now: Measured) -> None:
    busy = replace(now, server=now.working, helped=False)
    assert judge(busy) is not Cause.APPLIERS


@given(ANY)
def test_nothing_limits_what_is_not_late(now: Measured) -> None:
    calm = replace(now, room=0.0, backlog_seconds=0.5, source_age=0.5)
    assert judge(calm) is Cause.IDLE
    late = max(now.backlog_seconds - 1, now.source_age - 2, now.room - 0.2) >= 0
    assert (judge(now) is Cause.IDLE) is not late


OF_A_STREAM: Final = tuple(cause for cause in Cause if cause is not Cause.COPIERS)
"""What can be found of a stream; copiers limit a load alone."""


@given(ANY, st.sampled_from(OF_A_STREAM))
def test_every_cause_but_idle_has_a_remedy(now: Measured, cause: Cause) -> None:
    finding = explain(cause, now, Activity(working=3), [ITEMS])
    assert finding.detail
    assert bool(finding.remedy) is (cause is not Cause.IDLE)


def test_a_verdict_changes_when_it_was_found_twice() -> None:
    verdict = Verdict()
    found = [Cause.IDLE, Cause.TARGET, Cause.TARGET, Cause.IDLE, Cause.TARGET, None, Cause.IDLE]
    changes = [verdict.take(cause) for cause in found]
    assert changes == [False, False, True, False, False, False, False]
    assert verdict.cause is Cause.TARGET
    assert verdict.take(Cause.IDLE)


@given(st.lists(st.none() | st.sampled_from(Cause), max_size=40))
def test_a_verdict_never_flickers(found: list[Cause | None]) -> None:
    verdict = Verdict()
    told: list[int] = []
    for number, cause in enumerate(found):
        before = verdict.cause
        if verdict.take(cause):
            assert found[number - 1] is cause is verdict.cause is not before
            told.append(number)
        else:
            assert verdict.cause is before
    assert all(later - earlier > 1 for earlier, later in pairwise(told))


def test_a_missing_index_is_named_before_the_other_suspects() -> None:
    now = replace(SATURATED, server=3.9, row_seconds=0.01)
    tables = [TableName("public", f"t{number}") for number in range(5)]
    remedy = explain(Cause.TARGET, now, Activity(working=4), tables).remedy
    assert remedy.index("public.t0, public.t1, public.t2 and 2 more") < remedy.index("bottleneck")
    assert remedy.endswith("not seen: the network")


@pytest.mark.parametrize(
    ("activity", "words"),
    [
        (Activity(working=4, locked=3), "wait for locks"),
        (Activity(working=4, disk=3), "wait for its disk"),
        (Activity(working=4, sleeping=4), "has them sleep"),
        (Activity(working=4), "look at its cores"),
        (None, "all the time"),
    ],
)
def test_a_bottleneck_is_described_by_what_the_sessions_wait_for(
    activity: Activity | None, words: str
) -> None:
    remedy = explain(Cause.TARGET, replace(SATURATED, server=3.9), activity, []).remedy
    assert words in remedy
    assert remedy.endswith("not seen: a missing key or index, the network")


def test_a_slow_network_is_told_with_its_round_trip() -> None:
    now = replace(SATURATED, server=0.4, trip_seconds=0.021)
    assert "21.0 ms" in explain(Cause.TARGET, now, None, []).remedy
    assert "21.0 ms" in explain(Cause.APPLIERS, now, None, []).detail


def test_the_core_s_work_is_named() -> None:
    now = Measured(core=0.95, decode=0.2, route=0.1)
    assert "making the target's form" in explain(Cause.CPU, now, None, []).detail
    assert "decoding" in explain(Cause.CPU, replace(now, decode=0.6), None, []).detail
