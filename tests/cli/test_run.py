"""`syncops run | runs | report | lab`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops_lib.cli import app
from ops_lib.runbook import runner
from ops_lib.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace, and a current folder that is none."""
    monkeypatch.delenv("SYNCOPS_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    Workspace.create(tmp_path / "w").close()
    return tmp_path / "w"


def _syncops(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def _record(**more: Any) -> runner.RunRecord:
    values: dict[str, Any] = {
        "when": "2026-11-23T09:00:00Z", "runbook": "report_sync", "outcome": "ok", "seconds": 1.0, "parameters": {},
        "figures": {}, "message": "", "notebook": "a/report_sync.ipynb", "html": "a/report_sync.html", "report": "",
    }  # fmt: skip
    return runner.RunRecord(**{**values, **more})


def test_run_without_a_name_lists_the_runbooks_and_their_parameters(workspace: Path) -> None:
    """As JSON, each with its parameters, kinds, defaults and help."""
    (listed,) = json.loads(_syncops("run", "--json").stdout)
    assert listed["runbook"] == "report_sync"
    assert listed["parameters"][0] | {"help": ""} == {"name": "workspace", "kind": "str", "default": "demo", "help": ""}


@pytest.mark.parametrize(("outcome", "code"), [("ok", 0), ("findings", 0), ("blocked", 1), ("failed", 1)])
def test_the_exit_code_says_whether_it_could_do_its_work(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, outcome: str, code: int
) -> None:
    """Findings are a result; only what was blocked or failed is an error."""
    monkeypatch.setattr(runner, "run_runbook", lambda *_, **__: _record(outcome=outcome))
    result = _syncops("--workspace", str(workspace), "run", "report_sync")
    assert result.exit_code == code
    assert result.stdout.startswith(f"report_sync: {outcome}")


def test_it_runs_in_the_chosen_workspace_and_on_the_demo_where_there_is_none(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workspace is the notebook's parameter; without one the demo's customer, its runs below out/."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(
        runner, "run_runbook", lambda stem, given, **named: calls.append({**named, **given}) or _record()
    )
    _syncops("--workspace", str(workspace), "run", "report_sync", "-p", "days=3")
    _syncops("run", "report_sync")
    _syncops("run", "report_sync", "-p", f"workspace={workspace}")
    assert [call["workspace"] for call in calls] == [str(workspace), "demo", str(workspace)]
    assert [call["folder"] for call in calls] == [workspace / "runs", Path.cwd() / "out" / "runs", workspace / "runs"]
    assert calls[0]["days"] == "3"


@pytest.mark.parametrize("pair", ["days", "=3", "dayz=3", "days=x"])
def test_a_parameter_that_cannot_be_ends_with_one_line_and_code_2(workspace: Path, pair: str) -> None:
    """Nothing is started for a misspelt parameter."""
    result = _syncops("--workspace", str(workspace), "run", "report_sync", "-p", pair)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert not (workspace / "runs").exists()


@pytest.mark.req("R10")
def test_the_index_of_runs_is_one_json_document_with_paths_that_open(workspace: Path) -> None:
    """Newest first, with absolute paths; empty is an empty list."""
    assert json.loads(_syncops("--workspace", str(workspace), "runs", "--json").stdout) == []
    (workspace / "runs").mkdir()
    lines = [
        json.dumps({name: getattr(each, name) for name in runner.RunRecord.__slots__})
        for each in (_record(), _record(outcome="failed"))
    ]
    (workspace / "runs" / runner.INDEX).write_text("\n".join(lines) + "\n")
    runs = json.loads(_syncops("--workspace", str(workspace), "runs", "--json").stdout)
    assert [run["outcome"] for run in runs] == ["failed", "ok"]
    assert runs[0]["html"] == str(workspace / "runs" / "a" / "report_sync.html")
    assert json.loads(_syncops("--workspace", str(workspace), "runs", "other", "--json").stdout) == []


@pytest.mark.req("R4")
def test_the_report_is_written_where_it_is_wanted(workspace: Path, tmp_path: Path) -> None:
    """Page and tables in the folder that was named; the JSON says where and what it comes to."""
    said = json.loads(
        _syncops("--workspace", str(workspace), "report", "--output", str(tmp_path / "r"), "--json").stdout
    )
    assert said["outcome"] == "blocked"
    assert Path(said["page"]) == tmp_path / "r" / "report.html"
    assert Path(said["page"]).read_text().startswith("<!doctype html>")
    assert (Path(said["tables"]) / "accounts.parquet").exists()


def test_a_report_that_cannot_be_written_says_why(workspace: Path, tmp_path: Path) -> None:
    """A file in the way is one line, not a traceback."""
    (tmp_path / "file").write_text("")
    result = _syncops("--workspace", str(workspace), "report", "--output", str(tmp_path / "file"))
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_lab_opens_the_notebooks_with_the_workspace_and_without_news(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JupyterLab takes the process's place, on the notebooks' folder, with the workspace in its environment."""
    started: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: started.append(arguments))
    _syncops("--workspace", str(workspace), "lab", "--no-browser", "--port", "9999")
    (_, command, environment) = started[0]
    assert {"--no-browser", "--port=9999"} <= set(command)
    assert any(each.startswith("--notebook-dir=") and each.endswith("notebooks") for each in command)
    assert environment["SYNCOPS_WORKSPACE"] == str(workspace)
    settings = (
        Path(environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)[-1]) / "labconfig" / "default_setting_overrides.json"
    )
    assert json.loads(settings.read_text())["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
