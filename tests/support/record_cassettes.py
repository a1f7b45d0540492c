"""Makes `cassettes/diagnose_status/`: every planted fault, diagnosed on the sandbox, captured and scrubbed. ``make cassettes`` runs it.

Names on the command line make only those. What a cassette is expected to come to is said in one place, `tests/support/planted.py`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import stamina

from ops_lib.access.vault_keys import KEY_VARIABLE, Key
from ops_lib.diagnosis.capturing import capture
from ops_lib.mailbox.traffic import cassettes
from ops_lib.sandbox.server import Sandbox
from tests.support.planted import PLANTED, Scene
from tests.support.sandbox import forget_tokens

FOLDER = Path(__file__).parents[2] / "cassettes" / "diagnose_status"


def record(names: list[str]) -> None:
    """Plant, run the cycles, diagnose and write, one after the other."""
    unknown = sorted(set(names) - {each.name for each in PLANTED})
    if unknown:
        sys.exit(f"nothing is planted under the name {', '.join(unknown)}; see tests/support/planted.py")
    os.environ[KEY_VARIABLE] = Key.new().text()
    for name in ("SYNCOPS_WORKSPACE", "SYNCOPS_DATABASE_URL", "SYNCOPS_NOW"):
        os.environ.pop(name, None)
    stamina.set_testing(True, attempts=4, cap=True)  # the tries, without the pauses between them
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as folder:
        offers = sandbox.gate.offers
        for planted in PLANTED:
            if names and planted.name not in names:
                continue
            sandbox.reset()
            sandbox.gate.offers = offers
            forget_tokens()
            place = Path(folder) / planted.name
            place.mkdir()
            with Scene(sandbox, place, planted) as scene:
                scene.play()
                forget_tokens()  # as another process would: what the directory says is to be in the file
                made = capture(scene.workspace, scene.account, probe_seconds=2.0)
            file = FOLDER / f"{planted.name}.yaml"
            cassettes.write(made.cassette, file, over=True)
            file.chmod(0o644)  # nothing in it is anybody's
            print(f"{file.relative_to(FOLDER.parents[1])}: {file.stat().st_size // 1024} KB, {made.requests} requests")


if __name__ == "__main__":
    record(sys.argv[1:])
