from itertools import pairwise

from engine.capacity.clairvoyant import clairvoyant, unconstrained
from engine.capacity.law import Parameters
from engine.capacity.simulate import Model

PARAMETERS = Parameters()
MODEL = Model()
ONE = MODEL.carries(PARAMETERS, 1)


def sizes(*stretches: tuple[float, int]) -> list[int]:
    load = [height * ONE for height, seconds in stretches for _ in range(seconds)]
    return clairvoyant(PARAMETERS, MODEL, load)


def test_it_obeys_the_ladder_and_the_cool_down() -> None:
    made = sizes((0.3, 50), (6.0, 400), (0.3, 800))
    changes = [n for n, (a, b) in enumerate(pairwise(made)) if a != b]
    assert min(b - a for a, b in pairwise(changes)) >= 10
    assert list(dict.fromkeys(made)) == [1, 2, 4, 8]
    assert made[-1] == 1


def test_it_steps_up_when_changes_would_have_waited_for_up_after() -> None:
    made = sizes((0.3, 50), (1.5, 100))
    first = made.index(2)
    waits = 50 + 2  # a second and a half of too much at 1.5 times what is carried, to be above 1 s
    assert first - waits in (5, 6)
    assert 2 not in sizes((0.3, 50), (1.5, 5), (0.1, 100))


def test_it_steps_down_only_after_down_after_and_only_if_that_is_cheaper() -> None:
    made = sizes((6.0, 100), (0.3, 290), (6.0, 100))
    assert made[-1] == made[200] == 8
    made = sizes((6.0, 100), (0.3, 400))
    assert made[100:395] == [8] * 295
    assert made[-1] == 1


def test_what_each_second_needs() -> None:
    load = [height * ONE for height in (0.0, 1.0, 1.1, 15.0, 99.0)]
    assert unconstrained(PARAMETERS, MODEL, load) == [1, 1, 2, 16, 16]
