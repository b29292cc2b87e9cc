"""A process that looks at both databases for the daemon: `python -m engine.control.probe FILE`.

Drivers, and whatever a server does to them, stay out of the daemon's own process. It tells what it
finds as JSON lines over a pipe, as a worker does (`engine/observe/report.py`):

- `step` {step}: a `preflight.Step` begins
- `finding` {check, severity, subject, message, remedy}
- `found` {tables, schemas, units, reckoned}: what the source has; `units` to begin with, and how
  these were reckoned from it, empty where they were not
- `outcome`: the last one; its reason is what blocks, if anything does

`--connect SIDE` looks at one side's connection alone, `--schemas` at the source's names too.
"""

import argparse
import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engine import addresses
from engine.config.load import load_replication
from engine.control.preflight import Preflight, Step, document
from engine.leaving import leave
from engine.model.finding import Finding, Severity
from engine.observe.redact import clean
from engine.observe.report import Outcome, ReportPipe
from engine.parent import die_with
from engine.registry import connect, source, target
from engine.seams import SystemClock, SystemRandom, machine_memory_bytes

SIDES: Final = ("source", "target")


def main(arguments: Sequence[str] | None = None) -> int:
    """Look, tell, and end; the exit code is that of the outcome."""
    given = _parser().parse_args(arguments)
    die_with(given.parent)
    reports = ReportPipe(given.report)
    try:
        addresses.arm(os.environ.get(addresses.VARIABLE, ""))
        outcome = asyncio.run(_look(given, reports))
    except Exception as error:  # noqa: BLE001  # a driver's own text may quote what is secret
        outcome = Outcome.of(error)
    reports.finish(outcome)
    return outcome.exit


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine.control.probe")
    parser.add_argument("file", type=Path)
    parser.add_argument("--report", type=int, required=True, help="descriptor of the pipe")
    parser.add_argument("--parent", type=int, help="process id of who started this")
    parser.add_argument("--connect", choices=SIDES, help="only this side's connection")
    parser.add_argument("--schemas", action="store_true", help="only the source's schemas")
    return parser


async def _look(given: argparse.Namespace, reports: ReportPipe) -> Outcome:
    config = load_replication(given.file, os.environ)
    clock, random = SystemClock(), SystemRandom()
    if given.connect:
        make = source if given.connect == "source" else target
        end = make(getattr(config, given.connect).engine)(config, clock, random)
        try:
            await end.open()
        finally:
            await end.close()
        return Outcome(0)
    if given.schemas:
        reader = source(config.source.engine)(config, clock, random)
        try:
            await reader.open()
            relations = await reader.relations()
        finally:
            await reader.close()
        reports.send("found", {"schemas": sorted({r.table.schema for r in relations})})
        return Outcome(0)
    telling = Telling(reports)
    preflight = Preflight(config, machine_memory_bytes(), entered=telling.entered)
    telling.found = preflight.findings
    findings = await preflight.run(*connect(config, clock, random))
    telling.tell(findings)
    reports.send("found", _found(preflight))
    return _judged(findings)


class Telling:
    """Tells each finding once, before the step that follows it."""

    def __init__(self, reports: ReportPipe) -> None:
        self._reports = reports
        self._told = set[Finding]()
        self.found: Sequence[Finding] = ()

    def entered(self, step: Step) -> None:
        """A step begins."""
        self.tell(self.found)
        self._reports.send("step", {"step": step.value})

    def tell(self, findings: Sequence[Finding]) -> None:
        """Tell those that are new."""
        for finding in findings:
            if finding not in self._told:
                self._told.add(finding)
                self._reports.send("finding", document(finding))


def _found(preflight: Preflight) -> dict[str, object]:
    tables = preflight.selection.tables if preflight.selection else ()
    prediction = preflight.prediction
    units = prediction.units if prediction else preflight.config.capacity.units_min
    reckoned = "; ".join(prediction.arithmetic) if prediction else ""
    return {"tables": len(tables), "units": units, "reckoned": reckoned}


def _judged(findings: Sequence[Finding]) -> Outcome:
    blocking = [finding for finding in findings if finding.severity is Severity.BLOCKS]
    if not blocking:
        return Outcome(0)
    first = blocking[0]
    more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
    return Outcome(
        exit=1,
        error=first.check,
        reason=f"{clean(first.message)}{more}",
        remedy=first.remedy,
    )


if __name__ == "__main__":
    leave(main())
