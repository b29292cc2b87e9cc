"""What the simulator looks at would be seen: each check, with the engine broken for it."""

from typing import Any

import pytest

from connectors.memory.control import ControlRows
from engine.apply.fold import arrange
from engine.checkpoint.committer import Committer
from engine.queue.bounded import Budget
from tests.simulation.comparing import ViolationError
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.spell import Spell
from tests.simulation.swarm import run


def _expect(scenario: str, spell: Spell, match: str) -> None:
    with pytest.raises(ViolationError, match=match):
        run(SCENARIOS[scenario], spell)


@pytest.mark.parametrize("scenario", ["insert", "bank", "keys-hot"])
def test_a_change_that_is_not_written(monkeypatch: pytest.MonkeyPatch, scenario: str) -> None:
    def forgetful(changes: Any, **named: Any) -> Any:
        return list(arrange(changes, **named))[:-1]

    monkeypatch.setattr("engine.apply.applier.arrange", forgetful)
    _expect(scenario, Spell(1), r" at \w+/\w+.*: missing .*, extra ")


def test_a_position_told_before_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = Committer.commit

    async def ahead(self: Committer, session: Any) -> None:
        self.acknowledged = self._frontier.position
        await commit(self, session)

    monkeypatch.setattr(Committer, "commit", ahead)
    _expect("mixed", Spell(1), "acknowledged, stored, applied, dispatched, received")


def test_memory_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "_fits", lambda *_: True)
    monkeypatch.setattr("tests.simulation.stuck.LONG", b"long" * 600)
    _expect("stuck", Spell(1), "bytes are held where")


def test_memory_that_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    release = Budget.release
    monkeypatch.setattr(Budget, "release", lambda self, size: release(self, size - (size > 0)))
    _expect("insert", Spell(1), "bytes of nothing")


def test_a_stuck_lane_that_holds_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.overflow.STUCK_SECONDS", 1e9)
    monkeypatch.setattr("tests.simulation.stuck.WRITE_SECONDS", 40.0)
    monkeypatch.setattr("tests.simulation.stuck.STUCK_SECONDS", 40.0)
    _expect("stuck", Spell(1), "were written long ago")


def test_a_stop_that_takes_as_long_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.streaming.DRAIN_SECONDS", 1e9)
    monkeypatch.setattr("tests.simulation.stuck.WRITE_SECONDS", 60.0)
    monkeypatch.setattr("tests.simulation.stuck.STUCK_SECONDS", 40.0)
    _expect("stuck", Spell(2, stops=2), "goes on 30.0 seconds after SIGTERM")


def test_a_refused_row_that_is_kept_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forget(*_: object) -> None:
        """Say nothing."""

    monkeypatch.setattr(ControlRows, "reject", forget)
    _expect("quarantine", Spell(1), "missing .*, extra ")
