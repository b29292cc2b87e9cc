"""AWS Signature Version 4 in the header form: who signed a request, and signing one. (pure)

Checks come in the order in which AWS's services of this protocol make them, with their errors and,
but for echoes of what was sent, their words. Names and order: AWS General Reference, "Signing AWS
API requests"; the errors were measured by others on DynamoDB, CodeDeploy and ECR.

Stricter than AWS where a request could otherwise say more than was signed: the names of the three
parts of the header come once each and nothing beside them, no header that is looked at comes twice,
a path is taken as it was sent and not tidied, and the body's hash must always be true.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from engine.config.limits import SKEW_SECONDS_MAX
from engine.control.api.faults import (
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SERVICE: Final = "dms"
TERMINATOR: Final = "aws4_request"

PARTS: Final = ("Credential", "Signature", "SignedHeaders")

_MOMENT: Final = "%Y%m%dT%H%M%SZ"
_MOMENT_TEXT: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_ONCE: Final = frozenset({"authorization", "host", "date", "content-type", "content-length"})


@dataclass(frozen=True, slots=True)
class Request:
    """What of an HTTP request is signed. Path and query as they stand in the request line, names of
    headers in lower case, each header as often as it was sent."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class _Authorization:
    """The header, taken apart."""

    algorithm: str
    credential: str
    signed: tuple[str, ...]
    signature: str


def verify(
    request: Request,
    secret_of: Callable[[str], str | None],
    *,
    now: float,
    skew: float = SKEW_SECONDS_MAX,
    region: str = "",
) -> str:
    """The id of the access key that signed the request.

    `secret_of` gives the secret of an id, None for an unknown one. `now` is the wall clock's time,
    from which the signature's may be `skew` seconds away. A `region` that is not empty must be the
    signature's. Raises one of four faults.
    """
    headers = _headers(request)
    authorization = _authorization(headers)
    moment = _moment(headers)
    _in_time(moment, datetime.fromtimestamp(now, UTC), timedelta(seconds=skew))
    _all_signed(headers, authorization.signed)
    if authorization.algorithm != ALGORITHM:
        raise IncompleteSignatureException(
            f"Unsupported AWS 'algorithm' (only {ALGORITHM} for now)."
        )
    key_id, scope = _scope(authorization.credential, moment, region)
    secret = secret_of(key_id)
    if secret is None or "x-amz-security-token" in headers:
        # Temporary credentials are not given out here, so no session token is known.
        raise UnrecognizedClientException("The security token included in the request is invalid.")
    _true_hash(headers, request.body)
    canonical = _canonical(request, [(name, headers[name]) for name in authorization.signed])
    expected = _signature(secret, moment, scope, canonical)
    if not hmac.compare_digest(expected.encode(), authorization.signature.encode()):
        raise InvalidSignatureException(
            "The request signature we calculated does not match the signature you provided. Check"
            " your AWS Secret Access Key and signing method. Consult the service documentation for"
            " details."
        )
    return key_id


def sign(
    request: Request, key_id: str, secret: str, *, region: str, at: float
) -> Mapping[str, str]:
    """The headers to add to a request, which has its `host` already: every header it has is
    signed."""
    moment = datetime.fromtimestamp(at, UTC).replace(microsecond=0)
    headers = {**_headers(request), "x-amz-date": moment.strftime(_MOMENT)}
    scope = f"{moment:%Y%m%d}/{region}/{SERVICE}/{TERMINATOR}"
    signature = _signature(secret, moment, scope, _canonical(request, sorted(headers.items())))
    signed = ";".join(sorted(headers))
    return {
        "x-amz-date": headers["x-amz-date"],
        "authorization": f"{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={signed},"
        f" Signature={signature}",
    }


def _headers(request: Request) -> dict[str, str]:
    """Headers by name in their canonical form: several of one name are joined."""
    found: dict[str, str] = {}
    for name, value in request.headers:
        if name in found and (name in _ONCE or name.startswith("x-amz-")):
            raise IncompleteSignatureException(f"The header '{name}' was sent more than once.")
        tidy = re.sub(" +", " ", value.strip(" \t"))
        found[name] = f"{found[name]},{tidy}" if name in found else tidy
    return found


def _authorization(headers: Mapping[str, str]) -> _Authorization:
    header = headers.get("authorization", "")
    if not header.startswith("AWS4-"):
        raise MissingAuthenticationTokenException("Request is missing Authentication Token")
    algorithm, _, rest = header.partition(" ")
    found: dict[str, str] = {}
    for part in rest.split(",") if rest else ():
        name, equals, value = part.strip(" ").partition("=")
        if not equals or name in found or name not in PARTS:
            raise IncompleteSignatureException(
                "A part of the Authorization header is not one of"
                " Credential=..., SignedHeaders=..., Signature=..., or comes twice."
            )
        found[name] = value
    complaints = [
        f"Authorization header requires '{name}' parameter."
        for name in PARTS
        if not found.get(name)
    ]
    if "x-amz-date" not in headers and "date" not in headers:
        complaints.append(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    if complaints:
        raise IncompleteSignatureException(" ".join(complaints))
    signed = tuple(found["SignedHeaders"].split(";"))
    return _Authorization(algorithm, found["Credential"], signed, found["Signature"])


def _moment(headers: Mapping[str, str]) -> datetime:
    """When the request says it was signed: X-Amz-Date, or else Date."""
    text = headers.get("x-amz-date", headers.get("date", ""))
    try:
        if _MOMENT_TEXT.fullmatch(text):
            return datetime.strptime(text, _MOMENT).replace(tzinfo=UTC)
        if "x-amz-date" not in headers:
            read = parsedate_to_datetime(text)
            return read.replace(tzinfo=read.tzinfo or UTC).astimezone(UTC)
    except ValueError:
        pass
    raise IncompleteSignatureException("Date must be in ISO-8601 'basic format'.")


def _in_time(moment: datetime, now: datetime, skew: timedelta) -> None:
    """Within the skew, which is also how long a request that was listened to could be repeated."""
    signed, here = moment.strftime(_MOMENT), now.strftime(_MOMENT)
    minutes = f"{skew.total_seconds() / 60:g}"
    if moment < now - skew:
        earliest = (now - skew).strftime(_MOMENT)
        raise InvalidSignatureException(
            f"Signature expired: {signed} is now earlier than {earliest} ({here} - {minutes} min.)"
        )
    if moment > now + skew:
        latest = (now + skew).strftime(_MOMENT)
        raise InvalidSignatureException(
            f"Signature not yet current: {signed} is still later than {latest}"
            f" ({here} + {minutes} min.)"
        )


def _all_signed(headers: Mapping[str, str], signed: Sequence[str]) -> None:
    """What decides what a request does must be under its signature: the host, and each of AWS's
    own headers. Of the others a proxy may add some."""
    for name in ("host", *(name for name in headers if name.startswith("x-amz-"))):
        if name not in signed:
            raise InvalidSignatureException(
                f"'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )
    if not headers.keys() >= set(signed):
        raise InvalidSignatureException("A header that was signed was not sent.")


def _scope(credential: str, moment: datetime, region: str) -> tuple[str, str]:
    """The access key's id, and the scope it is used in."""
    key_id, _, scope = credential.partition("/")
    parts = scope.split("/")
    if len(parts) != 4:
        raise IncompleteSignatureException(
            "Credential must have exactly 5 slash-delimited elements,"
            " e.g. keyid/date/region/service/term."
        )
    day, of, service, terminator = parts
    complaints = []
    if not of or (region and of != region):
        complaints.append(f"Credential should be scoped to a valid region: '{region}'.")
    if service != SERVICE:
        complaints.append(f"Credential should be scoped to correct service: '{SERVICE}'.")
    if terminator != TERMINATOR:
        complaints.append(f"Credential should be scoped with a valid terminator: '{TERMINATOR}'.")
    if day != f"{moment:%Y%m%d}":
        complaints.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from"
            f" HTTP: '{moment:%Y%m%d}', from '{moment.strftime(_MOMENT)}'."
        )
    if complaints:
        raise InvalidSignatureException(" ".join(complaints))
    return key_id, scope


def _true_hash(headers: Mapping[str, str], body: bytes) -> None:
    sent = headers.get("x-amz-content-sha256")
    if sent is not None and not hmac.compare_digest(sent.encode(), _digest(body).encode()):
        raise InvalidSignatureException(
            "The 'x-amz-content-sha256' header does not match what was computed of the body;"
            " an unsigned payload is not accepted."
        )


def _canonical(request: Request, headers: Sequence[tuple[str, str]]) -> str:
    """The request as it is signed. Headers in the order of their list, which signers sort."""
    lines = "".join(f"{name}:{value}\n" for name, value in headers)
    return "\n".join(
        (
            request.method,
            quote(request.path, safe="/~"),
            _query(request.query),
            lines,
            ";".join(name for name, _ in headers),
            _digest(request.body),
        )
    )


def _query(query: str) -> str:
    pairs = (part.partition("=") for part in query.split("&") if part)
    encoded = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="~")


def _signature(secret: str, moment: datetime, scope: str, canonical: str) -> str:
    text = "\n".join((ALGORITHM, moment.strftime(_MOMENT), scope, _digest(canonical.encode())))
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
