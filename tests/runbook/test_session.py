"""A notebook's first call."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_lib import runbook
from ops_lib.errors import InputError, NotThere
from ops_lib.runbook import library, session
from ops_lib.workspace import Workspace


@pytest.mark.parametrize("stem", library.stems())
def test_every_notebook_has_its_steps(stem: str) -> None:
    """A module named as the notebook holds the class with its steps."""
    assert issubclass(session.steps_of(stem), session.Run)


@pytest.mark.parametrize("stem", ["report_snyc", "..secrets", "os"])
def test_a_runbook_without_steps_is_refused(stem: str) -> None:
    """A misspelt name in a notebook is one message, and a name leads to no other module."""
    with pytest.raises(NotThere, match="has no steps"):
        session.steps_of(stem)


def test_a_real_workspace_is_opened_by_its_folder_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty parameter means the workspace that was chosen outside."""
    Workspace.create(tmp_path / "real").close()
    assert runbook.start("report_sync", str(tmp_path / "real")).workspace.path == tmp_path / "real"
    monkeypatch.setenv("SYNCOPS_WORKSPACE", str(tmp_path / "real"))
    assert runbook.start("report_sync", "").workspace.path == tmp_path / "real"


def test_recorded_traffic_is_refused_clearly() -> None:
    """A cassette is not quietly taken for a folder."""
    with pytest.raises(InputError, match="recorded traffic"):
        runbook.start("report_sync", "cassette:report_sync/healthy.yaml")
