"""What limits a load, by what was measured, and that each cause has its remedy."""

import pytest

from engine.capacity.load_verdict import LoadMeasured, explain_load, judge_load
from engine.capacity.sample import Cause

BUSY = LoadMeasured(core=0.3, copying=4.0, source=1.0)


@pytest.mark.parametrize(
    ("now", "cause"),
    [
        pytest.param(LoadMeasured(), None, id="nothing is copied yet"),
        pytest.param(LoadMeasured(copying=0.4, finishing=0.4), None, id="too little to say"),
        pytest.param(LoadMeasured(finishing=1.0), Cause.TARGET, id="indexes are made"),
        pytest.param(LoadMeasured(core=0.9, copying=4.0, source=4.0), Cause.CPU, id="core"),
        pytest.param(LoadMeasured(core=0.9, copying=1.0, has_more=True), Cause.CPU, id="core of 1"),
        pytest.param(LoadMeasured(copying=1.0, has_more=True), Cause.COPIERS, id="one copier"),
        pytest.param(
            LoadMeasured(copying=1.0, at_work=4, has_more=True),
            Cause.TARGET,
            id="three joined",
        ),
        pytest.param(LoadMeasured(copying=1.0), Cause.TARGET, id="one, and nothing for another"),
        pytest.param(LoadMeasured(copying=4.0, has_more=True), Cause.TARGET, id="four are enough"),
        pytest.param(LoadMeasured(copying=4.0, source=2.1), Cause.SOURCE, id="source"),
        pytest.param(LoadMeasured(copying=4.0, source=1.9), Cause.TARGET, id="target"),
        pytest.param(
            LoadMeasured(copying=1.0, source=0.9, finishing=1.0), Cause.SOURCE, id="finish beside"
        ),
    ],
)
def test_the_rule(now: LoadMeasured, cause: Cause | None) -> None:
    assert judge_load(now) is cause


@pytest.mark.parametrize(
    ("cause", "now", "detail", "remedy"),
    [
        (Cause.COPIERS, LoadMeasured(copying=1.0), "chunks wait", "parallel_tables"),
        (Cause.CPU, LoadMeasured(copying=4.0, decode=0.8), "target takes 80%", "accelerate"),
        (Cause.SOURCE, LoadMeasured(copying=4.0, source=3.6), "rows 90% of", "its disk"),
        (Cause.TARGET, BUSY, "take rows 75% of", "indexes, keys and triggers"),
        (Cause.TARGET, LoadMeasured(finishing=1.0), "indexes and keys", "maintenance_work_mem"),
    ],
)
def test_each_cause_has_a_remedy(cause: Cause, now: LoadMeasured, detail: str, remedy: str) -> None:
    finding = explain_load(cause, now)
    assert detail in finding.detail
    assert remedy in finding.remedy
