"""`syncops run | runs | report | lab`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops_lib.cli import app
from ops_lib.runbook import library, runner, runs
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


def _record(**more: Any) -> runs.RunRecord:
    values: dict[str, Any] = {
        "run": "a", "when": "2026-11-23T09:00:00Z", "runbook": "report_sync", "outcome": "ok", "seconds": 1.0,
        "notebook": "a/report_sync.ipynb", "html": "a/report_sync.html",
    }  # fmt: skip
    return runs.RunRecord(**{**values, **more})


def test_run_without_a_name_lists_the_runbooks_and_their_parameters(workspace: Path) -> None:
    """As JSON, each with its parameters, kinds, defaults and help."""
    every = json.loads(_syncops("run", "--json").stdout)
    assert [each["runbook"] for each in every] == library.stems()
    listed = next(each for each in every if each["runbook"] == "report_sync")
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
    calls: list[tuple[runner.Wish, Path]] = []
    monkeypatch.setattr(runner, "run_runbook", lambda wish, **named: calls.append((wish, named["folder"])) or _record())
    _syncops("--workspace", str(workspace), "run", "report_sync", "-p", "days=3")
    _syncops("run", "report_sync")
    _syncops("run", "report_sync", "-p", "workspace=w")
    assert [wish.given["workspace"] for wish, _ in calls] == [str(workspace), "demo", str(workspace)]
    assert [folder for _, folder in calls] == [workspace / "runs", Path.cwd() / "out" / "runs", workspace / "runs"]
    assert calls[0][0].given["days"] == "3"


def test_a_run_is_tried_again_with_its_parameters(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that -p gives go before; the runbook need not be named, and another one is refused."""
    wishes: list[runner.Wish] = []
    monkeypatch.setattr(runner, "run_runbook", lambda wish, **_: wishes.append(wish) or _record())
    (workspace / "runs").mkdir()
    earlier = _record(outcome="failed", parameters={"workspace": str(workspace), "days": 3, "user": "a@example.test"})
    runs.write(workspace / "runs", earlier)
    on = ("--workspace", str(workspace), "run")
    assert _syncops(*on, "--again", "last", "-p", "days=9").exit_code == 0
    assert (wishes[0].stem, wishes[0].again_of) == ("report_sync", earlier)
    assert wishes[0].given == {"workspace": str(workspace), "days": "9", "user": "a@example.test"}
    assert "is a run of report_sync" in _syncops(*on, "start_here", "--again", "a").stderr
    assert "there is no run b" in _syncops(*on, "--again", "b").stderr
    runs.write(workspace / "runs", _record(run="b", outcome="running"))
    with runs.held(runs.own_folder(workspace / "runs", "b")):
        assert "has not ended yet" in _syncops(*on, "--again", "b").stderr
    assert len(wishes) == 1


def test_findings_are_an_error_where_that_is_asked_for(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline that must be clean says so."""
    monkeypatch.setattr(runner, "run_runbook", lambda *_, **__: _record(outcome="findings"))
    on = ("--workspace", str(workspace), "run", "report_sync")
    assert [_syncops(*on).exit_code, _syncops(*on, "--findings-fail").exit_code] == [0, 1]


def test_an_alert_that_was_not_sent_is_said_and_changes_no_exit_code(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workspace's settings say whom to tell; the run's own end stays what it was."""
    with (workspace / "syncops.toml").open("a") as settings:
        settings.write('alert_command = "/nowhere/tell"\n')

    def told(wish: runner.Wish, **named: Any) -> runs.RunRecord:
        return _record(outcome="findings", alert=named["tell"](_record(outcome="findings")))

    monkeypatch.setattr(runner, "run_runbook", told)
    result = _syncops("--workspace", str(workspace), "run", "report_sync")
    assert result.exit_code == 0
    assert result.stderr == "the alert was not sent: /nowhere/tell cannot be run (No such file or directory)\n"


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
    for record in (_record(), _record(run="b", outcome="failed")):
        runs.write(workspace / "runs", record)
    listed = json.loads(_syncops("--workspace", str(workspace), "runs", "--json").stdout)
    assert [run["outcome"] for run in listed] == ["failed", "ok"]
    assert listed[0]["html"] == str(workspace / "runs" / "a" / "report_sync.html")
    only = json.loads(_syncops("--workspace", str(workspace), "runs", "report_sync", "--json").stdout)
    assert [run["run"] for run in only] == ["b", "a"]


def test_one_run_is_shown_with_what_was_altered_since(workspace: Path) -> None:
    """Every field that says something, and the files that are not as the run left them."""
    (workspace / "runs").mkdir()
    runs.write(
        workspace / "runs",
        _record(outcome="blocked", message="no right", step="2. Read", sha256={"report_sync.ipynb": "0"}),
    )
    on = ("--workspace", str(workspace), "runs")
    shown = _syncops(*on, "last").stdout
    for words in (
        "blocked",
        "no right",
        "2. Read",
        str(workspace / "runs" / "a" / "report_sync.ipynb"),
        "altered since",
    ):
        assert words in shown.replace("\n", " ") or words.split("/")[-1] in shown
    assert json.loads(_syncops(*on, "a", "--json").stdout)["altered"] == ["report_sync.ipynb"]
    missing = _syncops(*on, "nothing")
    assert (missing.exit_code, missing.stderr) == (
        2,
        "error: there is no run nothing. To mend it: syncops runs lists them.\n",
    )


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
    assert {"--no-browser", "--port=9999", "--LabApp.default_url=/lab/tree/start_here.ipynb"} <= set(command)
    assert any(each.startswith("--notebook-dir=") and each.endswith("notebooks") for each in command)
    assert environment["SYNCOPS_WORKSPACE"] == str(workspace)
    settings = (
        Path(environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)[-1]) / "labconfig" / "default_setting_overrides.json"
    )
    assert json.loads(settings.read_text())["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
