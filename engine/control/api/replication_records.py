"""Replications and their endpoints in the store: found, paged, checked against each other.

Both faces of a replication, serverless configuration and classic task, are found here.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

import msgspec

from engine.control.api.arn import Home, Kind
from engine.control.api.call import Call
from engine.control.api.faults import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    InvalidResourceStateFault,
    ResourceAlreadyExistsFault,
    ResourceNotFoundFault,
)
from engine.control.api.filters import filters
from engine.control.api.paging import Page
from engine.control.happenings import SourceType
from engine.control.lifecycle import AT_REST, WrongCombinationError, WrongStateError
from engine.control.resources.document import decode, encode
from engine.control.resources.endpoint import KIND as ENDPOINT
from engine.control.resources.endpoint import Endpoint
from engine.control.resources.replication import KIND, Config, Face, Life, Replication, record_name
from engine.control.store.contract import Reading, Writing
from engine.control.store.records import Record
from engine.control.translate.endpoint import Role, side_of
from engine.control.translate.names import Engine, engine_of
from engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Words:
    """How AWS calls one face of a replication."""

    kind: Kind
    arn: str
    identifier: str
    what: str
    arn_filter: str
    id_filter: str
    event_source: SourceType


WORDS: Final[Mapping[Face, Words]] = {
    Face.CONFIG: Words(
        Kind.REPLICATION,
        "ReplicationConfigArn",
        "ReplicationConfigIdentifier",
        "Replication config",
        "replication-config-arn",
        "replication-config-id",
        SourceType.REPLICATION,
    ),
    Face.TASK: Words(
        Kind.TASK,
        "ReplicationTaskArn",
        "ReplicationTaskIdentifier",
        "Replication task",
        "replication-task-arn",
        "replication-task-id",
        SourceType.TASK,
    ),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A replication with the record that holds it."""

    record: Record
    replication: Replication

    @classmethod
    def of(cls, record: Record) -> "Kept":
        """Raises StateError for a document that is none of this version's."""
        return cls(record, decode(Replication, record.document))

    def told(self, unattended: str) -> "Kept":
        """As it is told of while nobody looks after it, for this reason; empty: somebody does."""
        return replace(self, replication=while_unattended(self.replication, unattended))

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def config(self) -> Config:
        return self.replication.config

    @property
    def life(self) -> Life:
        return self.replication.life

    async def put(
        self, writing: Writing, *, config: Config | None = None, life: Life | None = None
    ) -> "Kept":
        """Stored with another configuration, or another life. Raises DuplicateError."""
        replication = msgspec.structs.replace(
            self.replication, config=config or self.config, life=life or self.life
        )
        record = replace(
            self.record,
            name=replication.config.record_name,
            document=encode(replication),
            fields={**self.record.fields, **replication.config.fields},
        )
        return Kept(await writing.update(record), replication)


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What life does not allow as the faults of it."""
    try:
        yield
    except WrongStateError as error:
        raise InvalidResourceStateFault(_sentence(error.message)) from None
    except WrongCombinationError as error:
        raise InvalidParameterCombinationException(_sentence(error.message)) from None


async def by_arn(reading: Reading, call: Call, face: Face) -> Kept:
    """The replication that a request's ARN names. Raises faults."""
    words, home = WORDS[face], call.services.home
    arn = call.request[words.arn]
    record = await reading.get(KIND, home.name(arn, words.kind, parameter=words.arn))
    if record is None or record.fields["face"] != face:
        raise ResourceNotFoundFault(f"{words.what} {arn} not found.")
    return Kept.of(record)


def while_unattended(replication: Replication, why: str) -> Replication:
    """With that among its failures, where something was wanted of it: its status is of before."""
    life = replication.life
    if not why or life.status in AT_REST:
        return replication
    told = msgspec.structs.replace(life, failures=(*life.failures, why))
    return msgspec.structs.replace(replication, life=told)


async def page_of(
    reading: Reading, call: Call, face: Face, asked: Page
) -> tuple[Sequence[Kept], str | None]:
    """Replications that a request's filters let through, by name, and the marker of the next page.

    Raises ResourceNotFoundFault where none of the ARNs or identifiers that are asked for is there,
    as AWS does; its waiters and Terraform rely on it.
    """
    asked_for = filters(call.operation, call.request)
    wheres = _wheres(call.services.home, face, asked_for)
    found: dict[str, Record] = {}
    for where in wheres:
        some = await reading.find(KIND, where, after=asked.after, limit=asked.limit + 1)
        found |= {record.name: record for record in some}
    words = WORDS[face]
    if not found and {words.arn_filter, words.id_filter} & asked_for.keys() and not asked.after:
        raise ResourceNotFoundFault(f"No {words.what.lower()}s found matching the filters.")
    records = [found[name] for name in sorted(found)]
    page, marker = call.services.pages.cut(asked, records, lambda record: record.name)
    nobody = call.services.unattended()
    return [Kept.of(record).told(nobody) for record in page], marker


def _wheres(
    home: Home, face: Face, asked: Mapping[str, Sequence[str]]
) -> list[dict[str, Collection[str]]]:
    """What to look for; any of these."""
    words = WORDS[face]
    where: dict[str, Collection[str]] = {}
    for name, values in asked.items():
        if name == words.arn_filter:
            where["id"] = {home.name(arn, words.kind, parameter=name) for arn in values}
        elif name == words.id_filter:
            where["name"] = {record_name(face, value) for value in values}
        elif name == "migration-type":
            where["type"] = {value.lower() for value in values}
        elif name == "replication-instance-arn":
            names = {home.name(arn, Kind.INSTANCE, parameter=name) for arn in values}
            where["instance"] = names
    where["face"] = (face,)
    if "endpoint-arn" not in asked:
        return [where]
    ends = {
        home.name(arn, Kind.ENDPOINT, parameter="endpoint-arn") for arn in asked["endpoint-arn"]
    }
    return [{**where, "source": ends}, {**where, "target": ends}]


async def check_free(
    reading: Reading, call: Call, face: Face, identifier: str, *, id: str = ""
) -> None:
    """Raises ResourceAlreadyExistsFault where another than `id` has the identifier."""
    record = await reading.named(KIND, record_name(face, identifier))
    if record is not None and record.id != id:
        words = WORDS[face]
        raise ResourceAlreadyExistsFault(
            f"{words.what} already exists: {words.identifier} {identifier} is in use.",
            resource_arn=call.services.home.arn(words.kind, record.id),
        )


# --- its endpoints ---


@dataclass(frozen=True, slots=True)
class Side:
    """One endpoint of a replication."""

    id: str
    engine: Engine
    address: tuple[str, str, str]
    """Host, port and database as far as the document tells them."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Both endpoints."""

    source: Side
    target: Side


async def sides(reading: Reading, home: Home, source_arn: str, target_arn: str) -> Sides:
    """The endpoints of a replication, checked against each other.

    Raises:
        ResourceNotFoundFault: there is none of that ARN.
        InvalidParameterValueException: it is one of the other direction, or of a system that we do
            not run.
        InvalidParameterCombinationException: both lead to one database.
    """
    source = await _side(reading, home, source_arn, "source")
    target = await _side(reading, home, target_arn, "target")
    one_family = source.engine.family is target.engine.family
    if one_family and source.address[0] and source.address == target.address:
        host, port, database = source.address
        raise InvalidParameterCombinationException(
            f"Source and target endpoint are one database, {host}:{port}"
            f"{'/' if database else ''}{database}: its tables would be carried into themselves."
        )
    return Sides(source, target)


async def source_engine(reading: Reading, config: Config) -> str:
    """AWS's name of the source's engine."""
    record = await reading.get(ENDPOINT, config.source)
    if record is None:
        raise ResourceNotFoundFault(f"The source endpoint {config.source} not found.")
    return str(decode(Endpoint, record.document).members["EngineName"])


async def _side(reading: Reading, home: Home, arn: str, role: Role) -> Side:
    parameter = f"{role.capitalize()}EndpointArn"
    name = home.name(arn, Kind.ENDPOINT, parameter=parameter)
    record = await reading.get(ENDPOINT, name)
    if record is None:
        raise ResourceNotFoundFault(f"Endpoint {arn} not found.")
    members = decode(Endpoint, record.document).members
    if str(members.get("EndpointType", "")).lower() != role:
        raise InvalidParameterValueException(
            f"The parameter {parameter} is not valid: the {role} endpoint of a replication must be"
            f" of type {role.upper()}, and {arn} is of type"
            f" {str(members.get('EndpointType', '')).upper()}."
        )
    try:
        engine = engine_of(members.get("EngineName"))
        url = str(side_of(members, role, prefix="E").table["url"])
    except ConfigError as error:
        raise InvalidParameterValueException(
            f"The parameter {parameter} is not valid: {error.constraint}; {error.hint}."
        ) from None
    return Side(name, engine, _address(url, engine))


def _address(url: str, engine: Engine) -> tuple[str, str, str]:
    """Empty where the document does not tell all of it. A server of the MySQL family is one
    database: rows go to the schema of their name."""
    parts = urlsplit(url)
    host, _, port = parts.netloc.rpartition("@")[2].rpartition(":")
    database = parts.path.strip("/") if engine.family.names_database else ""
    known = "${" not in host + port + database
    return (host.lower(), port, database) if known else ("", "", "")


def _sentence(text: str) -> str:
    """A name of AWS's that it begins with stays as it is."""
    return f"The{text[3:]}." if text.startswith("the ") else f"{text}."
