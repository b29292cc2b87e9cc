"""A replication that remembers everything its processes said, to look for what must not be there.

Rows of these tests hold `ROW` and passwords hold `SECRET`. Neither may appear in any output,
whatever fails; the fixtures look when a test ends.
"""

import json
import urllib.request
from dataclasses import dataclass, field
from typing import Final

from tests.scenario.running import Replication, Run

ROW: Final = "canaryrow0815"
SECRET: Final = "canarysecret4711"


@dataclass
class Watched(Replication):
    """`Replication`, with every line of every process kept in `said`."""

    runs: list[Run] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def run(self, *arguments: str, **environment: str) -> Run:
        run = super().run(*arguments, **environment)
        self.runs.append(run)
        return run

    def command(self, name: str, *arguments: str, **environment: str) -> tuple[int, str]:
        code, text = super().command(name, *arguments, **environment)
        self.said += text.splitlines()
        return code, text

    def refused(self, *arguments: str, code: int = 1) -> str:
        """Run it to an end that is a failure with this exit code; its last line."""
        with self.run(*arguments) as run:
            assert run.wait() == code, run.story()
        assert_last_line_tells(run)
        return run.ending

    def leaks(self) -> list[str]:
        lines = list(self.said)
        for run in self.runs:
            lines += [*run.log, *(json.dumps(event) for event in run.events)]
        return [line for line in lines if ROW in line or SECRET in line]


def assert_last_line_tells(run: Run) -> None:
    """The last line is JSON with what failed and what to do; the `ended` event says the same."""
    line = json.loads(run.ending)
    assert line["level"] == "error", run.ending
    assert line["message"], run.ending
    assert line["hint"], f"nothing says what to do: {run.ending}"
    ended = run.events[-1]
    assert (ended["event"], ended["reason"]) == ("ended", line["message"])


def scrape(address: str, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return str(answer.read().decode())
