"""A runbook without a person: how it ends, what it leaves, and that it runs once at a time."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops_lib.errors import InputError, WorkspaceError
from ops_lib.runbook import library, runner, runs

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
        if source.startswith("## "):
            return {"cell_type": "markdown", "id": f"c{number}", "metadata": {}, "source": source}
        shape: dict[str, object] = {"cell_type": "code", "execution_count": None, "outputs": []}
        return {**shape, "id": f"c{number}", "metadata": {"tags": tags}, "source": source}

    made = [cell(0, PARAMETERS, ["parameters"]), *(cell(number, source, []) for number, source in enumerate(cells, 1))]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


def _run(folder: Path, **given: str) -> runs.RunRecord:
    return runner.run_runbook(runner.Wish("probe", {"workspace": "w", **given}), folder=folder, now=NOW)


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
    assert runs.records(folder) == [record]
    assert record.ended >= record.when
    assert set(record.sha256) == {"probe.ipynb", "probe.html", "report.html"}
    assert {stat.S_IMODE((own / name).stat().st_mode) for name in record.sha256} == {0o400}
    assert runs.altered(folder, record) == []
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
    assert runs.records(tmp_path / "runs") == [record]


def test_a_notebook_that_does_not_say_how_it_ended_has_failed(probe: Path, tmp_path: Path) -> None:
    """Silence is no success; and another runbook's line is not its own."""
    _write(probe, 'print(\'{"runbook": "other", "outcome": "ok"}\')')
    record = _run(tmp_path / "runs")
    assert (record.outcome, record.message) == ("failed", "the notebook did not say how it ended")


def test_a_notebook_may_say_why_it_is_blocked(probe: Path, tmp_path: Path) -> None:
    """The last line's message is the run's; its other fields are figures."""
    _write(probe, 'print(\'{"runbook": "probe", "outcome": "blocked", "message": "no account", "accounts": 0}\')')
    record = _run(tmp_path / "runs")
    assert (record.outcome, record.message, record.figures) == ("blocked", "no account", {"accounts": 0})


def test_a_parameter_that_cannot_be_leaves_nothing_behind(probe: Path, tmp_path: Path) -> None:
    """It is refused before anything is run or written."""
    _write(probe, _line("ok"))
    with pytest.raises(InputError):
        _run(tmp_path / "runs", dayz="3")
    assert not (tmp_path / "runs").exists()


def test_a_misspelt_parameter_is_answered_with_the_near_one(probe: Path, tmp_path: Path) -> None:
    """Whoever wrote dayz meant days."""
    _write(probe, _line("ok"))
    with pytest.raises(InputError, match=r"no parameter dayz; did you mean days\?"):
        _run(tmp_path / "runs", dayz="3")


def test_a_failed_run_says_at_which_step_and_when_it_ended(probe: Path, tmp_path: Path) -> None:
    """Its end is in the index as that of any other, with the heading of the step and the name of a fault nobody foresaw."""
    _write(probe, "## 1. Look", "1 + 1", "## 2. Divide", "1 / 0", _line("ok"))
    record = _run(tmp_path / "runs")
    assert (record.outcome, record.step, record.error) == ("failed", "2. Divide", "ZeroDivisionError")
    assert record.ended
    assert (tmp_path / "runs" / record.html).exists()


@pytest.mark.parametrize(("times", "outcome"), [(1, "ok"), (2, "failed")])
def test_a_kernel_that_did_not_come_up_is_begun_once_more(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, outcome: str
) -> None:
    """Another process may have been given its port meanwhile; no cell was run yet."""
    from papermill import execute

    _write(probe, _line("ok"))
    real, begun = execute.execute_notebook, []

    def begin(*given: object, **named: object) -> object:
        begun.append(given)
        if len(begun) <= times:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return real(*given, **named)

    monkeypatch.setattr(execute, "execute_notebook", begin)
    record = _run(tmp_path / "runs")
    assert (record.outcome, len(begun)) == (outcome, 2)
    assert record.message == ("" if outcome == "ok" else "Kernel died before replying to kernel_info")


def test_a_run_that_takes_too_long_is_ended_with_its_kernel(probe: Path, tmp_path: Path) -> None:
    """The limit is the run's, not a cell's; the kernel and what it started are gone, and the record says why."""
    _write(
        probe,
        "## 1. Hang",
        "import os, pathlib, subprocess\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "pathlib.Path(os.environ['SYNCOPS_RUN_FOLDER'], 'pids').write_text(f'{os.getpid()} {child.pid}')\n"
        "import time; time.sleep(600)",
        _line("ok"),
    )
    wish = runner.Wish("probe", {"workspace": "w"})
    record = runner.run_runbook(wish, folder=tmp_path / "runs", now=NOW, limit_seconds=10)
    assert (record.outcome, record.step) == ("failed", "1. Hang")
    assert record.message == "it took longer than 10 seconds, and was ended"
    pids = (tmp_path / "runs" / record.run / "pids").read_text().split()
    assert not [pid for pid in pids if _is_running(pid)]


@pytest.mark.slow
def test_a_runner_that_was_killed_leaves_a_run_that_failed(probe: Path, tmp_path: Path) -> None:
    """While it lives its run is running; killed, the run is failed, its kernel ends by itself, and the next run writes that down."""
    _write(
        probe,
        "import os, pathlib, time\n"
        "pathlib.Path(os.environ['SYNCOPS_RUN_FOLDER'], 'pid').write_text(str(os.getpid()))\n"
        "time.sleep(120 if workspace == 'slow' else 0)",
        _line("ok"),
    )
    folder = tmp_path / "runs"
    script = (
        "import sys; from datetime import datetime, UTC; from pathlib import Path; from ops_lib.runbook import library, runner\n"
        "library.folder = lambda name: Path(sys.argv[1]) / name\n"
        "runner.run_runbook(runner.Wish('probe', {'workspace': 'slow'}), folder=Path(sys.argv[1], 'runs'), now=datetime.now(UTC))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    _until(lambda: [path for path in folder.glob("probe-*/pid") if path.read_text()])
    (running,) = runs.records(folder)
    with pytest.raises(WorkspaceError, match="running here already") as refused:
        _run(folder)
    assert running.outcome == "running"
    assert refused.value.subject == running.run
    process.kill()
    process.wait()
    (dead,) = runs.records(folder)
    assert (dead.outcome, dead.message, dead.ended) == ("failed", runs.WITHOUT_A_WORD, "")
    kernel = (folder / dead.run / "pid").read_text()
    _until(lambda: not _is_running(kernel))
    told: list[str] = []
    wish = runner.Wish("probe", {"workspace": "w"})
    runner.run_runbook(wish, folder=folder, now=NOW, tell=lambda record: told.append(record.run) or "sent")
    assert told == [dead.run, runs.records(folder)[0].run]
    assert [(each.outcome, each.alert) for each in runs.records(folder)] == [("ok", "sent"), ("failed", "sent")]
    assert runs.settle(folder) == []


def test_a_runner_that_is_asked_to_stop_says_so(probe: Path, tmp_path: Path) -> None:
    """SIGTERM ends the kernel, and the run has an end with its reason."""
    _write(probe, "import os, signal\nos.kill(os.getppid(), signal.SIGTERM)\nimport time; time.sleep(60)", _line("ok"))
    before = signal.getsignal(signal.SIGTERM)
    record = _run(tmp_path / "runs")
    assert (record.outcome, record.message) == ("failed", "it was stopped (SIGTERM)")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_is_tried_again_beside_the_earlier_one(probe: Path, tmp_path: Path) -> None:
    """The same parameters, a folder of its own, a word above it on what came before; the earlier files are untouched."""
    _write(
        probe,
        "## 1. Ask",
        "assert workspace == 'w' and days == 3, 'no'",
        "1 / (__import__('os').environ.get('MENDED') is not None)",
        _line("ok"),
    )
    folder = tmp_path / "runs"
    first = _run(folder, days="3")
    assert first.outcome == "failed"
    wish = runner.Wish("probe", runner.given_again(first), again_of=first)
    with runner.environment({"MENDED": "1"}):
        second = runner.run_runbook(wish, folder=folder, now=NOW)
    assert (second.outcome, second.again_of, second.parameters) == ("ok", first.run, first.parameters)
    assert second.run != first.run
    above = json.loads((folder / second.notebook).read_text())["cells"][0]
    assert f"The run `{first.run}` ended as `failed` at *1. Ask*" in "".join(above["source"])
    assert runs.altered(folder, first) == []


def test_the_oldest_runs_make_room(probe: Path, tmp_path: Path) -> None:
    """So many are kept with their files; of the others the line in the index stays."""
    _write(probe, _line("ok"))
    folder = tmp_path / "runs"
    for _ in range(3):
        last = runner.run_runbook(runner.Wish("probe", {"workspace": "w"}), folder=folder, now=NOW, keep=2)
    assert len(runs.records(folder)) == 3
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [
        f"{last.run.removesuffix('-3')}-{n}" for n in (2, 3)
    ]


def _is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
