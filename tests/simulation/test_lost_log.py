"""A source that can no longer supply the stored position ends the replication by name: I-15."""

import pytest

from connectors.memory.definitions import table
from tests.simulation.application import Application, mixed
from tests.simulation.comparing import ViolationError
from tests.simulation.scenario import KEYS, Scenario, audit, public
from tests.simulation.spell import Spell
from tests.simulation.swarm import run
from tests.simulation.world import World


async def _lose_the_log(world: World, application: Application) -> None:
    for number in range(20):
        await application.transaction(mixed(application, public("plain"), KEYS))
        await application.pause(2.0)
        if number == 10:
            for slot in world.source.slots.values():
                slot.lost = True
            world.source.changed.notify()
    await application.pause(600.0)


LOST = Scenario(
    "lost-log",
    lambda: [table("public.plain", ["id", "a"], key=["id"]), audit()],
    _lose_the_log,
    rows=5,
)


@pytest.mark.parametrize("seed", range(8))
def test_a_lost_log_ends_it_by_name_and_it_never_goes_on_from_now(seed: int) -> None:
    """What was applied until then is right: every commit is compared, as in every run."""
    with pytest.raises(ViolationError, match="gave up: PositionLostError"):
        run(LOST, Spell(seed, storm=seed % 2 == 0, crashes=seed % 3))
