"""What can go wrong with the daemon's own store; the API has a fault for each class.

StateError
|-- StoreFormatError          never    operator: another program's file, or of a newer Penstock
|-- StoreFullError            backoff  operator frees space; nothing of the transaction is stored
|-- StoreBusyError            backoff  another writer kept its turn for too long; nothing is stored
|-- StoreConnectionError      backoff  the store's server cannot be reached; nothing is stored
|   `-- StoreOutcomeUnknownError       the link broke during COMMIT: read before trying again
`-- LeaseLostError            never    another daemon acts on this store; nothing is stored
RecordError
|-- DuplicateError(kind, what, value)  `what` is "id" or "name"
|-- GoneError(kind, id)                there is no such record (any more)
`-- StaleError(kind, id)               somebody else has changed it since it was read
"""

from engine.errors import PenstockError, Retry, StateError


class StoreFormatError(StateError):
    """What was found there is not a store this version can use; it was left as it is."""

    retry = Retry.NEVER
    exit_code = 3


class StoreFullError(StateError):
    """There is no room for what was to be stored; nothing of the transaction is."""


class StoreBusyError(StateError):
    """Other writers did not let this one have its turn in time; nothing of it is stored."""


class StoreConnectionError(StateError):
    """The server that holds the store cannot be reached; nothing of the transaction is stored."""


class StoreOutcomeUnknownError(StoreConnectionError):
    """The link broke while a transaction was being committed, and the server could not be asked
    what became of it: all of it is stored, or nothing."""


class LeaseLostError(StateError):
    """Another daemon has taken over: whoever passed the older number may not write any more."""

    retry = Retry.NEVER
    exit_code = 3


class RecordError(PenstockError):
    """A transaction asked for something the records do not allow; it may go on or end."""


class DuplicateError(RecordError):
    """There is one of this kind with this id or name. `what` says which: "id" or "name"."""

    def __init__(self, kind: str, what: str, value: str) -> None:
        super().__init__(f"there is already {_article(kind)} with the {what} {value}")
        self.kind = kind
        self.what = what
        self.value = value


class GoneError(RecordError):
    """There is no record of this kind and id."""

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"there is no {kind} {id}")
        self.kind = kind
        self.id = id


class StaleError(RecordError):
    """The record has been changed since the caller read it; read it again, then decide."""

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"the {kind} {id} has been changed by somebody else in the meantime")
        self.kind = kind
        self.id = id


def _article(kind: str) -> str:
    return f"an {kind}" if kind[:1] in "aeiou" else f"a {kind}"
