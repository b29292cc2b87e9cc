"""`python -m tests.servers.mariadb_program`: a `mariadbd` for the demo, as one program.

A privately unpacked server has to be told its loader, libraries and folders; the demo knows of
programs alone. Prints the path, or nothing where no server can be had; the reason goes to standard
error.
"""

import shlex
import sys
from pathlib import Path
from typing import Final

from tests.servers.mysql_programs import find_mysql
from tests.servers.programs import CACHE, ServerUnavailableError

NAME: Final = "mariadb-10.11"


def written(folder: Path) -> Path:
    """The program in this folder. Raises ServerUnavailableError."""
    programs = find_mysql(NAME)
    words = shlex.join(
        [
            *programs.command,
            "--no-defaults",
            f"--basedir={programs.base}",
            f"--plugin-dir={programs.plugins}",
            f"--lc-messages-dir={programs.share}",
            f"--character-sets-dir={programs.share / 'charsets'}",
        ]
    )
    program = folder / "mariadbd"
    scratch = folder / "mariadbd.new"
    # --no-defaults comes first, so it is taken away from where the demo says it.
    scratch.write_text(f'#!/bin/sh\nshift\nexec {words} "$@"\n')
    scratch.chmod(0o755)
    scratch.rename(program)
    return program


def main() -> int:
    """Print where it is."""
    try:
        sys.stdout.write(f"{written(CACHE)}\n")
    except ServerUnavailableError as reason:
        sys.stderr.write(f"{reason}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
