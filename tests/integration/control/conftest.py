"""The file that the fake workers read."""

from pathlib import Path

import pytest

FILE = """
[replication]
id = "orders"
[source]
engine = "memory"
[target]
engine = "memory"
"""


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    file = tmp_path / "orders.toml"
    file.write_text(FILE)
    return file
