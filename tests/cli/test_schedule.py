"""`syncops schedule`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops_lib.cli import app
from ops_lib.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace at a fixed moment: Friday, 27 November 2026, noon in New York."""
    monkeypatch.setenv("SYNCOPS_NOW", "2026-11-27T17:00:00Z")
    Workspace.create(tmp_path / "w").close()
    file = tmp_path / "w" / "syncops.toml"
    file.write_text(file.read_text().replace('"UTC"', '"America/New_York"'))
    return tmp_path / "w"


def _schedule(workspace: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["--workspace", str(workspace), "schedule", *arguments])


@pytest.mark.req("R10")
def test_what_runs_by_itself_is_listed_in_the_workspaces_zone(workspace: Path) -> None:
    """Monday to Friday means Monday to Friday; without a subcommand it is the list."""
    listed = {row["runbook"]: row for row in json.loads(_schedule(workspace, "--json").stdout)}
    assert listed["report_sync"] == {
        "runbook": "report_sync",
        "title": "Are the calendars in step, and where are they not?",
        "cron": "0 6 * * 1-5",
        "time_zone": "America/New_York",
        "parameters": {"days": 1},
        "next": "2026-11-30T11:00:00Z",
        "last": None,
    }
    assert "days=1" in _schedule(workspace, "list").stdout


def test_what_comes_next_is_told_in_its_zone(workspace: Path) -> None:
    """As many as were asked for, the earliest first."""
    coming = json.loads(_schedule(workspace, "next", "-n", "2", "--only", "report_sync", "--json").stdout)
    assert coming == [
        {"due": "2026-11-30T11:00:00Z", "runbook": "report_sync"},
        {"due": "2026-12-01T11:00:00Z", "runbook": "report_sync"},
    ]
    assert "Mon 2026-11-30 06:00 America/New_York" in _schedule(workspace, "next").stdout


def test_a_runbook_without_a_schedule_is_refused(workspace: Path) -> None:
    """One line, exit code 2."""
    result = _schedule(workspace, "next", "--only", "report_snyc")
    assert result.exit_code == 2
    assert "did you mean report_sync?" in result.stderr
