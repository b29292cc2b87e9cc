"""`penstock autoscale`: the law of capacity without a replication: replayed, and simulated."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from engine.capacity.chart import svg, terminal
from engine.capacity.decision import Decision
from engine.capacity.law import Parameters
from engine.capacity.loads import LOADS
from engine.capacity.replay import Difference, differences, replay
from engine.capacity.score import Score, score
from engine.capacity.simulate import Run, simulate
from engine.capacity.trace import RECORDING, Life, read
from engine.control.cli.app import COMMANDS, MARKUP
from engine.control.cli.arguments import Json, load
from engine.control.cli.ending import end_with
from engine.errors import ConfigError

autoscale: Final = typer.Typer(
    help=COMMANDS["autoscale"],
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=MARKUP,
)


@autoscale.command("replay")
def replay_command(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="A recorded trace.")],
    as_json: Json = False,
) -> None:
    """Recompute decisions from a recorded trace.

    Exit code 1 when one differs from what was recorded.
    """
    end_with(lambda: _replay(trace, as_json=as_json))


def _replay(trace: Path, *, as_json: bool) -> int:
    lives = _lives(trace)
    decisions = [replay(life) for life in lives]
    found = [
        d for life, again in zip(lives, decisions, strict=True) for d in differences(life, again)
    ]
    made = [decision for again in decisions for decision in again]
    if as_json:
        document = {"decisions": made, "differences": [asdict(each) for each in found]}
        typer.echo(orjson.dumps(document))
        return int(bool(found))
    for decision in made:
        typer.echo(_sentence(decision))
    for difference in found:
        _show(difference)
    samples = sum(len(life.samples) for life in lives)
    told = f"{len(found)} of them differ" if found else "as they were recorded"
    typer.echo(f"{samples:,} samples, {len(made):,} decisions, {told}")
    return int(bool(found))


def _lives(trace: Path) -> list[Life]:
    try:
        with trace.open("rb") as lines:
            return list(read(lines, str(trace)))
    except OSError as error:
        raise ConfigError(
            "TRACE", f"cannot be read: {error.strerror}", hint=RECORDING, file=str(trace)
        ) from None


def _sentence(decision: Decision) -> str:
    sizes = f"{decision.units_from} -> {decision.units_to}" if decision.changes else ""
    return f"{decision.at:>10.0f} s  {decision.rule.value:<9}  {sizes:<10}  {decision.reason}"


def _show(difference: Difference) -> None:
    for name, decision in (
        ("recorded", difference.recorded),
        ("recomputed", difference.recomputed),
    ):
        typer.echo(f"{name:>10}: {_sentence(decision) if decision else 'nothing'}", err=True)


@autoscale.command("simulate")
def simulate_command(
    name: Annotated[
        str, typer.Option("--load", metavar="NAME", help=f"One of {', '.join(LOADS)}.")
    ] = "step",
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it into an SVG file.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A replication file, for its `[capacity]`."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the law against a load, with a simple model of source and target.

    Loads are given in what one unit carries. Beside the law's unit-hours stand those of a
    clairvoyant under the same rules, and of the smallest size for each second.
    """
    end_with(lambda: _simulate(name, plot, file, as_json=as_json))


def _simulate(name: str, plot: Path | None, file: Path | None, *, as_json: bool) -> int:
    if name not in LOADS:
        raise ConfigError("--load", f"must be one of {', '.join(LOADS)}")
    config = load(file) if file else None
    parameters = Parameters(config=config.capacity) if config else Parameters()
    run = simulate(parameters, LOADS[name]())
    found = score(run)
    if plot is not None:
        _draw(plot, svg(run, f"{name}: {found.unit_hours:.1f} unit-hours"))
    if as_json:
        document = {"load": name, **asdict(found), "decisions": run.decisions}
        typer.echo(orjson.dumps(document))
        return 0
    for line in (*terminal(run), "", *_decided(run), "", *_figures(found)):
        typer.echo(line)
    return 0


def _draw(plot: Path, picture: str) -> None:
    try:
        plot.write_text(picture)
    except OSError as error:
        raise ConfigError(
            "--plot",
            f"{plot} cannot be written: {error.strerror}",
            hint="name a file in a folder that is there and may be written to",
        ) from None


def _decided(run: Run) -> list[str]:
    return [_sentence(decision) for decision in run.decisions]


def _figures(found: Score) -> Sequence[str]:
    gap = "" if found.gap_seconds is None else f", never closer than {found.gap_seconds} s"
    hours = (
        f"{found.unit_hours:.2f} unit-hours, {found.ratio:.3f} of the clairvoyant's"
        f" {found.clairvoyant_hours:.2f}; the smallest size for each second:"
        f" {found.optimum_hours:.2f}"
    )
    lag = (
        f"{found.changes} changes{gap}; changes lagged behind for {found.lagging_seconds} s,"
        f" {found.lag_max_seconds:.1f} s at most, {found.avoidable_seconds} s at a stretch"
        " while a larger size was permitted"
    )
    return hours, lag
