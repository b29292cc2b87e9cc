"""Who depends on capacity is told of every change, at once and for as long as it listens."""

from engine.config.capacity import Budget, CapacityConfig
from engine.provision import Provision


def test_a_listener_is_told_of_what_is_and_of_every_change_until_it_leaves() -> None:
    capacity = CapacityConfig()
    provision = Provision(capacity.budget, 1)
    told: list[Budget] = []
    with provision.told(told.append):
        provision.resize(4)
        assert (provision.units, provision.budget) == (4, capacity.budget(4))
        provision.resize(4)
        provision.resize(2)
    provision.resize(8)
    assert told == [capacity.budget(units) for units in (1, 4, 2)]
