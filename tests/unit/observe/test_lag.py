"""How far reading is behind, told from every sign there is of it."""

from engine.model.position import LogPosition
from engine.observe.lag import FRESH_SECONDS, HEADS_MAX, SourceLag, TableLag, Unmeasured, together

START = 1_000_000.0


class FakeClock:
    now = 50.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return START + self.now


class Watched:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.lag = SourceLag(self.clock)

    def commit(self, age: float = 0.0, *, drained: bool = False) -> None:
        """A commit of so long ago has been read."""
        self.lag.received(round((self.clock.wall() - age) * 1e6), drained=drained)

    def look(self, head: int, read: int) -> None:
        self.lag.head(LogPosition(head), self.clock.monotonic())
        self.lag.reached(LogPosition(read))

    def after(self, seconds: float) -> float:
        self.clock.now += seconds
        found = self.lag.read_seconds
        assert found is not None
        return round(found, 3)


def test_nothing_is_known_at_first_and_that_is_not_zero() -> None:
    watched = Watched()
    assert watched.lag.read_seconds is None
    watched.look(500, 100)
    watched.clock.now += 60
    assert watched.lag.read_seconds is None
    watched.commit(age=90)
    assert watched.after(0) == 90


def test_who_has_read_all_there_is_is_not_behind_however_old_the_last_commit() -> None:
    watched = Watched()
    watched.commit(age=3_600, drained=True)
    for _ in range(100):
        watched.look(500, 500)
        assert watched.after(5) == 0


def test_at_the_start_the_head_alone_tells_that_nothing_is_left() -> None:
    watched = Watched()
    watched.look(500, 500)
    assert watched.after(1) == 0


def test_who_reads_old_commits_is_behind_by_their_age() -> None:
    watched = Watched()
    for age in (600.0, 300.0, 10.0):
        watched.look(10_000, 500)
        watched.commit(age)
        assert watched.after(1) == age + 1


def test_a_silent_source_looks_later_and_later() -> None:
    watched = Watched()
    watched.commit(drained=True)
    assert watched.after(FRESH_SECONDS) == 0
    assert watched.after(1) == FRESH_SECONDS + 1
    assert watched.after(100) == FRESH_SECONDS + 101


def test_a_source_that_goes_on_while_nothing_arrives_looks_later_and_later() -> None:
    watched = Watched()
    watched.look(500, 500)
    watched.clock.now += 5
    watched.look(600, 500)
    assert watched.after(0.5) == 0  # it may still be on its way
    assert watched.after(1.5) == 7
    watched.look(700, 500)
    assert watched.after(30) == 37
    assert watched.lag.waits
    watched.look(700, 700)
    assert watched.after(0) == 0
    assert not watched.lag.waits


def test_a_head_that_was_passed_long_after_it_was_asked_for_does_not_make_idle() -> None:
    """Reading goes on three seconds behind a busy source: every head is passed, none in time."""
    watched = Watched()
    for number in range(20):
        watched.lag.head(LogPosition(100 * number + 300), watched.clock.monotonic())
        watched.commit(age=3)
        watched.lag.reached(LogPosition(100 * number))
        assert watched.after(0) == 3
        watched.clock.now += 1


def test_an_open_transaction_is_source_latency_and_no_lag_of_what_is_committed() -> None:
    watched = Watched()
    watched.look(500, 500)
    watched.lag.open_since(watched.clock.monotonic() - 40)
    assert (watched.lag.seconds, watched.lag.read_seconds) == (40, 0)
    watched.lag.open_since(None)
    assert watched.lag.seconds == 0


def test_a_clock_that_goes_back_gives_no_negative_lag() -> None:
    watched = Watched()
    watched.commit(age=-500)
    assert watched.after(1) == 0


def test_heads_of_days_of_silence_stay_few() -> None:
    watched = Watched()
    watched.look(1, 1)
    for number in range(10 * HEADS_MAX):
        watched.clock.now += 5
        watched.look(number + 2, 1)
    assert watched.after(0) == 50 * HEADS_MAX
    watched.look(10 * HEADS_MAX + 2, 10 * HEADS_MAX + 2)
    assert watched.after(0) == 0


def test_several_tables_as_one() -> None:
    assert together([TableLag(1.0, 10, 2), TableLag(3.0, 5, 1)]) == TableLag(3.0, 15, 3)
    assert together([TableLag(1.0, 10, 2), TableLag(None)]) == TableLag(None, 10, 2)


def test_a_lag_that_nobody_tells_any_more_is_made_to_grow() -> None:
    clock = FakeClock()
    told, grown = [1], list[float]()
    unmeasured = Unmeasured(lambda: told[0], grown.append, clock)
    for _ in range(10):
        told[0] += 1
        clock.now += 1
        unmeasured.tick()
    assert grown == []
    for _ in range(9):
        clock.now += 1
        unmeasured.tick()
    assert sum(grown) == 9
