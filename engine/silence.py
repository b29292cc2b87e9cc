"""Sessions of the target that answer nothing: who does not answer is left, who is at work is not.

A session from which no answer comes may be at work, behind a lock, or lost: its server is frozen,
or a machine between has dropped the link and told nobody. The kernel notices a peer that vanished;
it does not notice one that takes everything in and says nothing. So the server is asked about such
a session over another one, which is kept. It is left to work while the server says that it is
working. When the server says that the session waits for us, its answer is lost; when it does not
answer at all within `ANSWER_SECONDS`, and the session that watches the owner row is not answered
either, everything on it is. Both end the attempt, as every broken link to the target does: the
replication is claimed again, and read from the stored frontier.

A server that refuses the question has answered: it may have no connection left. Nor is it a proof
that a new session is not served: a pooler that has none left lets it wait.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from engine.abilities import AnsweringSession, InspectedTarget, Working
from engine.checkpoint.sessions import Identity, Sessions
from engine.contracts import TargetSession, TransactionalTarget
from engine.errors import TargetConnectionError, TargetError
from engine.observe.metrics import Stage
from engine.surroundings import Surroundings

LOOK_SECONDS: Final = 2.0

LATE_SECONDS: Final = 8.0
"""How long an answer takes that is worth asking about: far longer than a batch or a chunk."""

ANSWER_SECONDS: Final = 9.0
"""Time for the answer, the first time with a new session. With the rest it is said within half a
minute; less than connecting may take, so a server that refuses is told from one that says nothing.
"""

HEARD_SECONDS: Final = 30.0
"""How long the reason of a wait is told: one that ends by its lock timeout begins anew."""


class Silence:
    """Watches the sessions of one attempt. `watcher` is one of them that asks something every
    `ownership.WATCH_SECONDS`."""

    def __init__(
        self,
        sessions: Sessions,
        target: TransactionalTarget,
        around: Surroundings,
        watcher: TargetSession,
    ) -> None:
        self._sessions = sessions
        self._target = target
        self._around = around
        self._watcher = watcher
        self._lost: set[Identity] = set()
        self._waits_for = ""
        self._heard_at = 0.0

    @property
    def waits_for(self) -> str:
        """What a session waited for lately, in words for people; empty when nothing is known."""
        late = asyncio.get_running_loop().time() - self._heard_at > HEARD_SECONDS
        return "" if late else self._waits_for

    async def watch(self) -> None:
        """Look every two seconds, until cancelled.

        Raises:
            TargetConnectionError: the target does not answer, or an answer of it was lost.
        """
        if not isinstance(self._target, InspectedTarget):
            return
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            late = self._late()
            if late:
                self._judge(await self._asked(self._target, late))
            else:
                self._lost.clear()

    def _late(self) -> list[Identity]:
        now = asyncio.get_running_loop().time()
        return [
            session.identity
            for session in self._sessions.opened
            if isinstance(session, AnsweringSession)
            and session.waits_since is not None
            and now - session.waits_since >= LATE_SECONDS
        ]

    async def _asked(
        self, target: InspectedTarget, late: Sequence[Identity]
    ) -> dict[Identity, Working | None]:
        """What the server says of them; nothing when it refuses to say, or answers others."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await target.inspect(late)
        except TimeoutError:
            if self._watcher.identity not in self._late():
                return {}
            raise self._silent(
                f"the target has answered nothing for {LATE_SECONDS:.0f} s, and no"
                f" new question for {ANSWER_SECONDS:.0f} s"
            ) from None
        except TargetError:
            return {}
        return {identity: found.get(identity) for identity in late}

    def _judge(self, found: dict[Identity, Working | None]) -> None:
        """A session is lost when two looks in a row say so: an answer may be on its way."""
        lost = {identity for identity, working in found.items() if working is None}
        again = lost & self._lost
        self._lost = lost
        reasons = [working.waits_for for working in found.values() if working is not None]
        reason = next((reason for reason in reasons if reason), "")
        if reason:
            self._waits_for, self._heard_at = reason, asyncio.get_running_loop().time()
        if again:
            number = min(again)[0]
            raise self._silent(
                f"the target has answered in its session {number}, and the answer has not come here"
            )

    def _silent(self, why: str) -> TargetConnectionError:
        self._around.metrics.stage(Stage.TARGET, why)
        return TargetConnectionError(
            why,
            hint="see whether the server runs, and what stands between (firewall, pooler, proxy);"
            " its sessions are given up and opened again by themselves",
        )
