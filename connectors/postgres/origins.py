"""Replication origins: the mark by which our changes on a target can be told from those made there.

A replication that reads this target in the other direction leaves marked changes out, so that
nothing runs in a circle. One session at a time can hold an origin, so every session that writes
rows has one of its own, `penstock_<id>_<database>_<n>`: origins belong to the whole server, ids
only to a database, whose OID stands between. `n` is the lowest number that is free; one that a
session of a process before still holds is passed over.

A number keeps a place in the server's table of origins from its first use until it is dropped.
Either every session is marked or none: `prepare` makes all that the smallest size needs and takes
their places. Appliers that come later need places beyond these. Where the server has none left, one
stays unmarked if nobody has said that marks are needed, and else is not given work.

See: PostgreSQL manual, Replication Progress Tracking, and Replication Management Functions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import asyncpg

from connectors._sql.quoting import identifier, literal
from connectors.postgres.link import Link, ServerError, cells
from engine.config.endpoint import ReplicationOrigin
from engine.errors import TargetBusyError, TargetError
from engine.model.finding import Finding, Severity

PREFIX: Final = "penstock_"
"""How the names of all our origins begin, whatever the replication."""

NAMES_PER_SESSION: Final = 2
"""Numbers tried for each session: as many again as needed, for a process before that hangs."""

ENDING_SECONDS: Final = 5.0
"""Wait for sessions that hold an origin which is to be dropped: a backend ends some time after its
client has gone."""

ENDING_PAUSE_SECONDS: Final = 0.05

FUNCTIONS_FROM: Final = 140_000
"""Server version from which others than superusers may be granted the functions."""

ACTIVE_ORIGINS_FROM: Final = 180_000
"""Server version that has a limit for origins alone."""

FUNCTIONS: Final = (
    "pg_replication_origin_create(text)",
    "pg_replication_origin_session_setup(text)",
    "pg_replication_origin_session_reset()",
    "pg_replication_origin_xact_setup(pg_lsn, timestamptz)",
    "pg_replication_origin_drop(text)",
)
"""Everything that is called; EXECUTE on each is needed."""

_ACTIVE: Final = "55006"
_UNKNOWN: Final = "42704"
_EXISTS: Final = frozenset({"23505", "42710"})
_DENIED: Final = "42501"
_NO_ROOM: Final = frozenset({"53400", "55000"})
"""No place is left; none was ever given (max_replication_slots = 0)."""

ROOM: Final = "origin-room"
HELD: Final = "origin-held"
PRIVILEGE: Final = "origin-privilege"

Run: TypeAlias = Callable[[str], Awaitable[object]]
"""Runs a statement outside of any transaction."""

_REFUSALS: Final = (ServerError, asyncpg.PostgresError)


@dataclass(frozen=True, slots=True)
class _NoneFree:
    """There is no number for a session. `room`: the server has no place for another one; `held`:
    sessions of others hold some."""

    room: bool
    held: bool


class Origins:
    """The origins of one replication's sessions in this process. `wanted`: how many sessions write
    at the same time at least, `others` those of them that are no appliers; `two_way`: another
    replication carries the same tables back."""

    def __init__(
        self,
        replication: str,
        wanted: int,
        policy: ReplicationOrigin,
        *,
        two_way: bool,
        others: int = 0,
    ) -> None:
        self._replication = replication
        self._wanted = wanted
        self._others = others
        self._policy = policy
        self._two_way = two_way
        self._base = ""
        self._setting = ""
        """Of the server: it limits their number."""
        self._used: set[int] = set()

    @property
    def on(self) -> bool:
        """Whether sessions are to be marked: `prepare` has found that they can be."""
        return bool(self._base)

    async def prepare(self, link: Link) -> Finding | None:
        """Make every origin that is needed and take its place on the server; what keeps it from
        that is returned, and nothing is marked then.

        Raises:
            TargetError: it cannot be, and is required.
            ServerError, LinkLostError.
        """
        self._base = ""
        self._setting = limit_setting(link.pgconn.server_version)
        if self._policy is ReplicationOrigin.OFF:
            return None
        try:
            (result,) = await link.script(f"SELECT {base_name(self._replication)}")
            base = cells(result)[0][0] or ""
            for number in range(1, self._wanted + 1):
                await _reserve(link, f"{base}{number}")
        except ServerError as error:
            found = await self._lacking(error.sqlstate, link)
            if found is None:
                raise
            return await self._without(link, found)
        self._base = base
        return None

    async def _lacking(self, state: str, link: Link) -> Finding | None:
        """What a refusal of the origin functions means; None when it is another trouble."""
        version = link.pgconn.server_version
        if state == _DENIED:
            return denied(version, await _role(link), two_way=self._two_way)
        if state in _NO_ROOM:
            return no_room(self._wanted, version, two_way=self._two_way)
        return None

    async def _without(self, link: Link, found: Finding) -> Finding:
        if self._policy is ReplicationOrigin.REQUIRED:
            hint = f"{found.remedy}; or change target.replication_origin"
            raise TargetError(found.message, hint=hint)
        if found.check == ROOM:
            await self._drop_free(link)
        return found

    async def take(self, run: Run) -> int:
        """Mark the session behind `run`; returns the number to give back when it has ended.

        Raises:
            TargetBusyError: there is none for it, and why.
            ServerError or asyncpg.PostgresError; what `run` raises.
        """
        found = await self._first_free(run, 1, NAMES_PER_SESSION * self._wanted)
        if isinstance(found, int):
            return found
        raise TargetBusyError(self._lack(found), hint=self._way_out(found))

    async def take_more(self, run: Run) -> int | Finding:
        """Mark the session of an applier, which may be one that came later; returns its number, or
        what it goes without. What `prepare` has kept for others than appliers is left to them.

        Raises:
            TargetBusyError: there is none for it, and it must have one; as `take`.
        """
        if len(self._used) < self._wanted - self._others:
            return await self.take(run)
        last = self._wanted + NAMES_PER_SESSION * (len(self._used) + 1)
        found = await self._first_free(run, self._wanted + 1, last)
        if isinstance(found, int):
            return found
        text, remedy = self._lack(found), f"{self._way_out(found)}, or lower [capacity] max"
        if self._two_way or self._policy is ReplicationOrigin.REQUIRED:
            raise TargetBusyError(f"{text}, and every applier needs one", hint=remedy)
        check = ROOM if found.room else HELD
        message = f"{text}; what further appliers do {_MATTERS}"
        return Finding(check, Severity.TELLS, message, remedy)

    async def _first_free(self, run: Run, first: int, last: int) -> int | _NoneFree:
        """Set the session up with the lowest number that nobody holds."""
        held = False
        for number in range(first, last + 1):
            if number in self._used:
                continue
            self._used.add(number)
            try:
                await _set_up(run, f"{self._base}{number}")
            except _REFUSALS as error:
                self._used.discard(number)
                if error.sqlstate in _NO_ROOM:
                    return _NoneFree(room=True, held=held)
                if error.sqlstate != _ACTIVE:
                    raise
                held = True
            except BaseException:
                self._used.discard(number)
                raise
            else:
                return number
        return _NoneFree(room=False, held=held)

    def _lack(self, found: _NoneFree) -> str:
        if found.room:
            return f"the target has no room for more than {len(self._used)} replication origins"
        return (
            "every replication origin of this replication is held by another session of the target"
        )

    def _way_out(self, found: _NoneFree) -> str:
        """Whoever holds a number has its place, too."""
        ways = [self._ending] if found.held else []
        if found.room:
            ways.append(f"raise {self._setting} on the target and restart it")
        return ", or ".join(ways)

    def give_back(self, number: int) -> None:
        """The session that had it is closed."""
        self._used.discard(number)

    async def drop(self, link: Link) -> None:
        """Drop every origin of the replication in this database. Idempotent.

        Raises:
            TargetBusyError: sessions hold some after `ENDING_SECONDS`; the others are dropped.
            ServerError, LinkLostError.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ENDING_SECONDS
        while held := await self._drop_free(link):
            if loop.time() >= deadline:
                raise TargetBusyError(
                    f"a session of the target holds the replication origins {', '.join(held)}",
                    hint=f"{self._ending}, then run it again",
                )
            await asyncio.sleep(ENDING_PAUSE_SECONDS)

    @property
    def _ending(self) -> str:
        return (
            f"end the sessions of application penstock/{self._replication} whose process is gone"
            " (pg_stat_activity)"
        )

    async def _drop_free(self, link: Link) -> Sequence[str]:
        """Drop those that no session holds; the names of the others."""
        held: list[str] = []
        (result,) = await link.script(_NUMBERED.format(base=base_name(self._replication)))
        for (name,) in cells(result):
            try:
                await link.script(
                    f"SELECT pg_catalog.pg_replication_origin_drop({literal(name or '')})"
                )
            except ServerError as error:
                if error.sqlstate == _ACTIVE:
                    held.append(name or "")
                elif error.sqlstate != _UNKNOWN:
                    raise
        return held


_TWO_WAY: Final = (
    "two-way replication is off: the replication in the other direction cannot tell our changes"
    " from others and sends them back"
)
_MATTERS: Final = (
    "stays unmarked, which matters only to a replication that reads this database with"
    " source.origin = none"
)
_ONE_WAY: Final = f"what is applied {_MATTERS}"


def denied(version: int, role: str, *, two_way: bool) -> Finding:
    """The role may not call one of the functions."""
    text = f"role {role} may not use replication origins on the target"
    return _unmarked(PRIVILEGE, text, _grant(version, role), two_way=two_way)


def no_room(wanted: int, version: int, *, two_way: bool) -> Finding:
    """The server keeps no place for that many."""
    setting = limit_setting(version)
    text = f"the target has no room for {wanted} replication origins"
    remedy = f"raise {setting} on the target by {wanted} and restart it"
    return _unmarked(ROOM, text, remedy, setting, two_way=two_way)


def _unmarked(check: str, text: str, remedy: str, subject: str = "", *, two_way: bool) -> Finding:
    """Nothing is marked: a danger where another replication runs back, else worth a word."""
    severity = Severity.WARNS if two_way else Severity.TELLS
    consequence = _TWO_WAY if two_way else _ONE_WAY
    return Finding(check, severity, f"{text}; {consequence}", remedy, subject)


def base_name(replication: str) -> str:
    """SQL for what the names of a replication's origins begin with, before their number."""
    return (
        f"({literal(f'{PREFIX}{replication}_')} || (SELECT oid FROM pg_catalog.pg_database"
        " WHERE datname = pg_catalog.current_database()) || '_')"
    )


def limit_setting(version: int) -> str:
    """The server setting that limits origins."""
    if version >= ACTIVE_ORIGINS_FROM:
        return "max_active_replication_origins"
    return "max_replication_slots"


def _grant(version: int, role: str) -> str:
    if version < FUNCTIONS_FROM:
        return "before PostgreSQL 14 only a superuser may: let the role be one, or upgrade"
    return f"GRANT EXECUTE ON FUNCTION {', '.join(FUNCTIONS)} TO {identifier(role)}"


async def _role(link: Link) -> str:
    (result,) = await link.script("SELECT current_user")
    return cells(result)[0][0] or ""


async def _reserve(link: Link, name: str) -> None:
    """Let the server keep a place for the origin. One that is held has its place."""
    try:
        await _set_up(link.script, name)
    except ServerError as error:
        if error.sqlstate != _ACTIVE:
            raise
    else:
        await link.script("SELECT pg_catalog.pg_replication_origin_session_reset()")


async def _set_up(run: Run, name: str) -> None:
    """Set the session up with the origin, which is made if it is missing."""
    set_up = f"SELECT pg_catalog.pg_replication_origin_session_setup({literal(name)})"
    try:
        await run(set_up)
    except _REFUSALS as error:
        if error.sqlstate != _UNKNOWN:
            raise
    else:
        return
    try:
        await run(f"SELECT pg_catalog.pg_replication_origin_create({literal(name)})")
    except _REFUSALS as error:
        if error.sqlstate not in _EXISTS:
            raise
    await run(set_up)


_NUMBERED: Final = (
    "SELECT roname FROM pg_catalog.pg_replication_origin WHERE starts_with(roname, {base})"
    " AND substr(roname, length({base}) + 1) ~ '^[0-9]+$'"
)
