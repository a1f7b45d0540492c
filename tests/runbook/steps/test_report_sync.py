"""The steps of the report's notebook."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops_lib.errors import InputError, NotThere
from ops_lib.runbook.session import Opened
from ops_lib.runbook.steps.report_sync import Steps
from ops_lib.workspace import Workspace
from tests.reports.conftest import customer
from tests.reports.customer import ALICE, Customer, at

__all__ = ["customer"]


@pytest.fixture
def run(customer: Customer) -> Steps:
    """The report's notebook after its first call."""
    return Steps("report_sync", Opened(customer.workspace))


def test_a_report_ends_in_one_line_without_times_or_paths(run: Steps, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_an_outcome_is_one_of_four(run: Steps) -> None:
    """A misspelt outcome would decide an exit code."""
    with pytest.raises(InputError, match="fine is no outcome"):
        run.finish("fine")


def test_a_step_before_reading_says_what_to_run_first(run: Steps) -> None:
    """Cells run out of order are answered with the right order."""
    with pytest.raises(InputError, match=r"run\.read"):
        run.accounts()


@pytest.mark.parametrize(("parameter", "value"), [("week_of", "yesterday"), ("days", 0)])
def test_a_parameter_that_cannot_be_is_named(run: Steps, parameter: str, value: object) -> None:
    """The message names the parameter."""
    with pytest.raises(InputError, match=parameter):
        run.read(**{parameter: value})  # type: ignore[arg-type]


def test_an_unknown_user_is_refused(run: Steps) -> None:
    """Nobody's week is drawn for a misspelt address."""
    with pytest.raises(NotThere, match=r"nobody@example\.test"):
        run.read(user="nobody@example.test")


def test_every_step_gives_something_to_look_at(run: Steps, customer: Customer) -> None:
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


def test_the_report_is_written_where_the_run_belongs(
    run: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner says where; the cell's words name no path of this machine."""
    run.read(user=ALICE)
    said = repr(run.report())
    assert str(tmp_path) not in said
    assert (run.workspace.path / "reports" / "report_sync" / "report.html").exists()
    monkeypatch.setenv("SYNCOPS_RUN_FOLDER", str(tmp_path / "own"))
    assert Steps("report_sync", run.opened).folder == tmp_path / "own"


def test_without_an_account_it_says_why_it_is_blocked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A workspace that was just made has nothing to report on."""
    workspace = Workspace.create(tmp_path / "new")
    run = Steps("report_sync", Opened(workspace))
    run.read()
    run.finish(run.outcome())
    workspace.close()
    said = json.loads(capsys.readouterr().out)
    assert (said["outcome"], said["message"]) == ("blocked", "there is no account to report on")
