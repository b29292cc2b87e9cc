"""Connectors by name. A connector is imported when it is first used, with its driver.

Built-in names stand here; other packages add theirs by entry points in the groups
`penstock.sources` and `penstock.targets` (name = "module:factory"). A built-in name cannot be
replaced. A factory is called as `factory(config, clock, random)`; it connects to nothing yet.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from engine.abilities import ListeningTarget, SpeakingSource
from engine.comparable import Comparable
from engine.config.problems import nearest
from engine.config.replication import ReplicationConfig
from engine.contracts import Source, Target
from engine.errors import ComparisonError, ConfigError
from engine.goal import Goal
from engine.machine import Clock, Random

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

SourceFactory: TypeAlias = Callable[[ReplicationConfig, Clock, Random], Source]
TargetFactory: TypeAlias = Callable[[ReplicationConfig, Clock, Random], Target]

Side: TypeAlias = Literal["source", "target"]
ComparableFactory: TypeAlias = Callable[[ReplicationConfig, Side], Comparable]


@dataclass(frozen=True, slots=True)
class Connector:
    """Where a built-in connector's factories are. An empty one means it has no such side, or that
    its tables cannot be compared. `install` is what to give pip when its driver is missing."""

    source: str = ""
    target: str = ""
    comparable: str = ""
    install: str = "penstock"


_MYSQL: Final = Connector(
    source="connectors.mysql.source:create",
    target="connectors.mysql.target:create",
    comparable="connectors.mysql.compare:create",
    install="penstock[mysql]",
)

CONNECTORS: Final[Mapping[str, Connector]] = {
    "postgres": Connector(
        source="connectors.postgres.source:create",
        target="connectors.postgres.target:create",
        comparable="connectors.postgres.compare:create",
        install="penstock[postgres]",
    ),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "aurora": _MYSQL,
    "memory": Connector(
        source="connectors.memory.source:create",
        target="connectors.memory.target:create",
        comparable="connectors.memory.compare:create",
    ),
    "blackhole": Connector(target="connectors.blackhole.target:create"),
}

ENTRY_POINTS: Final[Mapping[Side, str]] = {
    "source": "penstock.sources",
    "target": "penstock.targets",
}


def source(name: str) -> SourceFactory:
    """The factory of the source called `name`.

    Raises:
        ConfigError: no such source, or its driver is not installed.
    """
    return cast("SourceFactory", _factory(name, "source"))


def target(name: str) -> TargetFactory:
    """The factory of the target called `name`.

    Raises:
        ConfigError: no such target, or its driver is not installed.
    """
    return cast("TargetFactory", _factory(name, "target"))


def comparable(config: ReplicationConfig, side: Side) -> Comparable:
    """One side of a comparison, not opened yet.

    Raises:
        ComparisonError: tables of that system cannot be compared.
    """
    name = config.source.engine if side == "source" else config.target.engine
    connector = CONNECTORS.get(name, Connector())
    if not connector.comparable:
        raise ComparisonError(f'{side}: tables of "{name}" cannot be compared')
    factory = _imported(connector.comparable, name, f"{side}.engine", connector.install)
    return cast("ComparableFactory", factory)(config, side)


def connect(config: ReplicationConfig, clock: Clock, random: Random) -> tuple[Source, Target]:
    """Both ends of a replication, not opened yet. Raises ConfigError."""
    origin = source(config.source.engine)(config, clock, random)
    destination = target(config.target.engine)(config, clock, random)
    if isinstance(origin, SpeakingSource) and isinstance(destination, ListeningTarget):
        origin.speak(destination.forms)
    if config.start_position:
        check_position(origin, "replication.start_position", config.start_position)
    return origin, destination


def check_position(source: Source, field: str, text: str) -> None:
    """Raises ConfigError for a text that is no position of this source's log."""
    try:
        source.position(text)
    except ValueError as error:
        raise ConfigError(field, f"must be a position of the source's log: {error}") from None


def check_goal(source: Source, text: str) -> None:
    """Raises ConfigError for a `--stop-at` other than `caught-up` that this source cannot reach."""
    try:
        if Goal(source, text).until_us is not None:
            return
    except ValueError as error:
        raise ConfigError("--stop-at", str(error)) from None
    check_position(source, "--stop-at (caught-up, commit_time:MOMENT, or a position)", text)


def names(side: Side) -> tuple[str, ...]:
    """Every name that `source` or `target` knows, sorted."""
    built_in = {name for name, connector in CONNECTORS.items() if getattr(connector, side)}
    outside = {point.name for point in _outside(side)}
    return tuple(sorted(built_in | outside))


def _outside(side: Side) -> "EntryPoints":
    """What other packages have added."""
    from importlib import metadata  # 15 ms of a start, which built-in connectors do without

    return metadata.entry_points(group=ENTRY_POINTS[side])


def _factory(name: str, side: Side) -> Callable[..., Any]:
    field = f"{side}.engine"
    if name in CONNECTORS:
        connector = CONNECTORS[name]
        dotted = getattr(connector, side)
        if not dotted:
            raise ConfigError(field, f'"{name}" cannot be a {side}', hint=_known(side))
        return _imported(dotted, name, field, connector.install)
    for point in [point for point in _outside(side) if point.name == name]:
        return _imported(point.value, name, field, point.dist.name if point.dist else name)
    suggestion = nearest(name, names(side))
    raise ConfigError(
        field,
        f"there is no {side} of that name",
        hint=f'did you mean "{suggestion}"?' if suggestion else _known(side),
    )


def _known(side: Side) -> str:
    return f"known: {', '.join(names(side))}"


def _imported(dotted: str, name: str, field: str, install: str) -> Callable[..., Any]:
    module, _, factory = dotted.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), factory)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == module or missing.split(".")[0] in ("engine", "connectors"):
            raise
        raise ConfigError(
            field,
            f'"{name}" needs the Python package {missing}, which is not installed',
            hint=f"pip install '{install}'",
        ) from error
    return found
