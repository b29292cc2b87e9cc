import pytest

from engine.control.resources.instance import CLASS_GIB, units


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("dms.t3.micro", 1),
        ("dms.t3.medium", 2),
        ("DMS.C5.Large", 2),
        ("dms.c4.large", 1),
        ("dms.c5.9xlarge", 32),
        ("dms.r5.12xlarge", 192),
        ("dms.r6i.32xlarge", 384),
        ("db.t3.micro", None),
    ],
)
def test_tasks_of_a_class_may_grow_to_what_its_memory_holds(size: str, expected: int) -> None:
    assert units(size) == expected


def test_every_class_has_units() -> None:
    assert all(units(size) for size in CLASS_GIB)
