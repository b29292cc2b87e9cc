"""What an endpoint may be: judged whole, when it is made and whenever it is modified. (pure)

Engines of AWS's that we do not run are taken and shown, as nothing connects to them: what refuses
them by name is a replication. Of those we run everything is judged that can be without a server.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.addresses import Addresses
from engine.config.problems import nearest, shown
from engine.control.api.endpoint_members import (
    CLEAR,
    SECRET_ID,
    Members,
    secret_names,
    structures,
    texts,
)
from engine.control.api.faults import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
)
from engine.control.api.identifiers import identifier
from engine.control.translate.attributes import is_known, read_attributes
from engine.control.translate.endpoint import ADDRESS, Role, kinds_of, side_of
from engine.control.translate.listing import Note
from engine.control.translate.names import ENGINES, NOT_RUN, Engine
from engine.control.translate.ours import check_endpoint
from engine.control.translate.secrets import SECRET_MEMBERS, parse_reference
from engine.errors import ConfigError

PORT_MAX: Final = 65_535

EFFECTIVE: Final = frozenset({SECRET_ID, "CertificateArn", "KmsKeyId", "SslMode"})
"""What a file alone would lack, and the daemon has."""

NEEDS_CERTIFICATE: Final = "verify-ca"
"""AWS's guide asks for the certificate ("Using SSL with AWS Database Migration Service"); when AWS
refuses its absence is not published. Here no connection could be made, so it is refused at once."""

_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,254})|\[?[0-9A-Fa-f:.]+(%\w+)?\]?|/.+")
"""A name, an address, or the directory of a socket."""

_LOGIN: Final = re.compile(r"://[^/\s:@]*:[^\s@]+@")
"""A password in a URL."""


def check(members: Members, addresses: Addresses) -> tuple[Note, ...]:
    """Raises a fault for what cannot be; what has no effect, of an engine that we run, is
    returned."""
    identifier(members.get("EndpointIdentifier", ""), "EndpointIdentifier")
    name = str(members.get("EngineName", ""))
    if name not in ENGINES and name not in NOT_RUN:
        known = ", ".join(sorted((*ENGINES, *NOT_RUN)))
        raise InvalidParameterValueException(
            f"Invalid value for EngineName. Must be one of: {known}."
        )
    _check_texts(members)
    _check_secret(members)
    _check_attributes(str(members.get("ExtraConnectionAttributes", "")), name)
    for place in (members, *(members[each] for each in structures() if each in members)):
        _check_place(place, addresses)
    return _check_engine(members, ENGINES[name]) if name in ENGINES else ()


def check_ours(ours: Members, members: Members) -> None:
    """That what AWS has no member for (`penstock apply`) still goes with the rest. Raises a fault
    where it does not."""
    name = str(members["EngineName"])
    if not ours or name not in ENGINES:
        return
    try:
        check_endpoint(ours, _role(members), ENGINES[name].ours)
    except ConfigError as error:
        raise InvalidParameterValueException(
            f"The endpoint has keys of a file that do not go with this: {error.message}. Apply its"
            " file again."
        ) from None


def _check_texts(members: Members) -> None:
    for place, text in texts(members):
        if _LOGIN.search(text):
            raise InvalidParameterValueException(
                f"The parameter {place} holds a password, which would be shown: use the members"
                " for user and password."
            )


def _check_secret(members: Members) -> None:
    """A secret that is kept elsewhere says everything that a clear text would."""
    for name, settings in members.items():
        if not isinstance(settings, Mapping) or not settings.get(SECRET_ID):
            continue
        clear = [each for each in CLEAR if each in members]
        clear += [f"{name}.{each}" for each in CLEAR if each in settings]
        if clear:
            raise InvalidParameterCombinationException(
                f"{name}.{SECRET_ID} and {', '.join(clear)} exclude each other: the secret holds"
                " user, password, host and port."
            )
        try:
            parse_reference(str(settings[SECRET_ID]))
        except ConfigError as error:
            raise InvalidParameterValueException(
                f"The parameter {name}.{SECRET_ID} is not valid: {error.constraint}."
            ) from None


def _check_attributes(text: str, engine: str) -> None:
    """Attributes are shown, and count more than the members beside them."""
    kept = {_folded(name): name for name in secret_names()}
    if engine in ENGINES:
        kept |= {_folded(name): name for name in (*ADDRESS, *SECRET_MEMBERS)}
    for name in read_attributes(text):
        if _folded(name) in kept:
            raise InvalidParameterValueException(
                f"ExtraConnectionAttributes must not hold {kept[_folded(name)]}: it has a member of"
                " its own."
            )
        if engine in ENGINES:
            _check_attribute(name, [*kinds_of(ENGINES[engine]), *SECRET_MEMBERS])


def _check_attribute(name: str, members: Sequence[str]) -> None:
    """An attribute that no endpoint of the engine has is a mistake, as on AWS, whose words these
    are. Source: terraform-provider-aws, issue 29170."""
    if not is_known(name, members):
        meant = nearest(name, members)
        hint = f"; did you mean {meant[0].lower()}{meant[1:]}?" if meant else ""
        raise InvalidParameterValueException(
            f"Unsupported value '{shown(name)}' for extra connection attributes{hint}"
        )


def _folded(name: str) -> str:
    return name.lower().replace("_", "")


def _check_place(place: Mapping[str, Any], addresses: Addresses) -> None:
    port = place.get("Port", 1)
    if not isinstance(port, int) or not 1 <= port <= PORT_MAX:
        raise InvalidParameterValueException(f"Invalid value for Port. Must be 1 to {PORT_MAX}.")
    host = place.get("ServerName")
    if isinstance(host, str):
        try:
            addresses.check(host, port)
        except ConfigError as error:
            hint = f"; {error.hint}" if error.hint else ""
            raise InvalidParameterValueException(
                f"The parameter ServerName is not valid: {error.constraint}{hint}."
            ) from None


def _check_engine(members: Members, engine: Engine) -> tuple[Note, ...]:
    others = sorted(members.keys() & structures().keys() - {engine.settings})
    if others:
        raise InvalidParameterCombinationException(
            f"{', '.join(others)} cannot be provided for EngineName {engine.name}, whose settings"
            f" are {engine.settings}."
        )
    host = members.get("ServerName")
    if host is not None and _HOST.fullmatch(host) is None:
        raise InvalidParameterValueException(
            "The parameter ServerName is not valid: it must be one name or address of a server."
        )
    if members.get("SslMode") == NEEDS_CERTIFICATE and not members.get("CertificateArn"):
        raise InvalidParameterCombinationException(
            f"SslMode {NEEDS_CERTIFICATE} needs CertificateArn: without the authority's certificate"
            " there is nothing to know the server by. Import it by ImportCertificate, or give"
            " verify-full, which trusts what the daemon's machine does."
        )
    notes = side_of(members, _role(members), prefix="X").notes
    for note in notes:
        if note.blocks:
            raise InvalidParameterValueException(
                f"The parameter {engine.settings}.{note.subject} is not valid: {note.message}."
            )
    return tuple(note for note in notes if note.subject not in EFFECTIVE)


def _role(members: Members) -> Role:
    return "target" if members.get("EndpointType") == "target" else "source"
