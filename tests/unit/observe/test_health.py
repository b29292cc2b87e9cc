"""When probes are green, and when they must not be."""

import pytest

from engine.model.batch import TableCounts
from engine.model.relation import TableName
from engine.observe.health import LOOP_LAG_SECONDS_MAX, PATIENCE_SECONDS, Health
from engine.observe.metrics import STATES, Metrics


class FakeClock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


class Watched:
    def __init__(self, state: str = "streaming") -> None:
        self.clock = FakeClock()
        self.metrics = Metrics("orders")
        self.health = Health(self.metrics, self.clock)
        self.metrics.state(state)
        self.health.tick()

    def after(self, seconds: float) -> str:
        """Why it is not ready after so many seconds of ticking; empty when it is."""
        for _ in range(int(seconds)):
            self.clock.now += 1
            self.health.tick()
        return self.health.ready().reason


@pytest.mark.parametrize("state", STATES)
def test_only_a_flowing_replication_is_ready(state: str) -> None:
    flowing = state in ("loading", "catching-up", "streaming", "retrying")
    assert Watched(state).health.ready().ok is flowing


def test_retrying_is_ready_only_for_a_while() -> None:
    watched = Watched("retrying")
    assert watched.after(PATIENCE_SECONDS - 1) == ""
    assert watched.after(1) == f"retrying for {PATIENCE_SECONDS:.0f} s"
    watched.metrics.state("streaming")
    assert watched.after(1) == ""


def test_waiting_changes_that_do_not_move_make_it_unready() -> None:
    watched = Watched()
    watched.metrics.queue(1000, 5)
    assert watched.after(PATIENCE_SECONDS - 1) == ""
    assert "none moved" in watched.after(1)
    watched.metrics.applied(TableName("a", "b"), TableCounts(inserts=1), 10)
    assert watched.after(1) == ""


def test_reading_is_movement_too() -> None:
    watched = Watched()
    watched.metrics.queue(1000, 5)
    for _ in range(10):
        watched.metrics.received(1, 10)
        assert watched.after(PATIENCE_SECONDS / 2) == ""


def test_an_idle_replication_stays_ready() -> None:
    watched = Watched()
    watched.metrics.queue(0, 0)
    assert watched.after(PATIENCE_SECONDS * 10) == ""


def test_a_blocked_loop_makes_it_unready_for_a_while() -> None:
    watched = Watched()
    watched.health.loop_lagged(LOOP_LAG_SECONDS_MAX - 0.1)
    assert watched.after(1) == ""
    watched.health.loop_lagged(LOOP_LAG_SECONDS_MAX)
    assert watched.after(1) == "the loop stage is stuck: the event loop was blocked"
    assert watched.after(PATIENCE_SECONDS) == ""


def test_only_a_failed_replication_is_not_alive() -> None:
    assert [state for state in STATES if not Watched(state).health.live().ok] == ["failed"]
