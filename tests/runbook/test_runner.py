"""A runbook without a person: how it ends, what it leaves, and that it runs once at a time."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops_lib.errors import InputError, WorkspaceError
from ops_lib.runbook import library, runner

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
PARAMETERS = 'workspace: str = "demo"  # where\ndays: int = 7  # how far back (days)\n'
BEGIN = "from ops_lib.runbook import session\nsession.show_errors_briefly()\n"


def _line(outcome: str) -> str:
    return f'print(\'{{"runbook": "probe", "outcome": "{outcome}", "days": %d}}\' % days)'


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of notebooks with one called probe; the test writes its cells."""
    monkeypatch.setattr(library, "folder", lambda name: tmp_path / name)
    (tmp_path / "notebooks").mkdir()
    return tmp_path / "notebooks" / "probe.ipynb"


def _write(path: Path, *cells: str) -> None:
    def cell(number: int, source: str, tags: list[str]) -> dict[str, object]:
        shape: dict[str, object] = {"cell_type": "code", "execution_count": None, "outputs": []}
        return {**shape, "id": f"c{number}", "metadata": {"tags": tags}, "source": source}

    made = [cell(0, PARAMETERS, ["parameters"]), *(cell(number, source, []) for number, source in enumerate(cells, 1))]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


def _run(folder: Path, **given: str) -> runner.RunRecord:
    return runner.run_runbook("probe", given, workspace="w", folder=folder, now=NOW)


@pytest.mark.req("R8")
@pytest.mark.req("R10")
def test_a_run_leaves_its_notebook_its_page_and_a_line_in_the_index(probe: Path, tmp_path: Path) -> None:
    """Parameters arrive typed, the outcome is what the notebook said last, and the index can be read back."""
    _write(
        probe,
        "import os, pathlib\npathlib.Path(os.environ['SYNCOPS_RUN_FOLDER'], 'report.html').write_text(workspace)",
        _line("findings"),
    )
    folder = tmp_path / "runs"
    record = _run(folder, days="3")
    assert (record.outcome, record.parameters, record.figures) == (
        "findings",
        {"workspace": "w", "days": 3},
        {"days": 3},
    )
    assert record.is_well
    assert record.when == "2026-11-23T09:00:00Z"
    own = folder / "probe-20261123T090000Z"
    assert (folder / record.notebook, folder / record.report) == (own / "probe.ipynb", own / "report.html")
    assert (folder / record.report).read_text() == "w"
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    page = (folder / record.html).read_text()
    assert "findings" in page
    assert '<script src="http' not in page
    assert runner.records(folder) == [record]
    assert "SYNCOPS_RUN_FOLDER" not in os.environ


def test_what_a_person_can_mend_blocks_and_shows_no_traceback(probe: Path, tmp_path: Path) -> None:
    """An error of the tree ends the run as blocked, with its message as the only line shown."""
    _write(
        probe,
        BEGIN + "from ops_lib.errors import InputError\nraise InputError('no such day', fix='write one.')",
        _line("ok"),
    )
    record = _run(tmp_path / "runs")
    assert (record.outcome, record.message) == ("blocked", "no such day. To mend it: write one.")
    assert not record.is_well
    cells = json.loads((tmp_path / "runs" / record.notebook).read_text())["cells"]
    errors = [output for cell in cells for output in cell.get("outputs", []) if output["output_type"] == "error"]
    assert [error["traceback"] for error in errors] == [["InputError: no such day. To mend it: write one."]]


def test_a_fault_of_ours_fails_with_its_traceback(probe: Path, tmp_path: Path) -> None:
    """Anything else is failed, and the notebook keeps where it happened."""
    _write(probe, BEGIN + "1 / 0", _line("ok"))
    record = _run(tmp_path / "runs")
    assert record.outcome == "failed"
    assert "ZeroDivisionError" in (tmp_path / "runs" / record.notebook).read_text()


def test_a_kernel_that_dies_is_a_failed_run(probe: Path, tmp_path: Path) -> None:
    """The run is in the index with its reason; nothing hangs."""
    _write(probe, "import os\nos._exit(1)", _line("ok"))
    record = _run(tmp_path / "runs")
    assert (record.outcome, record.message) == ("failed", "Kernel died")
    assert runner.records(tmp_path / "runs") == [record]


def test_a_notebook_that_does_not_say_how_it_ended_has_failed(probe: Path, tmp_path: Path) -> None:
    """Silence is no success; and another runbook's line is not its own."""
    _write(probe, 'print(\'{"runbook": "other", "outcome": "ok"}\')')
    record = _run(tmp_path / "runs")
    assert (record.outcome, record.message) == ("failed", "the notebook did not say how it ended")


def test_a_parameter_that_cannot_be_leaves_nothing_behind(probe: Path, tmp_path: Path) -> None:
    """It is refused before anything is run or written."""
    _write(probe, _line("ok"))
    with pytest.raises(InputError):
        _run(tmp_path / "runs", dayz="3")
    assert not (tmp_path / "runs").exists()


def test_the_same_runbook_does_not_run_twice_at_once(tmp_path: Path) -> None:
    """The second is refused while the first runs, and may run when it has ended."""
    lock = tmp_path / ".probe.lock"
    with runner.only_one(lock, "probe"), pytest.raises(WorkspaceError, match="running here already"):  # noqa: SIM117
        with runner.only_one(lock, "probe"):
            pass
    with runner.only_one(lock, "probe"):
        pass


def test_the_index_survives_a_line_that_was_cut_off(tmp_path: Path) -> None:
    """A machine that dies while a line is written costs that line alone; newest first."""
    records = [
        runner.RunRecord(f"2026-11-2{day}T09:00:00Z", "probe", "ok", 1.0, {}, {}, "", "n", "h", "") for day in (1, 2)
    ]
    lines = [json.dumps({name: getattr(record, name) for name in runner.RunRecord.__slots__}) for record in records]
    (tmp_path / runner.INDEX).write_text(lines[0] + "\n" + lines[1] + "\n" + lines[0][:40])
    assert [record.when[8:10] for record in runner.records(tmp_path)] == ["22", "21"]
    assert runner.records(tmp_path / "nowhere") == []
