"""Builds the compiled loops beside their source: `python -m connectors._interchange.build_compiled`

Never fails an installation: without a C compiler or Python's headers it says so and ends well, and
the loops in Python are used.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("_accelerated.c")

FLAGS: Final = ("-std=c11", "-O2", "-fPIC", "-shared", "-fno-strict-aliasing", "-Wall", "-Wextra",
                "-Wno-unused-parameter", "-Wno-missing-field-initializers",
                "-Wno-cast-function-type")  # fmt: skip


def target() -> Path:
    """Where this interpreter looks for the module."""
    return SOURCE.with_name(f"_accelerated{sysconfig.get_config_var('EXT_SUFFIX')}")


def build() -> str:
    """Compile if the source is newer; what came of it, as a sentence."""
    built = target()
    if built.exists() and built.stat().st_mtime >= SOURCE.stat().st_mtime:
        return f"{built.name} is up to date"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()
    include = f"-I{sysconfig.get_path('include')}"
    part = built.with_suffix(".part")
    command = [*compiler, *FLAGS, include, str(SOURCE), "-o", str(part)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"no compiled loops, Python's are used: {error}"
    if done.returncode:
        part.unlink(missing_ok=True)
        reason = done.stderr.strip().splitlines()[:1]
        return f"no compiled loops, Python's are used: {reason[0] if reason else compiler[0]}"
    part.replace(built)
    return f"built {built.name}"


if __name__ == "__main__":
    sys.stdout.write(build() + "\n")
