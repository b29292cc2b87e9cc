"""Who a request is from, by its signature or its token. A refusal is logged with the peer."""

import re
from typing import Final

from engine.control.api import sigv4
from engine.control.api.faults import (
    Fault,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from engine.control.api.keys import ANYBODY, Identity, Keyring
from engine.machine import Clock
from engine.observe.log import Log

_LOOPBACK: Final = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?")


class Callers:
    """Knows callers by a daemon's keys. `peer` is the address a request came from."""

    def __init__(self, keys: Keyring, clock: Clock, log: Log, *, skew_seconds: float) -> None:
        self._keys = keys
        self._clock = clock
        self._log = log
        self._skew_seconds = skew_seconds

    def signed(self, request: sigv4.Request, peer: str) -> Identity:
        """Whose signature a request has. Raises a fault of AWS's names."""
        try:
            return self._signed(request)
        except Fault as fault:
            self._refused(fault, peer)
            raise

    def known(self, request: sigv4.Request, peer: str) -> Identity:
        """Whose token or signature a request of our own routes has. Raises a fault."""
        authorization = dict(request.headers).get("authorization", "")
        if not authorization.lower().startswith("bearer "):
            return self.signed(request, peer)
        identity = self._keys.bearer(authorization)
        if identity is None:
            fault = UnrecognizedClientException("The bearer token of the request is not known.")
            self._refused(fault, peer)
            raise fault
        return identity

    def bearer(self, authorization: str, peer: str) -> Identity:
        """Whose token a header has, where nothing is signed: `/metrics`. Raises a fault."""
        identity = self._keys.bearer(authorization)
        if identity is None:
            fault = MissingAuthenticationTokenException("A bearer token is needed here.")
            self._refused(fault, peer)
            raise fault
        return identity

    def _signed(self, request: sigv4.Request) -> Identity:
        if not self._keys.open:
            key_id = sigv4.verify(
                request, self._keys.secret, now=self._clock.wall(), skew=self._skew_seconds
            )
            return self._keys.identity(key_id)
        # A page in a browser can reach loopback too, but by a name of its own.
        if _LOOPBACK.fullmatch(dict(request.headers).get("host", "")) is None:
            raise InvalidSignatureException(
                "Without access keys only requests to localhost are answered: give the daemon one."
            )
        return ANYBODY

    def _refused(self, fault: Fault, peer: str) -> None:
        self._log.warning(
            "a request was refused", action="api.refused", result=fault.code, peer=peer
        )
