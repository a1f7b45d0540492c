"""A notebook through papermill on recorded traffic: no server, no workspace, nobody at the keyboard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def _run(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SYNCOPS_")}
    done = subprocess.run(
        [sys.executable, "-m", "ops_lib.cli", "run", *arguments, "--json"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


@pytest.mark.req("R3", "R8", "T5")
@pytest.mark.parametrize(
    ("name", "outcome", "sub_cause"), [("secret_expired", "findings", "secret_expired"), ("well", "ok", "")]
)
def test_a_cassette_is_diagnosed_by_its_name(name: str, outcome: str, sub_cause: str, tmp_path: Path) -> None:
    """The run ends in the scenario's own cause, with exit code 0, and keeps the facts beside the executed notebook."""
    code, record, said = _run(tmp_path, "diagnose_status", "-p", f"workspace=cassette:{name}")
    assert code == 0, said
    assert (record["outcome"], record["figures"]["sub_cause"]) == (outcome, sub_cause)
    assert (Path(record["folder"]) / record["run"] / "facts.json").is_file()


def test_a_cassette_that_is_not_there_is_said_before_anything_runs(tmp_path: Path) -> None:
    """Exit code 2, the nearest name, no run in the index."""
    code, record, said = _run(tmp_path, "diagnose_status", "-p", "workspace=cassette:wel")
    assert (code, record) == (2, {})
    assert "did you mean well" in said
