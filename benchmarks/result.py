"""What a case prints."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

import orjson


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured run. `value` is in the case's unit; `facts` are printed with it."""

    value: float
    startup_seconds: float = 0.0
    cpu_seconds: float | None = None
    rows: int = 0
    equal: bool | None = None
    facts: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides, one after the other, and the calibration before each."""

    ours: Figure
    theirs: Figure
    calibration: tuple[float, float]
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """One case. `better` is `higher` or `lower`; `reach` is the ratio that was set as a goal."""

    case: str
    ours: float
    theirs: float
    ratio: float
    reach: float
    better: str
    unit: str
    runs: Sequence[object]
    versions: Mapping[str, str]
    facts: Mapping[str, object]

    @property
    def reached(self) -> bool:
        return self.ratio >= self.reach if self.better == "higher" else self.ratio <= self.reach

    def json(self) -> str:
        document = asdict(self)
        facts = document.pop("facts")
        return orjson.dumps({**document, "reached": self.reached, **facts}).decode()


def from_pairs(
    case: str,
    pairs: Sequence[Pair],
    *,
    unit: str,
    better: str,
    reach: float,
    versions: Mapping[str, str],
    facts: Mapping[str, object] | None = None,
) -> Result:
    """Medians over pairs; the ratio is the median of the pairs' ratios, ours to theirs."""
    ours = [pair.ours for pair in pairs]
    return Result(
        case=case,
        ours=_rounded(median(figure.value for figure in ours)),
        theirs=_rounded(median(pair.theirs.value for pair in pairs)),
        ratio=_rounded(median(pair.ours.value / pair.theirs.value for pair in pairs)),
        reach=reach,
        better=better,
        unit=unit,
        runs=[_run(pair) for pair in pairs],
        versions=versions,
        facts={
            "equal": all(figure.equal is not False for pair in pairs for figure in _both(pair)),
            "cpu_seconds_per_million_rows": _cpu(ours),
            "calibration_seconds": _rounded(median(c for p in pairs for c in p.calibration)),
            "startup_seconds": {
                "ours": _rounded(median(figure.startup_seconds for figure in ours)),
                "theirs": _rounded(median(pair.theirs.startup_seconds for pair in pairs)),
            },
            **(facts or {}),
        },
    )


def _run(pair: Pair) -> dict[str, object]:
    return {
        "ours": _rounded(pair.ours.value),
        "theirs": _rounded(pair.theirs.value),
        "calibration": [_rounded(value) for value in pair.calibration],
        "repeats": pair.repeats,
        **pair.ours.facts,
        **{f"theirs_{name}": value for name, value in pair.theirs.facts.items()},
    }


def _cpu(figures: Sequence[Figure]) -> float | None:
    known = [f.cpu_seconds / f.rows * 1e6 for f in figures if f.cpu_seconds is not None and f.rows]
    return _rounded(median(known)) if known else None


def _both(pair: Pair) -> tuple[Figure, Figure]:
    return pair.ours, pair.theirs


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
