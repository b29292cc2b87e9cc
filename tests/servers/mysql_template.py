"""A freshly initialised data directory of MariaDB or MySQL, made once and copied per server.

MySQL writes an identifier of the server (auto.cnf) when it starts without one, so a template has
none; MariaDB has no such file. In both, `root` may log in from anywhere without a password.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.servers.mysql_programs import MysqlPrograms
from tests.servers.programs import CACHE, locked

MARIADB_TABLES: Final = (
    "*_system_tables.sql",
    "*_performance_tables.sql",
    "*_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "*_sys_schema.sql",
)
"""What MariaDB's system tables are made from, in this order; prefixes changed before 11."""

ROOT_FROM_ANYWHERE: Final = (
    "FLUSH PRIVILEGES;\nCREATE USER root@'%';\nGRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n"
)
"""One statement a line: that is how a starting server reads a file."""

INITIALISE_SECONDS_MAX: Final = 300.0
"""It takes four seconds; a busy machine, longer."""


def copy_mysql_template(name: str, programs: MysqlPrograms, data: Path) -> None:
    """Create `data` as the data directory of a new server."""
    shutil.copytree(_template(name, programs), data, copy_function=shutil.copyfile)
    data.chmod(0o700)


def fixed_options(programs: MysqlPrograms, data: Path) -> Sequence[str]:
    """What every start of a server says about the places of its files."""
    return (
        "--no-defaults",
        "--user=root",  # counts only for root, where it says: yes, I mean it
        f"--basedir={programs.base}",
        f"--datadir={data}",
        f"--plugin-dir={programs.plugins}",
        f"--lc-messages-dir={programs.share}",
        f"--character-sets-dir={programs.share / 'charsets'}",
        # Nothing has to outlive the machine.
        "--loose-innodb-flush-method=nosync",
        "--innodb-doublewrite=OFF",
    )


def _template(name: str, programs: MysqlPrograms) -> Path:
    label = f"data-{name.partition('-')[0]}-{programs.release}"
    folder = CACHE / label
    with locked(label):
        if not folder.exists():
            _initialise(programs, folder)
    return folder


def _initialise(programs: MysqlPrograms, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        data = Path(scratch) / "data"
        data.mkdir()
        script = Path(scratch) / "script.sql"
        if programs.mariadb:
            (data / "mysql").mkdir()
            script.write_text(_mariadb_script(programs))
            options = ["--bootstrap", "--innodb-log-file-size=32M"]
        else:
            script.write_text(ROOT_FROM_ANYWHERE)
            options = ["--initialize-insecure", "--auto-generate-certs=OFF"]
            options += [f"--init-file={script}", *_small_redo_log(programs)]
        with script.open("rb") as lines:
            done = subprocess.run(
                [*programs.command, *fixed_options(programs, data), *options],
                cwd=scratch,
                stdin=lines,
                capture_output=True,
                text=True,
                timeout=INITIALISE_SECONDS_MAX,
            )
        if done.returncode != 0:
            raise RuntimeError(f"initialising {programs.release} failed: {done.stderr[-2000:]}")
        (data / "auto.cnf").unlink(missing_ok=True)
        data.rename(folder)


def _small_redo_log(programs: MysqlPrograms) -> Sequence[str]:
    old = programs.release.startswith("8.0.1")  # one setting since 8.0.30
    return ["--innodb-log-file-size=16M" if old else "--innodb-redo-log-capacity=32M"]


def _mariadb_script(programs: MysqlPrograms) -> str:
    files = [next(programs.share.glob(pattern)) for pattern in MARIADB_TABLES]
    return "".join(
        ("use mysql;\n", *(file.read_text() for file in files), ROOT_FROM_ANYWHERE),
    )
