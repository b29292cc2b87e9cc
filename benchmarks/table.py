"""Results as a Markdown page."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks.result import Result

HEAD = (
    "| case | mode | ours | against | theirs | unit | ratio | reach | reached | pairs (ratios)"
    " | CPU s / M rows | calibration s | equal |\n"
    "| --- | --- | ---: | --- | ---: | --- | ---: | ---: | --- | --- | ---: | ---: | --- |\n"
)


def markdown(results: Sequence[Result], arguments: Sequence[str]) -> str:
    """A page with one line per result, the machine, and the command that makes it."""
    versions = dict(pair for result in results for pair in result.versions.items())
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    told = "; ".join(f"{side}: {name}" for side, name in versions.items())
    return (
        "# Benchmark results\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, {machine}; {told}.\n"
        f"`python -m benchmarks {' '.join(arguments)}`\n\n"
        f"{HEAD}{''.join(_line(result) for result in results)}"
    )


def _line(result: Result) -> str:
    facts = result.facts
    cells = [
        result.case,
        facts.get("mode", ""),
        f"{result.ours:,.6g}",
        facts.get("against", "native"),
        f"{result.theirs:,.6g}",
        result.unit,
        f"{result.ratio:.3g}x",
        f"{'≥' if result.better == 'higher' else '≤'} {result.reach:g}x",
        "yes" if result.reached else "no",
        ", ".join(_ratios(result)),
        _number(facts.get("cpu_seconds_per_million_rows")),
        _number(facts.get("calibration_seconds")),
        "yes" if facts.get("equal") else "NO",
    ]
    return f"| {' | '.join(str(cell) for cell in cells)} |\n"


def _ratios(result: Result) -> list[str]:
    found = []
    for run in result.runs:
        assert isinstance(run, dict)
        found.append(f"{run['ours'] / run['theirs']:.2f}")
    return found


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "-"
