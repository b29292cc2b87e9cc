"""What may not change once a replication ran."""

from typing import Any

import msgspec
import pytest

from engine.control.continuing import check_continues
from engine.control.lifecycle import WrongStateError
from engine.control.resources.replication import Compute, Config

PLAIN = Config(
    name="n", source="S", target="T", type="cdc", compute=Compute(units_max=1), mappings=""
)


def config(batch: bool | None, mode: str | None) -> Config:
    settings: dict[str, Any] = {"TargetMetadata": {"BatchApplyEnabled": batch}}
    ours = {"apply": {"mode": mode} if mode else {}}
    return msgspec.structs.replace(PLAIN, settings=settings, ours=ours)


TRANSACTIONAL = [config(False, None), config(None, "transactional")]
BESIDE = [
    PLAIN,
    config(None, None),
    config(True, None),
    config(None, "table-parallel"),
    config(None, "key-parallel"),
]


@pytest.mark.parametrize("before", [*TRANSACTIONAL, *BESIDE])
@pytest.mark.parametrize("after", [*TRANSACTIONAL, *BESIDE])
def test_the_order_in_which_positions_were_stored_stays(before: Config, after: Config) -> None:
    if (before in TRANSACTIONAL) == (after in TRANSACTIONAL):
        check_continues(before, after)
    else:
        with pytest.raises(WrongStateError, match="BatchApplyEnabled cannot change once"):
            check_continues(before, after)
