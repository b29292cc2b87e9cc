"""What limits a load before the stream, found out while it runs: told to metrics and log."""

import asyncio
from collections import deque

from engine.capacity.load_verdict import LoadMeasured, explain_load, judge_load
from engine.capacity.sample import SAMPLE_SECONDS
from engine.capacity.verdict import WINDOW_SAMPLES, Verdict
from engine.measuring import Reading, core, rate
from engine.surroundings import Surroundings


class LoadJudging:
    """Judges one attempt."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._stages = around.stages.load
        self._readings: deque[Reading] = deque(maxlen=WINDOW_SAMPLES + 1)
        self._verdict = Verdict()
        self._finishing = False
        """What was told last is what limits while tables are finished."""

    async def run(self) -> None:
        """Look every second, until cancelled."""
        try:
            while True:
                await asyncio.sleep(SAMPLE_SECONDS)
                self.look()
        finally:
            self._around.metrics.verdict(None)

    def look(self) -> None:
        """Judge the last seconds."""
        self._readings.append(Reading.take(self._around))
        self._around.metrics.stages(self._around.stages.seconds())
        if len(self._readings) > 1:
            self._judge(self._measured(self._readings[0], self._readings[-1]))

    def _measured(self, first: Reading, last: Reading) -> LoadMeasured:
        source, decode, target, finish = (
            rate(first, last, f"load-{name}") or 0.0
            for name in ("source", "decode", "target", "finish")
        )
        return LoadMeasured(
            core=core(first, last),
            decode=decode,
            copying=source + decode + target,
            source=source,
            finishing=finish,
            at_work=self._stages.copying.count,
            has_more=self._stages.has_more(),
        )

    def _judge(self, measured: LoadMeasured) -> None:
        changed = self._verdict.take(judge_load(measured))
        cause, finishing = self._verdict.cause, measured.only_finishes
        if cause is not None and (changed or (finishing and not self._finishing)):
            self._finishing = finishing
            finding = explain_load(cause, measured)
            message = f"what limits the load: {finding.detail}"
            self._around.log.info(
                message,
                action="load.verdict",
                cause=cause.value,
                hint=finding.remedy,
            )
        self._around.metrics.verdict(self._verdict.cause)
