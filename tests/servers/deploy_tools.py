"""Programs that judge files under `deploy` and `docker`: of `make check-deploy`, or of PATH."""

import shutil
from pathlib import Path
from typing import Final

import pytest

TOOLS: Final = Path(__file__).resolve().parents[2] / ".cache" / "deploy-tools" / "bin"


def tool(name: str) -> str:
    """The program; its test is skipped where it is not."""
    found = shutil.which(name, path=TOOLS) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine; `make check-deploy` gets it")
    return found
