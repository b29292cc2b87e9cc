"""Daemons on machines of their own, as far as they can tell: with another host name (a namespace of
the kernel's), and workers that outlive their daemon, as those behind a cut network seem to.

See: unshare(1), prctl(2) PR_SET_CHILD_SUBREAPER.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.scenario.running import PENSTOCK

PR_SET_CHILD_SUBREAPER: Final = 36

LASTING: Final = """
import engine.parent
from engine.observe.report import ReportPipe

def flush(pipe, flush=ReportPipe._flush):
    done, pipe.broken = flush(pipe), False
    return done

engine.parent.die_with = lambda parent: None
ReportPipe._flush = flush
"""
"""What a process of Python's imports first: nothing ends it with its parent."""


def on_machine(name: str) -> Sequence[str]:
    """The command of `penstock` there; skips the test where there can be none."""
    words = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("hostname") is None:
        pytest.skip("a host name of its own needs root, unshare and hostname")
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("no namespace can be made here")
    return [*words, *PENSTOCK]


def lasting(folder: Path) -> dict[str, str]:
    """The environment of a daemon whose workers outlive it."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LASTING)
    return {"PYTHONPATH": str(folder)}


@contextlib.contextmanager
def orphans() -> Iterator[None]:
    """Processes whose parents end become children of this one: it can wait for them."""
    process = ctypes.CDLL(None, use_errno=True)
    process.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        process.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
