"""`penstock apply`: the daemon's replications become what replication files say."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import orjson
import typer

from engine.control.cli.ending import end_with, say_warning
from engine.control.cli.reach import USUAL, As, Output, Url, Yes, agreed, daemon, document, say
from engine.control.client.applying import (
    Action,
    Plan,
    Step,
    carry_out,
    check_running,
    planned,
)
from engine.control.client.daemon import Daemon
from engine.control.client.difference import HIDDEN, Difference
from engine.control.client.wanted import WantedEndpoint, files_of, wanted
from engine.errors import PenstockError
from engine.observe.redact import clean

VALUE_CHARACTERS_MAX: Final = 60
"""As much of a value as is shown."""

COLOURS: Final = {
    Action.CREATE: typer.colors.GREEN,
    Action.MODIFY: typer.colors.YELLOW,
    Action.DELETE: typer.colors.RED,
    Action.EQUAL: typer.colors.CYAN,
}

Files: TypeAlias = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE|DIR...",
        help="Replication files, TOML; of a directory all *.toml but endpoints.toml.",
    ),
]

Restart: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--restart", metavar="", help="Stop what runs and has to change, and start it again."
    ),
]

Prune: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--prune", metavar="", help="Delete what the daemon has and no file does. Look twice."
    ),
]

DryRun: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        metavar="",
        help="Show what would be done. Exit code 1 when there is something.",
    ),
]


def apply(
    files: Files,
    yes: Yes = False,
    restart: Restart = False,
    prune: Prune = False,
    dry_run: DryRun = False,
    output: As = Output.TEXT,
    url: Url = USUAL,
) -> None:
    """Make the daemon's replications what replication files say.

    Shows what differs, asks, and does it; does nothing where nothing differs. It does not start
    what is new, and deletes what no file has only with --prune.
    """
    end_with(
        lambda: _apply(files, url, output, yes=yes, restart=restart, prune=prune, dry_run=dry_run)
    )


def _apply(
    files: Sequence[Path],
    url: str,
    output: Output,
    *,
    yes: bool,
    restart: bool,
    prune: bool,
    dry_run: bool,
) -> int:
    asked = daemon(url)
    every = dict.fromkeys(file for path in files for file in files_of(path))
    told = wanted(list(every), os.environ)
    for warning in told.warnings:
        say_warning(warning, output)
    plan = planned(asked, told, prune=prune)
    if output is Output.TEXT:
        for line in _lines(plan):
            typer.echo(line)
    applied = bool(plan.changes) and not dry_run
    if applied:
        check_running(plan, restart=restart)
        if not agreed("Do it?", yes=yes):
            say("nothing was changed")
            return 1
        _carry_out(asked, plan, output, restart=restart)
        _say_next(plan, output)
    if output is Output.JSON:
        document({"changes": [_document(step) for step in plan.changes], "applied": applied})
    return int(bool(plan.changes) and dry_run)


def _carry_out(asked: Daemon, plan: Plan, output: Output, *, restart: bool) -> None:
    done: list[str] = []

    def tell(how: str, what: str) -> None:
        done.append(what)
        say(f"{how:<8}  {what}", output)

    try:
        carry_out(asked, plan, tell, restart=restart)
    except PenstockError:
        if done:
            say_warning(f"{len(done)} done, and stay so: apply again when this is mended", output)
        raise


def _lines(plan: Plan) -> Iterator[str]:
    for step in plan.steps:
        action = typer.style(f"{step.action.value:<6}", fg=COLOURS[step.action])
        yield f"{action}  {step.kind:<11}  {clean(step.name)}{_what(step)}"
        yield from (f"          {_sentence(each)}" for each in step.differences)
    yield _summary(plan)


def _what(step: Step) -> str:
    """Of an endpoint that is new, where it is."""
    wanted = step.wanted
    if step.action is not Action.CREATE or not isinstance(wanted, WantedEndpoint):
        return ""
    members = wanted.members
    place = f"{members['ServerName']}:{members['Port']}/{members.get('DatabaseName', '')}"
    return f"  {wanted.role} {members['EngineName']} at {clean(place)}"


def _sentence(each: Difference) -> str:
    if HIDDEN in (each.before, each.after):
        word = "changed" if each.before and each.after else "set" if each.after else "removed"
        return f"{clean(each.member)}: ({word})"
    if each.before is None:
        return clean(f"{each.member}: {_value(each.after)}")
    after = "(removed)" if each.after is None else _value(each.after)
    return clean(f"{each.member}: {_value(each.before)} -> {after}")


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}..."


def _summary(plan: Plan) -> str:
    if not plan.changes:
        return f"nothing to do: {len(plan.steps)} as they are"
    counts = {
        action: sum(step.action is action for step in plan.steps)
        for action in (Action.CREATE, Action.MODIFY, Action.DELETE)
    }
    parts = [f"{count} to {action.value}" for action, count in counts.items() if count]
    equal = len(plan.steps) - len(plan.changes)
    return ", ".join([*parts, *([f"{equal} as they are"] if equal else [])])


def _say_next(plan: Plan, output: Output) -> None:
    new = [
        step.name
        for step in plan.changes
        if step.action is Action.CREATE and not isinstance(step.wanted, WantedEndpoint)
    ]
    if new:
        say(f"next: penstock start {new[0]}", output)


def _document(step: Step) -> dict[str, object]:
    return {
        "action": step.action.value,
        "kind": step.kind,
        "name": step.name,
        "members": [
            {"member": each.member, "before": each.before, "after": each.after}
            for each in step.differences
        ],
    }
