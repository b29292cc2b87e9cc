"""A running Penstock scraped by a real Prometheus: every query of ours has data and says the truth.

One scene, for it takes seconds: rows are loaded, changes flow, one is refused, then nothing happens
any more.
"""

import math
import re
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Clusters, need
from tests.deployed import (
    ALERTS,
    CONFIG,
    DAEMONS,
    DASHBOARD,
    RULES,
    cloudwatch,
    panels,
    selectors,
)
from tests.scenario.running import Replication, Run, until
from tests.servers.postgres import Database
from tests.servers.prometheus import NAME, Prometheus, Series, find_prometheus, promtool
from tests.servers.versions import PAIRS

LOADED: Final = 10_000
"""Rows of each table."""

BATCH: Final = 500
"""Rows that one statement writes."""

RATE_SECONDS: Final = 5
"""What rates look back here, so that nobody waits a minute for a rate of 0."""

MAY_BE_EMPTY: Final = {
    "Values that became others": "a PostgreSQL target can hold every value of PostgreSQL",
}
"""Panels that this scene has nothing for, and why."""

REFUSE: Final = "ALTER TABLE orders ADD CONSTRAINT cheap CHECK (price < 1000)"
"""What the target demands and the source does not."""

SLOW: Final = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$
"""
"""A trigger with it makes a statement on the target last a second, whatever its rows."""

CAPACITY: Final = {
    "min": 1,
    "max": 2,
    "unit_memory": "256MiB",
    "appliers_per_unit": 1,
    "up_after": "1s",
    "cool_down": "1s",
}
"""Two tables for one applier, which a second one relieves; decided within seconds."""


@dataclass
class Scene:
    """A replication and the Prometheus that scrapes it. Both tables have `orders` rows."""

    replication: Replication
    run: Run
    prometheus: Prometheus
    address: str
    orders: int = LOADED

    def value(self, query: str) -> float | None:
        """The one value of a query now."""
        found = self.prometheus.query(query)
        return float(found[0]["value"][1]) if found else None

    def write(self) -> None:
        """Commit changes of both tables on the source."""
        first, last = self.orders + 1, self.orders + BATCH
        for table, value in (("orders", "1"), ("customers", "'a'")):
            self.replication.source.execute(
                f"INSERT INTO {table} SELECT g, {value} FROM generate_series({first}, {last}) g"
            )
        self.orders = last

    def write_until(self, shows: Callable[[], bool], what: str) -> None:
        """Go on writing until that holds."""

        def shown() -> bool:
            self.write()
            return shows()

        until(shown, what, run=self.run)


def soon(query: str) -> str:
    """A query of ours as it is sent: Grafana's variables filled in, and short memory."""
    for variable, text in (
        ("$__rate_interval", f"{RATE_SECONDS}s"),
        ("$__range", "1m"),
        ("$replication", ".+"),
        ("[1m]", f"[{RATE_SECONDS}s]"),
    ):
        query = query.replace(variable, text)
    return query


@pytest.fixture
def scene(clusters: Clusters, tmp_path: Path) -> Iterator[Scene]:
    need(NAME, find_prometheus)
    majors = PAIRS[0]
    source = Database.create(clusters.need(majors[0]), "monitored_from")
    target = Database.create(clusters.need(majors[1]), "monitored_to")
    for database in (source, target):
        database.execute("CREATE TABLE orders (id int PRIMARY KEY, price int)")
        database.execute("CREATE TABLE customers (id int PRIMARY KEY, name text)")
    source.execute("INSERT INTO orders SELECT g, 1 FROM generate_series(1, %s::int) g", LOADED)
    source.execute("INSERT INTO customers SELECT g, 'a' FROM generate_series(1, %s::int) g", LOADED)
    target.execute(REFUSE)
    target.execute(SLOW)
    replication = Replication.between(
        tmp_path,
        "monitored",
        source,
        target,
        apply={"on_row_error": "quarantine"},
        capacity=CAPACITY,
    )
    try:
        with replication.run("--metrics=127.0.0.1:0") as run:
            address = str(run.event("listening")["address"])
            with Prometheus(deployed(address)) as prometheus:
                yield Scene(replication, run, prometheus, address)
    finally:
        source.drop()
        target.drop()


def deployed(address: str) -> dict[str, str]:
    """The files of `deploy/prometheus`, for this replication and with a look every second."""
    config = CONFIG.read_text().replace("127.0.0.1:9187", address, 1)
    config = re.sub(r"(scrape|evaluation)_interval: 15s", r"\1_interval: 1s", config)
    return {CONFIG.name: config, RULES.name: RULES.read_text(), ALERTS.name: ALERTS.read_text()}


def test_every_query_has_data_and_tells_the_truth(scene: Scene) -> None:
    scene.run.state("streaming")
    until(lambda: scene.value('up{job="penstock"}') == 1, "the first scrape", run=scene.run)
    flowing = soon("rate(penstock_cdc_target_rows_total[1m])")
    scene.write_until(lambda: bool(scene.value(flowing)), "changes to flow")
    assert_traffic_shows(scene)
    make_it_grow(scene)
    scene.replication.source.execute("INSERT INTO orders VALUES (0, 5000)")
    refused = 'sum(increase(penstock_quarantined_rows_total{reason="rejected-row"}[1m]))'
    until(lambda: (scene.value(refused) or 0) > 0, "the refused row to show", run=scene.run)
    scene.replication.await_applied(scene.run)
    await_idle(scene)
    assert_counted(scene)
    assert_rules_work(scene)
    assert_alerts(scene)
    assert_panels_have_data(scene)
    assert_cloudwatch_when_idle(scene)
    assert_names_are_as_prometheus_wants_them(scene)


def assert_traffic_shows(scene: Scene) -> None:
    flowing = [row for row in cloudwatch() if row.name.startswith("CDCThroughput")]
    assert len(flowing) == 3
    silent = [row.name for row in flowing if not scene.value(soon(row.query))]
    assert silent == []


def make_it_grow(scene: Scene) -> None:
    """Both tables are slow to write to: with a second unit they are written side by side."""
    for table in ("orders", "customers"):
        scene.replication.target.execute(
            f"CREATE TRIGGER slow BEFORE INSERT ON {table} EXECUTE FUNCTION slow()"
        )
    scene.write_until(lambda: scene.value("penstock_capacity_units") == 2, "two units")
    for table in ("orders", "customers"):
        scene.replication.target.execute(f"DROP TRIGGER slow ON {table}")


def await_idle(scene: Scene) -> None:
    """Returns once nothing has been told to happen for as long as rates look back: AWS shows 0 for
    each of these then."""
    gauges = ("incoming_changes", "latency_source_seconds", "latency_target_seconds")
    kept = [f"max_over_time(penstock_cdc_{name}[{RATE_SECONDS}s])" for name in gauges]
    rates = [
        f"rate(penstock_cdc_{name}_total[{RATE_SECONDS}s])"
        for name in ("source_rows", "target_rows")
    ]
    until(lambda: scene.value(" + ".join([*kept, *rates])) == 0, "zeroes", run=scene.run)


def assert_counted(scene: Scene) -> None:
    """What Prometheus has is what happened."""
    expected = {
        'penstock_table_rows_total{table="orders", operation="load"}': LOADED,
        'penstock_table_rows_total{table="orders", operation="insert"}': scene.orders - LOADED,
        'penstock_table_rows_total{table="customers", operation="insert"}': scene.orders - LOADED,
        "penstock_full_load_target_rows_total": 2 * LOADED,
        "sum(penstock_quarantined_rows_total)": 1,
        'penstock_state{state="streaming"}': 1,
        'penstock_capacity_decisions_total{rule="up"}': 1,
    }
    assert {query: scene.value(query) for query in expected} == expected


def assert_rules_work(scene: Scene) -> None:
    """Every rule was evaluated, and what it selects is there."""
    rules = scene.prometheus.rules()
    assert {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"} == {}
    wanting = {
        rule["name"]: selector
        for rule in rules
        for selector in selectors(rule["query"])
        if not selector.startswith(DAEMONS) and not scene.prometheus.query(selector)
    }
    assert wanting == {}
    recorded = [rule for rule in rules if rule["type"] == "recording"]
    assert recorded
    assert [rule["name"] for rule in recorded if not scene.prometheus.query(rule["name"])] == []


def assert_alerts(scene: Scene) -> None:
    """A row was refused; nothing else is wrong."""
    states = {rule["name"]: rule["state"] for rule in scene.prometheus.rules() if "state" in rule}
    assert {name for name, state in states.items() if state != "inactive"} == {
        "PenstockRowsRefused"
    }
    assert states["PenstockRowsRefused"] == "firing"


def assert_panels_have_data(scene: Scene) -> None:
    drawn = [(panel["title"], target) for panel in panels() for target in panel["targets"]]
    drawn += [(each["name"], each) for each in DASHBOARD["annotations"]["list"]]
    empty = set()
    for title, target in drawn:
        query = soon(target["expr"])
        found = scene.prometheus.query_range(query, 60)
        legend = target.get("legendFormat") or target["titleFormat"]
        if not any(has_value(series, re.findall(r"{{(\w+)}}", legend)) for series in found):
            empty.add(title)
    assert empty == MAY_BE_EMPTY.keys()


def has_value(series: Series, labels: list[str]) -> bool:
    """Whether a series has a number somewhere and every label that its legend names."""
    numbers = [float(value) for _, value in series["values"]]
    return any(map(math.isfinite, numbers)) and set(labels) <= series["metric"].keys()


def assert_cloudwatch_when_idle(scene: Scene) -> None:
    """Every query of the guide has a value; where AWS says 0, it is."""
    values = {row: scene.value(soon(row.query)) for row in cloudwatch()}
    assert [row.query for row, found in values.items() if found is None] == []
    resting = ("CDCIncoming", "CDCLatency", "CDCThroughput", "FullLoad")
    assert {
        row.name: found for row, found in values.items() if row.name.startswith(resting) and found
    } == {}


def assert_names_are_as_prometheus_wants_them(scene: Scene) -> None:
    with urllib.request.urlopen(f"http://{scene.address}/metrics", timeout=30) as answer:
        code, said = promtool("check", "metrics", stdin=answer.read().decode())
    assert (code, said) == (0, "")
