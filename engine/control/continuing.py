"""What may not change while what earlier starts stored is to be gone on from. (pure)

A worker compares it too (`engine.config.fingerprint`), and refuses to run: a modification says so
before it comes to that.
"""

from collections.abc import Mapping
from typing import Final

from engine.config.replication import ApplyConfig, ApplyMode
from engine.control.lifecycle import WrongStateError
from engine.control.resources.replication import Config

SECTION: Final = "TargetMetadata"
KEY: Final = "BatchApplyEnabled"

_SAID: Final[Mapping[bool, str]] = {
    True: "one transaction after another",
    False: "tables beside each other",
}


def check_continues(before: Config, after: Config) -> None:
    """Raises WrongStateError where `after` could not go on from what was stored under `before`."""
    was, wanted = _transactional(before), _transactional(after)
    if was != wanted:
        raise WrongStateError(
            f"{SECTION}.{KEY} cannot change once the replication ran: its stored positions are of"
            f" {_SAID[was]}, not of {_SAID[wanted]}; create another replication for that"
        )


def _transactional(config: Config) -> bool:
    """Whether transactions are applied one after another. Tables that are split by keys are in one
    order with those that are not."""
    ours = config.ours.get("apply") or {}
    given = config.settings.get(SECTION) or {}
    if given.get(KEY) is not None:
        return not given[KEY]
    return str(ours.get("mode", ApplyConfig.mode)) == ApplyMode.TRANSACTIONAL
