"""The command line within the test's process: ``run("user", "list")`` gives exit code, stdout and stderr."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops_lib.cli import app
from ops_lib.workspace import Workspace


@dataclass(frozen=True)
class Answer:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)


class CommandLine:
    """Commands on one workspace, made with the usual activity types and nothing else."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace

    def __call__(self, *arguments: str, exit_code: int = 0) -> Answer:
        """Run a command and expect its exit code."""
        result = CliRunner().invoke(app, ["--workspace", str(self.workspace), *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        answer = Answer(result.exit_code, result.stdout, result.stderr)
        assert answer.exit_code == exit_code, answer
        return answer


@pytest.fixture(scope="session")
def prepared_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new workspace, to be copied."""
    path = tmp_path_factory.mktemp("prepared") / "workspace"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SYNCOPS_WORKSPACE", "SYNCOPS_DATABASE_URL", "SYNCOPS_NOW"):
            patch.delenv(name, raising=False)
        Workspace.create(path).close()
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared_workspace: Path) -> CommandLine:
    """The command line on a fresh workspace, on Monday 23 November 2026 at 9:00 UTC."""
    monkeypatch.delenv("SYNCOPS_WORKSPACE", raising=False)
    monkeypatch.delenv("SYNCOPS_DATABASE_URL", raising=False)
    monkeypatch.setenv("SYNCOPS_NOW", "2026-11-23T09:00:00Z")
    shutil.copytree(prepared_workspace, tmp_path / "workspace")
    return CommandLine(tmp_path / "workspace")
