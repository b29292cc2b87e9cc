"""Transaction ids of 32 bits, as locks name them, beside those of 64."""

import pytest

from connectors.postgres.running_transactions import widened

EPOCH = 1 << 32


@pytest.mark.parametrize(
    ("xid", "near", "wide"),
    [
        (5, 5, 5),
        (7, 5, 7),
        (3, 5, 3),
        (5, EPOCH + 9, EPOCH + 5),
        (EPOCH - 2, EPOCH + 9, EPOCH - 2),
        (3, 3 * EPOCH - 2, 3 * EPOCH + 3),
    ],
)
def test_an_id_is_widened_to_the_nearest(xid: int, near: int, wide: int) -> None:
    assert widened(xid, near) == wide
