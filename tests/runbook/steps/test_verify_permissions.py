"""The steps of the permissions' notebook, on the customer that it shows by default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ops_lib.errors import InputError, NotThere, OpsError
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.runbook import demo as customer
from ops_lib.runbook.rights_story import since_friday
from ops_lib.runbook.session import Opened
from ops_lib.runbook.steps.verify_permissions import Steps
from ops_lib.workspace import Workspace
from tests.support.powershell import parse

GRACE, NORA, HUGO, ANA = (
    f"{each}@sunrise.example" for each in ("grace.kim", "nora.diaz", "hugo.martin", "ana.whitfield")
)
JONAS, LIAM, IRIS, KEISHA = (
    f"{each}@sunrise.example" for each in ("jonas.weber", "liam.oconnor", "iris.nakamura", "keisha.brown")
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The customer on Monday, with what happened to the permissions since Friday."""
    demo = customer.make(tmp_path_factory.mktemp("permissions") / "demo")
    yield Opened(demo.workspace, since_friday(demo))
    close_connections()
    demo.close()


@pytest.fixture(scope="module")
def checked(told: Opened, tmp_path_factory: pytest.TempPathFactory) -> Steps:
    """The notebook after its first step, with a folder of its own for what it writes."""
    run = Steps("verify_permissions", told)
    run.folder = tmp_path_factory.mktemp("run")
    run.check()
    return run


@pytest.mark.req("R2")
def test_the_matrix_names_who_lacks_what_worst_first(checked: Steps) -> None:
    """What the sync needs and lacks comes before what it merely wants, what could not be seen, and what is too much, whatever the host."""
    table = checked.wrong()
    assert isinstance(table, pd.DataFrame)
    verdicts = table["verdict"].tolist()
    order = ["missing", "missing, wanted", "unknown", "more than needed"]
    assert verdicts == sorted(verdicts, key=order.index)
    found = {(row.user, row.rights) for row in table.itertuples() if row.verdict == "missing"}
    assert found == {(GRACE, "impersonation"), (NORA, "impersonation"), (JONAS, "calendar write"), (LIAM, "send as")}
    more = {row.user: row.why for row in table.itertuples() if row.verdict == "more than needed"}
    assert set(more) == {ANA, KEISHA}
    assert "disabled" in more[ANA]
    evidence = checked.evidence()
    assert isinstance(evidence, pd.DataFrame)
    assert evidence["evidence"].str.contains("ErrorImpersonateUserDenied").any()


@pytest.mark.req("R2", "P6")
def test_what_changed_since_friday_comes_with_what_was_there_before(checked: Steps) -> None:
    """Rights lost, users added and what is out of sight now are rows of their own; what was so on Friday already is not among them."""
    table = checked.changes()
    assert isinstance(table, pd.DataFrame)
    told = {(row.user, row.change) for row in table.itertuples()}
    assert told == {
        (GRACE, "lost"), (NORA, "user added"), (IRIS, "lost"), (JONAS, "lost"), (LIAM, "lost"),
        (GRACE, "no longer known"), (HUGO, "no longer known"),
    }  # fmt: skip
    assert KEISHA not in {user for user, _ in told}


@pytest.mark.req("R8")
def test_looking_again_keeps_what_changed_since_friday(checked: Steps) -> None:
    """The step may be run again: it is compared with the check before the notebook's first, so that nothing drops out of the table."""
    before = checked.changes()
    checked.check()
    assert isinstance(before, pd.DataFrame)
    pd.testing.assert_frame_equal(before, checked.changes())


@pytest.mark.req("R2", "P5")
def test_each_host_gets_its_scripts_and_the_matrix_is_a_table(checked: Steps) -> None:
    """Scripts that mend, undo and collect lie in the run's folder, are PowerShell and name exactly who lacks something; the matrix lies beside."""
    table = checked.scripts()
    assert isinstance(table, pd.DataFrame)
    assert all((checked.folder / name).is_file() for name in table["file"])
    texts = {name: (checked.folder / name).read_text("utf-8-sig") for name in table["file"] if name.endswith(".ps1")}
    for text in texts.values():
        parse(text)
    mending = {name: text for name, text in texts.items() if name.startswith("mend-")}
    assert len(mending) == 2
    named = "".join(mending.values())
    assert all(each in named for each in (GRACE, NORA, JONAS, LIAM))
    assert not any(each in named for each in (HUGO, ANA, IRIS, KEISHA, "ben.okafor"))
    kept = pd.read_parquet(checked.folder / "tables" / "permissions.parquet")
    assert len(kept) == 13 * 10
    assert kept["red"].sum() == 4
    shown = checked.script().text
    assert shown.startswith("```powershell\n# Company Exchange")
    assert "Nothing" not in checked.script("Sunrise at Desert Willow Exchange").text


def test_the_run_ends_in_one_line_with_its_figures(checked: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line says findings, and how many rights are missing, not seen and too much."""
    checked.finish(checked.outcome())
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "runbook": "verify_permissions",
        "outcome": "findings",
        "hosts": 2,
        "mailboxes": 13,
        "missing": 4,
        "not_seen": 17,
        "more_than_needed": 2,
        "changed": 17,
    }


@pytest.mark.req("R2", "P6")
def test_a_schedule_is_quiet_about_what_it_has_told(told: Opened, checked: Steps, tmp_path: Path) -> None:
    """Checked once more, what is missing is missing still; judged by what is new alone the run is well."""
    assert checked.outcome(changes_only=True) == "findings"
    again = Steps("verify_permissions", told)
    again.folder = tmp_path
    again.check()
    assert str(again.changes()).startswith("Nothing that could be seen has changed since Mon 23 Nov")
    assert again.outcome() == "findings"
    assert again.outcome(changes_only=True) == "ok"


@pytest.mark.req("P3")
def test_the_administrators_file_stands_beside(told: Opened, tmp_path: Path) -> None:
    """A file in the workspace's folder is read by its name; where it disagrees with the server, the user and the right are named."""
    (told.workspace.path / "console.csv").write_text(
        f'"Mailbox","FolderName","User","AccessRights"\n"{JONAS}","Calendar","svc-calendar@sunrise.example","Editor"\n'
    )
    run = Steps("verify_permissions", told)
    run.choose(account=JONAS, from_csv="console.csv")
    run.check()
    table = run.sources()
    assert isinstance(table, pd.DataFrame)
    assert table[["user", "right"]].to_numpy().tolist() == [[JONAS, "calendar write"]]
    run.choose(account=JONAS)
    run.check()
    assert "No file" in str(run.sources())


def test_what_cannot_be_checked_is_named(told: Opened) -> None:
    """An unknown host or user, a missing file, nothing to judge, and steps out of order each say what to change."""
    run = Steps("verify_permissions", told)
    with pytest.raises(InputError, match=r"run\.check"):
        run.wrong()
    wrong: list[tuple[dict[str, Any], type[OpsError], str]] = [
        ({"host": "Elsewhere"}, NotThere, "Elsewhere"),
        ({"account": "nobody@sunrise.example"}, NotThere, "nobody@sunrise"),
        ({"ews": False}, InputError, "from_csv"),
        ({"from_csv": "nowhere.csv"}, InputError, r"nowhere\.csv: there is no such file"),
    ]
    for parameters, kind, said in wrong:
        run.choose(**parameters)
        with pytest.raises(kind, match=said):
            run.check()


def test_the_form_is_filled_from_the_workspace(told: Opened) -> None:
    """Hosts and users can be picked, and without a person the form is its parameters in words, with what is wrong beside them."""
    run = Steps("verify_permissions", told)
    form = run.choose(from_csv="nowhere.csv")
    choices = {each.name: each.choices for each in form.fields}
    assert choices["host"] == ("every host", "Company Exchange", "Sunrise at Desert Willow Exchange")
    assert {"everybody", JONAS, NORA} <= set(choices["account"])
    table = form.table().set_index("field")
    assert table.loc["host", "value"] == "every host"
    assert "no such file" in table.loc["administrator's files", "to mend"]


def test_without_accounts_the_run_is_blocked(tmp_path: Path) -> None:
    """In an empty workspace every step has an answer, and the outcome is blocked."""
    workspace = Workspace.create(tmp_path / "empty")
    run = Steps("verify_permissions", Opened(workspace))
    assert "nobody whose permissions" in str(run.check())
    assert "no accounts" in run.draw().words
    for step in (run.changes, run.wrong, run.evidence, run.sources, run.findings, run.script):
        assert str(step())
    assert run.outcome() == "blocked"
    workspace.close()
