"""Whatever comes, nothing but a fault of AWS's names leaves the reading of it."""

import contextlib
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from engine.config.limits import Limits
from engine.control.api.arn import parse as parse_arn
from engine.control.api.faults import Fault
from engine.control.api.filters import NAMES, filters
from engine.control.api.paging import Pages
from engine.control.api.reading import parse
from engine.control.api.sigv4 import Request, verify
from engine.control.api.wire import service
from engine.control.api.writing import answer

LIMITS = Limits()

TEXTS = st.text(max_size=20) | st.sampled_from(["source", "none", "2026-01-01T00:00:00Z", "YQ=="])
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXTS
ENDPOINT = service().operations["CreateEndpoint"].input
NAMES_OF_MEMBERS = st.sampled_from(sorted(ENDPOINT.members)) | st.text(max_size=5)


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(NAMES_OF_MEMBERS, values, max_size=6)


VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | objects(inner), max_leaves=20
)


@given(objects(VALUES))
def test_any_object_is_a_request_or_refused(document: dict[str, Any]) -> None:
    whole = {"EndpointIdentifier": "a", "EndpointType": "source", "EngineName": "b", **document}
    with contextlib.suppress(Fault):
        read = parse(orjson.dumps(whole), ENDPOINT, LIMITS)
        assert orjson.loads(answer(read, ENDPOINT)).keys() == read.keys()


@given(st.binary(max_size=60))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    with contextlib.suppress(Fault):
        parse(body, ENDPOINT, LIMITS)


HEADER_TEXT = st.text(st.characters(max_codepoint=255), max_size=60)
DATES = (
    HEADER_TEXT
    | st.from_regex(r"[0-9]{8}T[0-9]{6}Z", fullmatch=True)
    | st.from_regex(
        r"(Mon, )?[0-9]{1,3} (Jan|Foo) [0-9]{1,9} [0-9]{1,3}:[0-9]{2}:[0-9]{2} ([+-][0-9]{4}|GMT)",
        fullmatch=True,
    )
)
AUTHORIZATIONS = st.builds(
    "AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}, Signature={}".format,
    st.from_regex(r"[a-z]{0,3}/[0-9]{8}/[a-z]{0,3}/dms/aws4_request", fullmatch=True) | HEADER_TEXT,
    st.sampled_from(["host", "host;x-amz-date", "date;host", "", ";", "host;x"]),
    HEADER_TEXT,
)


@given(HEADER_TEXT | AUTHORIZATIONS, DATES, st.sampled_from(["x-amz-date", "date"]))
def test_no_made_up_signature_is_more_than_refused(
    authorization: str, date: str, name: str
) -> None:
    headers = [("host", "h"), (name, date), ("authorization", authorization)]
    request = Request("POST", "/", "", headers, b"{}")
    try:
        key_id = verify(request, lambda _key_id: "secret", now=1.7e9, skew=1e9)
    except Fault:
        return
    raise AssertionError(f"accepted as {key_id}")


@given(st.text(max_size=80) | st.from_regex(r"arn:aws:dms:[a-z1-]*:[0-9]*:endpoint:.*"))
def test_any_text_is_an_arn_that_reads_the_same_or_none(text: str) -> None:
    arn = parse_arn(text)
    assert arn is None or str(arn) == text


@given(
    st.sampled_from(sorted(NAMES)),
    st.text(max_size=60),
    st.lists(
        st.fixed_dictionaries(
            {
                "Name": st.sampled_from(sorted(set().union(*NAMES.values()))) | TEXTS,
                "Values": st.lists(TEXTS, max_size=3),
            }
        ),
        max_size=3,
    ),
)
def test_any_filters_and_marker_are_understood_or_refused(
    operation: str, marker: str, given_filters: list[dict[str, Any]]
) -> None:
    request = {"Filters": given_filters, "Marker": marker}
    with contextlib.suppress(Fault):
        assert filters(operation, request).keys() <= NAMES[operation]
    with contextlib.suppress(Fault):
        assert Pages(b"key").asked(operation, request).after == ""
