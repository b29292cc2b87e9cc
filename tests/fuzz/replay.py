"""Show one message of a seed again: python -m tests.fuzz.replay TARGET SEED MESSAGE [COMPILED]"""

import sys
from typing import Any

from tests.fuzz.child import load


def replay(target: Any, seed: int, message: int) -> int:
    """Show the case that begins with a message, then decode it: what it raises is not caught."""
    number = 0
    for case in target.cases(seed):
        if number == message:
            sys.stdout.write(f"{case}\n")
            sys.stdout.flush()
            sys.stdout.write(f"{target.attempt(case)}\n")
            return 0
        if number > message:
            break
        try:
            number += target.attempt(case).messages
        except Exception:  # noqa: BLE001 - another finding of the same seed
            number += 1
    sys.stdout.write(f"no case of seed {seed} begins with message {message}\n")
    return 2


def main(name: str, seed: str, message: str, compiled: str = "") -> int:
    if compiled:
        load(compiled)
    from tests.fuzz.registry import targets

    return replay(targets()[name], int(seed), int(message))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
