"""Whatever parses bytes or text, under inputs that are right, nearly right, and wrong."""

from tests.fuzz.campaign import run

__all__ = ["run"]
