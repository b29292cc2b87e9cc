"""The daemon's own metrics, and what the guide says of them."""

from types import SimpleNamespace
from typing import Any

from engine.config.serve import CostConfig
from engine.control.ledger import Ledger
from engine.control.notices import Posts
from engine.control.probes import Family, Probes
from engine.control.unit_hours import HOUR_SECONDS
from tests.deployed import DAEMONS, GUIDE


def families() -> list[Family]:
    """Those of a daemon with one replication, which has failed after two hours of one unit."""
    means: Any = SimpleNamespace(room=SimpleNamespace(ledger=Ledger(1 << 30)))
    hours = SimpleNamespace(total=2 * HOUR_SECONDS)
    failed = SimpleNamespace(
        id="A1", name="orders", status="failed", hours=hours, kept_bytes=3 << 20
    )
    fleet: Any = SimpleNamespace(looked_after=lambda: iter([failed]), carried=lambda: iter([]))
    leadership: Any = SimpleNamespace(acts=True)
    notices: Any = SimpleNamespace(posts={"alarms": Posts(delivered=5, failed=2)})
    cost = CostConfig(unit_hour=0.5)
    return list(Probes(means, fleet, leadership, notices, cost).collect())


def shown(family: Family) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def test_the_guide_has_a_line_for_each() -> None:
    lines = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `penstock_")]
    told = {line.split("`")[1]: line for line in lines}
    assert set(told) == {shown(family) for family in families()}
    for family in families():
        line = told[shown(family)]
        assert family.documentation in line
        assert f"| {family.type} |" in line
        for label in family.samples[0].labels:
            assert f"`{label}`" in line


def test_alerts_look_at_what_is_there() -> None:
    assert set(DAEMONS) <= {shown(family) for family in families()}


def test_what_was_spent_is_told() -> None:
    values = {shown(family): family.samples[0].value for family in families()}
    assert values["penstock_replication_unit_hours_total"] == 2.0
    assert values["penstock_replication_cost_total"] == 1.0


def test_what_is_kept_for_one_at_rest_is_told() -> None:
    values = {shown(family): family.samples[0].value for family in families()}
    assert values["penstock_source_retained_bytes"] == 3 << 20


def test_what_a_topic_takes_and_does_not_take_is_told_of_each_subscription() -> None:
    found = {shown(family): family.samples for family in families()}
    (taken,), (failed,) = found["penstock_notices_delivered_total"], found[FAILED]
    assert (taken.labels, taken.value) == ({"subscription": "alarms"}, 5)
    assert (failed.labels, failed.value) == ({"subscription": "alarms"}, 2)


FAILED = "penstock_notices_failed_total"
