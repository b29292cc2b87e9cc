"""A session that answers nothing: lost, at work, or its whole server silent."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from engine import silence
from engine.abilities import Working
from engine.errors import TargetBusyError, TargetConnectionError
from engine.observe.metrics import Metrics, Stage
from engine.silence import Silence

Identity = tuple[int, str]
ONE, TWO = (1, "a"), (2, "b")


@dataclass
class Session:
    identity: Identity
    waits_since: float | None = None
    broken = False

    def begin(self) -> None: ...


class Target:
    """Says of sessions what it is told to; None: nothing at all."""

    def __init__(self, *answers: Mapping[Identity, Working] | Exception | None) -> None:
        self._answers = list(answers)
        self.asked: list[Sequence[Identity]] = []

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    async def inspect(self, sessions: Sequence[Identity]) -> Mapping[Identity, Working]:
        self.asked.append(sessions)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return answer


@dataclass
class Sessions:
    opened: list[Session] = field(default_factory=list)


@dataclass
class Around:
    metrics: Metrics = field(default_factory=lambda: Metrics("orders"))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(silence, "ANSWER_SECONDS", 0.02)


def late(identity: Identity) -> Session:
    return Session(identity, asyncio.get_running_loop().time() - silence.LATE_SECONDS)


async def watched(
    target: Target, *sessions: Session, watcher: Session | None = None
) -> tuple[Silence, Around, str]:
    """Watch for a moment; what it ended with. `watcher`: the first of them, if it is not told."""
    around = Around()
    watching = Silence(Sessions(list(sessions)), target, around, watcher or sessions[0])  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(0.2):
            await watching.watch()
    except TargetConnectionError as error:
        return watching, around, error.message
    except TimeoutError:
        pass
    return watching, around, ""


async def test_sessions_that_wait_for_nothing_or_not_for_long_are_not_asked_about() -> None:
    target = Target(None)
    soon = Session(TWO, asyncio.get_running_loop().time())
    _, _, ended = await watched(target, Session(ONE), soon)
    assert (target.asked, ended) == ([], "")


async def test_a_session_at_work_is_left_alone_and_what_it_waits_for_is_known() -> None:
    target = Target({ONE: Working("a lock held by session 7")})
    found, around, ended = await watched(target, late(ONE))
    assert ended == ""
    assert len(target.asked) > 2
    assert found.waits_for == "a lock held by session 7"
    assert around.metrics.stuck == {}


async def test_a_target_that_does_not_answer_is_given_up() -> None:
    _, around, ended = await watched(Target(None), late(ONE))
    assert "no new question" in ended
    assert around.metrics.stuck[Stage.TARGET] == ended


@pytest.mark.parametrize("waits", [None, 1.0])
async def test_who_answers_another_session_may_have_none_left_for_the_question(
    waits: float | None,
) -> None:
    target, now = Target(None), asyncio.get_running_loop().time()
    watcher = Session(TWO, None if waits is None else now - waits)
    _, around, ended = await watched(target, late(ONE), watcher, watcher=watcher)
    assert len(target.asked) > 1
    assert (ended, around.metrics.stuck) == ("", {})


async def test_a_session_whose_server_waits_for_us_is_lost() -> None:
    _, _, ended = await watched(Target({TWO: Working()}), late(ONE), late(TWO))
    assert "in its session 1" in ended


async def test_an_answer_that_is_on_its_way_is_waited_for() -> None:
    target = Target({}, {ONE: Working()}, {}, {ONE: Working()})
    _, _, ended = await watched(target, late(ONE))
    assert ended == ""


async def test_a_target_that_refuses_to_say_has_answered() -> None:
    _, _, ended = await watched(Target(TargetBusyError("too many connections")), late(ONE))
    assert ended == ""
