"""Draft the next revision from the difference between the tables and the revisions so far."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command

from ops_lib.database.engine import Database
from ops_lib.database.migrations import REVISIONS, alembic_configuration


def main() -> int:
    if len(sys.argv) != 2:
        sys.stderr.write('usage: python -m ops_lib.database.migrations "what changes"\n')
        return 2
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'draft.db'}")
        with database.begin() as connection:
            command.revision(
                alembic_configuration(connection),
                message=sys.argv[1],
                autogenerate=True,
                rev_id=f"{len(REVISIONS) + 1:04d}",
            )
        database.close()
    return 0


sys.exit(main())
