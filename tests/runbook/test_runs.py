"""The index of runs."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ops_lib.errors import NotThere, WorkspaceError
from ops_lib.runbook import runs
from ops_lib.runbook.runs import RunRecord


def _record(run: str, outcome: str = "ok", **more: Any) -> RunRecord:
    return RunRecord(run, "probe", "2026-11-23T09:00:00Z", outcome, **more)


def test_the_last_line_of_a_run_counts(tmp_path: Path) -> None:
    """A beginning and an end are one run; the one that began last comes first."""
    for record in (_record("a", "running"), _record("b"), _record("a", "findings", message="two")):
        runs.write(tmp_path, record)
    assert [(each.run, each.outcome) for each in runs.records(tmp_path)] == [("b", "ok"), ("a", "findings")]
    assert runs.one(tmp_path, "a").message == "two"
    assert runs.one(tmp_path, "last").run == "b"
    assert runs.records(tmp_path / "nowhere") == []


def test_a_line_that_was_cut_off_costs_that_line_alone(tmp_path: Path) -> None:
    """A machine that dies while a line is written leaves the others readable."""
    runs.write(tmp_path, _record("a"))
    with (tmp_path / runs.INDEX).open("a") as index:
        index.write(json.dumps(asdict(_record("b")))[:40] + "\n" + "[]\n" + '{"run": "c"}\n')
    runs.write(tmp_path, _record("d"))
    assert [each.run for each in runs.records(tmp_path)] == ["d", "a"]


def test_an_unknown_run_is_answered_with_the_near_one(tmp_path: Path) -> None:
    """A run's name is long, and mistyped."""
    runs.write(tmp_path, _record("probe-20261123T090000Z"))
    with pytest.raises(NotThere, match="did you mean probe-20261123T090000Z"):
        runs.one(tmp_path, "probe-20261123T09000Z")


def test_a_run_lives_while_its_process_holds_on_to_it(tmp_path: Path) -> None:
    """Held, it runs; let go without an end, it failed without a word, also where its folder is gone."""
    own = runs.own_folder(tmp_path, "a")
    runs.write(tmp_path, _record("a", "running"))
    with runs.held(own):
        assert runs.records(tmp_path)[0].outcome == "running"
        assert runs.settle(tmp_path) == []
    assert (runs.records(tmp_path)[0].outcome, runs.records(tmp_path)[0].message) == ("failed", runs.WITHOUT_A_WORD)
    own.rmdir()
    assert [each.run for each in runs.settle(tmp_path)] == ["a"]
    assert runs.settle(tmp_path) == []


def test_the_same_runbook_does_not_run_twice_at_once(tmp_path: Path) -> None:
    """The second is refused while the first runs, and may run when it has ended; another runbook may at any time."""
    with runs.only_one(tmp_path, "probe"):
        with pytest.raises(WorkspaceError, match="running here already"), runs.only_one(tmp_path, "probe"):
            pass
        with runs.only_one(tmp_path, "other"):
            pass
    with runs.only_one(tmp_path, "probe"):
        pass


def test_what_a_run_meets_is_not_taken_for_a_lock(tmp_path: Path) -> None:
    """An error of the work itself keeps its own name."""
    with pytest.raises(BlockingIOError, match="of the work"), runs.only_one(tmp_path, "probe"):
        raise BlockingIOError("of the work")


def test_lines_of_several_writers_are_not_mixed(tmp_path: Path) -> None:
    """Each line is whole, however long, whoever writes beside it."""
    writers = [
        threading.Thread(
            target=lambda name=name: [
                runs.write(tmp_path, _record(f"{name}{n}", message="x" * 20_000)) for n in range(20)
            ]
        )
        for name in "abcd"
    ]
    [each.start() for each in writers]
    [each.join() for each in writers]
    assert len(runs.records(tmp_path)) == 80


def test_what_was_altered_after_its_end_is_seen(tmp_path: Path) -> None:
    """Evidence that was edited or taken away is named."""
    own = runs.own_folder(tmp_path, "a")
    (own / "tables").mkdir()
    for name in ("probe.ipynb", "tables/x.csv"):
        (own / name).write_text(name)
    record = _record("a", sha256=runs.seal(own))
    assert runs.altered(tmp_path, record) == []
    (own / "probe.ipynb").chmod(0o600)
    (own / "probe.ipynb").write_text("better")
    (own / "tables" / "x.csv").unlink()
    assert runs.altered(tmp_path, record) == ["probe.ipynb", "tables/x.csv"]
