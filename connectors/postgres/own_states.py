"""SQLSTATEs that the functions of schema `penstock` raise. (pure)

Class PN is of the kind the standard leaves to implementations and PostgreSQL does not use.
"""

from typing import Final

FENCE_FAILED: Final = "PN001"
"""The compare-and-set of a lane's checkpoint row changed nothing."""

ROW_MISSING: Final = "PN002"
"""A statement changed fewer rows than it was sent."""

ROW_AMBIGUOUS: Final = "PN003"
"""A statement changed more rows than it was sent."""

SHAPE_CHANGED: Final = "PN004"
"""A table no longer has the columns that a plan was made for."""
