"""Counting, and what a scrape shows of it."""

import math
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.capacity.sample import Cause
from engine.model.batch import TableCounts
from engine.model.relation import TableName
from engine.observe import metrics as names
from engine.observe.lag import TableLag
from engine.observe.metrics import CAUSES, METRICS, STATES, TABLES_MAX, Metrics, Stage
from engine.observe.scrape import Scrape

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "metrics.md"

A = TableName("public", "a")
B = TableName("public", "b")

UNITS = ("seconds", "bytes", "rows")

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(metrics: Metrics) -> Samples:
    text = Scrape(metrics, "1.2.3").text().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("penstock_")
    }


def _value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted({"replication": "orders", **labels}.items()))))


def _measured() -> Metrics:
    metrics = Metrics("orders")
    metrics.received(10, 500)
    metrics.applied(A, TableCounts(inserts=3, updates=2, deletes=1, truncates=1), 300)
    metrics.loaded(A, 100, 4000)
    metrics.rejected(A, "constraint", 2)
    metrics.coerced("zero-date", 3)
    metrics.state("streaming")
    metrics.queue(1 << 20, 42)
    metrics.appliers(4, 1)
    metrics.lanes(7)
    metrics.lag(0.5, 1.5, 1000)
    metrics.retained(2000, 300)
    metrics.lag_by_table({A: TableLag(1.5, 200, 3)})
    metrics.stage(Stage.TARGET, "changes wait")
    metrics.stage(Stage.SOURCE, "")
    metrics.utilization(0.25, {"memory": 0.2, "queue": 0.25, "appliers": None})
    metrics.verdict("target")
    metrics.capacity(2, 1, 16, 0.0)
    metrics.capacity(4, 1, 16, 30.0)
    metrics.decided("up")
    metrics.stages({"source": 12.5, "target": 30.0})
    return metrics


def test_what_a_table_has_is_told_in_one_order() -> None:
    assert _measured().tables[A].counts == [100, 3, 2, 1, 1, 2]


def test_every_metric_is_in_a_full_scrape_and_nothing_else() -> None:
    assert {name for name, _ in scraped(_measured())} == {metric.name for metric in METRICS}


def test_values_come_through_with_their_labels() -> None:
    samples = scraped(_measured())
    expected = {
        ("penstock_capacity_utilization_ratio",): 0.25,
        ("penstock_capacity_units",): 4,
        ("penstock_capacity_units_min",): 1,
        ("penstock_capacity_units_max",): 16,
        ("penstock_capacity_unit_seconds_total",): 60,
        ("penstock_cdc_incoming_changes",): 42,
        ("penstock_cdc_latency_source_seconds",): 0.5,
        ("penstock_cdc_latency_target_seconds",): 1.5,
        ("penstock_cdc_target_bytes_total",): 300,
        ("penstock_cdc_source_rows_total",): 10,
        ("penstock_cdc_target_rows_total",): 6,
        ("penstock_full_load_target_bytes_total",): 4000,
        ("penstock_full_load_target_rows_total",): 100,
        ("penstock_source_lag_bytes",): 1000,
        ("penstock_source_retained_bytes",): 2000,
        ("penstock_source_catalog_xmin_age",): 300,
        ("penstock_queue_bytes",): 1 << 20,
        ("penstock_lanes",): 7,
    }
    assert {key: _value(samples, *key) for key in expected} == expected
    decisions = "penstock_capacity_decisions_total"
    assert [_value(samples, decisions, rule=rule) for rule in ("up", "down")] == [1, 0]
    parts = "penstock_capacity_utilization_part_ratio"
    assert _value(samples, parts, part="queue") == 0.25
    assert _value(samples, parts, part="appliers") is None
    assert _value(samples, "penstock_stage_seconds_total", stage="target") == 30
    causes = {cause: _value(samples, "penstock_verdict", cause=cause) for cause in CAUSES}
    assert causes == {cause: float(cause == "target") for cause in Cause}
    assert _value(samples, "penstock_appliers", busy="true") == 1
    assert _value(samples, "penstock_appliers", busy="false") == 3
    assert _value(samples, "penstock_quarantined_rows_total", reason="constraint") == 2
    for operation, rows in (("load", 100), ("insert", 3), ("update", 2), ("delete", 1)):
        labels = {"schema": "public", "table": "a", "operation": operation}
        assert _value(samples, "penstock_table_rows_total", **labels) == rows
    of_a = {"schema": "public", "table": "a"}
    lag = [_value(samples, f"penstock_table_lag_{unit}", **of_a) for unit in UNITS]
    assert lag == [1.5, 200, 3]
    assert _value(samples, "penstock_stuck", stage="target") == 1
    assert _value(samples, "penstock_stuck", stage="source") == 0
    assert samples["penstock_build_info", (("version", "1.2.3"),)] == 1


def test_exactly_one_state_is_set() -> None:
    samples = scraped(_measured())
    states = {state: _value(samples, "penstock_state", state=state) for state in STATES}
    assert states == {state: float(state == "streaming") for state in STATES}


def test_what_was_not_measured_is_absent_and_counters_begin_at_zero() -> None:
    samples = scraped(Metrics("orders"))
    shown = {name for name, _ in samples}
    gauges = {
        metric.name
        for metric in METRICS
        if metric.kind == "gauge" and metric not in (names.STATE, names.BUILD_INFO)
    }
    assert shown & gauges == set()
    assert _value(samples, "penstock_cdc_source_rows_total") == 0
    snapshot = Metrics("orders").snapshot()
    assert "lag_bytes" not in snapshot
    assert snapshot["target_rows"] == 0


def test_a_lag_that_is_no_longer_measured_disappears() -> None:
    metrics = _measured()
    metrics.lag(None, 2.0, None)
    samples = scraped(metrics)
    assert _value(samples, "penstock_cdc_latency_source_seconds") is None
    assert _value(samples, "penstock_cdc_latency_target_seconds") == 2.0


def test_tables_past_the_limit_share_one_name() -> None:
    metrics = Metrics("orders")
    for number in range(TABLES_MAX + 500):
        metrics.loaded(TableName("public", f"t{number}"), 1, 10)
    samples = scraped(metrics)
    series = [key for key in samples if key[0] == "penstock_table_rows_total"]
    assert len(series) == TABLES_MAX + 1
    other = {"schema": "other", "table": "other", "operation": "load"}
    assert _value(samples, "penstock_table_rows_total", **other) == 500
    assert _value(samples, "penstock_full_load_target_rows_total") == TABLES_MAX + 500


def test_the_lag_of_tables_past_the_limit_is_told_together() -> None:
    metrics = Metrics("orders")
    lags = {TableName("public", f"t{n}"): TableLag(float(n), n, 1) for n in range(TABLES_MAX + 5)}
    metrics.lag_by_table(lags)
    samples = scraped(metrics)
    series = [key for key in samples if key[0] == "penstock_table_lag_rows"]
    assert len(series) == TABLES_MAX + 1
    other = {"schema": "other", "table": "other"}
    assert _value(samples, "penstock_table_lag_rows", **other) == 5
    assert _value(samples, "penstock_table_lag_seconds", **other) == TABLES_MAX + 4


def test_a_table_that_does_not_catch_up_by_itself_is_infinitely_late() -> None:
    metrics = Metrics("orders")
    metrics.lag_by_table({A: TableLag(math.inf, None, None)})
    samples = scraped(metrics)
    of_a = {"schema": "public", "table": "a"}
    assert _value(samples, "penstock_table_lag_seconds", **of_a) == math.inf
    assert _value(samples, "penstock_table_lag_rows", **of_a) is None


def test_what_was_behind_grows_while_nobody_measures_it() -> None:
    metrics = Metrics("orders")
    metrics.lag_unmeasured(5.0)
    assert "latency_source_seconds" not in metrics.snapshot()
    metrics.lag(0.0, 2.0, 700)
    metrics.lag_by_table({A: TableLag(2.0, 10, 1), B: TableLag(None)})
    metrics.lag_unmeasured(5.0)
    shown = metrics.snapshot()
    assert (shown["latency_source_seconds"], shown["latency_target_seconds"]) == (5.0, 7.0)
    assert "lag_bytes" not in shown
    assert metrics.table_lags == {A: TableLag(7.0, 10, 1), B: TableLag(None)}


def test_odd_table_names_survive_the_text_format() -> None:
    metrics = Metrics("orders")
    metrics.loaded(TableName('sch"ema', "new\nline\\ é"), 1, 1)
    labels = {"schema": 'sch"ema', "table": "new\nline\\ é", "operation": "load"}
    assert _value(scraped(metrics), "penstock_table_rows_total", **labels) == 1


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_the_guide_describes_every_metric(metric: names.Metric) -> None:
    labels = ("replication", *metric.labels) if metric is not names.BUILD_INFO else metric.labels
    row = f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{x}`' for x in labels)} |"
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith(row)]
    assert len(rows) == 1
    assert metric.help in rows[0]


def test_the_guide_describes_no_other_metric() -> None:
    told = set(re.findall(r"^\| `(penstock_\w+)`", GUIDE.read_text(), re.MULTILINE))
    assert told == {metric.name for metric in METRICS}
    for state in STATES:
        assert f"`{state}`" in GUIDE.read_text()
