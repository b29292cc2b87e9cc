"""What limits a load is found out while it runs, and told when it changes."""

from types import SimpleNamespace
from typing import cast

from engine.capacity.sample import Cause
from engine.load_judging import LoadJudging
from engine.model.usage import Usage
from engine.observe.log import Line, Log
from engine.observe.metrics import CAUSES, Metrics
from engine.observe.stages import Stages
from engine.surroundings import Surroundings
from tests.unit.set_clock import Clock


class Load:
    def __init__(self) -> None:
        self.clock = Clock()
        self.lines: list[Line] = []
        self.metrics = Metrics("r")
        self.stages = Stages(self.clock.monotonic)
        around = SimpleNamespace(
            clock=self.clock,
            metrics=self.metrics,
            stages=self.stages,
            meter=SimpleNamespace(read=Usage),
            log=Log(self.lines.append, self.clock),
        )
        self.judging = LoadJudging(cast(Surroundings, around))

    def seconds(self, count: int) -> str | None:
        for _ in range(count):
            self.clock.now += 1
            self.judging.look()
        return self.metrics.limiting_cause


def test_every_cause_is_a_value_of_the_metric() -> None:
    assert set(CAUSES) == {cause.value for cause in Cause}


def test_the_verdict_is_in_the_metric_and_the_log_within_five_seconds_and_follows() -> None:
    load = Load()
    assert load.seconds(3) is None
    stages = load.stages.load
    stages.copying.add(4)
    stages.source.add(4)
    assert load.seconds(5) == "source"
    assert [line.fields["cause"] for line in load.lines] == ["source"]
    assert load.lines[0].fields["action"] == "load.verdict"
    assert load.metrics.stage_seconds["load-source"] == 20
    stages.source.add(-4)
    assert load.seconds(6) == "target"
    stages.copying.add(-4)
    with stages.finish:
        assert load.seconds(6) == "target"
    assert [line.fields["cause"] for line in load.lines] == ["source", "target", "target"]
    assert "indexes and keys" in load.lines[-1].message


def test_copiers_that_are_too_few_are_told() -> None:
    load = Load()
    load.stages.load.copying.add(1)
    load.stages.load.has_more = lambda: True
    assert load.seconds(5) == "copiers"
