"""What docs/scheduling.md tells people to paste holds."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ops_lib.runbook import pages
from ops_lib.runbook.cron import CronLine
from ops_lib.workspace import Workspace

PAGE = (Path(__file__).parents[2] / "docs" / "scheduling.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def test_the_front_matter_is_a_schedule() -> None:
    """A cron line that is one, and a known zone."""
    (block,) = _blocks("yaml")
    given = yaml.safe_load(block)["schedule"]
    assert CronLine.parse(given["cron"], given["time_zone"]).line == given["cron"]
    assert set(given) == {"cron", "parameters", "time_zone"}


def test_the_lines_for_cron_run_in_a_shell_with_cron_s_environment(tmp_path: Path) -> None:
    """Five fields, a user, and a command that sh runs in a workspace with an empty environment; its exit code is the command's."""
    (block,) = _blocks("cron")
    assert block.splitlines()[1] == "SHELL=/bin/sh"
    Workspace.create(tmp_path / "customer").close()
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    tool = bin_folder / "syncops"
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} -m ops_lib.cli "$@"\n')
    tool.chmod(0o755)
    codes = []
    for line in block.splitlines()[2:]:
        *fields, user, command = line.split(None, 6)
        CronLine.parse(" ".join(fields), "UTC")
        assert user == "syncops"
        command = command.replace("/srv/customer", str(tmp_path / "customer"))
        environment = {"PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": str(tmp_path), "SHELL": "/bin/sh"}
        codes.append(subprocess.run(["/bin/sh", "-c", command], env=environment, check=False, timeout=120).returncode)
    assert codes == [2, 1]  # each command's own: there is no account yet
    assert "account" in (tmp_path / "customer" / "sync.log").read_text()
    assert "blocked" in (tmp_path / "customer" / "runs.log").read_text()


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """systemd's own check finds nothing to say, where there is one; each unit is named in its first line."""
    names = []
    for block in _blocks("ini"):
        name = Path(block.splitlines()[0].removeprefix("# ")).name
        text = block.replace("/usr/local/bin/syncops", shutil.which("true") or "/bin/true").replace(
            "User=syncops\n", ""
        )
        (tmp_path / name).write_text(text)
        names.append(name)
    assert names == ["syncops-schedule.service", "syncops-sync.service", "syncops-sync.timer"]
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not here")
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in names)],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )  # fmt: skip
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "syncops-" in line]
    assert ours == []
    if "Failed to" not in done.stderr:
        assert done.returncode == 0


def test_the_dag_is_python_and_runs_a_runbook_that_has_this_schedule() -> None:
    """Its cron line and parameters are those of the runbook's own page."""
    (block,) = _blocks("python")
    tree = ast.parse(block)
    decorated = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    (decorator,) = decorated.decorator_list
    assert isinstance(decorator, ast.Call)
    given = {each.arg: each.value for each in decorator.keywords}
    schedule = pages.page("report_sync").schedule
    assert schedule is not None
    assert ast.literal_eval(given["schedule"]) == schedule.cron
    assert "syncops run report_sync -p days=1 --json" in block
    assert schedule.parameters == {"days": 1}
