"""A certificate as it is stored. (pure)

Its id is the user's identifier in lower case.
"""

from typing import Final

from engine.control.resources.document import Stored

KIND: Final = "certificate"


class Certificate(Stored, frozen=True, kw_only=True):
    """Certificates of an authority. They are public: nothing of them is sealed."""

    name: str
    """As the user wrote it."""
    pem: str
    """Text of one or several, as it was given; what is told of them is told of the first."""
    kms_key: str = ""
    valid_from: float = 0.0
    """Seconds since 1970; so is `valid_to`."""
    valid_to: float = 0.0
    signing_algorithm: str = ""
    key_bits: int = 0
