"""The Prometheus text of a replication's metrics.

Imported only by a worker that serves `/metrics`.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

import engine.observe.metrics as names
from engine.observe.metrics import CAUSES, OPERATIONS, STATES, Metric, Metrics

CONTENT_TYPE = CONTENT_TYPE_LATEST

Family = CounterMetricFamily | GaugeMetricFamily


class Scrape(Collector):
    """Reads a `Metrics` object each time Prometheus asks. In a registry of its own, beside the
    process's memory, CPU and descriptors (`process_*`)."""

    def __init__(self, metrics: Metrics, version: str) -> None:
        self._metrics = metrics
        self._version = version
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """The exposition, as `CONTENT_TYPE` says."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """Every metric that has a value now."""
        yield from self._single()
        yield self._state()
        if (appliers := self._appliers()) is not None:
            yield appliers
        yield self._labelled(names.CAPACITY_PART, self._metrics.capacity_parts)
        yield self._verdict()
        yield self._labelled(names.CAPACITY_DECISIONS, self._metrics.capacity_decisions)
        yield self._labelled(names.STAGE_SECONDS, self._metrics.stage_seconds)
        yield self._labelled(names.QUARANTINED_ROWS, self._metrics.quarantined)
        yield self._labelled(names.COERCED_VALUES, self._metrics.coerced_values)
        yield self._table_rows()
        yield from self._table_lags()
        yield self._stuck()
        build = GaugeMetricFamily(
            names.BUILD_INFO.name, names.BUILD_INFO.help, labels=names.BUILD_INFO.labels
        )
        build.add_metric([self._version], 1)
        yield build

    def _single(self) -> Iterator[Family]:
        metrics = self._metrics
        values: tuple[tuple[Metric, float | None], ...] = (
            (names.CAPACITY_UTILIZATION, metrics.capacity_utilization),
            (names.CAPACITY_UNITS, metrics.capacity_units),
            (names.CAPACITY_UNITS_MIN, metrics.capacity_units_min),
            (names.CAPACITY_UNITS_MAX, metrics.capacity_units_max),
            (names.CAPACITY_UNIT_SECONDS, metrics.capacity_unit_seconds),
            (names.INCOMING_CHANGES, metrics.incoming_changes),
            (names.LATENCY_SOURCE, metrics.latency_source_seconds),
            (names.LATENCY_TARGET, metrics.latency_target_seconds),
            (names.CDC_TARGET_BYTES, metrics.target_bytes),
            (names.CDC_SOURCE_ROWS, metrics.source_rows),
            (names.CDC_TARGET_ROWS, metrics.target_rows),
            (names.FULL_LOAD_TARGET_BYTES, metrics.load_bytes),
            (names.FULL_LOAD_TARGET_ROWS, metrics.load_rows),
            (names.SOURCE_LAG, metrics.lag_bytes),
            (names.SOURCE_RETAINED, metrics.retained_bytes),
            (names.SOURCE_CATALOG_XMIN_AGE, metrics.catalog_xmin_age),
            (names.QUEUE_BYTES, metrics.queue_bytes),
            (names.LANES, metrics.lane_count),
        )
        for metric, value in values:
            if value is not None:
                family = self._family(metric)
                family.add_metric([metrics.replication], value)
                yield family

    def _state(self) -> Family:
        family = self._family(names.STATE)
        current = self._metrics.current_state
        for state in dict.fromkeys((*STATES, current)):
            family.add_metric([self._metrics.replication, state], float(state == current))
        return family

    def _appliers(self) -> Family | None:
        total, busy = self._metrics.appliers_total, self._metrics.appliers_busy
        if total is None or busy is None:
            return None
        family = self._family(names.APPLIERS)
        family.add_metric([self._metrics.replication, "true"], busy)
        family.add_metric([self._metrics.replication, "false"], total - busy)
        return family

    def _verdict(self) -> Family:
        limiting = self._metrics.limiting_cause
        causes = {} if limiting is None else dict.fromkeys(CAUSES, 0.0) | {limiting: 1.0}
        return self._labelled(names.VERDICT, causes)

    def _labelled(self, metric: Metric, values: Mapping[str, float | None]) -> Family:
        """A metric of one label beside the replication."""
        family = self._family(metric)
        for label, value in values.items():
            if value is not None:
                family.add_metric([self._metrics.replication, label], value)
        return family

    def _table_rows(self) -> Family:
        family = self._family(names.TABLE_ROWS)
        for table, rows in self._metrics.tables.items():
            for operation in OPERATIONS:
                if count := getattr(rows, operation):
                    labels = [self._metrics.replication, table.schema, table.name, operation]
                    family.add_metric(labels, count)
        return family

    def _table_lags(self) -> Iterator[Family]:
        metrics = self._metrics
        families = [
            self._family(metric)
            for metric in (names.TABLE_LAG_SECONDS, names.TABLE_LAG_BYTES, names.TABLE_LAG_ROWS)
        ]
        for table, lag in metrics.table_lags.items():
            labels = [metrics.replication, table.schema, table.name]
            for family, value in zip(families, (lag.seconds, lag.bytes, lag.rows), strict=True):
                if value is not None:
                    family.add_metric(labels, value)
        yield from families

    def _stuck(self) -> Family:
        family = self._family(names.STUCK)
        for stage, reason in self._metrics.stuck.items():
            family.add_metric([self._metrics.replication, stage.value], float(bool(reason)))
        return family

    def _family(self, metric: Metric) -> Family:
        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        return kind(metric.name, metric.help, labels=("replication", *metric.labels))
