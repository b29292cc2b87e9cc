"""What a source was asked and has not answered."""

import asyncio
import contextlib

import pytest

from engine.errors import SourceConnectionError, SourceError
from engine.observe import questions as module
from engine.observe.questions import Questions


class Now:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def questions(now: Now) -> Questions:
    return Questions(now)


def _fail(now: Now, questions: Questions, error: Exception) -> None:
    """A question of seven seconds that ends with an error."""
    with contextlib.suppress(type(error)), questions.asking("its tables"):
        now.seconds += 7
        raise error


def test_silence_is_told_only_while_something_is_asked(now: Now, questions: Questions) -> None:
    assert questions.silent() == (0.0, "")
    with questions.asking("its tables"):
        now.seconds += 7
        assert questions.silent() == (7.0, "its tables")
    now.seconds += 7
    assert questions.silent() == (0.0, "")
    with questions.asking("its chunks"):
        assert questions.silent() == (0.0, "its chunks")


@pytest.mark.parametrize("lost", [SourceConnectionError("cut"), TimeoutError()])
def test_a_question_that_follows_a_lost_link_has_waited_since_the_first(
    now: Now, questions: Questions, lost: Exception
) -> None:
    _fail(now, questions, lost)
    assert questions.silent() == (0.0, "")
    with questions.asking("its tables"):
        now.seconds += 3
        assert questions.silent() == (10.0, "its tables")
    with questions.asking("its chunks"):
        assert questions.silent() == (0.0, "its chunks")


def test_a_refusal_is_an_answer(now: Now, questions: Questions) -> None:
    _fail(now, questions, SourceError("permission denied"))
    with questions.asking("its tables"):
        assert questions.silent()[0] == 0.0


def test_an_answer_to_one_question_is_a_sign_of_life_for_the_other(
    now: Now, questions: Questions
) -> None:
    with questions.asking("its tables"):
        now.seconds += 7
        with questions.asking("its chunks"):
            now.seconds += 1
        now.seconds += 2
        assert questions.silent() == (2.0, "its tables")


def test_time_in_which_nothing_could_be_heard_is_left_out(now: Now, questions: Questions) -> None:
    questions.leave_out(5.0)
    with questions.asking("its tables"):
        now.seconds += 7
        questions.leave_out(6.0)
        assert questions.silent()[0] == 1.0
        questions.leave_out(6.0)  # it was asked after most of that time
        assert questions.silent()[0] == 0.0


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 0.0)


@pytest.mark.usefixtures("at_once")
async def test_long_work_is_no_silence_while_small_questions_are_answered(
    now: Now, questions: Questions
) -> None:
    answers = asyncio.Semaphore(0)
    async with questions.meanwhile(answers.acquire):
        await _asked(questions)
        now.seconds += 20
        assert questions.silent() == (20.0, "how far its log is")
        answers.release()
        await asyncio.sleep(0.01)
        await _asked(questions)
        assert questions.silent() == (0.0, "how far its log is")
    assert questions.silent() == (0.0, "")


@pytest.mark.usefixtures("at_once")
async def test_work_that_is_done_is_an_answer_itself(now: Now, questions: Questions) -> None:
    async with questions.meanwhile(asyncio.Event().wait):
        await _asked(questions)
        now.seconds += 20
    with questions.asking("its tables"):
        assert questions.silent()[0] == 0.0


@pytest.mark.usefixtures("at_once")
async def test_a_small_question_that_is_refused_does_not_end_the_work(questions: Questions) -> None:
    asked = 0

    async def refused() -> None:
        nonlocal asked
        asked += 1
        raise SourceError("no rights")

    async with questions.meanwhile(refused), asyncio.timeout(5.0):
        while asked < 3:
            await asyncio.sleep(0)


@pytest.mark.usefixtures("at_once")
async def test_an_error_of_the_work_leaves_as_it_is_and_a_mistake_of_ours_too(
    questions: Questions,
) -> None:
    with pytest.raises(SourceError):
        async with questions.meanwhile(asyncio.Event().wait):
            raise SourceError("no slot")

    async def mistaken() -> None:
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        async with questions.meanwhile(mistaken):
            await asyncio.sleep(0.05)


async def _asked(questions: Questions) -> None:
    async with asyncio.timeout(5.0):
        while questions.silent() == (0.0, ""):
            await asyncio.sleep(0)
