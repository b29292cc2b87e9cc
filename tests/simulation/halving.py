"""(pure) A part of a transaction cut in two, as another read of the socket might have cut it."""

import random

from engine.model.change import Part, SchemaChanged


def halves(part: Part, chance: random.Random) -> list[Part]:
    """Cut a part of a transaction somewhere in its middle."""
    if len(part.events) < 2:
        return [part]
    at = chance.randint(1, len(part.events) - 1)
    counted = sum(not isinstance(event, SchemaChanged) for event in part.events[:at])
    return [
        Part(part.transaction, part.first, part.events[:at]),
        Part(part.transaction, part.first + counted, part.events[at:], part.end),
    ]
