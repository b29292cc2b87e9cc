"""Runs the tasks of suites: side by side where they may, and says how far it is."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.chaos.suite import Failure, Outcome, Sizes, Suite, Task


class Told(Protocol):
    """Who is told how far it is."""

    def begin(self, suite: str, tasks: int) -> None: ...

    def finished(self, suite: str, task: str, outcome: Outcome) -> None: ...


def run_suite(suite: Suite, sizes: Sizes, seed: int, told: Told) -> Outcome:
    """Run so many trials; what all of them came to. A task that breaks is a failure too."""
    tasks = suite.tasks(sizes, seed)
    told.begin(suite.name, len(tasks))
    total = Outcome()
    for task, outcome in _one_by_one(tasks) if suite.alone else _side_by_side(tasks):
        total.add(outcome)
        told.finished(suite.name, task.name, outcome)
    return total


def _one_by_one(tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
    for task in tasks:
        yield task, task.work()


def _side_by_side(tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
    """On every core. Processes are started afresh: a fork would copy what is in progress here."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        running: dict[Future[Outcome], Task] = {pool.submit(task.work): task for task in tasks}
        try:
            for future in as_completed(running):
                task = running[future]
                yield task, _outcome_of(task, future)
        finally:
            pool.shutdown(cancel_futures=True)


def _outcome_of(task: Task, future: "Future[Outcome]") -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    return Outcome(failures=[Failure(f"{task.name}: {error!r}", "run the suite again")])


@contextmanager
def shown() -> Iterator[Told]:
    """A bar per suite on a terminal, a JSON object per line elsewhere."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), transient=False) as progress:
        yield Bars(progress)


class Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, Any] = {}

    def begin(self, suite: str, tasks: int) -> None:
        self._bars[suite] = self._progress.add_task(suite, total=tasks)

    def finished(self, suite: str, task: str, outcome: Outcome) -> None:
        for failure in outcome.failures:
            self._progress.console.print(failure.what, failure.replay, sep="\n    ", markup=False)
        self._progress.advance(self._bars[suite])


class Lines:
    def __init__(self) -> None:
        self._began = time.monotonic()
        self._left: dict[str, int] = {}

    def begin(self, suite: str, tasks: int) -> None:
        self._left[suite] = tasks

    def finished(self, suite: str, task: str, outcome: Outcome) -> None:
        self._left[suite] -= 1
        told: Mapping[str, object] = {
            "suite": suite,
            "task": task,
            "trials": outcome.trials,
            "failures": [[failure.what, failure.replay] for failure in outcome.failures],
            "tasks_left": self._left[suite],
            "seconds": round(time.monotonic() - self._began, 1),
        }
        sys.stderr.write(json.dumps(told) + "\n")
