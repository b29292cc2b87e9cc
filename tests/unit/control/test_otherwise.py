"""What a start says of itself."""

from typing import Any

import pytest

from engine.control.otherwise import DIFFERENCES, otherwise
from engine.control.resources.replication import Compute, Config

PREPARE, MODE, ROWS = (difference.text for difference in DIFFERENCES)


def config(kind: str, **members: Any) -> Config:
    compute = Compute(units_max=1)
    return Config(
        name="n", source="S", target="T", type=kind, compute=compute, mappings="", **members
    )


@pytest.mark.parametrize(
    ("settings", "kind", "ours", "expected"),
    [
        ({}, "full-load-and-cdc", {}, (PREPARE, MODE, ROWS)),
        ({}, "full-load", {}, (PREPARE,)),
        ({}, "cdc", {}, (MODE, ROWS)),
        ({}, "cdc", {"apply": {"mode": "transactional", "on_row_error": "stop"}}, ()),
        ({}, "full-load", {"load": {"prepare": "do-nothing"}}, ()),
        ({}, "full-load", {"load": None}, (PREPARE,)),
        ({"TargetMetadata": {"BatchApplyEnabled": False}}, "cdc", {}, (ROWS,)),
        ({"ErrorBehavior": {"ApplyErrorInsertPolicy": "LOG_ERROR"}}, "cdc", {}, (MODE,)),
    ],
)
def test_defaults_of_ours_are_named_while_they_are_in_force(
    settings: dict[str, Any], kind: str, ours: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert otherwise(config(kind, settings=settings, ours=ours)) == expected


def test_what_is_for_other_targets_is_named() -> None:
    assert "Neptune" in otherwise(config("full-load", supplemental="{}"))[-1]
