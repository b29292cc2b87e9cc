"""One process that decodes: it may die of what it is given, and then says how far it came.

python -m tests.fuzz.child JOBS PROGRESS [COMPILED]

JOBS is a list of jobs in JSON; a line of JSON is printed for each. PROGRESS is a file that always
holds the running job and the message it is at. COMPILED is another build of the compiled loops.
"""

import json
import mmap
import resource
import struct
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final

PROGRESS: Final = struct.Struct("<QQ")

ADDRESS_SPACE_BYTES_MAX: Final = 2 << 30
"""What a process may map: a length that lies ends in MemoryError, which is a finding."""

GROWTH_BYTES_MAX: Final = 64 << 20
"""How far its memory may rise above where a job began. Inputs are a few 100 KB at most, what is
remembered of relations a few 10 MB."""

FINDINGS_MAX: Final = 5
"""Findings after which a job ends: more say nothing new."""

COMPILED_NAME: Final = "connectors._interchange._accelerated"


@dataclass
class Tally:
    """What a job came to. `findings` are pairs of a message's number and what happened there."""

    messages: int = 0
    refused: int = 0
    seconds: float = 0.0
    peak_mib: float = 0.0
    findings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])


def decode(target: Any, seed: int, messages: int, at: Any) -> Tally:
    """Decode that many messages of a seed; `at` is called with the number of each case's first."""
    tally = Tally()
    started = time.perf_counter()
    for case in target.cases(seed):
        at(tally.messages)
        try:
            done, refused = target.attempt(case)
        except Exception:  # noqa: BLE001 - whatever it is, it is what we are here to find
            tally.findings.append((tally.messages, traceback.format_exc(limit=-6)))
            done, refused = 1, 0
            if len(tally.findings) >= FINDINGS_MAX:
                break
        tally.messages += done
        tally.refused += refused
        if tally.messages >= messages:
            break
    tally.seconds = time.perf_counter() - started
    return tally


def measured(target: Any, seed: int, messages: int, at: Any) -> Tally:
    """The same, and its memory; growth beyond the limit is a finding of the last message."""
    _forget_peak()
    before = memory("VmRSS")
    tally = decode(target, seed, messages, at)
    peak = memory("VmHWM")
    tally.peak_mib = round(peak / (1 << 20), 1)
    if peak - before > GROWTH_BYTES_MAX:
        grown = f"memory rose by {(peak - before) >> 20} MiB, more than {GROWTH_BYTES_MAX >> 20}"
        tally.findings.append((tally.messages, grown))
    return tally


def memory(which: str) -> int:
    """A line of the kernel's account of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == which:
            return int(value.split()[0]) << 10
    raise LookupError(which)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def load(compiled: str) -> None:
    """Take another build for the compiled loops of this process."""
    loader = ExtensionFileLoader(COMPILED_NAME, compiled)
    spec = spec_from_file_location(COMPILED_NAME, compiled, loader=loader)
    assert spec is not None
    sys.modules[COMPILED_NAME] = module_from_spec(spec)
    loader.exec_module(sys.modules[COMPILED_NAME])


def main(jobs: str, progress: str, compiled: str = "") -> None:
    if compiled:
        load(compiled)
    else:
        limits = (ADDRESS_SPACE_BYTES_MAX, ADDRESS_SPACE_BYTES_MAX)
        resource.setrlimit(resource.RLIMIT_AS, limits)
    from tests.fuzz.registry import targets

    with Path(progress).open("r+b") as file, mmap.mmap(file.fileno(), PROGRESS.size) as place:
        for index, (name, seed, messages) in enumerate(json.loads(jobs)):

            def at(number: int, index: int = index) -> None:
                PROGRESS.pack_into(place, 0, index, number)

            at(0)
            tally = (decode if compiled else measured)(targets()[name], seed, messages, at)
            sys.stdout.write(json.dumps(asdict(tally)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
