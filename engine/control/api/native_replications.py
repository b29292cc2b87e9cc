"""Our own routes about replications. What they answer: `native`."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from engine.config.serve import CostConfig
from engine.control.api import telling
from engine.control.api.arn import Home
from engine.control.api.call import Services
from engine.control.api.faults import InvalidResourceStateFault, ResourceNotFoundFault
from engine.control.api.native_request import Asked, Document, refused
from engine.control.api.replication_records import while_unattended
from engine.control.happenings import MODIFIED, TASK_MODIFIED, SourceType
from engine.control.lifecycle import WrongStateError, check_modify
from engine.control.resources.document import decode, encode
from engine.control.resources.endpoint import KIND as ENDPOINT
from engine.control.resources.endpoint import Endpoint
from engine.control.resources.replication import KIND, Face, Replication, record_name
from engine.control.resources.table import ERRORED, TableFacts
from engine.control.resources.table import PREFIX as TABLES
from engine.control.store.contract import VALUES_MAX, Reading
from engine.control.store.records import Event, Record
from engine.control.translate.ours import check_replication

PAGE: Final = 500
"""Replications of one answer: a quarter of a megabyte."""


class Replications:
    """How they are and do, and what of theirs AWS does not know."""

    def __init__(self, services: Services, prices: CostConfig) -> None:
        self._services = services
        self._prices = prices

    async def all(self, asked: Asked) -> Document:
        """A page of them."""
        async with self._services.store.read() as reading:
            after = asked.query.get("after", "")
            records = await reading.find(KIND, after=after, limit=PAGE + 1)
            page = records[:PAGE]
            kept = {record.id: decode(Replication, record.document) for record in page}
            endpoints = await _identifiers(reading, kept.values())
        home, figures = self._services.home, self._services.fleet.figures
        nobody = self._services.unattended()
        shown = [
            telling.replication(key, while_unattended(each, nobody), home, endpoints, figures(key))
            for key, each in kept.items()
        ]
        more = {"after": page[-1].name} if len(records) > PAGE else {}
        return {"replications": shown, **more}

    async def one(self, asked: Asked) -> Document:
        """One of them, and what was given for it."""
        async with self._services.store.read() as reading:
            record = await found(reading, asked.name, self._services.home)
            kept = decode(Replication, record.document)
            endpoints = await _identifiers(reading, [kept])
            stopped = await _stopped(reading, record.id) if kept.life.progress.errored else []
        figures = self._services.fleet.figures(record.id)
        now = self._services.clock.wall()
        return {
            **telling.replication(
                record.id,
                while_unattended(kept, self._services.unattended()),
                self._services.home,
                endpoints,
                figures,
            ),
            **telling.cost(kept.config, figures, self._prices, now),
            **({"tables_stopped": telling.stopped(stopped)} if stopped else {}),
            "given": telling.given(kept.config),
        }

    async def put_ours(self, asked: Asked) -> Document:
        """What a file has and AWS does not know, in the place of what was there."""
        ours = asked.member("ours")
        with refused():
            check_replication(ours)
        async with self._services.store.write() as writing:
            record = await found(writing, asked.name, self._services.home)
            kept = decode(Replication, record.document)
            if kept.config.ours != ours:
                _check_may_change(kept)
                now = await writing.now()
                config = msgspec.structs.replace(kept.config, ours=ours, updated=now)
                changed = msgspec.structs.replace(kept, config=config)
                await writing.update(replace(record, document=encode(changed)))
                await writing.add_event(_modified(kept))
        return {"ours": ours}


async def found(reading: Reading, name: str, home: Home) -> Record:
    """The record of a replication by its identifier, by its ARN at this daemon, or by the end of
    that. Raises ResourceNotFoundFault."""
    if name.startswith("arn:"):
        record = await reading.get(KIND, name.rpartition(":")[2])
        if record is not None and home.arn(telling.OF_FACE[_face(record)], record.id) == name:
            return record
    elif name:
        for face in Face:
            record = await reading.named(KIND, record_name(face, name))
            if record is not None:
                return record
        record = await reading.get(KIND, name)
        if record is not None:
            return record
    raise ResourceNotFoundFault(f"Replication {name} not found.")


def _face(record: Record) -> Face:
    return decode(Replication, record.document).config.face


async def _stopped(reading: Reading, id: str) -> list[TableFacts]:
    """Its tables that stand, by name."""
    facts = await reading.facts(KIND, id, prefix=TABLES)
    found = (decode(TableFacts, fact.document) for fact in facts)
    return [each for each in found if each.state in ERRORED]


async def _identifiers(reading: Reading, of: Iterable[Replication]) -> Mapping[str, str]:
    """Identifiers of the endpoints of replications, by record id."""
    ids = sorted({end for each in of for end in (each.config.source, each.config.target)})
    assert len(ids) <= VALUES_MAX
    records = await reading.find(ENDPOINT, {"id": ids})
    return {
        record.id: str(decode(Endpoint, record.document).members.get("EndpointIdentifier"))
        for record in records
    }


def _check_may_change(kept: Replication) -> None:
    """As its settings may."""
    provision = kept.life.provisioned.state if kept.life.provisioned else None
    try:
        check_modify(kept.life.status, provision, frozenset({"ReplicationSettings"}))
    except WrongStateError as error:
        raise InvalidResourceStateFault(f"{kept.config.name}: {error.message}.") from None


def _modified(kept: Replication) -> Event:
    if kept.config.face is Face.TASK:
        return TASK_MODIFIED.event(SourceType.TASK, kept.config.name)
    return MODIFIED.event(SourceType.REPLICATION, kept.config.name)
