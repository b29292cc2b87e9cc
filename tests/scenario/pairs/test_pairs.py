"""Between families: existing rows, then the stream, killed at random moments while writers run."""

import random
import time

import pytest

from tests.scenario.pairs import workload
from tests.scenario.pairs.conftest import Replicate
from tests.scenario.pairs.workload import Writer

SEED = random.SystemRandom().randrange(1 << 32)

KILLS = 6
STREAM_SECONDS = 1.0


@pytest.mark.parametrize("mode", ["table-parallel", "transactional"])
def test_killed_in_load_and_stream_it_loses_and_repeats_nothing(
    replicate: Replicate, mode: str
) -> None:
    replication = replicate(apply={"mode": mode}, load={"rows_per_chunk": 1_000})
    source, target = replication.source, replication.target
    workload.create(source)
    for counter in (1, 2, 3):
        rows = ", ".join([f"({counter}, 'before')"] * 1_500)
        source.execute(f"INSERT INTO shop.step (counter, note) VALUES {rows}")
        source.execute(f"UPDATE shop.counter SET value = 1500 WHERE id = {counter}")
    chosen = random.Random(SEED)
    writers = [Writer(source, number, SEED) for number in range(2)]
    try:
        for writer in writers:
            writer.start()
        for _ in range(KILLS):
            with replication.run() as run:
                run.event("started")
                if chosen.random() < 0.6:
                    run.state("streaming")
                time.sleep(chosen.uniform(0, STREAM_SECONDS))
                run.kill_supervisor()
        committed = sum(writer.stop() for writer in writers)
        replication.catch_up()
        assert workload.differences(source, target) == []
        assert workload.broken_rules(source) == workload.broken_rules(target) == []
        assert committed
    except BaseException as error:
        error.add_note(f"seed {SEED}")
        raise
    finally:
        for writer in writers:
            writer.stop()
