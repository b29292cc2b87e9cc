"""A short process whose standard output is taken in, as far as it may go."""

import os
import sys

import pytest

from engine.control import errand
from engine.leaving import leave
from engine.observe.report import Outcome, ReportPipe

MODULE = "tests.integration.control.test_errand"


def main(words: list[str]) -> int:
    """`--report=N --parent=N BYTES`: write so much and tell that all is well."""
    report, _, count = (word.rpartition("=")[2] for word in words)
    sys.stdout.write("x" * int(count))
    sys.stdout.flush()
    ReportPipe(int(report)).finish(Outcome(0))
    return 0


@pytest.mark.parametrize("count", [0, 10, 300_000])
async def test_all_that_it_writes_is_there_with_its_outcome(count: int) -> None:
    written = bytearray()
    outcome = await errand.run(
        MODULE, [str(count)], environment=os.environ, written=written, seconds=60
    )
    assert outcome == Outcome(0)
    assert written == b"x" * count


async def test_more_than_may_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "WRITTEN_BYTES_MAX", 100_000)
    written = bytearray()
    outcome = await errand.run(
        MODULE, ["100001"], environment=os.environ, written=written, seconds=60
    )
    assert (outcome.exit, outcome.error) == (1, "TooMuch")
    assert "larger than" in outcome.reason


async def test_what_nobody_asks_for_goes_nowhere() -> None:
    outcome = await errand.run(MODULE, ["300000"], environment=os.environ, seconds=60)
    assert outcome == Outcome(0)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
