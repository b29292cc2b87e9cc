"""A recorded trace: what the law was fed with and what it decided, as JSON lines. (pure)

The first line of each life of a worker holds the parameters and the size it began with; behind it
stand samples, and each decision behind the sample it was made by. Numbers are written so that they
are read back as the same numbers.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson

from engine.capacity.decision import Decision, First, Inputs, Rule
from engine.capacity.law import Bar, Parameters
from engine.capacity.sample import Cause, Phase, Sample
from engine.config.capacity import CapacityConfig
from engine.errors import ConfigError

RECORDING: Final = "a trace is what `penstock run --capacity-trace FILE` writes"
"""What to do about a file that is none."""

TRACE_VERSION: Final = 1
"""Grows when a line changes its meaning."""


@dataclass(slots=True, kw_only=True)
class Life:
    """One worker's part of a trace."""

    parameters: Parameters
    units: int
    at: float
    bar: Bar | None = None
    samples: list[Sample] = field(default_factory=list[Sample])
    decisions: list[Decision] = field(default_factory=list[Decision])
    first: First | None = None
    first_after: int = 0
    """Samples before `first`."""


def head_line(parameters: Parameters, units: int, at: float, bar: Bar | None = None) -> bytes:
    """The line a life begins with: what `law.initial` is given."""
    return _line(
        {
            "trace": TRACE_VERSION,
            "units": units,
            "at": at,
            "bar": bar and asdict(bar),
            "appliers_fixed": parameters.appliers_fixed,
            "capacity": asdict(parameters.config),
        }
    )


def first_line(first: First) -> bytes:
    """What `law.begin` is given; its decision follows."""
    return _line({"first": asdict(first)})


def sample_line(sample: Sample) -> bytes:
    return _line({"sample": asdict(sample)})


def decision_line(decision: Decision) -> bytes:
    return _line({"decision": asdict(decision)})


def _line(document: Mapping[str, object]) -> bytes:
    return orjson.dumps(document) + b"\n"


def read(lines: Iterable[bytes], file: str = "TRACE") -> Iterator[Life]:
    """The lives in a trace, one after the other.

    Raises:
        ConfigError: a line that is not of a trace; its number is named.
    """
    life: Life | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            document = _document(line)
            if "trace" in document:
                if life is not None:
                    yield life
                life = _life(document)
            elif life is None:
                raise ValueError("a sample before the line with the parameters")
            elif "sample" in document:
                life.samples.append(_sample(document["sample"]))
            elif "first" in document:
                life.first, life.first_after = _first(document["first"]), len(life.samples)
            else:
                life.decisions.append(_decision(document["decision"]))
        except (ConfigError, ValueError, TypeError, KeyError, AttributeError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise ConfigError(
                f"line {number}", f"is no line of a trace: {what}", hint=RECORDING, file=file
            ) from None
    if life is None:
        raise ConfigError("line 1", "is missing: the trace is empty", hint=RECORDING, file=file)
    yield life


def _document(line: bytes) -> dict[str, Any]:
    document = orjson.loads(line)
    if not isinstance(document, dict):
        raise TypeError("not an object")
    return document


def _life(document: Mapping[str, Any]) -> Life:
    version = document["trace"]
    if version != TRACE_VERSION:
        raise ValueError(f"version {version}, where {TRACE_VERSION} is understood")
    config = CapacityConfig(**document["capacity"])
    config.validate()
    parameters = Parameters(config=config, appliers_fixed=bool(document["appliers_fixed"]))
    bar = document.get("bar")
    return Life(
        parameters=parameters,
        units=_whole(document["units"]),
        at=_number(document["at"]),
        bar=None if bar is None else _bar(bar),
    )


def _bar(document: Mapping[str, Any]) -> Bar:
    cause = document["cause"]
    return Bar(
        units=_whole(document["units"]),
        until=_number(document["until"]),
        rate=_number(document["rate"]),
        cause=None if cause is None else Cause(cause),
        doublings=_whole(document["doublings"]),
    )


def _first(document: Mapping[str, Any]) -> First:
    return First(
        at=_number(document["at"]),
        units=_whole(document["units"]),
        reason=str(document["reason"]),
    )


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("units is no whole number")
    return value


_WHOLE: Final = ("units", "backlog_rows", "lanes")


def _sample(document: Mapping[str, Any]) -> Sample:
    given = dict(document)
    phase, cause = Phase(given.pop("phase")), given.pop("cause", None)
    for name, value in given.items():
        if name in _WHOLE and value is not None and not isinstance(value, int):
            raise TypeError(f"{name} is no whole number")
        if value is not None or name in ("at", "units"):
            _number(value)
    return Sample(**given, phase=phase, cause=cause and Cause(cause))


def _decision(document: Mapping[str, Any]) -> Decision:
    given = dict(document)
    inputs = dict(given.pop("inputs"))
    cause = inputs.pop("cause")
    return Decision(
        **{**given, "rule": Rule(given["rule"])},
        inputs=Inputs(**inputs, cause=cause and Cause(cause)),
    )


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("not a number")
    return value
