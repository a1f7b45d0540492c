"""The steps of the analysts' notebook, and its ten questions asked of whatever was recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ops_lib.errors import InputError
from ops_lib.runbook import library
from ops_lib.runbook.session import Opened
from ops_lib.runbook.steps.analyse_failures import Steps
from ops_lib.workspace import Workspace
from tests.reports.conftest import customer
from tests.reports.customer import ALICE, BOB, Customer

__all__ = ["customer"]

STEM = "analyse_failures"


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Workspace]:
    with closing(Workspace.create(tmp_path / "empty")) as workspace:
        yield workspace


def _asked(run: Steps) -> dict[str, Any]:
    """Every cell of the notebook after its first call, run in order."""
    cells = json.loads(library.notebook(STEM).read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {"run": run, "days": 7}
    for cell in [each for each in cells if each["cell_type"] == "code"][2:]:
        exec("".join(cell["source"]), names)
    return names


@pytest.mark.req("R5")
def test_the_questions_find_what_failed(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    """A mailbox that fails in every cycle is open and new; one that recovered is over; the well one is in no table."""
    customer.sandbox.faults.add({"mailbox": BOB, "fault": {"response_code": "ErrorNonExistentMailbox"}})
    customer.cycle()
    names = _asked(Steps(STEM, Opened(customer.workspace)))
    assert list(names["still"]["mailbox"]) == [BOB]
    assert list(names["new"]["cause"]) == ["ErrorNonExistentMailbox"]
    assert names["hosts"].loc["company", "failed"] == 1
    assert ALICE not in names["tables"].incidents.to_csv()
    assert json.loads(capsys.readouterr().out) == {
        "runbook": STEM,
        "outcome": "findings",
        "cycles": 4,
        "failed_cycles": 1,
        "incidents": 1,
        "open": 1,
        "entries": 0,
    }


@pytest.mark.req("R5", "R8")
def test_every_question_can_be_asked_where_nothing_ran(empty: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty workspace answers with empty tables, and ends as blocked with the reason."""
    names = _asked(Steps(STEM, Opened(empty)))
    assert names["still"].empty
    said = json.loads(capsys.readouterr().out)
    assert (said["outcome"], said["message"]) == ("blocked", "no cycle has run in that time")


def test_without_failures_it_is_well(customer: Customer) -> None:
    """A good cycle and nothing else."""
    run = Steps(STEM, Opened(customer.workspace))
    run.read()
    assert run.outcome() == "ok"


@pytest.mark.parametrize("days", [0, -1, 10**6])
def test_days_that_cannot_be_are_named(days: int, empty: Workspace) -> None:
    """The message names the parameter."""
    with pytest.raises(InputError, match="days"):
        Steps(STEM, Opened(empty)).read(days=days)


@pytest.mark.parametrize("step", ["draw_causes", "keep", "outcome"])
def test_a_step_before_reading_says_what_to_run_first(step: str, empty: Workspace) -> None:
    """Cells run out of order are answered with the right order."""
    with pytest.raises(InputError, match=r"run\.read"):
        getattr(Steps(STEM, Opened(empty)), step)()
