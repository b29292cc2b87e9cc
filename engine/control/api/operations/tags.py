"""Tags: words of the user's own on any resource. They are stored and shown; nothing reads them."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from engine.control.api.arn import Arn, Kind
from engine.control.api.call import Call, operation
from engine.control.api.faults import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    InvalidResourceStateFault,
    ResourceNotFoundFault,
)
from engine.control.api.identifiers import TAGS_MAX, tags
from engine.control.api.keys import Access
from engine.control.resources.instance import DEFAULT_ID
from engine.control.resources.kinds import INSTANCE, OF_ARN, Kept
from engine.control.store.contract import Reading

NO_EFFECT: Final[Mapping[str, str]] = {
    "AddTagsToResource.Tags.ResourceArn": "the tag is put on the resource of the request",
}

ARNS_MAX: Final = 1_000
"""Resources of one ListTagsForResource: more than a page of anything has."""


@operation("AddTagsToResource", access=Access.ADMIN)
async def add_tags_to_resource(call: Call) -> Mapping[str, object]:
    """Tags are added, in place of those with the same keys."""
    arn = _arn(call, call.request["ResourceArn"])
    given = tags(call.request["Tags"])
    async with call.services.store.write() as writing:
        kept = await _tagged(writing, arn)
        if _is_daemon(arn):
            raise InvalidResourceStateFault(
                f"The instance {DEFAULT_ID} is this daemon: it has no tags."
            )
        there = (await writing.tags(kept.kind, [arn.name]))[arn.name]
        if len({**there, **given}) > TAGS_MAX:
            raise InvalidParameterValueException(
                f"A resource can have at most {TAGS_MAX} tags; {arn} has {len(there)} already."
            )
        await writing.tag(kept.kind, arn.name, given)
    return {}


@operation("RemoveTagsFromResource", access=Access.ADMIN)
async def remove_tags_from_resource(call: Call) -> Mapping[str, object]:
    """Tags are removed by their keys; a key that is not there is no error."""
    arn = _arn(call, call.request["ResourceArn"])
    async with call.services.store.write() as writing:
        kept = await _tagged(writing, arn)
        if not _is_daemon(arn):
            await writing.untag(kept.kind, arn.name, call.request["TagKeys"])
    return {}


@operation("ListTagsForResource", access=Access.READ)
async def list_tags_for_resource(call: Call) -> Mapping[str, object]:
    """The tags of one resource, or of several, each with the resource it is on."""
    one, several = "ResourceArn" in call.request, "ResourceArnList" in call.request
    if one == several:
        raise InvalidParameterCombinationException(
            "One of ResourceArn and ResourceArnList must be provided, and not both."
        )
    given = [call.request["ResourceArn"]] if one else call.request["ResourceArnList"]
    texts = list(dict.fromkeys(given))
    if len(texts) > ARNS_MAX:
        raise InvalidParameterValueException(f"ResourceArnList has more than {ARNS_MAX} values.")
    arns = [_arn(call, text) for text in texts]
    async with call.services.store.read() as reading:
        found = [tag for arn in arns for tag in await _shown(reading, arn, named=several)]
    return {"TagList": found}


def _arn(call: Call, text: str) -> Arn:
    return call.services.home.parse(text, *map(Kind, OF_ARN), parameter="ResourceArn")


async def _shown(reading: Reading, arn: Arn, *, named: bool) -> Collection[Mapping[str, Any]]:
    kept = await _tagged(reading, arn)
    there = (await reading.tags(kept.kind, [arn.name]))[arn.name]
    beside = {"ResourceArn": str(arn)} if named else {}
    return [{"Key": key, "Value": value, **beside} for key, value in there.items()]


async def _tagged(reading: Reading, arn: Arn) -> Kept:
    """Where the resource is kept. Raises ResourceNotFoundFault where there is none."""
    kept = OF_ARN[arn.kind]
    record = await reading.get(kept.kind, arn.name)
    there = record is not None and kept.fields.items() <= record.fields.items()
    if not there and not _is_daemon(arn):
        raise ResourceNotFoundFault(f"Resource {arn} not found.")
    return kept


def _is_daemon(arn: Arn) -> bool:
    return (OF_ARN[arn.kind].kind, arn.name) == (INSTANCE, DEFAULT_ID)
