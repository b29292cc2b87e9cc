"""What a running replication tells Prometheus and a prober."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from tests.scenario.running import PATIENCE_SECONDS, Run, until

METRICS: Final = "--metrics=127.0.0.1:0"
"""The argument of a run that is scraped."""

ANSWER_SECONDS: Final = 10.0

Sample = tuple[str, frozenset[tuple[str, str]]]


@dataclass
class Gauges:
    """Of one run's newest worker; `latest` is the last scrape."""

    run: Run
    schema: str
    latest: dict[Sample, float]

    @classmethod
    def of(cls, run: Run, schema: str) -> "Gauges":
        run.event("listening")
        return cls(run, schema, {})

    def _get(self, path: str) -> tuple[int, bytes]:
        address = [e for e in self.run.events if e["event"] == "listening"][-1]["address"]
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=ANSWER_SECONDS) as found:
                return found.status, found.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def scrape(self) -> "Gauges":
        text = self._get("/metrics")[1].decode()
        self.latest = {
            (
                sample.name,
                frozenset((k, v) for k, v in sample.labels.items() if k != "replication"),
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        return self

    def readiness(self) -> dict[str, Any]:
        """What `/readyz` answers."""
        found: dict[str, Any] = json.loads(self._get("/readyz")[1])
        return found

    def value(self, name: str, **labels: str) -> float | None:
        """Of the last scrape; None when it is absent."""
        return self.latest.get((f"penstock_{name}", frozenset(labels.items())))

    def table(self, table: str, unit: str) -> float | None:
        return self.value(f"table_lag_{unit}", schema=self.schema, table=table)

    def stuck(self, stage: str) -> bool:
        return self.value("stuck", stage=stage) == 1

    def until(
        self, condition: Callable[["Gauges"], bool], what: str, patience: float = PATIENCE_SECONDS
    ) -> None:
        """Scrape until it holds."""
        try:
            until(lambda: condition(self.scrape()), what, patience=patience, run=self.run)
        except AssertionError as error:
            error.add_note(self.story())
            raise

    def story(self) -> str:
        """The last scrape, for a failed test."""
        shown = [
            f"{name} {dict(labels)} {value}"
            for (name, labels), value in self.latest.items()
            if any(word in name for word in ("lag", "latency", "incoming", "stuck"))
        ]
        return "\n".join(["--- metrics", *shown])


def _own(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((name, text) for name, text in labels.items() if name != "replication")
