"""Replications and endpoints as our own routes show them. (pure)"""

import calendar
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from engine.config.serve import CostConfig
from engine.control.acting import Figures
from engine.control.api.arn import Home, Kind
from engine.control.lifecycle import Status
from engine.control.resources.endpoint import Endpoint
from engine.control.resources.replication import Config, Face, Replication
from engine.control.resources.table import TableFacts
from engine.control.sealing import is_sealed
from engine.model.state import TableState

TOLD: Final[Mapping[str, str]] = {
    "phase": "state",
    "lag_seconds": "latency_target_seconds",
    "lag_bytes": "lag_bytes",
    "retained_bytes": "retained_bytes",
    "utilization": "utilization",
    "verdict": "verdict",
    "queue_bytes": "queue_bytes",
    "quarantined_rows": "quarantined_rows",
    "load_rows": "load_rows",
    "rows_applied": "target_rows",
    "position": "position",
}
"""Our names of what a worker tells, with its own."""


def replication(
    id: str, kept: Replication, home: Home, endpoints: Mapping[str, str], figures: Figures
) -> dict[str, object]:
    """How a replication is and does. `endpoints`: identifiers by record id. What is not known is
    not there."""
    config, life = kept.config, kept.life
    told = figures.told if life.status is Status.RUNNING else _at_rest(figures.told)
    units = life.provisioned.units if life.provisioned else None
    return _known(
        {
            "identifier": config.name,
            "arn": home.arn(OF_FACE[config.face], id),
            "type": config.type,
            "source": endpoints.get(config.source, config.source),
            "target": endpoints.get(config.target, config.target),
            "status": str(life.status),
            "since": _since(kept),
            **{ours: told.get(name) for ours, name in TOLD.items()},
            "units": told.get("units", units if life.status not in _RESTING else None),
            "units_min": config.compute.units_min,
            "units_max": config.compute.units_max,
            "unit_hours": figures.unit_hours,
            "load_percent": life.progress.percent,
            "tables_loaded": life.progress.loaded,
            "tables_loading": life.progress.loading,
            "tables_queued": life.progress.queued,
            "tables_errored": life.progress.errored,
            "stop_reason": life.stop_reason and str(life.stop_reason),
            "failures": list(life.failures) or None,
        }
    )


STOPPED_MAX: Final = 20
"""Tables that stand of which is told why; statistics list all of them."""

_WITHOUT_REASON: Final[Mapping[str, str]] = {
    TableState.SUSPENDED.value: "stopped; the log says why",
    TableState.NEEDS_RELOAD.value: "needs a new load",
}

_WAY_OUT: Final[Mapping[str, str]] = {
    TableState.SUSPENDED.value: "its changes wait on disk, and it goes on once that is mended",
    TableState.NEEDS_RELOAD.value: "load it again with `penstock reload`",
}
"""See the guide, "Operating", on states of tables."""


def stopped(tables: Sequence[TableFacts]) -> list[dict[str, str]]:
    """Why tables stand, and what to do; the first of them."""
    return [_stopped(each) for each in tables[:STOPPED_MAX]]


def _stopped(facts: TableFacts) -> dict[str, str]:
    name = f"{facts.schema}.{facts.table}"
    why = facts.error or _WITHOUT_REASON.get(facts.state, "")
    way = _WAY_OUT.get(facts.state)
    return {"table": name, "state": facts.state, "reason": f"{why} - {way}" if way else why}


def _at_rest(told: Mapping[str, object]) -> Mapping[str, object]:
    """What its source keeps for it is true of one that does not run, too."""
    return {name: told[name] for name in ("retained_bytes",) if name in told}


OF_FACE: Final[Mapping[Face, Kind]] = {
    Face.CONFIG: Kind.REPLICATION,
    Face.TASK: Kind.TASK,
}

_RESTING: Final = frozenset({Status.CREATED, Status.STOPPED, Status.FAILED})


def _since(kept: Replication) -> float | None:
    """When it came to be as it is, as far as that is kept."""
    match kept.life.status:
        case Status.CREATED:
            return kept.config.created
        case Status.STOPPED | Status.FAILED:
            return kept.life.times.stop
    return kept.life.times.start


def cost(config: Config, figures: Figures, prices: CostConfig, now: float) -> dict[str, object]:
    """What a replication costs, where a price is given; nothing where none is."""
    if not prices.unit_hour:
        return {}
    at = datetime.fromtimestamp(now, UTC)
    hours = 24 * calendar.monthrange(at.year, at.month)[1]
    hour = prices.unit_hour
    return _known(
        {
            "currency": prices.currency,
            "cost_month": figures.unit_hours and round(figures.unit_hours * hour, 2),
            "cost_month_max": round(config.compute.units_max * hours * hour, 2),
        }
    )


def given(config: Config) -> dict[str, object]:
    """What the user asked for, as it was given: no default is in it."""
    return {
        "type": config.type,
        "units_min": config.compute.units_min,
        "units_max": config.compute.units_max,
        "mappings": config.mappings,
        "settings": config.settings,
        "ours": config.ours,
    }


def endpoint(
    id: str, kept: Endpoint, home: Home, users: Sequence[Replication]
) -> dict[str, object]:
    """An endpoint as it was given, and who uses it. Of secrets it says that they are there."""
    return {
        "arn": home.arn(Kind.ENDPOINT, id),
        "members": _masked(kept.members),
        "ours": kept.ours,
        "used_by": [
            {"identifier": each.config.name, "status": str(each.life.status)} for each in users
        ],
    }


def _masked(members: Mapping[str, object]) -> dict[str, object]:
    """Without secrets: null stands for each."""
    return {name: _mask(value) for name, value in members.items()}


def _mask(value: object) -> object:
    if is_sealed(value):
        return None
    return _masked(value) if isinstance(value, Mapping) else value


def _known(document: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in document.items() if value is not None}
