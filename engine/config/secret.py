"""A value that must never be printed, logged or stored."""

import hmac
from typing import Final, NoReturn

MASK: Final = "***"


class Secret:
    """Holds a password. Every text form of it is `***`; only `reveal` gives it out.

    No serialiser accepts it: it is neither a string nor a dataclass, and refuses to be pickled.
    Copies are the same object.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The value itself, for a driver's connect call and nothing else."""
        return self.__value

    def __repr__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    def __hash__(self) -> int:
        return hash(Secret)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be serialised")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be serialised")
