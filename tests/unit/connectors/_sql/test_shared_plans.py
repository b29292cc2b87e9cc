"""What is handed on between sessions, and until when."""

from dataclasses import replace

import pytest

from connectors._sql import shared_plans
from connectors._sql.shared_plans import PLANS_MAX, SHARED_SECONDS, SharedPlans
from engine.model.relation import Column, ColumnType, Format, Relation

RELATION = Relation(1, "public", "t", (Column("id", ColumnType("integer", 23), Format.BINARY),))


def read(plans: SharedPlans[str], relation: Relation = RELATION, plan: str = "plan") -> None:
    plans.share(plans.begin(relation), plan)


async def test_a_plan_is_of_one_relation_version_and_one_form() -> None:
    plans: SharedPlans[str] = SharedPlans()
    read(plans)
    found = plans.find(RELATION)
    assert found is not None
    assert found.plan == "plan"
    assert plans.find(replace(RELATION)) is None
    assert plans.find(RELATION, "text") is None


async def test_nothing_whose_reading_began_before_plans_were_forgotten_is_handed_on() -> None:
    plans: SharedPlans[str] = SharedPlans()
    read(plans)
    reading = plans.begin(RELATION)
    plans.forget()
    assert plans.find(RELATION) is None
    assert plans.share(reading, "late").plan == "late"
    assert plans.find(RELATION) is None
    read(plans, plan="new")
    found = plans.find(RELATION)
    assert found is not None
    assert found.plan == "new"


async def test_a_plan_grows_too_old_to_be_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(shared_plans, "_now", lambda: now)
    plans: SharedPlans[str] = SharedPlans()
    read(plans)
    now += SHARED_SECONDS - 0.1
    assert plans.find(RELATION) is not None
    assert plans.find(RELATION, seconds=1.0) is None
    now += 0.1
    assert plans.find(RELATION) is None


async def test_plans_are_bounded() -> None:
    plans: SharedPlans[str] = SharedPlans()
    versions = [replace(RELATION) for _ in range(PLANS_MAX + 1)]
    for version in versions:
        read(plans, version)
    assert plans.find(versions[0]) is None
    assert plans.find(versions[-1]) is not None
