"""A notebook's first and last call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops_lib import runbook
from ops_lib.errors import InputError, NotThere
from ops_lib.runbook.session import Run
from ops_lib.workspace import Workspace
from tests.reports.conftest import customer
from tests.reports.customer import ALICE, Customer, at

__all__ = ["customer"]


@pytest.fixture
def run(customer: Customer) -> Run:
    """The report's notebook after its first call."""
    return Run("report_sync", customer.workspace)


def test_a_report_ends_in_one_line_without_times_or_paths(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line is JSON: the runbook, the outcome, and figures that are the same on every machine."""
    run.read(user=ALICE)
    run.finish(run.outcome())
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert json.loads(said) == {
        "runbook": "report_sync",
        "outcome": "ok",
        "calendars": 2,
        "need_somebody": 0,
        "in_step": 5,
        "left_out": 2,
        "failed": 0,
        "parted": 0,
    }


def test_an_outcome_is_one_of_four(run: Run) -> None:
    """A misspelt outcome would decide an exit code."""
    with pytest.raises(InputError, match="fine is no outcome"):
        run.finish("fine")


def test_a_step_before_reading_says_what_to_run_first(run: Run) -> None:
    """Cells run out of order are answered with the right order."""
    with pytest.raises(InputError, match=r"run\.read"):
        run.accounts()


@pytest.mark.parametrize(("parameter", "value"), [("week_of", "yesterday"), ("days", 0)])
def test_a_parameter_that_cannot_be_is_named(run: Run, parameter: str, value: object) -> None:
    """The message names the parameter."""
    with pytest.raises(InputError, match=parameter):
        run.read(**{parameter: value})  # type: ignore[arg-type]


def test_an_unknown_user_is_refused(run: Run) -> None:
    """Nobody's week is drawn for a misspelt address."""
    with pytest.raises(NotThere, match=r"nobody@example\.test"):
        run.read(user="nobody@example.test")


def test_every_step_gives_something_to_look_at(run: Run, customer: Customer) -> None:
    """Tables are numbered from 1, and what is empty is said in words."""
    customer.event("Just booked", at(23, 13))
    assert "1 entry of the drawn week" in repr(run.read())
    assert run.accounts()["mailbox"].tolist() == [ALICE, "bob@example.test"]
    assert run.accounts().index.tolist() == [1, 2]
    changes = run.changes()
    assert changes.loc[1, "what_was_done"] == "2 made in Outlook, 3 made in the CRM"  # type: ignore[union-attr]
    assert run.week().loc[1, ["title", "state"]].tolist() == ["Just booked", "exchange only"]
    assert repr(run.failures()) == "No entry failed."
    assert len(run.skipped()) == 2  # type: ignore[arg-type]
    assert run.outcome() == "findings"
    assert set(run.draw_week()._repr_mimebundle_()) == {"image/svg+xml", "text/plain"}  # type: ignore[union-attr]


def test_the_report_is_written_where_the_run_belongs(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner says where; the cell's words name no path of this machine."""
    run.read(user=ALICE)
    said = repr(run.report())
    assert str(tmp_path) not in said
    assert (run.workspace.path / "reports" / "report_sync" / "report.html").exists()
    monkeypatch.setenv("SYNCOPS_RUN_FOLDER", str(tmp_path / "own"))
    assert Run("report_sync", run.workspace).folder == tmp_path / "own"


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
