"""`penstock check`: every finding with the statement that mends it. Writes nothing."""

import asyncio
from collections.abc import Sequence
from typing import Final

import orjson
import typer

from engine.config.replication import ReplicationConfig
from engine.control.cli.arguments import File, Json, load
from engine.control.cli.ending import end_with
from engine.control.preflight import Preflight, document
from engine.model.finding import Finding, Severity
from engine.observe.redact import clean
from engine.registry import connect
from engine.seams import SystemClock, SystemRandom, machine_memory_bytes

ORDER: Final = (Severity.BLOCKS, Severity.WARNS, Severity.UNCHECKED, Severity.TELLS)

COLOURS: Final = {
    Severity.BLOCKS: typer.colors.RED,
    Severity.WARNS: typer.colors.YELLOW,
    Severity.UNCHECKED: typer.colors.MAGENTA,
    Severity.TELLS: typer.colors.CYAN,
}


def check(file: File, as_json: Json = False) -> None:
    """Look at both databases and tell what stands in the way, with the statement that mends it.

    Writes nothing. Exit code 1 when something blocks.
    """
    end_with(lambda: _check(load(file), as_json=as_json))


def _check(config: ReplicationConfig, *, as_json: bool) -> int:
    source, target = connect(config, SystemClock(), SystemRandom())
    preflight = Preflight(config, machine_memory_bytes())
    findings = asyncio.run(preflight.run(source, target))
    findings.sort(key=lambda finding: (ORDER.index(finding.severity), finding.check))
    if as_json:
        typer.echo(orjson.dumps([document(finding) for finding in findings]))
    else:
        show(findings)
    return int(any(finding.severity is Severity.BLOCKS for finding in findings))


def show(findings: Sequence[Finding]) -> None:
    """A block for each finding; remedies stand unwrapped on lines of their own, to be copied."""
    width = max((len(finding.check) for finding in findings), default=0)
    for finding in findings:
        severity = typer.style(f"{finding.severity.value:<9}", fg=COLOURS[finding.severity])
        typer.echo(f"{severity}  {finding.check:<{width}}  {clean(_sentence(finding))}")
        for line in finding.remedy.splitlines():
            typer.echo(f"{'':9}  {'':<{width}}  -> {clean(line)}")
    typer.echo(_summary(findings))


def _sentence(finding: Finding) -> str:
    """The message, with its subject in front unless it names it by itself."""
    if not finding.subject or finding.subject in finding.message:
        return finding.message
    return f"{finding.subject}: {finding.message}"


def _summary(findings: Sequence[Finding]) -> str:
    counts = dict.fromkeys(ORDER, 0)
    for finding in findings:
        counts[finding.severity] += 1
    blocking = counts[Severity.BLOCKS]
    first = f"{blocking} block" + ("s" if blocking == 1 else "") if blocking else "nothing blocks"
    rest = [
        f"{counts[severity]} {word}"
        for severity, word in (
            (Severity.WARNS, "to be warned of"),
            (Severity.UNCHECKED, "could not be checked"),
            (Severity.TELLS, "to know"),
        )
        if counts[severity]
    ]
    return ", ".join([first, *rest])
