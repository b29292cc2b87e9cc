"""The compiled loops built with the compiler's own checks on: addresses and undefined behaviour."""

import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors._interchange.build_compiled import FLAGS, SOURCE

CACHE: Final = Path(__file__).parents[2] / ".cache" / "fuzz"

CHECKS: Final = ("-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g", "-O1")

ENVIRONMENT: Final = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
    "PYTHONMALLOC": "malloc",
}
"""Python's own allocator hides what runs over the end of an object; leaks are seen by growth."""


@dataclass(frozen=True)
class Build:
    """Another build of the compiled loops, and the environment that a process needs for it."""

    module: Path
    environment: Mapping[str, str]


class NoSanitizerError(Exception):
    """The compiler is not there or has no sanitizers."""


def build(source: Path = SOURCE, folder: Path = CACHE, checks: Sequence[str] = CHECKS) -> Build:
    """Compile. Raises NoSanitizerError."""
    folder.mkdir(parents=True, exist_ok=True)
    built = folder / f"_accelerated{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = f"-I{sysconfig.get_path('include')}"
    _said([*_compiler(), *FLAGS, *checks, include, str(source), "-o", str(built)])
    if not checks:
        return Build(built, {})
    library = _said([*_compiler(), "-print-file-name=libasan.so"])
    return Build(built, {**ENVIRONMENT, "LD_PRELOAD": library})


def _compiler() -> list[str]:
    return (sysconfig.get_config_var("CC") or "cc").split()


def _said(words: list[str]) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except OSError as error:
        raise NoSanitizerError(f"no compiler: {error}") from error
    except subprocess.CalledProcessError as error:
        raise NoSanitizerError(error.stderr) from error
    return done.stdout.strip()
