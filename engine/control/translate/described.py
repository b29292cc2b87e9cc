"""What the AWS CLI prints of endpoints and replications, read. (pure)

Answers of `describe-endpoints`, `describe-replication-configs`, `describe-replication-tasks` and
`describe-certificates`, any number of them one after another.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.config.document import DEPTH_MAX, Document
from engine.errors import ConfigError

TEXT_CHARACTERS_MAX: Final = 64 * 1024 * 1024
"""Longest input: a thousand replications with a mapping of 60,000 characters each."""

ASK: Final = "expected what `aws dms describe-endpoints --output json` and the like print"

COMMANDS: Final = (
    "describe-endpoints, describe-replication-configs, describe-replication-tasks,"
    " describe-certificates"
)


@dataclass(frozen=True, slots=True)
class Member:
    """One kind of resource: its list's name in an answer, and what tells one of them."""

    answer: str
    arn: str
    marks: frozenset[str]


ENDPOINTS: Final = Member("Endpoints", "EndpointArn", frozenset({"EngineName"}))
CONFIGS: Final = Member("ReplicationConfigs", "ReplicationConfigArn", frozenset({"TableMappings"}))
TASKS: Final = Member("ReplicationTasks", "ReplicationTaskArn", frozenset({"MigrationType"}))
CERTIFICATES: Final = Member("Certificates", "CertificateArn", frozenset({"CertificateIdentifier"}))

MEMBERS: Final = (ENDPOINTS, CONFIGS, TASKS, CERTIFICATES)

PAGING: Final = frozenset({"Marker", "NextToken", "ResponseMetadata"})


@dataclass(frozen=True, slots=True)
class Described:
    """Resources by ARN, in the order in which they came; the last of one ARN counts."""

    endpoints: dict[str, Document] = field(default_factory=dict[str, Document])
    configs: dict[str, Document] = field(default_factory=dict[str, Document])
    tasks: dict[str, Document] = field(default_factory=dict[str, Document])
    certificates: dict[str, Document] = field(default_factory=dict[str, Document])


def read_described(text: str, file: str) -> Described:
    """Read one or several JSON documents.

    Raises:
        ConfigError: it is none, or holds nothing that can be imported; says what was expected.
    """
    if len(text) > TEXT_CHARACTERS_MAX:
        raise ConfigError("input", f"must have at most {TEXT_CHARACTERS_MAX:,} characters")
    found = Described()
    kept = dict(zip(MEMBERS, _of(found), strict=True))
    for document in _documents(text, file):
        for member, resource in _resources(document, file):
            kept[member][_arn(member, resource, file)] = resource
    if not any(kept.values()):
        raise ConfigError("input", "holds no endpoint and no replication", hint=ASK, file=file)
    return found


def _of(found: Described) -> tuple[dict[str, Document], ...]:
    return found.endpoints, found.configs, found.tasks, found.certificates


def _documents(text: str, file: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    text = text.removeprefix("\ufeff")
    at, end = _blank(text, 0), len(text)
    while at < end:
        try:
            document, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ConfigError("syntax", f"not valid JSON: {error}", hint=ASK, file=file) from None
        except (RecursionError, ValueError):
            constraint = f"is nested deeper than {DEPTH_MAX} levels, or holds a number too long"
            raise ConfigError("syntax", constraint, hint=ASK, file=file) from None
        _check_text(document, file)
        yield document
        at = _blank(text, at)


def _check_text(document: Any, file: str) -> None:
    """JSON can spell text that no file can hold."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        raise ConfigError("input", "holds text that is not Unicode", file=file) from None


def _blank(text: str, at: int) -> int:
    """The next character that is no blank; a comma between documents is one."""
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def _resources(document: Any, file: str) -> Iterator[tuple[Member, Document]]:
    """Every resource of an answer, of a list, or the one that it is."""
    if isinstance(document, list):
        for item in document:
            yield from _resources(item, file)
        return
    if not isinstance(document, dict):
        raise ConfigError("input", "must be JSON objects", hint=ASK, file=file)
    lists = [member for member in MEMBERS if member.answer in document]
    if lists:
        for member in lists:
            yield from _listed(member, document[member.answer], file)
        return
    kind = _kind(document)
    if kind is not None:
        yield kind, document
    elif document.keys() - PAGING:
        names = ", ".join(sorted(map(str, document))[:5])
        constraint = f"an object with {names} is no answer that can be imported"
        raise ConfigError("input", constraint, hint=f"expected: {COMMANDS}", file=file)


def _listed(member: Member, items: Any, file: str) -> Iterator[tuple[Member, Document]]:
    if not isinstance(items, list):
        raise ConfigError(member.answer, "expected a list", hint=ASK, file=file)
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise ConfigError(f"{member.answer}[{number}]", "expected an object", file=file)
        yield member, item


def _kind(document: Mapping[str, object]) -> Member | None:
    """What a single resource is; some name the ARNs of others, so the marks decide."""
    for member in (CONFIGS, TASKS, ENDPOINTS, CERTIFICATES):
        if member.arn in document and member.marks <= document.keys():
            return member
    return None


def _arn(member: Member, resource: Document, file: str) -> str:
    arn = resource.get(member.arn)
    if not isinstance(arn, str) or not arn:
        raise ConfigError(f"{member.answer}.{member.arn}", "is missing", hint=ASK, file=file)
    return arn
