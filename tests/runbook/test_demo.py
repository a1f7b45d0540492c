"""The made-up customer, and the story the demo tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from ops_lib.crm.calendar import calendar
from ops_lib.database import tables as t
from ops_lib.errors import WorkspaceError
from ops_lib.runbook import demo
from ops_lib.sandbox import people
from ops_lib.workspace import Workspace


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The demo, run once as a person runs it."""
    folder = tmp_path_factory.mktemp("told")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SYNCOPS_")}
    command = [sys.executable, "-m", "ops_lib.cli", "demo"]
    return folder / "demo", subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def _syncops(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "ops_lib.cli", "--workspace", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.slow
@pytest.mark.req("Y1")
def test_the_demo_ends_with_both_sides_equal(told: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Every edit reaches the other side, the third cycle writes nothing, and every pair is equal."""
    _, done = told
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("both sides agree: ") == 8
    assert "0 writes to Exchange" in done.stdout
    assert "0 remarks" in done.stdout
    assert "outcome ok" in done.stdout
    assert "NOT ON BOTH SIDES" not in done.stdout


@pytest.mark.slow
@pytest.mark.req("T3", "P4")
def test_the_demo_shows_a_failure_and_what_is_behind_it(
    told: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    """All permissions are there at first; one user who is taken out of the scope fails, is diagnosed with who must act, and is well after the mend."""
    _, done = told
    assert "0 with something missing, 0 more that could not be seen whole, 8 as they should be" in done.stdout
    _, _, after = done.stdout.partition("9. Something breaks")
    assert "12 accounts: 1 could not be kept in step" in after
    assert "ErrorImpersonateUserDenied" in after
    assert ": Impersonation Failed\n" in after
    assert "the customer's Exchange administrator: put the user into the scope" in after
    _, _, mended = after.partition("mends the role")
    assert "12 accounts: nothing to do" in mended.partition("10. The report")[0]
    assert "Error" not in mended


@pytest.mark.slow
def test_its_figures_can_be_checked_after_the_exchange_organisation_has_ended(
    told: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    """The workspace stays: statuses, the index of runs and the report's files are there."""
    folder, _ = told
    statuses = json.loads(_syncops(folder, "status", "--json"))
    assert [row["status"] for row in statuses if row["process"] == "calendar"] == ["Syncing"] * 12
    assert 'now = "2026-11-23T' in (folder / "syncops.toml").read_text(), "so they are the same on any later day"
    (run,) = json.loads(_syncops(folder, "runs", "--json"))
    assert (run["runbook"], run["outcome"], run["figures"]["parted"]) == ("report_sync", "ok", 0)
    for path in (run["notebook"], run["html"], run["report"]):
        assert Path(path).stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.req("R9")
def test_no_secret_is_in_what_the_demo_leaves(told: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The service account's password is in its own file and nowhere else: not in the database, the notebook, the page or the words."""
    folder, done = told
    secret = (folder / "service-password").read_text().strip()
    assert secret not in done.stdout + done.stderr
    others = [path for path in folder.rglob("*") if path.is_file() and path.name != "service-password"]
    assert len(others) > 10
    assert not [path for path in others if secret.encode() in path.read_bytes()]


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    """Somebody's folder called demo keeps its files, and the message says what to do."""
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").write_text("years of work")
    with pytest.raises(WorkspaceError, match="left as it is"):
        demo.make(tmp_path / "demo")
    assert (tmp_path / "demo" / "thesis.txt").read_text() == "years of work"


def test_a_demo_is_made_anew_where_one_was(tmp_path: Path) -> None:
    """The second demo in a folder starts afresh, and its clock stands at the population's moment."""
    for _ in range(2):
        made = demo.make(tmp_path / "demo")
        with made.workspace.database.read() as connection:
            links = connection.execute(select(func.count()).select_from(t.links)).scalar_one()
        assert (links, len(made.accounts()), made.workspace.now()) == (0, 12, people.NOW)
        made.close()
        (tmp_path / "demo" / "left-over.txt").write_text("x")
    assert demo.MARKER in {path.name for path in (tmp_path / "demo").iterdir()}


def test_a_demo_never_touches_the_database_that_somebody_works_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNCOPS_DATABASE_URL is for real workspaces: the made-up people go into the demo's own file."""
    monkeypatch.setenv("SYNCOPS_DATABASE_URL", f"sqlite:///{tmp_path / 'real.db'}")
    made = demo.make(tmp_path / "demo")
    made.close()
    assert (tmp_path / "demo" / "syncops.db").exists()
    assert not (tmp_path / "real.db").exists()
    assert os.environ["SYNCOPS_DATABASE_URL"].endswith("real.db")


def test_a_population_becomes_the_crms_calendar(tmp_path: Path) -> None:
    """Every activity of the population stands in the CRM with its time, status and individual; loading it again adds nothing."""
    workspace = Workspace.create(tmp_path / "workspace")
    population = people.population()
    for _ in range(2):
        demo.load_crm(workspace, population)
    with workspace.database.read() as connection:
        standing = calendar(connection, now=people.NOW, zone=workspace.zone())
        individuals = connection.execute(select(func.count()).select_from(t.individuals)).scalar_one()
    workspace.close()
    assert len(standing) == len(population.activities)
    assert individuals == len(population.individuals)
    held = sorted((e.user_email, e.activity.description, e.activity.status.value) for e in standing)
    assert held == sorted((a.user, a.description, a.status) for a in population.activities)
    assert sum(bool(e.activity.individual_name) for e in standing) == sum(
        bool(a.individual) for a in population.activities
    )
