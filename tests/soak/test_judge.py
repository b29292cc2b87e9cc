"""Which figures are said to rise."""

from tests.soak.judge import MEMORY, growth_max, rising
from tests.soak.run import ROUNDS_MIN
from tests.soak.worker import PREFIX

ROUNDS = 40


def _rounds(**series: object) -> list[dict[str, float]]:
    return [{name: value(n) for name, value in series.items()} for n in range(ROUNDS)]  # type: ignore[operator]


def test_what_stays_or_only_warms_up_does_not_rise() -> None:
    steady = _rounds(descriptors=lambda _: 30, tasks=lambda n: 17 + n % 2)
    warming = [{**figures, MEMORY: 60 + min(n, 10)} for n, figures in enumerate(steady)]
    assert rising(warming) == []


def test_one_descriptor_in_ten_rounds_is_seen() -> None:
    (said,) = rising(_rounds(descriptors=lambda n: 30 + n // 10))
    assert said.startswith("descriptors rises by ")
    assert said.endswith("in 30 rounds, from 31 to 33")


def test_a_thing_kept_at_every_second_reconnect_is_seen_and_one_that_comes_late_too() -> None:
    kept = f"{PREFIX}engine.flow.Flow"
    assert rising([{kept: n * 0.6} for n in range(ROUNDS)])
    late = [{"tasks": 1.0, **({kept: float(n)} if n > 15 else {})} for n in range(ROUNDS)]
    assert len(rising(late)) == 1


def test_the_shortest_soak_shows_a_steady_rise() -> None:
    rounds = [{"descriptors": 30.0 + n} for n in range(ROUNDS_MIN)]
    assert len(rising(rounds)) == 1
    assert rising(rounds[:-1]) == []


def test_memory_may_rise_by_little() -> None:
    assert rising([{MEMORY: 60 + n * 0.05} for n in range(ROUNDS)]) == []
    assert len(rising([{MEMORY: 60 + n * 0.2} for n in range(ROUNDS)])) == 1


def test_every_kind_of_figure_has_a_limit() -> None:
    assert growth_max(MEMORY, 100) == 3.0
    assert growth_max("blocks", 100) == 2_000
    assert growth_max(f"{PREFIX}builtins.dict", 100) == 50
    assert growth_max("slots", 100) == 0.5
