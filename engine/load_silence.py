"""A source that sends nothing while its rows are read: the load begins anew over new links.

A copier that waits for rows and gets none has a server at work behind it, a frozen one, or none at
all: no byte tells. So the attempt is given up after some time, as the stream is where heartbeats
stay away, and chunks that are not done are read again. Each time in a row that this helps nothing,
twice as long is waited: a server that takes long to find its first row gets there.
"""

import asyncio
from typing import Final

from engine.errors import SourceConnectionError
from engine.observe.load_stages import LoadStages
from engine.observe.log import Log

LOOK_SECONDS: Final = 1.0


HINT: Final = (
    "see whether its server runs, what the session that reads waits for, and what stands between"
    " (firewall, pooler, proxy); chunks that are not done are read again over new links"
)


async def watch_source(stages: LoadStages, log: Log) -> None:
    """Look every second, until cancelled. What is found is said at once: links on which nobody
    answers take some time to be given back.

    Raises:
        SourceConnectionError: nothing has come for as long as `stages.patience`.
    """
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        seconds, what = stages.silent()
        if seconds >= stages.patience:
            stages.patience = 2 * seconds
            why = f"the source has sent nothing for {seconds:.0f} s while {what} was read"
            log.warning("a load stands still", action="load.silent", reason=why, hint=HINT)
            raise SourceConnectionError(why, hint=HINT)
