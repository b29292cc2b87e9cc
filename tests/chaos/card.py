"""The reliability card: what all stored runs come to, as one page."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tests.chaos.results import Record
from tests.chaos.suite import Measure, Outcome, Suite

HEAD: Final = """\
# Reliability card

Written by `python -m tests.chaos card` from the runs in [reliability/](reliability/), not by hand.
What the suites do and how a failure is replayed: [testing.md](testing.md).

When none of N independent trials fails, the rate of failures is below 3/N with 95 % confidence.
That is what can be said, not "never". Runs add up over commits; each is listed below with its own.
"""


def card(records: Sequence[Record], suites: Mapping[str, Suite]) -> str:
    """The whole page."""
    totals = _totals(records)
    known = {name: suites[name] for name in suites if name in totals}
    lines = [HEAD, *_figures(known, totals, records)]
    for name, suite in known.items():
        if suite.situations:
            lines += _situations(suite, totals[name])
    lines += _measures(known, _totals([record for record in records if not record.busy]))
    lines += [*_failures(records), *_runs(records)]
    return "\n".join(lines) + "\n"


def _totals(records: Sequence[Record]) -> Mapping[str, Outcome]:
    totals: defaultdict[str, Outcome] = defaultdict(Outcome)
    for record in records:
        for name, outcome in record.suites.items():
            totals[name].add(outcome)
    return totals


def _figures(
    suites: Mapping[str, Suite], totals: Mapping[str, Outcome], records: Sequence[Record]
) -> Iterator[str]:
    yield "| suite | shows that | trials | failures | failure rate below | hours of work | runs |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for name, suite in suites.items():
        total = totals[name]
        runs = sum(name in record.suites for record in records)
        for unit, count in sorted(total.trials.items(), key=lambda item: item[0], reverse=True):
            if count:
                yield (
                    f"| {name} | {suite.proves} | {count:,} {unit} | {len(total.failures)} "
                    f"| {_bound(count, total)} | {total.seconds / 3600:.1f} | {runs} |"
                )


def _bound(count: int, total: Outcome) -> str:
    return "-" if total.failures else f"{3 / count:.1g}"


def _situations(suite: Suite, total: Outcome) -> Iterator[str]:
    yield f"\n## Situations that `{suite.name}` reached\n"
    yield "| situation | what it is | times |"
    yield "| --- | --- | ---: |"
    for name, meaning in suite.situations.items():
        yield f"| {name} | {meaning} | {total.reached[name]:,} |"


def _measures(suites: Mapping[str, Suite], totals: Mapping[str, Outcome]) -> Iterator[str]:
    rows = [
        f"| {suite.name} | {name}, {measure.unit} | {measure.meaning} "
        f"| {len(values):,} | {_p(values, 50)} "
        f"| {_p(values, 99)} | {max(values):.3g} | {_demand(measure)} |"
        for suite in suites.values()
        for name, measure in suite.measures.items()
        if (values := totals[suite.name].measured.get(name))
    ]
    if rows:
        yield "\n## Measured\n"
        yield "On machines without other work; what other runs measured stands in their files.\n"
        yield "| suite | what | meaning | times | p50 | p99 | highest | must be |"
        yield "| --- | --- | --- | ---: | ---: | ---: | ---: | --- |"
        yield from rows


def _demand(measure: Measure) -> str:
    return f"p{measure.percentile} {measure.limit}" if measure.limit else "-"


def _p(values: Sequence[float], percentile: int) -> str:
    return f"{Measure('', '', percentile).figure(values):.3g}"


def _failures(records: Sequence[Record]) -> Iterator[str]:
    yield "\n## Failures\n"
    found = [
        f"- {record.commit[:8]}, {name}: {failure.what.splitlines()[0]} (`{failure.replay}`)"
        for record in records
        for name, outcome in record.suites.items()
        for failure in outcome.failures
    ]
    yield from found or ["None."]
    if found:
        yield "\nWhat was found and how it was mended, each with the test or seed that holds it:"
        yield "[CHANGELOG.md](../CHANGELOG.md)."


def _runs(records: Sequence[Record]) -> Iterator[str]:
    yield "\n## Runs\n"
    yield "| date | commit | tier | seed | what | machine | versions |"
    yield "| --- | --- | --- | ---: | --- | --- | --- |"
    for record in records:
        changed = ", with changes" if record.changed else ""
        busy = f", beside {record.others:.0f} other threads" if record.busy else ""
        part = "" if record.part == 1 else f", a share of {record.part:g}"
        what = "; ".join(_said(name, o.trials) for name, o in record.suites.items())
        versions = ", ".join(f"{name} {number}" for name, number in record.versions.items())
        yield (
            f"| {record.date[:10]} | {record.commit[:8]}{changed} | {record.tier}{part} "
            f"| {record.seed} | {what} | {record.machine}{busy} | {versions} |"
        )


def _said(name: str, trials: Counter[str]) -> str:
    return f"{name}: " + ", ".join(f"{count:,} {unit}" for unit, count in sorted(trials.items()))
