"""The command that runs suites by tier: what it adds up, refuses and writes."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.chaos.__main__ import CARD, verdict
from tests.chaos.card import card
from tests.chaos.results import Record, others_at_work, stored
from tests.chaos.run import Lines, run_suite
from tests.chaos.simulator import HOMES
from tests.chaos.suite import Failure, Measure, Outcome, Sizes, Suite, Task, Tier, register, share
from tests.chaos.suites import suites
from tests.simulation.scenarios import SCENARIOS


def _count(number: int) -> Outcome:
    if number < 0:
        raise RuntimeError("broke")
    return Outcome(Counter(tries=number), reached=Counter({"deep": number // 3}), seconds=1.0)


def _tasks(sizes: Sizes, seed: int) -> Sequence[Task]:
    return [Task(f"{n}", partial(_count, n)) for n in (seed, sizes["tries"])]


def _toy(*, alone: bool = True) -> Suite:
    sizes = {Tier.SMOKE: {"tries": 2}, Tier.NIGHTLY: {"tries": 5}, Tier.RELEASE: {"tries": 9}}
    return Suite("toy", "it counts", sizes, _tasks, {"deep": "three at once"}, alone)


@pytest.mark.parametrize("alone", [True, False])
def test_outcomes_of_tasks_add_up(alone: bool, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run_suite(_toy(alone=alone), {"tries": 4}, 2, Lines())
    assert outcome == Outcome(Counter(tries=6), [], Counter(deep=1), 2.0)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert sorted(line["tasks_left"] for line in lines) == [0, 1]


def test_a_task_that_breaks_is_a_failure() -> None:
    outcome = run_suite(_toy(alone=False), {"tries": 4}, -1, Lines())
    assert [failure.what for failure in outcome.failures] == ["-1: RuntimeError('broke')"]
    assert outcome.trials["tries"] == 4


def test_a_tier_that_never_reached_a_situation_fails_and_names_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = Outcome(Counter(tries=2))
    assert not verdict(_toy(), outcome, whole=True)
    assert "toy never reached: deep (three at once)" in capsys.readouterr().out
    assert verdict(_toy(), outcome, whole=False)
    assert verdict(_toy(), Outcome(Counter(tries=3), reached=Counter(deep=1)), whole=True)


def test_a_failure_is_told_with_the_command_that_shows_it_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failed = Outcome(Counter(tries=3), [Failure("lost a row", "again 7")], Counter(deep=1))
    assert not verdict(_toy(), failed, whole=True)
    assert "lost a row\n    replay: again 7" in capsys.readouterr().out


def _measuring() -> Suite:
    measures = {"start": Measure("until it moves", "s", percentile=99, at_most=5.0)}
    return replace(_toy(), situations={}, measures=measures)


def test_a_tier_that_measured_nothing_or_beyond_the_limit_fails_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = Outcome(Counter(tries=3))
    assert not verdict(_measuring(), outcome, whole=True)
    assert "toy: start was never measured (until it moves)" in capsys.readouterr().out
    outcome.measured["start"] = [1.0] * 99
    assert verdict(_measuring(), outcome, whole=True)
    outcome.measured["start"] += [6.0, 7.0]
    assert not verdict(_measuring(), outcome, whole=True)
    assert "toy: start: p99 6 s of 101, must be at most 5" in capsys.readouterr().out
    assert verdict(_measuring(), outcome, whole=False)


@pytest.mark.parametrize(
    ("percentile", "figure"), [(1, 1.0), (50, 2.0), (51, 3.0), (75, 3.0), (100, 4.0)]
)
def test_a_percentile_is_a_value_that_was_measured(percentile: int, figure: float) -> None:
    assert Measure("", "", percentile).figure([4.0, 1.0, 3.0, 2.0]) == figure


def test_the_card_tells_what_was_measured(tmp_path: Path) -> None:
    for seconds in (1.0, 3.0):
        outcome = Outcome(Counter(tries=1), measured={"start": [seconds] * 2})
        record = Record.now("nightly", 0.5, 1, {"toy": outcome}, 0.4)
        assert Record.read(record.store(tmp_path / str(seconds))) == record
    records = [*stored(tmp_path / "1.0"), *stored(tmp_path / "3.0")]
    page = card(records, {"toy": _measuring()})
    assert "| toy | start, s | until it moves | 4 | 1 | 3 | 3 | p99 at most 5 |" in page


def test_curves_are_drawn_beside_a_record_that_measured_something(tmp_path: Path) -> None:
    outcome = Outcome(Counter(tries=1), measured={"start <s>": [1.0, 3.0, 2.0], "none": []})
    path = Record.now("nightly", 1.0, 1, {"toy": outcome, "other": Outcome()}, 0.0).store(tmp_path)
    (drawing,) = tmp_path.glob("*.svg")
    assert drawing.name == f"{path.stem}.toy.svg"
    root = ET.fromstring(drawing.read_text())
    texts = [element.text for element in root.iter() if element.text and element.text.strip()]
    assert texts == ["start <s>: 1 to 3, 3 times, at the end 2"]
    (line,) = [element for element in root.iter() if element.tag.endswith("polyline")]
    places = [tuple(map(float, place.split(","))) for place in line.attrib["points"].split()]
    assert [x for x, _ in places] == [10.0, 360.0, 710.0]
    assert places[1][1] < places[2][1] < places[0][1]


def test_a_part_has_at_least_one_trial_of_each_kind() -> None:
    assert share({"seeds": 1000, "kills": 3}, 0.1) == {"seeds": 100, "kills": 1}


def test_every_suite_has_every_tier_and_each_tries_more_than_the_one_before() -> None:
    assert {
        "simulator",
        "crash-points",
        "fuzz",
        "kills",
        "daemon-kills",
        "hand-over",
        "pair-kills",
        "pair-hand-over",
        "differential",
        "differential-pairs",
        "scheduling",
        "cancel-points",
        "soak",
        "virtual-days",
    } <= set(suites())
    for suite in suites().values():
        smoke, nightly, release = (suite.sizes[tier] for tier in Tier)
        assert smoke.keys() == nightly.keys() == release.keys()
        assert all(smoke[unit] < nightly[unit] <= release[unit] for unit in smoke)
        assert suite.tasks(smoke, 1)


def test_every_situation_has_a_scenario_that_must_reach_it() -> None:
    assert HOMES.keys() == suites()["simulator"].situations.keys()
    assert set(HOMES.values()) <= set(SCENARIOS)


def test_two_suites_of_one_name_are_refused() -> None:
    register(suites()["simulator"])
    with pytest.raises(ValueError, match="two suites are called kills"):
        register(Suite("kills", "", {}, _tasks))


def test_runs_are_kept_and_the_card_adds_them_up(tmp_path: Path) -> None:
    first = Outcome(Counter(tries=1000), [], Counter(deep=2), 1800.0)
    second = Outcome(Counter(tries=2000), [], Counter(deep=1), 5400.0)
    for number, outcome in enumerate((first, second)):
        record = Record.now("nightly", 0.5, number, {"toy": outcome}, 0.4)
        path = record.store(tmp_path / str(number))
        assert Record.read(path) == record
    records = [*stored(tmp_path / "0"), *stored(tmp_path / "1")]
    page = card(records, {"toy": _toy()})
    assert "| toy | it counts | 3,000 tries | 0 | 0.001 | 2.0 | 2 |" in page
    assert "| deep | three at once | 3 |" in page
    assert "toy: 1,000 tries" in page
    assert records[0].commit[:8] in page


def test_times_beside_other_work_are_kept_and_not_shown() -> None:
    quiet, busy = (Outcome(Counter(tries=1), [], Counter(), 1.0, {"wait": [w]}) for w in (1.0, 9.0))
    records = [
        Record.now("nightly", 1.0, 1, {"toy": outcome}, others)
        for outcome, others in ((quiet, 0.0), (busy, 3.0))
    ]
    toy = replace(_toy(), measures={"wait": Measure("how long", "s", 99)})
    page = card(records, {"toy": toy})
    assert "| 2 tries | 0 |" in page
    assert "beside 3 other threads" in page
    assert "| toy | wait, s | how long | 1 | 1 | 1 | 1 |" in page


def test_what_others_do_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            assert others_at_work() > 0
        finally:
            busy.kill()


def test_a_card_with_a_failure_claims_no_bound() -> None:
    failed = Outcome(Counter(tries=10), [Failure("lost a row\nand more", "again 7")])
    page = card([Record.now("release", 1.0, 3, {"toy": failed}, 0.0)], {"toy": _toy()})
    assert "| 10 tries | 1 | - |" in page
    assert "toy: lost a row (`again 7`)" in page


def test_the_card_is_what_the_kept_runs_come_to() -> None:
    assert CARD.read_text() == card(stored(), suites())
