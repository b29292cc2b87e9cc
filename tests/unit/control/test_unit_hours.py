from datetime import UTC, datetime

from engine.control.unit_hours import UnitHours, UnitSeconds, key

AT = datetime(2026, 11, 30, 23, 59, tzinfo=UTC).timestamp()


def test_units_add_up_by_month() -> None:
    hours = UnitHours({"capacity/2026-11": UnitSeconds(unit_seconds=3600.0)})
    hours.add(2, 1800.0, AT)
    hours.add(4, 900.0, AT + 120)
    assert hours.of_month(AT) == 2.0
    assert hours.of_month(AT + 120) == 1.0
    assert hours.total == 10_800.0
    assert hours.take() == {
        "capacity/2026-11": UnitSeconds(unit_seconds=7200.0),
        "capacity/2026-12": UnitSeconds(unit_seconds=3600.0),
    }
    assert not hours.take()


def test_nothing_that_is_not_provisioned_costs() -> None:
    hours = UnitHours({})
    hours.add(0, 10.0, AT)
    hours.add(1, -10.0, AT)
    assert not hours.take()
    assert hours.of_month(AT) == 0.0


def test_the_month_is_that_of_utc() -> None:
    assert key(AT) == "capacity/2026-11"
