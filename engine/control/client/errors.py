"""What can go wrong between a command and the daemon; each says what to do next. (pure)"""

from collections.abc import Mapping
from typing import Final

from engine.config.reach import KEY_ID, SECRET_KEY
from engine.errors import PenstockError

_KEYS: Final = f"check {KEY_ID} and {SECRET_KEY}: they must be a key that the daemon was given"


class UnreachableError(PenstockError):
    """No answer came; what was asked for may have been done or not."""


class RunningError(PenstockError):
    """What is asked for cannot be while something runs."""


class FaultError(PenstockError):
    """The daemon's refusal, under AWS's name of it. It may succeed at another time."""

    def __init__(self, code: str, message: str, *, about: str, hint: str = "") -> None:
        super().__init__(f"{about}: {message.rstrip('.')} [{code}]", hint=hint)
        self.code = code
        self.said = message


class WrongRequestError(FaultError):
    """A refusal of what was asked for: the same will be refused again."""

    exit_code = 2


_LATER: Final[Mapping[str, str]] = {
    "FailedDependencyFault": "",
    "InternalFailure": "the daemon's own log says why",
    "InvalidResourceStateFault": "",
    "ServiceUnavailableException": "try again in a moment",
    "StorageQuotaExceededFault": "",
    "ThrottlingException": "try again in a moment",
    "RequestTimeoutException": "try again",
}
"""Refusals that may end by themselves."""

_WRONG: Final[Mapping[str, str]] = {
    "AccessDeniedException": "use a key with the role admin",
    "IncompleteSignatureException": _KEYS,
    "InvalidSignatureException": f"{_KEYS}, and this machine's clock must be right",
    "MissingAuthenticationTokenException": f"the daemon has access keys: set {KEY_ID} and"
    f" {SECRET_KEY} to one of them",
    "UnrecognizedClientException": _KEYS,
    "UnknownOperationException": "the daemon may be of another version than this command",
}
"""What to do about others."""


def fault(code: str, message: str, *, about: str) -> FaultError:
    """The error of a refusal; `about` is what was asked for, and of whom."""
    if code in _LATER:
        return FaultError(code, message, about=about, hint=_LATER[code])
    return WrongRequestError(code, message, about=about, hint=_WRONG.get(code, ""))
