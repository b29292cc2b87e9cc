"""The list of guards is up to date. `make mutants` shows that each is held by its tests."""

import pytest

from tests.mutants.guard import Guard
from tests.mutants.guards import GUARDS
from tests.mutants.trial import ROOT, place

GUARDS_MIN = 20


def test_there_are_enough_and_their_names_differ() -> None:
    assert len({guard.name for guard in GUARDS}) == len(GUARDS) >= GUARDS_MIN


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_stands_in_its_place_and_its_tests_exist(guard: Guard) -> None:
    assert place(ROOT, guard) == 1
    assert guard.without != guard.code
    for test in guard.held_by:
        file, _, name = test.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {name.partition('[')[0]}" in text
