"""`ComputeConfig`: what is taken, what is refused, what is shown."""

from typing import Any

import pytest

from engine.control.api.compute import changed, created, modified, shown
from engine.control.api.faults import (
    Fault,
    InvalidParameterCombinationException,
    InvalidParameterValueException,
)

FULL: dict[str, Any] = {
    "AvailabilityZone": "eu-west-3a",
    "DnsNameServers": "10.0.0.2, 2001:db8::1",
    "KmsKeyId": "spare",
    "MaxCapacityUnits": 8,
    "MinCapacityUnits": 2,
    "MultiAZ": False,
    "PreferredMaintenanceWindow": "sun:23:45-mon:00:30",
    "ReplicationSubnetGroupId": "apart",
    "VpcSecurityGroupIds": ["sg-1", "sg-2"],
}


def test_everything_that_is_given_is_shown_as_it_was() -> None:
    answer = shown(created(FULL, 0.0))
    assert answer == {**FULL, "VpcSecurityGroupIds": ("sg-1", "sg-2")}


def test_the_largest_size_is_enough_and_the_window_is_drawn() -> None:
    first, second = created({"MaxCapacityUnits": 1}, 0.0), created({"MaxCapacityUnits": 1}, 0.99)
    assert shown(first) == {
        "MaxCapacityUnits": 1,
        "MinCapacityUnits": 1,
        "MultiAZ": False,
        "PreferredMaintenanceWindow": "mon:22:00-mon:22:30",
    }
    assert first.window != second.window


def test_a_modification_replaces_what_is_given_and_keeps_the_window() -> None:
    before = created(FULL, 0.0)
    after = modified(before, {"MaxCapacityUnits": 16, "PreferredMaintenanceWindow": ""})
    assert changed(before, after) == {"MaxCapacityUnits"}
    assert after.window == before.window
    assert changed(before, modified(before, {})) == frozenset()
    assert changed(before, modified(before, {"AvailabilityZone": "", "MultiAZ": True})) == {
        "AvailabilityZone",
        "MultiAZ",
    }


@pytest.mark.parametrize("units", [1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 384])
def test_sizes_of_the_ladder_are_taken(units: int) -> None:
    given = {"MaxCapacityUnits": units, "MinCapacityUnits": units}
    assert created(given, 0.0).units_max == units


@pytest.mark.parametrize(
    ("given", "fault", "message"),
    [
        ({}, InvalidParameterValueException, "MaxCapacityUnits must be provided"),
        ({"MinCapacityUnits": 1}, InvalidParameterValueException, "MaxCapacityUnits must be pro"),
        ({"MaxCapacityUnits": 0}, InvalidParameterValueException, "Invalid value 0 for"),
        ({"MaxCapacityUnits": 3}, InvalidParameterValueException, "1, 2, 4, 8, 16, 32, 64, 128"),
        ({"MaxCapacityUnits": 512}, InvalidParameterValueException, "Invalid value 512"),
        ({"MaxCapacityUnits": 2, "MinCapacityUnits": -1}, InvalidParameterValueException, "MinCap"),
        (
            {"MaxCapacityUnits": 2, "MinCapacityUnits": 4},
            InvalidParameterValueException,
            r"MinCapacityUnits \(4\) must not be greater than MaxCapacityUnits \(2\)",
        ),
        (
            {"MaxCapacityUnits": 1, "PreferredMaintenanceWindow": "sun:23:45-sun:23:50"},
            InvalidParameterValueException,
            "PreferredMaintenanceWindow is 5 minutes long; 30 is the least",
        ),
        (
            {"MaxCapacityUnits": 1, "DnsNameServers": "1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4,5.5.5.5"},
            InvalidParameterValueException,
            "DnsNameServers must be up to 4 addresses",
        ),
        (
            {"MaxCapacityUnits": 1, "DnsNameServers": "ns.example.com"},
            InvalidParameterValueException,
            "DnsNameServers must be up to 4 addresses",
        ),
        (
            {"MaxCapacityUnits": 1, "MultiAZ": True, "AvailabilityZone": "a"},
            InvalidParameterCombinationException,
            "AvailabilityZone cannot be given with MultiAZ",
        ),
    ],
)
def test_what_is_refused_says_what_it_may_be(
    given: dict[str, Any], fault: type[Fault], message: str
) -> None:
    with pytest.raises(fault, match=message):
        created(given, 0.0)
